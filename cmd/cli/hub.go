package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hanse-federation/hanse/api/storage"
	"github.com/hanse-federation/hanse/cmd/hub"
)

func newHub() *cobra.Command {
	var cfg hub.Config
	var quota string
	c := &cobra.Command{
		Use:   "hub --data-dir DIR",
		Short: "Run a hub",
		Long: `Run a hub: the API, the controllers and the DNS server, in this process, until it is interrupted.

Without --etcd-endpoints the hub keeps its state in an etcd of its own under the data directory. The kubeconfig of
its administrator is written there as admin.kubeconfig.`,
		Example: `  hanse hub --data-dir /var/lib/hanse
  kubectl --kubeconfig /var/lib/hanse/admin.kubeconfig get clusters`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			bytes, err := parseQuota(quota)
			if err != nil {
				return err
			}
			cfg.Etcd.QuotaBytes = bytes
			return runHub(c, cfg)
		},
	}
	hubFlags(c.Flags(), &cfg, &quota)
	_ = c.MarkFlagRequired("data-dir")
	_ = c.MarkFlagDirname("data-dir")
	return c
}

// hubFlags are the flags of a hub, a field of its Config each.
func hubFlags(f *pflag.FlagSet, cfg *hub.Config, quota *string) {
	f.StringVar(&cfg.DataDir, "data-dir", "", "folder for state, certificates and admin.kubeconfig; made if missing")
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:7443", "address of the API")
	f.StringSliceVar(&cfg.DNSListen, "dns-listen", []string{"127.0.0.1:8053"}, "addresses of the DNS server, UDP and TCP")
	f.StringSliceVar(&cfg.DNSListenTLS, "dns-listen-tls", nil, "addresses of DNS over TLS, with the API's certificate "+
		"(default: none)")
	f.StringVar(&cfg.DNSIdentity, "dns-identity", "", "told to those who ask the DNS server who it is (default: nothing)")
	f.IntVar(&cfg.DNSResponsesPerSecond, "dns-responses-per-second", 0,
		"most like UDP responses to one network of clients; 20 is usual on the internet (default: no limit)")
	f.BoolVar(&cfg.PublicDNS, "public-dns", false, "answer DNS over HTTPS at /dns-query without credentials")
	f.StringVar(&cfg.GeoDatabase, "dns-geo-database", "",
		"file in the MaxMind format (MMDB) that places clients, for the policy Nearest (default: none)")
	f.StringSliceVar(&cfg.ProbeNetworks, "probe-networks", nil, "networks (CIDR) in which addresses that users give by hand "+
		"in a GlobalService may be probed, beside public ones; loopback and link-local networks must be named to be answered, too "+
		"(default: none; what members report of their own Services is probed in private networks as well)")
	f.StringVar(&cfg.AdvertiseURL, "advertise-url", "", "URL of the API in kubeconfigs (default: https:// and --listen)")
	f.StringSliceVar(&cfg.SANs, "san", nil, "further names and addresses in the serving certificate")
	f.StringVar(&cfg.KubeconfigOut, "kubeconfig-out", "", "where the administrator's kubeconfig is written (default: "+
		"admin.kubeconfig in the data directory)")

	f.StringSliceVar(&cfg.Etcd.Endpoints, "etcd-endpoints", nil, "URLs of an etcd cluster instead of the embedded one")
	f.StringVar(&cfg.Etcd.CAFile, "etcd-cafile", "", "CA of the etcd cluster (PEM)")
	f.StringVar(&cfg.Etcd.CertFile, "etcd-certfile", "", "client certificate for the etcd cluster (PEM)")
	f.StringVar(&cfg.Etcd.KeyFile, "etcd-keyfile", "", "key of the client certificate (PEM)")
	f.StringVar(&cfg.Etcd.Prefix, "etcd-prefix", "", "beginning of all keys; hubs that share it are replicas of one hub")
	f.StringVar(quota, "etcd-quota", "", "size of the embedded database at which writes are refused, such as 4Gi "+
		"(default: 2Gi)")

	f.IntVar(&cfg.LargeOutageThreshold, "large-outage-threshold", 55,
		"percent of the members out of reach at once from which failover moves in steps; when all are, it stops")
	f.DurationVar(&cfg.SweepInterval, "sweep-interval", 10*time.Minute,
		"time in which all copies in a member are compared with what is wanted, whatever its watches tell")

	f.StringVar(&cfg.TokenFile, "token-file", "", "file of bearer tokens: token,user,uid,\"group1,group2\" a line")
	f.StringVar(&cfg.OIDC.IssuerURL, "oidc-issuer-url", "", "URL of an OpenID Connect issuer whose tokens are accepted")
	f.StringVar(&cfg.OIDC.ClientID, "oidc-client-id", "", "audience that its tokens must have")
	f.StringVar(&cfg.OIDC.UsernameClaim, "oidc-username-claim", "", "claim with the user's name (default: sub)")
	f.StringVar(&cfg.OIDC.UsernamePrefix, "oidc-username-prefix", "", "put before the user's name")
	f.StringVar(&cfg.OIDC.GroupsClaim, "oidc-groups-claim", "", "claim with the user's groups")
	f.StringVar(&cfg.OIDC.GroupsPrefix, "oidc-groups-prefix", "", "put before each group")
	f.StringVar(&cfg.OIDC.CAFile, "oidc-ca-file", "", "CA of the issuer (PEM; default: the system's)")

	f.StringVar(&cfg.EncryptionProviderConfig, "encryption-provider-config", "", "file that says how Secrets are encrypted "+
		"in etcd, as kube-apiserver has it (default: with a key that the hub makes in its data directory when etcd is "+
		"embedded; not at all with --etcd-endpoints)")
	f.StringVar(&cfg.Audit.LogFile, "audit-log-file", "", "write an audit log there; - is standard output (default: none)")
	f.IntVar(&cfg.Audit.LogMaxSize, "audit-log-maxsize", 100, "MiB at which a new audit log file begins")
	f.IntVar(&cfg.Audit.LogMaxBackups, "audit-log-maxbackup", 10, "old audit log files that are kept; 0 keeps all")
	f.IntVar(&cfg.Audit.LogMaxAge, "audit-log-maxage", 0, "days that old audit log files are kept; 0 keeps them for ever")
	f.StringVar(&cfg.Audit.WebhookConfigFile, "audit-webhook-config-file", "", "kubeconfig of a server that is sent the "+
		"audit log (default: none)")
	f.StringVar(&cfg.Audit.PolicyFile, "audit-policy-file", "", "what the audit log has (default: metadata of all "+
		"requests, with reads of Secrets)")
	f.BoolVar(&cfg.PublicHealth, "public-health", false, "serve /healthz, /livez and /readyz without credentials")
	f.BoolVar(&cfg.PublicMetrics, "public-metrics", false, "serve /metrics without credentials")
	f.StringVar(&cfg.LogFormat, "log-format", "text", "text or json")
	f.StringVar(&cfg.LogLevel, "log-level", "info", "debug, info, warn or error")
}

// parseQuota reads a size such as 4Gi; empty is the default.
func parseQuota(quota string) (int64, error) {
	if quota == "" {
		return 0, nil
	}
	q, err := resource.ParseQuantity(quota)
	if err != nil || q.Value() <= 0 {
		return 0, usagef("--etcd-quota %q is not a size such as 4Gi", quota)
	}
	return q.Value(), nil
}

func runHub(c *cobra.Command, cfg hub.Config) (err error) {
	if cfg.DataDir, err = filepath.Abs(cfg.DataDir); err != nil {
		return fmt.Errorf("finding the data directory: %w", err)
	}
	obeyMemoryLimit(memlimit.FromCgroup)
	h, err := hub.New(c.Context(), cfg)
	if err != nil {
		return startProblem(cfg, err)
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	_, _ = fmt.Fprintf(c.ErrOrStderr(), "hub at %s, DNS at %s\nexport KUBECONFIG=%s\n",
		h.URL(), h.DNSAddr(), h.Kubeconfig())
	go saveMemory(c.Context(), hubGarbage)
	return h.Run(c.Context())
}

// startProblem says what to do about a hub that does not start.
func startProblem(cfg hub.Config, err error) error {
	var next string
	switch {
	case errors.Is(err, storage.ErrInUse):
		next = "Another hub runs on this data directory: stop it, or give this one a --data-dir of its own."
	case errors.Is(err, storage.ErrLayout):
		next = "Start the version of Hanse that wrote it, or name another --data-dir."
	case errors.Is(err, os.ErrPermission):
		next = fmt.Sprintf("Let this user write to %s, or name another --data-dir.", cfg.DataDir)
	case errors.Is(err, syscall.EADDRINUSE):
		next = "Something listens there already: stop it, or choose with --listen and --dns-listen."
	default:
		next = "hanse hub --help explains the flags; --log-level debug says more."
	}
	return failure(next, "starting the hub: %v", err)
}
