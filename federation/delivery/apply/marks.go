package apply

import (
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// FieldManager is our name in metadata.managedFields of members' objects.
const FieldManager = "hanse"

// The marks on every object that the hub makes in a member.
const (
	// LabelHub has the id of the hub that made the object. Informers of members select by it.
	LabelHub = "hanse.io/hub"
	// AnnotationTemplate has the UID of the template on the hub.
	AnnotationTemplate = "hanse.io/template"
	// AnnotationAdopted is "true" on an object that was in the member before us; it is never deleted.
	AnnotationAdopted = "hanse.io/adopted"
	// AnnotationFields has a digest of the fields that we set, see setBefore.
	AnnotationFields = "hanse.io/fields"
	// AnnotationEntries has the entries that are ours of lists to which the member's controllers append, see unite.
	AnnotationEntries = "hanse.io/entries"
	// AnnotationFingerprint is set by Seal on cached objects only. It is never sent to a member.
	AnnotationFingerprint = "hanse.io/fingerprint"
)

// owner is whose an object in a member is, as its marks say.
type owner struct {
	hub      Hub
	template types.UID
	adopted  bool
}

func ownerOf(obj *unstructured.Unstructured) owner {
	annotations := obj.GetAnnotations()
	return owner{
		hub:      Hub(obj.GetLabels()[LabelHub]),
		template: types.UID(annotations[AnnotationTemplate]),
		adopted:  annotations[AnnotationAdopted] == "true",
	}
}

// foreign says why an object with these marks is not the given hub's and template's; empty if it is theirs. An empty
// template in the marks is a namespace that we made on demand: it is the hub's, whichever template comes for it.
func (o owner) foreign(hub Hub, template types.UID) Reason {
	switch {
	case o.hub == "":
		return ReasonForeign
	case o.hub != hub:
		return ReasonOtherHub
	case o.template != "" && template != "" && o.template != template:
		return ReasonOtherTemplate
	}
	return ""
}

// IsOurs reports whether the object carries the hub's mark, whatever its template.
func IsOurs(obj *unstructured.Unstructured, hub Hub) bool {
	return hub != "" && ownerOf(obj).hub == hub
}

// TemplateOf is the UID of the template that the object was made from; empty if it carries no such mark.
func TemplateOf(obj *unstructured.Unstructured) types.UID {
	return ownerOf(obj).template
}

// shallowMeta copies obj as far as its labels and annotations, which may then be set; all else is shared.
func shallowMeta(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := maps.Clone(obj.Object)
	if metadata, ok := out["metadata"].(map[string]any); ok {
		metadata = maps.Clone(metadata)
		for _, system := range []string{"managedFields", "uid", "resourceVersion", "generation", "creationTimestamp"} {
			delete(metadata, system)
		}
		out["metadata"] = metadata
	}
	return &unstructured.Unstructured{Object: out}
}

// setLabel sets one label on a copy of the labels.
func setLabel(obj *unstructured.Unstructured, key, value string) {
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = value
	obj.SetLabels(labels)
}

// setAnnotation sets one annotation on a copy of the annotations.
func setAnnotation(obj *unstructured.Unstructured, key, value string) {
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	obj.SetAnnotations(annotations)
}
