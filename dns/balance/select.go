package balance

import "cmp"

// State is the damped health of a target.
type State uint8

// The states. What they mean for selection is told at Select.
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
	// Tier orders preference: 0 is first.
	Tier  uint16
	State State
	// Absent says that the target has nothing to answer with, whatever its state.
	Absent bool
}

// Reason says why a target is or is not eligible.
type Reason string

// The reasons.
const (
	Chosen        Reason = "eligible"
	ChosenUnknown Reason = "eligible: not heard of, but too little healthy weight without it"
	FailedOpen    Reason = "eligible: everything seems down, answered as if up"
	NoAddress     Reason = "no address"
	NoWeight      Reason = "weight 0"
	IsUnhealthy   Reason = "unhealthy"
	IsUnknown     Reason = "not heard of"
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
	// Tier is the tier in use.
	Tier uint16
	// FailOpen: no tier had enough healthy weight.
	FailOpen bool
	// Degraded: a target with weight is unhealthy or unknown.
	Degraded bool
}

// Select says which targets may be answered. minHealthy is the percentage of a tier's weight that must be healthy for
// the tier to be used; 0 asks for one healthy target.
//
// The first tier that passes is used, by the first of these rules under which one does:
//  1. Healthy targets alone have the weight.
//  2. Healthy and unknown targets together have it: what cannot be seen is only left out while enough can be.
//  3. Fail open: the first tier with a target that is not draining, all of those targets as if up.
//  4. Fail open further: targets of weight 0 that are not draining; then draining ones; each with weight 1 where it has
//     none.
//
// Draining targets and those with nothing to answer count neither as healthy nor as lost: they are not part of a tier's
// weight.
func Select(targets []Target, minHealthy int) Selection {
	s := Selection{Reasons: make([]Reason, len(targets))}
	for i := range targets {
		t := &targets[i]
		s.Reasons[i] = exclusion(t)
		s.Degraded = s.Degraded || counts(t) && t.State != Healthy
	}
	for _, rule := range rules {
		if tier, ok := firstTier(targets, rule.allow, rule.enough, uint64(minHealthy)); ok {
			s.Tier, s.FailOpen = tier, rule.isOpen
			s.take(targets, rule.allow, rule.reason)
			return s
		}
	}
	return s
}

// rules are those of Select, in their order.
var rules = [...]struct {
	allow  func(*Target) bool
	enough func(have, all, percent uint64) bool
	reason Reason
	isOpen bool
}{
	{isHealthy, atLeast, Chosen, false},
	{isHealthyOrUnknown, atLeast, Chosen, false},
	{counts, always, FailedOpen, true},
	{isStaying, always, FailedOpen, true},
	{isPresent, always, FailedOpen, true},
}

func (s *Selection) take(targets []Target, allow func(*Target) bool, reason Reason) {
	s.Eligible = make([]int, 0, len(targets))
	for i := range targets {
		t := &targets[i]
		switch {
		case t.Tier != s.Tier:
			if s.Reasons[i] == Chosen {
				s.Reasons[i] = OtherTier
			}
			continue
		case !allow(t):
			continue
		}
		s.Eligible = append(s.Eligible, i)
		s.Reasons[i] = reason
		if t.State == Unknown && !s.FailOpen {
			s.Reasons[i] = ChosenUnknown
		}
	}
	sortByWeight(s.Eligible, targets)
	s.Weights = make([]uint64, 0, len(s.Eligible))
	for _, i := range s.Eligible {
		s.Weights = append(s.Weights, uint64(max(targets[i].Weight, 1)))
	}
}

// exclusion is what alone keeps a target out, or Chosen.
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
	return Chosen
}

func isPresent(t *Target) bool          { return !t.Absent }
func isStaying(t *Target) bool          { return isPresent(t) && t.State != Draining }
func counts(t *Target) bool             { return isStaying(t) && t.Weight > 0 }
func isHealthy(t *Target) bool          { return counts(t) && t.State == Healthy }
func isHealthyOrUnknown(t *Target) bool { return counts(t) && t.State != Unhealthy }

func always(_, _, _ uint64) bool             { return true }
func atLeast(have, all, percent uint64) bool { return have > 0 && have*100 >= all*percent }

// firstTier is the lowest tier with an allowed target and enough allowed weight out of the weight that counts.
func firstTier(
	targets []Target, allow func(*Target) bool, enough func(have, all, percent uint64) bool, percent uint64,
) (uint16, bool) {
	best, found := uint16(0), false
	for i := range targets {
		tier := targets[i].Tier
		if !allow(&targets[i]) || found && tier >= best {
			continue
		}
		var have, all uint64
		for j := range targets {
			t := &targets[j]
			if t.Tier != tier {
				continue
			}
			if allow(t) {
				have += uint64(t.Weight)
			}
			if counts(t) {
				all += uint64(t.Weight)
			}
		}
		if enough(have, all, percent) {
			best, found = tier, true
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
