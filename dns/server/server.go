package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hanse-federation/hanse/dns/querylog"
	"github.com/hanse-federation/hanse/dns/zone"
)

// Server answers DNS queries from a zone.Store.
type Server struct {
	config Config
	*settings

	udp       []*net.UDPConn
	listeners []net.Listener
	conns     *connections
	running   sync.WaitGroup
	closing   sync.Once
	sockets   []Socket
	ended     chan struct{} // closed by Close
	retired   chan struct{} // closed by Retire
	retiring  sync.Once
	counters  []*counters
	overHTTPS *counters
	started   bool
	updating  chan struct{} // has one element for each update under way
}

// settings are what every worker reads.
type settings struct {
	store    *zone.Store
	udpSize  int
	idle     time.Duration
	identity string
	version  string
	secret   [2]uint64
	limiter  *limiter

	signatures   *signatures
	sent         *sentTrees
	takesUpdates bool
	heard        func() time.Time // or nil
	queries      *querylog.Ring   // or nil
	log          *slog.Logger
	now          func() time.Time
	geography    zone.Geography
}

// New checks the configuration. Nothing listens before Start.
func New(c Config) (*Server, error) {
	c, err := c.validated()
	if err != nil {
		return nil, fmt.Errorf("configuration of the DNS server: %w", err)
	}
	s := &Server{
		config:   c,
		ended:    make(chan struct{}),
		updating: make(chan struct{}, updatesAtOnce),
		retired:  make(chan struct{}),
		settings: &settings{
			store: c.Snapshot, geography: c.Geography,
			udpSize: c.UDPSize, idle: c.IdleTimeout, identity: c.Identity, version: c.Version,
			secret:     sipKey(c.CookieSecret),
			limiter:    newLimiter(c.ResponsesPerSecond, rand.Uint64()),
			signatures: newSignatures(c.Workers), sent: &sentTrees{}, takesUpdates: c.Updater != nil || c.Forwarder != nil, heard: c.Heard,
			queries: c.Queries, log: c.Logger, now: c.Now,
		},
		conns: newConnections(c.MaxConnections, c.MaxConnectionsPerClient),
	}
	s.overHTTPS = s.newCounters()
	return s, nil
}

// Start opens all sockets, begins to answer and registers the metrics. On an error nothing is left open.
func (s *Server) Start() error {
	if s.started {
		return errors.New("starting the DNS server: it was started before")
	}
	s.started = true
	defer s.closeUnclaimed()
	for _, address := range s.config.Listen {
		if err := s.listen(address); err != nil {
			s.Close()
			return fmt.Errorf("starting the DNS server on %s: %w", address, err)
		}
	}
	for _, address := range s.config.ListenTLS {
		if s.inherit(address, true) {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			s.Close()
			return fmt.Errorf("starting DNS over TLS on %s: %w", address, err)
		}
		s.take(Socket{Listen: address, TCP: l.(*net.TCPListener), IsTLS: true})
	}
	s.running.Go(s.notify)
	if s.config.Registerer != nil {
		if err := s.config.Registerer.Register(s); err != nil {
			s.Close()
			return fmt.Errorf("registering the metrics of the DNS server: %w", err)
		}
	}
	return nil
}

// Run starts, serves until ctx ends, and closes.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Close()
}

// Close closes all sockets and waits until the last worker has ended.
func (s *Server) Close() error {
	s.closing.Do(func() {
		close(s.ended)
		for _, c := range s.udp {
			c.Close()
		}
		for _, l := range s.listeners {
			l.Close()
		}
		s.conns.closeAll()
		if s.config.Registerer != nil {
			s.config.Registerer.Unregister(s)
		}
	})
	s.running.Wait()
	return nil
}

// Addr is the address of the first UDP socket, after Start. TCP is on the same.
func (s *Server) Addr() netip.AddrPort {
	if len(s.udp) == 0 {
		return netip.AddrPort{}
	}
	return s.udp[0].LocalAddr().(*net.UDPAddr).AddrPort()
}

// AddrTLS is the address of the first listener for DNS over TLS, after Start.
func (s *Server) AddrTLS() netip.AddrPort {
	for _, socket := range s.sockets {
		if socket.IsTLS {
			return socket.TCP.Addr().(*net.TCPAddr).AddrPort()
		}
	}
	return netip.AddrPort{}
}

func (s *Server) tlsConfig() *tls.Config {
	c := s.config.TLS.Clone()
	if len(c.NextProtos) == 0 {
		c.NextProtos = []string{"dot"} // RFC 7858 section 3.1, registered there
	}
	return c
}

// listen opens UDP and TCP on one address. An address without a host is two: all of IPv4 and all of IPv6, so that each
// socket knows which of its addresses a query came to.
func (s *Server) listen(address string) error {
	if s.inherit(address, false) {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if host != "" {
		return s.listenOne(address, "", host, port)
	}
	if err := s.listenOne(address, "4", "0.0.0.0", port); err != nil {
		return err
	}
	if port == "0" {
		_, port, _ = net.SplitHostPort(s.udp[len(s.udp)-1].LocalAddr().String())
	}
	if err := s.listenOne(address, "6", "::", port); err != nil {
		s.log.Warn("no DNS over IPv6", "address", net.JoinHostPort("::", port), "error", err)
	}
	return nil
}

// listenAttempts bounds the search for a port that is free for both UDP and TCP.
const listenAttempts = 20

func (s *Server) listenOne(address, family, host, port string) error {
	for attempt := 1; ; attempt++ {
		conns, err := listenUDP("udp"+family, net.JoinHostPort(host, port), s.config.Workers)
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp"+family, conns[0].LocalAddr().String())
		if err == nil {
			for _, c := range conns {
				s.take(Socket{Listen: address, UDP: c})
			}
			s.take(Socket{Listen: address, TCP: listener.(*net.TCPListener)})
			return nil
		}
		for _, c := range conns {
			c.Close()
		}
		if port != "0" || attempt == listenAttempts {
			return err
		}
	}
}

// newCounters are those of one more worker.
func (s *Server) newCounters() *counters {
	c := &counters{}
	s.counters = append(s.counters, c)
	return c
}

func (s *settings) reportPanic(p any) {
	s.log.Error("answering a DNS query failed", "panic", p, "stack", string(debug.Stack()))
}
