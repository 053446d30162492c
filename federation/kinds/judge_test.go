package kinds

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func verdict(m MemberStatus) string {
	text := fmt.Sprintf("%d/%d %s", m.Ready, m.Desired, m.Health)
	if m.Message != "" {
		text += ": " + m.Message
	}
	return text
}

func TestObserve(t *testing.T) {
	for _, s := range readStories(t, "testdata/judge.txt") {
		t.Run(s.name, func(t *testing.T) {
			member := object(t, s.part("object"))
			rule, before := Of(member), member.DeepCopy()
			whole := rule.Observe("east", member)
			if got, want := verdict(whole), strings.TrimSpace(s.part("verdict")); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if diff := cmp.Diff(before.Object, member.Object); diff != "" {
				t.Errorf("the object was changed:\n%s", diff)
			}
			rule.Trim(member)
			if diff := cmp.Diff(whole, rule.Observe("east", member)); diff != "" {
				t.Errorf("a trimmed object is seen otherwise (-whole +trimmed):\n%s", diff)
			}
			once := member.DeepCopy()
			rule.Trim(member)
			if diff := cmp.Diff(once.Object, member.Object); diff != "" {
				t.Errorf("trimmed twice (-once +twice):\n%s", diff)
			}
		})
	}
}

func TestTrimKeepsWhatMarksOurs(t *testing.T) {
	member := object(t, readStories(t, "testdata/judge.txt")[0].part("object"))
	whole, _ := json.Marshal(member.Object)
	Of(member).Trim(member)
	trimmed, _ := json.Marshal(member.Object)
	if member.GetUID() == "" || member.GetResourceVersion() != "734" || member.GetGeneration() != 1 ||
		member.GetLabels()["hanse.io/hub"] != "5d3f" || member.GetAnnotations()["hanse.io/template"] != "0b6a" {
		t.Errorf("lost in trimming: %s", trimmed)
	}
	if _, set := at(member.Object, "spec", "template"); set || len(trimmed) > len(whole)*3/4 {
		t.Errorf("%d of %d bytes are left: %s", len(trimmed), len(whole), trimmed)
	}
}

func TestReflectBoundsWhatIsNotKnown(t *testing.T) {
	nodes := map[string]any{}
	for i := range 1000 {
		nodes[fmt.Sprintf("node-%d", i)] = map[string]any{"phase": "Succeeded", "message": strings.Repeat("x", 100)}
	}
	member := object(t, "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: w}}")
	member.Object["status"] = map[string]any{
		"phase": "Running", "nodes": nodes, "message": strings.Repeat("é", 5000), "progress": int64(3),
		"conditions": []any{map[string]any{"type": "PodRunning", "status": "True", "message": strings.Repeat("y", 9000)}},
	}
	got := Of(member).Reflect(member)
	encoded, _ := json.Marshal(got)
	if len(encoded) > maxStatusBytes {
		t.Errorf("%d bytes are reflected", len(encoded))
	}
	if got["phase"] != "Running" || got["progress"] != int64(3) || got[cutField] != int64(1) ||
		len(mapsAt(got, "conditions")) != 1 {
		t.Errorf("got %s", encoded)
	}
}
