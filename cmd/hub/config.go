package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hanse-federation/hanse/api/access"
	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/server"
)

// Config is a hub. Only DataDir is required.
type Config struct {
	// DataDir holds the embedded etcd, the certificates and admin.kubeconfig.
	DataDir string
	// Listen is the address of the API, host:port. Default 127.0.0.1:7443.
	Listen string
	// DNSListen are the addresses of the DNS server, UDP and TCP. Default 127.0.0.1:8053.
	DNSListen []string
	// DNSListenTLS are the addresses of DNS over TLS, with the certificate of the API. Empty: there is none.
	DNSListenTLS []string
	// DNSIdentity is told to those who ask a DNS server who it is (RFC 5001). Empty: nobody is.
	DNSIdentity string
	// DNSResponsesPerSecond bounds like UDP responses to one client network; 0 does not.
	DNSResponsesPerSecond int
	// PublicDNS answers DNS over HTTPS at /dns-query to anybody.
	PublicDNS bool
	// GeoDatabase is a file in the MaxMind format that places clients, for names with the policy Nearest. Empty: none.
	GeoDatabase string
	// AdvertiseURL is the API's URL in kubeconfigs. Default https:// and the address listened on.
	AdvertiseURL string
	// SANs are further names and addresses in the serving certificate.
	SANs []string
	// KubeconfigOut is where the administrator's kubeconfig goes. Default DataDir/admin.kubeconfig.
	KubeconfigOut string

	Etcd EtcdConfig

	// TokenFile is a CSV file of static bearer tokens: token,user,uid[,"group,group"].
	TokenFile string
	// OIDC is used if it has an IssuerURL.
	OIDC access.OIDCOptions

	// Audit says where the audit log goes.
	Audit server.AuditConfig
	// EncryptionProviderConfig is a file that says how Secrets are encrypted in etcd
	// (apiserver.config.k8s.io/v1 EncryptionConfiguration). Empty: with the key in the data directory when etcd is
	// embedded, and not at all otherwise.
	EncryptionProviderConfig string
	// PublicHealth and PublicMetrics serve those paths to anybody.
	PublicHealth, PublicMetrics bool
	// ProbeNetworks are networks (CIDR) in which the hub probes addresses that users give by hand, beside public ones.
	ProbeNetworks []string
	probeNetworks []netip.Prefix
	// LargeOutageThreshold is the share of members out of reach, in percent, from which failover moves in steps. Default 55.
	LargeOutageThreshold int
	// SweepInterval is in which time everything in a member is compared with what is wanted. Default 10 minutes.
	SweepInterval time.Duration
	// AllowExec permits credentials of members that run a command on this machine.
	AllowExec bool

	// LogFormat is text or json, LogLevel debug, info, warn or error. Default text and info.
	LogFormat, LogLevel string
	// Logger, if set, is used instead of one made from LogFormat and LogLevel.
	Logger *slog.Logger
}

// EtcdConfig says where the state is: in an etcd of our own under DataDir, or, with Endpoints, in an etcd cluster.
type EtcdConfig struct {
	Endpoints                 []string
	CAFile, CertFile, KeyFile string
	Prefix                    string
	// QuotaBytes of the embedded database. 0: the default of storage.
	QuotaBytes int64
}

// complete fills in the defaults and checks the rest.
func (c Config) complete() (Config, error) {
	if c.DataDir == "" {
		return c, errors.New("no data directory is given")
	}
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:7443")
	if len(c.DNSListen) == 0 {
		c.DNSListen = []string{"127.0.0.1:8053"}
	}
	c.KubeconfigOut = cmp.Or(c.KubeconfigOut, filepath.Join(c.DataDir, "admin.kubeconfig"))
	for _, address := range slices.Concat([]string{c.Listen}, c.DNSListen, c.DNSListenTLS) {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return c, fmt.Errorf("%q is no address such as 127.0.0.1:7443: %w", address, err)
		}
	}
	if len(c.Etcd.Endpoints) == 0 && (c.Etcd.CAFile != "" || c.Etcd.CertFile != "" || c.Etcd.KeyFile != "") {
		return c, errors.New("certificates for etcd are given, but no endpoints")
	}
	for _, text := range c.ProbeNetworks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return c, fmt.Errorf("--probe-networks: %q is no network such as 10.20.0.0/16", text)
		}
		c.probeNetworks = append(c.probeNetworks, network.Masked())
	}
	if c.SweepInterval < 0 {
		return c, fmt.Errorf("--sweep-interval: %s is less than nothing", c.SweepInterval)
	}
	if c.LargeOutageThreshold < 0 || c.LargeOutageThreshold > 100 {
		return c, fmt.Errorf("the threshold of a large outage is %d %%, and must be from 1 to 100", c.LargeOutageThreshold)
	}
	if c.Logger == nil {
		logger, err := NewLogger(c.LogFormat, c.LogLevel)
		if err != nil {
			return c, err
		}
		c.Logger = logger
	}
	return c, nil
}

// NewLogger makes a logger that writes to standard error: format is text or json, level debug, info, warn or error.
func NewLogger(format, level string) (*slog.Logger, error) {
	return newLogger(os.Stderr, format, level)
}

// newLogger writes to w. Errors carry the words of members and tenants, which reach no terminal raw.
func newLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var options slog.HandlerOptions
	var lowest slog.Level
	if err := lowest.UnmarshalText([]byte(cmp.Or(level, "info"))); err != nil {
		return nil, fmt.Errorf("log level %q is not debug, info, warn or error", level)
	}
	options.Level = lowest
	w = printable.NewWriter(w)
	switch cmp.Or(format, "text") {
	case "text":
		return slog.New(slog.NewTextHandler(w, &options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &options)), nil
	}
	return nil, fmt.Errorf("log format %q is not text or json", format)
}
