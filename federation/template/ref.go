package template

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Ref names a template. The version does not belong to it: one object is one template in whichever version it is
// read. Namespace is empty for cluster-scoped kinds.
type Ref struct {
	Group, Kind, Namespace, Name string
}

// RefOf names an object.
func RefOf(obj *unstructured.Unstructured) Ref {
	gk := obj.GroupVersionKind().GroupKind()
	return Ref{Group: gk.Group, Kind: gk.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// RefOfDistribution names the template of a Distribution.
func RefOfDistribution(d *v1alpha1.Distribution) Ref {
	group, _, _ := strings.Cut(d.Spec.Template.APIVersion, "/")
	if !strings.Contains(d.Spec.Template.APIVersion, "/") {
		group = ""
	}
	return Ref{
		Group:     group,
		Kind:      d.Spec.Template.Kind,
		Namespace: d.Spec.Template.Namespace,
		Name:      d.Spec.Template.Name,
	}
}

// GroupKind of the template.
func (r Ref) GroupKind() schema.GroupKind { return schema.GroupKind{Group: r.Group, Kind: r.Kind} }

// Distribution names the template's Distribution.
func (r Ref) Distribution() (namespace, name string) {
	return v1alpha1.DistributionNamespace(r.Namespace), v1alpha1.DistributionName(r.GroupKind(), r.Name)
}

// String is kind.group/namespace/name, as it reads in logs and hashes.
func (r Ref) String() string {
	kind := r.Kind
	if r.Group != "" {
		kind += "." + r.Group
	}
	if r.Namespace == "" {
		return kind + "/" + r.Name
	}
	return kind + "/" + r.Namespace + "/" + r.Name
}

// ParseRef reads what String printed, and nothing else.
func ParseRef(text string) (Ref, bool) {
	parts := strings.Split(text, "/")
	var ref Ref
	ref.Kind, ref.Group, _ = strings.Cut(parts[0], ".")
	switch len(parts) {
	case 2:
		ref.Name = parts[1]
	case 3:
		ref.Namespace, ref.Name = parts[1], parts[2]
	}
	if ref.Kind == "" || ref.Name == "" || ref.String() != text {
		return Ref{}, false
	}
	return ref, true
}
