package native

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

// decode reads one manifest as the hub's API does, defaulting (of Secrets) included.
func decode(t *testing.T, manifest string) runtime.Object {
	t.Helper()
	text, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatalf("read %q: %v", manifest, err)
	}
	obj, _, err := serializer.NewCodecFactory(Scheme()).UniversalDeserializer().Decode(text, nil, nil)
	if err != nil {
		t.Fatalf("decode %q: %v", manifest, err)
	}
	Scheme().Default(obj)
	m, err := meta.Accessor(obj)
	if err != nil {
		t.Fatal(err)
	}
	m.SetResourceVersion("7")
	return obj
}

func messages(errs field.ErrorList) []string {
	var out []string
	for _, err := range errs {
		out = append(out, err.Error())
	}
	return out
}

// TestValidManifests: each document of testdata/valid.yaml is what a user could apply to a real cluster. It must pass,
// be unchanged by the look at it, and an update of it by itself must pass too.
func TestValidManifests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "valid.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, manifest := range strings.Split(string(text), "\n---\n") {
		obj := decode(t, manifest)
		gvk, err := kindOf(obj)
		if err != nil {
			t.Fatal(err)
		}
		if _, known := strategies[gvk.GroupKind()]; !known {
			t.Fatalf("%s has no rules", gvk)
		}
		seen[gvk.GroupKind().String()] = true
		t.Run(gvk.GroupKind().String(), func(t *testing.T) {
			before := obj.DeepCopyObject()
			if errs := Validate(context.Background(), obj); len(errs) > 0 {
				t.Errorf("create: %v", errs)
			}
			if errs := ValidateUpdate(context.Background(), obj, obj.DeepCopyObject()); len(errs) > 0 {
				t.Errorf("update: %v", errs)
			}
			Warnings(context.Background(), obj)
			if diff := cmp.Diff(before, obj); diff != "" {
				t.Errorf("the object was changed (-before +after):\n%s", diff)
			}
		})
	}
	for gk := range strategies {
		if !seen[gk.String()] {
			t.Errorf("no valid manifest of %s in testdata/valid.yaml", gk)
		}
	}
}

// BenchmarkValidate is what one write of a Deployment pays.
func BenchmarkValidate(b *testing.B) {
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "nginx"}}},
			},
		},
	}
	for b.Loop() {
		if errs := Validate(context.Background(), deployment); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}

// Who replaces a Service need not know the address that it was given meanwhile.
func TestServiceKeepsItsAddress(t *testing.T) {
	service := func(spec string) runtime.Object {
		obj, _, err := serializer.NewCodecFactory(Scheme()).UniversalDeserializer().Decode([]byte(
			`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "1"}, "spec": `+spec+`}`), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return obj
	}
	bare := `{"type": "LoadBalancer", "ports": [{"port": 80}]}`
	given := `{"type": "LoadBalancer", "clusterIP": "240.0.0.1", "ports": [{"port": 80}]}`
	for _, c := range [][2]string{{bare, given}, {given, bare}, {given, given},
		{given, `{"type": "ClusterIP", "ports": [{"port": 80}]}`}} {
		if errs := ValidateUpdate(t.Context(), service(c[1]), service(c[0])); len(errs) > 0 {
			t.Errorf("%s to %s: %v", c[0], c[1], errs)
		}
	}
}
