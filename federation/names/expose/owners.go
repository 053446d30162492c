package expose

import (
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/names/owners"
	"github.com/hanse-federation/hanse/federation/template"
)

// disown takes the names from an exposure that its namespace may not have, and says why. Admission refuses them when they
// are written; what was written before a name had an owner, or asked for by an annotation, is found here.
func (e *exposure) disown(w world) {
	known := func(name string) (labels.Set, bool) {
		namespace, exists := w.object(template.Ref{Kind: "Namespace", Name: name})
		if !exists {
			return nil, false
		}
		return namespace.GetLabels(), true
	}
	claimed := owners.ParseClaims(e.object.Annotations[v1alpha1.ClaimedNamesAnnotation])
	kept := e.hostnames[:0:0]
	for _, hostname := range e.hostnames {
		in, ok := w.origins.covering(hostname)
		if !ok {
			continue // hostnamesOf has said so
		}
		if err := owners.Check(in, hostname, e.object.Namespace, known, claimed); err != nil {
			e.refuse(err)
			e.isDisowned = true
			continue
		}
		kept = append(kept, hostname)
	}
	e.hostnames = kept
}

// changesOwners reports whether an event is about a namespace that names may belong to, or be delegated to, from now on.
func changesOwners(e template.Event) bool {
	isNamespace := e.Ref.Group == "" && e.Ref.Kind == "Namespace"
	return isNamespace && (e.Old == nil || e.New == nil || !maps.Equal(e.Old.GetLabels(), e.New.GetLabels()))
}

// sameClaims reports whether two states of a GlobalService have the same names claimed.
func sameClaims(a, b *v1alpha1.GlobalService) bool {
	return a.Annotations[v1alpha1.ClaimedNamesAnnotation] == b.Annotations[v1alpha1.ClaimedNamesAnnotation]
}

// claimedFor gives the GlobalService that annotations ask for the names that the annotations' author could claim.
func claimedFor(gs *v1alpha1.GlobalService, owner *unstructured.Unstructured) {
	claimed := owner.GetAnnotations()[v1alpha1.ClaimedNamesAnnotation]
	switch {
	case claimed == "":
		delete(gs.Annotations, v1alpha1.ClaimedNamesAnnotation)
	case gs.Annotations == nil:
		gs.Annotations = map[string]string{v1alpha1.ClaimedNamesAnnotation: claimed}
	default:
		gs.Annotations[v1alpha1.ClaimedNamesAnnotation] = claimed
	}
}
