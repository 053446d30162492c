package native

import (
	"encoding/json"
	"math/rand"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/equality"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"
	"sigs.k8s.io/yaml"
)

func parse(t testing.TB, manifest string) runtime.Object {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(manifest, "\t", "  ")))
	if err != nil {
		t.Fatal(err)
	}
	obj, _, err := serializer.NewCodecFactory(Scheme()).UniversalDeserializer().Decode(raw, nil, nil)
	if err != nil {
		t.Fatalf("%v in %s", err, manifest)
	}
	return obj
}

func asYAML(t testing.TB, obj runtime.Object) string {
	t.Helper()
	raw, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "status")
	out, err := yaml.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func deploymentOf(metadata, spec, containers string) string {
	return `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, uid: "1"` + metadata + `}, spec: {` + spec +
		`selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [` + containers + `]}}}}`
}

func ownedBy(manager, operation, fields string) string {
	return `, managedFields: [{manager: ` + manager + `, operation: ` + operation +
		`, apiVersion: apps/v1, fieldsType: FieldsV1, fieldsV1: ` + fields + `}]`
}

// containersOf returns the containers of the pod that an object is or makes.
func containersOf(obj runtime.Object) *[]corev1.Container {
	at := valueOf(obj).FieldByName("Spec")
	if template := at.FieldByName("Template"); template.IsValid() {
		at = template.FieldByName("Spec")
	}
	return at.FieldByName("Containers").Addr().Interface().(*[]corev1.Container)
}

// TestUndefaulted: what is stored of a write is what somebody set.
func TestUndefaulted(t *testing.T) {
	const one, sidecar = `{name: web, image: "web:1"}`, `{name: log, image: "log:1"}`
	for name, test := range map[string]struct {
		stored string
		change func(t *testing.T, served runtime.Object) runtime.Object // what a client makes of what it read
		want   string
	}{
		"nothing changed": {
			stored: deploymentOf("", "", one),
			change: func(_ *testing.T, o runtime.Object) runtime.Object { return o },
			want:   deploymentOf("", "", one),
		},
		"a label added": {
			stored: deploymentOf("", "", one), want: deploymentOf(", labels: {x: z}", "", one),
			change: func(_ *testing.T, o runtime.Object) runtime.Object {
				o.(metav1.Object).SetLabels(map[string]string{"x": "z"})
				return o
			},
		},
		"a container before the others": {
			stored: deploymentOf("", "", one), want: deploymentOf("", "", sidecar+", "+one),
			change: func(_ *testing.T, o runtime.Object) runtime.Object {
				containers := containersOf(o)
				*containers = append([]corev1.Container{{Name: "log", Image: "log:1"}}, *containers...)
				return o
			},
		},
		"a default changed": {
			stored: deploymentOf("", "", one), want: deploymentOf("", "replicas: 3, ", one),
			change: func(_ *testing.T, o runtime.Object) runtime.Object {
				replicas, _ := replicasOf(o)
				**replicas = 3
				return o
			},
		},
		"one of several defaults changed": {
			stored: deploymentOf("", "", one),
			want:   deploymentOf("", "strategy: {rollingUpdate: {maxSurge: 2}}, ", one),
			change: func(t *testing.T, o runtime.Object) runtime.Object {
				strategy := valueOf(o).FieldByName("Spec").FieldByName("Strategy").FieldByName("RollingUpdate")
				surge := intstr.FromInt32(2)
				strategy.Elem().FieldByName("MaxSurge").Set(reflect.ValueOf(&surge))
				return o
			},
		},
		"a value of the user's that is the default": {
			stored: deploymentOf("", "replicas: 1, ", one), want: deploymentOf("", "replicas: 1, ", one),
			change: func(_ *testing.T, o runtime.Object) runtime.Object { return o },
		},
		"a value taken out": {
			stored: deploymentOf("", "replicas: 3, ", one), want: deploymentOf("", "", one),
			change: func(_ *testing.T, o runtime.Object) runtime.Object {
				replicas, _ := replicasOf(o)
				*replicas = nil
				return o
			},
		},
		"a default that somebody applies": {
			stored: deploymentOf("", "", one),
			want:   deploymentOf(ownedBy("me", "Apply", `{"f:spec": {"f:replicas": {}}}`), "replicas: 1, ", one),
			change: func(t *testing.T, o runtime.Object) runtime.Object {
				owners := parse(t, deploymentOf(ownedBy("me", "Apply", `{"f:spec": {"f:replicas": {}}}`), "", one))
				o.(metav1.Object).SetManagedFields(owners.(metav1.Object).GetManagedFields())
				return o
			},
		},
		"a default in a list that somebody applies": {
			stored: deploymentOf("", "", one),
			want: deploymentOf(ownedBy("me", "Apply", containerField), "",
				`{name: web, image: "web:1", imagePullPolicy: IfNotPresent}`),
			change: func(t *testing.T, o runtime.Object) runtime.Object {
				owners := parse(t, deploymentOf(ownedBy("me", "Apply", containerField), "", one))
				o.(metav1.Object).SetManagedFields(owners.(metav1.Object).GetManagedFields())
				return o
			},
		},
		"owners that apply invents for what it finds": {
			stored: deploymentOf("", "", one),
			want:   deploymentOf(ownedBy("before-first-apply", "Update", `{"f:spec": {"f:replicas": {}}}`), "", one),
			change: func(t *testing.T, o runtime.Object) runtime.Object {
				owners := parse(t, deploymentOf(
					ownedBy("before-first-apply", "Update", `{"f:spec": {"f:replicas": {}}}`), "", one))
				o.(metav1.Object).SetManagedFields(owners.(metav1.Object).GetManagedFields())
				return o
			},
		},
		"a service whose creator owns what it did not say": {
			stored: `{apiVersion: v1, kind: Service, metadata: {name: s, uid: "1"` + hollow + `}, spec: {ports: [{port: 80}]}}`,
			want:   `{apiVersion: v1, kind: Service, metadata: {name: s, uid: "1"` + hollow + `}, spec: {ports: [{port: 80}]}}`,
			change: func(_ *testing.T, o runtime.Object) runtime.Object { return o },
		},
		"a default that would change with another field": {
			stored: deploymentOf("", "", `{name: web, image: "web:latest"}`), // pulled always
			want:   deploymentOf("", "", `{name: web, image: "web:1", imagePullPolicy: Always}`),
			change: func(_ *testing.T, o runtime.Object) runtime.Object {
				(*containersOf(o))[0].Image = "web:1"
				return o
			},
		},
		"a list with one owner": {
			stored: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s, uid: "1"}, spec: {serviceName: x,
			  selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [` + one + `]}},
			  volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce]}}]}}`,
			want: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s, uid: "1"}, spec: {serviceName: x, replicas: 2,
			  selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [` + one + `]}},
			  volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce]}}]}}`,
			change: func(_ *testing.T, o runtime.Object) runtime.Object {
				replicas, _ := replicasOf(o)
				**replicas = 2
				return o
			},
		},
		"requests that follow limits": {
			stored: `{apiVersion: v1, kind: Pod, metadata: {name: p, uid: "1"}, spec: {containers: [
			  {name: web, image: "web:1", resources: {limits: {cpu: 1, memory: 1Gi}}}]}}`,
			want: `{apiVersion: v1, kind: Pod, metadata: {name: p, uid: "1"}, spec: {containers: [
			  {name: web, image: "web:1", resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}}]}}`,
			change: func(_ *testing.T, o runtime.Object) runtime.Object {
				(*containersOf(o))[0].Resources.Requests["cpu"] = quantity.MustParse("500m")
				return o
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			stored := parse(t, test.stored)
			next := test.change(t, Defaulted(stored))
			got, err := Undefaulted(next, stored)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asYAML(t, parse(t, test.want)), asYAML(t, got)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(asYAML(t, parse(t, test.stored)), asYAML(t, stored)); diff != "" {
				t.Errorf("the stored object was changed:\n%s", diff)
			}
		})
	}
}

const containerField = `{"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"log\"}": {"f:image": {}}, "k:{\"name\":\"web\"}": {"f:imagePullPolicy": {}}}}}}}`

var hollow = ownedBy("me", "Update", `{"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:targetPort": {}}}}}`)

// fuzzed fills objects of any kind with random values.
func fuzzed(seed int64) *randfill.Filler {
	codecs := serializer.NewCodecFactory(Scheme())
	return fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, func(serializer.CodecFactory) []any {
		return []any{
			func(q *quantity.Quantity, c randfill.Continue) {
				*q = *quantity.NewQuantity(c.Int63n(1000), quantity.DecimalSI)
			},
			func(i *intstr.IntOrString, c randfill.Continue) { *i = intstr.FromInt32(c.Int31n(9)) },
			func(r *runtime.RawExtension, _ randfill.Continue) { r.Raw = []byte(`{"a":1}`) },
		}
	}), rand.NewSource(seed), codecs).NilChance(0.6).NumElements(1, 3)
}

func everyKind(t *testing.T, try func(t *testing.T, make func(seed int64) runtime.Object)) {
	for gvk := range Scheme().AllKnownTypes() {
		if _, native := strategies[gvk.GroupKind()]; !native || gvk.Version == runtime.APIVersionInternal {
			continue
		}
		if !legacyVersion(gvk) {
			continue
		}
		t.Run(gvk.String(), func(t *testing.T) {
			try(t, func(seed int64) runtime.Object {
				obj, err := Scheme().New(gvk)
				if err != nil {
					t.Fatal(err)
				}
				fuzzed(seed).Fill(obj)
				m := obj.(metav1.Object)
				m.SetUID("1")
				m.SetManagedFields(nil)
				return obj
			})
		})
	}
}

// legacyVersion reports whether gvk is a version that the hub stores.
func legacyVersion(gvk schema.GroupVersionKind) bool {
	return gvk.Version == "v1" && gvk.Kind != "HorizontalPodAutoscaler" || gvk.Version == "v2"
}

// TestReadAndWrittenBack: whatever is stored, who writes back what was read stores what was stored.
func TestReadAndWrittenBack(t *testing.T) {
	everyKind(t, func(t *testing.T, make func(int64) runtime.Object) {
		for seed := range int64(30) {
			stored := make(seed)
			before := stored.DeepCopyObject()
			got, err := Undefaulted(Defaulted(stored), stored)
			if err != nil {
				t.Fatal(err)
			}
			status := valueOf(got).FieldByName("Status") // the store takes that of the stored object
			if status.IsValid() {
				status.Set(valueOf(stored).FieldByName("Status"))
			}
			if !equality.Semantic.DeepEqual(got, stored) {
				// An API server that reads its own answer is the judge of what is the same.
				if !equality.Semantic.DeepEqual(Defaulted(got), Defaulted(stored)) || asYAML(t, got) != asYAML(t, stored) {
					t.Fatalf("seed %d (-stored +got):\n%s", seed, cmp.Diff(asYAML(t, stored), asYAML(t, got)))
				}
			}
			if !equality.Semantic.DeepEqual(stored, before) {
				t.Fatalf("seed %d: the stored object was changed", seed)
			}
		}
	})
}

// TestServedIsWhatWasWritten: whatever a client makes of what it read, the object is served as a cluster would serve it
// after that write.
func TestServedIsWhatWasWritten(t *testing.T) {
	everyKind(t, func(t *testing.T, make func(int64) runtime.Object) {
		for seed := range int64(30) {
			stored, other := make(seed), make(seed+1000)
			next := Defaulted(stored).DeepCopyObject()
			r := rand.New(rand.NewSource(seed))
			mix(r, valueOf(next), valueOf(Defaulted(other)))
			if status := valueOf(next).FieldByName("Status"); status.IsValid() {
				status.Set(valueOf(stored).FieldByName("Status"))
			}
			next.(metav1.Object).SetManagedFields(nil)
			got, err := Undefaulted(next, stored)
			if err != nil {
				t.Fatal(err)
			}
			if want := Defaulted(next); !equality.Semantic.DeepEqual(Defaulted(got), want) {
				t.Fatalf("seed %d (-want +got):\n%s", seed, cmp.Diff(asYAML(t, want), asYAML(t, Defaulted(got))))
			}
		}
	})
}

// mix overwrites some of the fields of a with those of b, at any depth.
func mix(r *rand.Rand, a, b reflect.Value) {
	switch a.Kind() {
	case reflect.Struct:
		if a.Type().Implements(marshaler) {
			return
		}
		for i := range a.NumField() {
			if name := a.Type().Field(i).Name; name == "ObjectMeta" || name == "TypeMeta" {
				continue
			}
			if r.Intn(6) == 0 {
				a.Field(i).Set(b.Field(i))
				continue
			}
			mix(r, a.Field(i), b.Field(i))
		}
	case reflect.Pointer:
		if !a.IsNil() && !b.IsNil() {
			mix(r, a.Elem(), b.Elem())
		}
	case reflect.Slice:
		for i := range min(a.Len(), b.Len()) {
			mix(r, a.Index(i), b.Index(i))
		}
	}
}
