package placement

import (
	"cmp"
	"slices"
)

// fill packs total into as few of the candidates as possible and returns what was placed. Everybody starts from its
// floor; then those in use are filled, the fullest first, then the roomiest, then the heaviest.
func (d *deciding) fill(total int64, list []*candidate) int64 {
	floors := int64(0)
	for _, c := range list {
		floors = addUpTo(floors, c.floor)
	}
	if floors >= total {
		return d.apportion(total, list)
	}
	order := slices.Clone(list)
	slices.SortFunc(order, func(a, b *candidate) int {
		return cmp.Or(
			cmp.Compare(b.replicas, a.replicas),
			cmp.Compare(min(b.ceiling, total), min(a.ceiling, total)),
			cmp.Compare(b.weight, a.weight),
			cmp.Compare(a.tie, b.tie),
			cmp.Compare(a.cluster.Name, b.cluster.Name),
		)
	})
	rest := total - floors
	for _, c := range order {
		n := min(rest, c.ceiling-c.floor)
		c.seats = c.floor + n
		rest -= n
	}
	return total - rest
}
