package apply

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// foreignResult is the refusal to touch an object that is not ours. We do not watch foreign objects, so it is asked
// again from time to time whether it still is there.
func foreignResult(ref Ref, obj, live *unstructured.Unstructured, why Reason, o Options) Result {
	r := Result{
		Verdict: Conflict, Reason: why, UID: live.GetUID(), ResourceVersion: live.GetResourceVersion(),
		RetryAfter: time.Minute,
	}
	switch why {
	case ReasonOtherHub:
		r.Message = fmt.Sprintf("%s is there and belongs to the hub %q; take it out of that hub, or set on-conflict to Overwrite",
			ref, ownerOf(live).hub)
	case ReasonOtherTemplate:
		r.Message = fmt.Sprintf("%s is there and was made by this hub for a template that is gone (uid %s, now %s); "+
			"delete it in the member, or set on-conflict to Adopt", ref, ownerOf(live).template, o.TemplateUID)
	default:
		r.Message = fmt.Sprintf("%s is there and not ours%s; delete it in the member, or set on-conflict to Adopt or Overwrite",
			ref, madeBy(live))
	}
	if differs := Differences(obj, live); differs != "" {
		r.Message += "; it differs in " + differs
	} else {
		r.Message += "; it is as the template wants it"
	}
	return r
}

// madeBy says who made an object, as far as it tells.
func madeBy(live *unstructured.Unstructured) string {
	var clues []string
	if ref := metav1.GetControllerOfNoCopy(live); ref != nil {
		clues = append(clues, fmt.Sprintf("controlled by %s %s", ref.Kind, ref.Name))
	}
	if by := live.GetLabels()["app.kubernetes.io/managed-by"]; by != "" {
		clues = append(clues, fmt.Sprintf("managed by %s", by))
	}
	for _, entry := range live.GetManagedFields() {
		if entry.Subresource == "" && entry.Manager != FieldManager {
			clues = append(clues, fmt.Sprintf("written by %q", entry.Manager))
			break
		}
	}
	if len(clues) == 0 {
		return ""
	}
	return " (" + strings.Join(clues, ", ") + ")"
}
