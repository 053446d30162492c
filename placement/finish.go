package placement

import (
	"math/bits"
)

// finish turns the candidates into the decision.
func (d *deciding) finish() Decision {
	out := &d.out
	out.RecheckAfter = d.recheck
	chosen := 0
	for i := range d.list {
		if d.isChosen(&d.list[i]) {
			chosen++
		}
	}
	if chosen > 0 {
		out.Clusters = make([]Share, 0, chosen)
	}
	d.findUnsettled()
	for i := range d.list {
		c := &d.list[i]
		out.Waiting = out.Waiting || c.pinned
		switch {
		case d.isChosen(c):
			out.Clusters = append(out.Clusters, d.shareOf(c))
		case c.term == nil && c.why.Code == CodeNotSelected && !d.in.Explain:
			out.NotSelected++
		default:
			if c.term == nil && c.why.Code == CodeNotSelected {
				out.NotSelected++
			}
			out.Rejected = append(out.Rejected, d.rejectionOf(c))
		}
	}
	d.finishShortfall()
	d.finishAway()
	d.finishChanges()
	return d.out
}

// isChosen says whether the candidate is part of the decision.
func (d *deciding) isChosen(c *candidate) bool {
	switch {
	case d.mode == ModeDivide && d.replicas > 0:
		return c.now > 0
	case d.mode == ModeDivide:
		return c.held || c.now > 0
	case d.mode == ModeOne:
		return c.held
	}
	return c.held
}

// idealVotes is the sum of votes among which the wanted replicas would be divided if nothing held anybody, or 0.
func (d *deciding) idealVotes() uint64 {
	if d.mode != ModeDivide || d.in.Policy.Pack == PackFill {
		return 0
	}
	var sum uint64
	for i := range d.list {
		if c := &d.list[i]; c.inIdeal(d.lowest) {
			sum = saturatingAdd(sum, uint64(c.vote))
		}
	}
	return sum
}

// inIdeal leaves out what is gone or going, and tiers that wait for their turn.
func (c *candidate) inIdeal(lowest int) bool {
	if c.term == nil || tierOf(c) > lowest {
		return false
	}
	return c.standing == welcome || c.replicas > 0 && (c.standing == keeps || c.standing == frozen)
}

// idealOf is replicas·vote/votes.
func (d *deciding) idealOf(c *candidate) Fraction {
	if d.votes == 0 || d.votes > Unlimited || !c.inIdeal(d.lowest) {
		return Fraction{}
	}
	hi, lo := bits.Mul64(uint64(d.replicas), uint64(c.vote))
	if hi >= d.votes { // cannot be: no vote is above the sum of votes
		return Fraction{}
	}
	whole, rest := bits.Div64(hi, lo, d.votes)
	f := Fraction{Whole: int64(whole)}
	if rest > 0 {
		g := greatestCommonDivisor(rest, d.votes)
		f.Num, f.Den = int64(rest/g), int64(d.votes/g)
	}
	return f
}

func greatestCommonDivisor(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// shareOf says what the candidate gets and what held it.
func (d *deciding) shareOf(c *candidate) Share {
	s := Share{Name: c.cluster.Name, Replicas: c.now, Moving: d.movingOf(c), Ideal: d.idealOf(c)}
	if d.mode != ModeDivide {
		s.Reason = d.wholeReason(c)
		return s
	}
	s.Clamps = c.clamps | d.clampsOf(c, s.Ideal)
	s.Reason = d.divideReason(c)
	if s.Code == CodeShare && s.Clamps&ClampKept != 0 {
		s.Reason = Reason{CodeKept, "keeps what it has until the next scaling"}
	}
	return s
}

// movingOf is what is still to come or to leave.
func (d *deciding) movingOf(c *candidate) int64 {
	if d.mode != ModeDivide {
		return 0
	}
	return c.goal - c.now
}

func (d *deciding) clampsOf(c *candidate, ideal Fraction) Clamps {
	var held Clamps
	below, above := c.comparedTo(ideal)
	switch {
	case c.standing == frozen:
		held |= ClampFrozen
	case c.standing != welcome && c.goal > 0:
		held |= ClampKept
	case c.standing != welcome:
	case below && c.goal == c.max:
		held |= ClampMax
	case below && c.goal == c.fit:
		held |= ClampCapacity
	case above && c.goal == c.min:
		held |= ClampMin
	case above && c.goal == 1 && c.spreadFloor:
		held |= ClampSpread
	case c.goal == c.replicas && (above && d.someGain || below && d.someLose):
		held |= ClampKept
	}
	if tierOf(c) > d.lowest {
		held |= ClampTier
	}
	if c.now != c.goal {
		held |= ClampMoving
	}
	return held
}

// comparedTo says whether the goal is off the ideal by more than rounding.
func (c *candidate) comparedTo(ideal Fraction) (below, above bool) {
	return c.goal < ideal.Whole, c.goal > ideal.Whole && ideal.Num == 0 || c.goal > ideal.Whole+1
}

// findUnsettled notes whether some candidate could gain and some could lose replicas towards the ideal: only then
// are the others held by stability rather than by bounds.
func (d *deciding) findUnsettled() {
	if d.votes == 0 || d.in.Previous == nil || d.in.Policy.Rebalance == RebalanceAlways {
		return
	}
	for i := range d.list {
		c := &d.list[i]
		if c.standing != welcome {
			continue
		}
		below, above := c.comparedTo(d.idealOf(c))
		d.someGain = d.someGain || below && c.goal < min(c.max, c.fit)
		d.someLose = d.someLose || above && c.goal > c.min && !c.spreadFloor
	}
}

func (d *deciding) divideReason(c *candidate) Reason {
	switch {
	case d.replicas == 0 && c.now == 0:
		return Reason{CodeScaleZero, "holds the object while it is scaled to zero"}
	case c.standing == leaves && c.goal > 0 && c.now > c.goal:
		return Reason{CodeMoving, count(c.now-c.goal, "replica moves", "replicas move") + " away, and for " +
			count(c.goal, "more", "more") + " there is no room elsewhere; " + c.why.Message}
	case c.standing == lost && c.now > c.goal:
		return Reason{CodeMoving, count(c.now-c.goal, "replica moves", "replicas move") + " away, a few at a time, since many " +
			"clusters look lost; " + c.why.Message}
	case c.standing == lost || c.standing == leaves && c.goal > 0:
		return Reason{CodeStandIn, "no other cluster can take what it has; " + c.why.Message}
	case c.now > c.goal:
		return Reason{CodeMoving, count(c.now-c.goal, "replica moves", "replicas move") + " away" + c.because()}
	case c.now < c.goal:
		return Reason{CodeMoving, count(c.goal-c.now, "more replica is", "more replicas are") + " to come"}
	case c.standing != welcome:
		return Reason{CodeKept, "keeps what it has; " + c.why.Message}
	case c.clamps&ClampOverflow != 0:
		return Reason{CodeOverflow, "gets more than fits, as the placement asks"}
	case d.in.Policy.Pack == PackFill:
		return Reason{CodePacked, "is filled before the next cluster is used"}
	}
	return Reason{CodeShare, "its share"}
}

func (c *candidate) because() string {
	if c.why.Message == "" {
		return ""
	}
	return ": " + c.why.Message
}

func (d *deciding) wholeReason(c *candidate) Reason {
	switch {
	case c.standing == lost || c.standing == leaves:
		return Reason{CodeStandIn, "keeps its copy; " + c.why.Message}
	case c.standing != welcome:
		return Reason{CodeKept, "keeps what it has; " + c.why.Message}
	case d.mode == ModeOne:
		return Reason{CodeOnlyOne, "the one cluster of this object"}
	}
	return Reason{CodeCopy, "has a copy"}
}

// rejectionOf says why the candidate gets nothing, also when no filter spoke.
func (d *deciding) rejectionOf(c *candidate) Rejection {
	r := Rejection{Name: c.cluster.Name, Reason: c.why, All: c.more}
	if r.Code == "" {
		r.Reason = d.leftOut(c)
	}
	if len(r.All) == 0 {
		r.All = []Reason{r.Reason}
	}
	return r
}

func (d *deciding) leftOut(c *candidate) Reason {
	switch {
	case d.blocked():
		return Reason{CodeBlocked, "the spread cannot be reached, so nothing new is placed"}
	case d.mode == ModeOne:
		return Reason{CodeNotNeeded, "another cluster has it"}
	case tierOf(c) > d.lowest || d.mode == ModeDuplicate:
		return Reason{CodeHigherTier, "the lower tiers hold all"}
	case d.replicas == 0:
		return Reason{CodeNotNeeded, "there are no replicas to place"}
	case d.in.Policy.Pack == PackFill:
		return Reason{CodeNotNeeded, "the clusters before it hold all"}
	case c.vote == 0:
		return Reason{CodeNoCapacity, "it has no room for another replica"}
	case d.idealOf(c).Whole > 0:
		return Reason{CodeNotNeeded, "the others hold all, and nothing moves before the next scaling"}
	}
	return Reason{CodeSmallShare, "its share is too small for a whole replica"}
}

// finishShortfall counts what is nowhere, or on the move, and says why.
func (d *deciding) finishShortfall() {
	out := &d.out
	if d.mode != ModeDivide {
		if len(out.Clusters) == 0 {
			out.Unplaced = max(d.replicas, 1)
			out.Cause = d.shortfallCause()
		}
		return
	}
	goal := int64(0)
	for i := range d.list {
		goal = addUpTo(goal, d.list[i].goal)
	}
	out.Surge = max(out.Placed()-goal, 0)
	out.Unplaced = max(d.replicas-goal, 0)
	if out.Unplaced > 0 {
		out.Cause = d.shortfallCause()
	}
}

func (d *deciding) shortfallCause() Reason {
	var welcomed, full, atMax int64
	for i := range d.list {
		c := &d.list[i]
		if c.why.Code == CodeNoCapacity || c.why.Code == CodeUnschedulable {
			full++
		}
		if c.standing != welcome {
			continue
		}
		welcomed++
		switch {
		case c.goal >= c.max:
			atMax++
		case c.goal >= c.fit:
			full++
		}
	}
	switch {
	case d.blocked():
		return d.unmet
	case full > 0 && atMax > 0:
		return Reason{CodeFull, count(full, "cluster is", "clusters are") + " full and " +
			count(atMax, "is", "are") + " at the maximum"}
	case full > 0:
		return Reason{CodeFull, count(full, "cluster is", "clusters are") + " full"}
	case atMax > 0:
		return Reason{CodeAtMax, count(atMax, "cluster is", "clusters are") + " at the maximum"}
	case welcomed == 0 && len(d.list) == 0:
		return Reason{CodeNoClusters, "there are no clusters"}
	}
	return Reason{CodeNoClusters, "no chosen cluster may get replicas"}
}

// finishAway remembers which clusters lost their replicas by failover until they have their share again.
func (d *deciding) finishAway() {
	for i := range d.list {
		c := &d.list[i]
		switch {
		case c.standing == discarded || d.mode == ModeAll || d.mode == ModeDuplicate:
		case c.standing == lost:
			gone := c.replicas > c.now || d.mode == ModeOne && c.heldBefore && !c.held
			if d.isAway(c) || gone {
				d.out.Away = append(d.out.Away, c.cluster.Name)
			}
		case d.isAway(c) && !d.isHome(c):
			d.out.Away = append(d.out.Away, c.cluster.Name)
		}
	}
}

func (d *deciding) isHome(c *candidate) bool {
	if d.mode == ModeOne {
		return c.held
	}
	return c.standing == welcome && c.now >= min(d.idealOf(c).Whole, c.max)
}

func (d *deciding) note(code Code, message string) {
	d.out.Notes = append(d.out.Notes, Reason{code, message})
}
