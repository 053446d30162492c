package schedule

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/decisions"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// Source tells a Reconciler's controller which templates to look at again.
type Source struct {
	Cache     cache.Cache
	Decisions *decisions.View
	Templates *template.Store
	// Facts are told when they have changed, Watchlist says what a change concerns.
	Facts     *Caches
	Watchlist *Watchlist

	queue  atomic.Pointer[workqueue.TypedRateLimitingInterface[template.Ref]]
	synced []toolscache.DoneChecker
}

// add looks again at a template, once there is a queue; what was before is all looked at when the queue starts.
func (s *Source) add(ref template.Ref) {
	if queue := s.queue.Load(); queue != nil {
		(*queue).Add(ref)
	}
}

// addSoon looks again at a template in a while, once for all that happens until then.
func (s *Source) addSoon(ref template.Ref) {
	if queue := s.queue.Load(); queue != nil {
		(*queue).AddAfter(ref, roomPause)
	}
}

// roomPause is how long changes of free room are gathered: every pod that starts or ends in a member is one.
const roomPause = 2 * time.Second

// The indexes of Distributions.
const (
	// IndexFollowedBy finds the Distributions that name a dependency in spec.followedBy.
	IndexFollowedBy = "followedBy"
)

// IndexFields prepares the cache's indexes; it must be called before the cache starts.
func IndexFields(ctx context.Context, indexer client.FieldIndexer) error {
	for name, values := range indexes {
		err := indexer.IndexField(ctx, &v1alpha1.Distribution{}, name, func(obj client.Object) []string {
			d, ok := obj.(*v1alpha1.Distribution)
			if !ok {
				return nil
			}
			return values(&d.Spec)
		})
		if err != nil {
			return fmt.Errorf("indexing distributions by %s: %w", name, err)
		}
	}
	return nil
}

var indexes = map[string]func(*v1alpha1.DistributionSpec) []string{
	IndexFollowedBy: func(spec *v1alpha1.DistributionSpec) []string { return spec.FollowedBy },
}

// HandleTemplate looks again at a template that was written. It is a handler of template.Store.
func (s *Source) HandleTemplate(e template.Event) {
	if e.Old != nil && e.New != nil && !isWritten(e.Old, e.New) {
		return
	}
	s.add(e.Ref)
	if e.Ref.GroupKind() == kinds.ReferenceGrant {
		s.grant(e.Old)
		s.grant(e.New)
	}
	for _, obj := range []*unstructured.Unstructured{e.Old, e.New} { // its bounds decide how many its target has
		if obj == nil || !s.Facts.Rules.Of(obj).Scales() {
			continue
		}
		if target, ok := s.Facts.Rules.Of(obj).Follows(obj); ok && target.Ref != nil {
			s.add(template.Ref{Group: target.Ref.Group, Kind: target.Ref.Kind,
				Namespace: target.Ref.Namespace, Name: target.Ref.Name})
		}
	}
}

// grant looks again at the templates whose references a ReferenceGrant may allow.
func (s *Source) grant(grant *unstructured.Unstructured) {
	if grant == nil {
		return
	}
	for _, namespace := range kinds.GrantedTo(grant) {
		if namespace == "" {
			continue
		}
		for _, gk := range kinds.Grantees() {
			s.Templates.Each(gk, namespace, func(obj *unstructured.Unstructured) bool {
				s.add(template.RefOf(obj))
				return true
			})
		}
	}
}

// isWritten reports whether more than the status of a template changed.
func isWritten(old, now *unstructured.Unstructured) bool {
	return old.GetUID() != now.GetUID() || old.GetGeneration() != now.GetGeneration() ||
		(old.GetDeletionTimestamp() == nil) != (now.GetDeletionTimestamp() == nil) ||
		!maps.Equal(old.GetLabels(), now.GetLabels()) || !maps.Equal(old.GetAnnotations(), now.GetAnnotations()) ||
		!slices.Equal(old.GetFinalizers(), now.GetFinalizers()) ||
		now.GetGeneration() == 0 // kinds without generation tell nothing of what changed
}

// Start implements source.TypedSource.
func (s *Source) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[template.Ref]) error {
	s.queue.Store(&queue)
	s.Facts.Forget()
	go s.watchRights(ctx)
	handlers := []struct {
		of      client.Object
		changed func(old, now any)
		// isLookedAtFirst: what is there at the start is a reason to look, too.
		isLookedAtFirst bool
	}{
		{&v1alpha1.Distribution{}, s.distribution, true},
		{&v1alpha1.Cluster{}, s.cluster, false}, // every decision is looked at anyway
	}
	for _, h := range handlers {
		informer, err := s.Cache.GetInformer(ctx, h.of)
		if err != nil {
			return fmt.Errorf("watching %T: %w", h.of, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerDetailedFuncs{
			AddFunc: func(now any, isInInitialList bool) {
				if !isInInitialList || h.isLookedAtFirst {
					h.changed(nil, now)
				}
			},
			UpdateFunc: func(old, now any) { h.changed(old, now) },
			DeleteFunc: func(old any) { h.changed(last(old), nil) },
		})
		if err != nil {
			return fmt.Errorf("watching %T: %w", h.of, err)
		}
		s.synced = append(s.synced, registration.HasSyncedChecker())
	}
	return nil
}

// WaitForSync implements source.TypedSyncingSource: no decision is taken before all facts are there.
func (s *Source) WaitForSync(ctx context.Context) error {
	if !toolscache.WaitFor(ctx, "", s.synced...) {
		return fmt.Errorf("reading the facts for decisions: %w", ctx.Err())
	}
	if err := s.Templates.WaitForSync(ctx); err != nil {
		return err
	}
	s.Facts.Forget() // all Clusters are there now
	s.Templates.Each(schema.GroupKind{}, "", func(obj *unstructured.Unstructured) bool {
		s.add(template.RefOf(obj))
		return true
	})
	return nil
}

func last(obj any) any {
	if gone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		return gone.Obj
	}
	return obj
}

// distribution looks again at the template, at what follows it, and at the autoscalers and budgets beside it.
func (s *Source) distribution(old, now any) {
	before, _ := old.(*v1alpha1.Distribution)
	after, _ := now.(*v1alpha1.Distribution)
	if before != nil && after != nil && before.Generation == after.Generation {
		if !leavingChanged(before, after) && !readyChanged(before, after) && !stuckChanged(before, after) {
			return
		}
		s.add(template.RefOfDistribution(after))
		return
	}
	var namespace string
	var isWorkload bool
	for _, d := range []*v1alpha1.Distribution{before, after} {
		if d == nil {
			continue
		}
		ref := template.RefOfDistribution(d)
		s.add(ref)
		for _, name := range d.Spec.FollowedBy {
			if needed, ok := template.ParseRef(name); ok {
				s.add(needed)
			}
		}
		namespace = ref.Namespace
		isWorkload = isWorkload || isFollowed(ref.GroupKind())
	}
	if !isWorkload || namespace == "" {
		return
	}
	for _, ref := range s.Facts.Rules.Followers(s.Templates, namespace) {
		s.add(ref)
	}
}

// HandleKind looks again at every template of a kind: what is known of the kind has changed. It is a listener of
// kindrule.Book.
func (s *Source) HandleKind(gk schema.GroupKind) {
	s.Templates.Each(gk, "", func(obj *unstructured.Unstructured) bool {
		s.add(template.RefOf(obj))
		return true
	})
}

// isFollowed reports whether autoscalers and budgets may follow objects of the kind: it runs pods.
func isFollowed(gk schema.GroupKind) bool {
	return gk.Group == "apps" || !kinds.IsKnown(gk)
}

// leavingChanged reports whether the status has news of members that are being left.
func leavingChanged(before, after *v1alpha1.Distribution) bool {
	return len(after.Spec.Leaving) > 0 && after.Status.ObservedGeneration == after.Generation &&
		(before.Status.ObservedGeneration != after.Status.ObservedGeneration ||
			!slices.EqualFunc(before.Status.Clusters, after.Status.Clusters, func(a, b v1alpha1.ClusterOutcome) bool {
				return a.Name == b.Name && a.Verdict == b.Verdict
			}))
}

// stuckChanged reports whether a member cannot run replicas that it was given, or can run them now, as far as that
// counts for a decision: it may come to count although the number stays, when the member has followed the last
// decision.
func stuckChanged(before, after *v1alpha1.Distribution) bool {
	return !slices.Equal(stuck(before), stuck(after))
}

// stuck is how many replicas each chosen member cannot run.
func stuck(d *v1alpha1.Distribution) []int64 {
	counts := make([]int64, 0, len(d.Spec.Clusters))
	for _, assignment := range enginePrevious(d).Clusters {
		counts = append(counts, assignment.Unschedulable)
	}
	return counts
}

// readyChanged reports whether replicas that moving ones wait for became ready, or ceased to be.
func readyChanged(before, after *v1alpha1.Distribution) bool {
	waits := after.Spec.Moving || after.Spec.Surge > 0 || slices.ContainsFunc(after.Spec.Clusters, func(c v1alpha1.DistributionCluster) bool {
		return c.Reason == string(placement.CodeMoving)
	})
	return waits && before.Status.Summary != after.Status.Summary
}

// cluster looks again at the templates that a change of a Cluster can matter to.
func (s *Source) cluster(old, now any) {
	s.Facts.Forget()
	before, _ := old.(*v1alpha1.Cluster)
	after, _ := now.(*v1alpha1.Cluster)
	switch effectOf(before, after) {
	case choiceEffect:
		s.Again()
	case memberEffect:
		for d := range s.Decisions.Naming(member.Name(after.Name)) {
			s.add(template.RefOfDistribution(d))
		}
		s.Watchlist.eachOfFacts(s.add)
		s.Watchlist.eachOfRoom(s.add)
	case roomEffect:
		s.Watchlist.eachOfRoom(s.addSoon)
	}
}

// Again looks again at every template that has a decision.
func (s *Source) Again() {
	for d := range s.Decisions.All() {
		s.add(template.RefOfDistribution(d))
	}
}

// HandleSight looks again at every template that a member out of reach concerns: the view of the members has changed.
func (s *Source) HandleSight() {
	var clusters v1alpha1.ClusterList
	if err := s.Cache.List(context.Background(), &clusters, client.UnsafeDisableDeepCopy); err != nil {
		s.Again()
		return
	}
	for i := range clusters.Items {
		if factsOf(&clusters.Items[i]).Ready {
			continue
		}
		for d := range s.Decisions.Naming(member.Name(clusters.Items[i].Name)) {
			s.add(template.RefOfDistribution(d))
		}
	}
}

// HandlePlacement looks again at every template that a placement claims or claimed.
func (s *Source) HandlePlacement(key match.Key, claims func(*unstructured.Unstructured) bool) {
	s.Templates.Each(schema.GroupKind{}, key.Namespace, func(obj *unstructured.Unstructured) bool {
		if claims(obj) {
			s.add(template.RefOf(obj))
		}
		return true
	})
	// What is claimed no longer still has a decision that names the placement.
	for d := range s.Decisions.OfPlacement(key.Namespace, key.Name) {
		s.add(template.RefOfDistribution(d))
	}
}
