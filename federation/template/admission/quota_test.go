package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
)

// stored are the objects of one namespace.
type stored map[schema.GroupKind][]*unstructured.Unstructured

func (s stored) Each(gk schema.GroupKind, namespace string, visit func(*unstructured.Unstructured) bool) {
	for _, obj := range s[gk] {
		if obj.GetNamespace() == namespace && !visit(obj) {
			return
		}
	}
}

// A quota that counts objects holds on the hub as in any cluster.
func TestWithinQuota(t *testing.T) {
	of := func(kind string, spec map[string]any) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{"kind": kind, "spec": spec}}
		u.SetNamespace("shop")
		u.SetName("team")
		return u
	}
	quota := of("ResourceQuota", map[string]any{"hard": map[string]any{
		"configmaps": "2", "count/deployments.apps": "1", "pods": "3", "requests.cpu": "1"}})
	config, web := schema.GroupKind{Kind: "ConfigMap"}, schema.GroupKind{Group: "apps", Kind: "Deployment"}
	for _, c := range []struct {
		what      string
		stored    stored
		kind      schema.GroupVersionKind
		resource  schema.GroupVersionResource
		namespace string
		operation admission.Operation
		want      string
	}{
		{"room", stored{config: {of("ConfigMap", nil)}}, config.WithVersion("v1"),
			schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, "shop", admission.Create, ""},
		{"full", stored{config: {of("ConfigMap", nil), of("ConfigMap", nil)}}, config.WithVersion("v1"),
			schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, "shop", admission.Create,
			`configmaps "web" is forbidden: exceeded quota: team, requested: configmaps=1, used: configmaps=2, limited: configmaps=2`},
		{"full by group", stored{web: {of("Deployment", nil)}}, web.WithVersion("v1"),
			schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, "shop", admission.Create,
			`deployments.apps "web" is forbidden: exceeded quota: team, requested: count/deployments.apps=1, ` +
				`used: count/deployments.apps=1, limited: count/deployments.apps=1`},
		{"an update", stored{web: {of("Deployment", nil)}}, web.WithVersion("v1"),
			schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, "shop", admission.Update, ""},
		{"another namespace", stored{web: {of("Deployment", nil)}}, web.WithVersion("v1"),
			schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, "blog", admission.Create, ""},
	} {
		c.stored[quotaKind] = []*unstructured.Unstructured{quota}
		p := &Plugin{Claims: plugin(t).Claims, Templates: func() Templates { return c.stored }}
		obj := runtime.Object(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "web"}})
		a := admission.NewAttributesRecord(obj, nil, c.kind, c.namespace, "web", c.resource, "", c.operation, nil, false, nil)
		got := ""
		if err := p.Validate(t.Context(), a, nil); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
