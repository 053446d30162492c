package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/native"
	"github.com/hanse-federation/hanse/api/storage"
)

const (
	// startTimeout bounds the time New may take; an etcd that is away for longer is an error.
	startTimeout = time.Minute
	// drainTimeout is how long requests in flight may take after Run was told to end.
	drainTimeout = 15 * time.Second
)

// Server is the hub's API.
type Server struct {
	cfg        Config
	chain      *genericserver.Config // of requests from outside
	admit      admission.Interface
	access     Access
	gate       gate
	natives    nativeResources
	namespaces *storage.NamespaceStore
	customs    *customResources
	discovery  *catalogue
	openapi    *openapi
	loopback   *inProcess
	stored     *inProcess
	outer      *gin.Engine

	background context.Context // of informers and controllers
	stop       context.CancelFunc
	running    sync.WaitGroup
	ready      readyFlag
}

// New builds the server, seeds what must be there and waits until its caches are filled. Afterwards Loopback works.
// The caller ends it with Run or Close.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	registerMetrics()
	s := &Server{cfg: cfg, loopback: &inProcess{}, stored: &inProcess{}, discovery: newCatalogue(), openapi: newOpenAPI()}
	s.background, s.stop = context.WithCancel(context.Background())
	if err := s.build(); err != nil {
		s.Close()
		return nil, fmt.Errorf("make API server: %w", err)
	}
	return s, nil
}

// build runs the steps of New. Their order matters: each uses what those above it made.
func (s *Server) build() error {
	ctx, cancel := context.WithTimeout(s.background, startTimeout)
	defer cancel()
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"filters", s.buildChain},        // the stores tell it how many objects there are
		{"native kinds", s.buildNatives}, //
		{"custom kinds", s.buildCustoms}, //
		{"loopback", s.buildLoopback},    // answers from here on
		{"caches", s.waitForCaches},      // all stores read etcd at the same time
		{"namespaces", s.seedNamespaces}, // objects need them
		{"informers", s.runCustoms},      // tell which CRDs exist
		{"own kinds", s.seedCRDs},        //
		{"access", s.openAccess},         // reads roles and accounts through Loopback
		{"fairness", s.runFairness},      // reads its levels through Loopback
		{"routes", s.buildRoutes},        // what the world sees, when all else is there
	}
	for _, step := range steps {
		begin := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		s.cfg.Logger.Debug("API server step done", "step", step.name, "took", time.Since(begin))
	}
	return nil
}

func (s *Server) openAccess(context.Context) error {
	access, err := s.cfg.Access(s.Loopback())
	if err != nil {
		return err
	}
	if access.Authenticator == nil || access.Authorizer == nil {
		return errors.New("authenticator or authorizer is missing")
	}
	s.access = access
	s.gate.open(access.Authorizer)
	return nil
}

func (s *Server) buildNatives(context.Context) error {
	groups, err := readNativeKinds()
	if err != nil {
		return err
	}
	b := nativeBuilder{server: s, dialect: newDialect(native.Scheme(), nativeTypes()), out: nativeResources{
		stores:    map[schema.GroupVersionResource]*storage.Store{},
		endpoints: map[target]*endpoint{},
	}}
	for _, group := range groups {
		for _, version := range group.Versions {
			for _, r := range version.Resources {
				gvr := schema.GroupVersionResource{Group: group.Name, Version: version.Version, Resource: r.Resource}
				if gvr.GroupResource() == crdResource.GroupResource() {
					continue // has its own store, see buildCustoms
				}
				add := b.addStored
				if neverStored(r) {
					add = b.addReview
				}
				if err := add(gvr, r); err != nil {
					return err
				}
			}
		}
	}
	s.natives = b.out
	s.discovery.reviews = s.cfg.Reviews
	if err := s.addReviews(s.natives.endpoints); err != nil {
		return err
	}
	return s.discovery.setNative(groups)
}

func (s *Server) waitForCaches(ctx context.Context) error {
	stores := []*registry.Store{s.customs.definitions.Store}
	for _, store := range s.natives.stores {
		stores = append(stores, store.Store)
	}
	return storage.WaitReady(ctx, stores...)
}

// Loopback configures a client that reaches the server by function calls: no socket, no TLS, no credentials, and it
// may do everything. Watches and all verbs work; upgrades (exec, port-forward) do not.
// It works from New on and ends with Close.
func (s *Server) Loopback() *rest.Config {
	return loopbackConfig(s.loopback)
}

// StoredLoopback is Loopback for who deals in templates: native objects are read and written as they are stored, without
// the values that a cluster adds.
func (s *Server) StoredLoopback() *rest.Config { return loopbackConfig(s.stored) }

func loopbackConfig(transport *inProcess) *rest.Config {
	return &rest.Config{
		Host: "http://hub", Transport: transport, UserAgent: rest.DefaultKubernetesUserAgent(), QPS: -1,
	}
}

// Store is the store of a native kind, for writes that are too many for the API: no authorization, admission, field
// owners or audit, but validation, watches and resourceVersion as ever. nil when there is no such kind.
func (s *Server) Store(gvr schema.GroupVersionResource) *storage.Store { return s.natives.stores[gvr] }

// Handler is the whole API as requests from outside see it.
func (s *Server) Handler() http.Handler { return s.outer }

// Run serves cfg.Listener until ctx ends, then takes no new requests, lets those in flight finish, ends the watches
// and closes the server. It returns nil after a clean end.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	if s.cfg.Listener == nil {
		<-ctx.Done()
		return nil
	}
	base, endWatches := context.WithCancel(context.Background())
	defer endWatches()
	server := &http.Server{
		Handler:           s.outer,
		TLSConfig:         s.cfg.TLS,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 20,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          quietServerLog(s.cfg.Logger),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 1000},
	}
	failed := make(chan error, 1)
	go func() { failed <- serve(server, s.cfg.Listener) }()
	s.ready.set(true)

	select {
	case err := <-failed:
		return fmt.Errorf("serve API on %s: %w", s.cfg.Listener.Addr(), err)
	case <-ctx.Done():
	}
	s.ready.set(false)
	return s.drain(server, endWatches)
}

// drain ends a serving http.Server: short requests finish, watches are cut, then connections close.
func (s *Server) drain(server *http.Server, endWatches context.CancelFunc) error {
	deadline, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- server.Shutdown(deadline) }() // stops listening at once, then waits for all connections
	finished := make(chan struct{})
	go func() { s.chain.NonLongRunningRequestWaitGroup.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-deadline.Done():
	}
	endWatches()
	if err := <-closed; err != nil {
		return errors.Join(fmt.Errorf("requests still running after %s were cut: %w", drainTimeout, err), server.Close())
	}
	return nil
}

func serve(server *http.Server, listener net.Listener) error {
	var err error
	if server.TLSConfig != nil {
		err = server.ServeTLS(listener, "", "")
	} else {
		err = server.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close ends informers and controllers. Loopback fails afterwards. It may be called more than once.
func (s *Server) Close() {
	s.stop()
	s.running.Wait() // they are clients of Loopback
	if s.access.Stop != nil {
		s.access.Stop()
	}
	s.loopback.close()
	s.stored.close()
	if s.cfg.Listener != nil {
		_ = s.cfg.Listener.Close()
	}
}

// startInformers runs a factory's informers until the server closes; Close waits for them.
func (s *Server) startInformers(factory interface {
	Start(stop <-chan struct{})
	Shutdown()
}) {
	factory.Start(s.background.Done())
	s.goRun(func(ctx context.Context) { <-ctx.Done(); factory.Shutdown() })
}

// goRun runs f in the background until the server closes.
func (s *Server) goRun(f func(ctx context.Context)) {
	s.running.Go(func() { f(s.background) })
}

// clientset is a typed client over Loopback.
func (s *Server) clientset() (kubernetes.Interface, error) {
	client, err := kubernetes.NewForConfig(s.Loopback())
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return client, nil
}

func upper(s string) string { return strings.ToUpper(s) }

// requestOf returns what the filters found a request to mean.
func requestOf(req *http.Request) *request.RequestInfo {
	info, ok := request.RequestInfoFrom(req.Context())
	if !ok {
		return &request.RequestInfo{}
	}
	return info
}
