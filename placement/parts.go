package placement

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Parts divides another number of an object in the ratio of its shares: the completions of a Job by its divided
// parallelism, the hard limits of a ResourceQuota, a disruption budget. Key seeds the ties, as Object.Key does for
// the shares.
//
// Nobody gets less than floor, even when the sum is then above total; else the parts sum to total. Shares that are
// all zero count alike. The parts are in the order of the shares.
func Parts(key string, total int64, shares []Share, floor int64) []int64 {
	parties := partiesOf(key, shares)
	floors := int64(0)
	for i := range parties {
		parties[i].Min = max(floor, 0)
		floors = addUpTo(floors, parties[i].Min)
	}
	return Apportion(max(total, floors), parties)
}

func partiesOf(key string, shares []Share) []Party {
	seed := seedHash(key)
	parties := make([]Party, len(shares))
	sum := int64(0)
	for i, s := range shares {
		parties[i] = Party{Weight: s.Replicas, Max: Unlimited, Tie: seededTie(seed, s.Name)}
		sum = addUpTo(sum, max(s.Replicas, 0))
	}
	for i := range parties {
		if sum == 0 {
			parties[i].Weight = 1
		}
	}
	return parties
}

// Range is a lower and an upper number.
type Range struct{ Min, Max int64 }

// AutoscalerParts divides the bounds of a HorizontalPodAutoscaler. A member's minimum is never below 1, for
// Kubernetes refuses 0, and its maximum never below its minimum; so with more members than the bounds allow the sums
// are above them.
func AutoscalerParts(key string, bounds Range, shares []Share) []Range {
	minima := Parts(key, bounds.Min, shares, 1)
	parties := partiesOf(key, shares)
	floors := int64(0)
	for i := range parties {
		parties[i].Min = minima[i]
		floors = addUpTo(floors, minima[i])
	}
	ranges := make([]Range, len(shares))
	for i, n := range Apportion(max(bounds.Max, floors), parties) {
		ranges[i] = Range{minima[i], n}
	}
	return ranges
}

// AvailableParts divides the minAvailable of a PodDisruptionBudget. No part is above its share's replicas, for that
// would forbid every eviction there for ever.
func AvailableParts(key string, minAvailable int64, shares []Share) []int64 {
	parties := partiesOf(key, shares)
	for i, s := range shares {
		parties[i].Max = max(s.Replicas, 0)
	}
	return Apportion(minAvailable, parties)
}

// Block is a range of StatefulSet ordinals that belongs to one cluster: Width numbers from Start.
type Block struct {
	Name         string
	Start, Width int64
}

// Blocks are at least so wide, so that a StatefulSet can grow a lot without meeting its neighbour.
const minBlock = 1000

// Ordinals gives every cluster of a decision its own block of ordinals, so that the names of a StatefulSet's pods are
// unique over all clusters. A cluster keeps its block as long as it is chosen: pass the recorded blocks as previous.
// The blocks in held are of clusters that may still run pods of an earlier decision: nobody gets them, but a cluster
// that comes back gets its own. The first cluster begins at 0, as without federation; a block given back is used again.
//
// It is an error when a cluster has more replicas than its block is wide and the next block is taken (the replicas
// grew past a power of ten above 1000), and when the ordinals, 31 bits, are used up.
func Ordinals(previous, held []Block, shares []Share) ([]Block, error) {
	total := int64(0)
	for _, s := range shares {
		total = addUpTo(total, max(s.Replicas, 0))
	}
	width := int64(minBlock)
	for width < total && width < math.MaxInt32 {
		width *= 10
	}
	isChosen := func(b Block) bool { return slices.ContainsFunc(shares, func(s Share) bool { return s.Name == b.Name }) }
	blocks := make([]Block, 0, len(shares)+len(held))
	for _, p := range previous {
		if isChosen(p) {
			blocks = append(blocks, p)
		}
	}
	blocks = append(blocks, held...)
	for _, s := range shares {
		i := slices.IndexFunc(blocks, func(b Block) bool { return b.Name == s.Name })
		if i < 0 {
			i = len(blocks)
			blocks = append(blocks, Block{s.Name, freeStart(blocks, width), width})
		}
		if s.Replicas > blocks[i].Width {
			blocks[i].Width = width
		}
		if other := overlapping(blocks, i); other != "" {
			return nil, fmt.Errorf("cluster %s has %d replicas and no ordinals left for them below those of %s",
				s.Name, s.Replicas, other)
		}
		if blocks[i].Start+max(s.Replicas, 1)-1 > math.MaxInt32 {
			return nil, fmt.Errorf("cluster %s has %d replicas and no ordinals left for them: Kubernetes counts to %d",
				s.Name, s.Replicas, math.MaxInt32)
		}
	}
	blocks = slices.DeleteFunc(blocks, func(b Block) bool { return !isChosen(b) })
	slices.SortFunc(blocks, func(a, b Block) int { return cmp.Compare(a.Name, b.Name) })
	return blocks, nil
}

// freeStart is the lowest multiple of width at which a block of that width overlaps no other.
func freeStart(blocks []Block, width int64) int64 {
	taken := slices.Clone(blocks)
	slices.SortFunc(taken, func(a, b Block) int { return cmp.Compare(a.Start, b.Start) })
	start := int64(0)
	for _, b := range taken {
		if b.Start < start+width && start < b.Start+b.Width {
			start = (b.Start + b.Width + width - 1) / width * width
		}
	}
	return start
}

func overlapping(blocks []Block, i int) string {
	for j, b := range blocks {
		if j != i && b.Start < blocks[i].Start+blocks[i].Width && blocks[i].Start < b.Start+b.Width {
			return b.Name
		}
	}
	return ""
}
