package lifecycle

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/member/enroll"
	"github.com/hanse-federation/hanse/federation/member/orphans"
	"github.com/hanse-federation/hanse/federation/template"
)

// Reconciler keeps one Cluster at a time.
type Reconciler struct {
	// Client writes Clusters, and reads them, their Secrets and the Distributions from the cache.
	Client client.Client
	Fleet  *member.Fleet
	// Hub is the UID of the hub's kube-system namespace.
	Hub    string
	Logger *slog.Logger
	Now    func() time.Time
}

var _ reconcile.Reconciler = &Reconciler{}

// Reconcile brings the connection and the status of one Cluster up to date.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cluster := &v1alpha1.Cluster{}
	err := r.Client.Get(ctx, request.NamespacedName, cluster)
	if apierrors.IsNotFound(err) {
		r.Fleet.Drop(member.Name(request.Name))
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading cluster %s: %w", request.Name, err)
	}
	if cluster.DeletionTimestamp == nil && controllerutil.AddFinalizer(cluster, v1alpha1.MembershipFinalizer) {
		if err := r.Client.Update(ctx, cluster); err != nil {
			return again(err, "adding the finalizer of cluster "+request.Name)
		}
	}
	spec, problem := enroll.Connection(ctx, r.Client, cluster)
	if problem == nil {
		r.Fleet.Keep(spec)
	} else {
		r.Fleet.Drop(member.Name(cluster.Name))
	}
	connected, _ := r.Fleet.Get(member.Name(cluster.Name))
	if err := r.report(ctx, cluster, connected, problem); err != nil {
		return again(err, "writing the status of cluster "+request.Name)
	}
	if cluster.DeletionTimestamp != nil {
		return r.end(ctx, cluster, connected)
	}
	return reconcile.Result{RequeueAfter: min(r.renew(ctx, cluster, connected), lastSeenLag)}, nil
}

// again turns a conflict with another writer into another look.
func again(err error, what string) (reconcile.Result, error) {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return reconcile.Result{RequeueAfter: cacheLag}, nil
	}
	return reconcile.Result{}, fmt.Errorf("%s: %w", what, err)
}

// cacheLag is how long the cache is given to catch up with a write of our own.
const cacheLag = 20 * time.Millisecond

const (
	// rotationCheck is how often a token without a stated end is looked at, rotationRetry how soon after a failure.
	rotationCheck = 6 * time.Hour
	rotationRetry = 10 * time.Minute
	// endPoll is how often a Cluster that is leaving is looked at.
	endPoll = time.Second
)

// renew replaces the hub's token in time and tells when to look again.
func (r *Reconciler) renew(ctx context.Context, cluster *v1alpha1.Cluster, m *member.Member) time.Duration {
	if m == nil || !m.State().IsReady() {
		return rotationRetry
	}
	access, err := client.New(m.REST(), client.Options{Scheme: r.Client.Scheme(), Mapper: m.Mapper()})
	if err != nil {
		r.Logger.Error("making a client for a member", "member", cluster.Name, "error", err)
		return rotationRetry
	}
	next, err := enroll.RotateToken(ctx, r.Client, access, cluster.Name, r.Now())
	switch {
	case apierrors.IsNotFound(err) || err == nil && next.IsZero():
		return rotationCheck
	case err != nil:
		r.Logger.Warn("renewing the token of a member; the old one is kept", "member", cluster.Name, "error", err)
		return rotationRetry
	}
	return max(time.Minute, min(next.Sub(r.Now()), rotationCheck))
}

// end takes the hub out of the member when nothing of ours is there any more.
func (r *Reconciler) end(ctx context.Context, cluster *v1alpha1.Cluster, m *member.Member) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(cluster, v1alpha1.MembershipFinalizer) {
		return reconcile.Result{}, nil
	}
	isUsed, err := r.isUsed(ctx, cluster.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	if isUsed || m == nil || !m.State().IsReady() {
		return reconcile.Result{RequeueAfter: endPoll}, nil
	}
	if cluster.Status.Leftovers != nil { // not left behind with our mark, and not removed unasked either
		return reconcile.Result{RequeueAfter: endPoll}, nil
	}
	// The namespaces are the last of our work there: without the account nobody could remove them.
	if left := apply.LeaveNamespaces(ctx, m, apply.Hub(r.Hub)); left.Verdict != apply.Deleted {
		r.Logger.Info("a member is leaving", "member", cluster.Name, "waiting", left.Message)
		return reconcile.Result{RequeueAfter: endPoll}, nil
	}
	found, err := orphans.Find(ctx, m, apply.Hub(r.Hub), func(ref template.Ref, made types.UID) bool {
		return isKnown(ctx, r.Client, cluster.Name, ref, made)
	})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("looking for what is left over in member %s: %w", cluster.Name, err)
	}
	if len(found) > 0 {
		return reconcile.Result{RequeueAfter: lookSoon}, nil // Leftovers tells of them soon
	}
	access, err := client.New(m.REST(), client.Options{Scheme: r.Client.Scheme(), Mapper: m.Mapper()})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("making a client for member %s: %w", cluster.Name, err)
	}
	if err := enroll.Withdraw(ctx, access, r.Hub); err != nil {
		return reconcile.Result{}, fmt.Errorf("leaving member %s: %w", cluster.Name, err)
	}
	controllerutil.RemoveFinalizer(cluster, v1alpha1.MembershipFinalizer)
	if err := r.Client.Update(ctx, cluster); err != nil {
		return again(err, "removing the finalizer of cluster "+cluster.Name)
	}
	r.Logger.Info("a member left", "member", cluster.Name)
	return reconcile.Result{}, nil
}

// isUsed reports whether a Distribution names the member.
func (r *Reconciler) isUsed(ctx context.Context, name string) (bool, error) {
	var all v1alpha1.DistributionList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("listing distributions: %w", err)
	}
	for i := range all.Items {
		if names(&all.Items[i], name) {
			return true, nil
		}
	}
	return false, nil
}
