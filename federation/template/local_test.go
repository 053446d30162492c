package template

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

func TestIsLocal(t *testing.T) {
	for _, c := range []struct {
		kind  schema.GroupKind
		local bool
	}{
		{schema.GroupKind{Group: "apps", Kind: "Deployment"}, false},
		{schema.GroupKind{Kind: "Service"}, false},
		{schema.GroupKind{Kind: "Namespace"}, false},
		{schema.GroupKind{Group: "acme.io", Kind: "Event"}, false}, // the name alone says nothing
		{schema.GroupKind{Kind: "Event"}, true},
		{schema.GroupKind{Group: "events.k8s.io", Kind: "Event"}, true},
		{schema.GroupKind{Kind: "Node"}, true},
		{schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}, true},
		{schema.GroupKind{Group: "coordination.k8s.io", Kind: "Lease"}, true},
		{schema.GroupKind{Group: "hanse.io", Kind: "Placement"}, true},
	} {
		reason, local := IsLocal(c.kind)
		if local != c.local || local != (reason != "") {
			t.Errorf("IsLocal(%s) = %q, %t, want %t", c.kind, reason, local, c.local)
		}
	}
}

// What the hub has for itself is not swept up by a placement that takes everything: its secrets are the keys to all
// members.
func TestIsHubOwn(t *testing.T) {
	for _, c := range []struct {
		object string
		own    bool
	}{
		{"{kind: ConfigMap, metadata: {namespace: shop, name: settings}}", false},
		{"{kind: ConfigMap, metadata: {namespace: shop, name: kube-root-ca.crt}}", true},
		{"{kind: ConfigMap, metadata: {namespace: kube-system, name: extension-apiserver-authentication}}", true},
		{"{kind: ServiceAccount, metadata: {namespace: shop, name: web}}", false},
		{"{kind: ServiceAccount, metadata: {namespace: shop, name: default}}", true},
		{"{kind: ServiceAccount, metadata: {namespace: kube-system, name: replicaset-controller}}", true},
		{"{kind: Secret, type: Opaque, metadata: {namespace: shop, name: password}}", false},
		{"{kind: Secret, type: Opaque, metadata: {namespace: hanse-system, name: member-east}}", true},
		{"{kind: Secret, type: helm.sh/release.v1, metadata: {namespace: shop, name: sh.helm.release.v1.web.v1}}", true},
		{"{kind: Secret, type: kubernetes.io/service-account-token, metadata: {namespace: shop, name: web}}", true},
		{"{kind: Deployment, metadata: {namespace: shop, name: web}}", false},
		{"{kind: Deployment, metadata: {namespace: kube-system, name: dns}}", true},
		{"{kind: Role, metadata: {namespace: kube-public, name: info}}", true},
		{"{kind: ClusterRole, metadata: {name: view}}", false},
		{"{kind: ClusterRole, metadata: {name: view, labels: {kubernetes.io/bootstrapping: rbac-defaults}}}", true},
		{"{kind: Namespace, metadata: {name: shop}}", false},
		{"{kind: Namespace, metadata: {name: kube-system}}", true},
		{"{kind: Namespace, metadata: {name: hanse-system}}", true},
		{"{kind: CustomResourceDefinition, metadata: {name: widgets.acme.io}}", false},
		{"{kind: CustomResourceDefinition, metadata: {name: clusters.hanse.io}}", true},
		{"{kind: PriorityClass, metadata: {name: important}}", false},
		{"{kind: PriorityClass, metadata: {name: system-node-critical}}", true},
	} {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(c.object), &obj.Object); err != nil {
			t.Fatal(err)
		}
		if own := IsHubOwn(obj); own != c.own {
			t.Errorf("IsHubOwn(%s) = %t, want %t", c.object, own, c.own)
		}
	}
}

func TestKindOf(t *testing.T) {
	all := []metav1.APIResource{
		{Name: "deployments", Kind: "Deployment", Namespaced: true, Verbs: metav1.Verbs{"get", "list", "watch"}},
		{Name: "deployments/status", Kind: "Deployment", Verbs: metav1.Verbs{"get", "update"}},
		{Name: "deployments/scale", Kind: "Scale", Verbs: metav1.Verbs{"get", "update", "watch"}},
		{Name: "reviews", Kind: "Review", Verbs: metav1.Verbs{"create"}},
		{Name: "settings", Kind: "Setting", Verbs: metav1.Verbs{"list", "watch"}},
		{Name: "controllerrevisions", Kind: "ControllerRevision", Namespaced: true, Verbs: metav1.Verbs{"list", "watch"}},
	}
	apps := schema.GroupVersion{Group: "apps", Version: "v1"}
	travels := map[string]bool{"deployments": true, "settings": true}
	for _, r := range all {
		kind, got := kindOf(apps, r, all)
		if got != travels[r.Name] {
			t.Errorf("%s travels: %t, want %t", r.Name, got, travels[r.Name])
		}
		if want := r.Name == "deployments"; got && (kind.HasStatus != want || kind.Namespaced != want) {
			t.Errorf("%s: has status %t, namespaced %t, want %t", r.Name, kind.HasStatus, kind.Namespaced, want)
		}
		if got && kind.GVR() != apps.WithResource(r.Name) {
			t.Errorf("%s is read at %s", r.Name, kind.GVR())
		}
	}
}
