package kinds

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPath(t *testing.T) {
	obj := object(t, `
apiVersion: v1
kind: X
metadata: {labels: {a.b: c}}
spec: {groups: [{size: 1}, {name: b}, {size: 3}], byName: {z: {m: 9}, a: {m: 1}}, size: 5}`).Object
	for _, c := range []struct {
		path string
		want []any
	}{
		{".spec.size", []any{int64(5)}},
		{"spec.size", []any{int64(5)}},
		{".spec.none", []any{nil}},
		{".spec.none.deeper", nil},
		{".spec.groups[*].size", []any{int64(1), nil, int64(3)}},
		{".spec.byName[*].m", []any{int64(1), int64(9)}},
		{".metadata.labels['a.b']", []any{"c"}},
		{".spec.size[*]", nil},
	} {
		p, err := ParsePath(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, p.all(obj)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
	}
	for _, wrong := range []string{"", ".", "..a", ".a.", ".a[0]", ".a['", ".a['']", ".a b", "$.a", ".a[*"} {
		if p, err := ParsePath(wrong); err == nil || !strings.Contains(err.Error(), "a path looks like") {
			t.Errorf("%q is %v: %v", wrong, p.steps, err)
		}
	}
}

// No path panics, whatever the object, and what is removed is gone.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{".spec.size", ".spec.groups[*].size", ".metadata.labels['a.b']", "[*][*]", ".spec"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePath(text)
		if err != nil {
			return
		}
		obj := object(t, "{apiVersion: v1, kind: X, spec: {groups: [{size: 1}, 2], size: {deep: [1]}}, metadata: {labels: {a.b: c}}}")
		p.all(obj.Object)
		p.remove(obj.Object)
		if _, single := p.Fields(); single {
			if left := p.all(obj.Object); len(left) > 1 || len(left) == 1 && left[0] != nil {
				t.Errorf("%q leaves %v", text, left)
			}
		}
	})
}
