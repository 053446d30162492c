package apply

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Target is the member to write to; *member.Member is one.
type Target interface {
	// Dynamic talks to the member. It should not wait on 429 by itself.
	Dynamic() dynamic.Interface
	// Mapper knows the kinds that the member serves.
	Mapper() meta.RESTMapper
}

// Hub is the identity of a hub: the value of the label hanse.io/hub. It must be a label value.
type Hub string

// OnConflict says what to do when a foreign object has the name of ours.
type OnConflict string

const (
	// Fail leaves it alone and reports whose it is. The default.
	Fail OnConflict = "Fail"
	// Adopt takes it over where nobody else owns the fields we set with another value. Another hub's object is not
	// taken.
	Adopt OnConflict = "Adopt"
	// Overwrite takes it over and forces every field we set.
	Overwrite OnConflict = "Overwrite"
)

// Options for Apply and Diff.
type Options struct {
	Hub         Hub
	TemplateUID types.UID
	OnConflict  OnConflict
	// Live is the object as the member's informer has it (it may be stripped, but keeps its labels, annotations, UID,
	// resource version, finalizers and deletion timestamp); nil when the cache has none.
	Live *unstructured.Unstructured
	// Recreate deletes the object and makes it anew when a field has changed that cannot be changed, if it is ours and
	// nothing is lost by it.
	Recreate bool
	// Ignore are fields (JSON pointers, * for every key and element) that are the member's once the object is there: see
	// v1alpha1.PlacementSpec. They cost a look at the object.
	Ignore []string
	// DryRun asks the member what would happen; nothing is written.
	DryRun bool

	isWhole bool // Live is as the member has it, and not stripped
}

// Ref names an object in a member.
type Ref struct {
	GVK       schema.GroupVersionKind
	Namespace string // empty for cluster-scoped kinds
	Name      string
}

// RefOf names obj.
func RefOf(obj *unstructured.Unstructured) Ref {
	return Ref{GVK: obj.GroupVersionKind(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// String is "Deployment shop/web".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.GVK.Kind + " " + r.Name
	}
	return r.GVK.Kind + " " + r.Namespace + "/" + r.Name
}

// DeleteOptions for Delete.
type DeleteOptions struct {
	Hub Hub
	// TemplateUID whose object it must be; empty: any template of this hub.
	TemplateUID types.UID
	// Orphan leaves the object in place and takes our marks off it.
	Orphan bool
	// Live is the object as the member's informer has it, with labels, annotations, UID, resource version, finalizers
	// and deletion timestamp; nil when the cache has none. It saves one request.
	Live *unstructured.Unstructured
}

// clientFor finds the member's endpoint for the object.
func clientFor(target Target, ref Ref) (dynamic.ResourceInterface, error) {
	if ref.Name == "" {
		return nil, &unusable{ref: ref, why: "it has no name"}
	}
	mapping, err := target.Mapper().RESTMapping(ref.GVK.GroupKind(), ref.GVK.Version)
	if err != nil {
		return nil, err
	}
	resource := target.Dynamic().Resource(mapping.Resource)
	isNamespaced := mapping.Scope.Name() == meta.RESTScopeNameNamespace
	switch {
	case isNamespaced && ref.Namespace == "":
		return nil, &unusable{ref: ref, why: "the kind is namespaced in the member and it has no namespace"}
	case !isNamespaced && ref.Namespace != "":
		return nil, &unusable{ref: ref, why: "the kind is cluster-scoped in the member and it has a namespace"}
	case isNamespaced:
		return resource.Namespace(ref.Namespace), nil
	}
	return resource, nil
}

// unusable is an object that cannot be asked for at all.
type unusable struct {
	ref Ref
	why string
}

func (e *unusable) Error() string { return e.ref.String() + ": " + e.why }
