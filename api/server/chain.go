package server

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/util/feature"
	utilflowcontrol "k8s.io/apiserver/pkg/util/flowcontrol"
	"k8s.io/client-go/informers"

	"github.com/hanse-federation/hanse/api/native"
)

// concurrency is how many requests that are no watches are worked on at once; priority and fairness divides it.
const concurrency = 600

// buildChain sets the filters every request goes through, outermost last: authorization, priority and fairness,
// impersonation, audit, authentication, timeouts, panic recovery. k8s.io/apiserver puts them together.
func (s *Server) buildChain(context.Context) error {
	c := genericserver.NewConfig(serializer.NewCodecFactory(native.Scheme()))
	c.FeatureGate = feature.DefaultFeatureGate
	c.MaxRequestBodyBytes = maxBody
	resolver := clusterInfo{genericserver.NewRequestInfoResolver(c)}
	c.RequestInfoResolver = resolver
	c.LongRunningFunc = s.longRunning(resolver)
	c.Authentication.Authenticator = authenticator.RequestFunc(func(req *http.Request) (*authenticator.Response, bool, error) {
		return s.access.Authenticator.AuthenticateRequest(req)
	})
	c.Authorization.Authorizer = &s.gate
	if err := s.buildAudit(c); err != nil {
		return err
	}
	s.chain = c

	chain := []admission.Interface{
		&lifecycle{server: s, ending: map[string]time.Time{}}, newOwnKinds(s.cfg.CRDs), escalation{s},
		space{s.cfg.Etcd.Full, s.cfg.Etcd.MakeRoom},
	}
	if s.cfg.Admission != nil {
		chain = append(chain, s.cfg.Admission)
	}
	s.admit = admission.NewChainHandler(chain...)
	return nil
}

// longRunning tells the requests that have no timeout: watches, the same and streams of members, and routes that say so.
func (s *Server) longRunning(members clusterInfo) request.LongRunningRequestCheck {
	isWatch := genericfilters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString())
	var prefixes []string
	for _, route := range s.cfg.Protected {
		if route.LongRunning {
			prefix, _, _ := strings.Cut(route.Path, "*")
			prefix, _, _ = strings.Cut(prefix, ":")
			prefixes = append(prefixes, prefix)
		}
	}
	return func(req *http.Request, info *request.RequestInfo) bool {
		if isWatch(req, info) || members.isLongThroughCluster(req) {
			return true
		}
		return !info.IsResourceRequest &&
			slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(info.Path, p) })
	}
}

// HubUser is the name of the hub itself.
const HubUser = "system:hanse-hub"

// loopbackChain is the chain for Loopback: its caller is the hub itself, it is not limited, and it may act as others.
func (s *Server) loopbackChain(handler http.Handler) http.Handler {
	c := *s.chain
	c.FlowControl = nil
	c.MaxRequestsInFlight, c.MaxMutatingRequestsInFlight = 0, 0
	self := &authenticator.Response{User: &user.DefaultInfo{
		Name: HubUser, Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated},
	}}
	c.Authentication.Authenticator = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return self, true, nil
	})
	return genericserver.DefaultBuildHandlerChain(handler, &c)
}

// gate is the authorizer of both chains. Members of system:masters pass; nobody else does before it is open.
type gate struct {
	inner atomic.Pointer[authorizer.Authorizer]
}

func (g *gate) open(inner authorizer.Authorizer) { g.inner.Store(&inner) }

// Authorize implements authorizer.Authorizer.
func (g *gate) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser() != nil && slices.Contains(a.GetUser().GetGroups(), user.SystemPrivilegedGroup) {
		return authorizer.DecisionAllow, "", nil
	}
	inner := g.inner.Load()
	if inner == nil {
		return authorizer.DecisionDeny, "the hub is starting", nil
	}
	return (*inner).Authorize(ctx, a)
}

// ConditionsAwareAuthorize implements authorizer.Authorizer.
func (g *gate) ConditionsAwareAuthorize(ctx context.Context, a authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(g.Authorize(ctx, a))
}

// EvaluateConditions implements authorizer.Authorizer. There are none.
func (g *gate) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision,
	authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

// runFairness creates the flow schemas and priority levels that are missing and starts priority and fairness.
func (s *Server) runFairness(ctx context.Context) error {
	client, err := s.clientset()
	if err != nil {
		return err
	}
	flows := client.FlowcontrolV1()
	create := metav1.CreateOptions{FieldManager: "hanse-hub"}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(16)
	for _, level := range slices.Concat(bootstrap.MandatoryPriorityLevelConfigurations,
		bootstrap.SuggestedPriorityLevelConfigurations) {
		work.Go(func() error {
			_, err := flows.PriorityLevelConfigurations().Create(ctx, level, create)
			return ignoreExists(err)
		})
	}
	for _, schema := range slices.Concat(bootstrap.MandatoryFlowSchemas, bootstrap.SuggestedFlowSchemas) {
		work.Go(func() error {
			_, err := flows.FlowSchemas().Create(ctx, schema, create)
			return ignoreExists(err)
		})
	}
	if err := work.Wait(); err != nil {
		return fmt.Errorf("create the levels and schemas that are always there: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	fairness := utilflowcontrol.New(factory, flows, concurrency)
	s.startInformers(factory)
	s.goRun(func(ctx context.Context) { _ = fairness.Run(ctx.Done()) })
	s.chain.FlowControl = fairness
	return nil
}

// ignoreExists forgives that somebody made the object before.
func ignoreExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// readyFlag is true while the server takes requests from outside.
type readyFlag struct{ value atomic.Bool }

func (r *readyFlag) set(value bool) { r.value.Store(value) }

// quietServerLog passes what net/http has to say, less the handshakes that port scanners and probes break off.
func quietServerLog(logger *slog.Logger) *log.Logger {
	return log.New(serverLog{logger}, "", 0)
}

type serverLog struct{ logger *slog.Logger }

// Write implements io.Writer.
func (l serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if strings.Contains(text, "TLS handshake error") || strings.Contains(text, "http2: ") {
		l.logger.Debug(text)
	} else {
		l.logger.Warn(text)
	}
	return len(line), nil
}
