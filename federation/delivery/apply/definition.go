package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

var definitionKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// instances looks for objects of the kind that a CustomResourceDefinition defines: a definition takes all of them
// along.
func instances(ctx context.Context, target Target, hub Hub, definition *unstructured.Unstructured) occupant {
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "plural")
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, item := range versions {
		version, _ := item.(map[string]any)
		name, _ := version["name"].(string)
		if isServed, _ := version["served"].(bool); !isServed {
			continue
		}
		return inside(ctx, target, hub, schema.GroupVersionResource{Group: group, Version: name, Resource: plural}, "")
	}
	return occupant{} // nobody can ask for them, as nobody could when they were made
}

// keepDefinition lets a definition be as long as there are objects of its kind: it waits for ours, and is left, without
// our marks, to the owners of others.
func keepDefinition(
	ctx context.Context, client dynamic.ResourceInterface, ref Ref, live *unstructured.Unstructured, found occupant,
) (result Result, again bool) {
	switch {
	case found.err != nil:
		return classify(ref, found.err), false
	case found.foreign == "":
		return pendingFor(ending.RetryAfter, ReasonNotEmpty, fmt.Sprintf("%s: %s is still there", ref, found.ours)), false
	}
	if result, again = release(ctx, client, ref, live); result.Reason == ReasonKept {
		result.Reason = ReasonNotEmpty
		result.Message = fmt.Sprintf("%s stays in the member, without our marks: %s is not ours, and would go with it",
			ref, found.foreign)
	}
	return result, again
}
