package placement

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// Unlimited is the bound that binds nothing.
const Unlimited = math.MaxInt64

// Party is one taker in a division.
type Party struct {
	// Weight is its claim relative to the others'; with 0 it gets its Min and no more. Negative counts as 0.
	Weight int64
	// Min is what it starts from and never goes below, Max what it never goes above (Unlimited = no bound).
	// A Min above Max counts as Max.
	Min, Max int64
	// Tie orders parties with equal claims: the lower takes the seat. Equal Ties go to the earlier party.
	Tie uint64
}

// Apportion divides total seats between the parties by Webster's (Sainte-Laguë's) method within bounds: each starts
// from its Min, and every further seat goes to the largest Weight/(2·seats+1) among those below their Max.
//
// The answer sums to total, or to less when the maxima or zero weights leave seats to nobody. When the minima exceed
// total, each party gets its part of its minimum, in proportion to the minima. Time is O(n log n) whatever the total.
// Weights whose sum exceeds 2^63 lose their lowest bits.
func Apportion(total int64, parties []Party) []int64 {
	seats := make([]int64, len(parties))
	own := slices.Clone(parties)
	apportion(total, own, seats, nil)
	return seats
}

// apportion writes the division of total into seats; it may change the parties. It uses the room of items as far as
// that reaches.
func apportion(total int64, parties []Party, seats []int64, items []int32) {
	minima, maxima := tidy(parties)
	switch {
	case total <= 0:
		clear(seats)
		return
	case minima > uint64(total):
		apportionMinima(total, parties, seats, items)
		return
	case maxima <= uint64(total):
		for i, p := range parties {
			seats[i] = p.Max
		}
		return
	}
	sum := minima
	for i, p := range parties {
		seats[i] = p.Min
	}
	if uint64(total)-sum > 4*uint64(len(parties)) {
		if n, d := multiplier(total, minima, parties); d > 0 {
			sum = 0
			for i, p := range parties {
				seats[i] = seatsAt(p, n, d)
				sum += uint64(seats[i])
			}
		}
	}
	h := seatHeap{parties: parties, seats: seats, items: slices.Grow(items[:0], len(parties))[:len(parties)]}
	switch {
	case sum < uint64(total):
		h.add(uint64(total) - sum)
	case sum > uint64(total):
		h.take(sum - uint64(total))
	}
}

// tidy makes every party's bounds and weight usable and returns the sums of minima and maxima, saturating.
func tidy(parties []Party) (minima, maxima uint64) {
	var weights, carry uint64
	for i := range parties {
		p := &parties[i]
		p.Max = max(p.Max, 0)
		p.Min = min(max(p.Min, 0), p.Max)
		p.Weight = max(p.Weight, 0)
		if p.Weight == 0 {
			p.Max = p.Min
		}
		minima = saturatingAdd(minima, uint64(p.Min))
		maxima = saturatingAdd(maxima, uint64(p.Max))
		sum, over := bits.Add64(weights, uint64(p.Weight), 0)
		weights, carry = sum, carry+over
	}
	shift := bits.Len64(carry)
	if shift > 0 {
		shift++
	} else if weights > math.MaxInt64 {
		shift = 1
	}
	if shift > 0 {
		for i := range parties {
			if parties[i].Weight > 0 {
				parties[i].Weight = max(parties[i].Weight>>shift, 1)
			}
		}
	}
	return minima, maxima
}

func saturatingAdd(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry > 0 {
		return math.MaxUint64
	}
	return sum
}

// apportionMinima divides fewer seats than the minima need, in proportion to the minima.
func apportionMinima(total int64, parties []Party, seats []int64, items []int32) {
	for i := range parties {
		p := &parties[i]
		p.Weight, p.Min, p.Max = p.Min, 0, p.Min
	}
	apportion(total, parties, seats, items)
}

// multiplier finds n/d so that the sum of clamp(Weight·n/d, Min, Max) over the parties is total: the point where real
// shares, held within their bounds, add up. Rounded, they are at most about one seat a party away from the answer.
func multiplier(total int64, minima uint64, parties []Party) (n, d uint64) {
	if n, d, ok := unboundedMultiplier(total, parties); ok {
		return n, d
	}
	// The sum as a function of the multiplier is a line with a bend wherever a party leaves its minimum or meets its
	// maximum: walk the bends upwards until the sum would pass the total.
	type bend struct {
		at, weight uint64 // the multiplier at/weight
		party      int32
		leaves     bool // it leaves its minimum, otherwise it meets its maximum
	}
	bends := make([]bend, 0, 2*len(parties))
	for i, p := range parties {
		if p.Max > p.Min {
			bends = append(bends, bend{uint64(p.Min), uint64(p.Weight), int32(i), true})
			if p.Max < total {
				bends = append(bends, bend{uint64(p.Max), uint64(p.Weight), int32(i), false})
			}
		}
	}
	slices.SortFunc(bends, func(a, b bend) int {
		if c := compareFractions(a.at, a.weight, b.at, b.weight); c != 0 {
			return c
		}
		return cmp.Compare(a.party, b.party)
	})
	fixed, active := minima, uint64(0)
	for _, b := range bends {
		// fixed + active·at/weight >= total: the answer lies before this bend.
		hi, lo := bits.Mul64(active, b.at)
		needHi, needLo := bits.Mul64(uint64(total)-fixed, b.weight)
		if hi > needHi || hi == needHi && lo >= needLo {
			break
		}
		p := parties[b.party]
		if b.leaves {
			fixed -= uint64(p.Min)
			active += uint64(p.Weight)
		} else {
			fixed += uint64(p.Max)
			active -= uint64(p.Weight)
		}
	}
	return uint64(total) - fixed, active
}

// unboundedMultiplier is the multiplier when no bound binds, which is the common case and needs no sorting.
func unboundedMultiplier(total int64, parties []Party) (n, d uint64, ok bool) {
	n = uint64(total)
	for _, p := range parties {
		d += uint64(p.Weight)
	}
	for _, p := range parties {
		if s := roundedShare(p.Weight, n, d); s < p.Min || s > p.Max {
			return 0, 0, false
		}
	}
	return n, d, d > 0
}

// seatsAt counts the party's seats whose claim Weight/(2k+1) is at least d/(2n), within its bounds.
func seatsAt(p Party, n, d uint64) int64 {
	return min(max(roundedShare(p.Weight, n, d), p.Min), p.Max)
}

// roundedShare is weight·n/d, halves rounded up, saturating.
func roundedShare(weight int64, n, d uint64) int64 {
	hi, lo := bits.Mul64(uint64(weight), n)
	if hi >= d {
		return math.MaxInt64
	}
	quo, rem := bits.Div64(hi, lo, d)
	if rem >= d-rem {
		quo++
	}
	return int64(min(quo, math.MaxInt64))
}

// compareFractions compares a/b with c/d exactly.
func compareFractions(a, b, c, d uint64) int {
	leftHi, leftLo := bits.Mul64(a, d)
	rightHi, rightLo := bits.Mul64(c, b)
	if leftHi != rightHi {
		return cmp.Compare(leftHi, rightHi)
	}
	return cmp.Compare(leftLo, rightLo)
}

// seatHeap is a binary heap of the parties that can still change, ordered by the claim of their next seat.
type seatHeap struct {
	parties []Party
	seats   []int64
	items   []int32 // the heap is the first size of them
	size    int
	taking  bool
}

// add hands out n seats, each to the strongest claim.
func (h *seatHeap) add(n uint64) {
	for i, p := range h.parties {
		if h.seats[i] < p.Max && p.Weight > 0 {
			h.push(i)
		}
	}
	h.run(n, 1)
}

// take takes back n seats, each from the weakest claim.
func (h *seatHeap) take(n uint64) {
	h.taking = true
	for i, p := range h.parties {
		if h.seats[i] > p.Min {
			h.push(i)
		}
	}
	h.run(n, -1)
}

func (h *seatHeap) push(party int) {
	h.items[h.size] = int32(party)
	h.size++
}

func (h *seatHeap) run(n uint64, step int64) {
	for i := h.size/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
	for ; n > 0 && h.size > 0; n-- {
		top := h.items[0]
		h.seats[top] += step
		p := h.parties[top]
		if h.taking && h.seats[top] <= p.Min || !h.taking && h.seats[top] >= p.Max {
			h.size--
			h.items[0] = h.items[h.size]
		}
		h.sink(0)
	}
}

func (h *seatHeap) sink(i int) {
	for {
		child := 2*i + 1
		if child >= h.size {
			return
		}
		if child+1 < h.size && h.before(h.items[child+1], h.items[child]) {
			child++
		}
		if !h.before(h.items[child], h.items[i]) {
			return
		}
		h.items[i], h.items[child] = h.items[child], h.items[i]
		i = child
	}
}

// before says whether party a's seat is handed out (or, when taking, taken back) before party b's.
func (h *seatHeap) before(a, b int32) bool {
	seatA, seatB := uint64(h.seats[a]), uint64(h.seats[b])
	if h.taking {
		seatA, seatB = seatA-1, seatB-1
	}
	c := compareFractions(uint64(h.parties[a].Weight), 2*seatA+1, uint64(h.parties[b].Weight), 2*seatB+1)
	if c == 0 {
		c = cmp.Compare(h.parties[b].Tie, h.parties[a].Tie)
	}
	if c == 0 {
		c = cmp.Compare(b, a)
	}
	if h.taking {
		return c < 0
	}
	return c > 0
}

// TieHash is the seeded hash that orders equal claims: FNV-1a over seed and name, mixed so that near names do not
// follow each other. Different objects order the same clusters differently, so single replicas do not gather in one.
func TieHash(seed, name string) uint64 {
	return seededTie(seedHash(seed), name)
}

func seedHash(seed string) uint64 {
	return fnv(14695981039346656037, seed)
}

func seededTie(seed uint64, name string) uint64 {
	h := fnv(seed*1099511628211, name) // the step between is a zero byte
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func fnv(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
