package cli

import (
	"strings"
	"testing"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// What a member would have to change is what differs; a verdict that is not good is no proof that all is well.
func TestWhatDiffers(t *testing.T) {
	changes := []v1alpha1.PlannedChange{{Op: "change", Path: ".data.v", From: `"2"`, To: `"1"`}}
	for _, row := range []struct {
		is   v1alpha1.PlannedCluster
		want string
	}{
		{v1alpha1.PlannedCluster{Verdict: "Unchanged"}, ""},
		{v1alpha1.PlannedCluster{Verdict: "Configured"}, ""},
		{v1alpha1.PlannedCluster{Verdict: "Configured", Changes: changes}, "Different"},
		{v1alpha1.PlannedCluster{Verdict: "Created"}, "Missing"},
		{v1alpha1.PlannedCluster{Verdict: "Deleted", Leaving: true}, "Extra"},
		{v1alpha1.PlannedCluster{Verdict: "Skipped", Leaving: true}, ""},
		{v1alpha1.PlannedCluster{Verdict: "Pending", VerdictReason: "MemberNotReady"}, "Unknown"},
		{v1alpha1.PlannedCluster{Verdict: "Conflict"}, "Unknown"},
		{v1alpha1.PlannedCluster{}, "Unknown"},
	} {
		if what, _, _ := whatDiffers(row.is); what != row.want {
			t.Errorf("%+v: %q, want %q", row.is, what, row.want)
		}
	}
}

func TestTellVerification(t *testing.T) {
	asked := []v1alpha1.PlannedTemplate{{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "web"}}
	answer := &v1alpha1.Plan{}
	answer.Status.Objects = []v1alpha1.PlannedObject{
		{PlannedTemplate: asked[0], Clusters: []v1alpha1.PlannedCluster{
			{Name: "east", Verdict: "Configured", Changes: []v1alpha1.PlannedChange{{Op: "change", Path: ".data.v", From: `"2"`, To: `"1"`}}},
			{Name: "west", Verdict: "Unchanged"},
		}},
		{PlannedTemplate: v1alpha1.PlannedTemplate{Kind: "Deployment", Name: "other"}, Concerned: true,
			Clusters: []v1alpha1.PlannedCluster{{Name: "east", Verdict: "Created"}}},
	}
	var all, west verification
	all.add(asked, answer, "")
	west.add(asked, answer, "west")
	for v, want := range map[*verification]string{
		&all: "east  configmap/web in shop: Different\n    change .data.v: has \"2\", wanted \"1\"\n" +
			"1 of 2 copies of 1 objects are not as they should be.\n",
		&west: "1 copies of 1 objects are as they should be.\n",
	} {
		var out strings.Builder
		if err := v.tell(&out); err != nil || out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), want)
		}
	}
}
