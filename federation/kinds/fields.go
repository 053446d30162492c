package kinds

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Reading: a wrong type is an absent field. Nothing is copied.

func at(obj map[string]any, path ...string) (any, bool) {
	var value any = obj
	for _, field := range path {
		m, isMap := value.(map[string]any)
		if !isMap {
			return nil, false
		}
		if value, isMap = m[field]; !isMap {
			return nil, false
		}
	}
	return value, value != nil
}

func mapAt(obj map[string]any, path ...string) map[string]any {
	value, _ := at(obj, path...)
	m, _ := value.(map[string]any)
	return m
}

func listAt(obj map[string]any, path ...string) []any {
	value, _ := at(obj, path...)
	list, _ := value.([]any)
	return list
}

// mapsAt is listAt for lists of objects; elements of another type are skipped.
func mapsAt(obj map[string]any, path ...string) []map[string]any {
	var maps []map[string]any
	for _, element := range listAt(obj, path...) {
		if m, isMap := element.(map[string]any); isMap {
			maps = append(maps, m)
		}
	}
	return maps
}

func stringAt(obj map[string]any, path ...string) string {
	value, _ := at(obj, path...)
	s, _ := value.(string)
	return s
}

func boolAt(obj map[string]any, path ...string) bool {
	value, _ := at(obj, path...)
	b, _ := value.(bool)
	return b
}

// intAt reads a whole number. A status that went through plain encoding/json holds float64.
func intAt(obj map[string]any, path ...string) (int64, bool) {
	value, _ := at(obj, path...)
	switch n := value.(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case int32:
		return int64(n), true
	case float64:
		return int64(n), n == math.Trunc(n) && math.Abs(n) < 1<<53
	case json.Number:
		i, err := n.Int64()
		return i, err == nil
	}
	return 0, false
}

func intOr(obj map[string]any, otherwise int64, path ...string) int64 {
	if n, is := intAt(obj, path...); is {
		return n
	}
	return otherwise
}

// Writing: only on copies.

func setAt(obj map[string]any, value any, path ...string) error {
	if err := unstructured.SetNestedField(obj, value, path...); err != nil {
		return fmt.Errorf("set %s: %w", strings.Join(path, "."), err)
	}
	return nil
}

// removeAt removes a field, and the maps above it that it leaves empty below the first level.
func removeAt(obj map[string]any, path ...string) {
	if len(path) == 1 {
		delete(obj, path[0])
		return
	}
	child, isMap := obj[path[0]].(map[string]any)
	if !isMap {
		return
	}
	before := len(child)
	removeAt(child, path[1:]...)
	if before > 0 && len(child) == 0 && path[0] != "spec" {
		delete(obj, path[0])
	}
}

func splitPath(dotted string) []string {
	return strings.FieldsFunc(dotted, func(r rune) bool { return r == '.' })
}

// copied is a deep copy that also takes what encoding/json or Go code left in a map (int, int32, []map …).
func copied(value any) any {
	switch v := value.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, element := range v {
			m[key] = copied(element)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, element := range v {
			list[i] = copied(element)
		}
		return list
	case int:
		return int64(v)
	case int32:
		return int64(v)
	default:
		return v
	}
}

// typed converts a part of an object into a Go type of k8s.io/api; false when the part is absent or malformed.
func typed[T any](part map[string]any) (T, bool) {
	var out T
	if part == nil {
		return out, false
	}
	return out, runtime.DefaultUnstructuredConverter.FromUnstructured(part, &out) == nil
}

// untyped is the way back. The types given to it here are plain API structs, for which conversion cannot fail.
func untyped(in any) map[string]any {
	out, err := runtime.DefaultUnstructuredConverter.ToUnstructured(in)
	if err != nil {
		return map[string]any{}
	}
	return out
}
