package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// What is ours in the member keeps the member's value, what is not ours is left out; nothing else changes.
func TestYield(t *testing.T) {
	for _, c := range []struct {
		what         string
		ignored      []string
		wanted, live string
		ours         string
		want         string
	}{
		{what: "a field of ours", ignored: []string{"/spec/replicas"},
			wanted: "{spec: {replicas: 3, paused: true}}", live: "{spec: {replicas: 9}}",
			ours: `{"f:spec":{"f:replicas":{}}}`, want: "{spec: {replicas: 9, paused: true}}"},
		{what: "a field of others", ignored: []string{"/spec/replicas"},
			wanted: "{spec: {replicas: 3, paused: true}}", live: "{spec: {replicas: 9}}",
			ours: `{"f:spec":{"f:paused":{}}}`, want: "{spec: {paused: true}}"},
		{what: "a field that the member has not", ignored: []string{"/spec/replicas"},
			wanted: "{spec: {replicas: 3, paused: true}}", live: "{spec: {}}",
			ours: `{"f:spec":{"f:replicas":{}}}`, want: "{spec: {paused: true}}"},
		{what: "a field that the template has not", ignored: []string{"/spec/replicas", "/data/*"},
			wanted: "{spec: {paused: true}}", live: "{spec: {replicas: 9}}", want: "{spec: {paused: true}}"},
		{what: "a key with a slash", ignored: []string{"/metadata/annotations/acme.io~1size"},
			wanted: "{metadata: {annotations: {acme.io/size: a, other: b}}}", live: "{metadata: {annotations: {acme.io/size: c}}}",
			ours: `{"f:metadata":{"f:annotations":{"f:acme.io/size":{}}}}`,
			want: "{metadata: {annotations: {acme.io/size: c, other: b}}}"},
		{what: "a part, of which half is ours", ignored: []string{"/data"},
			wanted: "{data: {a: x, b: y, c: z}}", live: "{data: {a: 1, b: 2}}", ours: `{"f:data":{"f:a":{},"f:c":{}}}`,
			want: "{data: {a: 1}}"},
		{what: "a part that is owned whole", ignored: []string{"/spec/selector"},
			wanted: "{spec: {selector: {a: x}}}", live: "{spec: {selector: {b: y}}}", ours: `{"f:spec":{"f:selector":{}}}`,
			want: "{spec: {selector: {b: y}}}"},
		{what: "in every element, by name", ignored: []string{"/containers/*/image"},
			wanted: "{containers: [{name: app, image: app:1}, {name: log, image: log:1}]}",
			live:   "{containers: [{name: injected, image: i}, {name: log, image: log:2}, {name: app, image: app:2}]}",
			ours: `{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:name":{},"f:image":{}},` +
				`"k:{\"name\":\"log\"}":{".":{},"f:name":{}}}}`,
			want: "{containers: [{name: app, image: app:2}, {name: log}]}"},
		{what: "a whole list, element by element", ignored: []string{"/ports"},
			wanted: "{ports: [{name: a, port: 1, to: x}, {name: b, port: 2}]}",
			live:   "{ports: [{name: a, port: 1, to: y}, {name: b, port: 2}]}",
			ours:   `{"f:ports":{"k:{\"port\":1}":{".":{},"f:to":{}}}}`,
			want:   "{ports: [{port: 1, to: y}]}"},
		{what: "one element by its place", ignored: []string{"/args/0", "/rules/0/verb"},
			wanted: "{args: [a], rules: [{verb: get}, {verb: list}]}", live: "{args: [b], rules: [{verb: put}]}",
			ours: `{"f:args":{},"f:rules":{}}`, want: "{args: [a], rules: [{verb: put}, {verb: list}]}"},
		{what: "what an adopted object has", ignored: []string{"/spec/replicas"},
			wanted: "{spec: {replicas: 3, paused: true}}", live: "{spec: {replicas: 9}}", want: "{spec: {paused: true}}"},
	} {
		t.Run(c.what, func(t *testing.T) {
			obj, live := object(t, c.wanted), object(t, c.live)
			if c.ours != "" {
				live.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: FieldManager,
					Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(c.ours)}})
			}
			before := obj.DeepCopy()
			got, err := yaml.Marshal(yield(obj, live, c.ignored).Object)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := yaml.Marshal(object(t, c.want).Object)
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, obj); diff != "" {
				t.Errorf("the template was changed:\n%s", diff)
			}
		})
	}
}

// The revision of an object does not depend on what is ignored in it.
func TestWithout(t *testing.T) {
	obj := object(t, "{spec: {replicas: 3, template: {containers: [{name: a, image: b}]}}}")
	got := Without(obj, []string{"/spec/replicas", "/spec/template/containers/*/image"})
	want := object(t, "{spec: {template: {containers: [{name: a}]}}}")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if same := Without(obj, nil); same != obj {
		t.Error("without paths it is not the object itself")
	}
}
