package collect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template/match"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// distributed is a Deployment with a share and an outcome a member: "east=4/3 Created".
func distributed(name string, members ...string) v1alpha1.Distribution {
	d := v1alpha1.Distribution{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "deployment.apps-" + name}}
	d.Spec.Template = v1alpha1.TemplateReference{Kind: "Deployment", Name: name}
	d.Spec.Placement = v1alpha1.PlacementReference{Kind: "Placement", Name: "web"}
	for _, m := range members {
		words := strings.Fields(m + " ")
		var replicas, ready int64
		cluster, figures, _ := strings.Cut(words[0], "=")
		if _, err := fmt.Sscanf(figures, "%d/%d", &replicas, &ready); err != nil {
			panic(err)
		}
		d.Spec.Clusters = append(d.Spec.Clusters, v1alpha1.DistributionCluster{Name: cluster, Replicas: &replicas})
		if len(words) > 1 {
			d.Status.Clusters = append(d.Status.Clusters, v1alpha1.ClusterOutcome{
				Name: cluster, Ready: ptr.To(ready), Verdict: v1alpha1.Verdict(words[1]), Unknown: words[1] == "Unknown",
				Reason: "Because", Message: "of " + name,
			})
		}
	}
	return d
}

// with gives a Distribution a condition.
func with(
	d v1alpha1.Distribution, kind string, status metav1.ConditionStatus, reason, message string,
) v1alpha1.Distribution {
	c := metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
	meta.SetStatusCondition(&d.Status.Conditions, c)
	return d
}

func TestPlacementClusters(t *testing.T) {
	all := []v1alpha1.Distribution{
		distributed("web", "east=4/3 Created", "west=2/2 Unknown", "south=1/0"),
		distributed("api", "east=1/1 Unchanged", "west=1/0 Failed", "north=1/0 Pending"),
	}
	all[0].Spec.Unplaced, all[1].Spec.Unplaced = 2, 1
	got := placementStatus(v1alpha1.PlacementStatus{}, all, nil, 3, nil, noon)
	want := []v1alpha1.PlacementCluster{
		{Name: "east", Replicas: 5, Ready: 4, State: "Applied"},
		{Name: "north", Replicas: 1, State: "Pending", Reason: "Because", Message: "of api"},
		{Name: "south", Replicas: 1, State: "Pending", Reason: "NotApplied"},
		{Name: "west", Replicas: 3, Ready: 2, State: "Failed", Reason: "Because", Message: "of api"}, // the worst stands
	}
	if diff := cmp.Diff(want, got.Clusters); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var decisions []string
	for _, d := range got.Decisions {
		decisions = append(decisions, d.ClusterName)
	}
	if diff := cmp.Diff([]string{"east", "north", "south", "west"}, decisions); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
	if got.Objects != 2 || got.Unplaced != 3 || got.ObservedGeneration != 3 {
		t.Errorf("%d objects, %d unplaced, generation %d", got.Objects, got.Unplaced, got.ObservedGeneration)
	}
}

// Conditions of a placement, as a user reads them.
func TestPlacementConditions(t *testing.T) {
	healthy := func(name string) v1alpha1.Distribution {
		d := distributed(name)
		for _, kind := range []string{"Scheduled", "Applied", "Ready"} {
			d = with(d, kind, metav1.ConditionTrue, "Good", "")
		}
		return d
	}
	many := func(n int) (all []v1alpha1.Distribution) {
		for i := range n {
			all = append(all, with(healthy(fmt.Sprintf("web-%d", i)), "Ready", metav1.ConditionFalse, "Degraded", "ill"))
		}
		return all
	}
	for _, c := range []struct {
		what      string
		all, lost []v1alpha1.Distribution
		problem   error
		kind      string
		want      string
	}{
		{"nothing selected", nil, nil, nil, "Scheduled", "False NothingSelected: no object of the hub is selected"},
		{"all is well", []v1alpha1.Distribution{healthy("web"), healthy("api")}, nil, nil, "Ready", "True AllObjects: "},
		{"no report yet", []v1alpha1.Distribution{healthy("web"), distributed("api")}, nil, nil, "Applied",
			"False NotReported: Deployment api: is not reported yet"},
		{"a note on something good", []v1alpha1.Distribution{
			with(healthy("web"), "Scheduled", metav1.ConditionTrue, "Placed", "there is no cluster mars"), healthy("api"),
		}, nil, nil, "Scheduled", "True AllObjects: Deployment web: there is no cluster mars"},
		{"unknown", []v1alpha1.Distribution{with(healthy("web"), "Ready", metav1.ConditionUnknown, "Unknown", "west: lost")},
			nil, nil, "Ready", "Unknown Unknown: Deployment web: west: lost"},
		{"many", many(7), nil, nil, "Ready", "False Degraded: Deployment web-0: ill; Deployment web-1: ill; " +
			"Deployment web-2: ill; Deployment web-3: ill; Deployment web-4: ill; and 2 more"},
		{"a placement that cannot be read", []v1alpha1.Distribution{healthy("web")}, nil, fmt.Errorf("spec.maxMoves: what?"),
			"Scheduled", "False Invalid: spec.maxMoves: what?"},
		{"which says nothing of what was applied", []v1alpha1.Distribution{healthy("web")}, nil, fmt.Errorf("what?"),
			"Applied", "True AllObjects: "},
		{"an older placement has it", nil, []v1alpha1.Distribution{healthy("web")}, nil, "Scheduled",
			"False Contested: Deployment web is claimed by the older Placement web as well, which keeps it; " +
				"delete one of the placements or give them different resources"},
		{"older placements have many", nil, many(7), nil, "Scheduled", "False Contested: " +
			strings.Repeat("Deployment web-# is claimed by the older Placement web as well, which keeps it; ", 5) +
			"and 2 more; delete one of the placements or give them different resources"},
	} {
		got := placementStatus(v1alpha1.PlacementStatus{}, c.all, c.lost, 3, c.problem, noon)
		condition := meta.FindStatusCondition(got.Conditions, c.kind)
		told := fmt.Sprintf("%s %s: %s", condition.Status, condition.Reason, condition.Message)
		if strings.Contains(c.want, "#") {
			for i := range 7 {
				told = strings.Replace(told, fmt.Sprintf("web-%d", i), "web-#", 1)
			}
		}
		if told != c.want {
			t.Errorf("%s: %s\n%s\nwant\n%s", c.what, c.kind, told, c.want)
		}
		if condition.ObservedGeneration != 3 {
			t.Errorf("%s: speaks of generation %d", c.what, condition.ObservedGeneration)
		}
	}
}

// The time of a condition is that of its last change, and the stored status is not touched.
func TestPlacementConditionsKeepTheirTime(t *testing.T) {
	all := []v1alpha1.Distribution{with(distributed("web"), "Ready", metav1.ConditionTrue, "Good", "")}
	first := placementStatus(v1alpha1.PlacementStatus{}, all, nil, 1, nil, noon)
	before := *first.DeepCopy()
	later := placementStatus(first, all, nil, 1, nil, noon.Add(time.Hour))
	if diff := cmp.Diff(first, later); diff != "" {
		t.Errorf("nothing changed, and yet:\n%s", diff)
	}
	all[0] = with(all[0], "Ready", metav1.ConditionFalse, "Bad", "")
	now := placementStatus(first, all, nil, 1, nil, noon.Add(time.Hour))
	if c := meta.FindStatusCondition(now.Conditions, "Ready"); !c.LastTransitionTime.Time.Equal(noon.Add(time.Hour)) {
		t.Errorf("Ready changed at %s", c.LastTransitionTime)
	}
	if diff := cmp.Diff(before, first); diff != "" {
		t.Errorf("the stored status was changed:\n%s", diff)
	}
}

func TestPlacementOf(t *testing.T) {
	d := distributed("web")
	for kind, want := range map[string]string{
		"Placement": "shop/web", "ClusterPlacement": "web", "Annotation": "none", "Dependency": "none",
	} {
		d.Spec.Placement.Kind = kind
		got := "none"
		if key, ok := PlacementOf(&d); ok {
			got = key.String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
	d.Spec.Contested = []v1alpha1.PlacementReference{{Kind: "Placement", Name: "a"}, {Kind: "ClusterPlacement", Name: "b"}}
	if diff := cmp.Diff([]match.Key{{Namespace: "shop", Name: "a"}, {Name: "b"}}, contestantsOf(&d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A placement is observed when every decision, and the report on it, is of its present generation.
func TestPlacementIsObserved(t *testing.T) {
	old := v1alpha1.PlacementStatus{ObservedGeneration: 2}
	for _, c := range []struct {
		what                        string
		decided, decision, reported int64
		want                        int64
	}{
		{"decided and reported", 3, 7, 7, 3},
		{"not decided again yet", 2, 6, 6, 2},
		{"decided, not reported yet", 3, 7, 6, 2},
	} {
		d := v1alpha1.Distribution{}
		d.Generation, d.Status.ObservedGeneration = c.decision, c.reported
		d.Spec.Placement.Generation = c.decided
		got := placementStatus(old, []v1alpha1.Distribution{d}, nil, 3, nil, time.Unix(0, 0))
		if got.ObservedGeneration != c.want {
			t.Errorf("%s: generation %d is observed, want %d", c.what, got.ObservedGeneration, c.want)
		}
	}
}
