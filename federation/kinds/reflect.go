package kinds

import (
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Limits of what is reflected of a status whose shape is not known.
const (
	maxStatusBytes = 8 << 10
	maxConditions  = 32
	maxText        = 256
)

// cutField counts, in a reflected status, the fields that were too big for it.
const cutField = v1alpha1.Prefix + "cut"

// Trim strips a member's object, in place, to what the rest of this package needs: an informer's transform. Of the
// specification the few numbers stay that Ready and Health compare with; of the annotations, the hub's own. The
// managed fields go: whoever wants a digest of them takes it first and leaves it in an annotation. Trimming twice
// is trimming once.
func (r Rule) Trim(member *unstructured.Unstructured) {
	out := map[string]any{"apiVersion": member.GetAPIVersion(), "kind": member.GetKind()}
	if r.lesson != nil {
		r.trimTaught(member, out)
		return
	}
	for _, path := range r.kept() {
		if value, set := at(member.Object, path...); set {
			// Nothing can be in the way: no path of a rule runs through the value of another.
			_ = setAt(out, copied(value), path...)
		}
	}
	if status := r.Reflect(member); status != nil {
		out["status"] = status
	}
	out["metadata"] = trimmedMetadata(member)
	member.Object = out
}

// trimTaught keeps everything but the metadata that nobody reads: expressions may look at any field.
func (r Rule) trimTaught(member *unstructured.Unstructured, out map[string]any) {
	for key, value := range member.Object {
		if key != "metadata" {
			out[key] = value
		}
	}
	out["metadata"] = trimmedMetadata(member)
	member.Object = out
}

func trimmedMetadata(member *unstructured.Unstructured) map[string]any {
	metadata := map[string]any{}
	for _, key := range []string{"name", "namespace", "uid", "resourceVersion", "generation", "labels",
		"creationTimestamp", "deletionTimestamp", "finalizers", "ownerReferences"} {
		if value, set := at(member.Object, "metadata", key); set {
			metadata[key] = copied(value)
		}
	}
	if kept := hubsOwn(mapAt(member.Object, "metadata", "annotations")); len(kept) > 0 {
		metadata["annotations"] = kept
	}
	return metadata
}

func (r Rule) kept() [][]string {
	if len(r.replicas) == 0 {
		return r.keep
	}
	return append(slices.Clone(r.keep), r.replicas)
}

func hubsOwn(annotations map[string]any) map[string]any {
	kept := map[string]any{}
	for key, value := range annotations {
		if strings.HasPrefix(key, v1alpha1.Prefix) {
			kept[key] = value
		}
	}
	return kept
}

// Reflect is the part of a member's status that the Distribution stores for that member; nil when there is none yet.
func (r Rule) Reflect(member *unstructured.Unstructured) map[string]any {
	status := mapAt(member.Object, "status")
	if len(status) == 0 {
		return nil
	}
	if r.status == nil {
		return genericReflect(status)
	}
	kept := make(map[string]any, len(r.status))
	for _, field := range r.status {
		if value, set := status[field]; set {
			kept[field] = copied(value)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// genericReflect keeps a small status whole. Of a big one it keeps what people and rules read (scalars and
// conditions) and counts what it cut in the field cutField.
func genericReflect(status map[string]any) map[string]any {
	if encoded, err := json.Marshal(status); err == nil && len(encoded) <= maxStatusBytes {
		return copied(status).(map[string]any)
	}
	kept, cut := map[string]any{}, int64(0)
	for key, value := range status {
		switch v := value.(type) {
		case []any:
			if key == "conditions" && len(v) <= maxConditions {
				kept[key] = shortConditions(v)
				continue
			}
			cut++
		case map[string]any:
			cut++
		case string:
			kept[key] = shortened(v)
		default:
			kept[key] = copied(v)
		}
	}
	if cut > 0 {
		kept[cutField] = cut
	}
	return kept
}

func shortConditions(conditions []any) []any {
	short := copied(conditions).([]any)
	for _, c := range short {
		if condition, isMap := c.(map[string]any); isMap {
			if message, isText := condition["message"].(string); isText {
				condition["message"] = shortened(message)
			}
		}
	}
	return short
}

// shortened cuts a text at a rune's boundary.
func shortened(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}
