package hub_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// TestRefused sends objects that must not be stored, and looks for the field and the reason in what a user is told.
func TestRefused(t *testing.T) {
	hub := start(t)
	for _, c := range []struct {
		name, object string
		want         []string // all of them in the message
	}{
		{"negative weight", placement("clusters: [{name: east, weight: -1}]"),
			[]string{"spec.clusters[0].weight", "greater than or equal to 0"}},
		{"overflowing weight", placement("clusters: [{name: east, weight: 2147483648}]"),
			[]string{"spec.clusters[0].weight", "less than or equal to 2147483647"}},
		{"min over max", placement("clusters: [{name: east, min: 3, max: 2}]"),
			[]string{"spec.clusters[0]", "min must not be greater than max"}},
		{"same cluster twice", placement("clusters: [{name: east}, {name: west}, {name: east}]"),
			[]string{"spec.clusters", "the same cluster is named twice"}},
		{"term of nothing", placement("clusters: [{weight: 1}]"),
			[]string{"spec.clusters[0]", "set exactly one of name, selector and expression"}},
		{"bad selector", placement("clusters: [{selector: {matchExpressions: [{key: env, operator: Near}]}}]"),
			[]string{"spec.clusters[0].selector", "Near"}},
		{"bad expression", placement("clusters: [{expression: 'cluster.region ='}]"),
			[]string{"spec.clusters[0].expression"}},
		{"bad spread", placement("spread: [{by: continent}]"),
			[]string{"spec.spread[0].by"}},
		{"bad override", placement("overrides: [{patch: [{op: replace, path: /metadata/name, value: x}]}]"),
			[]string{"spec.overrides[0].patch[0]"}},
		{"no resources", "apiVersion: hanse.io/v1alpha1\nkind: Placement\nmetadata: {name: p, namespace: default}\nspec: {resources: []}",
			[]string{"spec.resources", "at least 1 items"}},
		{"cluster name that is no label", "apiVersion: hanse.io/v1alpha1\nkind: Cluster\nmetadata: {name: a.b}",
			[]string{"metadata.name must be a DNS label"}},
		{"server and tunnel", `apiVersion: hanse.io/v1alpha1
kind: Cluster
metadata: {name: east}
spec: {connection: {server: "https://127.0.0.1:1", tunnel: {}}}`,
			[]string{"spec.connection", "set either server or tunnel"}},
		{"GlobalService of nothing", "apiVersion: hanse.io/v1alpha1\nkind: GlobalService\nmetadata: {name: g, namespace: default}\nspec: {ttl: 5}",
			[]string{"set exactly one of service, ingress, gateway and addresses"}},
		{"annotation that does not parse", configMap(v1alpha1.ClustersAnnotation, "east=2,west=x"),
			[]string{v1alpha1.ClustersAnnotation, "at character 13"}},
		{"annotation that names a cluster twice", configMap(v1alpha1.ClustersAnnotation, "east=2,east=1"),
			[]string{v1alpha1.ClustersAnnotation, "east"}},
		{"annotation with an unknown mode", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default, annotations: " +
			"{hanse.io/clusters: east, hanse.io/replicas: Some}}", []string{v1alpha1.ReplicasAnnotation, "Divide or Duplicate"}},
		{"native object that no member would take", `apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: default}
spec:
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: b}}, spec: {containers: [{name: c, image: i}]}}`,
			[]string{"spec.template.metadata.labels", "selector"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			obj := object(t, c.object)
			err := hub.Create(t.Context(), obj)
			if err == nil {
				t.Fatal("the object was stored")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message does not tell %q: %v", want, err)
				}
			}
			found := obj.DeepCopy()
			if err := hub.Get(t.Context(), client.ObjectKeyFromObject(obj), found); err == nil {
				t.Error("the object is stored all the same")
			}
		})
	}
}

// TestAcceptedAndSaid stores what may become true later, and looks for it in the status.
func TestAcceptedAndSaid(t *testing.T) {
	hub := start(t)
	create := func(text string) {
		t.Helper()
		if err := hub.Create(t.Context(), object(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	create(configMap("example.org/note", "placed"))
	create(placement("clusters: [{name: nowhere}, {selector: {matchLabels: {env: none}}}]"))
	create("apiVersion: hanse.io/v1alpha1\nkind: Placement\nmetadata: {name: z-late, namespace: default}\n" +
		"spec: {resources: [{kind: ConfigMap, name: c}]}")
	eventually(t, func(ctx context.Context) string {
		d := &v1alpha1.Distribution{}
		if err := hub.Get(ctx, client.ObjectKey{Namespace: "default", Name: "configmap-c"}, d); err != nil {
			return err.Error()
		}
		notes := strings.Join(d.Spec.Notes, "\n")
		for _, want := range []string{"nowhere", "env=none", "Placement z-late claims the object as well"} {
			if !strings.Contains(notes, want) {
				return "the notes do not tell " + want + ": " + notes
			}
		}
		return ""
	})
	eventually(t, func(ctx context.Context) string {
		p := &v1alpha1.Placement{}
		if err := hub.Get(ctx, client.ObjectKey{Namespace: "default", Name: "p"}, p); err != nil {
			return err.Error()
		}
		c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionScheduled)
		if c == nil || c.Status == metav1.ConditionTrue || !strings.Contains(c.Message, "nowhere") {
			return fmt.Sprintf("the placement does not say that its cluster is missing: %+v", c)
		}
		return ""
	})
}

// TestSecondHubIsRefused starts a second hub on the directory of a running one.
func TestSecondHubIsRefused(t *testing.T) {
	hub := start(t)
	if _, err := newHub(t, hub.dir, "127.0.0.1:0", "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the second hub says: %v", err)
	}
	if _, err := newHub(t, t.TempDir(), hub.address(), "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), hub.address()) {
		t.Errorf("a hub on a port in use says: %v", err)
	}
	if _, err := newHub(t, t.TempDir(), "127.0.0.1:0", hub.dns); err == nil || !strings.Contains(err.Error(), hub.dns) {
		t.Errorf("a hub with a DNS port in use says: %v", err)
	}
	response, err := http.Get("http://" + hub.address()) // plain HTTP to a TLS port: a clear no, and the hub goes on
	if err == nil {
		response.Body.Close()
	}
	if err := hub.List(t.Context(), &v1alpha1.ClusterList{}); err != nil {
		t.Errorf("the first hub does not go on: %v", err)
	}
}

func placement(rest string) string {
	return "apiVersion: hanse.io/v1alpha1\nkind: Placement\nmetadata: {name: p, namespace: default}\n" +
		"spec:\n  resources: [{kind: ConfigMap, name: c}]\n  " + rest
}

func configMap(annotation, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default, annotations: {\"" + annotation + "\": \"" +
		value + "\"}}"
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return obj
}

// eventually waits until look finds nothing to complain about.
func eventually(t *testing.T, look func(context.Context) string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		complaint := look(t.Context())
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
