package lifecycle

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// stored is a Cluster of which everything is known.
func stored() *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "east", Generation: 4}}
	c.Status = v1alpha1.ClusterStatus{
		UID: "uid", KubernetesVersion: "v1.36.0", LastSeen: &metav1.Time{Time: noon.Add(-time.Hour)},
		Nodes: &v1alpha1.NodeSummary{Total: 3, Ready: 3}, APIs: &v1alpha1.APISummary{Hash: "a", Count: 60},
		Conditions: []metav1.Condition{{
			Type: "Ready", Status: "True", Reason: "Reachable", LastTransitionTime: metav1.NewTime(noon.Add(-time.Hour)),
		}},
	}
	return c
}

// What is not known now stays what it was; only the condition tells what is wrong.
func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		what     string
		problem  error
		insecure bool
		want     string
	}{
		{"no connection yet", nil, false, "False Connecting: the connection is being made"},
		{"a spec that cannot be used", errors.New("spec.connection.server: is empty; hanse join fills it in"), false,
			"False InvalidConfig: spec.connection.server: is empty; hanse join fills it in"},
		{"unchecked certificates are told", nil, true,
			"False Connecting: the connection is being made (INSECURE: the member's certificate is not checked)"},
	} {
		cluster := stored()
		cluster.Spec.Connection.InsecureSkipTLSVerify = c.insecure
		got := statusOf(cluster, nil, c.problem, noon)
		ready := meta.FindStatusCondition(got.Conditions, "Ready")
		if told := string(ready.Status) + " " + ready.Reason + ": " + ready.Message; told != c.want {
			t.Errorf("%s: %s, want %s", c.what, told, c.want)
		}
		if ready.ObservedGeneration != 4 || !ready.LastTransitionTime.Time.Equal(noon) {
			t.Errorf("%s: generation %d since %s", c.what, ready.ObservedGeneration, ready.LastTransitionTime)
		}
		got.Conditions, cluster.Status.Conditions = nil, nil
		if diff := cmp.Diff(cluster.Status, got); diff != "" {
			t.Errorf("%s: figures changed:\n%s", c.what, diff)
		}
	}
}

// A member that does not answer keeps its figures, and what was stored stands until that is sure.
func TestStatusOfUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	changed := make(chan struct{}, 1)
	m := member.Connect(t.Context(), member.Spec{
		Name:   "east",
		Config: member.Config{Server: "https://" + address},
		Probe:  member.Probe{FailingInterval: time.Millisecond, Failures: 2},
	}, member.Options{OnChange: func(member.Name) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}})
	deadline := time.After(30 * time.Second)
	for {
		phase, got := m.State().Phase, statusOf(stored(), m, nil, noon)
		if phase == member.Unknown && m.State().Phase == member.Unknown {
			if diff := cmp.Diff(stored().Status, got); diff != "" {
				t.Errorf("nothing is known yet, and the status changed:\n%s", diff)
			}
		}
		if phase == member.Unreachable {
			ready := meta.FindStatusCondition(got.Conditions, "Ready")
			if ready.Status != "False" || ready.Reason != string(member.ReasonRefused) || ready.Message == "" {
				t.Errorf("Ready is %+v", ready)
			}
			if got.Nodes.Total != 3 || got.KubernetesVersion != "v1.36.0" || !got.LastSeen.Time.Equal(noon.Add(-time.Hour)) {
				t.Errorf("the figures went: %+v", got)
			}
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the member is %+v", m.State())
		}
	}
}

func TestFill(t *testing.T) {
	got := stored().Status
	fill(&got, member.State{})
	if diff := cmp.Diff(stored().Status, got); diff != "" {
		t.Errorf("nothing is known, and the status changed:\n%s", diff)
	}
	some := corev1.ResourceList{"cpu": resource.MustParse("2")}
	fill(&got, member.State{
		ClusterUID: "other", KubernetesVersion: "v1.37.2", LastSeen: noon.Add(time.Millisecond),
		Nodes:     member.Nodes{Known: true}, // a member without nodes has none, that is known
		Resources: member.Resources{Known: true, Allocatable: some, Requested: some, Available: some},
		APIs:      member.APIs{Hash: "b", Count: 61},
	})
	want := v1alpha1.ClusterStatus{
		UID: "other", KubernetesVersion: "v1.37.2", LastSeen: &metav1.Time{Time: noon}, Nodes: &v1alpha1.NodeSummary{},
		Resources:  &v1alpha1.ResourceSummary{Allocatable: some, Requested: some, Available: some},
		APIs:       &v1alpha1.APISummary{Hash: "b", Count: 61},
		Conditions: stored().Status.Conditions,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// lastSeen alone is written every few minutes while all is well, and at once when it is not.
func TestSameStatus(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*v1alpha1.ClusterStatus)
		same   bool
	}{
		{"nothing", func(*v1alpha1.ClusterStatus) {}, true},
		{"seen again", func(s *v1alpha1.ClusterStatus) { s.LastSeen.Time = s.LastSeen.Add(4 * time.Minute) }, true},
		{"seen after a while", func(s *v1alpha1.ClusterStatus) { s.LastSeen.Time = s.LastSeen.Add(5 * time.Minute) }, false},
		{"seen last when it was lost", func(s *v1alpha1.ClusterStatus) {
			s.LastSeen.Time = s.LastSeen.Add(time.Minute)
			s.Conditions[0].Status = "False"
		}, false},
		{"a node less", func(s *v1alpha1.ClusterStatus) { s.Nodes.Ready-- }, false},
		{"another version", func(s *v1alpha1.ClusterStatus) { s.KubernetesVersion = "v1.37.0" }, false},
		{"a quantity in other words", func(s *v1alpha1.ClusterStatus) {
			s.Resources = &v1alpha1.ResourceSummary{Available: corev1.ResourceList{"cpu": resource.MustParse("1000m")}}
		}, true},
	} {
		old, now := stored().Status, stored().Status
		if c.what == "a quantity in other words" {
			old.Resources = &v1alpha1.ResourceSummary{Available: corev1.ResourceList{"cpu": resource.MustParse("1")}}
		}
		c.change(&now)
		if got := sameStatus(old, now); got != c.same {
			t.Errorf("%s: the same %t, want %t", c.what, got, c.same)
		}
	}
}
