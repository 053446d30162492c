package apply

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// What a member's controllers add stays through changes of the template, and comes to no conflict.
func TestSharedFieldsOnAServer(t *testing.T) {
	s := startServer(t)
	account := "{apiVersion: v1, kind: ServiceAccount, metadata: {name: app, namespace: default%s}, imagePullSecrets: [{name: %s}]}"
	put := func(text string) {
		t.Helper()
		if r := Apply(context.Background(), s, object(t, text), ours); !r.OK() {
			t.Fatalf("%s: %+v", text, r)
		}
	}
	accounts := schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
	put(fmt.Sprintf(account, "", "ours"))
	patch := []byte(`[{"op":"add","path":"/imagePullSecrets/-","value":{"name":"theirs"}}]`)
	if _, err := s.client.Resource(accounts).Namespace("default").Patch(context.Background(), "app", types.JSONPatchType,
		patch, metav1.PatchOptions{FieldManager: "registry-operator"}); err != nil {
		t.Fatal(err)
	}
	put(fmt.Sprintf(account, ", labels: {a: b}", "ours"))
	put(fmt.Sprintf(account, ", labels: {a: c}", "new"))
	got, _, _ := unstructured.NestedSlice(s.get(t, accounts, "app").Object, "imagePullSecrets")
	if diff := cmp.Diff([]any{map[string]any{"name": "new"}, map[string]any{"name": "theirs"}}, got); diff != "" {
		t.Errorf("pull secrets (-want +got):\n%s", diff)
	}
}

// immutables are changes that an API server refuses for ever: the object, and what is changed in it.
var immutables = []struct {
	resource, object, field string
	value                   any
}{
	{"configmaps", "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: default}, immutable: true, data: {a: b}}",
		"data", map[string]any{"a": "c"}},
	{"secrets", "{apiVersion: v1, kind: Secret, metadata: {name: x, namespace: default}, type: Opaque}", "type", "example.org/other"},
	{"services", "{apiVersion: v1, kind: Service, metadata: {name: x, namespace: default}, spec: {ports: [{port: 80}]}}",
		"spec.clusterIP", "None"},
	{"pods", "{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: default}, spec: {containers: [{name: a, image: a}]}}",
		"spec.hostNetwork", true},
	{"persistentvolumeclaims", "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: x, namespace: default}, spec: " +
		"{accessModes: [ReadWriteOnce], storageClassName: '', resources: {requests: {storage: 1Gi}}}}", "spec.accessModes", []any{"ReadOnlyMany"}},
	{"persistentvolumes", "{apiVersion: v1, kind: PersistentVolume, metadata: {name: x}, spec: {capacity: {storage: 1Gi}, " +
		"accessModes: [ReadWriteOnce], nfs: {server: 192.0.2.1, path: /a}}}", "spec.nfs.path", "/b"},
	{"apps/deployments", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, namespace: default}, spec: {selector: " +
		"{matchLabels: {a: b}}, template: {metadata: {labels: {a: b, c: d}}, spec: {containers: [{name: a, image: a}]}}}}",
		"spec.selector.matchLabels.c", "d"},
	{"apps/statefulsets", "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x, namespace: default}, spec: {serviceName: " +
		"x, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}]}}}}",
		"spec.serviceName", "y"},
	{"batch/jobs", "{apiVersion: batch/v1, kind: Job, metadata: {name: x, namespace: default}, spec: {template: {spec: " +
		"{restartPolicy: Never, containers: [{name: a, image: a}]}}}}", "spec.template.spec.priorityClassName", "system-node-critical"},
	{"rbac.authorization.k8s.io/rolebindings", "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: " +
		"x, namespace: default}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}", "roleRef.name", "edit"},
	{"storage.k8s.io/storageclasses", "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: x}, provisioner: " +
		"example.org/p, parameters: {a: b}}", "parameters.a", "c"},
	{"storage.k8s.io/storageclasses", "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: other}, provisioner: " +
		"example.org/p}", "provisioner", "example.org/q"},
	{"storage.k8s.io/csidrivers", "{apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: x}, spec: {}}",
		"spec.attachRequired", false},
	{"scheduling.k8s.io/priorityclasses", "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: x}, value: 5}",
		"value", int64(6)},
	{"node.k8s.io/runtimeclasses", "{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: x}, handler: a}",
		"handler", "b"},
	{"networking.k8s.io/ingressclasses", "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: x}, spec: " +
		"{controller: example.org/a}}", "spec.controller", "example.org/b"},
	{"discovery.k8s.io/endpointslices", "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: x, namespace: " +
		"default}, addressType: IPv4, endpoints: []}", "addressType", "IPv6"},
	{"apiextensions.k8s.io/customresourcedefinitions", "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, " +
		"metadata: {name: xs.example.org}, spec: {group: example.org, scope: Cluster, names: {plural: xs, kind: X}, versions: " +
		"[{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}", "spec.scope", "Namespaced"},
}

// TestImmutable provokes each refusal on a real API server.
func TestImmutable(t *testing.T) {
	s := startServer(t)
	for _, c := range immutables {
		obj := object(t, c.object)
		client, err := clientFor(s, RefOf(obj))
		if err != nil {
			t.Fatal(err)
		}
		made, err := client.Create(context.Background(), obj, metav1.CreateOptions{})
		if err != nil {
			t.Errorf("%s: %v", c.resource, err)
			continue
		}
		if made.GetKind() == "CustomResourceDefinition" { // before it is established everything may change
			made = established(t, client, made.GetName())
		}
		for { // the server's own controllers may write in between
			if err := unstructured.SetNestedField(made.Object, c.value, strings.Split(c.field, ".")...); err != nil {
				t.Fatal(err)
			}
			if _, err = client.Update(context.Background(), made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				break
			}
			if made, err = client.Get(context.Background(), made.GetName(), metav1.GetOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err == nil || !isImmutable(err) {
			t.Errorf("%s %s: %v (%s)", c.resource, c.field, err, apierrors.ReasonForError(err))
		}
	}
}

// established waits until a definition is served.
func established(t *testing.T, client dynamic.ResourceInterface, name string) *unstructured.Unstructured {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		crd, err := client.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
		for _, c := range conditions {
			if c, ok := c.(map[string]any); ok && c["type"] == "Established" && c["status"] == "True" {
				return crd
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not established: %v", name, conditions)
		}
	}
}
