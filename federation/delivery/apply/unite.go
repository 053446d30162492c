package apply

import (
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// shared is what of a kind's objects a member's controllers change beside us, although Kubernetes knows no owner for a
// part of it.
type shared struct {
	// lists are atomic lists of objects with a name, to which controllers append.
	lists []string
	// grows are quantities that may only grow.
	grows [][]string
}

var sharedFields = map[schema.GroupKind]shared{
	{Kind: "ServiceAccount"}:        {lists: []string{"imagePullSecrets", "secrets"}},
	{Kind: "PersistentVolumeClaim"}: {grows: [][]string{{"spec", "resources", "requests", "storage"}}},
}

// isShared reports whether the object as it is in the member must be known to write it.
func isShared(ref Ref) bool {
	_, is := sharedFields[ref.GVK.GroupKind()]
	return is
}

// unite returns the object with what the member's controllers have added: the larger quantity, and the entries of a list
// that are not ours. The second value is what of the lists is ours, by list; it is recorded with the copy, so that an entry
// that the template drops is told from one of the member's.
func unite(obj, live *unstructured.Unstructured) (*unstructured.Unstructured, map[string][]string) {
	fields, is := sharedFields[obj.GroupVersionKind().GroupKind()]
	if !is {
		return obj, nil
	}
	united := obj.DeepCopy()
	for _, path := range fields.grows {
		grow(united, live, path)
	}
	ours := map[string][]string{}
	before := recorded(live)
	for _, list := range fields.lists {
		entries, _, _ := unstructured.NestedSlice(united.Object, list)
		for _, entry := range entries {
			ours[list] = append(ours[list], nameOf(entry))
		}
		if len(entries) == 0 && len(before[list]) == 0 {
			continue // the list is the member's alone
		}
		if live != nil {
			there, _, _ := unstructured.NestedSlice(live.Object, list)
			for _, entry := range there {
				if name := nameOf(entry); !slices.Contains(ours[list], name) && !slices.Contains(before[list], name) {
					entries = append(entries, entry)
				}
			}
		}
		if len(entries) > 0 {
			_ = unstructured.SetNestedSlice(united.Object, entries, list) // the root is a map
		}
	}
	return united, ours
}

// grow takes the member's quantity when it is larger.
func grow(obj, live *unstructured.Unstructured, path []string) {
	if live == nil {
		return
	}
	asked, _, _ := unstructured.NestedString(obj.Object, path...)
	has, _, _ := unstructured.NestedString(live.Object, path...)
	wanted, errWanted := resource.ParseQuantity(asked)
	there, errThere := resource.ParseQuantity(has)
	if errWanted == nil && errThere == nil && there.Cmp(wanted) > 0 {
		_ = unstructured.SetNestedField(obj.Object, has, path...) // the path is there
	}
}

// recorded is what of the lists was ours at the last apply.
func recorded(live *unstructured.Unstructured) map[string][]string {
	ours := map[string][]string{}
	if live != nil {
		_ = json.Unmarshal([]byte(live.GetAnnotations()[AnnotationEntries]), &ours) // a foreign hand's text counts as none
	}
	return ours
}

// encodeEntries is the text of the annotation; empty when there is nothing to record.
func encodeEntries(ours map[string][]string) string {
	for list, names := range ours {
		if len(names) == 0 {
			delete(ours, list)
		}
	}
	if len(ours) == 0 {
		return ""
	}
	text, err := json.Marshal(ours)
	if err != nil {
		return ""
	}
	return string(text)
}

func nameOf(entry any) string {
	m, _ := entry.(map[string]any)
	name, _ := m["name"].(string)
	return name
}
