package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// gateways is a CRD whose lists say how they are merged.
func gateways(t testing.TB, group string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	text := fmt.Sprintf(`{
	  "metadata": {"name": "gateways.%[1]s"},
	  "spec": {
	    "group": "%[1]s", "scope": "Namespaced", "names": {"plural": "gateways", "kind": "Gateway"},
	    "versions": [{
	      "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
	      "schema": {"openAPIV3Schema": {"type": "object", "properties": {
	        "spec": {"type": "object", "properties": {
	          "listeners": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
	            "items": {"type": "object", "required": ["name"], "properties": {
	              "name": {"type": "string"}, "port": {"type": "integer"}, "tls": {"type": "boolean"}}}},
	          "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
	          "hosts": {"type": "array", "items": {"type": "string"}},
	          "labels": {"type": "object", "additionalProperties": {"type": "string"}},
	          "select": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
	          "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	        }},
	        "status": {"type": "object", "properties": {"conditions": {"type": "array",
	          "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
	          "items": {"type": "object", "required": ["type"], "properties": {
	            "type": {"type": "string"}, "status": {"type": "string"}}}}}}
	      }}}
	    }]
	  }
	}`, group)
	if err := json.Unmarshal([]byte(text), crd); err != nil {
		t.Fatal(err)
	}
	return crd
}

// applier applies manifests of one custom resource as several managers.
type applier struct {
	client dynamic.ResourceInterface
	api    string
	kind   string
}

func (a applier) apply(ctx context.Context, manager, rest string, force bool, subresource ...string) error {
	manifest := fmt.Sprintf(`{"apiVersion": %q, "kind": %q, %s}`, a.api, a.kind, rest)
	var named struct{ Metadata struct{ Name string } }
	if err := json.Unmarshal([]byte(manifest), &named); err != nil {
		return err
	}
	_, err := a.client.Patch(ctx, named.Metadata.Name, types.ApplyPatchType, []byte(manifest), metav1.PatchOptions{
		FieldManager: manager, Force: &force, FieldValidation: metav1.FieldValidationStrict,
	}, subresource...)
	return err
}

// TestApplyFollowsTheSchemaOfTheKind: server-side apply of a custom resource merges what its schema says is merged, and
// what two managers conflict in is what the schema says has one owner.
func TestApplyFollowsTheSchemaOfTheKind(t *testing.T) {
	const group = "apply.example.org"
	ns := common.namespace(t)
	createCRD(t, gateways(t, group))
	a := applier{kind: "Gateway", api: group + "/v1", client: common.dynamic(t).Resource(
		schema.GroupVersionResource{Group: group, Version: "v1", Resource: "gateways"}).Namespace(ns)}
	for name, test := range map[string]struct {
		one, two string // of the two managers
		conflict string // what the conflict names; empty: there is none
		want     string // spec after the second, forced
	}{
		"list of type map": {
			one: `{"listeners": [{"name": "a", "port": 1}]}`, two: `{"listeners": [{"name": "b", "port": 2}]}`,
			want: `{"listeners": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}`,
		},
		"one element by two": {
			one: `{"listeners": [{"name": "a", "port": 1}]}`, two: `{"listeners": [{"name": "a", "tls": true}]}`,
			want: `{"listeners": [{"name": "a", "port": 1, "tls": true}]}`,
		},
		"one field of an element": {
			one: `{"listeners": [{"name": "a", "port": 1}]}`, two: `{"listeners": [{"name": "a", "port": 2}]}`,
			conflict: `.spec.listeners[name="a"].port`,
			want:     `{"listeners": [{"name": "a", "port": 2}]}`,
		},
		"set":        {one: `{"tags": ["p"]}`, two: `{"tags": ["q"]}`, want: `{"tags": ["p", "q"]}`},
		"map":        {one: `{"labels": {"p": "1"}}`, two: `{"labels": {"q": "2"}}`, want: `{"labels": {"p": "1", "q": "2"}}`},
		"atomic map": {one: `{"select": {"p": "1"}}`, two: `{"select": {"q": "2"}}`, conflict: ".spec.select", want: `{"select": {"q": "2"}}`},
		"plain list": {one: `{"hosts": ["p"]}`, two: `{"hosts": ["q"]}`, conflict: ".spec.hosts", want: `{"hosts": ["q"]}`},
		"free form":  {one: `{"free": {"p": {"x": 1}}}`, two: `{"free": {"p": {"y": 2}}}`, want: `{"free": {"p": {"x": 1, "y": 2}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			object := strings.ReplaceAll(strings.ToLower(name), " ", "-")
			body := func(spec string) string { return fmt.Sprintf(`"metadata": {"name": %q}, "spec": %s`, object, spec) }
			if err := a.apply(t.Context(), "one", body(test.one), false); err != nil {
				t.Fatal(err)
			}
			err := a.apply(t.Context(), "two", body(test.two), false)
			switch {
			case test.conflict == "" && err != nil:
				t.Errorf("the second manager: %v", err)
			case test.conflict != "" && (!apierrors.IsConflict(err) || !strings.Contains(err.Error(), test.conflict)):
				t.Errorf("the second manager: %v, want a conflict about %s", err, test.conflict)
			}
			if err := a.apply(t.Context(), "two", body(test.two), true); err != nil {
				t.Fatal(err)
			}
			got, err := a.client.Get(t.Context(), object, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]any
			if err := json.Unmarshal([]byte(test.want), &want); err != nil {
				t.Fatal(err)
			}
			raw, _ := json.Marshal(got.Object["spec"])
			var spec map[string]any
			_ = json.Unmarshal(raw, &spec)
			if diff := cmp.Diff(want, spec); diff != "" {
				t.Errorf("after both, forced (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("conditions by two, through status", func(t *testing.T) {
		if err := a.apply(t.Context(), "one", `"metadata": {"name": "st"}, "spec": {}`, false); err != nil {
			t.Fatal(err)
		}
		for _, manager := range []string{"one", "two"} {
			status := fmt.Sprintf(`"metadata": {"name": "st"}, "status": {"conditions": [{"type": %q, "status": "True"}]}`, manager)
			if err := a.apply(t.Context(), manager, status, false, "status"); err != nil {
				t.Errorf("%s: %v", manager, err)
			}
		}
		got, err := a.client.Get(t.Context(), "st", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if conditions, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions"); len(conditions) != 2 {
			t.Errorf("conditions are %v, want both", conditions)
		}
	})
	t.Run("unknown field", func(t *testing.T) {
		err := a.apply(t.Context(), "one", `"metadata": {"name": "typo"}, "spec": {"listenerz": []}`, true)
		if err == nil || !strings.Contains(err.Error(), "listenerz") {
			t.Errorf("%v, want the name of the field", err)
		}
	})
}

// TestApplySharesMetadata: finalizers, owners and labels of a custom resource belong to those who set them, one by one; a
// forced apply takes nobody else's.
func TestApplySharesMetadata(t *testing.T) {
	const group = "shared.example.org"
	ns := common.namespace(t)
	createCRD(t, gateways(t, group))
	placement := `"spec": {"resources": [{"kind": "Deployment", "name": "none"}]}`
	for name, test := range map[string]struct {
		of   applier
		spec string
	}{
		"custom resource": {spec: `"spec": {}`, of: applier{kind: "Gateway", api: group + "/v1",
			client: common.dynamic(t).Resource(
				schema.GroupVersionResource{Group: group, Version: "v1", Resource: "gateways"}).Namespace(ns)}},
		"Placement": {spec: placement, of: applier{kind: "Placement", api: "hanse.io/v1alpha1",
			client: common.dynamic(t).Resource(placements).Namespace(ns)}},
	} {
		t.Run(name, func(t *testing.T) {
			a := test.of
			owner := func(name string) string {
				made, err := common.client(t, admin).CoreV1().ConfigMaps(ns).Create(t.Context(),
					configMap(strings.ToLower(a.kind)+"-"+name, "x"), metav1.CreateOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return fmt.Sprintf(`{"apiVersion": "v1", "kind": "ConfigMap", "name": %q, "uid": %q}`, made.Name, made.UID)
			}
			for _, manager := range []string{"one", "two"} {
				body := fmt.Sprintf(`"metadata": {"name": "m", "finalizers": ["example.org/%[1]s"], "labels": {%[1]q: "x"},
					"annotations": {%[1]q: "x"}, "ownerReferences": [%[2]s]}, %[3]s`, manager, owner(manager), test.spec)
				for _, force := range []bool{false, true} {
					if err := a.apply(t.Context(), manager, body, force); err != nil {
						t.Errorf("%s: %v", manager, err)
					}
				}
			}
			got, err := a.client.Get(t.Context(), "m", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.GetFinalizers()) != 2 || len(got.GetOwnerReferences()) != 2 || len(got.GetLabels()) != 2 ||
				len(got.GetAnnotations()) != 2 {
				t.Errorf("metadata is %v, want what both managers set", got.Object["metadata"])
			}
			// Who no longer names its own gives it up, and nothing else.
			if err := a.apply(t.Context(), "one", `"metadata": {"name": "m"}, `+test.spec, false); err != nil {
				t.Fatal(err)
			}
			if got, err = a.client.Get(t.Context(), "m", metav1.GetOptions{}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"example.org/two"}, got.GetFinalizers()); diff != "" || len(got.GetOwnerReferences()) != 1 {
				t.Errorf("after one left: finalizers %v, owners %v", got.GetFinalizers(), got.GetOwnerReferences())
			}
			err = a.apply(t.Context(), "one", `"metadata": {"name": "typo"}, `+test.spec+
				`, "pausedd": true`, true)
			if err == nil || !strings.Contains(err.Error(), "pausedd") {
				t.Errorf("an unknown field: %v, want its name", err)
			}
		})
	}
}
