package server

import (
	"errors"
	"net"
)

// maxQuery is the longest query read over UDP, in octets. Longer ones come out cut off, and are refused as malformed.
const maxQuery = 4096

// serveUDP starts the worker of one socket.
func (s *Server) serveUDP(conn *net.UDPConn) {
	r := newResponder(s.settings, s.newCounters())
	s.running.Go(func() { s.runUDP(conn, r) })
}

// serveOneByOne is the portable loop: a packet in, a packet out.
func (s *Server) serveOneByOne(conn *net.UDPConn, r *responder) {
	in, out := make([]byte, maxQuery), make([]byte, 0, maxUDPSize)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(in)
		if errors.Is(err, net.ErrClosed) || err != nil && s.isRetired() {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier response, which is nobody's to handle
		}
		r.tick(s.now())
		if response := r.respond(out, in[:n], from, overUDP); len(response) > 0 {
			if _, err := conn.WriteToUDPAddrPort(response, from); err != nil {
				r.counts.dropped.Add(1)
			}
		} else if r.pending != nil {
			s.carryOutLater(r.pending, r.counts, func(out []byte) { _, _ = conn.WriteToUDPAddrPort(out, from) })
		}
	}
}
