package balance

import "math/bits"

// Mix spreads the bits of x over all 64 bits (the finalizer of SplitMix64).
func Mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Combine hashes two numbers into one; the order matters.
func Combine(a, b uint64) uint64 { return Mix(a*0x9e3779b97f4a7c15 + Mix(b+0x9e3779b97f4a7c15)) }

// HashString hashes s with a seed, the same on every machine (FNV-1a, then mixed).
func HashString(seed uint64, s string) uint64 {
	h := seed ^ 0xcbf29ce484222325
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return Mix(h)
}

// Sticky picks among the plan's sets by weighted rendezvous hashing: the set with the smallest -log(u)/weight, where u
// is a number in (0,1) hashed from the client's key and keys[i]. Each set gets its weight's part of the keys, and when
// one weight changes, keys only move to or from that set. The plan must not be empty; keys has one hash for every set.
//
// The logarithm is in integers, so that all replicas agree whatever their processor.
func (p *Plan) Sticky(client uint64, keys []uint64) int {
	best := 0
	var bestCost, bestWeight uint64
	for i := range p.Sets {
		cost, weight := negativeLog2(Combine(client, keys[i])), p.Sets[i].Weight
		// cost/weight < bestCost/bestWeight, without dividing.
		if i == 0 || less(cost, bestWeight, bestCost, weight) {
			best, bestCost, bestWeight = i, cost, weight
		}
	}
	return best
}

// less reports a*b < c*d.
func less(a, b, c, d uint64) bool {
	h1, l1 := bits.Mul64(a, b)
	h2, l2 := bits.Mul64(c, d)
	return h1 < h2 || h1 == h2 && l1 < l2
}

// logBits is the number of fractional bits of negativeLog2.
const logBits = 40

// negativeLog2 is -log2((x+1)/2^64) in fixed point, by repeated squaring.
func negativeLog2(x uint64) uint64 {
	if x == ^uint64(0) {
		return 0
	}
	x++
	zeros := bits.LeadingZeros64(x)
	m := x << zeros // in [1,2) with 63 fractional bits
	var fraction uint64
	for range logBits {
		high, low := bits.Mul64(m, m)
		fraction <<= 1
		if high>>63 != 0 {
			m = high
			fraction |= 1
		} else {
			m = high<<1 | low>>63
		}
	}
	return uint64(zeros+1)<<logBits - fraction
}
