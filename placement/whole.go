package placement

import "cmp"

// one chooses the single cluster of an object that must live in exactly one.
func (d *deciding) one() {
	if d.blocked() {
		d.keepHolder()
		return
	}
	if c := d.best(); c != nil {
		c.goal, c.now = d.replicas, d.replicas
		c.held = true
		d.onlyHolder(c)
		return
	}
	d.keepHolder()
}

// keepHolder leaves the object where it is, even lost or drained, when no cluster may get it.
func (d *deciding) keepHolder() {
	var holder *candidate
	for i := range d.list {
		c := &d.list[i]
		stays := c.standing <= keeps || c.standing == frozen || c.mayStandIn() || c.held && c.standing == lost
		if c.held && stays && (holder == nil || d.compareForOne(c, holder) < 0) {
			holder = c
		}
	}
	if holder != nil {
		holder.goal, holder.now = d.replicas, d.replicas
	}
	d.onlyHolder(holder)
}

func (d *deciding) onlyHolder(holder *candidate) {
	for i := range d.list {
		if c := &d.list[i]; c != holder {
			c.held = false
		}
	}
}

// best is the cluster for a single copy, or for the first replica.
func (d *deciding) best() *candidate {
	var best *candidate
	for i := range d.list {
		c := &d.list[i]
		if c.standing != welcome && !(c.held && (c.standing == keeps || c.standing == frozen)) {
			continue
		}
		if best == nil || d.compareForOne(c, best) < 0 {
			best = c
		}
	}
	return best
}

// compareForOne orders clusters for a single copy: the holder stays, unless the placement rebalances always or wants
// a returned cluster to have it back; then the lowest tier, the largest vote, the seeded hash.
func (d *deciding) compareForOne(a, b *candidate) int {
	stays := func(c *candidate) int {
		switch {
		case d.in.Policy.Failover.ComeBack && c.standing == welcome && d.isAway(c):
			return 0
		case c.held && d.in.Policy.Rebalance != RebalanceAlways:
			return 1
		}
		return 2
	}
	holds := func(c *candidate) int {
		if c.held {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(stays(a), stays(b)),
		cmp.Compare(tierOf(a), tierOf(b)),
		cmp.Compare(b.vote, a.vote),
		cmp.Compare(holds(a), holds(b)),
		cmp.Compare(a.tie, b.tie),
		cmp.Compare(a.cluster.Name, b.cluster.Name),
	)
}

// copies gives every cluster the whole object.
func (d *deciding) copies() {
	lowest, found := 0, false
	for i := range d.list {
		c := &d.list[i]
		if c.standing == welcome && (!found || tierOf(c) < lowest) {
			lowest, found = tierOf(c), true
		}
	}
	blocked := d.blocked()
	for i := range d.list {
		c := &d.list[i]
		inTier := d.mode == ModeAll || tierOf(c) <= lowest
		settled := c.held && d.in.Policy.Rebalance != RebalanceAlways
		switch c.standing {
		case welcome:
			c.held = c.held && (inTier || settled) || inTier && !blocked
		case leaves, discarded:
			c.held = false
		}
		// What is kept, frozen or lost stays as it was: another cluster's copy does not replace this one.
		if c.held {
			c.goal, c.now = d.replicas, d.replicas
		}
	}
}
