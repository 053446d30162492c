package member

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
)

func testPod(uid int, node, cpu, gpu string) *corev1.Pod {
	p := &corev1.Pod{}
	p.UID = types.UID(fmt.Sprintf("00000000-0000-0000-0000-%012d", uid))
	p.Name, p.Spec.NodeName = fmt.Sprint("pod-", uid), node
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")}
	if gpu != "" {
		requests["example.org/gpu"] = resource.MustParse(gpu)
	}
	p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: requests}}}
	return p
}

// TestRequestedIsTheSum lets pods come, change, move and go at random, and compares the running sums with a fresh
// count.
func TestRequestedIsTheSum(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := newCapacity()
	c.nodesKnown = true
	store := podStore{c}
	_ = store.Replace(nil, "")
	present := map[int]*corev1.Pod{}
	for step := range 5000 {
		id := random.IntN(40)
		switch p := testPod(id, []string{"", "n1", "n2"}[random.IntN(3)], fmt.Sprint(random.IntN(2000), "m"), []string{"", "1", "2"}[random.IntN(3)]); {
		case present[id] == nil:
			_ = store.Add(p)
			present[id] = p
		case random.IntN(3) == 0:
			_ = store.Delete(p)
			delete(present, id)
		default:
			_ = store.Update(p)
			present[id] = p
		}
		fresh := newCapacity()
		fresh.nodesKnown = true
		var list []any
		for _, p := range present {
			small, _, err := store.shrink(p)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, small)
		}
		_ = podStore{fresh}.Replace(list, "")
		_, got := c.figures()
		_, want := fresh.figures()
		for _, name := range []corev1.ResourceName{"cpu", "memory", "pods", "example.org/gpu"} {
			g, w := got.Requested[name], want.Requested[name]
			if g.Cmp(w) != 0 {
				t.Fatalf("step %d: %s: running %s, counted %s", step, name, g.String(), w.String())
			}
		}
	}
}

func TestFreeIsNeverNegative(t *testing.T) {
	got := free(corev1.ResourceList{"cpu": resource.MustParse("1"), "pods": resource.MustParse("5")},
		corev1.ResourceList{"cpu": resource.MustParse("3"), "pods": resource.MustParse("2")})
	if cpu, has := got["cpu"]; has {
		t.Errorf("cpu %s", cpu.String())
	}
	if pods := got["pods"]; pods.Value() != 3 {
		t.Errorf("pods %s", pods.String())
	}
}

// TestPodsAreSmall holds the doc's figure for what is kept of a pod.
func TestPodsAreSmall(t *testing.T) {
	const pods = 20000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	c := newCapacity()
	store := podStore{c}
	before := heap()
	for i := range pods {
		_ = store.Add(testPod(i, fmt.Sprint("node-", i%100), "100m", ""))
	}
	each := (heap() - before) / pods
	t.Logf("%d bytes a pod", each)
	if each > 250 {
		t.Errorf("%d bytes a pod", each)
	}
	runtime.KeepAlive(c)
}
