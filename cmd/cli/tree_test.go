package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

func podIn(phase corev1.PodPhase, name string, change func(*corev1.PodStatus)) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.PodStatus{Phase: phase}}
	if change != nil {
		change(&p.Status)
	}
	return p
}

func TestTree(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	count := func(n int64) *int64 { return &n }
	d := &v1alpha1.Distribution{}
	d.Spec.Template.Kind, d.Spec.Template.Namespace, d.Spec.Template.Name = "Deployment", "shop", "web"
	d.Spec.Unplaced = 2
	d.Spec.Clusters = []v1alpha1.DistributionCluster{{Name: "new", Replicas: count(1)}}
	d.Status.Summary = "east=2/2,north=0/3,south=1/1,west=1/4"
	d.Status.Clusters = []v1alpha1.ClusterOutcome{
		{Name: "east", Desired: count(2), Ready: count(2), Verdict: "Unchanged", Health: "Healthy"},
		{Name: "north", Desired: count(3), Verdict: "Failed", Reason: "Forbidden", Message: "quota exceeded"},
		{Name: "south", Desired: count(1), Ready: count(1), Verdict: "Unchanged", Unknown: true,
			LastSeen: &metav1.Time{Time: noon.Add(-3 * time.Minute)}},
		{Name: "west", Desired: count(4), Ready: count(1), Verdict: "Configured", Health: "Progressing",
			HealthMessage: "1 of 4 are ready"},
	}
	waits := corev1.ContainerStatus{Name: "web", RestartCount: 7, State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"}}}
	waits.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}
	pulls := corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}}
	seen := map[string]insight{
		"east":  {pods: []corev1.Pod{podIn(corev1.PodRunning, "web-a", nil), podIn(corev1.PodRunning, "web-b", nil)}},
		"north": {err: errors.New("pods is forbidden")},
		"west": {pods: []corev1.Pod{
			podIn(corev1.PodRunning, "web-c", nil),
			podIn(corev1.PodRunning, "web-d", func(s *corev1.PodStatus) { s.ContainerStatuses = []corev1.ContainerStatus{waits} }),
			podIn(corev1.PodPending, "web-e", func(s *corev1.PodStatus) { s.ContainerStatuses = []corev1.ContainerStatus{pulls} }),
			podIn(corev1.PodPending, "web-f", func(s *corev1.PodStatus) {
				s.Conditions = []corev1.PodCondition{{Type: "PodScheduled", Status: "False", Reason: "Unschedulable",
					Message: "0/3 nodes are available"}}
			}),
			podIn(corev1.PodSucceeded, "web-g", nil),
			podIn(corev1.PodFailed, "web-h", func(s *corev1.PodStatus) { s.Reason, s.Message = "Evicted", "low on memory" }),
			podIn(corev1.PodRunning, "web-i", func(s *corev1.PodStatus) {
				s.Conditions = []corev1.PodCondition{{Type: "Ready", Status: "False", Reason: "ReadinessGatesNotReady"}}
			}),
			podIn(corev1.PodPending, "web-j", nil),
		}},
	}
	want := `deployment/web in shop: east=2/2,north=0/3,south=1/1,west=1/4
├─ east   2/2 ready, Unchanged, Healthy
│  └─ pods that are well: 2
├─ north  0/3 ready, Failed (Forbidden): quota exceeded
│  └─ its pods cannot be seen: pods is forbidden
├─ south  1/1 ready, Unchanged, Unknown since 3m ago
├─ west   1/4 ready, Configured, Progressing: 1 of 4 are ready
│  ├─ pod/web-d  CrashLoopBackOff: container web ended 7 times, last with exit code 137 (OOMKilled)
│  ├─ pod/web-e  ImagePullBackOff: container web: no such image
│  ├─ pod/web-f  Pending, Unschedulable: 0/3 nodes are available
│  ├─ pod/web-h  Evicted: low on memory
│  ├─ pod/web-i  Running, ReadinessGatesNotReady
│  ├─ and 1 more pods that are not well
│  └─ pods that are well: 2
├─ new    0/1 ready, Pending
└─ 2 replicas have no place: hanse explain deployment/web says why
`
	var got strings.Builder
	if err := tree(&got, d, seen, noon); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A table of several members, one of another version and one silent.
func TestMergeTables(t *testing.T) {
	columns := func(names ...string) []metav1.TableColumnDefinition {
		var all []metav1.TableColumnDefinition
		for _, name := range names {
			c := metav1.TableColumnDefinition{Name: strings.TrimSuffix(name, "*")}
			if c.Name != name {
				c.Priority = 1
			}
			all = append(all, c)
		}
		return all
	}
	row := func(cells ...any) metav1.TableRow {
		r := metav1.TableRow{Cells: cells}
		r.Object.Raw = []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"shop"}}`)
		return r
	}
	p := mergeTables([]string{"east", "north", "west"}, []*metav1.Table{
		{ColumnDefinitions: columns("Name", "Node*", "Restarts"), Rows: []metav1.TableRow{row("web-a", "n1", int64(1000000))}},
		nil,
		{ColumnDefinitions: columns("Name", "Restarts", "Extra"), Rows: []metav1.TableRow{row("web-b", int64(2), "x")}},
	}, true)
	want := [][]string{{"east", "shop", "web-a", "1000000", "n1"}, {"west", "shop", "web-b", "2", "<none>"}}
	if diff := cmp.Diff(want, p.rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"CLUSTER", "NAMESPACE", "NAME", "RESTARTS", "NODE"}, p.head); diff != "" || p.wide != 1 {
		t.Errorf("%d wide, (-want +got):\n%s", p.wide, diff)
	}
}

func TestSelectorOf(t *testing.T) {
	for _, c := range []struct {
		what string
		obj  map[string]any
		want string
	}{
		{"a Deployment", map[string]any{"spec": map[string]any{"selector": map[string]any{
			"matchLabels": map[string]any{"app": "web"}}}}, "app=web"},
		{"a Service", map[string]any{"spec": map[string]any{"selector": map[string]any{"app": "web"}}}, "app=web"},
		{"a custom resource with scale", map[string]any{"status": map[string]any{"selector": "app=web"}}, "app=web"},
		{"a ConfigMap", map[string]any{}, "it selects no pods; name one of its pods as pod/NAME"},
	} {
		got, err := selectorOf(c.obj)
		text := ""
		if err != nil {
			text = err.Error()
		} else {
			text = got.String()
		}
		if text != c.want {
			t.Errorf("%s: %q, want %q", c.what, text, c.want)
		}
	}
}
