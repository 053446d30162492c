package admission

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
)

// Templates are the objects of the hub.
type Templates interface {
	// Each calls visit for the objects of a kind in a namespace until it returns false.
	Each(gk schema.GroupKind, namespace string, visit func(*unstructured.Unstructured) bool)
}

var quotaKind = schema.GroupKind{Kind: "ResourceQuota"}

// withinQuota refuses a new object of which a ResourceQuota of its namespace allows no more, in the words of any API
// server. What pods take is counted where they run. Of objects that are written in the same moment one more than
// allowed may be taken here; the members, which get the same number, count them for certain.
func (p *Plugin) withinQuota(a admission.Attributes) error {
	if p.Templates == nil || a.GetOperation() != admission.Create || a.GetNamespace() == "" {
		return nil
	}
	templates := p.Templates()
	if templates == nil {
		return nil
	}
	var refused error
	templates.Each(quotaKind, a.GetNamespace(), func(quota *unstructured.Unstructured) bool {
		refused = exceeded(templates, quota, a)
		return refused == nil
	})
	if refused == nil {
		return nil
	}
	return apierrors.NewForbidden(a.GetResource().GroupResource(), a.GetName(), refused)
}

// exceeded says which number of a quota would be exceeded by one more object.
func exceeded(templates Templates, quota *unstructured.Unstructured, a admission.Attributes) error {
	hard, _, _ := unstructured.NestedMap(quota.Object, "spec", "hard")
	for _, name := range counted(a.GetResource().GroupResource()) {
		text, limited := hard[name]
		if !limited {
			continue
		}
		limit, err := resource.ParseQuantity(fmt.Sprint(text))
		if err != nil {
			continue
		}
		used := int64(0)
		templates.Each(a.GetKind().GroupKind(), a.GetNamespace(), func(*unstructured.Unstructured) bool {
			used++
			return true
		})
		if used >= limit.Value() {
			return fmt.Errorf("exceeded quota: %s, requested: %s=1, used: %s=%d, limited: %s=%d",
				quota.GetName(), name, name, used, name, limit.Value())
		}
	}
	return nil
}

// counted are the names by which a quota may count a resource.
func counted(gr schema.GroupResource) []string {
	names := []string{"count/" + gr.String()}
	if gr.Group == "" {
		switch gr.Resource {
		case "configmaps", "secrets", "services", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas", "pods":
			names = append(names, gr.Resource)
		}
	}
	return names
}
