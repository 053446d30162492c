package schedule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

var began = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func eastern() *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{}
	c.Name = "east"
	c.Labels = map[string]string{"env": "prod"}
	c.Spec.Region, c.Spec.Zones, c.Spec.Provider = "eu", []string{"eu-a", "eu-b"}, "acme"
	added := metav1.NewTime(began)
	c.Spec.Taints = []v1alpha1.Taint{{Key: "gpu", Value: "yes", Effect: "NoExecute", TimeAdded: &added}}
	c.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "True", LastTransitionTime: added}}
	c.Status.Nodes = &v1alpha1.NodeSummary{Total: 3, Ready: 2}
	c.Status.Resources = &v1alpha1.ResourceSummary{Available: corev1.ResourceList{
		"cpu": resource.MustParse("1500m"), "memory": resource.MustParse("1Gi"), "pods": resource.MustParse("20"),
		"storage": resource.MustParse("1Ti"), "acme.io/gpu": resource.MustParse("2"),
	}}
	c.Status.APIs = &v1alpha1.APISummary{Hash: "a", Count: 60}
	return c
}

func TestFactsOf(t *testing.T) {
	want := placement.Cluster{
		Name: "east", Region: "eu", Zones: []string{"eu-a", "eu-b"}, Provider: "acme", Ready: true, Since: began,
		Labels: map[string]string{
			"env": "prod", "hanse.io/cluster": "east", "topology.kubernetes.io/region": "eu", "hanse.io/provider": "acme",
		},
		Taints: []placement.Taint{{Key: "gpu", Value: "yes", Effect: "NoExecute", TimeAdded: began}},
		Free: []placement.Room{{Nodes: 1, Resources: placement.Resources{
			MilliCPU: 1500, Memory: 1 << 30, Pods: 20, Extended: map[string]int64{"acme.io/gpu": 2},
		}}},
	}
	c := eastern()
	if diff := cmp.Diff(want, factsOf(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, added := c.Labels[labelName]; added {
		t.Error("the Cluster's own labels were changed")
	}
}

// A label that somebody set stands, and a member without nodes, or of which nothing is known, has no figure.
func TestFactsOfOddMembers(t *testing.T) {
	c := eastern()
	c.Labels[labelRegion] = "mine"
	if got := factsOf(c).Labels[labelRegion]; got != "mine" {
		t.Errorf("the region's label is %q", got)
	}
	c.Status.Nodes.Total = 0
	if free := factsOf(c).Free; free != nil {
		t.Errorf("a member without nodes has room for %v", free)
	}
	if facts := factsOf(&v1alpha1.Cluster{}); facts.Ready || facts.Free != nil {
		t.Errorf("a member that was never seen is %+v", facts)
	}
}

func TestFleetFacts(t *testing.T) {
	west, north := *eastern(), *eastern()
	west.Name, north.Name = "west", "north"
	now := metav1.NewTime(began)
	north.DeletionTimestamp = &now
	var names []string
	for _, c := range fleetFacts([]v1alpha1.Cluster{west, north, *eastern()}) {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"east", "west"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a change of a Cluster can do to decisions: nothing, room, what it may get, or whether it is chosen at all.
func TestEffectOf(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*v1alpha1.Cluster)
		want   effect
	}{
		{"nothing", func(*v1alpha1.Cluster) {}, noEffect},
		{"seen again", func(c *v1alpha1.Cluster) { c.Status.LastSeen = &metav1.Time{Time: began} }, noEffect},
		{"free room", func(c *v1alpha1.Cluster) {
			c.Status.Resources.Available["cpu"] = resource.MustParse("1")
		}, roomEffect},
		{"address", func(c *v1alpha1.Cluster) { c.Spec.Connection.Server = "https://other" }, noEffect},
		{"an annotation", func(c *v1alpha1.Cluster) { c.Annotations = map[string]string{"a": "b"} }, noEffect},
		{"a label", func(c *v1alpha1.Cluster) { c.Labels["env"] = "test" }, choiceEffect},
		{"region", func(c *v1alpha1.Cluster) { c.Spec.Region = "us" }, choiceEffect},
		{"zones", func(c *v1alpha1.Cluster) { c.Spec.Zones = nil }, choiceEffect},
		{"provider", func(c *v1alpha1.Cluster) { c.Spec.Provider = "other" }, choiceEffect},
		{"a taint", func(c *v1alpha1.Cluster) { c.Spec.Taints = nil }, memberEffect},
		{"cordoned", func(c *v1alpha1.Cluster) { c.Spec.Unschedulable = true }, memberEffect},
		{"paused", func(c *v1alpha1.Cluster) { c.Spec.Paused = true }, memberEffect},
		{"lost", func(c *v1alpha1.Cluster) { c.Status.Conditions[0].Status = "False" }, memberEffect},
		{"its first figures", func(c *v1alpha1.Cluster) { c.Status.Nodes.Total = 0 }, memberEffect},
		{"other kinds", func(c *v1alpha1.Cluster) { c.Status.APIs.Hash = "b" }, memberEffect},
		{"leaving", func(c *v1alpha1.Cluster) { c.DeletionTimestamp = &metav1.Time{Time: began} }, choiceEffect},
	} {
		now := eastern()
		c.change(now)
		if got := effectOf(eastern(), now); got != c.want {
			t.Errorf("%s: the effect is %d, want %d", c.what, got, c.want)
		}
		if got := effectOf(now, eastern()); got != c.want {
			t.Errorf("%s, undone: the effect is %d, want %d", c.what, got, c.want)
		}
	}
	if effectOf(nil, eastern()) != choiceEffect || effectOf(eastern(), nil) != choiceEffect {
		t.Error("a member that comes or goes changes nothing")
	}
}

func TestIsWritten(t *testing.T) {
	web := func() *unstructured.Unstructured {
		obj := &unstructured.Unstructured{Object: map[string]any{}}
		obj.SetUID("one")
		obj.SetGeneration(3)
		obj.SetLabels(map[string]string{"app": "web"})
		obj.SetFinalizers([]string{v1alpha1.CopiesFinalizer})
		return obj
	}
	for _, c := range []struct {
		what    string
		change  func(*unstructured.Unstructured)
		written bool
	}{
		{"status", func(o *unstructured.Unstructured) { o.Object["status"] = map[string]any{"replicas": int64(1)} }, false},
		{"resource version", func(o *unstructured.Unstructured) { o.SetResourceVersion("9") }, false},
		{"spec", func(o *unstructured.Unstructured) { o.SetGeneration(4) }, true},
		{"label", func(o *unstructured.Unstructured) { o.SetLabels(nil) }, true},
		{"annotation", func(o *unstructured.Unstructured) { o.SetAnnotations(map[string]string{"a": "b"}) }, true},
		{"finalizer", func(o *unstructured.Unstructured) { o.SetFinalizers(nil) }, true},
		{"deleted", func(o *unstructured.Unstructured) { o.SetDeletionTimestamp(&metav1.Time{Time: began}) }, true},
		{"made again", func(o *unstructured.Unstructured) { o.SetUID("two") }, true},
		{"a kind without generation", func(o *unstructured.Unstructured) { o.SetGeneration(0) }, true},
	} {
		now := web()
		c.change(now)
		if got := isWritten(web(), now); got != c.written {
			t.Errorf("%s: written %t, want %t", c.what, got, c.written)
		}
	}
}

func TestPodLabels(t *testing.T) {
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "web"}}},
	}}}
	if diff := cmp.Diff("app=web", podLabels(obj).String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := podLabels(&unstructured.Unstructured{Object: map[string]any{}}); len(got) > 0 {
		t.Errorf("what has no pods has the labels %v", got)
	}
}

// A member counts as lost by its network or its nodes, never by a refusal or a wrong answer.
func TestContactOf(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 28, 12, minute, 0, 0, time.UTC) }
	condition := func(kind string, status metav1.ConditionStatus, minute int) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, LastTransitionTime: metav1.NewTime(at(minute))}
	}
	for _, row := range []struct {
		what       string
		conditions []metav1.Condition
		ready      bool
		since      time.Time
	}{
		{"nothing is known", nil, false, time.Time{}},
		{"well", []metav1.Condition{condition("Ready", "True", 1), condition("Reachable", "True", 0), condition("Healthy", "True", 0)},
			true, at(1)},
		{"its nodes came back", []metav1.Condition{condition("Ready", "True", 1), condition("Healthy", "True", 5)}, true, at(5)},
		{"its nodes are not seen", []metav1.Condition{condition("Ready", "True", 1), condition("Healthy", "Unknown", 5)}, true, at(1)},
		{"no contact", []metav1.Condition{condition("Ready", "False", 1), condition("Reachable", "False", 3)}, false, at(3)},
		{"a broken token", []metav1.Condition{condition("Ready", "False", 1), condition("Reachable", "True", 0)}, false, time.Time{}},
		{"no node is ready", []metav1.Condition{condition("Ready", "True", 1), condition("Reachable", "True", 0),
			condition("Healthy", "False", 4)}, false, at(4)},
		{"stored by an older hub", []metav1.Condition{condition("Ready", "False", 1)}, false, at(1)},
	} {
		c := &v1alpha1.Cluster{}
		c.Status.Conditions = row.conditions
		if ready, since := contactOf(c); ready != row.ready || !since.Equal(row.since) {
			t.Errorf("%s: ready %t since %s, want %t since %s", row.what, ready, since, row.ready, row.since)
		}
	}
}
