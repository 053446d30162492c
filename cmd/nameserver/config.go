package nameserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
)

// Config is a DNS server. Hub, DataDir and Listen are required.
type Config struct {
	// Hub is how to reach the hub.
	Hub *rest.Config
	// Name of this server among those of the hub. Default: the machine's.
	Name string
	// Listen are the addresses for UDP and TCP.
	Listen []string
	// ListenTLS and ListenHTTPS are the addresses for DNS over TLS (RFC 7858) and over HTTPS (RFC 8484, /dns-query). Empty:
	// there is none. They need a certificate.
	ListenTLS, ListenHTTPS []string
	// CertFile and KeyFile have the certificate, in PEM form. They are read again when they change.
	CertFile, KeyFile string
	// DataDir has the snapshot, and the socket over which the next process takes over.
	DataDir string
	// MetricsListen is the address of /metrics, /livez and /readyz. Empty: they are not served.
	MetricsListen string
	// GeoDatabase is a file in the MaxMind format that places clients, for names with the policy Nearest. Empty: none.
	GeoDatabase string
	// ResponsesPerSecond bounds like UDP responses to one client network; 0 does not.
	ResponsesPerSecond int
	// Identity is told to those who ask who this server is (RFC 5001). Empty: nobody is.
	Identity string
	// Version of the program, told to the hub.
	Version string
	Logger  *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// listens are all addresses, each with how it is served: a process that takes over must be told the same.
func (c Config) listens() []string {
	listens := slices.Clone(c.Listen)
	for _, address := range c.ListenTLS {
		listens = append(listens, overTLS+"://"+address)
	}
	for _, address := range c.ListenHTTPS {
		listens = append(listens, overHTTPS+"://"+address)
	}
	return listens
}

// complete fills in the defaults and checks the rest.
func (c Config) complete() (Config, error) {
	var errs []error
	if c.Hub == nil {
		errs = append(errs, errors.New("no hub is given"))
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("no data directory is given"))
	}
	if len(c.Listen) == 0 {
		errs = append(errs, errors.New("no address to listen on is given"))
	}
	for _, address := range slices.Concat(c.Listen, c.ListenTLS, c.ListenHTTPS) {
		if _, _, err := net.SplitHostPort(address); err != nil {
			errs = append(errs, fmt.Errorf("%q is no address such as 192.0.2.53:53: %w", address, err))
		}
	}
	isEncrypted := len(c.ListenTLS)+len(c.ListenHTTPS) > 0
	switch {
	case isEncrypted && (c.CertFile == "" || c.KeyFile == ""):
		errs = append(errs, errors.New("DNS over TLS and HTTPS needs a certificate and its key"))
	case !isEncrypted && (c.CertFile != "" || c.KeyFile != ""):
		errs = append(errs, errors.New("a certificate is given, and no address for DNS over TLS or HTTPS"))
	}
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			errs = append(errs, fmt.Errorf("finding a name for this server: %w", err))
		}
		c.Name = strings.ToLower(host)
	}
	for _, problem := range validation.IsDNS1123Subdomain(c.Name) {
		errs = append(errs, fmt.Errorf("%q cannot be the name of this server: %s", c.Name, problem))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, errors.Join(errs...)
}
