package match

import (
	"fmt"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

// FromAnnotations reads the placement in one line off a template's annotations; nil if there is none. Errors name
// the annotation and, for hanse.io/clusters, the position in the text.
func FromAnnotations(annotations map[string]string) (*Claim, error) {
	text, ok := annotations[v1alpha1.ClustersAnnotation]
	if !ok {
		return nil, nil
	}
	terms, err := placement.ParseClusters(text)
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", v1alpha1.ClustersAnnotation, err)
	}
	claim := &Claim{
		Source:     v1alpha1.PlacementReference{Kind: "Annotation", Terms: termsHash(text)},
		Policy:     placement.Policy{Terms: terms},
		OnConflict: v1alpha1.ConflictFail,
		OnDelete:   v1alpha1.DeleteCopies,
		Follow:     true,
		Author:     annotations[v1alpha1.AuthorAnnotation],
	}
	switch mode := annotations[v1alpha1.ReplicasAnnotation]; mode {
	case "":
	case string(v1alpha1.ReplicasDivide):
		claim.Policy.Replicas = placement.ModeDivide
	case string(v1alpha1.ReplicasDuplicate):
		claim.Policy.Replicas = placement.ModeDuplicate
	default:
		return nil, notOneOf(v1alpha1.ReplicasAnnotation, mode, "Divide or Duplicate")
	}
	switch on := v1alpha1.OnConflict(annotations[v1alpha1.OnConflictAnnotation]); on {
	case "":
	case v1alpha1.ConflictFail, v1alpha1.ConflictAdopt, v1alpha1.ConflictOverwrite:
		claim.OnConflict = on
	default:
		return nil, notOneOf(v1alpha1.OnConflictAnnotation, string(on), "Fail, Adopt or Overwrite")
	}
	switch on := v1alpha1.OnDelete(annotations[v1alpha1.OnDeleteAnnotation]); on {
	case "":
	case v1alpha1.DeleteCopies, v1alpha1.OrphanCopies:
		claim.OnDelete = on
	default:
		return nil, notOneOf(v1alpha1.OnDeleteAnnotation, string(on), "Delete or Orphan")
	}
	switch on := v1alpha1.OnImmutable(annotations[v1alpha1.OnImmutableAnnotation]); on {
	case "", v1alpha1.ImmutableFail, v1alpha1.ImmutableRecreate:
		claim.OnImmutable = on
	default:
		return nil, notOneOf(v1alpha1.OnImmutableAnnotation, string(on), "Fail or Recreate")
	}
	switch drift := v1alpha1.Drift(annotations[v1alpha1.DriftAnnotation]); drift {
	case "", v1alpha1.DriftRepair, v1alpha1.DriftReport:
		claim.Drift = drift
	default:
		return nil, notOneOf(v1alpha1.DriftAnnotation, string(drift), "Repair or Report")
	}
	return claim, nil
}

func notOneOf(annotation, value, allowed string) error {
	return fmt.Errorf("annotation %s: %q is not %s", annotation, value, allowed)
}
