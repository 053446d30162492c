package lifecycle

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member"
)

// SetUp adds the reconciler to the manager. Every Cluster is kept by itself, so one that is hard to read delays no
// other.
func (r *Reconciler) SetUp(mgr manager.Manager) error {
	news := make(chan event.TypedGenericEvent[*v1alpha1.Cluster], 1024)
	r.Fleet.OnChange(func(name member.Name) {
		cluster := &v1alpha1.Cluster{}
		cluster.Name = string(name)
		go func() { news <- event.TypedGenericEvent[*v1alpha1.Cluster]{Object: cluster} }()
	})
	err := builder.ControllerManagedBy(mgr).Named("membership").
		For(&v1alpha1.Cluster{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, leavingPredicate))).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.clustersOf)).
		WatchesRawSource(source.Channel(news, &handler.TypedEnqueueRequestForObject[*v1alpha1.Cluster]{})).
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up membership: %w", err)
	}
	return nil
}

// SetUp adds the reconciler to the manager.
func (l *Leftovers) SetUp(mgr manager.Manager) error {
	err := builder.ControllerManagedBy(mgr).Named("leftovers").
		WithOptions(controller.Options{MaxConcurrentReconciles: lookers}).
		For(&v1alpha1.Cluster{}, builder.WithPredicates(predicate.Or(predicate.AnnotationChangedPredicate{}, leavingPredicate))).
		Watches(&v1alpha1.Distribution{}, handler.Funcs{DeleteFunc: l.lost}).
		Complete(l)
	if err != nil {
		return fmt.Errorf("setting up the search for leftovers: %w", err)
	}
	return nil
}

// lookers is how many members are looked into at the same time.
const lookers = 4

// lost has the members looked into that a Distribution still named when it went.
func (l *Leftovers) lost(
	_ context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) {
	d, ok := e.Object.(*v1alpha1.Distribution)
	if !ok {
		return
	}
	for _, c := range d.Spec.Clusters {
		l.ask(c.Name)
		queue.AddAfter(reconcile.Request{NamespacedName: client.ObjectKey{Name: c.Name}}, lookSoon)
	}
}

// leavingPredicate lets the start of a deletion through.
var leavingPredicate = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	return e.ObjectOld.GetDeletionTimestamp() == nil && e.ObjectNew.GetDeletionTimestamp() != nil
}}

// clustersOf finds the Clusters that use a Secret.
func (r *Reconciler) clustersOf(ctx context.Context, secret client.Object) []reconcile.Request {
	if secret.GetNamespace() != v1alpha1.SystemNamespace {
		return nil
	}
	var all v1alpha1.ClusterList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var using []reconcile.Request
	for i := range all.Items {
		if all.Items[i].Spec.Connection.Credentials.SecretName == secret.GetName() {
			using = append(using, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
	}
	return using
}
