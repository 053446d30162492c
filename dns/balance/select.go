package balance

import "cmp"

// State is the damped health of a target.
type State uint8

// The states. Select says what they mean for an answer.
const (
	Healthy State = iota
	Unhealthy
	Unknown
	Draining
)

// Target is one place that could be answered.
type Target struct {
	// ID names the target; it orders targets of equal weight and takes part in Sticky's hash.
	ID     string
	Weight uint32
	// Capacity is the weight that the target has when all of it is healthy. Less than Weight means Weight.
	Capacity uint32
	// Tier orders preference: 0 is first.
	Tier  uint16
	State State
	// Absent reports that the target has nothing to answer with, whatever its state.
	Absent bool
}

// Floor says how much of a tier must be healthy for the tier to be enough on its own. The zero value asks for one
// healthy target.
type Floor struct {
	// Percent of the tier's capacity.
	Percent int
	// AddAll adds the healthy targets of all tiers below the floor, not only of the next one.
	AddAll bool
}

// Reason says why a target is or is not eligible.
type Reason string

// The reasons.
const (
	Chosen        Reason = "eligible"
	ChosenUnknown Reason = "eligible: out of contact, and not enough is known to be healthy"
	ChosenReserve Reason = "eligible: weight 0, and no target with a weight is healthy"
	FailedOpen    Reason = "eligible: no target is healthy, answered as if up"
	NoAddress     Reason = "no address"
	NoWeight      Reason = "weight 0"
	IsUnhealthy   Reason = "unhealthy"
	IsUnknown     Reason = "out of contact"
	IsDraining    Reason = "draining"
	OtherTier     Reason = "another tier is in use"
)

// Selection is the outcome of Select.
type Selection struct {
	// Eligible are the indices of the targets that may be answered, heaviest first, equal weights by ID.
	Eligible []int
	// Weights has the weight of each of Eligible; never 0.
	Weights []uint64
	// Reasons has one entry for every target given.
	Reasons []Reason
	// Tier is the first tier in use. Overflow reports that others are in use as well, since it is below the floor.
	Tier     uint16
	Overflow bool
	// FailOpen reports that no target is healthy, and those that are not are answered.
	FailOpen bool
	// Degraded reports that a target with weight is unhealthy or unknown.
	Degraded bool
}

// Select says which targets may be answered, by the first of these rules that finds one:
//  1. Healthy targets.
//  2. Targets out of contact: they may well work.
//  3. Healthy targets of weight 0, the reserve (as Route 53 has it).
//  4. Fail open: targets that are not draining, as if they were healthy; then those of weight 0; then draining ones.
//     Each has weight 1 where it has none.
//
// So an unhealthy target is never answered while a healthy one exists, whatever their weights.
//
// Within a rule tiers are looked at in their order, and the first one with a target is used. The floor applies to rules
// 1 and 2: a tier of which less than that is healthy gets its own targets out of contact beside the healthy ones, and
// if it still is below the floor, the next tier is added, or all of them. Draining targets are not part of a tier's
// capacity; one with nothing to answer is, as lost.
func Select(targets []Target, floor Floor) Selection {
	s := Selection{Reasons: make([]Reason, len(targets))}
	for i := range targets {
		t := &targets[i]
		s.Reasons[i] = exclusion(t)
		s.Degraded = s.Degraded || counts(t) && t.State != Healthy
	}
	for _, rule := range rules {
		if tier, ok := firstTier(targets, rule.allow, 0); ok {
			s.Tier, s.FailOpen = tier, rule.isOpen
			s.take(targets, tier, rule.allow, rule.reason)
			if rule.hasFloor {
				s.fill(targets, rule.allow, rule.reason, floor)
			}
			break
		}
	}
	sortByWeight(s.Eligible, targets)
	s.Weights = make([]uint64, 0, len(s.Eligible))
	for _, i := range s.Eligible {
		s.Weights = append(s.Weights, uint64(max(targets[i].Weight, 1)))
	}
	return s
}

// rules are those of Select, in their order.
var rules = [...]struct {
	allow    func(*Target) bool
	reason   Reason
	hasFloor bool
	isOpen   bool
}{
	{allow: isHealthy, reason: Chosen, hasFloor: true},
	{allow: isUnknown, reason: ChosenUnknown, hasFloor: true},
	{allow: isReserve, reason: ChosenReserve},
	{allow: counts, reason: FailedOpen, isOpen: true},
	{allow: isStaying, reason: FailedOpen, isOpen: true},
	{allow: isPresent, reason: FailedOpen, isOpen: true},
}

// fill adds what the floor asks for beside the first tier.
func (s *Selection) fill(targets []Target, allow func(*Target) bool, reason Reason, floor Floor) {
	for tier := s.Tier; ; {
		enough := s.isEnough(targets, tier, floor.Percent)
		if !enough && reason == Chosen {
			s.take(targets, tier, isUnknown, ChosenUnknown)
			enough = s.isEnough(targets, tier, floor.Percent)
		}
		if enough && !(s.Overflow && floor.AddAll) {
			return
		}
		next, ok := firstTier(targets, allow, int(tier)+1)
		if !ok {
			return
		}
		tier, s.Overflow = next, true
		s.take(targets, tier, allow, reason)
	}
}

// isEnough reports whether the eligible targets of a tier have at least percent of its capacity.
func (s *Selection) isEnough(targets []Target, tier uint16, percent int) bool {
	var have, all uint64
	for i := range targets {
		if t := &targets[i]; t.Tier == tier && t.State != Draining && t.Weight > 0 {
			all += uint64(max(t.Weight, t.Capacity))
		}
	}
	for _, i := range s.Eligible {
		if t := &targets[i]; t.Tier == tier {
			have += uint64(t.Weight)
		}
	}
	return have*100 >= all*uint64(percent)
}

// take makes the targets of a tier that a rule allows eligible.
func (s *Selection) take(targets []Target, tier uint16, allow func(*Target) bool, reason Reason) {
	if s.Eligible == nil {
		s.Eligible = make([]int, 0, len(targets))
	}
	for i := range targets {
		if t := &targets[i]; t.Tier == tier && allow(t) {
			s.Eligible = append(s.Eligible, i)
			s.Reasons[i] = reason
		}
	}
}

// exclusion is why a target that no rule takes is left out.
func exclusion(t *Target) Reason {
	switch {
	case t.Absent:
		return NoAddress
	case t.State == Draining:
		return IsDraining
	case t.Weight == 0:
		return NoWeight
	case t.State == Unhealthy:
		return IsUnhealthy
	case t.State == Unknown:
		return IsUnknown
	}
	return OtherTier // a healthy target is left out for nothing else
}

func isPresent(t *Target) bool { return !t.Absent }
func isStaying(t *Target) bool { return isPresent(t) && t.State != Draining }
func counts(t *Target) bool    { return isStaying(t) && t.Weight > 0 }
func isHealthy(t *Target) bool { return counts(t) && t.State == Healthy }
func isUnknown(t *Target) bool { return counts(t) && t.State == Unknown }
func isReserve(t *Target) bool { return isPresent(t) && t.State == Healthy && t.Weight == 0 }

// firstTier is the lowest tier, from a given one on, with an allowed target.
func firstTier(targets []Target, allow func(*Target) bool, from int) (best uint16, found bool) {
	for i := range targets {
		t := &targets[i]
		if allow(t) && int(t.Tier) >= from && (!found || t.Tier < best) {
			best, found = t.Tier, true
		}
	}
	return best, found
}

func sortByWeight(order []int, targets []Target) {
	for i := 1; i < len(order); i++ {
		for j := i; j > 0 && heavier(&targets[order[j]], &targets[order[j-1]]); j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
}

func heavier(a, b *Target) bool {
	if a.Weight != b.Weight {
		return a.Weight > b.Weight
	}
	return cmp.Less(a.ID, b.ID)
}
