package schedule

import (
	"slices"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

// keptReason is the reason of a copy that stays where the placement no longer wants it.
const keptReason = "Kept"

// keepMisplaced keeps copies where they are if the decision has found no other place for them and the placement names
// clusters that do not exist: a name that is mistyped must not delete an application. They leave when there is another
// place, when their cluster is drained or removed, and when nothing places the template any more. It reports whether it
// kept any.
func keepMisplaced(f facts, spec *v1alpha1.DistributionSpec, decision placement.Decision) bool {
	if f.previous == nil || !misnames(decision) || len(spec.Clusters) > 0 && spec.Unplaced == 0 {
		return false
	}
	for _, was := range f.previous.Spec.Clusters {
		if !mayKeep(f, spec, was.Name) {
			continue
		}
		kept := *was.DeepCopy()
		kept.Reason, kept.Ideal = keptReason, ""
		kept.Message = "the placement names clusters that do not exist; the copy stays until it has another place"
		switch {
		case spec.Replicas == nil:
		case decision.Mode != placement.ModeDivide:
			replicas := *spec.Replicas
			kept.Replicas = &replicas
		default:
			replicas := spec.Unplaced
			if was.Replicas != nil {
				replicas = min(replicas, *was.Replicas)
			}
			if replicas <= 0 {
				continue
			}
			kept.Replicas = &replicas
			spec.Unplaced -= replicas
		}
		spec.Clusters = append(spec.Clusters, kept)
		spec.Kept = true
	}
	if spec.Kept && (spec.Unplaced == 0 || decision.Mode != placement.ModeDivide) {
		spec.Unplaced, spec.UnplacedReason = 0, ""
	}
	return spec.Kept
}

// misnames reports whether a placement means clusters that do not exist.
func misnames(decision placement.Decision) bool {
	return slices.ContainsFunc(decision.Notes, func(note placement.Reason) bool {
		return note.Code == placement.CodeNoSuchCluster || note.Code == placement.CodeNothingSelected
	})
}

// mayKeep reports whether a cluster may keep a copy that the decision has no use for: it is there, is not being emptied,
// and was not rejected for a reason of its own.
func mayKeep(f facts, spec *v1alpha1.DistributionSpec, name string) bool {
	if slices.ContainsFunc(spec.Clusters, func(c v1alpha1.DistributionCluster) bool { return c.Name == name }) ||
		slices.ContainsFunc(spec.Rejected, func(r v1alpha1.RejectedCluster) bool { return r.Name == name }) {
		return false
	}
	return slices.ContainsFunc(f.clusters, func(c placement.Cluster) bool { return c.Name == name && !c.Draining })
}

// keptNames are the clusters of a decision that keep a copy.
func keptNames(spec *v1alpha1.DistributionSpec) []string {
	var names []string
	for _, c := range spec.Clusters {
		if c.Reason == keptReason {
			names = append(names, c.Name)
		}
	}
	return names
}
