package member

import (
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// stuckAfter is how long the member's scheduler may find no node for a pod before the pod counts as stuck. An old pod
// that makes room for it is given half a minute to end (the default grace period), and a new node may be on its way.
const stuckAfter = 30 * time.Second

// Workload names what pods belong to: the Deployment, not its ReplicaSet.
type Workload struct {
	schema.GroupKind
	Namespace, Name string
}

// waiting is a pod for which the scheduler finds no node.
type waiting struct {
	of    Workload
	since time.Time
}

// waitingOf says whether, and since when, a pod waits for a node; nil for almost all.
func waitingOf(p *corev1.Pod) *waiting {
	if p.Spec.NodeName != "" || p.DeletionTimestamp != nil {
		return nil
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return &waiting{of: workloadOf(p), since: c.LastTransitionTime.Time}
		}
	}
	return nil
}

// workloadOf is the pod's owner. That of a Deployment's pod is a ReplicaSet that is named after it and its template's
// hash, which the pod carries as a label.
func workloadOf(p *corev1.Pod) Workload {
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		return Workload{GroupKind: schema.GroupKind{Kind: "Pod"}, Namespace: p.Namespace, Name: p.Name}
	}
	if !IsName(owner.Name) || !IsName(owner.Kind) || len(owner.APIVersion) > 2*maxName {
		return Workload{GroupKind: schema.GroupKind{Kind: "Pod"}, Namespace: p.Namespace, Name: p.Name}
	}
	w := Workload{
		GroupKind: schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind(),
		Namespace: p.Namespace, Name: owner.Name,
	}
	if hash := p.Labels["pod-template-hash"]; hash != "" && owner.Kind == "ReplicaSet" {
		if name, cut := strings.CutSuffix(owner.Name, "-"+hash); cut {
			w.Kind, w.Name = "Deployment", name
		}
	}
	return w
}

// stuck counts the pods that have waited too long, and tells when the next one will have; 0 if there is none.
func (c *capacity) stuck(now time.Time) (stuck map[Workload]int64, next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.waiting {
		left := w.since.Add(stuckAfter).Sub(now)
		if left > 0 {
			if next == 0 || left < next {
				next = left
			}
			continue
		}
		if stuck == nil {
			stuck = map[Workload]int64{}
		}
		stuck[w.of]++
	}
	return stuck, next
}

// Stuck is how many pods of each workload the member's scheduler has not found a node for in a while. OnChange tells of
// changes. It is empty while pods cannot be read.
func (m *Member) Stuck() map[Workload]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.figures.stuck)
}
