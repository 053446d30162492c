package propagate

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/delivery/decisions"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/kinds/rules"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
)

// Propagator runs one controller a member.
type Propagator struct {
	// Cache reads Distributions and Clusters, Decisions finds Distributions by template and member.
	Cache     cache.Cache
	Decisions *decisions.View
	// Templates, Claims and Fleet are read, Results is written.
	Templates *template.Store
	Claims    *match.Index
	Fleet     *member.Fleet
	Results   *results.Store
	// Rules are what is known of kinds; nil: what package kinds knows.
	Rules *rules.Book
	// Hub is the hub's identity in the marks of members' objects.
	Hub apply.Hub
	// Workers a member. Default 16.
	Workers int
	// Sweep is in which time everything in a member is compared. Default DefaultSweep.
	Sweep  time.Duration
	Logger *slog.Logger

	mu      sync.RWMutex
	workers map[member.Name]*memberWorker
}

// work is one thing to do in one member: bring a template up to date, or look whether a namespace that we made can
// go.
type work struct {
	ref       template.Ref
	namespace string
}

// memberWorker is one member's queue and what goes with it.
type memberWorker struct {
	*Propagator
	member   *member.Member
	queue    priorityqueue.PriorityQueue[work]
	failures workqueue.TypedRateLimiter[work]

	mu          sync.Mutex
	watched     map[schema.GroupVersionResource]bool // resources whose changes we hear of
	contentions map[template.Ref]contention          // objects that somebody else changes, too
	isReady     bool
	apis        string // hash of the kinds that the member serves
}

// Join starts the controller of a member; it ends with the context. It is a handler of fleet.OnJoin.
func (p *Propagator) Join(ctx context.Context, m *member.Member) {
	mw := &memberWorker{Propagator: p, member: m, watched: map[schema.GroupVersionResource]bool{}, failures: newFailures(),
		contentions: map[template.Ref]contention{}}
	mw.queue = priorityqueue.New[work]("propagate-" + string(m.Name()))
	runner, err := controller.NewTypedUnmanaged("propagate-"+string(m.Name()), controller.TypedOptions[work]{
		SkipNameValidation:      ptr.To(true),
		MaxConcurrentReconciles: cmp.Or(p.Workers, defaultWorkers),
		Reconciler:              mw,
		Logger:                  log.Log, // of the process; see cmd/hub
		NewQueue: func(string, workqueue.TypedRateLimiter[work]) workqueue.TypedRateLimitingInterface[work] {
			return mw.queue
		},
	})
	if err != nil {
		p.Logger.Error("preparing the controller of a member", "member", m.Name(), "error", err)
		return
	}
	err = runner.Watch(source.TypedFunc[work](func(context.Context, workqueue.TypedRateLimitingInterface[work]) error {
		mw.everything()
		return nil
	}))
	if err != nil {
		p.Logger.Error("preparing the controller of a member", "member", m.Name(), "error", err)
		return
	}
	p.mu.Lock()
	if p.workers == nil {
		p.workers = map[member.Name]*memberWorker{}
	}
	p.workers[m.Name()] = mw
	p.mu.Unlock()
	go mw.sweep(ctx, cmp.Or(p.Sweep, DefaultSweep))
	go func() {
		if err := runner.Start(ctx); err != nil && ctx.Err() == nil {
			p.Logger.Error("the controller of a member ended", "member", m.Name(), "error", err)
		}
		p.leave(m.Name(), mw)
	}()
}

const defaultWorkers = 16

// leave removes a worker by identity: the member may have joined again meanwhile.
func (p *Propagator) leave(name member.Name, mw *memberWorker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.workers[name] == mw {
		delete(p.workers, name)
	}
}

func (p *Propagator) worker(name member.Name) (*memberWorker, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	mw, ok := p.workers[name]
	return mw, ok
}

// Watch follows the Distributions of the hub. It returns when all have been read once.
func (p *Propagator) Watch(ctx context.Context) error {
	informer, err := p.Cache.GetInformer(ctx, &v1alpha1.Distribution{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching distributions: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(now any) { p.distribution(nil, now) },
		UpdateFunc: p.distribution,
		DeleteFunc: func(old any) { p.distribution(old, nil) },
	})
	if err != nil {
		return fmt.Errorf("watching distributions: %w", err)
	}
	if !toolscache.WaitFor(ctx, "", registration.HasSyncedChecker()) {
		return fmt.Errorf("reading distributions: %w", context.Cause(ctx))
	}
	if _, err := p.Cache.GetInformer(ctx, &v1alpha1.GlobalService{}); err != nil {
		return fmt.Errorf("watching global services: %w", err)
	}
	clusters, err := p.Cache.GetInformer(ctx, &v1alpha1.Cluster{})
	if err != nil {
		return fmt.Errorf("watching clusters: %w", err)
	}
	_, err = clusters.AddEventHandler(toolscache.ResourceEventHandlerFuncs{UpdateFunc: p.cluster})
	if err != nil {
		return fmt.Errorf("watching clusters: %w", err)
	}
	return nil
}

// cluster looks again at everything in a member whose facts changed: overrides may ask for them, and a pause may have
// ended.
func (p *Propagator) cluster(old, now any) {
	before, wasCluster := old.(*v1alpha1.Cluster)
	after, isCluster := now.(*v1alpha1.Cluster)
	if !wasCluster || !isCluster {
		return
	}
	if before.Generation == after.Generation && maps.Equal(before.Labels, after.Labels) &&
		maps.Equal(before.Annotations, after.Annotations) {
		return
	}
	if mw, ok := p.worker(member.Name(after.Name)); ok {
		mw.everything()
	}
}

func (p *Propagator) distribution(old, now any) {
	before, _ := old.(*v1alpha1.Distribution)
	after, _ := now.(*v1alpha1.Distribution)
	switch {
	case after == nil:
		if gone, ok := old.(toolscache.DeletedFinalStateUnknown); ok {
			before, _ = gone.Obj.(*v1alpha1.Distribution)
		}
		if before != nil {
			p.Results.Close(template.RefOfDistribution(before))
		}
		return
	case before == nil:
		p.Results.Load(template.RefOfDistribution(after), after.Status)
	case before.Generation == after.Generation:
		return
	default:
		p.forgetLeft(before, after)
	}
	p.send(after)
}

// forgetLeft closes the book on members that a decision does not name any more. What a member that joins again still
// holds must not look as it should.
func (p *Propagator) forgetLeft(before, after *v1alpha1.Distribution) {
	ref := template.RefOfDistribution(after)
	for _, name := range namedIn(before) {
		if !slices.Contains(namedIn(after), name) {
			p.Results.Forget(ref, member.Name(name))
		}
	}
}

// namedIn are the members that have or had a template.
func namedIn(d *v1alpha1.Distribution) []string {
	names := slices.Clone(d.Spec.Leaving)
	for _, c := range d.Spec.Clusters {
		names = append(names, c.Name)
	}
	return names
}

// send looks again at a template in every member that has or had it.
func (p *Propagator) send(d *v1alpha1.Distribution) {
	ref := template.RefOfDistribution(d)
	for _, c := range d.Spec.Clusters {
		if mw, ok := p.worker(member.Name(c.Name)); ok {
			mw.add(ref, 0)
		}
	}
	for _, name := range d.Spec.Leaving {
		if mw, ok := p.worker(member.Name(name)); ok {
			mw.add(ref, 0)
		}
	}
}

// HandleTemplate sends a template that changed. It is a handler of template.Store.
func (p *Propagator) HandleTemplate(e template.Event) {
	if e.New == nil || e.Old == nil || !isSent(e.Old, e.New) && !p.isHalted(e) {
		return // a new template has no decision yet, and one that is gone has one that says so
	}
	if d, ok := p.Decisions.Get(e.Ref); ok {
		p.send(d)
	}
}

// isHalted reports whether a template was told to end, or no longer.
func (p *Propagator) isHalted(e template.Event) bool {
	rule := p.Rules.For(e.Ref.GroupKind())
	return rule.IsHalted(e.Old) != rule.IsHalted(e.New)
}

// isSent reports whether something changed that goes to members.
func isSent(old, now *unstructured.Unstructured) bool {
	return now.GetGeneration() == 0 || old.GetGeneration() != now.GetGeneration() ||
		!maps.Equal(old.GetLabels(), now.GetLabels()) || !maps.Equal(old.GetAnnotations(), now.GetAnnotations())
}

// HandleMember looks again at everything in a member that can be worked with (again), and, when its kinds have changed,
// at what was refused for want of one. It is a handler of fleet.OnChange.
func (p *Propagator) HandleMember(name member.Name) {
	mw, ok := p.worker(name)
	if !ok {
		return
	}
	turnedReady, newKinds := mw.turned()
	switch {
	case turnedReady:
		mw.everything()
	case newKinds:
		mw.each(func(ref template.Ref) bool {
			entry, _ := mw.Results.Get(ref, name)
			return entry.Reason == string(apply.ReasonKindMissing)
		})
	}
}

// HandleKind looks again at every template of a kind in every member: what is known of the kind has changed. It is a
// listener of kindrule.Book.
func (p *Propagator) HandleKind(gk schema.GroupKind) {
	p.mu.RLock()
	workers := slices.Collect(maps.Values(p.workers))
	p.mu.RUnlock()
	for _, mw := range workers {
		mw.each(func(ref template.Ref) bool { return ref.GroupKind() == gk })
	}
}

// everything looks at every template that the member has or had.
func (mw *memberWorker) everything() {
	mw.each(func(template.Ref) bool { return true })
	mw.followAll()
}

// followAll hears of every kind that any decision is about: a member that joined again may hold copies of templates
// whose decisions do not name it.
func (mw *memberWorker) followAll() {
	seen := map[schema.GroupKind]bool{}
	for d := range mw.Decisions.All() {
		gk := template.RefOfDistribution(d).GroupKind()
		kind, ok := mw.Templates.Kind(gk)
		isServed := mw.member.State().APIs.Count == 0 || mw.member.HasAPI(kind.GroupVersionKind)
		if ok && !seen[gk] && isServed {
			mw.follow(kind.GVR())
		}
		seen[gk] = true
	}
}

// each looks at those of the templates that the member has or had that are picked.
func (mw *memberWorker) each(isPicked func(template.Ref) bool) {
	for d := range mw.Decisions.OfCopies(mw.member.Name()) {
		if ref := template.RefOfDistribution(d); isPicked(ref) {
			mw.add(ref, 0)
		}
	}
}

// add queues a template, in the order of its kind.
func (mw *memberWorker) add(ref template.Ref, after time.Duration) {
	mw.queue.AddWithOpts(priorityqueue.AddOpts{
		After:    after,
		Priority: ptr.To(-mw.Rules.For(ref.GroupKind()).Order()),
	}, work{ref: ref})
}

var _ reconcile.TypedReconciler[work] = &memberWorker{}
