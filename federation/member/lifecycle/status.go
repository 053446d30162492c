package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member"
)

// lastSeenLag is how old lastSeen may be while the member is ready. Ready says itself that the member answers now.
const lastSeenLag = 5 * time.Minute

// report writes what is seen of a member, if it differs from what is stored.
func (r *Reconciler) report(ctx context.Context, cluster *v1alpha1.Cluster, m *member.Member, problem error) error {
	status := statusOf(cluster, m, problem, r.Now())
	if sameStatus(cluster.Status, status) {
		return nil
	}
	cluster.Status = status
	return r.Client.Status().Update(ctx, cluster)
}

// setTooMuch tells of kinds of which the member sends too much.
func setTooMuch(status *v1alpha1.ClusterStatus, cluster *v1alpha1.Cluster, state member.State, now time.Time) {
	if state.TooMuch == "" {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ClusterConditionTooMuch)
		return
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ClusterConditionTooMuch, Status: metav1.ConditionTrue, Reason: "BeyondBounds", Message: state.TooMuch,
		ObservedGeneration: cluster.Generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	})
}

// statusOf is what is seen of a member now; figures that are not known yet stay what they were.
func statusOf(cluster *v1alpha1.Cluster, m *member.Member, problem error, now time.Time) v1alpha1.ClusterStatus {
	status := *cluster.Status.DeepCopy()
	status.Conditions = slices.Clone(status.Conditions)
	ready := metav1.Condition{
		Type:               v1alpha1.ClusterConditionReady,
		Status:             metav1.ConditionFalse,
		ObservedGeneration: cluster.Generation,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	}
	switch {
	case problem != nil:
		ready.Reason, ready.Message = "InvalidConfig", problem.Error()
	case m == nil:
		ready.Reason, ready.Message = "Connecting", "the connection is being made"
	default:
		state := m.State()
		if state.Phase == member.Unknown {
			return status // the first answer is near; what was stored stands until then
		}
		fill(&status, state)
		setTooMuch(&status, cluster, state, now)
		ready.Reason, ready.Message = string(state.Reason), state.Message
		if state.IsReady() {
			ready.Status = metav1.ConditionTrue
		}
		for _, c := range evidence(state) {
			c.ObservedGeneration, c.LastTransitionTime = ready.ObservedGeneration, ready.LastTransitionTime
			c.Message = printable.Text(c.Message)
			meta.SetStatusCondition(&status.Conditions, c)
		}
	}
	if cluster.Spec.Connection.InsecureSkipTLSVerify {
		ready.Message = fmt.Sprintf("%s (INSECURE: the member's certificate is not checked)", ready.Message)
	}
	ready.Message = printable.Text(ready.Message)
	meta.SetStatusCondition(&status.Conditions, ready)
	return status
}

// evidence is what is known of a member beside whether it can be worked with: which of these fails decides whether what
// runs there counts as lost.
func evidence(state member.State) []metav1.Condition {
	reachable := metav1.Condition{Type: v1alpha1.ClusterConditionReachable, Status: metav1.ConditionTrue,
		Reason: "Answers", Message: "something answers at the member's address"}
	if state.IsLost() {
		reachable.Status, reachable.Reason, reachable.Message = metav1.ConditionFalse, string(state.Reason), state.Message
	}
	authorized := metav1.Condition{Type: v1alpha1.ClusterConditionAuthorized, Status: metav1.ConditionUnknown,
		Reason: "NotAsked", Message: "the member cannot be asked"}
	switch {
	case state.IsReady():
		authorized.Status, authorized.Reason, authorized.Message = metav1.ConditionTrue, "Accepted", "the member accepts the hub"
	case state.Reason.IsRefusal():
		authorized.Status, authorized.Reason, authorized.Message = metav1.ConditionFalse, string(state.Reason), state.Message
	}
	told := []metav1.Condition{reachable, authorized}
	nodes := state.Nodes
	switch { // what was seen last stays until the nodes are seen again
	case !state.IsReady() || !nodes.Known || nodes.Message != "":
	case nodes.Total > 0 && nodes.Ready == 0:
		told = append(told, metav1.Condition{Type: v1alpha1.ClusterConditionHealthy, Status: metav1.ConditionFalse,
			Reason: "NodesNotReady", Message: fmt.Sprintf("none of %d nodes is ready; what runs there counts as lost", nodes.Total)})
	default:
		told = append(told, metav1.Condition{Type: v1alpha1.ClusterConditionHealthy, Status: metav1.ConditionTrue,
			Reason: "NodesReady", Message: "nodes are ready, or the member has none of its own"})
	}
	return told
}

// fill takes over the figures that are known.
func fill(status *v1alpha1.ClusterStatus, state member.State) {
	if state.ClusterUID != "" {
		status.UID = state.ClusterUID
	}
	if state.KubernetesVersion != "" {
		status.KubernetesVersion = state.KubernetesVersion
	}
	if !state.LastSeen.IsZero() {
		seen := metav1.NewTime(state.LastSeen.Truncate(time.Second))
		status.LastSeen = &seen
	}
	if state.Nodes.Known {
		status.Nodes = &v1alpha1.NodeSummary{Total: state.Nodes.Total, Ready: state.Nodes.Ready}
	}
	if state.Resources.Known {
		status.Resources = &v1alpha1.ResourceSummary{
			Allocatable: state.Resources.Allocatable,
			Requested:   state.Resources.Requested,
			Available:   state.Resources.Available,
		}
	}
	if state.APIs.Count > 0 {
		status.APIs = &v1alpha1.APISummary{Hash: state.APIs.Hash, Count: int32(state.APIs.Count)}
	}
}

// sameStatus compares what matters: lastSeen may lag while the member is ready.
func sameStatus(old, now v1alpha1.ClusterStatus) bool {
	if old.LastSeen != nil && now.LastSeen != nil && meta.IsStatusConditionTrue(now.Conditions, v1alpha1.ClusterConditionReady) &&
		now.LastSeen.Sub(old.LastSeen.Time) < lastSeenLag {
		now.LastSeen = old.LastSeen
	}
	return equality.Semantic.DeepEqual(old, now)
}
