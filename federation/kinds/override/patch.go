package override

import (
	"encoding/json"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// maxGrowth bounds what a patch may add, in bytes; an object of this size does not fit into etcd. Without it, a
// short patch that copies a list into itself forty times would fill the memory.
const maxGrowth = 2 << 20

// applyPatch applies a JSON patch (RFC 6902), operation by operation so that an error can name one.
func applyPatch(obj target, rule *Rule, facts ClusterFacts, path *field.Path) error {
	if len(rule.Patch) == 0 {
		return nil
	}
	document, err := json.Marshal(obj.Object)
	if err != nil {
		return fmt.Errorf("%s: encode the object: %w", path, err)
	}
	limit := len(document) + maxGrowth
	options := &jsonpatch.ApplyOptions{AccumulatedCopySizeLimit: maxGrowth}
	for i, operation := range rule.Patch {
		patch, err := decodeOperation(operation, facts)
		if err != nil {
			return fmt.Errorf("%s: %s %s: %w", path.Index(i), operation.Op, operation.Path, err)
		}
		if document, err = patch.ApplyWithOptions(document, options); err != nil {
			return fmt.Errorf("%s: %s %s: %w", path.Index(i), operation.Op, operation.Path, err)
		}
		if len(document) > limit {
			return fmt.Errorf("%s: %s %s: the object grows by more than %d bytes",
				path.Index(i), operation.Op, operation.Path, maxGrowth)
		}
	}
	var changed map[string]any
	if err := utiljson.Unmarshal(document, &changed); err != nil {
		return fmt.Errorf("%s: decode the patched object: %w", path, err)
	}
	obj.Object = changed
	return nil
}

func decodeOperation(operation v1alpha1.PatchOperation, facts ClusterFacts) (jsonpatch.Patch, error) {
	written := map[string]any{"op": operation.Op, "path": operation.Path}
	if operation.From != "" {
		written["from"] = operation.From
	}
	if operation.Value != nil {
		value, err := decode(operation.Value.Raw)
		if err != nil {
			return nil, err
		}
		if written["value"], err = substituteAll(value, facts); err != nil {
			return nil, err
		}
	}
	encoded, err := json.Marshal([]any{written})
	if err != nil {
		return nil, err
	}
	return jsonpatch.DecodePatch(encoded)
}

// applyMerge applies a strategic merge patch to native kinds, and a JSON merge patch (RFC 7386) to all others: only
// the Go types of a kind say by which key its lists are merged.
func applyMerge(obj target, rule *Rule, facts ClusterFacts, path *field.Path) error {
	if rule.Merge == nil {
		return nil
	}
	patch, err := decodeMerge(rule.Merge.Raw)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	substituted, err := substituteAll(patch, facts)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	patch = substituted.(map[string]any)
	goType, err := scheme.Scheme.New(obj.GroupVersionKind())
	if err != nil {
		obj.Object, _ = mergeJSON(obj.Object, patch).(map[string]any)
		return nil
	}
	changed, err := strategicpatch.StrategicMergeMapPatch(obj.Object, patch, goType)
	if err != nil {
		return fmt.Errorf("%s: strategic merge: %w", path, err)
	}
	obj.Object = changed
	return nil
}

// mergeJSON is MergePatch of RFC 7386, section 2.
func mergeJSON(target, patch any) any {
	changes, isMap := patch.(map[string]any)
	if !isMap {
		return patch
	}
	merged, isMap := target.(map[string]any)
	if !isMap {
		merged = map[string]any{}
	}
	for key, value := range changes {
		if value == nil {
			delete(merged, key)
			continue
		}
		merged[key] = mergeJSON(merged[key], value)
	}
	return merged
}

func decodeMerge(raw []byte) (map[string]any, error) {
	value, err := decode(raw)
	if err != nil {
		return nil, err
	}
	patch, isMap := value.(map[string]any)
	if !isMap {
		return nil, fmt.Errorf("must be an object")
	}
	return patch, nil
}

// decode reads JSON with whole numbers as int64, as unstructured objects have them.
func decode(raw []byte) (any, error) {
	var value any
	if err := utiljson.Unmarshal(raw, &value); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	return value, nil
}
