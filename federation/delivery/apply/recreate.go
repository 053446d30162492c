package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// irreplaceable are the kinds that are not deleted to be made anew, with what would be lost.
var irreplaceable = []struct {
	kind schema.GroupKind
	loss string
}{
	{schema.GroupKind{Kind: "PersistentVolumeClaim"}, "its data"},
	{schema.GroupKind{Kind: "PersistentVolume"}, "its data"},
	{schema.GroupKind{Kind: "Namespace"}, "everything in it"},
	{schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}, "every object of its kind"},
}

// lossOf says what would be lost with the object if it were made anew; empty if nothing.
func lossOf(live *unstructured.Unstructured) string {
	kind := live.GroupVersionKind().GroupKind()
	for _, row := range irreplaceable {
		if row.kind == kind {
			return row.loss
		}
	}
	fate, _, _ := unstructured.NestedString(live.Object, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted")
	if kind == (schema.GroupKind{Group: "apps", Kind: "StatefulSet"}) && fate == "Delete" {
		return "the data of its pods (persistentVolumeClaimRetentionPolicy.whenDeleted is Delete)"
	}
	return ""
}

// makeWay deletes an object of ours that refused a change of an immutable field, so that it can be made anew. refused
// is the member's answer; the result is empty when the object is on its way out.
func makeWay(
	ctx context.Context, client dynamic.ResourceInterface, ref Ref, refused error, o Options,
) (result Result) {
	live, err := look(ctx, client, ref.Name) // what the cache has is stripped
	if err != nil {
		return classify(ref, err)
	}
	if live == nil {
		return Result{}
	}
	whose := ownerOf(live)
	loss := lossOf(live)
	switch {
	case whose.foreign(o.Hub, o.TemplateUID) != "" || whose.adopted:
		loss = "what was there before us"
		fallthrough
	case loss != "":
		result = classify(ref, refused)
		result.Message += fmt.Sprintf("; it is not recreated, since that would lose %s", loss)
		return result
	case o.DryRun:
		return Result{Verdict: Configured, Reason: ReasonDryRun,
			Message: fmt.Sprintf("%s would be deleted and recreated: %s", ref, limited(words(ref, refused)))}
	}
	err = client.Delete(ctx, ref.Name, metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationBackground),
		Preconditions:     &metav1.Preconditions{UID: new(live.GetUID()), ResourceVersion: new(live.GetResourceVersion())},
	})
	switch {
	case apierrors.IsConflict(err):
		return changedMeanwhile(ref)
	case err != nil && !apierrors.IsNotFound(err):
		return classify(ref, err)
	}
	return Result{}
}
