package collect

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestUnplacedStatus: the status says why, with the time since when, and is not written again for the same.
func TestUnplacedStatus(t *testing.T) {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "generation": int64(3)},
		"status":   map[string]any{"replicas": int64(4), "readyReplicas": int64(4)}}}
	first := unplacedStatus(obj, notPlaced, "no placement selects it", noon)
	if sameConditions(first, obj.Object["status"]) {
		t.Error("the sum of members that are left stays")
	}
	raw, _ := json.Marshal(first)
	want := `{"conditions":[` +
		`{"lastTransitionTime":"2026-11-23T12:00:00Z","lastUpdateTime":"2026-11-23T12:00:00Z","message":"no placement selects it","reason":"NotPlaced","status":"False","type":"Placed"},` +
		`{"lastTransitionTime":"2026-11-23T12:00:00Z","lastUpdateTime":"2026-11-23T12:00:00Z","message":"no placement selects it","reason":"NotPlaced","status":"False","type":"Available"},` +
		`{"lastTransitionTime":"2026-11-23T12:00:00Z","lastUpdateTime":"2026-11-23T12:00:00Z","message":"no placement selects it","reason":"NotPlaced","status":"False","type":"Progressing"}],` +
		`"observedGeneration":3}`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var stored map[string]any
	_ = json.Unmarshal(raw, &stored)
	integers(stored)
	stored["replicas"] = int64(0) // as typed kinds write it
	obj.Object["status"] = stored
	if later := unplacedStatus(obj, notPlaced, "no placement selects it", noon.Add(time.Hour)); !sameConditions(later, stored) {
		t.Errorf("an hour later it is written again: %v", later)
	}
	if later := unplacedStatus(obj, "NoClusters", "there is no cluster mars", noon.Add(time.Hour)); sameConditions(later, stored) {
		t.Error("another reason is not written")
	}
	obj.SetGeneration(4)
	if later := unplacedStatus(obj, notPlaced, "no placement selects it", noon); sameConditions(later, stored) {
		t.Error("a new generation is not seen")
	}
	obj.SetKind("DaemonSet")
	if conditions := unplacedStatus(obj, notPlaced, "x", noon)["conditions"].([]any); len(conditions) != 1 {
		t.Errorf("a DaemonSet says %v, want Placed alone", conditions)
	}
}
