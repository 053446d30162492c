package collect

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/member"
)

// TestReadyOnlyWhatIsApplied goes through what can become of two copies, and how healthy they can be: Ready is never True
// beside an Applied that is not.
func TestReadyOnlyWhatIsApplied(t *testing.T) {
	lives := map[string]map[string]any{
		"none":        nil,
		"no status":   {},
		"ready":       {"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}},
		"not ready":   {"conditions": []any{map[string]any{"type": "Ready", "status": "False", "reason": "Broken"}}},
		"progressing": {"conditions": []any{map[string]any{"type": "Progressing", "status": "True"}}},
	}
	verdicts := []results.Entry{
		{}, {Verdict: v1alpha1.VerdictCreated}, {Verdict: v1alpha1.VerdictUnchanged},
		{Verdict: v1alpha1.VerdictFailed, Reason: "Forbidden"}, {Verdict: v1alpha1.VerdictFailed, Reason: "Invalid"},
		{Verdict: v1alpha1.VerdictConflict, Reason: "ForeignObject"}, {Verdict: v1alpha1.VerdictPending, Reason: "MemberNotReady"},
		{Verdict: v1alpha1.VerdictSkipped, Reason: results.ReasonPaused},
		{Verdict: v1alpha1.VerdictSkipped, Reason: results.ReasonDrifted},
		{Verdict: v1alpha1.VerdictSkipped, Reason: results.ReasonReportOnly}, {Verdict: v1alpha1.VerdictDeleted},
	}
	allGood := 0
	for _, first := range verdicts {
		for _, second := range verdicts {
			for name, status := range lives {
				for _, phase := range []member.Phase{member.Ready, member.Unreachable, member.Unknown} {
					v := view{distribution: &v1alpha1.Distribution{}}
					for i, entry := range []results.Entry{first, second} {
						m := memberView{name: fmt.Sprint("m", i), entry: entry, hasEntry: entry.Verdict != "", isSeen: true,
							state: member.State{Phase: phase}}
						if status != nil {
							m.live = &unstructured.Unstructured{Object: map[string]any{
								"apiVersion": "example.com/v1", "kind": "Widget", "status": status}}
						}
						v.distribution.Spec.Clusters = append(v.distribution.Spec.Clusters, v1alpha1.DistributionCluster{Name: m.name})
						v.members = append(v.members, m)
					}
					got := distributionStatus(v, noon)
					isTrue := func(kind string) bool { return meta.IsStatusConditionTrue(got.Conditions, kind) }
					if isTrue(v1alpha1.ConditionReady) && !isTrue(v1alpha1.ConditionApplied) {
						t.Errorf("%v and %v, %s, %s: %+v", first, second, name, phase, got.Conditions)
					}
					if isTrue(v1alpha1.ConditionReady) {
						allGood++
					}
					refused := first.Verdict == v1alpha1.VerdictFailed
					if c := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionReady); refused && name == "no status" &&
						phase == member.Ready && (c.Status != metav1.ConditionFalse || c.Message == "") {
						t.Errorf("%v: Ready is %+v, want False with the cause", first, c)
					}
				}
			}
		}
	}
	if allGood == 0 {
		t.Error("nothing is ever Ready")
	}
}
