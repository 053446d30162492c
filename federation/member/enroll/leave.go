package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Withdraw takes the hub's account out of a member. The hub calls it with the account itself, after its copies have
// gone: one request deletes the ClusterRole, and the member's garbage collector removes what it owns, the namespace
// included. A cluster that is not (or no longer) a member of this hub is left alone. Nothing can be done in the
// member afterwards.
func Withdraw(ctx context.Context, member client.Client, hubUID string) error {
	var role rbacv1.ClusterRole
	err := member.Get(ctx, client.ObjectKey{Name: AccountName}, &role)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading ClusterRole %s: %w", AccountName, err)
	}
	if markOf(&role).hub != hubUID {
		return nil
	}
	err = member.Delete(ctx, &role, client.Preconditions{UID: &role.UID},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err := client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("deleting ClusterRole %s: %w", AccountName, err)
	}
	return nil
}

// LeaveRequest is what an unjoin is asked to do.
type LeaveRequest struct {
	// Name of the Cluster.
	Name string
	// Orphan leaves in the member what the hub put there, without our marks.
	Orphan bool
	// Force does not wait for the member: the Cluster goes although the member may keep copies and account.
	Force bool
	// Member, with Force, is an administrator's access to the member, to remove the account there; may be nil.
	Member *rest.Config
	// Poll is how often to look; one second if zero.
	Poll time.Duration
}

// Unjoin deletes a Cluster on the hub and waits until the hub has taken its copies and its account out of the member;
// ctx says how long. It reports what it waits for.
func Unjoin(ctx context.Context, hub *rest.Config, req LeaveRequest, report func(string)) error {
	h, err := newParty(hub, "hub")
	if err != nil {
		return err
	}
	if _, err := checkHub(ctx, h); err != nil {
		return err
	}
	cluster := &v1alpha1.Cluster{}
	err = h.Get(ctx, client.ObjectKey{Name: req.Name}, cluster)
	if apierrors.IsNotFound(err) {
		return &Problem{Reason: NotFound,
			What: fmt.Sprintf("there is no cluster %s on %s", req.Name, h.what), Next: "hanse clusters lists the members."}
	}
	if err != nil {
		return Diagnose(h.what, err)
	}
	if err := leave(ctx, h, cluster, req, report); err != nil {
		return err
	}
	return dropSecret(ctx, h, cluster)
}

func leave(ctx context.Context, hub *party, cluster *v1alpha1.Cluster, req LeaveRequest, report func(string)) error {
	if req.Orphan {
		before := cluster.DeepCopy()
		setAnnotations(cluster, map[string]string{v1alpha1.OnDeleteAnnotation: string(v1alpha1.OrphanCopies)})
		if err := hub.Patch(ctx, cluster, client.MergeFrom(before)); err != nil {
			return fmt.Errorf("marking Cluster %s: %w", cluster.Name, Diagnose(hub.what, err))
		}
	}
	if req.Force {
		if err := dropCluster(ctx, hub, cluster); err != nil {
			return fmt.Errorf("deleting Cluster %s: %w", cluster.Name, Diagnose(hub.what, err))
		}
		return withdrawByForce(ctx, hub, req, report)
	}
	if err := client.IgnoreNotFound(hub.Delete(ctx, cluster)); err != nil {
		return fmt.Errorf("deleting Cluster %s: %w", cluster.Name, Diagnose(hub.what, err))
	}
	return waitGone(ctx, hub, cluster, req.Poll, report)
}

// withdrawByForce does in the member what the hub cannot, if somebody lends an administrator's access.
func withdrawByForce(ctx context.Context, hub *party, req LeaveRequest, report func(string)) error {
	if req.Member == nil {
		report("note: the cluster may keep the hub's account and copies; kubectl delete clusterrole " + AccountName +
			" there removes the account")
		return nil
	}
	member, err := newParty(req.Member, "cluster")
	if err != nil {
		return err
	}
	report("removing the hub's account from " + member.what)
	if err := Withdraw(ctx, member.Client, hub.uid); err != nil {
		return Diagnose(member.what, err)
	}
	return nil
}

// waitGone waits for the hub's finalizer, and says what it says.
func waitGone(ctx context.Context, hub *party, cluster *v1alpha1.Cluster, poll time.Duration,
	report func(string)) error {

	if poll == 0 {
		poll = time.Second
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	said, uid := "", cluster.UID
	for {
		err := hub.Get(ctx, client.ObjectKeyFromObject(cluster), cluster)
		if apierrors.IsNotFound(err) || (err == nil && cluster.UID != uid) {
			return nil
		}
		if err == nil {
			if why := whyThere(cluster); why != said {
				report(why)
				said = why
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return &Problem{Reason: WaitEnded, What: fmt.Sprintf("%s is still leaving: %s", cluster.Name, said),
				Next: "The hub goes on with it. If the cluster is gone for good: hanse unjoin " + cluster.Name + " --force",
				Err:  errors.Unwrap(ctx.Err())}
		}
	}
}

// whyThere says why a deleted Cluster still is there.
func whyThere(cluster *v1alpha1.Cluster) string {
	if c := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ClusterConditionLeftovers); c != nil {
		return "the member stays until somebody decides about the leftovers there: " + c.Message
	}
	c := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ClusterConditionReady)
	if c != nil && c.Status != metav1.ConditionTrue {
		return fmt.Sprintf("waiting for the hub to clear the cluster (%s: %s)", c.Reason, c.Message)
	}
	return "waiting for the hub to remove its copies and its account from the cluster"
}

// dropCluster deletes a Cluster without waiting for the member: the finalizer goes as well.
func dropCluster(ctx context.Context, hub *party, cluster *v1alpha1.Cluster) error {
	if err := client.IgnoreNotFound(hub.Delete(ctx, cluster, client.Preconditions{UID: &cluster.UID})); err != nil {
		return err
	}
	for {
		err := hub.Get(ctx, client.ObjectKeyFromObject(cluster), cluster)
		if err != nil {
			return client.IgnoreNotFound(err)
		}
		if cluster.DeletionTimestamp == nil || !controllerutil.ContainsFinalizer(cluster, v1alpha1.MembershipFinalizer) {
			return nil
		}
		before := cluster.DeepCopy()
		controllerutil.RemoveFinalizer(cluster, v1alpha1.MembershipFinalizer)
		err = hub.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		if !apierrors.IsConflict(err) {
			return client.IgnoreNotFound(err)
		}
	}
}

// dropSecret deletes the credentials that Join made for the Cluster; others are their maker's business.
func dropSecret(ctx context.Context, hub *party, cluster *v1alpha1.Cluster) error {
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: v1alpha1.SystemNamespace, Name: cluster.Name}
	err := hub.Get(ctx, key, &secret)
	if apierrors.IsNotFound(err) || (err == nil && secret.Annotations[ClusterUIDAnnotation] == "") {
		return nil
	}
	if err == nil {
		err = client.IgnoreNotFound(hub.Delete(ctx, &secret, client.Preconditions{UID: &secret.UID}))
	}
	if err != nil {
		return fmt.Errorf("deleting Secret %s: %w", key, Diagnose(hub.what, err))
	}
	return nil
}
