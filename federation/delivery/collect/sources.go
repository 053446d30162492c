package collect

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/decisions"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
)

// Source tells a Reconciler's controller which templates to report on again.
type Source struct {
	Cache     cache.Cache
	Decisions *decisions.View
	Templates *template.Store
	Fleet     *member.Fleet
	Results   *results.Store

	queue  atomic.Pointer[workqueue.TypedRateLimitingInterface[template.Ref]]
	synced toolscache.ResourceEventHandlerRegistration

	mu      sync.Mutex
	watched map[watch]bool
	phases  map[member.Name]phase
	stuck   map[member.Name]map[member.Workload]int64
}

// phase is what was last seen of a member.
type phase struct {
	member *member.Member
	phase  member.Phase
}

// watch is one kind of objects in one connection.
type watch struct {
	member *member.Member
	gvr    schema.GroupVersionResource
}

func (s *Source) add(ref template.Ref) {
	if queue := s.queue.Load(); queue != nil {
		(*queue).Add(ref)
	}
}

// HandleResult hears of verdicts. It is a listener of the results.
func (s *Source) HandleResult(ref template.Ref) { s.add(ref) }

// HandleTemplate hears of templates. It is a handler of template.Store.
func (s *Source) HandleTemplate(e template.Event) { s.add(e.Ref) }

// HandleMember reports again on everything that a member has, since its state changed. It is a handler of
// fleet.OnChange.
func (s *Source) HandleMember(name member.Name) {
	if s.queue.Load() == nil {
		return
	}
	for _, ref := range s.newlyStuck(name) {
		s.add(ref)
	}
	if !s.turned(name) {
		return
	}
	for d := range s.Decisions.OfCopies(name) {
		s.watchMembers(d)
		s.add(template.RefOfDistribution(d))
	}
}

// newlyStuck are the templates that a member has found no node for since it was last asked, or has found one for.
func (s *Source) newlyStuck(name member.Name) []template.Ref {
	var now map[member.Workload]int64
	if m, ok := s.Fleet.Get(name); ok {
		now = m.Stuck()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var refs []template.Ref
	before := s.stuck[name]
	for _, side := range []map[member.Workload]int64{before, now} {
		for w := range side {
			if before[w] != now[w] {
				refs = append(refs, template.Ref{Group: w.Group, Kind: w.Kind, Namespace: w.Namespace, Name: w.Name})
			}
		}
	}
	if s.stuck == nil {
		s.stuck = map[member.Name]map[member.Workload]int64{}
	}
	s.stuck[name] = now
	return refs
}

// turned reports whether a member is another connection, or in another phase, than when it was last asked for.
func (s *Source) turned(name member.Name) bool {
	m, ok := s.Fleet.Get(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok {
		delete(s.phases, name)
		return true
	}
	now := phase{member: m, phase: m.State().Phase}
	if s.phases == nil {
		s.phases = map[member.Name]phase{}
	}
	isNew := s.phases[name] != now
	s.phases[name] = now
	return isNew
}

// HandleKind reads the members' objects of a kind again, and reports on them: what is known of the kind has changed,
// and with it what is kept of an object. It is a listener of kindrule.Book.
func (s *Source) HandleKind(gk schema.GroupKind) {
	kind, ok := s.Templates.Kind(gk)
	if !ok || s.queue.Load() == nil {
		return
	}
	s.mu.Lock()
	var again []*member.Member
	for key := range s.watched {
		if key.gvr == kind.GVR() {
			again = append(again, key.member)
		}
	}
	s.mu.Unlock()
	for _, m := range again {
		m.Objects(kind.GVR()).Again()
	}
	for d := range s.Decisions.OfKind(gk) {
		s.add(template.RefOfDistribution(d))
	}
}

// Start implements source.TypedSource.
func (s *Source) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[template.Ref]) error {
	s.queue.Store(&queue)
	s.watched = map[watch]bool{}
	informer, err := s.Cache.GetInformer(ctx, &v1alpha1.Distribution{})
	if err != nil {
		return fmt.Errorf("watching distributions: %w", err)
	}
	s.synced, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(now any) { s.distribution(nil, now) },
		UpdateFunc: s.distribution,
		DeleteFunc: func(old any) { s.distribution(nil, old) },
	})
	if err != nil {
		return fmt.Errorf("watching distributions: %w", err)
	}
	return nil
}

// WaitForSync implements source.TypedSyncingSource.
func (s *Source) WaitForSync(ctx context.Context) error {
	if !toolscache.WaitFor(ctx, "", s.synced.HasSyncedChecker()) {
		return fmt.Errorf("reading distributions: %w", ctx.Err())
	}
	return nil
}

// distribution reports on a decision that changed; a status that we wrote ourselves is no news.
func (s *Source) distribution(old, now any) {
	before, _ := old.(*v1alpha1.Distribution)
	after, ok := now.(*v1alpha1.Distribution)
	if !ok {
		return
	}
	s.watchMembers(after)
	if before == nil || before.Generation != after.Generation {
		s.add(template.RefOfDistribution(after))
	}
}

// watchMembers hears of the objects of a kind in every member that gets one.
func (s *Source) watchMembers(d *v1alpha1.Distribution) {
	kind, ok := s.Templates.Kind(template.RefOfDistribution(d).GroupKind())
	if !ok {
		return
	}
	for _, c := range d.Spec.Clusters {
		m, ok := s.Fleet.Get(member.Name(c.Name))
		if !ok {
			continue
		}
		key := watch{member: m, gvr: kind.GVR()}
		s.mu.Lock()
		isNew := !s.watched[key]
		s.watched[key] = true
		s.mu.Unlock()
		if isNew {
			go s.follow(m, kind)
		}
	}
}

// follow hears of the objects of a kind in a member, and reports on all that should be there once they have been
// read: what is missing makes no event.
func (s *Source) follow(m *member.Member, kind template.Kind) {
	objects := m.Objects(kind.GVR())
	objects.Subscribe(&news{source: s})
	select {
	case <-objects.Synced():
	case <-m.Done():
		return
	}
	for d := range s.Decisions.OfKind(kind.GroupKind()) {
		s.add(template.RefOfDistribution(d))
	}
}

// news hears of changes of our objects in a member.
type news struct{ source *Source }

var _ member.Handler = &news{}

// OnAdd implements member.Handler.
func (n *news) OnAdd(obj *unstructured.Unstructured) { n.source.add(template.RefOf(obj)) }

// OnUpdate implements member.Handler.
func (n *news) OnUpdate(_, obj *unstructured.Unstructured) { n.source.add(template.RefOf(obj)) }

// OnDelete implements member.Handler.
func (n *news) OnDelete(last *unstructured.Unstructured) { n.source.add(template.RefOf(last)) }
