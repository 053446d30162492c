package propagate

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template"
)

// Whatever a decision says, what is the hub's own is made for no member.
func TestRenderRefusesWhatIsTheHubs(t *testing.T) {
	for _, c := range []struct {
		manifest string
		ref      template.Ref // the template's own if empty
		ok       bool
	}{
		{manifest: "{apiVersion: v1, kind: Secret, metadata: {name: password, namespace: shop}}", ok: true},
		{manifest: "{apiVersion: v1, kind: Secret, metadata: {name: east, namespace: hanse-system}}"},
		{manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: hanse-dns}}"},
		{manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: kube-system}}"},
		{manifest: "{apiVersion: v1, kind: Namespace, metadata: {name: hanse-system}}"},
		{manifest: "{apiVersion: v1, kind: Secret, type: helm.sh/release.v1, metadata: {name: r, namespace: shop}}"},
		{manifest: "{apiVersion: hanse.io/v1alpha1, kind: Cluster, metadata: {name: east}}"},
		{manifest: "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: clusters.hanse.io}}"},
		{manifest: "{apiVersion: v1, kind: Secret, metadata: {name: password, namespace: bank}}",
			ref: template.Ref{Kind: "Secret", Namespace: "shop", Name: "password"}},
	} {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(c.manifest), &obj.Object); err != nil {
			t.Fatal(err)
		}
		ref := c.ref
		if ref.Kind == "" {
			ref = template.RefOf(obj)
		}
		rendered, err := Render(Piece{Ref: ref, Template: obj, Cluster: &v1alpha1.Cluster{}})
		if (err == nil) != c.ok || (rendered != nil) != c.ok {
			t.Errorf("%s: %v, %v", c.manifest, rendered, err)
		}
	}
}
