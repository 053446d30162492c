package balance

import (
	"math/big"
	"math/bits"
)

// Plan is a list of sets of targets, each answered with probability Weight/Total.
type Plan struct {
	Sets  []Set
	Total uint64
}

// Set is what one answer contains.
type Set struct {
	// Members are indices into the targets given to Select.
	Members []int
	Weight  uint64
}

// Staircase answers the heaviest k targets with probability k*(wk - wk+1)/sum, for every k: at most as many sets as
// targets.
func Staircase(s Selection) Plan {
	p := Plan{Sets: make([]Set, 0, len(s.Eligible))}
	for k := 1; k <= len(s.Eligible); k++ {
		step := s.Weights[k-1]
		if k < len(s.Eligible) {
			step -= s.Weights[k]
		}
		if step > 0 {
			p.add(s.Eligible[:k:k], uint64(k)*step)
		}
	}
	return p
}

// Single answers one target, with the probability of its weight.
func Single(s Selection) Plan {
	p := Plan{Sets: make([]Set, 0, len(s.Eligible))}
	for k := range s.Eligible {
		p.add(s.Eligible[k:k+1:k+1], s.Weights[k])
	}
	return p
}

// All answers every eligible target.
func All(s Selection) Plan {
	var p Plan
	if len(s.Eligible) > 0 {
		p.add(s.Eligible, 1)
	}
	return p
}

func (p *Plan) add(members []int, weight uint64) {
	p.Sets = append(p.Sets, Set{Members: members, Weight: weight})
	p.Total += weight
}

// Pick is the set for a draw, which must be spread evenly over all 64-bit numbers. The plan must not be empty.
func (p *Plan) Pick(draw uint64) int {
	at := Scale(draw, p.Total)
	for i := range p.Sets {
		if at < p.Sets[i].Weight {
			return i
		}
		at -= p.Sets[i].Weight
	}
	return len(p.Sets) - 1
}

// Scale maps a number spread evenly over all 64-bit numbers to one spread over 0..n-1, uneven by at most n in 2^64.
func Scale(draw, n uint64) uint64 {
	high, _ := bits.Mul64(draw, n)
	return high
}

// Shares is the part of all traffic that each of n targets gets, exactly, when clients pick evenly among the members of
// their set.
func (p *Plan) Shares(n int) []*big.Rat {
	shares := make([]*big.Rat, n)
	for i := range shares {
		shares[i] = new(big.Rat)
	}
	for _, set := range p.Sets {
		each := new(big.Rat).SetFrac(
			new(big.Int).SetUint64(set.Weight),
			new(big.Int).Mul(new(big.Int).SetUint64(p.Total), big.NewInt(int64(len(set.Members)))),
		)
		for _, i := range set.Members {
			shares[i].Add(shares[i], each)
		}
	}
	return shares
}
