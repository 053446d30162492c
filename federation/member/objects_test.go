package member

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// An object whose name no API server takes is no object, whichever way it comes.
func TestNamesThatLie(t *testing.T) {
	for _, name := range []string{"\x1b[2Jweb", "web\u202e", "a/b", "..%2f", "web\nweb", strings.Repeat("a", 254), "a\xff"} {
		for _, namespace := range []bool{false, true} {
			u := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "web"}}}
			if namespace {
				u.SetNamespace(name)
			} else {
				u.SetName(name)
			}
			o := objectStore{newObjects(func(*unstructured.Unstructured) {})}
			_ = o.Add(u.DeepCopy())
			_ = o.Update(u.DeepCopy())
			_ = o.Replace([]any{u.DeepCopy()}, "1")
			if _, _, err := o.shrink(u); len(o.List()) > 0 || err == nil {
				t.Errorf("%q is kept: %v", name, o.List())
			}
		}
	}
	for _, name := range []string{"web", "system:node:a.example.org", strings.Repeat("a", 253), ""} {
		if !IsName(name) {
			t.Errorf("%q is a name", name)
		}
	}
}
