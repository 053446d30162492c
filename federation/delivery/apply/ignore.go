package apply

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Without returns the object without the ignored fields (JSON pointers, * for every key and element): what of it is
// the hub's to keep. Without paths it is the object itself.
func Without(obj *unstructured.Unstructured, ignored []string) *unstructured.Unstructured {
	return yield(obj, &unstructured.Unstructured{}, ignored)
}

// yield returns the object with the ignored fields as the member has them, so that applying it changes none of them:
// one that is ours in the member keeps the member's value, since leaving it out would remove it, and one that is not ours
// any more, or not there, is left out.
func yield(obj, live *unstructured.Unstructured, ignored []string) *unstructured.Unstructured {
	if len(ignored) == 0 {
		return obj
	}
	yielded := obj.DeepCopy()
	ours := ownFields(live)
	for _, pointer := range ignored {
		yieldPath(yielded.Object, live.Object, ours, tokens(pointer))
	}
	return yielded
}

// tokens of a JSON pointer (RFC 6901, section 4).
func tokens(pointer string) []string {
	all := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i := range all {
		all[i] = strings.ReplaceAll(strings.ReplaceAll(all[i], "~1", "/"), "~0", "~")
	}
	return all
}

// fields is a node of a FieldsV1: the fields below one that a manager owns. A leaf is owned whole, nil is not owned.
type fields map[string]any

// ownFields are the fields that we own in the member.
func ownFields(live *unstructured.Unstructured) fields {
	for _, entry := range live.GetManagedFields() {
		isOurs := entry.Manager == FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply
		if !isOurs || entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		var ours fields
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &ours) == nil {
			return ours
		}
	}
	return nil
}

func (f fields) isLeaf() bool { return f != nil && len(f) == 0 }

// below is the node of a key; a leaf owns all that is below it.
func (f fields) below(key string) fields {
	if f.isLeaf() {
		return f
	}
	node, _ := f["f:"+key].(map[string]any)
	return node
}

// of is the node of a list's element: k: with the element's keys, or v: with its value.
func (f fields) of(element any) fields {
	if f.isLeaf() {
		return f
	}
	for name, node := range f {
		kind, encoded, _ := strings.Cut(name, ":")
		var want any
		if kind != "k" && kind != "v" || json.Unmarshal([]byte(encoded), &want) != nil {
			continue
		}
		if kind == "v" && sameValue(want, element) || kind == "k" && hasKeys(element, want) {
			found, _ := node.(map[string]any)
			return found
		}
	}
	return nil
}

func hasKeys(element, keys any) bool {
	values, isMap := element.(map[string]any)
	wanted, ok := keys.(map[string]any)
	if !isMap || !ok {
		return false
	}
	for key, want := range wanted {
		if !sameValue(want, values[key]) {
			return false
		}
	}
	return true
}

// sameValue compares scalars, whatever the Go type of a number is.
func sameValue(a, b any) bool {
	encodedA, errA := json.Marshal(a)
	encodedB, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(encodedA) == string(encodedB)
}

// yieldPath changes want, a part of the object, in place.
func yieldPath(want, have any, ours fields, path []string) {
	switch want := want.(type) {
	case map[string]any:
		there, _ := have.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if path[0] != "*" && path[0] != key {
				continue
			}
			value, has := there[key]
			if len(path) > 1 {
				yieldPath(want[key], value, ours.below(key), path[1:])
			} else if kept, keep := yieldValue(want[key], value, has, ours.below(key)); keep {
				want[key] = kept
			} else {
				delete(want, key)
			}
		}
	case []any:
		there, _ := have.([]any)
		for i, element := range want {
			if path[0] != "*" && path[0] != strconv.Itoa(i) || len(path) == 1 {
				continue // an element by itself has no place of its own in a list
			}
			yieldPath(element, counterpart(want, there, i), ours.of(element), path[1:])
		}
	}
}

// counterpart is the member's element for the i-th of ours: the one of its name where all have one, else the i-th.
func counterpart(want, have []any, i int) any {
	if hasNames(want) && hasNames(have) {
		for _, element := range have {
			if element.(map[string]any)["name"] == want[i].(map[string]any)["name"] {
				return element
			}
		}
		return nil
	}
	if i < len(have) {
		return have[i]
	}
	return nil
}

// yieldValue is the value of an ignored field to apply, or that there is to be none.
func yieldValue(want, have any, has bool, ours fields) (value any, keep bool) {
	wantMap, isMap := want.(map[string]any)
	wantList, isList := want.([]any)
	switch {
	case !has || ours == nil:
		return nil, false
	case ours.isLeaf() || !isMap && !isList || reflect.TypeOf(want) != reflect.TypeOf(have):
		return have, true
	case isMap:
		there := have.(map[string]any)
		kept := map[string]any{}
		for key, value := range wantMap {
			in, has := there[key]
			if yielded, keep := yieldValue(value, in, has, ours.below(key)); keep {
				kept[key] = yielded
			}
		}
		return kept, len(kept) > 0
	}
	var kept []any
	for i, element := range wantList {
		there := counterpart(wantList, have.([]any), i)
		node := ours.of(element)
		yielded, keep := yieldValue(element, there, there != nil, node)
		if keep {
			kept = append(kept, withKeys(yielded, element, ours))
		}
	}
	return kept, len(kept) > 0
}

// withKeys gives an element back what tells it from the others of its list.
func withKeys(yielded, element any, ours fields) any {
	kept, isMap := yielded.(map[string]any)
	from, ok := element.(map[string]any)
	if !isMap || !ok {
		return yielded
	}
	for name := range ours {
		var keys map[string]any
		if encoded, isKey := strings.CutPrefix(name, "k:"); isKey && json.Unmarshal([]byte(encoded), &keys) == nil {
			for key := range keys {
				if value, has := from[key]; has {
					kept[key] = value
				}
			}
		}
	}
	return kept
}
