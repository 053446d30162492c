package placement

import (
	"slices"
)

// cover looks for the fewest clusters that bring every dimension to its minimum: as few new ones as possible, and as
// few as possible in all.
type cover struct {
	dims []span
	sets [][]uint64
	// members are the candidates in the order of preference, price what one of them costs: new ones much, higher tiers
	// more.
	members []int
	price   []int64
	rest    [][]uint64
	in      []bool
	best    []bool
	// bestPrice and most bound the price and the number of clusters.
	bestPrice int64
	most      int64
	steps     int
	cut       bool
}

// What a floor costs: whoever has replicas need only keep one.
const (
	priceKept = 1
	priceNew  = 1 << 10
	priceTier = 1 << 30
)

// chooseFloors gives a floor of one replica to as few candidates as bring every constraint to its minimum.
func (d *deciding) chooseFloors(dims []span, sets [][]uint64, allowed []int, chosen *choice) {
	c := d.newCover(dims, sets, allowed)
	if c == nil {
		return
	}
	if c.run(); c.bestPrice < 0 && !c.cut { // the wishes must not stand against what must hold
		for k := range c.dims {
			if !c.dims[k].blocks && c.dims[k].min > 0 {
				c.dims[k].min = 0
				chosen.met[k] = chosen.met[k] && dims[k].min == 0
			}
		}
		c.run()
	}
	if c.bestPrice < 0 {
		for k := range c.dims {
			chosen.met[k] = chosen.met[k] && c.dims[k].min == 0
		}
		chosen.cut = chosen.cut || c.cut
		return
	}
	for at, i := range c.members {
		chosen.floors[i] = c.best[at]
	}
}

// newCover prepares the search, or returns nil if no minimum needs a floor.
func (d *deciding) newCover(dims []span, sets [][]uint64, allowed []int) *cover {
	c := &cover{dims: slices.Clone(dims), sets: sets, most: Unlimited}
	have := union(sets, allowed)
	wanted := false
	for k := range c.dims {
		s := &c.dims[k]
		s.min = min(s.min, s.count(have))
		wanted = wanted || s.min > 0
	}
	if !wanted {
		return nil
	}
	lowest := d.lowestTier()
	if d.mode == ModeDivide {
		c.most = d.replicas
	}
	for _, i := range allowed {
		m := &d.list[i]
		price := int64(priceNew)
		switch {
		case m.standing == frozen: // it has replicas whatever is decided
			price = 0
			c.most -= m.replicas - 1
		case d.stays(m) > 0, d.mode == ModeAll, d.mode == ModeDuplicate && tierOf(m) <= lowest:
			price = priceKept
		case tierOf(m) > lowest:
			price = priceTier
		}
		c.members = append(c.members, i)
		c.price = append(c.price, price)
	}
	c.prepare()
	return c
}

func (c *cover) prepare() {
	n := len(c.members)
	c.in, c.best = make([]bool, n), make([]bool, n)
	c.rest = make([][]uint64, n+1)
	c.rest[n] = union(c.sets, nil)
	for i := n - 1; i >= 0; i-- {
		c.rest[i] = slices.Clone(c.rest[i+1])
		for w, set := range c.sets[c.members[i]] {
			c.rest[i][w] |= set
		}
	}
}

// run looks for the cheapest cover: first greedily, then by branch and bound.
func (c *cover) run() {
	c.bestPrice, c.steps, c.cut = -1, 0, false
	c.greedy()
	c.try(0, union(c.sets, nil), 0, 0)
}

// missing is how many groups are wanted that the set has not.
func (c *cover) missing(groups []uint64) int {
	n := 0
	for _, s := range c.dims {
		n += max(s.min-s.count(groups), 0)
	}
	return n
}

// brings is how many groups that are wanted a candidate adds to a set.
func (c *cover) brings(groups, set []uint64) int {
	n := 0
	for _, s := range c.dims {
		have := s.count(groups)
		n += min(s.countBoth(groups, set), s.min) - min(have, s.min)
	}
	return n
}

// greedy takes who brings most, the cheap ones before the dear ones.
func (c *cover) greedy() {
	have := union(c.sets, nil)
	in := make([]bool, len(c.members))
	size, price := int64(0), int64(0)
	for c.missing(have) > 0 {
		best, most := none, 0
		for at, i := range c.members {
			if in[at] {
				continue
			}
			n := c.brings(have, c.sets[i])
			if n == 0 || best != none && c.price[at] > c.price[best] {
				continue
			}
			if best == none || c.price[at] < c.price[best] || n > most {
				best, most = at, n
			}
		}
		if best == none {
			return
		}
		in[best] = true
		size++
		price += c.price[best]
		for w, set := range c.sets[c.members[best]] {
			have[w] |= set
		}
	}
	if size <= c.most {
		copy(c.best, in)
		c.bestPrice = price
	}
}

// try decides about the candidates from i on.
func (c *cover) try(i int, have []uint64, size, price int64) {
	if c.steps++; c.steps > searchLimit {
		c.cut = true
		return
	}
	if size > c.most || c.bestPrice >= 0 && price >= c.bestPrice {
		return
	}
	if c.missing(have) == 0 {
		copy(c.best, c.in)
		c.bestPrice = price
		return
	}
	if i == len(c.members) || !c.reaches(have, c.rest[i]) {
		return
	}
	set := c.sets[c.members[i]]
	if c.brings(have, set) > 0 {
		with := slices.Clone(have)
		for w := range with {
			with[w] |= set[w]
		}
		c.in[i] = true
		c.try(i+1, with, size+1, price+c.price[i])
		c.in[i] = false
	}
	c.try(i+1, have, size, price)
}

// reaches reports whether all that is left brings every minimum.
func (c *cover) reaches(have, rest []uint64) bool {
	for _, s := range c.dims {
		if s.countBoth(have, rest) < s.min {
			return false
		}
	}
	return true
}
