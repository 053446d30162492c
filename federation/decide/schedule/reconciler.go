package schedule

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template"
)

// Reconciler decides about one template at a time.
type Reconciler struct {
	// Client writes Distributions.
	Client client.Client
	// Dynamic writes the finalizers of templates.
	Dynamic dynamic.Interface
	// Facts are read, Watchlist is written.
	Facts     View
	Watchlist *Watchlist
	// Now is the clock.
	Now func() time.Time
}

var _ reconcile.TypedReconciler[template.Ref] = &Reconciler{}

// Reconcile brings the Distribution of a template up to date.
func (r *Reconciler) Reconcile(ctx context.Context, ref template.Ref) (reconcile.Result, error) {
	f, err := gather(ctx, r.Facts, ref, r.Now())
	if err != nil {
		return reconcile.Result{}, err
	}
	decided := decide(f)
	r.Watchlist.note(ref, decided, f.claim)
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
	// The status is a subresource: it is not looked at. The answer is decoded into what is sent, which therefore shares
	// nothing with the cache.
	changed := &v1alpha1.Distribution{ObjectMeta: *f.previous.ObjectMeta.DeepCopy(), Spec: *spec.DeepCopy()}
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
