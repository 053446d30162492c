package placement

import (
	"cmp"
	"math/bits"
	"slices"
)

// choice is which clusters a placement with spreads uses.
type choice struct {
	// out marks the candidates that a maximum keeps out, floors those that get at least one replica, by index.
	out, floors []bool
	// used marks the groups of each dimension that may be in use.
	used [][]bool
	// alone counts the groups that each dimension could have if it were the only one; met says that the choice reaches
	// its minimum.
	alone []int
	met   []bool
	// cut says that the search met its limit before it had seen everything.
	cut bool
}

// searchLimit bounds the steps of one search. Up to twelve clusters never need as many.
const searchLimit = 1 << 13

// bundle is a set of candidates that are used together or not at all: they are in the same groups of all dimensions
// that have a maximum, so whoever uses one of them may use them all.
type bundle struct {
	members []int // of deciding.list, in the order of preference
	groups  []uint64
	forced  bool // something there cannot be taken away
	fit     int64
	kept    int64
	votes   []int64 // by tier
}

// search looks for the best set of bundles by branch and bound.
//
// Sets are compared by their score, the first difference decides: minima that must hold, replicas that fit, minima
// that are wishes, replicas that stay where they are, votes of the lowest tier, of the next tier, and so on. More
// bundles never lower a score, only the maxima stand against them. What stays comes before the votes, so a set in use
// is left only for one that serves the placement better, and never comes back under the same facts.
type search struct {
	d       *deciding
	dims    []span
	bundles []bundle
	// rest is the sum of the bundles from each index on.
	rest []bundle
	// in marks the bundles taken so far, best those of the best set.
	in, best  []bool
	bestScore []int64
	score     []int64
	steps     int
	limit     int
	cut       bool
	// perfect is the score of everything together, which no set exceeds.
	perfect []int64
	// tight says that there may be fewer replicas than a choice of clusters needs for its minima; sets is what that is
	// judged by.
	tight bool
	sets  [][]uint64
}

// span is a dimension's words in a set of groups, with the bounds that the search works with.
type span struct {
	from, to int
	min, max int
	blocks   bool
}

func (s span) count(groups []uint64) int {
	n := 0
	for _, w := range groups[s.from:s.to] {
		n += bits.OnesCount64(w)
	}
	return n
}

// countBoth counts the groups in the union of two sets.
func (s span) countBoth(a, b []uint64) int {
	n := 0
	for i := s.from; i < s.to; i++ {
		n += bits.OnesCount64(a[i] | b[i])
	}
	return n
}

// chooseClusters chooses the clusters that the placement uses, and who of them gets a replica in any case.
func (d *deciding) chooseClusters() choice {
	sets, dims := d.groupSets()
	members := d.spreadMembers()
	chosen := choice{out: make([]bool, len(d.list)), floors: make([]bool, len(d.list)), met: make([]bool, len(dims))}
	all := union(sets, members)
	for _, s := range dims {
		chosen.alone = append(chosen.alone, s.count(all))
	}
	allowed := members
	if !withinMaxima(dims, all) {
		s := d.newSearch(dims, sets, members)
		s.run()
		allowed, chosen.cut = s.allowed(), s.cut
		for _, i := range members {
			chosen.out[i] = true
		}
		for _, i := range allowed {
			chosen.out[i] = false
		}
		d.sortMembers(allowed)
	}
	have := union(sets, allowed)
	for k, dim := range d.dims {
		chosen.used = append(chosen.used, make([]bool, len(dim.names)))
		for g := range dim.names {
			chosen.used[k][g] = have[dims[k].from+g/64]&(1<<(g%64)) != 0
		}
		chosen.met[k] = dims[k].count(have) >= dims[k].min
	}
	d.chooseFloors(dims, sets, allowed, &chosen)
	return chosen
}

// groupSets are the groups of each candidate as one set over all dimensions.
func (d *deciding) groupSets() ([][]uint64, []span) {
	dims := make([]span, len(d.dims))
	words := 0
	for k, dim := range d.dims {
		dims[k] = span{from: words, to: words + (len(dim.names)+63)/64, min: dim.min, max: -1, blocks: dim.blocks()}
		if dim.Max != nil {
			dims[k].max = max(*dim.Max, 0)
		}
		words = dims[k].to
	}
	flat := make([]uint64, words*len(d.list))
	sets := make([][]uint64, len(d.list))
	for i := range d.list {
		sets[i] = flat[i*words : (i+1)*words]
		for k, dim := range d.dims {
			for _, g := range dim.groups[i] {
				sets[i][dims[k].from+g/64] |= 1 << (g % 64)
			}
		}
	}
	return sets, dims
}

// spreadMembers are the candidates that may have something at the end of the decision, the preferred first.
func (d *deciding) spreadMembers() []int {
	var members []int
	for i := range d.list {
		c := &d.list[i]
		if d.spreadFit(c) > 0 {
			members = append(members, i)
		}
	}
	d.sortMembers(members)
	return members
}

// spreadFit is how many replicas the candidate can have, or 1 for a copy.
func (d *deciding) spreadFit(c *candidate) int64 {
	if d.mode != ModeDivide {
		if c.standing == welcome || c.standsStill() {
			return 1
		}
		return 0
	}
	switch {
	case c.standing == welcome && d.in.Policy.Overflow == OverflowPending:
		return c.max
	case c.standing == welcome:
		return min(c.max, c.most)
	case c.standing == keeps:
		return min(c.max, c.replicas-c.stuck)
	case c.standing == frozen:
		return c.replicas
	}
	return 0
}

// stays is how much of what the candidate has need not move.
func (d *deciding) stays(c *candidate) int64 {
	if d.mode != ModeDivide {
		if c.held {
			return 1
		}
		return 0
	}
	return min(c.replicas-c.stuck, d.spreadFit(c))
}

// sortMembers orders candidates by preference: who has replicas, the lower tier, who has a minimum anyway, the larger
// vote, the seeded hash.
func (d *deciding) sortMembers(members []int) {
	slices.SortFunc(members, func(i, j int) int {
		a, b := &d.list[i], &d.list[j]
		return cmp.Or(cmp.Compare(min(d.stays(b), 1), min(d.stays(a), 1)), cmp.Compare(tierOf(a), tierOf(b)),
			cmp.Compare(min(b.min, 1), min(a.min, 1)), cmp.Compare(b.vote, a.vote), cmp.Compare(a.tie, b.tie),
			cmp.Compare(a.cluster.Name, b.cluster.Name))
	})
}

func union(sets [][]uint64, members []int) []uint64 {
	if len(sets) == 0 {
		return nil
	}
	all := make([]uint64, len(sets[0]))
	for _, i := range members {
		for w, set := range sets[i] {
			all[w] |= set
		}
	}
	return all
}

func withinMaxima(dims []span, groups []uint64) bool {
	for _, s := range dims {
		if s.max >= 0 && s.count(groups) > s.max {
			return false
		}
	}
	return true
}

// newSearch bundles the members and puts the bundles into the order in which they are tried.
func (d *deciding) newSearch(dims []span, sets [][]uint64, members []int) *search {
	tiers := d.tiersOf(members)
	own := *d // the search outlives the call for the compiler, and the state of a decision is to stay on the stack
	s := &search{d: &own, dims: slices.Clone(dims), sets: sets, tight: d.isTight(dims), limit: searchLimit}
	byKey := map[string]int{}
	var key []byte
	for _, i := range members {
		c := &d.list[i]
		key = key[:0]
		for _, dim := range dims {
			for w := dim.from; w < dim.to && dim.max >= 0; w++ {
				for shift := 0; shift < 64; shift += 8 {
					key = append(key, byte(sets[i][w]>>shift))
				}
			}
		}
		at, known := byKey[string(key)]
		if !known {
			at = len(s.bundles)
			byKey[string(key)] = at
			s.bundles = append(s.bundles, bundle{groups: make([]uint64, len(sets[i])), votes: make([]int64, len(tiers))})
		}
		b := &s.bundles[at]
		b.members = append(b.members, i)
		tier, _ := slices.BinarySearch(tiers, tierOf(c))
		var votes int64
		if c.standing == welcome {
			votes = c.vote
		}
		b.add(&bundle{groups: sets[i], forced: c.standing == frozen && d.stays(c) > 0, fit: d.spreadFit(c),
			kept: d.stays(c)}, tier, votes)
	}
	for k := range s.dims { // what cannot be taken away may be above a maximum; nothing is added to that
		if s.dims[k].max >= 0 {
			s.dims[k].max = max(s.dims[k].max, s.dims[k].count(s.forcedGroups(len(union(sets, nil)))))
		}
	}
	slices.SortStableFunc(s.bundles, func(a, b bundle) int {
		forced := func(b bundle) int {
			if b.forced {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(forced(a), forced(b)), cmp.Compare(b.kept, a.kept), slices.Compare(b.votes, a.votes))
	})
	s.prepare(len(union(sets, nil)), len(tiers))
	return s
}

func (d *deciding) tiersOf(members []int) []int {
	var tiers []int
	for _, i := range members {
		if t := tierOf(&d.list[i]); !slices.Contains(tiers, t) {
			tiers = append(tiers, t)
		}
	}
	slices.Sort(tiers)
	return tiers
}

func (b *bundle) add(other *bundle, tier int, votes int64) {
	for w, set := range other.groups {
		b.groups[w] |= set
	}
	b.forced = b.forced || other.forced
	b.fit = addUpTo(b.fit, other.fit)
	b.kept = addUpTo(b.kept, other.kept)
	b.votes[tier] = addUpTo(b.votes[tier], votes)
}

func (s *search) forcedGroups(words int) []uint64 {
	forced := make([]uint64, words)
	for _, b := range s.bundles {
		for w := range b.groups {
			if b.forced {
				forced[w] |= b.groups[w]
			}
		}
	}
	return forced
}

// prepare sums the bundles from the end, for the bounds.
func (s *search) prepare(words, tiers int) {
	n := len(s.bundles)
	s.in, s.best = make([]bool, n), make([]bool, n)
	s.rest = make([]bundle, n+1)
	s.rest[n] = bundle{groups: make([]uint64, words), votes: make([]int64, tiers)}
	for i := n - 1; i >= 0; i-- {
		next, b := &s.rest[i+1], &s.bundles[i]
		sum := bundle{groups: slices.Clone(next.groups), fit: next.fit, kept: next.kept, votes: slices.Clone(next.votes)}
		sum.join(b)
		s.rest[i] = sum
	}
	s.score = make([]int64, 4+tiers)
	s.perfect = slices.Clone(s.scoreOf(&s.rest[0], &s.rest[n]))
}

func (b *bundle) join(other *bundle) {
	for w, set := range other.groups {
		b.groups[w] |= set
	}
	b.fit = addUpTo(b.fit, other.fit)
	b.kept = addUpTo(b.kept, other.kept)
	for t := range b.votes {
		b.votes[t] = addUpTo(b.votes[t], other.votes[t])
	}
}

// scoreOf is the score of two sets of bundles together. It is valid until the next call.
func (s *search) scoreOf(a, b *bundle) []int64 {
	score := s.score
	clear(score)
	for _, dim := range s.dims {
		n := int64(min(dim.countBoth(a.groups, b.groups), dim.min))
		if dim.blocks {
			score[0] += n
		} else {
			score[2] += n
		}
	}
	if s.d.mode == ModeDivide {
		score[1] = min(addUpTo(a.fit, b.fit), s.d.replicas)
	}
	score[3] = addUpTo(a.kept, b.kept)
	for t := range a.votes {
		score[4+t] = addUpTo(a.votes[t], b.votes[t])
	}
	return score
}

// run looks for the best set.
func (s *search) run() {
	empty := bundle{groups: make([]uint64, len(s.rest[0].groups)), votes: make([]int64, len(s.rest[0].votes))}
	s.try(0, &empty)
	if s.cut && slices.Compare(s.bestScore[:3], s.perfect[:3]) < 0 {
		s.swap()
	}
	if slices.Compare(s.bestScore[:3], s.perfect[:3]) == 0 {
		s.cut = false // nothing more was to be found but preferences
	}
}

// try decides about the bundles from i on, after those that make up so far.
func (s *search) try(i int, so *bundle) {
	if s.steps++; s.steps > s.limit {
		if s.cut = true; s.bestScore != nil {
			return
		}
	}
	score := s.scoreOf(so, &s.rest[i])
	if s.bestScore != nil && slices.Compare(score, s.bestScore) <= 0 {
		return
	}
	if i == len(s.bundles) {
		if s.tight && !s.coverable(s.in) {
			if score[0]--; s.bestScore != nil && slices.Compare(score, s.bestScore) <= 0 {
				return
			}
		}
		s.bestScore = append(s.bestScore[:0], score...)
		copy(s.best, s.in)
		return
	}
	b := &s.bundles[i]
	fits, opens := s.judge(so, b)
	if fits || b.forced {
		with := bundle{groups: slices.Clone(so.groups), fit: so.fit, kept: so.kept, votes: slices.Clone(so.votes)}
		with.join(b)
		s.in[i] = true
		s.try(i+1, &with)
		s.in[i] = false
		if !opens || b.forced || s.cut {
			return // without it nothing gets better, or there is no time to see
		}
	}
	s.try(i+1, so)
}

// judge reports whether the maxima allow the bundle, and whether it uses any of them up.
func (s *search) judge(so, b *bundle) (fits, opens bool) {
	fits = true
	for _, dim := range s.dims {
		if dim.max < 0 {
			continue
		}
		n := dim.countBoth(so.groups, b.groups)
		fits = fits && n <= dim.max
		opens = opens || n > dim.count(so.groups)
	}
	return fits, opens
}

// swap improves the best set of a search that was cut: one bundle against another, as long as that helps.
func (s *search) swap() {
	for range len(s.bundles) {
		improved := false
		for out := range s.bundles {
			if !s.best[out] || s.bundles[out].forced {
				continue
			}
			for other := range s.bundles {
				if s.best[other] {
					continue
				}
				in := slices.Clone(s.best)
				in[out], in[other] = false, true
				if score := s.scoreOfSet(in); score != nil && slices.Compare(score, s.bestScore) > 0 {
					s.bestScore, s.best, improved = slices.Clone(score), in, true
					break
				}
				if s.steps++; s.steps > 2*s.limit {
					return
				}
			}
		}
		if !improved {
			return
		}
	}
}

// scoreOfSet is the score of a set and of all that may be used with it for nothing, or nil if a maximum forbids it.
func (s *search) scoreOfSet(in []bool) []int64 {
	sum := bundle{groups: make([]uint64, len(s.rest[0].groups)), votes: make([]int64, len(s.rest[0].votes))}
	for i := range s.bundles {
		if in[i] {
			sum.join(&s.bundles[i])
		}
	}
	if !s.allow(sum.groups) {
		return nil
	}
	for i := range s.bundles {
		if fits, _ := s.judge(&sum, &s.bundles[i]); !in[i] && fits {
			in[i] = true
			sum.join(&s.bundles[i])
		}
	}
	score := s.scoreOf(&sum, &s.rest[len(s.bundles)])
	if s.tight && !s.coverable(in) {
		score[0]--
	}
	return score
}

// isTight reports whether the replicas may be too few for one in each group that is wanted.
func (d *deciding) isTight(dims []span) bool {
	sum := int64(0)
	for _, s := range dims {
		if s.blocks {
			sum += int64(s.min)
		}
	}
	return d.mode == ModeDivide && sum > d.replicas
}

// coverable reports whether the replicas are enough for the minima that must hold and that the set has.
func (s *search) coverable(in []bool) bool {
	hard := slices.Clone(s.dims)
	for k := range hard {
		if !hard[k].blocks {
			hard[k].min = 0
		}
	}
	c := s.d.newCover(hard, s.sets, s.membersOf(in))
	if c == nil {
		return true
	}
	c.run()
	return c.bestPrice >= 0
}

func (s *search) allow(groups []uint64) bool { return withinMaxima(s.dims, groups) }

// allowed are the candidates of the best set.
func (s *search) allowed() []int { return s.membersOf(s.best) }

func (s *search) membersOf(in []bool) []int {
	var members []int
	for i, b := range s.bundles {
		if in[i] {
			members = append(members, b.members...)
		}
	}
	return members
}
