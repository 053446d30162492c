package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

var namespaceGVK = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}

// Delete takes the object out of the member if, and only if, it carries our marks and was made by us. One that was
// adopted, or that Orphan asks to leave, stays and loses our marks. The verdict is Deleted (it is gone), Skipped (it
// stays, see Reason), Pending (it is terminating: ask again) or Failed.
//
// What we saw is the precondition of the write (UID and resource version), so an object that somebody takes over
// between the two is left to him.
//
// A namespace goes only when nothing foreign is inside, see RemoveNamespaceIfOursAndEmpty; a CustomResourceDefinition only
// when no object of its kind is foreign, since all of them go with it. Otherwise it stays, without our marks.
func Delete(ctx context.Context, target Target, ref Ref, o DeleteOptions) Result {
	client, err := clientFor(target, ref)
	if err != nil {
		r := classify(ref, err)
		if r.Reason == ReasonKindMissing {
			return Result{Verdict: Deleted, Reason: ReasonKindMissing,
				Message: ref.String() + ": the member does not serve this kind"}
		}
		return r
	}
	live, looked := o.Live, false
	for looks := 0; ; looks++ {
		if live != nil {
			if looked || live.GetDeletionTimestamp() == nil {
				result, again := remove(ctx, target, client, ref, live, looked, o)
				if !again {
					return result
				}
			}
		} else if looked {
			return Result{Verdict: Deleted}
		}
		if looks > maxLooks {
			return changedMeanwhile(ref)
		}
		live, err = look(ctx, client, ref.Name)
		if err != nil {
			return classify(ref, err)
		}
		looked = true
	}
}

// remove acts on what is there. again means that it may not be so (any more): look and come back.
func remove(
	ctx context.Context, target Target, client dynamic.ResourceInterface, ref Ref, live *unstructured.Unstructured,
	looked bool, o DeleteOptions,
) (result Result, again bool) {
	whose := ownerOf(live)
	keep := o.Orphan || whose.adopted
	why := whose.foreign(o.Hub, o.TemplateUID)
	switch {
	case (why != "" || keep) && !looked:
		return Result{}, true // rare, and worth a look at all of the object
	case why != "":
		return left(live, why, fmt.Sprintf("%s is not ours%s; it stays", ref, madeBy(live))), false
	case keep:
		return release(ctx, client, ref, live)
	case live.GetDeletionTimestamp() != nil:
		return beingDeleted(ref, live), false
	case ref.GVK.GroupKind() == namespaceGVK.GroupKind():
		if blocked := contents(ctx, target, o.Hub, ref.Name); blocked.Verdict != "" {
			return keepNamespace(ctx, client, ref, live, blocked)
		}
	case ref.GVK.GroupKind() == definitionKind:
		if !looked { // what the cache has is stripped
			return Result{}, true
		}
		if found := instances(ctx, target, o.Hub, live); found != (occupant{}) {
			return keepDefinition(ctx, client, ref, live, found)
		}
	}
	return erase(ctx, client, ref, live)
}

// erase deletes the object that we saw and no other.
func erase(
	ctx context.Context, client dynamic.ResourceInterface, ref Ref, live *unstructured.Unstructured,
) (result Result, again bool) {
	err := client.Delete(ctx, ref.Name, metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationBackground),
		Preconditions: &metav1.Preconditions{UID: new(live.GetUID()),
			ResourceVersion: new(live.GetResourceVersion())},
	})
	switch {
	case apierrors.IsNotFound(err):
		return Result{Verdict: Deleted}, false
	case apierrors.IsConflict(err):
		return Result{}, true
	case err != nil:
		return classify(ref, err), false
	case endsSlowly(ref.GVK) || len(live.GetFinalizers()) > 0:
		return beingDeleted(ref, live), false
	}
	return Result{Verdict: Deleted}, false
}

// endsSlowly reports whether objects of the kind live on for a while after an accepted delete, even without finalizers.
func endsSlowly(gvk schema.GroupVersionKind) bool {
	return gvk.Group == "" && (gvk.Kind == "Pod" || gvk.Kind == "Namespace")
}

// release takes our marks and our ownership of fields off the object and leaves all else.
func release(
	ctx context.Context, client dynamic.ResourceInterface, ref Ref, live *unstructured.Unstructured,
) (result Result, again bool) {
	others := make([]metav1.ManagedFieldsEntry, 0, len(live.GetManagedFields()))
	for _, entry := range live.GetManagedFields() {
		if entry.Manager != FieldManager {
			others = append(others, entry)
		}
	}
	if len(others) == 0 {
		others = append(others, metav1.ManagedFieldsEntry{}) // one empty entry means "nobody's"; none means "as it was"
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             live.GetUID(),
		"resourceVersion": live.GetResourceVersion(),
		"labels":          map[string]any{LabelHub: nil},
		"annotations":     map[string]any{AnnotationTemplate: nil, AnnotationAdopted: nil, AnnotationFields: nil, AnnotationEntries: nil},
		"managedFields":   others,
	}})
	if err != nil {
		return classify(ref, fmt.Errorf("encode the release of %s: %w", ref, err)), false
	}
	_, err = client.Patch(ctx, ref.Name, types.MergePatchType, body,
		metav1.PatchOptions{FieldManager: FieldManager + "-release"})
	switch {
	case apierrors.IsNotFound(err):
		return Result{Verdict: Deleted}, false
	case apierrors.IsConflict(err), isAboutUID(err):
		return Result{}, true
	case err != nil:
		return classify(ref, err), false
	}
	return left(live, ReasonKept, fmt.Sprintf("%s stays in the member, without our marks", ref)), false
}

func left(live *unstructured.Unstructured, why Reason, message string) Result {
	return Result{
		Verdict: Skipped, Reason: why, Message: message,
		UID: live.GetUID(), ResourceVersion: live.GetResourceVersion(),
	}
}

func pendingFor(wait time.Duration, why Reason, message string) Result {
	return Result{Verdict: Pending, Reason: why, Message: message, RetryAfter: wait, Backoff: true}
}
