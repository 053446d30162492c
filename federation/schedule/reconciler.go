package schedule

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/claim"
	"github.com/hanse-federation/hanse/federation/fleet"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/placement"
)

// IndexFollowedBy finds the Distributions that name a dependency in spec.followedBy.
const IndexFollowedBy = "followedBy"

// Reconciler decides about one template at a time.
type Reconciler struct {
	// Client writes Distributions and reads them, and Clusters, from the cache.
	Client client.Client
	// Dynamic writes the finalizers of templates.
	Dynamic dynamic.Interface
	// Templates, Claims and Fleet are read.
	Templates *template.Store
	Claims    *claim.Index
	Fleet     *fleet.Fleet
	// Now is the clock.
	Now func() time.Time
}

var _ reconcile.TypedReconciler[template.Ref] = &Reconciler{}

// Reconcile brings the Distribution of a template up to date.
func (r *Reconciler) Reconcile(ctx context.Context, ref template.Ref) (reconcile.Result, error) {
	f, err := r.gather(ctx, ref)
	if err != nil {
		return reconcile.Result{}, err
	}
	decided := decide(f)
	if err := r.act(ctx, f, decided.spec); err != nil {
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			return reconcile.Result{RequeueAfter: cacheLag}, nil
		}
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: decided.recheck}, nil
}

// cacheLag is how long the cache is given to catch up with a write of our own.
const cacheLag = 20 * time.Millisecond

// gather reads every fact from memory.
func (r *Reconciler) gather(ctx context.Context, ref template.Ref) (facts, error) {
	f := facts{ref: ref, now: r.Now(), rule: kinds.For(ref.GroupKind())}
	if obj, ok := r.Templates.Get(ref); ok {
		f.template = obj
		f.claim, f.trouble = r.Claims.For(obj)
	}
	previous, err := r.distribution(ctx, ref)
	if err != nil {
		return f, err
	}
	f.previous = previous
	if f.template == nil && f.previous == nil {
		return f, nil
	}
	var clusters v1alpha1.ClusterList
	if err := r.Client.List(ctx, &clusters, client.UnsafeDisableDeepCopy); err != nil {
		return f, fmt.Errorf("listing clusters: %w", err)
	}
	f.joined = map[string]bool{}
	for i := range clusters.Items {
		f.joined[clusters.Items[i].Name] = true
	}
	f.clusters = fleetFacts(clusters.Items)
	if f.template == nil {
		return f, nil
	}
	f.brings = r.definitionOf(ref.GroupKind())
	if f.brings == nil {
		r.noteMissingAPIs(f.clusters, f.template.GroupVersionKind())
	}
	f.followed, err = r.followed(ctx, f)
	return f, err
}

// distribution reads the stored decision; nil if there is none.
func (r *Reconciler) distribution(ctx context.Context, ref template.Ref) (*v1alpha1.Distribution, error) {
	namespace, name := ref.Distribution()
	d := &v1alpha1.Distribution{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, d)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading distribution %s/%s: %w", namespace, name, err)
	case template.RefOfDistribution(d) != ref:
		return nil, fmt.Errorf("distribution %s/%s belongs to %s: two templates have the same distribution name",
			namespace, name, template.RefOfDistribution(d))
	}
	return d, nil
}

// definitionOf finds the CustomResourceDefinition of a kind on the hub; nil for native kinds.
func (r *Reconciler) definitionOf(gk schema.GroupKind) *template.Ref {
	if gk.Group == "" || !strings.Contains(gk.Group, ".") || strings.HasSuffix(gk.Group, ".k8s.io") {
		return nil
	}
	kind, ok := r.Templates.Kind(gk)
	if !ok {
		return nil
	}
	ref := template.Ref{
		Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: kind.Resource + "." + kind.Group,
	}
	if _, ok := r.Templates.Get(ref); !ok {
		return nil
	}
	return &ref
}

// noAPI is what a member serves that lacks the one API that is asked for.
var noAPI = map[placement.API]bool{}

// noteMissingAPIs marks the clusters that are known not to serve a kind.
func (r *Reconciler) noteMissingAPIs(clusters []placement.Cluster, gvk schema.GroupVersionKind) {
	for i := range clusters {
		m, ok := r.Fleet.Get(member.Name(clusters[i].Name))
		if ok && m.State().APIs.Count > 0 && !m.HasAPI(gvk) {
			clusters[i].APIs = noAPI
		}
	}
}

// followed finds what the template follows: its own target, and all that refer to it.
func (r *Reconciler) followed(ctx context.Context, f facts) ([]*v1alpha1.Distribution, error) {
	var needing v1alpha1.DistributionList
	if err := r.Client.List(ctx, &needing, client.MatchingFields{IndexFollowedBy: f.ref.String()}); err != nil {
		return nil, fmt.Errorf("listing what needs %s: %w", f.ref, err)
	}
	var all []*v1alpha1.Distribution
	for i := range needing.Items {
		all = append(all, &needing.Items[i])
	}
	if target, ok := f.rule.Follows(f.template); ok {
		targets, err := r.targets(ctx, f.ref.Namespace, target)
		if err != nil {
			return nil, err
		}
		all = append(all, targets...)
	}
	slices.SortFunc(all, func(a, b *v1alpha1.Distribution) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b *v1alpha1.Distribution) bool { return a.UID == b.UID }), nil
}

// targets finds the Distributions of what an autoscaler or a budget is for.
func (r *Reconciler) targets(ctx context.Context, namespace string, t kinds.Target) ([]*v1alpha1.Distribution, error) {
	if t.Ref != nil {
		ref := template.Ref{Group: t.Ref.Group, Kind: t.Ref.Kind, Namespace: t.Ref.Namespace, Name: t.Ref.Name}
		d, err := r.distribution(ctx, ref)
		if d == nil {
			return nil, err
		}
		return []*v1alpha1.Distribution{d}, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(t.Selector)
	if err != nil {
		return nil, nil // a budget whose selector cannot be read selects nothing, as in any cluster
	}
	var inNamespace v1alpha1.DistributionList
	if err := r.Client.List(ctx, &inNamespace, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing distributions of %s: %w", namespace, err)
	}
	var found []*v1alpha1.Distribution
	for i := range inNamespace.Items {
		d := &inNamespace.Items[i]
		obj, ok := r.Templates.Get(template.RefOfDistribution(d))
		if ok && selector.Matches(podLabels(obj)) {
			found = append(found, d)
		}
	}
	return found, nil
}

// podLabels of a workload; an empty set for what has no pods, which matches no sensible selector.
func podLabels(workload *unstructured.Unstructured) labels.Set {
	found, _, _ := unstructured.NestedStringMap(workload.Object, "spec", "template", "metadata", "labels")
	return found
}

// act stores the decision.
func (r *Reconciler) act(ctx context.Context, f facts, spec *v1alpha1.DistributionSpec) error {
	switch {
	case spec == nil && f.previous == nil:
		return r.release(ctx, f)
	case spec == nil:
		if err := r.release(ctx, f); err != nil {
			return err
		}
		return r.forget(ctx, f)
	}
	if err := r.hold(ctx, f); err != nil {
		return err
	}
	if f.previous == nil {
		return wrap(r.Client.Create(ctx, newDistribution(f.ref, *spec)), "creating the distribution of %s", f.ref)
	}
	if equality.Semantic.DeepEqual(f.previous.Spec, *spec) {
		return nil
	}
	changed := f.previous.DeepCopy()
	changed.Spec = *spec
	return wrap(r.Client.Update(ctx, changed), "updating the distribution of %s", f.ref)
}

// newDistribution holds on to itself: what is known of the copies must outlive them, also when everything in the
// namespace is deleted at once.
func newDistribution(ref template.Ref, spec v1alpha1.DistributionSpec) *v1alpha1.Distribution {
	namespace, name := ref.Distribution()
	return &v1alpha1.Distribution{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Finalizers: []string{v1alpha1.CopiesFinalizer}},
		Spec:       spec,
	}
}

// forget removes a Distribution that no copy needs any more.
func (r *Reconciler) forget(ctx context.Context, f facts) error {
	last := f.previous
	if controllerutil.ContainsFinalizer(last, v1alpha1.CopiesFinalizer) {
		last = last.DeepCopy()
		controllerutil.RemoveFinalizer(last, v1alpha1.CopiesFinalizer)
		if err := client.IgnoreNotFound(r.Client.Update(ctx, last)); err != nil {
			return fmt.Errorf("letting go of the distribution of %s: %w", f.ref, err)
		}
	}
	if last.DeletionTimestamp != nil {
		return nil // it went with its last finalizer
	}
	gone := &metav1.Preconditions{UID: &last.UID, ResourceVersion: &last.ResourceVersion}
	err := r.Client.Delete(ctx, last, &client.DeleteOptions{Preconditions: gone})
	return wrap(client.IgnoreNotFound(err), "deleting the distribution of %s", f.ref)
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
