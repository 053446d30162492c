package apply

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestWithoutSelectors(t *testing.T) {
	for path, want := range map[string]string{
		".spec.replicas": ".spec.replicas",
		`.spec.template.spec.containers[name="app"].image`:  ".spec.template.spec.containers.image",
		`.spec.ports[containerPort=80,protocol="TCP"].name`: ".spec.ports.name",
		`.metadata.finalizers["a]b\"]c"]`:                   ".metadata.finalizers",
		`.metadata.annotations.example.org/a`:               ".metadata.annotations.example.org/a",
		`.spec.x[0].y[1]`:                                   ".spec.x.y",
		`.metadata.ownerReferences[uid="x"].controller[`:    ".metadata.ownerReferences.controller",
		`.spec.a[k="v\`:                                     ".spec.a",
	} {
		if got := withoutSelectors(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func FuzzWithoutSelectors(f *testing.F) {
	f.Add(`.a[b="c\"]"].d`)
	f.Fuzz(func(t *testing.T, path string) {
		got := withoutSelectors(path)
		if len(got) > len(path) || (!strings.Contains(path, "[") && got != path) {
			t.Errorf("%q became %q", path, got)
		}
	})
}

func TestDigest(t *testing.T) {
	obj := object(t, strings.ReplaceAll(deployment, "NAME", "web"))
	conflict := func(path string) []fieldConflict { return []fieldConflict{{path: path}} }
	live := &unstructured.Unstructured{Object: map[string]any{}}
	live.SetAnnotations(map[string]string{AnnotationFields: digestFields(obj).String()})
	d := digestOf(live)
	for path, want := range map[string]bool{
		".spec.replicas": true,
		`.spec.template.spec.containers[name="app"].image`:           true,
		`.spec.template.spec.containers[name="app"]`:                 true,
		`.spec.template.spec.containers[name="app"].imagePullPolicy`: false,
		".spec.paused": false,
		".spec":        true, // an atomic parent
		".metadata.annotations.hanse.io/template": true,
		".metadata.labels.hanse.io/hub":           true,
		".metadata.labels.team":                   false,
	} {
		if got := d.hasAll(conflict(path)); got != want {
			t.Errorf("%s set before: %v, want %v", path, got, want)
		}
	}
	if d.hasAll(append(conflict(".spec.replicas"), conflict(".spec.paused")...)) {
		t.Error("one unknown field among known ones counts as known")
	}
	for _, text := range []string{"?", "A", "AAAA"} {
		live.SetAnnotations(map[string]string{AnnotationFields: text})
		if digestOf(live).known {
			t.Errorf("%q is a digest", text)
		}
	}
	large := map[string]any{}
	for i := range 2 * maxDigest {
		large[strings.Repeat("x", i+1)] = "v"
	}
	obj.Object["data"] = large
	if digestFields(obj).known {
		t.Error("a digest of any size")
	}
}
