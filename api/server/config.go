package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/storage"
)

// Config is all that a server is made from.
type Config struct {
	// Etcd is where everything is stored. The server does not close it.
	Etcd *storage.Etcd

	// Listener is where requests come in. nil means that the server only answers through Loopback.
	// Run closes it.
	Listener net.Listener
	// TLS is the serving side of the connection, its certificate read on each handshake. nil serves plain HTTP.
	TLS *tls.Config

	// Access says who calls and what they may do. It is called once by New, with the configuration of a client that
	// may do everything and works at once, so that rules kept in the hub itself can be watched.
	Access func(loopback *rest.Config) (Access, error)

	// CRDs are created or brought up to date before the server is ready.
	CRDs []*apiextensionsv1.CustomResourceDefinition
	// Namespaces are created before the server is ready, beside the four that are always there.
	Namespaces []string
	// Admission sees every write of every kind, ours and native: it may change what is written (MutationInterface) and
	// refuse it (ValidationInterface). nil admits all.
	Admission admission.Interface
	// Clusters is the text of the column CLUSTERS of one workload, "east=4/4,west=2/2". nil leaves the column out.
	Clusters func(group, kind, namespace, name string) string
	// Members answers /clusters/<name>/…, to whom may use the resource clusters/proxy of that name. nil answers 404.
	Members Members

	// Reviews are kinds of other parts that are questions.
	Reviews []Review

	// Metrics of other parts are served beside those of the API. nil: there are none.
	Metrics prometheus.Gatherer
	// PublicHealth and PublicMetrics serve /healthz, /livez, /readyz, or /metrics, to anybody. Otherwise they need
	// credentials that allow "get" on the path.
	PublicHealth, PublicMetrics bool
	// Audit says where the audit log goes; without a file and a webhook there is none.
	Audit AuditConfig

	// Readiness are named checks of other parts, added to /readyz.
	Readiness []healthz.HealthChecker
	// Public and Protected are routes of other parts: served to anybody, or behind the filter chain.
	Public, Protected []Route

	// Version is what /version answers.
	Version version.Info
	// Logger gets what an operator should know. nil means slog.Default().
	Logger *slog.Logger
}

// Access is who calls and what they may do.
type Access struct {
	Authenticator authenticator.Request
	// Authorizer that is also an authorizer.RuleResolver answers SelfSubjectRulesReviews.
	Authorizer authorizer.Authorizer
	// Escalates judges the write of a role or binding beyond its own permission: nobody grants what they do not have.
	// It is called with the stored object or nil. nil judges nothing.
	Escalates func(ctx context.Context, obj, old runtime.Object) error
	// Tokens answers the token subresource of ServiceAccounts. nil answers that there is none (405).
	Tokens TokenIssuer
	// Stop ends what reads through Loopback to know who may do what. Close calls it last, while Loopback still works.
	// nil ends nothing.
	Stop func()
}

// Route is a path that another part of the hub answers.
type Route struct {
	// Path as gin knows it: "/ui/*path", "/dns-query".
	Path    string
	Handler http.Handler
	// LongRunning exempts the route from the request timeout and the limits on requests in flight: streams, upgrades.
	LongRunning bool
}

// Review is a cluster-scoped kind that is a question: a create is answered, and nothing is stored. It passes the filter
// chain and admission as every other write, stands in discovery, and takes the permission to create its resource.
type Review struct {
	Kind schema.GroupVersionKind
	// Resource is the plural in the path, Singular what people call one.
	Resource, Singular string
	// Scheme makes and encodes objects of the kind.
	Scheme *runtime.Scheme
	// Definition describes its fields, for OpenAPI and kubectl explain; it is not stored. nil describes nothing.
	Definition *apiextensionsv1.CustomResourceDefinition
	// Answer fills in the object. Errors are those of the API (k8s.io/apimachinery/pkg/api/errors).
	Answer func(ctx context.Context, caller user.Info, obj runtime.Object) error
}

// TokenIssuer makes tokens for ServiceAccounts: it gets a *authenticationv1.TokenRequest and returns it answered.
type TokenIssuer interface {
	IssueToken(ctx context.Context, namespace, name string, request runtime.Object) (runtime.Object, error)
}

// check names what is missing.
func (c *Config) check() error {
	if c.Etcd == nil {
		return errors.New("make API server: Config.Etcd is missing")
	}
	if c.Access == nil {
		return errors.New("make API server: Config.Access is missing")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}
