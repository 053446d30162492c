package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// widgets is a CRD with a schema, a default, a rule, status and scale. Each test has a group of its own.
func widgets(t testing.TB, group string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	text := fmt.Sprintf(`{
	  "metadata": {"name": "widgets.%[1]s"},
	  "spec": {
	    "group": "%[1]s", "scope": "Namespaced",
	    "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
	    "versions": [{
	      "name": "v1", "served": true, "storage": true,
	      "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
	      "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
	      "schema": {"openAPIV3Schema": {"type": "object", "properties": {
	        "spec": {"type": "object", "properties": {
	          "size": {"type": "integer", "default": 3, "minimum": 0},
	          "low": {"type": "integer"}
	        }, "x-kubernetes-validations": [{"rule": "!has(self.low) || self.low <= self.size", "message": "low is above size"}]},
	        "status": {"type": "object", "properties": {"size": {"type": "integer"}}}
	      }}}
	    }]
	  }
	}`, group)
	if err := json.Unmarshal([]byte(text), crd); err != nil {
		t.Fatal(err)
	}
	return crd
}

func crdClient(t testing.TB) clientset.Interface {
	t.Helper()
	client, err := clientset.NewForConfig(common.config(admin))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func createCRD(t testing.TB, crd *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	out, err := crdClient(t).ApiextensionsV1().CustomResourceDefinitions().Create(t.Context(), crd, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create CRD: %v", err)
	}
	return out
}

func object(group, kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group + "/v1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

// A user's CRD is served by the time its create is answered.
func TestCustomKind(t *testing.T) {
	const group = "kind.example.org"
	ns := common.namespace(t)
	crd := createCRD(t, widgets(t, group))
	if !apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established) {
		t.Errorf("not established: %+v", crd.Status.Conditions)
	}
	things := common.dynamic(t).Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "widgets"}).Namespace(ns)
	made, err := things.Create(t.Context(), object(group, "Widget", "w", map[string]any{}), metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create at once: %v", err)
	}
	if size, _, _ := unstructured.NestedInt64(made.Object, "spec", "size"); size != 3 {
		t.Errorf("size is %d, want the default 3", size)
	}
	for _, test := range []struct {
		spec map[string]any
		says string
	}{
		{map[string]any{"size": "big"}, "spec.size"},
		{map[string]any{"size": int64(-1)}, "spec.size"},
		{map[string]any{"size": int64(1), "low": int64(2)}, "low is above size"},
	} {
		_, err := things.Create(t.Context(), object(group, "Widget", "bad", test.spec), metav1.CreateOptions{})
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: %v, want %q", test.spec, err, test.says)
		}
	}
	_, err = things.Create(t.Context(), object(group, "Widget", "bad", map[string]any{"sizee": int64(1)}),
		metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err == nil || !strings.Contains(err.Error(), "sizee") {
		t.Errorf("unknown field: %v", err)
	}
	if _, err := things.Patch(t.Context(), "w", "application/merge-patch+json", []byte(`{"status":{"size":2},"spec":{"size":9}}`),
		metav1.PatchOptions{}, "status"); err != nil {
		t.Errorf("status: %v", err)
	}
	scale, err := things.Get(t.Context(), "w", metav1.GetOptions{}, "scale")
	if err != nil {
		t.Fatalf("scale: %v", err)
	}
	spec, _, _ := unstructured.NestedInt64(scale.Object, "spec", "replicas")
	status, _, _ := unstructured.NestedInt64(scale.Object, "status", "replicas")
	if spec != 3 || status != 2 {
		t.Errorf("scale is %d/%d, want 2/3", status, spec)
	}
}

// The definitions of the hub's own kinds stay, whichever way somebody tries to delete them.
func TestOwnKindsStay(t *testing.T) {
	crds := crdClient(t).ApiextensionsV1().CustomResourceDefinitions()
	before, err := crds.Get(t.Context(), "placements.hanse.io", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	one := crds.Delete(t.Context(), "placements.hanse.io", metav1.DeleteOptions{})
	all := crds.DeleteCollection(t.Context(), metav1.DeleteOptions{},
		metav1.ListOptions{FieldSelector: "metadata.name=placements.hanse.io"})
	for _, err := range []error{one, all} {
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "the hub's own kinds may not be deleted") {
			t.Errorf("%v, want forbidden", err)
		}
	}
	after, err := crds.Get(t.Context(), "placements.hanse.io", metav1.GetOptions{})
	if err != nil || after.UID != before.UID || after.DeletionTimestamp != nil {
		t.Errorf("the definition is %+v: %v", after, err)
	}
}

// T19: what a deleted CRD leaves behind must not come back with the next one of its name.
func TestDeletedKindTakesItsObjects(t *testing.T) {
	const group = "gone.example.org"
	ns := common.namespace(t)
	createCRD(t, widgets(t, group))
	things := common.dynamic(t).Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "widgets"})
	if _, err := things.Namespace(ns).Create(t.Context(), object(group, "Widget", "w", nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	crds := crdClient(t).ApiextensionsV1().CustomResourceDefinitions()
	if err := crds.Delete(t.Context(), "widgets."+group, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if _, err := crds.Get(t.Context(), "widgets."+group, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("the deleted CRD: %v", err)
		}
		return ""
	})
	createCRD(t, widgets(t, group))
	list, err := things.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("the new kind has %d objects, %v", len(list.Items), err)
	}
}

// A name that another kind of the group has is not accepted, and the user is told which.
func TestTakenNames(t *testing.T) {
	const group = "taken.example.org"
	createCRD(t, widgets(t, group))
	second := widgets(t, group)
	second.Name, second.Spec.Names.Plural, second.Spec.Names.Kind = "gadgets."+group, "gadgets", "Gadget"
	createCRD(t, second) // wd is taken
	eventually(t, func() string {
		crd, err := crdClient(t).ApiextensionsV1().CustomResourceDefinitions().Get(t.Context(), second.Name, metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		condition := apihelpers.FindCRDCondition(crd, apiextensionsv1.NamesAccepted)
		if condition == nil || condition.Status != apiextensionsv1.ConditionFalse || !strings.Contains(condition.Message, "wd") {
			return fmt.Sprintf("NamesAccepted is %+v", condition)
		}
		return ""
	})
}

// Our own kinds are served, and a second start of the same version writes none of them.
func TestOwnKindsAreSeededOnce(t *testing.T) {
	dir := t.TempDir()
	versions := func() map[string]string {
		h := start(t, dir, nil)
		out := map[string]string{}
		client, err := clientset.NewForConfig(h.config(admin))
		if err != nil {
			t.Fatal(err)
		}
		list, err := client.ApiextensionsV1().CustomResourceDefinitions().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, crd := range list.Items {
			out[crd.Name] = crd.ResourceVersion
		}
		if err := h.stop(); err != nil {
			t.Fatalf("stop: %v", err)
		}
		return out
	}
	first, second := versions(), versions()
	if len(first) == 0 {
		t.Fatal("no CRDs were seeded")
	}
	for name, version := range first {
		if second[name] != version {
			t.Errorf("%s was written at the second start: %s, then %s", name, version, second[name])
		}
	}
}

func TestCustomKindsInDiscoveryAndSchemas(t *testing.T) {
	const group = "found.example.org"
	createCRD(t, widgets(t, group))
	client := common.client(t, admin)
	lists, err := client.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, list := range lists {
		for _, r := range list.APIResources {
			found[list.GroupVersion+"/"+r.Name] = true
		}
	}
	for _, want := range []string{"v1/configmaps", "apps/v1/deployments", "autoscaling/v2/horizontalpodautoscalers",
		"hanse.io/v1alpha1/placements", group + "/v1/widgets"} {
		if !found[want] {
			t.Errorf("discovery has no %s", want)
		}
	}
	// The old form says the same.
	list, err := client.Discovery().ServerResourcesForGroupVersion(group + "/v1")
	if err != nil || len(list.APIResources) != 3 {
		t.Errorf("old form: %+v, %v, want widgets, its status and scale", list, err)
	}
	if v2, err := client.Discovery().OpenAPISchema(); err != nil || len(v2.Definitions.AdditionalProperties) < 500 {
		t.Errorf("OpenAPI v2 as protobuf: %v", err)
	} else {
		has := false
		for _, d := range v2.Definitions.AdditionalProperties {
			has = has || d.Name == "org.example.found.v1.Widget"
		}
		if !has {
			t.Error("OpenAPI v2 has no Widget")
		}
	}
	paths, err := client.Discovery().OpenAPIV3().Paths()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"api/v1", "apis/apps/v1", "apis/" + group + "/v1"} {
		if paths[path] == nil {
			t.Errorf("OpenAPI v3 has no %s", path)
			continue
		}
		for _, contentType := range []string{"application/json", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"} {
			if raw, err := paths[path].Schema(contentType); err != nil || len(raw) < 1000 {
				t.Errorf("OpenAPI v3 %s as %s: %d bytes, %v", path, contentType, len(raw), err)
			}
		}
	}
}

// TestANewKindDelaysNobody: the cache of a kind that is filled after the last write does not keep others from knowing
// that they are up to date. They would wait 3 s then, each time.
func TestANewKindDelaysNobody(t *testing.T) {
	const group = "late.example.com"
	createCRD(t, widgets(t, group))
	things := common.dynamic(t).Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "widgets"})
	time.Sleep(1500 * time.Millisecond) // the last write is over
	if _, err := things.List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // the watch of the new cache stands
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := common.client(t, admin).CoreV1().Services("").List(ctx, metav1.ListOptions{})
		cancel()
		if err != nil {
			t.Fatalf("listing another kind: %v", err)
		}
	}
}
