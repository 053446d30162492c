package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/kinds/rules"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
)

// Reconciler reports on one template at a time.
type Reconciler struct {
	// Client writes Distribution.status and reads Distributions from the cache.
	Client client.Client
	// Dynamic writes the status of templates.
	Dynamic dynamic.Interface
	// Templates, Fleet and Results are read.
	Templates *template.Store
	Fleet     *member.Fleet
	Results   *results.Store
	// Rules are what is known of kinds; nil: what package kinds knows.
	Rules *rules.Book
	// Now is the clock.
	Now func() time.Time

	mu    sync.Mutex
	paces map[template.Ref]*pace
}

var _ reconcile.TypedReconciler[template.Ref] = &Reconciler{}

// Reconcile brings the status of one Distribution, and of its template, up to date.
func (r *Reconciler) Reconcile(ctx context.Context, ref template.Ref) (reconcile.Result, error) {
	d := &v1alpha1.Distribution{}
	namespace, name := ref.Distribution()
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, d)
	obj, _ := r.Templates.Get(ref)
	if apierrors.IsNotFound(err) {
		return r.end(ctx, ref, obj)
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the distribution of %s: %w", ref, err)
	}
	now := r.Now()
	view := r.view(ref, d, obj)
	if wait := r.paceOf(ref).wait(now, view); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if len(d.Spec.Clusters) == 0 {
		if err := r.tellNowhere(ctx, view, now); err != nil {
			return lagging(err)
		}
	}
	status := distributionStatus(view, now)
	written, err := r.writeDistribution(ctx, d, status)
	if err == nil && obj != nil {
		var also bool
		also, err = r.writeTemplate(ctx, view, now)
		written = written || also
	}
	if err == nil && obj != nil {
		err = r.assign(ctx, view, now)
	}
	if err != nil {
		return lagging(err)
	}
	if written {
		r.paceOf(ref).wrote(now)
	}
	return r.until(ctx, view, now, untilDeadline(d, status, now))
}

// until looks again when time alone changes something: a deadline, or the end of a template's time to live.
func (r *Reconciler) until(
	ctx context.Context, v view, now time.Time, deadline time.Duration,
) (reconcile.Result, error) {
	if v.template == nil {
		return reconcile.Result{RequeueAfter: deadline}, nil
	}
	next := deadline
	sooner := func(at time.Time) {
		if wait := max(at.Sub(now), 0) + time.Second; next == 0 || wait < next {
			next = wait
		}
	}
	if at, waits := v.rule.Due(v.template); waits {
		sooner(at)
	}
	at, expires := v.rule.Expires(v.template)
	if !expires || v.template.GetDeletionTimestamp() != nil {
		return reconcile.Result{RequeueAfter: next}, nil
	}
	if now.Before(at) {
		sooner(at)
		return reconcile.Result{RequeueAfter: next}, nil
	}
	return reconcile.Result{RequeueAfter: next}, r.expire(ctx, v)
}

// expire deletes a template whose time to live is over. The copies go with it, as with any deletion.
func (r *Reconciler) expire(ctx context.Context, v view) error {
	uid, version := v.template.GetUID(), v.template.GetResourceVersion()
	background := metav1.DeletePropagationBackground
	err := r.Dynamic.Resource(v.kind.GVR()).Namespace(v.ref.Namespace).Delete(ctx, v.ref.Name, metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
		PropagationPolicy: &background,
	})
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting %s, whose time to live is over: %w", v.ref, err)
	}
	return nil
}

// lagging turns a conflict with another writer into another look.
func lagging(err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: cacheLag}, nil
	}
	return reconcile.Result{}, err
}

// end is the end of what we report on a template, which has no copies any more.
func (r *Reconciler) end(
	ctx context.Context, ref template.Ref, obj *unstructured.Unstructured,
) (reconcile.Result, error) {
	if obj == nil {
		r.forget(ref)
		return reconcile.Result{}, nil
	}
	v := view{ref: ref, template: obj, rule: r.Rules.For(ref.GroupKind())}
	v.kind, _ = r.Templates.Kind(ref.GroupKind())
	var err error
	switch reported := r.reported(ref); {
	case tellsUnplaced[ref.GroupKind()]:
		now := r.Now()
		if wait := placementPatience - now.Sub(obj.GetCreationTimestamp().Time); !reported && wait > 0 {
			return reconcile.Result{RequeueAfter: wait}, nil
		}
		err = r.tellUnplaced(ctx, v, notPlaced, "no placement selects it: it runs nowhere; place it with hanse place, "+
			"the annotation hanse.io/clusters or a Placement", now)
	case reported:
		err = r.clearTemplate(ctx, v)
	}
	if err != nil {
		return lagging(err)
	}
	r.forget(ref)
	return reconcile.Result{}, nil
}

// cacheLag is how long the cache is given to catch up with a write.
const cacheLag = 10 * time.Millisecond

// view gathers what is known of a template in all members.
func (r *Reconciler) view(ref template.Ref, d *v1alpha1.Distribution, obj *unstructured.Unstructured) view {
	v := view{ref: ref, distribution: d, template: obj, rule: r.Rules.For(ref.GroupKind())}
	if kind, ok := r.Templates.Kind(ref.GroupKind()); ok {
		v.kind = kind
	}
	entries := r.Results.Of(ref)
	for _, chosen := range d.Spec.Clusters {
		v.members = append(v.members, r.look(v, chosen.Name, entries, false))
	}
	for _, name := range d.Spec.Leaving {
		v.members = append(v.members, r.look(v, name, entries, true))
	}
	return v
}

// look gathers what is known of a template in one member.
func (r *Reconciler) look(v view, name string, entries map[member.Name]results.Entry, isLeaving bool) memberView {
	m := memberView{name: name, isLeaving: isLeaving, previous: outcomeOf(v.distribution, name)}
	m.entry, m.hasEntry = entries[member.Name(name)]
	if m.previous != nil {
		m.stuck = m.previous.Unschedulable // until the member says otherwise
	}
	connected, ok := r.Fleet.Get(member.Name(name))
	if !ok {
		return m
	}
	m.state = connected.State()
	if v.kind.Resource == "" || !m.state.IsReady() {
		return m
	}
	m.stuck = connected.Stuck()[member.Workload{
		GroupKind: v.ref.GroupKind(), Namespace: v.ref.Namespace, Name: v.ref.Name,
	}]
	objects := connected.Objects(v.kind.GVR())
	if !objects.HasSynced() || objects.Err() != nil {
		return m
	}
	m.isSeen = true
	m.live, _ = objects.Get(v.ref.Namespace, v.ref.Name)
	return m
}

// outcomeOf is what the stored status says of one member; nil if it does not.
func outcomeOf(d *v1alpha1.Distribution, name string) *v1alpha1.ClusterOutcome {
	for i := range d.Status.Clusters {
		if d.Status.Clusters[i].Name == name {
			return &d.Status.Clusters[i]
		}
	}
	return nil
}

func (r *Reconciler) writeDistribution(
	ctx context.Context, d *v1alpha1.Distribution, status v1alpha1.DistributionStatus,
) (bool, error) {
	if equality.Semantic.DeepEqual(d.Status, status) {
		return false, nil
	}
	changed := d.DeepCopy()
	changed.Status = status
	if err := client.IgnoreNotFound(r.Client.Status().Update(ctx, changed)); err != nil {
		return false, fmt.Errorf("writing the status of distribution %s/%s: %w", d.Namespace, d.Name, err)
	}
	return true, nil
}

// writeTemplate gives the template the sum of its copies' statuses.
func (r *Reconciler) writeTemplate(ctx context.Context, v view, now time.Time) (bool, error) {
	if v.template.GetDeletionTimestamp() != nil || !v.kind.HasStatus || len(v.distribution.Spec.Clusters) == 0 {
		return false, nil
	}
	status := v.rule.Aggregate(v.template, v.statuses(), now)
	if status == nil || sameJSON(status, v.template.Object["status"]) {
		return false, nil
	}
	changed := v.template.DeepCopy()
	changed.Object["status"] = status
	_, err := r.Dynamic.Resource(v.kind.GVR()).Namespace(v.ref.Namespace).UpdateStatus(ctx, changed,
		metav1.UpdateOptions{FieldManager: "hanse-hub"})
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("writing the status of %s: %w", v.ref, err)
	}
	return true, nil
}

// assign fills in what the template's kind has outside its status.
func (r *Reconciler) assign(ctx context.Context, v view, now time.Time) error {
	if v.template.GetDeletionTimestamp() != nil || len(v.distribution.Spec.Clusters) == 0 {
		return nil
	}
	patch := v.rule.Assign(v.template, v.statuses(), now)
	if patch == nil {
		return nil
	}
	encoded, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encoding a patch of %s: %w", v.ref, err)
	}
	_, err = r.Dynamic.Resource(v.kind.GVR()).Namespace(v.ref.Namespace).Patch(ctx, v.ref.Name, types.MergePatchType, encoded,
		metav1.PatchOptions{FieldManager: "hanse-hub"})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("filling in %s: %w", v.ref, err)
	}
	return nil
}

// tellNowhere has the template of a decision that chose no cluster say so, or at least say nothing of clusters that had it.
func (r *Reconciler) tellNowhere(ctx context.Context, v view, now time.Time) error {
	if tellsUnplaced[v.ref.GroupKind()] {
		c := scheduled(v)
		return r.tellUnplaced(ctx, v, c.Reason, c.Message, now)
	}
	if len(v.distribution.Status.Clusters) == 0 {
		return nil
	}
	return r.clearTemplate(ctx, v)
}

// clearTemplate takes the sum off a template that no member has any more: nobody keeps it up to date.
func (r *Reconciler) clearTemplate(ctx context.Context, v view) error {
	if v.template == nil || v.template.GetDeletionTimestamp() != nil || !v.kind.HasStatus || !v.rule.Sums() {
		return nil
	}
	if status, _ := v.template.Object["status"].(map[string]any); len(status) == 0 || v.rule.HasEnded(v.template) {
		return nil // the outcome of work outlives its copies
	}
	changed := v.template.DeepCopy()
	changed.Object["status"] = map[string]any{}
	_, err := r.Dynamic.Resource(v.kind.GVR()).Namespace(v.ref.Namespace).UpdateStatus(ctx, changed,
		metav1.UpdateOptions{FieldManager: "hanse-hub"})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("clearing the status of %s: %w", v.ref, err)
	}
	return nil
}

// sameJSON compares what may differ in Go types but not in JSON.
func sameJSON(a, b any) bool {
	if equality.Semantic.DeepEqual(a, b) {
		return true
	}
	encodedA, errA := json.Marshal(a)
	encodedB, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(encodedA) == string(encodedB)
}
