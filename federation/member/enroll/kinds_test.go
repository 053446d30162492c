package enroll

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// The client knows every kind of the hub, with the scope that the hub serves it in: a command that reads one more kind
// works without a change here.
func TestClientKnowsEveryKindOfTheHub(t *testing.T) {
	c, err := NewClient(&rest.Config{Host: "https://hub.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	crds, err := v1alpha1.CustomResourceDefinitions()
	if err != nil || len(crds) == 0 {
		t.Fatalf("the hub has %d kinds of its own: %v", len(crds), err)
	}
	plan, err := v1alpha1.PlanDefinition()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range append(crds, plan) {
		mapping, err := c.RESTMapper().RESTMapping(
			v1alpha1.GroupVersion.WithKind(crd.Spec.Names.Kind).GroupKind(), v1alpha1.GroupVersion.Version)
		if err != nil {
			t.Errorf("the client cannot read %s: %v", crd.Spec.Names.Kind, err)
			continue
		}
		if got := mapping.Resource.Resource; got != crd.Spec.Names.Plural {
			t.Errorf("the client asks for %s as %s, the hub serves %s", crd.Spec.Names.Kind, got, crd.Spec.Names.Plural)
		}
		if isNamespaced := mapping.Scope == meta.RESTScopeNamespace; isNamespaced != (crd.Spec.Scope == "Namespaced") {
			t.Errorf("the client takes %s for namespaced: %t, its scope is %s", crd.Spec.Names.Kind, isNamespaced, crd.Spec.Scope)
		}
	}
}
