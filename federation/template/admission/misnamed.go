package admission

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

// warnOfMissing warns who writes a line or a placement that names clusters that are not there. It is no error: a cluster
// can be named before it joins. An update that leaves the names as they are is not warned of again.
func (p *Plugin) warnOfMissing(ctx context.Context, a admission.Attributes) {
	if p.Joined == nil {
		return
	}
	joined, known := p.Joined()
	if !known {
		return
	}
	before := map[string]bool{}
	if old := a.GetOldObject(); a.GetOperation() == admission.Update && old != nil {
		for _, name := range namedIn(old) {
			before[name] = true
		}
	}
	for _, name := range namedIn(a.GetObject()) {
		if !joined[name] && !before[name] {
			warning.AddWarning(ctx, "", fmt.Sprintf(
				"there is no cluster %s; what the placement has for it stays where it is, or is not placed", name))
			before[name] = true
		}
	}
}

// namedIn returns the names of clusters in the line of an object, or in the terms of a placement.
func namedIn(obj runtime.Object) []string {
	var names []string
	if u, ok := obj.(*unstructured.Unstructured); ok && u.GroupVersionKind().Group == v1alpha1.GroupVersion.Group {
		if u.GetKind() != "Placement" && u.GetKind() != "ClusterPlacement" {
			return nil
		}
		terms, _, _ := unstructured.NestedSlice(u.Object, "spec", "clusters")
		for _, term := range terms {
			if fields, ok := term.(map[string]any); ok {
				if name, ok := fields["name"].(string); ok && name != "" {
					names = append(names, name)
				}
			}
		}
		return names
	}
	object, ok := obj.(interface{ GetAnnotations() map[string]string })
	if !ok {
		return nil
	}
	terms, err := placement.ParseClusters(object.GetAnnotations()[v1alpha1.ClustersAnnotation])
	if err != nil {
		return nil // refused elsewhere
	}
	for _, term := range terms {
		names = append(names, term.Names...)
	}
	return names
}
