package apply

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// What is ours in a Deployment.
const ownedFields = `{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:spec":{
  "f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:name":{},"f:image":{},"f:ports":{
    "k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}},
  "f:volumes":{"k:{\"name\":\"tmp\"}":{".":{},"f:emptyDir":{},"f:name":{}}}}},
  "f:finalizers":{"v:\"a/b\"":{}},"f:numbers":{"i:1":{}}}}`

const ownedObject = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, uid: one, labels: {app: web, theirs: x}, resourceVersion: "7"}
spec:
  replicas: 3
  paused: false
  selector: {matchLabels: {app: web}}
  finalizers: [x/y, a/b]
  numbers: [1, 2, 3]
  template:
    spec:
      dnsPolicy: ClusterFirst
      containers:
      - {name: injected, image: proxy}
      - {name: web, image: "web:1", ports: [{containerPort: 80, protocol: TCP, name: http}]}
      volumes: [{name: tmp, emptyDir: {}}]
status: {replicas: 3}`

func ownedLive(t *testing.T, change func(map[string]any)) *unstructured.Unstructured {
	t.Helper()
	encoded, err := yaml.YAMLToJSON([]byte(ownedObject))
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(encoded); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(obj.Object)
	}
	obj.SetManagedFields([]metav1.ManagedFieldsEntry{{
		Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply, FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(ownedFields),
	}})
	return obj
}

func set(value any, path ...string) func(map[string]any) {
	return func(obj map[string]any) { _ = unstructured.SetNestedField(obj, value, path...) }
}

// container changes the containers' elements.
func container(i int, name string, value any) func(map[string]any) {
	return func(obj map[string]any) {
		list, _, _ := unstructured.NestedSlice(obj, "spec", "template", "spec", "containers")
		list[i].(map[string]any)[name] = value
		_ = unstructured.SetNestedSlice(obj, list, "spec", "template", "spec", "containers")
	}
}

// A fingerprint changes with each value that is ours, whoever changed it, and with nothing else.
func TestFingerprintHasValues(t *testing.T) {
	before := Fingerprint(ownedLive(t, nil))
	for _, row := range []struct {
		what    string
		change  func(map[string]any)
		changes bool
	}{
		{"nothing", nil, false},
		{"replicas", set(int64(4), "spec", "replicas"), true},
		{"a label of ours", set("other", "metadata", "labels", "app"), true},
		{"a label of theirs", set("other", "metadata", "labels", "theirs"), false},
		{"an image", container(1, "image", "web:2"), true},
		{"an injected container's image", container(0, "image", "proxy:2"), false},
		{"a field of our container that is not ours", container(1, "imagePullPolicy", "Always"), false},
		{"a whole value", set(map[string]any{"app": "other"}, "spec", "selector", "matchLabels"), true},
		{"a field that is gone", func(obj map[string]any) { unstructured.RemoveNestedField(obj, "spec", "replicas") }, true},
		{"an element by value that is gone", set([]any{"x/y"}, "spec", "finalizers"), true},
		{"other elements by value", set([]any{"a/b", "c/d"}, "spec", "finalizers"), false},
		{"an element by position", set([]any{int64(1), int64(5), int64(3)}, "spec", "numbers"), true},
		{"another element by position", set([]any{int64(9), int64(2)}, "spec", "numbers"), false},
		{"a default", set("Default", "spec", "template", "spec", "dnsPolicy"), false},
		{"the status", set(int64(1), "status", "replicas"), false},
		{"the version", set("8", "metadata", "resourceVersion"), false},
		{"another object of the name", set("two", "metadata", "uid"), true},
		{"a list that is a map", set(map[string]any{"0": "x"}, "spec", "template", "spec", "containers"), true},
	} {
		if changed := Fingerprint(ownedLive(t, row.change)) != before; changed != row.changes {
			t.Errorf("%s: changed %t, want %t", row.what, changed, row.changes)
		}
	}
	sealed := ownedLive(t, set("forged", "metadata", "annotations", AnnotationFingerprint))
	Seal(sealed)
	if Fingerprint(sealed) != before {
		t.Error("the sealed object has another fingerprint")
	}
}

// What a member says of whose the fields are may be anything.
func FuzzFingerprint(f *testing.F) {
	f.Add([]byte(ownedFields))
	f.Add([]byte(`{"f:spec":{"k:{":{},"v:":{},"i:-1":{},"i:9999999999":{},"":{}},"f:":5,"f:metadata":[]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, fields []byte) {
		live := ownedLive(t, nil)
		entries := live.GetManagedFields()
		entries[0].FieldsV1 = metav1.NewFieldsV1(string(fields))
		if print := fingerprintOf(live, entries); print != "" && print != fingerprintOf(live, entries) {
			t.Error("it is not stable")
		}
	})
}
