package server

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hanse-federation/hanse/dns/querylog"
	"github.com/hanse-federation/hanse/dns/zone"
)

// Config is what a Server needs. Only Listen and Snapshot are required.
type Config struct {
	// Listen has the addresses for UDP and TCP, host:port. Without a host it is every IPv4 and IPv6 address; port 0
	// takes a free one.
	Listen []string
	// ListenTLS has the addresses for DNS over TLS (RFC 7858). It needs TLS.
	ListenTLS []string
	TLS       *tls.Config
	// Inherited are open sockets of a former server, see Server.Sockets. Those that were opened for an address of Listen
	// or ListenTLS serve it; the others are closed.
	Inherited []Socket
	// Snapshot is the store that answers come from.
	Snapshot *zone.Store

	// Workers is the number of UDP sockets for each address; 0 is one for each processor.
	Workers int
	// UDPSize bounds UDP responses, in octets, 512 to 1400; 0 is 1232, which passes nearly every path unfragmented (RFC
	// 9715).
	UDPSize int
	// MaxConnections bounds TCP and TLS connections, all together; 0 is 1000. One of the network and the address with the
	// most makes room: the one that has waited longest for its client.
	MaxConnections int
	// MaxConnectionsPerClient bounds those of one client address; 0 is 100.
	MaxConnectionsPerClient int
	// IdleTimeout closes a connection without a query; 0 is 10 s (RFC 7766 section 6.2.3).
	IdleTimeout time.Duration

	// Identity is told to those who ask for it (NSID, RFC 5001, and id.server, RFC 4892). Empty: it is not.
	Identity string
	// Version is told as version.bind. Empty: it is not.
	Version string

	// CookieSecret is the key of DNS Cookies (RFC 9018), unless the snapshot has one, which replicas behind one address
	// share. All zero: a random one.
	CookieSecret [16]byte
	// ResponsesPerSecond bounds like UDP responses to one client network (/24, /56); 0 does not. 20 is usual on the
	// internet.
	ResponsesPerSecond int

	// Heard tells when whoever makes the zones last said that they are as they are served; zero: it never did. Clients are
	// told if that is long ago (an extended error, RFC 8914, beside the answer). It is called often. Nil: it is always now.
	Heard func() time.Time
	// Updater stores what others write into zones, as far as those allow it (RFC 2136). Nil: nobody may.
	Updater Updater
	// Forwarder takes them to another server instead, where there is no Updater.
	Forwarder Forwarder

	// Queries takes what is asked, while somebody watches it. Nil: nobody can.
	Queries *querylog.Ring
	// Geography places clients that no network of the configuration does; nil: nobody does.
	Geography zone.Geography
	// Registerer takes the metrics; nil: there are none to see.
	Registerer prometheus.Registerer
	// Logger takes what an operator must know; nil: nobody does.
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Limits and defaults.
const (
	minUDPSize     = 512
	defaultUDPSize = 1232
	maxUDPSize     = 1400
)

func (c Config) validated() (Config, error) {
	var errs []error
	if len(c.Listen) == 0 && len(c.ListenTLS) == 0 {
		errs = append(errs, errors.New("Listen: at least one address is required"))
	}
	for i, a := range c.Listen {
		if _, _, err := net.SplitHostPort(a); err != nil {
			errs = append(errs, fmt.Errorf("Listen[%d]: %w", i, err))
		}
	}
	for i, a := range c.ListenTLS {
		if _, _, err := net.SplitHostPort(a); err != nil {
			errs = append(errs, fmt.Errorf("ListenTLS[%d]: %w", i, err))
		}
	}
	if len(c.ListenTLS) > 0 && c.TLS == nil {
		errs = append(errs, errors.New("TLS: is required with ListenTLS"))
	}
	if c.Snapshot == nil {
		errs = append(errs, errors.New("Snapshot: is required"))
	}
	if c.UDPSize != 0 && (c.UDPSize < minUDPSize || c.UDPSize > maxUDPSize) {
		errs = append(errs, fmt.Errorf("UDPSize: %d is not between %d and %d", c.UDPSize, minUDPSize, maxUDPSize))
	}
	if c.Workers < 0 || c.MaxConnections < 0 || c.MaxConnectionsPerClient < 0 || c.IdleTimeout < 0 ||
		c.ResponsesPerSecond < 0 {
		errs = append(errs, errors.New(
			"Workers, MaxConnections, MaxConnectionsPerClient, IdleTimeout, ResponsesPerSecond: must not be negative"))
	}
	setDefault(&c.Workers, runtime.GOMAXPROCS(0))
	setDefault(&c.UDPSize, defaultUDPSize)
	setDefault(&c.MaxConnections, 1000)
	setDefault(&c.MaxConnectionsPerClient, 100)
	setDefault(&c.IdleTimeout, 10*time.Second)
	for c.CookieSecret == [16]byte{} {
		rand.Read(c.CookieSecret[:])
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, errors.Join(errs...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
