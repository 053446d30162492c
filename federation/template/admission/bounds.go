package admission

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template"
)

// inBounds refuses to place what is the hub's own: by its annotation, by a placement that names it, or by a Placement in
// a system namespace. It would be placed nowhere anyway; a refusal tells the author why. What was stored before is
// refused only when that part of it changes, so that it can still be changed otherwise, and deleted.
func inBounds(ctx context.Context, a admission.Attributes, object metav1.Object) error {
	kind := a.GetKind().GroupKind()
	if kind == placementKind || kind == clusterPlacementKind {
		return placementInBounds(a)
	}
	if _, local := template.IsLocal(kind); local {
		return nil
	}
	text, isPlaced := object.GetAnnotations()[v1alpha1.ClustersAnnotation]
	if old, ok := a.GetOldObject().(metav1.Object); ok && old != nil && a.GetOperation() == admission.Update &&
		old.GetAnnotations()[v1alpha1.ClustersAnnotation] == text {
		return nil
	}
	if reason, stays := template.StaysOnHub(outline(a, object)); isPlaced && stays {
		if kind.Kind == "ConfigMap" && !template.IsSystem(a.GetNamespace()) {
			// The one that is in every namespace: who places all ConfigMaps means the others.
			warning.AddWarning(ctx, "", fmt.Sprintf("annotation %s has no effect: %s", v1alpha1.ClustersAnnotation, reason))
			return nil
		}
		return fmt.Errorf("annotation %s: it cannot be placed in a cluster: %s", v1alpha1.ClustersAnnotation, reason)
	}
	return nil
}

var (
	placementKind        = schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: "Placement"}
	clusterPlacementKind = schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: "ClusterPlacement"}
)

// placementInBounds is inBounds for a Placement or ClusterPlacement.
func placementInBounds(a admission.Attributes) error {
	p, err := placementOf(a.GetObject())
	if err != nil || p == nil {
		return err
	}
	old, _ := placementOf(a.GetOldObject())
	if old != nil && a.GetOperation() == admission.Update && equality.Semantic.DeepEqual(old.Spec, p.Spec) {
		return nil
	}
	namespace := a.GetNamespace()
	if template.IsSystem(namespace) {
		return fmt.Errorf("metadata.namespace: nothing in it can be placed in a cluster: namespace %s is the hub's own", namespace)
	}
	for i, r := range p.Spec.Resources {
		gk := schema.FromAPIVersionAndKind(r.APIVersion, r.Kind).GroupKind()
		ref := template.Ref{Group: gk.Group, Kind: gk.Kind, Namespace: namespace, Name: r.Name}
		if reason, stays := ref.StaysOnHub(); stays && r.Name != "" {
			return fmt.Errorf("spec.resources[%d]: %s %s cannot be placed in a cluster: %s", i, r.Kind, r.Name, reason)
		}
	}
	return nil
}

// placementOf reads a Placement, or a ClusterPlacement, which has the same specification; nil if it is none.
func placementOf(obj runtime.Object) (*v1alpha1.Placement, error) {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok || u == nil {
		return nil, nil
	}
	p := &v1alpha1.Placement{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, p); err != nil {
		return nil, err
	}
	return p, nil
}
