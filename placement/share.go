package placement

import (
	"cmp"
	"slices"
	"strconv"
)

// share divides the wanted replicas: candidate.goal of everybody.
func (d *deciding) share() {
	d.bound()
	d.lowest = d.lowestTier()
	d.votes = d.idealVotes()
	switch {
	case d.replicas == 0:
		d.holdEmpty()
		return
	case d.finishesMoves():
		for i := range d.list {
			d.list[i].goal = d.list[i].aim
		}
		return
	case d.blocked():
		for i := range d.list { // nothing new; what runs stays as it is, so no minimum moves it either
			c := &d.list[i]
			c.ceiling = min(c.ceiling, c.replicas)
			c.floor = min(c.floor, c.ceiling)
		}
	case d.in.Policy.Failover.ComeBack:
		d.pullBack()
	}
	for i := range d.list {
		d.list[i].wants = d.list[i].floor
	}
	d.noteMinima()
	rest := d.shareFrozen(d.replicas)
	d.settle(rest)
	rest -= d.shareTiers(rest)
	if rest > 0 {
		rest -= d.standIn(rest, (*candidate).waiting)
	}
	if rest > 0 && d.in.Policy.Overflow == OverflowPending && !d.blocked() {
		rest -= d.overflow(rest)
	}
	if rest > 0 {
		rest -= d.standIn(rest, (*candidate).standInMost)
	}
	for i := range d.list {
		d.list[i].goal = d.list[i].seats
	}
	if d.isAtRest() && !d.improves() {
		for i := range d.list {
			d.list[i].goal = d.list[i].replicas
		}
	}
}

// bound sets what each candidate may have at most and, from its minimum and the spread, should have at least.
func (d *deciding) bound() {
	held := d.heldReplicas()
	growing := d.replicas > held
	for i := range d.list {
		c := &d.list[i]
		running := c.replicas - c.stuck
		switch c.standing {
		case welcome:
			c.ceiling = min(c.max, c.fit)
			if d.in.Policy.Overflow == OverflowPending { // a floor holds where there is no room yet, too
				c.ceiling = max(c.ceiling, min(c.max, max(c.must, c.min)))
			}
		case keeps:
			c.ceiling = min(c.max, c.replicas)
			if c.stuck > 0 && d.in.Policy.Overflow != OverflowPending {
				c.ceiling = min(c.ceiling, running)
			}
		case frozen:
			c.ceiling = c.replicas
		default:
			c.ceiling = 0
		}
		if d.in.Policy.Rebalance == RebalanceNever && c.standing <= keeps {
			c.ceiling = max(c.ceiling, running)
		}
		if c.standing <= keeps { // who is full or closed keeps its minimum and its part in the spread
			c.floor = min(max(c.must, c.min), c.ceiling)
		}
		if held == d.replicas && c.isStarting() && d.in.Policy.Rebalance == RebalanceAlways {
			c.pinned = c.replicas <= c.ceiling
		}
		returned := c.standing == welcome && len(d.away) > 0 && d.isAway(c)
		if returned && !d.in.Policy.Failover.ComeBack && !growing {
			c.ceiling = min(c.ceiling, max(c.replicas, c.floor))
		}
	}
}

// isStarting reports whether it is not known yet how much room is left in the candidate, since replicas start there.
func (c *candidate) isStarting() bool {
	return c.standing <= keeps && c.cluster.Free != nil && c.stuck == 0 && c.ready < c.replicas
}

func (d *deciding) heldReplicas() int64 {
	var sum int64
	for i := range d.list {
		sum = addUpTo(sum, d.list[i].replicas)
	}
	return sum
}

// holdEmpty keeps an object scaled to zero where it is, or puts it where the first replica would go, so that it
// exists somewhere.
func (d *deciding) holdEmpty() {
	anywhere := false
	for i := range d.list {
		c := &d.list[i]
		c.held = c.held && (c.standing <= keeps || c.standing == frozen)
		anywhere = anywhere || c.held
	}
	if !anywhere {
		if c := d.best(); c != nil {
			c.held = true
		}
	}
}

// noteMinima says so when the minima ask for more replicas than there are.
func (d *deciding) noteMinima() {
	sum := int64(0)
	for i := range d.list {
		if c := &d.list[i]; c.standing <= keeps && tierOf(c) <= d.lowest {
			sum = addUpTo(sum, min(c.min, c.floor))
		}
	}
	if sum > d.replicas {
		d.note(CodeMinimaTooHigh, "the minima of the clusters add up to "+strconv.FormatInt(sum, 10)+", and there are only "+
			count(d.replicas, "replica", "replicas"))
	}
}

// isSetAside reports whether the candidate takes no part in the division: it keeps what it has.
func (c *candidate) isSetAside() bool { return c.pinned || c.standing == frozen && c.replicas > 0 }

// shareFrozen sets aside what cannot be changed and returns how many replicas are left for the others.
func (d *deciding) shareFrozen(total int64) int64 {
	var sum int64
	var parties []Party
	for i := range d.list {
		if c := &d.list[i]; c.isSetAside() {
			sum = addUpTo(sum, c.replicas)
			c.seats = c.replicas
			parties = append(parties, Party{Weight: c.replicas, Max: c.replicas, Tie: c.tie})
		}
	}
	if sum <= total {
		return total - sum
	}
	seats := Apportion(total, parties)
	for i := range d.list {
		if c := &d.list[i]; c.isSetAside() {
			c.seats, seats = seats[0], seats[1:]
		}
	}
	return 0
}

// settle narrows floors and ceilings to what stability allows: growing takes from nobody, shrinking gives to nobody.
func (d *deciding) settle(total int64) {
	if d.in.Policy.Rebalance == RebalanceAlways {
		return
	}
	if d.in.Policy.Rebalance == RebalanceNever {
		d.softenFloors(total)
	}
	lowest := d.lowest
	base := func(c *candidate) int64 {
		floor := c.floor
		if c.term != nil && c.term.Tier > lowest {
			floor = min(c.must, c.ceiling) // a minimum counts once the tier is used
		}
		return min(max(c.replicas, floor), c.ceiling)
	}
	var sum int64
	for i := range d.list {
		if c := &d.list[i]; c.standing <= keeps {
			sum = addUpTo(sum, base(c))
		}
	}
	for i := range d.list {
		c := &d.list[i]
		if c.standing > keeps {
			continue
		}
		if sum <= total {
			c.must = base(c)
			c.floor = max(c.floor, c.must)
		} else {
			c.ceiling = base(c)
			c.floor = min(c.floor, c.ceiling)
			c.must = min(c.must, c.floor)
		}
	}
}

// softenFloors lowers the floors to what can be reached without moving a replica that runs.
func (d *deciding) softenFloors(total int64) {
	var held int64
	var parties []Party
	for i := range d.list {
		c := &d.list[i]
		if c.standing > keeps {
			continue
		}
		held = addUpTo(held, min(c.replicas, c.ceiling))
		behind := max(c.floor-c.replicas, 0)
		parties = append(parties, Party{Weight: behind, Max: behind, Tie: c.tie})
	}
	extra := Apportion(max(total-held, 0), parties)
	for i := range d.list {
		c := &d.list[i]
		if c.standing > keeps {
			continue
		}
		if c.floor > c.replicas {
			c.floor = c.replicas + extra[0]
			c.must = min(c.must, c.floor)
		}
		extra = extra[1:]
	}
}

func (d *deciding) lowestTier() int {
	lowest, found := 0, false
	for i := range d.list {
		c := &d.list[i]
		runs := c.standing == keeps && c.replicas > 0 || d.mode != ModeDivide && c.standsStill()
		if (c.standing == welcome || runs) && (!found || tierOf(c) < lowest) {
			lowest, found = tierOf(c), true
		}
	}
	return lowest
}

// shareTiers divides total tier by tier, each getting what the later ones do not hold, and returns what was placed.
func (d *deciding) shareTiers(total int64) int64 {
	list := d.byTier(d.scratch.candidates[:0])
	later := int64(0) // what the tiers not yet looked at hold already
	for _, c := range list {
		later = addUpTo(later, c.must)
	}
	placed := int64(0)
	for len(list) > 0 {
		end := 1
		for end < len(list) && tierOf(list[end]) == tierOf(list[0]) {
			end++
		}
		tier := list[:end]
		list = list[end:]
		for _, c := range tier {
			later -= c.must
		}
		if turn := total - placed - later; turn > 0 {
			if d.in.Policy.Pack == PackFill {
				placed += d.fill(turn, tier)
			} else {
				placed += d.apportion(turn, tier)
			}
		}
	}
	return placed
}

// byTier lists the candidates that take part, lowest tier first, in the room given as far as it reaches.
func (d *deciding) byTier(list []*candidate) []*candidate {
	sorted := true
	list = slices.Grow(list, len(d.list))
	for i := range d.list {
		if c := &d.list[i]; c.standing <= keeps && c.ceiling > 0 && !c.pinned {
			sorted = sorted && (len(list) == 0 || tierOf(list[len(list)-1]) <= tierOf(c))
			list = append(list, c)
		}
	}
	if !sorted {
		slices.SortStableFunc(list, func(a, b *candidate) int { return cmp.Compare(tierOf(a), tierOf(b)) })
	}
	return list
}

func tierOf(c *candidate) int {
	if c.term == nil {
		return 0
	}
	return c.term.Tier
}

// apportion divides total within the candidates' bounds and returns what was placed.
func (d *deciding) apportion(total int64, list []*candidate) int64 {
	parties := slices.Grow(d.scratch.parties[:0], len(list))
	seats := slices.Grow(d.scratch.seats[:0], len(list))[:len(list)]
	floors := int64(0)
	for _, c := range list {
		parties = append(parties, Party{Weight: c.vote, Min: c.floor, Max: c.ceiling, Tie: c.tie})
		floors = addUpTo(floors, c.floor)
	}
	if floors > total { // not enough for the minima: the spread's come first
		for i, c := range list {
			parties[i].Weight, parties[i].Min, parties[i].Max = c.floor, 0, c.floor
			if c.spreadFloor {
				parties[i].Min = min(c.floor, 1)
			}
		}
	}
	apportion(total, parties, seats, d.scratch.items[:0])
	placed := int64(0)
	for i, c := range list {
		c.seats = seats[i]
		placed += seats[i]
	}
	return placed
}

// overflow divides what fits nowhere by weight, above capacity but within the maxima, and returns what was placed.
func (d *deciding) overflow(rest int64) int64 {
	parties := make([]Party, len(d.list))
	sum := int64(0)
	for i := range d.list {
		if c := &d.list[i]; c.standing == welcome {
			parties[i] = Party{Weight: c.weight, Min: c.seats, Max: max(c.max, c.seats), Tie: c.tie}
			sum = addUpTo(sum, c.seats)
		}
	}
	placed := int64(0)
	for i, seats := range Apportion(addUpTo(sum, rest), parties) {
		c := &d.list[i]
		if c.standing != welcome {
			continue
		}
		if seats > c.seats && seats > c.fit {
			c.clamps |= ClampOverflow
		}
		placed += seats - c.seats
		c.seats = seats
	}
	return placed
}

// standIn leaves where it is what nobody else can take: in lost and drained clusters, in those that a spread's
// maximum keeps out, and what waits for room in its cluster. Taking it away would help nobody, and a hub that lost
// sight of its members must not empty them.
func (d *deciding) standIn(rest int64, most func(*candidate) int64) int64 {
	parties := make([]Party, 0, len(d.list))
	for i := range d.list {
		c := &d.list[i]
		n := most(c)
		parties = append(parties, Party{Weight: n, Max: n, Tie: c.tie})
	}
	placed := int64(0)
	for i, seats := range Apportion(rest, parties) {
		d.list[i].seats += seats
		placed += seats
	}
	return placed
}

// standInMost is how many replicas may stay in the candidate if nobody else can take them, beyond its share. It is
// none for taints and missing APIs, where the replicas must go or cannot be.
func (c *candidate) standInMost() int64 {
	if c.standing == lost || c.standing == leaves && !c.mustGo {
		return c.replicas
	}
	return 0
}

// waiting is how many replicas wait in the candidate for room that no other cluster has.
func (c *candidate) waiting() int64 {
	if c.standing > keeps || c.stuck == 0 || c.term == nil {
		return 0
	}
	return max(min(c.replicas, c.max)-c.seats, 0)
}

// mayStandIn reports whether the candidate keeps what nobody else can take.
func (c *candidate) mayStandIn() bool { return c.standInMost() > 0 && c.standing > keeps }

// pullBack raises the floors of clusters that returned from a failover to their ideal number.
func (d *deciding) pullBack() {
	if len(d.away) == 0 {
		return
	}
	parties := make([]Party, len(d.list))
	for i := range d.list {
		c := &d.list[i]
		if c.standing <= keeps {
			parties[i] = Party{Weight: c.vote, Min: c.floor, Max: c.ceiling, Tie: c.tie}
		}
	}
	for i, seats := range Apportion(d.replicas, parties) {
		c := &d.list[i]
		if c.standing == welcome && d.isAway(c) {
			c.must = max(c.must, seats)
			c.floor = max(c.floor, seats)
		}
	}
}
