package schedule

import (
	"slices"

	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

// giveOrdinals gives each member of a divided StatefulSet a block of ordinals of its own, so that the names of the
// pods are unique over all members. A member keeps its block as long as it holds, or may still hold, a copy: the spec
// must name the leaving members by now.
func giveOrdinals(f facts, spec *v1alpha1.DistributionSpec, decision placement.Decision) {
	if f.ref.Group != "apps" || f.ref.Kind != "StatefulSet" || decision.Mode != placement.ModeDivide {
		return
	}
	previous := blocksOf(f.previous)
	held := slices.DeleteFunc(slices.Clone(previous), func(b placement.Block) bool {
		return !slices.Contains(spec.Leaving, b.Name)
	})
	spec.LeavingOrdinals = recordOf(held)
	for _, b := range previous {
		if slices.Contains(keptNames(spec), b.Name) {
			held = append(held, b)
		}
	}
	blocks, err := placement.Ordinals(previous, held, decision.Clusters)
	if err != nil {
		spec.Notes = append(spec.Notes, err.Error())
		blocks = previous // those who have one keep it
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

// holdOrdinals keeps the blocks of leaving members from being given away when nothing is placed any more: the template
// may be placed again before they are empty.
func holdOrdinals(f facts, spec *v1alpha1.DistributionSpec) {
	spec.LeavingOrdinals = recordOf(slices.DeleteFunc(blocksOf(f.previous), func(b placement.Block) bool {
		return !slices.Contains(spec.Leaving, b.Name)
	}))
}

// blocksOf are the blocks that a Distribution records, of its members and of those that leave.
func blocksOf(d *v1alpha1.Distribution) []placement.Block {
	if d == nil {
		return nil
	}
	var blocks []placement.Block
	for _, c := range d.Spec.Clusters {
		if c.OrdinalStart != nil && c.OrdinalWidth != nil {
			block := placement.Block{Name: c.Name, Start: int64(*c.OrdinalStart), Width: int64(*c.OrdinalWidth)}
			blocks = append(blocks, block)
		}
	}
	for _, b := range d.Spec.LeavingOrdinals {
		blocks = append(blocks, placement.Block{Name: b.Name, Start: int64(b.Start), Width: int64(b.Width)})
	}
	return blocks
}

func recordOf(blocks []placement.Block) []v1alpha1.OrdinalBlock {
	var record []v1alpha1.OrdinalBlock
	for _, b := range blocks {
		record = append(record, v1alpha1.OrdinalBlock{Name: b.Name, Start: int32(b.Start), Width: int32(b.Width)})
	}
	return record
}
