package federation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/decide/plan"
	"github.com/hanse-federation/hanse/federation/decide/schedule"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/delivery/collect"
	"github.com/hanse-federation/hanse/federation/delivery/decisions"
	"github.com/hanse-federation/hanse/federation/delivery/propagate"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/kinds/rules"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/member/fence"
	"github.com/hanse-federation/hanse/federation/member/lifecycle"
	"github.com/hanse-federation/hanse/federation/member/proxy"
	"github.com/hanse-federation/hanse/federation/member/sight"
	"github.com/hanse-federation/hanse/federation/names/acks"
	"github.com/hanse-federation/hanse/federation/names/expose"
	"github.com/hanse-federation/hanse/federation/names/probescope"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/events"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// Config is all that the reconcilers are made from.
type Config struct {
	// Hub is a client configuration that may do everything on the hub.
	Hub *rest.Config
	// Records is the short way to what the hub stores.
	Records Records
	// HubUID is the UID of the hub's kube-system namespace.
	HubUID string
	// Claims is fed here and read by admission.
	Claims *match.Index
	// Zones is where DNS snapshots are published; DNSSeed, DNSSecret and DNSServers go into them.
	Zones      *zone.Store
	DNSSeed    uint64
	DNSSecret  []byte
	DNSServers []string
	// Scope is what the hub answers and probes for others, at present.
	Scope func() probescope.Scope
	// May reports whether a user has a verb on a resource of hanse.io that has no namespace; an empty name stands for all
	// of them. Nil: everybody has every verb.
	May schedule.May
	// Elect reports whether other replicas of the hub may exist, so that the reconcilers run where a Lease is held.
	Elect bool
	// Identity of this replica in the Lease.
	Identity string
	// AllowExec permits credentials of members that run a command on the hub.
	AllowExec bool
	// LargeOutageThreshold is the share of members out of reach, in percent, from which failover moves in steps; 0 is the
	// default of package sight.
	LargeOutageThreshold int
	// Sweep is in which time everything in a member is compared with what is wanted; 0 is the default of package propagate.
	Sweep time.Duration
	// Leading are more parts that run only where the reconcilers do.
	Leading []func(context.Context) error
	Logger  *slog.Logger
}

// Federation is the running whole. Make one with New.
type Federation struct {
	config    Config
	manager   manager.Manager
	dynamic   dynamic.Interface
	core      typedcorev1.CoreV1Interface
	templates *template.Store
	fleet     *member.Fleet
	sight     *sight.Sight
	term      *fence.Term
	results   *results.Store
	decisions *decisions.View
	rules     *rules.Book
	leads     atomic.Bool
	facts     *schedule.Caches
	planner   *plan.Planner
	proxy     *proxy.Proxy
	exposer   *expose.Exposer
}

// New prepares everything; nothing runs yet.
func New(ctx context.Context, c Config) (*Federation, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("preparing the kinds: %w", err)
	}
	term, lease, err := elect(c)
	if err != nil {
		return nil, err
	}
	mgr, err := manager.New(c.Hub, manager.Options{
		Scheme:                              scheme,
		Metrics:                             metricsserver.Options{BindAddress: "0"}, // the hub serves the registry itself
		LeaderElection:                      c.Elect,
		LeaderElectionReleaseOnCancel:       true,
		LeaderElectionResourceLockInterface: lease,
		LeaseDuration:                       ptr.To(fence.Duration),
		RenewDeadline:                       ptr.To(fence.RenewDeadline),
		RetryPeriod:                         ptr.To(fence.RetryPeriod),
		GracefulShutdownTimeout:             ptr.To(5 * time.Second),
		Controller:                          config.Controller{SkipNameValidation: ptr.To(true)},
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(), // nobody here reads them
			NewInformer:      newInformer(c.Records),
			ByObject: map[client.Object]cache.ByObject{
				&corev1.Secret{}:             {Namespaces: map[string]cache.Config{v1alpha1.SystemNamespace: {}}},
				&corev1.ConfigMap{}:          {Namespaces: map[string]cache.Config{v1alpha1.SystemNamespace: {}}},
				&coordinationv1.Lease{}:      {Namespaces: map[string]cache.Config{acks.Namespace: {}}},
				&discoveryv1.EndpointSlice{}: {Label: expose.ImportedSlices()},
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the reconcilers: %w", err)
	}
	dyn, err := dynamic.NewForConfig(c.Hub)
	if err != nil {
		return nil, fmt.Errorf("preparing a client of the hub: %w", err)
	}
	core, err := typedcorev1.NewForConfig(c.Hub)
	if err != nil {
		return nil, fmt.Errorf("preparing a client of the hub: %w", err)
	}
	disco, err := discovery.NewDiscoveryClientForConfig(c.Hub)
	if err != nil {
		return nil, fmt.Errorf("preparing a client of the hub: %w", err)
	}
	rules, err := rules.NewBook(c.Logger)
	if err != nil {
		return nil, err
	}
	f := &Federation{config: c, manager: mgr, dynamic: dyn, core: core, results: &results.Store{}, rules: rules,
		sight: sight.New(c.LargeOutageThreshold, c.Logger), term: term}
	f.templates = template.NewStore(template.Options{
		Discovery: disco,
		ListWatch: func(kind template.Kind) toolscache.ListerWatcher { return listWatch(c.Records, dyn, kind) },
		Logger:    c.Logger,
	})
	members := member.Options{
		Logger:    c.Logger,
		Selector:  labels.Set{v1alpha1.HubLabel: c.HubUID}.String(),
		Strip:     f.strip,
		AllowExec: c.AllowExec,
		UserAgent: "hanse-hub",
		Fence:     f.term.Check,
	}
	f.fleet = member.NewFleet(ctx, members)
	f.proxy = proxy.New(ctx, mgr.GetCache(), members, time.Now)
	return f, f.setUp(ctx)
}

// elect prepares the term of this hub, and the Lease by which several hubs agree whose it is.
func elect(c Config) (*fence.Term, resourcelock.Interface, error) {
	if !c.Elect {
		return fence.Always(), nil, nil
	}
	settings := rest.CopyConfig(c.Hub)
	settings.Timeout = fence.RenewDeadline / 2 // one slow answer does not end a term
	client, err := coordination.NewForConfig(settings)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing a client of the hub: %w", err)
	}
	term := fence.NewTerm()
	return term, fence.Lock(&resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: v1alpha1.SystemNamespace, Name: "hanse-controllers"},
		Client:     client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: c.Identity},
	}, term), nil
}

// strip makes a member's object small: the fingerprint is taken, then what no rule reads goes.
func (f *Federation) strip(_ schema.GroupVersionResource, obj *unstructured.Unstructured) {
	apply.Seal(obj)
	f.rules.Of(obj).Trim(obj)
	if status, ok := obj.Object["status"]; ok { // its words reach the status of the template, and people from there
		obj.Object["status"] = printable.Values(status)
	}
}

// parts are the reconcilers, with what brings them their news.
type parts struct {
	scheduler       *schedule.Reconciler
	scheduleSource  *schedule.Source
	propagator      *propagate.Propagator
	collector       *collect.Reconciler
	collectSource   *collect.Source
	placements      *collect.Placements
	placementSource *collect.PlacementSource
	members         *lifecycle.Reconciler
	leftovers       *lifecycle.Leftovers
	exposer         *expose.Exposer
	publisher       *events.Publisher
	reporter        *rules.Reporter
}

// setUp makes the parts, joins them, and says where and in which order they run: the whole federation.
func (f *Federation) setUp(ctx context.Context) error {
	var err error
	if f.decisions, err = viewDecisions(ctx, f.manager.GetCache()); err != nil {
		return err
	}
	p := f.makeParts()
	f.exposer = p.exposer
	f.joinParts(p)
	if err = errors.Join(
		schedule.IndexFields(ctx, f.manager.GetFieldIndexer()),
		collect.IndexFields(ctx, f.manager.GetFieldIndexer()),
	); err != nil {
		return err
	}
	for _, part := range f.everywhere(p) {
		if err := f.manager.Add(runnable{part.run, false}); err != nil {
			return fmt.Errorf("adding %s: %w", part.name, err)
		}
	}
	return f.manager.Add(runnable{func(ctx context.Context) error { return f.lead(ctx, p) }, true})
}

// viewDecisions prepares the view of the Distributions. It waits for nothing: the cache has not started yet.
func viewDecisions(ctx context.Context, informers cache.Cache) (*decisions.View, error) {
	informer, err := informers.GetInformer(ctx, &v1alpha1.Distribution{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("preparing the informer of distributions: %w", err)
	}
	shared, ok := informer.(toolscache.SharedIndexInformer)
	if !ok {
		return nil, fmt.Errorf("preparing the informer of distributions: it is a %T and has no indexer", informer)
	}
	return decisions.NewView(shared)
}

// makeParts gives each part what it works with.
func (f *Federation) makeParts() *parts {
	c, cached, hub, now := f.config, f.manager.GetCache(), f.manager.GetClient(), time.Now
	quick, id := recorder{hub, c.Records}, apply.Hub(c.HubUID)
	f.facts = &schedule.Caches{Reader: cached, Templates: f.templates, Claims: c.Claims, Fleet: f.fleet, Rules: f.rules,
		See: f.sight}
	f.facts.Rights = &schedule.Rights{May: c.May}
	f.planner = &plan.Planner{Hub: c.Hub, ID: id, Facts: f.facts, Leads: f.leads.Load, Now: now}
	watchlist := &schedule.Watchlist{}
	return &parts{
		scheduler: &schedule.Reconciler{
			Client: quick, Dynamic: f.dynamic, Facts: f.facts, Watchlist: watchlist, Now: now,
		},
		scheduleSource: &schedule.Source{
			Cache: cached, Decisions: f.decisions, Templates: f.templates, Facts: f.facts, Watchlist: watchlist,
		},
		propagator: &propagate.Propagator{
			Cache: cached, Decisions: f.decisions, Templates: f.templates, Claims: c.Claims, Fleet: f.fleet,
			Results: f.results, Hub: id, Rules: f.rules, Sweep: c.Sweep, Logger: c.Logger,
		},
		collector: &collect.Reconciler{
			Client: quick, Dynamic: f.dynamic, Templates: f.templates, Fleet: f.fleet, Results: f.results, Rules: f.rules,
			Now: now,
		},
		collectSource: &collect.Source{
			Cache: cached, Decisions: f.decisions, Templates: f.templates, Fleet: f.fleet, Results: f.results,
		},
		placements:      &collect.Placements{Client: hub, Claims: c.Claims, Now: now},
		placementSource: &collect.PlacementSource{Cache: cached},
		members:         &lifecycle.Reconciler{Client: hub, Fleet: f.fleet, Hub: c.HubUID, Logger: c.Logger, Now: now},
		leftovers:       &lifecycle.Leftovers{Client: hub, Fleet: f.fleet, Hub: id, Logger: c.Logger, Now: now},
		exposer: expose.New(expose.Config{
			Client: hub, Cache: cached, Templates: f.templates, Store: c.Zones, Seed: c.DNSSeed, Secret: c.DNSSecret,
			Servers: c.DNSServers, Scope: c.Scope, Events: f.core, Leads: f.leads.Load, Logger: c.Logger, Now: now,
		}),
		publisher: &events.Publisher{Cache: cached, Templates: f.templates, Events: f.core},
		reporter:  &rules.Reporter{Client: hub, Book: f.rules, Now: now},
	}
}

// joinParts says who hears of what. Parts never call one another: they hear that something has changed, and look.
func (f *Federation) joinParts(p *parts) {
	f.rules.OnChange(func(schema.GroupKind) { f.facts.Forget() })
	f.rules.OnChange(p.scheduleSource.HandleKind)
	f.rules.OnChange(p.propagator.HandleKind)
	f.rules.OnChange(p.collectSource.HandleKind)
	f.results.Listen(p.collectSource.HandleResult)
	f.templates.Handle(f.rules.HandleTemplate) // before those who go by the rules
	f.templates.Handle(p.exposer.HandleTemplate)
	f.templates.Handle(p.scheduleSource.HandleTemplate)
	f.templates.Handle(p.propagator.HandleTemplate)
	f.templates.Handle(p.collectSource.HandleTemplate)
	f.sight.OnChange(p.scheduleSource.HandleSight)
	f.fleet.OnJoin(p.propagator.Join)
	f.fleet.OnChange(func(member.Name) { f.facts.Forget() }) // the kinds that it serves
	f.fleet.OnChange(p.propagator.HandleMember)
	f.fleet.OnChange(p.collectSource.HandleMember)
}

// part is one that runs on every replica of the hub.
type part struct {
	name string
	run  func(context.Context) error
}

func (f *Federation) everywhere(p *parts) []part {
	cached, c := f.manager.GetCache(), f.config
	return []part{
		{"rules", func(ctx context.Context) error { return f.rules.Watch(ctx, cached) }},
		{"templates", f.templates.Run},
		{"placements", func(ctx context.Context) error { // for admission, and for what follows
			return match.Watch(ctx, cached, c.Claims, c.Logger, p.scheduleSource.HandlePlacement)
		}},
		{"expose", p.exposer.Run},
	}
}

// lead starts what runs where the Lease is held, in this order: each needs what is above it to have read its facts.
func (f *Federation) lead(ctx context.Context, p *parts) error {
	mgr := f.manager
	for _, start := range []func(context.Context) error{
		func(context.Context) error { f.leads.Store(true); p.exposer.Again(); return nil },
		f.templates.WaitForSync,
		f.config.Claims.WaitForSync,
		f.rules.WaitForSync,
		func(context.Context) error { return p.reporter.SetUp(mgr) },
		p.propagator.Watch, // fills the results: what is known to be applied is not applied again
		p.publisher.Watch,
		func(context.Context) error { return p.members.SetUp(mgr) },
		func(context.Context) error { return p.leftovers.SetUp(mgr) },
		func(context.Context) error { return add(mgr, "schedule", 4, p.scheduler, p.scheduleSource) },
		func(context.Context) error { return add(mgr, "collect", 8, p.collector, p.collectSource) },
		func(context.Context) error { return add(mgr, "placements", 2, p.placements, p.placementSource) },
	} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	for _, run := range append([]func(context.Context) error{p.exposer.Lead, f.watchMembers}, f.config.Leading...) {
		if err := mgr.Add(runnable{run, true}); err != nil {
			return fmt.Errorf("adding a part: %w", err)
		}
	}
	f.config.Logger.Info("this hub acts: it decides and writes to the members",
		"identity", cmp.Or(f.config.Identity, "the only hub"))
	return nil
}

// watchMembers keeps the view of the members together.
func (f *Federation) watchMembers(ctx context.Context) error { return f.sight.Run(ctx, f.fleet) }

// add adds a controller with its source. The source comes first: one that is added to a controller that runs already
// is started, but not waited for.
func add[T comparable](
	mgr manager.Manager, name string, workers int, r reconcile.TypedReconciler[T], s source.TypedSource[T],
) error {
	c, err := controller.NewTypedUnmanaged(name, controller.TypedOptions[T]{
		Reconciler:              r,
		MaxConcurrentReconciles: workers,
		SkipNameValidation:      ptr.To(true),
		Logger:                  mgr.GetLogger(),
	})
	if err == nil {
		err = c.Watch(s)
	}
	if err == nil {
		err = mgr.Add(c)
	}
	if err != nil {
		return fmt.Errorf("setting up %s: %w", name, err)
	}
	return nil
}

// runnable is a part of the manager.
type runnable struct {
	run    func(context.Context) error
	isLead bool
}

func (r runnable) Start(ctx context.Context) error { return r.run(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (r runnable) NeedLeaderElection() bool { return r.isLead }

// startPatience is how long a start that is under way is waited for when the context ends, and stopPatience how long
// the parts may take to stop.
const (
	startPatience = 10 * time.Second
	stopPatience  = 20 * time.Second
)

// Run runs until the context ends.
//
// A manager of controller-runtime v0.25 that is told to stop before its caches have synced spins for ever. So it gets a
// context of its own, which ends when they have.
func (f *Federation) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- f.manager.Start(life) }()
	select {
	case err := <-ended:
		return wrapRun(err)
	case <-ctx.Done():
	case <-f.term.Lost():
	}
	starting, cancel := context.WithTimeout(life, startPatience)
	f.manager.GetCache().WaitForCacheSync(starting)
	cancel()
	end()
	select {
	case err := <-ended:
		return wrapRun(err)
	case <-time.After(stopPatience):
		return fmt.Errorf("the reconcilers have not stopped within %s", stopPatience)
	}
}

func wrapRun(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("running the reconcilers: %w", err)
}

// Ready reports whether this replica has read what it needs to serve.
func (f *Federation) Ready() error {
	if !f.templates.HasSynced() {
		return errors.New("the templates have not been read yet")
	}
	if !f.config.Claims.HasSynced() {
		return errors.New("the placements have not been read yet")
	}
	return nil
}

// Clusters is the text of the column CLUSTERS of a template: "east=4/4,west=2/2".
func (f *Federation) Clusters(group, kind, namespace, name string) string {
	ref := template.Ref{Group: group, Kind: kind, Namespace: namespace, Name: name}
	d, ok := f.decisions.Get(ref)
	if !ok {
		return ""
	}
	return d.Status.Summary
}

// Joined are the names of the clusters there are, those that are being removed included; false until they are read.
func (f *Federation) Joined() (map[string]bool, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), zonesPatience)
	defer cancel()
	var clusters v1alpha1.ClusterList
	if f.Ready() != nil || f.manager.GetCache().List(ctx, &clusters, client.UnsafeDisableDeepCopy) != nil {
		return nil, false
	}
	names := make(map[string]bool, len(clusters.Items))
	for i := range clusters.Items {
		names[clusters.Items[i].Name] = true
	}
	return names, true
}

// ZonesAsOf is the time as of which what DNS serves has all that the hub has heard from its store; zero while nothing is
// served, and after the end.
func (f *Federation) ZonesAsOf() time.Time { return f.exposer.AsOf() }

// Templates are the objects of the hub, as far as they may travel.
func (f *Federation) Templates() *template.Store { return f.templates }

// Informer is the running informer of a resource, for those who need its objects as well. It is nil where there is
// none, and for kinds that users define: these can go, and come again as another one.
func (f *Federation) Informer(resource schema.GroupVersionResource) toolscache.SharedIndexInformer {
	if f.config.Records.ListWatch(resource) == nil {
		return nil
	}
	return f.templates.Informer(resource)
}

// NamespaceLabels looks up the labels of a namespace of the hub.
func (f *Federation) NamespaceLabels(name string) labels.Set {
	if obj, ok := f.templates.Get(template.Ref{Kind: "Namespace", Name: name}); ok {
		return obj.GetLabels()
	}
	return nil
}

// ClusterFacts are what decisions know of the clusters; false until they are read.
func (f *Federation) ClusterFacts() ([]placement.Cluster, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), zonesPatience)
	defer cancel()
	members, err := f.facts.Members(ctx, schema.GroupVersionKind{})
	return members.Clusters, err == nil
}

// zonesPatience is how long a reader waits for the Zones to be read for the first time.
const zonesPatience = 2 * time.Second

// Zones are the Zones of the hub, which must not be changed; false until they are read.
func (f *Federation) Zones() ([]v1alpha1.Zone, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), zonesPatience)
	defer cancel()
	var zones v1alpha1.ZoneList
	if err := f.manager.GetCache().List(ctx, &zones, client.UnsafeDisableDeepCopy); err != nil {
		return nil, false
	}
	return zones.Items, true
}

// Plan answers what would become of objects, and writes nothing.
func (f *Federation) Plan(ctx context.Context, caller user.Info, question *v1alpha1.Plan) error {
	return f.planner.Answer(ctx, caller, question)
}

// Member answers requests for the API of one member as the caller. The requests have the member's own path; prefix is
// what stood ahead of it at the hub.
func (f *Federation) Member(name, prefix string, caller user.Info) http.Handler {
	return f.proxy.Handler(name, prefix, caller)
}
