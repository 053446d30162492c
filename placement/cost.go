package placement

import "slices"

// cost is what is wrong with a division, the gravest first: groups that a spread must have and has not, replicas that
// are nowhere, and what minima and wishes lack. How far it is from the shares counts only for who rebalances always,
// and the number of moves not at all: of equals, what runs stays.
type cost [3]int64

// isAtRest reports whether what runs is itself a division that is allowed: all that is wanted is there, and no rule
// takes any of it away.
func (d *deciding) isAtRest() bool {
	if d.in.Policy.Rebalance == RebalanceAlways || d.in.Previous == nil || d.in.Previous.Surge > 0 || len(d.gone) > 0 {
		return false
	}
	var sum int64
	for i := range d.list {
		c := &d.list[i]
		stays := c.standing <= keeps && c.replicas <= c.max && c.stuck == 0 || c.standing == frozen
		if c.replicas > 0 && !stays {
			return false
		}
		sum = addUpTo(sum, c.replicas)
	}
	return sum == d.replicas
}

// improves reports whether the goal costs less than what runs.
func (d *deciding) improves() bool {
	goal := d.costOf(func(c *candidate) int64 { return c.goal })
	runs := d.costOf(func(c *candidate) int64 { return c.replicas })
	return slices.Compare(goal[:], runs[:]) < 0
}

// costOf judges a division.
func (d *deciding) costOf(has func(*candidate) int64) cost {
	var what cost
	placed := int64(0)
	for i := range d.list {
		c := &d.list[i]
		n := has(c)
		placed = addUpTo(placed, n)
		if c.standing <= keeps && !d.waits(c) {
			what[2] = addUpTo(what[2], max(c.wants-n, 0))
		}
	}
	what[1] = max(d.replicas-placed, 0)
	for _, dim := range d.dims {
		lacks := int64(max(dim.min-dim.inUse(d.list, has), 0))
		if dim.blocks() {
			what[0] += lacks
		} else {
			what[2] = addUpTo(what[2], lacks)
		}
	}
	return what
}

// waits reports whether the candidate's tier is not used yet, so its minimum does not count.
func (d *deciding) waits(c *candidate) bool { return tierOf(c) > d.lowest && c.replicas == 0 }
