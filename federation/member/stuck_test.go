package member

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A pod counts as stuck when the scheduler has found no node for a while; it counts for its Deployment, and no more
// once it has a node, is being deleted or is gone.
func TestStuck(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	controller := true
	waits := func(uid int, name string, since time.Time) *corev1.Pod {
		p := testPod(uid, "", "1", "")
		p.Namespace, p.Name = "shop", name
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			LastTransitionTime: metav1.NewTime(since),
		}}
		return p
	}
	ofDeployment := func(p *corev1.Pod) *corev1.Pod {
		p.Labels = map[string]string{"pod-template-hash": "abc"}
		p.OwnerReferences = []metav1.OwnerReference{
			{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-abc", Controller: &controller},
		}
		return p
	}
	c := newCapacity()
	store := podStore{c}
	first := ofDeployment(waits(1, "web-abc-1", start))
	_ = store.Replace([]any{first, ofDeployment(waits(2, "web-abc-2", start.Add(10*time.Second)))}, "")
	_ = store.Add(waits(3, "alone", start))
	_ = store.Add(testPod(4, "n1", "1", ""))

	web := Workload{GroupKind: schema.GroupKind{Group: "apps", Kind: "Deployment"}, Namespace: "shop", Name: "web"}
	alone := Workload{GroupKind: schema.GroupKind{Kind: "Pod"}, Namespace: "shop", Name: "alone"}
	steps := []struct {
		name  string
		do    func()
		after time.Duration
		want  map[Workload]int64
		next  time.Duration
	}{
		{"too early", func() {}, 29 * time.Second, nil, time.Second},
		{"the first two", func() {}, 31 * time.Second, map[Workload]int64{web: 1, alone: 1}, 9 * time.Second},
		{"all", func() {}, time.Minute, map[Workload]int64{web: 2, alone: 1}, 0},
		{"one finds a node", func() { first.Spec.NodeName = "n1"; _ = store.Update(first) }, time.Minute,
			map[Workload]int64{web: 1, alone: 1}, 0},
		{"one is gone", func() { _ = store.Delete(waits(3, "alone", start)) }, time.Minute, map[Workload]int64{web: 1}, 0},
		{"a new list", func() { _ = store.Replace(nil, "") }, time.Minute, nil, 0},
	}
	for _, step := range steps {
		step.do()
		got, next := c.stuck(start.Add(step.after))
		if diff := cmp.Diff(step.want, got); diff != "" || next != step.next {
			t.Errorf("%s: the next in %s, want %s (-want +got):\n%s", step.name, next, step.next, diff)
		}
	}
}
