package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/hanse-federation/hanse/api/native"
)

// minimal are manifests that say as little as they may, one of each kind that has defaults.
func minimal(t testing.TB) []*unstructured.Unstructured {
	t.Helper()
	raw, err := os.ReadFile("testdata/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		obj := &unstructured.Unstructured{}
		if err := decoder.Decode(&obj.Object); err != nil {
			return out
		}
		out = append(out, obj)
	}
}

// views are clients of one kind: as the world sees it, and as it is stored.
type views struct{ served, stored dynamic.ResourceInterface }

// viewsOf returns the views of the kind of obj, in a namespace if it has one.
func viewsOf(t testing.TB) func(obj *unstructured.Unstructured, ns string) views {
	t.Helper()
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(common.client(t, admin).Discovery()))
	client := func(config *rest.Config) dynamic.Interface {
		out, err := dynamic.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	served, stored := client(common.config(admin)), client(common.server.StoredLoopback())
	return func(obj *unstructured.Unstructured, ns string) views {
		mapping, err := mapper.RESTMapping(obj.GroupVersionKind().GroupKind(), obj.GroupVersionKind().Version)
		if err != nil {
			t.Fatal(err)
		}
		if mapping.Scope.Name() == "root" {
			ns = ""
		}
		return views{served.Resource(mapping.Resource).Namespace(ns), stored.Resource(mapping.Resource).Namespace(ns)}
	}
}

// spec is an object without metadata and status, as JSON.
func spec(t testing.TB, obj *unstructured.Unstructured) string {
	t.Helper()
	fields := obj.DeepCopy().Object
	delete(fields, "metadata")
	delete(fields, "status")
	out, err := json.MarshalIndent(fields, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// asCluster completes an object as an API server does.
func asCluster(t testing.TB, obj *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	typed, err := native.Scheme().New(obj.GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, typed); err != nil {
		t.Fatal(err)
	}
	native.Default(typed)
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		t.Fatal(err)
	}
	out := &unstructured.Unstructured{Object: fields}
	out.SetGroupVersionKind(obj.GroupVersionKind())
	return out
}

// TestServedWithDefaultsStoredWithout: get, list, watch and the answers to writes show what a cluster would add, and
// whatever people do to an object without a change of what they want, what is stored stays as it is.
func TestServedWithDefaultsStoredWithout(t *testing.T) {
	ns, of := common.namespace(t), viewsOf(t)
	var plain []string // kinds that nothing is added to
	for _, manifest := range minimal(t) {
		t.Run(manifest.GetKind(), func(t *testing.T) {
			v, ctx := of(manifest, ns), t.Context()
			manifest.SetName("min-" + ns)
			watch, err := v.served.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + manifest.GetName()})
			if err != nil {
				t.Fatal(err)
			}
			defer watch.Stop()
			made, err := v.served.Create(ctx, manifest, metav1.CreateOptions{FieldManager: "test"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = v.served.Delete(t.Context(), manifest.GetName(), metav1.DeleteOptions{}) })
			stored, err := v.stored.Get(ctx, manifest.GetName(), metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want := spec(t, asCluster(t, stored))
			if want == spec(t, stored) {
				plain = append(plain, manifest.GetKind())
			}
			same := func(what string, got *unstructured.Unstructured, err error) {
				t.Helper()
				if err != nil {
					t.Errorf("%s: %v", what, err)
				} else if diff := cmp.Diff(want, spec(t, got)); diff != "" {
					t.Errorf("%s (-cluster +hub):\n%s", what, diff)
				}
			}
			same("create", made, nil)
			got, err := v.served.Get(ctx, manifest.GetName(), metav1.GetOptions{})
			same("get", got, err)
			for _, version := range []string{"", "0"} {
				list, err := v.served.List(ctx, metav1.ListOptions{
					FieldSelector: "metadata.name=" + manifest.GetName(), ResourceVersion: version})
				if err != nil || len(list.Items) != 1 {
					t.Fatalf("list: %v, %v", list, err)
				}
				same("list "+version, &list.Items[0], nil)
			}
			same("watch", (<-watch.ResultChan()).Object.(*unstructured.Unstructured), nil)
			for name, write := range quietWrites(manifest, got) {
				after, err := write(v.served)
				same(name, after, err)
				if now, err := v.stored.Get(ctx, manifest.GetName(), metav1.GetOptions{}); err != nil {
					t.Error(err)
				} else if diff := cmp.Diff(spec(t, stored), spec(t, now)); diff != "" {
					t.Errorf("%s changed what is stored (-before +after):\n%s", name, diff)
				}
				if name != "server-side apply" && err == nil && after.GetGeneration() != got.GetGeneration() {
					t.Errorf("%s counts as a change: generation %d", name, after.GetGeneration())
				}
			}
		})
	}
	if diff := cmp.Diff([]string{"Ingress", "PodDisruptionBudget", "ResourceQuota", "IngressClass"}, plain); diff != "" {
		t.Errorf("kinds that are stored complete (-want +got):\n%s", diff)
	}
}

// quietWrites are writes that change nothing that anybody wants.
func quietWrites(
	manifest, got *unstructured.Unstructured,
) map[string]func(dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
	type write = func(c dynamic.ResourceInterface) (*unstructured.Unstructured, error)
	patch := func(kind types.PatchType, body string) write {
		return func(c dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
			return c.Patch(context.Background(), manifest.GetName(), kind, []byte(body), metav1.PatchOptions{})
		}
	}
	return map[string]write{
		"read and replaced": func(c dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
			now, err := c.Get(context.Background(), manifest.GetName(), metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			return c.Update(context.Background(), now, metav1.UpdateOptions{FieldManager: "other"})
		},
		"manifest replaced": func(c dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
			again := manifest.DeepCopy()
			again.SetResourceVersion("")
			return c.Update(context.Background(), again, metav1.UpdateOptions{FieldManager: "test"})
		},
		"server-side apply": func(c dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
			return c.Apply(context.Background(), manifest.GetName(), manifest, metav1.ApplyOptions{FieldManager: "applier", Force: true})
		},
		"label":           patch(types.MergePatchType, `{"metadata": {"labels": {"x": "z"}}}`),
		"strategic patch": patch(types.StrategicMergePatchType, `{"metadata": {"annotations": {"x": "z"}}}`),
		"JSON patch": patch(types.JSONPatchType,
			`[{"op": "test", "path": "/metadata/name", "value": "`+manifest.GetName()+`"}]`),
	}
}

// TestDefaultsAreThereToPatch: a patch meets the object as its author sees it, and what is stored of it is the change.
func TestDefaultsAreThereToPatch(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	stored, err := kubernetes.NewForConfig(common.server.StoredLoopback())
	if err != nil {
		t.Fatal(err)
	}
	d := deployment("d", 1)
	d.Spec.Replicas = nil
	createDeployment(t, client, ns, d)
	for _, step := range []struct {
		kind  types.PatchType
		patch string
	}{
		{types.JSONPatchType, `[{"op": "replace", "path": "/spec/strategy/rollingUpdate/maxSurge", "value": 2}]`},
		{types.JSONPatchType, `[{"op": "test", "path": "/spec/replicas", "value": 1},
			{"op": "replace", "path": "/spec/replicas", "value": 4}]`},
		{types.StrategicMergePatchType, `{"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}`},
		{types.MergePatchType, `{"spec": {"replicas": null}}`},
	} {
		if _, err := client.AppsV1().Deployments(ns).Patch(t.Context(), "d", step.kind, []byte(step.patch),
			metav1.PatchOptions{}); err != nil {
			t.Fatalf("%s: %v", step.patch, err)
		}
	}
	got, err := stored.AppsV1().Deployments(ns).Get(t.Context(), "d", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(got.Spec)
	for _, part := range []string{`"rollingUpdate":{"maxSurge":2}`, `"image":"web:2"`} {
		if !strings.Contains(string(raw), part) {
			t.Errorf("stored is %s, want %s", raw, part)
		}
	}
	for _, part := range []string{"replicas", "maxUnavailable", "terminationGracePeriodSeconds", "imagePullPolicy"} {
		if strings.Contains(string(raw), part) {
			t.Errorf("stored is %s, want no %s", raw, part)
		}
	}
	// Who applies a default owns it, and gives it up again.
	apply := func(replicas string) string {
		t.Helper()
		manifest := `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {` + replicas + `}}`
		if _, err := client.AppsV1().Deployments(ns).Patch(t.Context(), "d", types.ApplyPatchType, []byte(manifest),
			metav1.PatchOptions{FieldManager: "applier"}); err != nil {
			t.Fatal(err)
		}
		now, err := stored.AppsV1().Deployments(ns).Get(t.Context(), "d", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal(now.Spec.Replicas)
		return string(raw)
	}
	for _, step := range [][2]string{{`"replicas": 1`, "1"}, {`"replicas": 1`, "1"}, {"", "null"}} {
		if got := apply(step[0]); got != step[1] {
			t.Errorf("after applying {%s} replicas are %s, want %s", step[0], got, step[1])
		}
	}
	if _, err := client.AppsV1().Deployments(ns).Get(t.Context(), "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("one that is not there: %v", err)
	}
}
