package apply

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
)

// hashOwned writes the values of owned fields to h, with the names of the fields. owned is a FieldsV1 as decoded from
// JSON: "f:spec" is a field, `k:{"name":"app"}` an element of a list by its keys, `v:"x"` an element by its value, "i:0"
// one by its position, and "." the thing itself.
func hashOwned(h io.Writer, owned map[string]any, value any) {
	for _, key := range slices.Sorted(maps.Keys(owned)) {
		if key == "." {
			continue
		}
		_, _ = io.WriteString(h, key)
		child, isThere := elementAt(value, key)
		below, _ := owned[key].(map[string]any)
		switch {
		case !isThere:
			_, _ = io.WriteString(h, "\x00absent\x00")
		case isLeaf(below):
			_, _ = h.Write([]byte{1})
			encoded, err := json.Marshal(child) // maps are encoded in the order of their keys
			if err == nil {
				_, _ = h.Write(encoded)
			}
			_, _ = h.Write([]byte{2})
		default:
			_, _ = h.Write([]byte{3})
			hashOwned(h, below, child)
			_, _ = h.Write([]byte{4})
		}
	}
}

// isLeaf reports whether nothing below a field is owned apart from it. A map that is owned by name alone, such as one
// that was applied empty, is its own leaf: "." beside nothing.
func isLeaf(below map[string]any) bool {
	_, isItself := below["."]
	return len(below) == 0 || len(below) == 1 && isItself
}

// elementAt finds what a path element of FieldsV1 names.
func elementAt(value any, key string) (any, bool) {
	kind, name, _ := strings.Cut(key, ":")
	if fields, isMap := value.(map[string]any); isMap && kind == "f" {
		child, ok := fields[name]
		return child, ok
	}
	list, isList := value.([]any)
	if !isList {
		return nil, false
	}
	var wanted any
	if json.Unmarshal([]byte(name), &wanted) != nil {
		return nil, false
	}
	switch kind {
	case "i":
		if i, ok := wanted.(float64); ok && int(i) >= 0 && int(i) < len(list) {
			return list[int(i)], true
		}
	case "v":
		for _, element := range list {
			if sameValue(wanted, element) {
				return element, true
			}
		}
	case "k":
		for _, element := range list {
			if hasKeys(element, wanted) {
				return element, true
			}
		}
	}
	return nil, false
}
