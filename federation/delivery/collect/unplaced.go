package collect

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/printable"
)

// tellsUnplaced are the workloads whose status says, in a condition, that they are placed nowhere.
var tellsUnplaced = map[schema.GroupKind]bool{
	{Group: "apps", Kind: "Deployment"}:  true,
	{Group: "apps", Kind: "StatefulSet"}: true,
	{Group: "apps", Kind: "DaemonSet"}:   true,
	{Group: "apps", Kind: "ReplicaSet"}:  true,
}

// placementPatience is how long a new template may be without a decision before its status says that nothing places it:
// its placement may be in the same manifest.
const placementPatience = 5 * time.Second

// notPlaced is the reason of the conditions of a workload that no placement selects.
const notPlaced = "NotPlaced"

// unplacedStatus is the status of a workload that is placed nowhere: what kubectl, GitOps tools and people look at says
// why nothing runs. A condition that says so already keeps its time.
func unplacedStatus(obj *unstructured.Unstructured, reason, message string, now time.Time) map[string]any {
	kinds := []string{"Placed"}
	if obj.GetKind() == "Deployment" {
		kinds = append(kinds, "Available", "Progressing") // what its readers know
	}
	stamp := metav1.NewTime(now.Truncate(time.Second)).UTC().Format(time.RFC3339)
	before, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	conditions := make([]any, 0, len(kinds))
	for _, kind := range kinds {
		since := stamp
		for _, old := range before {
			if c, ok := old.(map[string]any); ok && c["type"] == kind && c["status"] == "False" && c["reason"] == reason {
				if t, ok := c["lastTransitionTime"].(string); ok {
					since = t
				}
			}
		}
		condition := map[string]any{
			"type": kind, "status": "False", "reason": reason, "message": printable.Text(message), "lastTransitionTime": since,
		}
		if obj.GetKind() == "Deployment" {
			condition["lastUpdateTime"] = since
		}
		conditions = append(conditions, condition)
	}
	return map[string]any{"conditions": conditions, "observedGeneration": obj.GetGeneration()}
}

// tellUnplaced writes that a template is placed nowhere, if its kind has a place to say it.
func (r *Reconciler) tellUnplaced(ctx context.Context, v view, reason, message string, now time.Time) error {
	if v.template == nil || v.template.GetDeletionTimestamp() != nil || !tellsUnplaced[v.ref.GroupKind()] || !v.kind.HasStatus {
		return nil
	}
	status := unplacedStatus(v.template, reason, message, now)
	if sameConditions(status, v.template.Object["status"]) {
		return nil
	}
	changed := v.template.DeepCopy()
	changed.Object["status"] = status
	_, err := r.Dynamic.Resource(v.kind.GVR()).Namespace(v.ref.Namespace).UpdateStatus(ctx, changed,
		metav1.UpdateOptions{FieldManager: "hanse-hub"})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status of %s: %w", v.ref, err)
	}
	return nil
}

// sameConditions reports whether a stored status has nothing but the conditions and the generation of another.
func sameConditions(status map[string]any, stored any) bool {
	old, ok := stored.(map[string]any)
	if !ok {
		return false
	}
	for key, value := range old {
		// Zeros are written out by kinds whose counts are no pointers.
		if key != "conditions" && key != "observedGeneration" && !isZero(value) {
			return false
		}
	}
	return sameJSON(status["conditions"], old["conditions"]) && sameJSON(status["observedGeneration"], old["observedGeneration"])
}

func isZero(value any) bool {
	n, ok := value.(int64)
	return ok && n == 0
}
