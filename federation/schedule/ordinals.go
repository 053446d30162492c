package schedule

import (
	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

// giveOrdinals gives each member of a divided StatefulSet a block of ordinals of its own, so that the names of the
// pods are unique over all members. A member keeps its block as long as it holds, or may still hold, a copy.
func giveOrdinals(f facts, spec *v1alpha1.DistributionSpec, decision placement.Decision) {
	if f.ref.Group != "apps" || f.ref.Kind != "StatefulSet" || decision.Mode != placement.ModeDivide {
		return
	}
	var previous []placement.Block
	if f.previous != nil {
		for _, c := range f.previous.Spec.Clusters {
			if c.OrdinalStart != nil && c.OrdinalWidth != nil {
				block := placement.Block{Name: c.Name, Start: int64(*c.OrdinalStart), Width: int64(*c.OrdinalWidth)}
				previous = append(previous, block)
			}
		}
	}
	blocks, err := placement.Ordinals(previous, decision.Clusters)
	if err != nil {
		spec.Notes = append(spec.Notes, err.Error())
		return
	}
	for _, block := range blocks {
		for i := range spec.Clusters {
			if spec.Clusters[i].Name == block.Name {
				spec.Clusters[i].OrdinalStart = ptr.To(int32(block.Start))
				spec.Clusters[i].OrdinalWidth = ptr.To(int32(block.Width))
			}
		}
	}
}
