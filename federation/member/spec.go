package member

import (
	"context"
	"log/slog"
	"net"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/clock"
)

// Name of a member: the name of its Cluster.
type Name string

// Spec says how to reach a member.
type Spec struct {
	Name   Name
	Config Config
	Probe  Probe
}

// Config is the address, whom to trust there, and who we are.
type Config struct {
	// Server is the URL of the API server; a path is kept as a prefix.
	Server string
	// CABundle is PEM; empty means the system's roots.
	CABundle []byte
	// ServerName to expect in the certificate instead of the host of Server.
	ServerName string
	// InsecureSkipTLSVerify believes any certificate.
	InsecureSkipTLSVerify bool
	// ProxyURL is http, https or socks5; empty means the environment's.
	ProxyURL string
	// Credentials of ours; exactly one kind of them should be set.
	Credentials Credentials
	// Dial, if set, opens the connections, and Server's host is only a name: the tunnel's transport.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Credentials are a bearer token, a client certificate with its key (PEM), or a command that prints one of these.
type Credentials struct {
	Token      string
	ClientCert []byte
	ClientKey  []byte
	// Exec is refused unless Options.AllowExec: it runs a command of the Cluster's author on the hub.
	Exec *clientcmdapi.ExecConfig
}

// Probe has the times of the health probe. Zero values are the defaults.
type Probe struct {
	Interval        time.Duration // between probes while all is well; 10 s
	FailingInterval time.Duration // between probes while they fail; 1 s
	Timeout         time.Duration // of one probe; 3 s
	Failures        int           // in a row that make a ready member lost; 3
	Successes       int           // in a row that make a lost member ready; 1
}

// Options are the same for all members of a hub.
type Options struct {
	Logger *slog.Logger
	Clock  clock.WithTicker
	// OnChange is called, never twice at a time, after State has changed. Figures are reported at most once a second.
	OnChange func(Name)
	// Selector picks the objects in the member that are ours: hanse.io/hub=<hub id>.
	Selector string
	// Strip makes an object of a member small before it is cached. It may change its argument and must keep name,
	// namespace, uid and resourceVersion.
	Strip func(schema.GroupVersionResource, *unstructured.Unstructured)
	// AllowExec permits credentials that run a command.
	AllowExec bool
	// Fence is asked directly before each request that may change something; its error is that of the request. nil: all
	// are sent.
	Fence func() error
	// UserAgent of our requests.
	UserAgent string
	// Bounds of what one member can take of the hub.
	Bounds Bounds
}

func (p Probe) withDefaults() Probe {
	setIfZero(&p.Interval, 10*time.Second)
	setIfZero(&p.FailingInterval, time.Second)
	setIfZero(&p.Timeout, 3*time.Second)
	setIfZero(&p.Failures, 3)
	setIfZero(&p.Successes, 1)
	return p
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.OnChange == nil {
		o.OnChange = func(Name) {}
	}
	if o.Strip == nil {
		o.Strip = func(_ schema.GroupVersionResource, u *unstructured.Unstructured) { u.SetManagedFields(nil) }
	}
	if o.Fence == nil {
		o.Fence = func() error { return nil }
	}
	if o.UserAgent == "" {
		o.UserAgent = "hanse"
	}
	o.Bounds = o.Bounds.withDefaults()
	return o
}

func setIfZero[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}
