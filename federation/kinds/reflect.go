package kinds

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// FingerprintAnnotation holds the fingerprint of a trimmed object. It exists only in the hub's memory.
const FingerprintAnnotation = v1alpha1.Prefix + "fingerprint"

// Limits of what is reflected of a status whose shape is not known.
const (
	maxStatusBytes = 8 << 10
	maxConditions  = 32
	maxText        = 256
)

// cutField counts, in a reflected status, the fields that were too big for it.
const cutField = v1alpha1.Prefix + "cut"

// Trim strips a member's object, in place, to what the rest of this package and a fingerprint need: an informer's
// transform. What stays of the specification are the few numbers that Ready and Health compare with. An object that
// was trimmed before is left as it is.
func (r Rule) Trim(member *unstructured.Unstructured) {
	if _, done := member.GetAnnotations()[FingerprintAnnotation]; done {
		return
	}
	print := Fingerprint(member)
	out := map[string]any{"apiVersion": member.GetAPIVersion(), "kind": member.GetKind()}
	if status := r.Reflect(member); status != nil {
		out["status"] = status
	}
	for _, path := range r.kept() {
		if value, set := at(member.Object, path...); set {
			// An unset parent cannot be in the way: the paths of a rule do not run through one another's values.
			_ = setAt(out, copied(value), path...)
		}
	}
	metadata := map[string]any{"annotations": trimmedAnnotations(member.Object, print)}
	for _, key := range []string{"name", "namespace", "uid", "resourceVersion", "generation", "labels",
		"creationTimestamp", "deletionTimestamp", "finalizers", "ownerReferences"} {
		if value, set := at(member.Object, "metadata", key); set {
			metadata[key] = copied(value)
		}
	}
	out["metadata"] = metadata
	member.Object = out
}

func (r Rule) kept() [][]string {
	if len(r.replicas) == 0 {
		return r.keep
	}
	return append(slices.Clone(r.keep), r.replicas)
}

func trimmedAnnotations(obj map[string]any, print string) map[string]any {
	kept := map[string]any{FingerprintAnnotation: print}
	for key, value := range mapAt(obj, "metadata", "annotations") {
		if strings.HasPrefix(key, v1alpha1.Prefix) {
			kept[key] = value
		}
	}
	return kept
}

// Fingerprint is a short hash of what was asked for in a member's object: everything but its status and the
// metadata that a server writes. It changes when somebody edits the object, be it a field without generation
// such as a label or a ConfigMap's data, and does not change with the status. A trimmed object has the same
// fingerprint as the whole one.
func Fingerprint(member *unstructured.Unstructured) string {
	if print := stringAt(member.Object, "metadata", "annotations", FingerprintAnnotation); print != "" {
		return print
	}
	asked := maps.Clone(member.Object)
	delete(asked, "status")
	metadata := map[string]any{}
	for _, key := range []string{"labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp"} {
		if value, set := at(member.Object, "metadata", key); set {
			metadata[key] = value
		}
	}
	asked["metadata"] = metadata
	hash := fnv.New128a()
	// An object that came from JSON goes back to it; map keys are sorted by the encoder.
	_ = json.NewEncoder(hash).Encode(asked)
	return fmt.Sprintf("%x", hash.Sum(nil))
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
