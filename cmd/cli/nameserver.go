package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hanse-federation/hanse/cmd/hub"
	"github.com/hanse-federation/hanse/cmd/nameserver"
)

// nameserverFlags is a DNS server as the command line says it.
type nameserverFlags struct {
	cfg                 nameserver.Config
	hub                 string
	logFormat, logLevel string
}

func (n *nameserverFlags) add(f *pflag.FlagSet) {
	f.StringVar(&n.hub, "hub", "", "URL of the hub (default: the one in its kubeconfig)")
	f.StringSliceVar(&n.cfg.Listen, "listen", nil, "addresses to answer on, UDP and TCP, such as 192.0.2.53:53")
	f.StringSliceVar(&n.cfg.ListenTLS, "listen-tls", nil, "addresses for DNS over TLS, such as 192.0.2.53:853 (default: none)")
	f.StringSliceVar(&n.cfg.ListenHTTPS, "listen-https", nil,
		"addresses for DNS over HTTPS, at /dns-query, such as 192.0.2.53:443 (default: none)")
	f.StringVar(&n.cfg.CertFile, "tls-cert", "", "file with the certificate for both; read again when it changes")
	f.StringVar(&n.cfg.KeyFile, "tls-key", "", "file with its key")
	f.StringVar(&n.cfg.DataDir, "data-dir", "", "folder for the last snapshot; made if missing")
	f.StringVar(&n.cfg.Name, "name", "", "name among the hub's DNS servers (default: the machine's)")
	f.StringVar(&n.cfg.Identity, "identity", "", "told to those who ask the server who it is (default: nothing)")
	f.StringVar(&n.cfg.MetricsListen, "metrics-listen", "", "address of /metrics, /livez and /readyz (default: not served)")
	f.StringVar(&n.cfg.GeoDatabase, "geo-database", "",
		"file in the MaxMind format (MMDB) that places clients, for the policy Nearest (default: none)")
	f.IntVar(&n.cfg.ResponsesPerSecond, "responses-per-second", 0,
		"most like UDP responses to one network of clients; 20 is usual on the internet (default: no limit)")
	f.StringVar(&n.logFormat, "log-format", "text", "text or json")
	f.StringVar(&n.logLevel, "log-level", "info", "debug, info, warn or error")
}

// runNameserver serves DNS away from the hub until it is interrupted or another process takes over.
func runNameserver(c *cobra.Command, access *access, n nameserverFlags) (err error) {
	switch {
	case len(n.cfg.Listen) == 0:
		return usagef("--listen is missing: the addresses to answer on, such as 192.0.2.53:53")
	case n.cfg.DataDir == "":
		return usagef("--data-dir is missing: a folder for the last snapshot")
	}
	if n.cfg.Hub, err = access.config(); err != nil {
		return err
	}
	if n.hub != "" {
		n.cfg.Hub.Host = n.hub
	}
	if n.cfg.DataDir, err = filepath.Abs(n.cfg.DataDir); err != nil {
		return fmt.Errorf("finding the data directory: %w", err)
	}
	if n.cfg.Logger, err = hub.NewLogger(n.logFormat, n.logLevel); err != nil {
		return usage(err)
	}
	n.cfg.Version = version
	obeyMemoryLimit(memlimit.FromCgroup)
	server, err := nameserver.New(c.Context(), n.cfg)
	if err != nil {
		return nameserverProblem(n.cfg, err)
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	_, _ = fmt.Fprintf(c.ErrOrStderr(), "DNS at %s, for the hub at %s\n", strings.Join(server.Addresses(), ", "), n.cfg.Hub.Host)
	go saveMemory(c.Context(), nameserverGarbage)
	if err := server.Run(c.Context()); err != nil && !errors.Is(err, context.Canceled) {
		return failure("hanse dns --help explains the flags.", "serving DNS: %v", err)
	}
	return nil
}

// nameserverProblem says what to do about a DNS server that does not start.
func nameserverProblem(cfg nameserver.Config, err error) error {
	next := "hanse dns --help explains the flags; --log-level debug says more."
	switch {
	case errors.Is(err, nameserver.ErrInUse):
		next = "To replace it, name the same --listen; to run beside it, name another --data-dir."
	case errors.Is(err, syscall.EADDRINUSE):
		next = "Something listens there already: stop it, or choose another --listen."
	case errors.Is(err, syscall.EACCES):
		next = fmt.Sprintf("Let this user use %s and the ports below 1024 (CAP_NET_BIND_SERVICE), or choose others.", cfg.DataDir)
	}
	return failure(next, "starting the DNS server: %v", err)
}
