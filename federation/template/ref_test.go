package template

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// refs in the forms that they are printed and stored in.
var refs = []struct {
	ref          Ref
	text         string
	distribution string
}{
	{Ref{"apps", "Deployment", "shop", "web"}, "Deployment.apps/shop/web", "shop/deployment.apps-web"},
	{Ref{"", "ConfigMap", "shop", "settings"}, "ConfigMap/shop/settings", "shop/configmap-settings"},
	{Ref{"", "Namespace", "", "shop"}, "Namespace/shop", "hanse-system/namespace-shop"},
	{
		Ref{"apiextensions.k8s.io", "CustomResourceDefinition", "", "widgets.acme.io"},
		"CustomResourceDefinition.apiextensions.k8s.io/widgets.acme.io",
		"hanse-system/customresourcedefinition.apiextensions.k8s.io-widgets.acme.io",
	},
	{
		Ref{"rbac.authorization.k8s.io", "ClusterRole", "", "acme:view"},
		"ClusterRole.rbac.authorization.k8s.io/acme:view",
		"hanse-system/clusterrole.rbac.authorization.k8s.io-d13740ba2a43a77cefe08bc2e5e51620",
	},
}

func TestRef(t *testing.T) {
	for _, c := range refs {
		t.Run(c.text, func(t *testing.T) {
			if got := c.ref.String(); got != c.text {
				t.Errorf("String() = %q, want %q", got, c.text)
			}
			if got, ok := ParseRef(c.text); !ok || got != c.ref {
				t.Errorf("ParseRef(%q) = %+v, %t", c.text, got, ok)
			}
			namespace, name := c.ref.Distribution()
			if got := namespace + "/" + name; got != c.distribution {
				t.Errorf("Distribution() = %q, want %q", got, c.distribution)
			}
		})
	}
}

func TestParseRefRefuses(t *testing.T) {
	for _, text := range []string{
		"", "web", "/", "Deployment/", "/web", ".apps/shop/web", "Deployment.apps//web", "Deployment.apps/shop/",
		"Deployment.apps/shop/web/status", "Deployment./web",
	} {
		if got, ok := ParseRef(text); ok {
			t.Errorf("ParseRef(%q) = %+v, want a refusal", text, got)
		}
	}
}

// What is parsed prints as it was read: an index over the text and one over the Ref never disagree.
func FuzzParseRef(f *testing.F) {
	for _, c := range refs {
		f.Add(c.text)
	}
	f.Add("Deployment.apps//web")
	f.Add("K//a/b")
	f.Fuzz(func(t *testing.T, text string) {
		if ref, ok := ParseRef(text); ok && ref.String() != text {
			t.Errorf("%q is read as %+v, which is %q", text, ref, ref.String())
		}
	})
}

func TestRefOfObjectAndDistribution(t *testing.T) {
	for _, apiVersion := range []string{"v1", "apps/v1", "acme.io/v1beta1"} {
		obj := &unstructured.Unstructured{}
		obj.SetAPIVersion(apiVersion)
		obj.SetKind("Thing")
		obj.SetNamespace("shop")
		obj.SetName("web")
		var d v1alpha1.Distribution
		d.Spec.Template = v1alpha1.TemplateReference{
			APIVersion: apiVersion, Kind: "Thing", Namespace: "shop", Name: "web",
		}
		if diff := cmp.Diff(RefOf(obj), RefOfDistribution(&d)); diff != "" {
			t.Errorf("%s: the object and its Distribution name different templates:\n%s", apiVersion, diff)
		}
	}
}
