package placement

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// dimension is one spread constraint over the candidates.
type dimension struct {
	*Spread
	noun string
	// groups are the ids of the groups of each candidate, names their names; a candidate without any tells nothing.
	groups [][]int
	names  []string
	// min is the fewest groups that can be asked for, never more than there are replicas.
	min int
}

// spread chooses the groups in use: candidates beyond a maximum are left, and floors of one replica make sure of the
// minima.
func (d *deciding) spread() {
	if len(d.in.Policy.Spread) == 0 {
		return
	}
	dims := make([]*dimension, 0, len(d.in.Policy.Spread))
	for i := range d.in.Policy.Spread {
		dim := d.newDimension(&d.in.Policy.Spread[i])
		if len(dim.names) == 0 && dim.WhenUnsatisfiable == SpreadBestEffort {
			d.note(CodeSpreadUnmet, "no cluster tells its "+dim.noun+", so nothing is spread by it")
			continue
		}
		d.passOverUntold(dim)
		dims = append(dims, dim)
	}
	for _, dim := range dims {
		d.keepWithinMax(dim, dims)
	}
	d.reachMinima(dims)
}

func (d *deciding) newDimension(s *Spread) *dimension {
	dim := &dimension{Spread: s, noun: strings.TrimPrefix(s.By, "label:"), groups: make([][]int, len(d.list))}
	ids := map[string]int{}
	for i := range d.list {
		c := &d.list[i]
		if c.standing > frozen {
			continue
		}
		for _, name := range groupNames(s.By, c.cluster) {
			id, known := ids[name]
			if !known {
				id = len(dim.names)
				ids[name] = id
				dim.names = append(dim.names, name)
			}
			dim.groups[i] = append(dim.groups[i], id)
		}
	}
	if s.Min != nil {
		dim.min = *s.Min
	}
	switch d.mode {
	case ModeDivide:
		dim.min = int(min(int64(dim.min), d.replicas))
	case ModeOne:
		dim.min = min(dim.min, 1)
	}
	return dim
}

// groupNames are the values of a spread key for a cluster. Zones belong to their region and provider: a in eu-west-1
// is not a in us-east-1.
func groupNames(by string, c *Cluster) []string {
	value := ""
	switch by {
	case "cluster":
		value = c.Name
	case "region":
		value = c.Region
	case "provider":
		value = c.Provider
	case "zone":
		names := make([]string, len(c.Zones))
		for i, z := range c.Zones {
			names[i] = c.Provider + "/" + c.Region + "/" + z
		}
		return names
	default:
		value = c.Labels[strings.TrimPrefix(by, "label:")]
	}
	if value == "" {
		return nil
	}
	return []string{value}
}

// passOverUntold keeps new replicas off clusters that are in no group.
func (d *deciding) passOverUntold(dim *dimension) {
	for i := range d.list {
		if c := &d.list[i]; c.standing <= frozen && len(dim.groups[i]) == 0 {
			d.reject(c, keeps, CodeNoGroup, "it does not tell its "+dim.noun)
		}
	}
}

// standsStill says that the candidate has replicas there whatever the spread wants.
func (c *candidate) standsStill() bool {
	return c.held && (c.standing == keeps || c.standing == frozen)
}

// keepWithinMax leaves the groups beyond the maximum: those in use and heavy are preferred, as far as the minima of
// all constraints and the capacity stay in reach.
func (d *deciding) keepWithinMax(dim *dimension, dims []*dimension) {
	if dim.Max == nil || len(dim.names) <= *dim.Max {
		return
	}
	order := d.rankGroups(dim)
	limit := max(*dim.Max, 0)
	in := make([]bool, len(dim.names))
	for _, g := range order[:limit] {
		in[g] = true
	}
	d.improve(dim, dims, order, in)
	message := "the spread allows " + count(int64(limit), dim.noun, dim.noun+"s")
	for i := range d.list {
		c := &d.list[i]
		if c.standing > keeps || len(dim.groups[i]) == 0 || allIn(dim.groups[i], in) {
			continue
		}
		d.reject(c, leaves, CodeSpreadMax, message+" and others are preferred")
	}
}

func allIn(groups []int, in []bool) bool {
	for _, g := range groups {
		if !in[g] {
			return false
		}
	}
	return true
}

// rankGroups orders the groups by preference.
func (d *deciding) rankGroups(dim *dimension) []int {
	type rank struct {
		still          bool
		replicas, vote int64
		tier           int
		tie            uint64
	}
	ranks := make([]rank, len(dim.names))
	for g := range ranks {
		ranks[g].tier = int(^uint(0) >> 1)
		ranks[g].tie = TieHash(d.in.Object.Key, dim.names[g])
	}
	for i := range d.list {
		c := &d.list[i]
		for _, g := range dim.groups[i] {
			r := &ranks[g]
			r.still = r.still || c.standsStill()
			if c.standing > frozen {
				continue
			}
			r.replicas = addUpTo(r.replicas, c.replicas)
			if c.standing == welcome {
				r.vote = addUpTo(r.vote, c.vote)
				r.tier = min(r.tier, tierOf(c))
			}
		}
	}
	order := make([]int, len(ranks))
	for g := range order {
		order[g] = g
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := ranks[a], ranks[b]
		switch {
		case x.still != y.still && x.still:
			return -1
		case x.still != y.still:
			return 1
		}
		return cmp.Or(cmp.Compare(y.replicas, x.replicas), cmp.Compare(x.tier, y.tier),
			cmp.Compare(y.vote, x.vote), cmp.Compare(x.tie, y.tie), cmp.Compare(dim.names[a], dim.names[b]))
	})
	return order
}

// reach is how far a choice of groups can serve the placement; the more the better, minima before capacity.
type reach struct {
	minima int
	fit    int64
}

func (a reach) better(b reach) bool {
	return a.minima > b.minima || a.minima == b.minima && a.fit > b.fit
}

// reachOf evaluates the clusters whose groups in dim are all chosen.
func (d *deciding) reachOf(dim *dimension, dims []*dimension, in []bool) reach {
	var r reach
	for _, other := range dims {
		seen := make([]bool, len(other.names))
		found := 0
		for i := range d.list {
			if c := &d.list[i]; (c.standing != welcome || !allIn(dim.groups[i], in)) && !c.standsStill() {
				continue
			}
			for _, g := range other.groups[i] {
				if !seen[g] {
					seen[g] = true
					found++
				}
			}
		}
		r.minima += min(found, other.min)
	}
	if d.mode != ModeDivide || d.in.Policy.Overflow == OverflowPending {
		return r
	}
	for i := range d.list {
		if c := &d.list[i]; c.standing == welcome && allIn(dim.groups[i], in) {
			r.fit = addUpTo(r.fit, min(c.max, c.fit))
		}
	}
	r.fit = min(r.fit, d.replicas)
	return r
}

// fewSwaps bounds the search: so many of the poorest chosen groups are tried against so many of the richest others.
const fewSwaps = 8

// improve swaps chosen groups against others while that brings a minimum or the wanted number nearer.
func (d *deciding) improve(dim *dimension, dims []*dimension, order []int, in []bool) {
	wanted := reach{fit: d.replicas}
	for _, other := range dims {
		wanted.minima += other.min
	}
	now := d.reachOf(dim, dims, in)
	for now != wanted && now.fit <= wanted.fit {
		poor, rich := d.swapCandidates(dim, dims, order, in)
		best, from, to := now, -1, -1
		for _, out := range poor {
			for _, other := range rich {
				in[out], in[other] = false, true
				if r := d.reachOf(dim, dims, in); r.better(best) {
					best, from, to = r, out, other
				}
				in[out], in[other] = true, false
			}
		}
		if from < 0 {
			return
		}
		in[from], in[to] = false, true
		now = best
	}
}

// swapCandidates are the chosen groups that offer least and the others that offer most, by clusters and by capacity.
func (d *deciding) swapCandidates(dim *dimension, dims []*dimension, order []int, in []bool) (poor, rich []int) {
	clusters, fits := d.offers(dim, dims)
	for _, offer := range [][]int64{clusters, fits} {
		var chosen, others []int
		for _, g := range order {
			if in[g] {
				chosen = append(chosen, g)
			} else {
				others = append(others, g)
			}
		}
		slices.Reverse(chosen) // of equal offers the least preferred goes
		slices.SortStableFunc(chosen, func(a, b int) int { return cmp.Compare(offer[a], offer[b]) })
		slices.SortStableFunc(others, func(a, b int) int { return cmp.Compare(offer[b], offer[a]) })
		poor = append(poor, chosen[:min(len(chosen), fewSwaps)]...)
		rich = append(rich, others[:min(len(others), fewSwaps)]...)
	}
	return poor, rich
}

// offers counts for each group the groups of the other dimensions it opens, and the replicas it can hold.
func (d *deciding) offers(dim *dimension, dims []*dimension) (opens, fits []int64) {
	opens, fits = make([]int64, len(dim.names)), make([]int64, len(dim.names))
	type pair struct{ other, group, opened int }
	seen := map[pair]bool{}
	for i := range d.list {
		c := &d.list[i]
		if c.standing != welcome {
			continue
		}
		for _, g := range dim.groups[i] {
			fits[g] = addUpTo(fits[g], min(c.max, c.fit))
			for o, other := range dims {
				for _, opened := range other.groups[i] {
					if p := (pair{o, g, opened}); other.min > 0 && !seen[p] {
						seen[p] = true
						opens[g]++
					}
				}
			}
		}
	}
	return opens, fits
}

// reachMinima gives a floor of one replica to as few candidates as bring every constraint to its minimum, and says
// which minimum cannot be reached.
func (d *deciding) reachMinima(dims []*dimension) {
	covered := make([][]bool, len(dims))
	missing := make([]int, len(dims))
	for k, dim := range dims {
		covered[k] = make([]bool, len(dim.names))
		missing[k] = dim.min
	}
	cover := func(i int) {
		for k, dim := range dims {
			for _, g := range dim.groups[i] {
				if !covered[k][g] {
					covered[k][g] = true
					missing[k]--
				}
			}
		}
	}
	for i := range d.list {
		if c := &d.list[i]; c.standsStill() {
			cover(i)
		}
	}
	for {
		best, gain := -1, 0
		for i := range d.list {
			c := &d.list[i]
			if c.standing != welcome || c.spreadFloor {
				continue
			}
			opens := 0
			for k, dim := range dims {
				opens += opened(dim.groups[i], covered[k], missing[k])
			}
			if opens > gain || opens == gain && opens > 0 && d.compareForFloor(c, &d.list[best]) < 0 {
				best, gain = i, opens
			}
		}
		if best < 0 {
			break
		}
		d.list[best].spreadFloor = true
		d.list[best].must = 1
		cover(best)
	}
	for k, dim := range dims {
		d.judgeSpread(dim, missing[k])
	}
}

// opened counts the groups not covered yet, as far as they are missing.
func opened(groups []int, covered []bool, missing int) int {
	n := 0
	for _, g := range groups {
		if !covered[g] {
			n++
		}
	}
	return max(min(n, missing), 0)
}

// compareForFloor prefers who has replicas already, then the lower tier, then who has a minimum anyway, the larger
// vote, the seeded hash.
func (d *deciding) compareForFloor(a, b *candidate) int {
	return cmp.Or(cmp.Compare(min(b.replicas, 1), min(a.replicas, 1)), cmp.Compare(tierOf(a), tierOf(b)),
		cmp.Compare(min(b.min, 1), min(a.min, 1)),
		cmp.Compare(b.vote, a.vote), cmp.Compare(a.tie, b.tie), cmp.Compare(a.cluster.Name, b.cluster.Name))
}

func (d *deciding) judgeSpread(dim *dimension, missing int) {
	if missing <= 0 {
		if dim.Min != nil && dim.min < *dim.Min && d.mode == ModeDivide && d.replicas > 0 {
			d.note(CodeSpreadUnmet, "the spread wants "+groups(*dim.Min, dim.noun)+", but there are only "+
				count(d.replicas, "replica", "replicas"))
		}
		return
	}
	message := "the spread wants " + groups(dim.min, dim.noun) + ", and only " +
		strconv.Itoa(dim.min-missing) + " can be had"
	d.note(CodeSpreadUnmet, message)
	if dim.WhenUnsatisfiable != SpreadBestEffort {
		d.unmet = Reason{CodeBlocked, message}
	}
}

func groups(n int, noun string) string { return count(int64(n), noun, noun+"s") }

// blocked says that a spread which must hold cannot.
func (d *deciding) blocked() bool { return d.unmet.Code != "" }
