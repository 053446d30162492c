package server

import (
	"crypto/tls"
	"net"
	"time"
)

// Socket is an open socket, and the address of Config.Listen, or of Config.ListenTLS, that it was opened for. Either UDP
// or TCP is there.
type Socket struct {
	Listen string
	UDP    *net.UDPConn
	TCP    *net.TCPListener
	IsTLS  bool
}

// Close closes this process's hold on the socket.
func (s Socket) Close() error {
	if s.UDP != nil {
		return s.UDP.Close()
	}
	return s.TCP.Close()
}

// Sockets are those that a started server has open. Another process that has got their descriptors can serve
// on them (Config.Inherited); when this one retires, what waits in them is the other's, and no query is lost.
func (s *Server) Sockets() []Socket { return s.sockets }

// take serves on a socket.
func (s *Server) take(socket Socket) {
	s.sockets = append(s.sockets, socket)
	if socket.UDP != nil {
		s.udp = append(s.udp, socket.UDP)
		s.serveUDP(socket.UDP)
		return
	}
	s.listeners = append(s.listeners, socket.TCP)
	if socket.IsTLS {
		s.serveConnections(tls.NewListener(socket.TCP, s.tlsConfig()), overTLS)
		return
	}
	s.serveConnections(socket.TCP, overTCP)
}

// inherit serves an address on the sockets that a former server had open for it. It is false if there are none.
func (s *Server) inherit(address string, isTLS bool) bool {
	isFound := false
	for i, socket := range s.config.Inherited {
		if socket.Listen == address && socket.IsTLS == isTLS && (socket.UDP != nil || socket.TCP != nil) {
			s.config.Inherited[i] = Socket{}
			s.take(socket)
			isFound = true
		}
	}
	return isFound
}

// closeUnclaimed closes the inherited sockets that serve no address.
func (s *Server) closeUnclaimed() {
	for _, socket := range s.config.Inherited {
		if socket.UDP != nil || socket.TCP != nil {
			socket.Close()
		}
	}
	s.config.Inherited = nil
}

// retiredIdle closes connections of a server that retires when they have been idle that long.
const retiredIdle = 200 * time.Millisecond

// Retire takes no new query, answers those it has taken, and then closes. Connections that are in use are given as long
// as patience. The sockets stay open for whoever else has them.
func (s *Server) Retire(patience time.Duration) {
	s.retiring.Do(func() {
		close(s.retired)
		past := time.Unix(1, 0)
		for _, c := range s.udp {
			_ = c.SetReadDeadline(past) // wakes the worker; what it is answering goes out first
		}
		for _, l := range s.listeners {
			if tcp, ok := l.(*net.TCPListener); ok {
				_ = tcp.SetDeadline(past)
			}
		}
		s.conns.hurry(time.Now().Add(retiredIdle))
	})
	answered := make(chan struct{})
	go func() { s.running.Wait(); close(answered) }()
	select {
	case <-answered:
	case <-time.After(patience):
	}
	s.Close()
}

func (s *Server) isRetired() bool {
	select {
	case <-s.retired:
		return true
	default:
		return false
	}
}

// patience is how long a connection may be idle.
func (s *Server) patience() time.Duration {
	if s.isRetired() {
		return min(s.idle, retiredIdle)
	}
	return s.idle
}

// hurry bounds the time that idle connections may go on being idle.
func (cs *connections) hurry(until time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.open {
		if c.isIdle {
			_ = c.SetReadDeadline(until)
		}
	}
}
