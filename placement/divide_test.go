package placement

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rounds is how many random inputs a property meets: 100,000, fewer with -short.
func rounds(t *testing.T) int {
	t.Helper()
	if testing.Short() {
		return 10_000
	}
	return 100_000
}

func TestApportionSmallCases(t *testing.T) {
	const u = Unlimited
	cases := []struct {
		name    string
		total   int64
		parties []Party
		want    []int64
	}{
		{"two to one", 9, []Party{{Weight: 2, Max: u}, {Weight: 1, Max: u}}, []int64{6, 3}},
		{"Karmada's 9 over 1:3", 9, []Party{{Weight: 1, Max: u}, {Weight: 3, Max: u}}, []int64{2, 7}},
		{"KubeAdmiral's 7 over 1:1:1", 7, []Party{{Weight: 1, Max: u}, {Weight: 1, Max: u}, {Weight: 1, Max: u}},
			[]int64{3, 2, 2}},
		{"a tie goes to the lower hash", 1, []Party{{Weight: 1, Max: u, Tie: 9}, {Weight: 1, Max: u, Tie: 3}},
			[]int64{0, 1}},
		{"a minimum counts towards the share", 6, []Party{{Weight: 1, Min: 3, Max: u}, {Weight: 1, Max: u}},
			[]int64{3, 3}},
		{"a minimum above the share is taken from the others", 6,
			[]Party{{Weight: 1, Min: 4, Max: u}, {Weight: 1, Max: u}, {Weight: 1, Max: u}}, []int64{4, 1, 1}},
		{"what a maximum cuts goes to the others by weight", 12,
			[]Party{{Weight: 6, Max: 3}, {Weight: 2, Max: u}, {Weight: 1, Max: u}}, []int64{3, 6, 3}},
		{"minima above the total shrink in proportion", 4,
			[]Party{{Weight: 9, Min: 6, Max: u}, {Weight: 1, Min: 2, Max: u}}, []int64{3, 1}},
		{"maxima below the total leave a rest", 10, []Party{{Weight: 1, Max: 2}, {Weight: 1, Max: 3}}, []int64{2, 3}},
		{"weight 0 gets its minimum only", 10, []Party{{Weight: 0, Min: 2, Max: u}, {Weight: 1, Max: u}}, []int64{2, 8}},
		{"nothing but weight 0", 10, []Party{{Max: u}, {Max: u}}, []int64{0, 0}},
		{"nobody", 10, nil, []int64{}},
		{"nothing", 0, []Party{{Weight: 1, Min: 1, Max: u}}, []int64{0}},
		{"less than nothing", -5, []Party{{Weight: 1, Max: u}}, []int64{0}},
		{"everything there is", math.MaxInt64, []Party{{Weight: 1, Max: u}, {Weight: 1, Max: u, Tie: 1}},
			[]int64{1 << 62, 1<<62 - 1}},
		{"weights of 2^31 and 1", 1 << 31, []Party{{Weight: 1 << 31, Max: u}, {Weight: 1, Max: u}},
			[]int64{1<<31 - 1, 1}},
		{"weights beyond 2^63", 4, []Party{{Weight: math.MaxInt64, Max: u}, {Weight: math.MaxInt64, Max: u},
			{Weight: math.MaxInt64, Max: u}, {Weight: math.MaxInt64, Max: u}}, []int64{1, 1, 1, 1}},
		{"minima beyond 2^64", 9, []Party{{Min: math.MaxInt64, Max: u}, {Min: math.MaxInt64, Max: u},
			{Min: math.MaxInt64, Max: u}}, []int64{3, 3, 3}},
		{"everybody stands at a bound", 6e12, []Party{{Weight: 1000, Max: 1e12}, {Weight: 1, Min: 5e12, Max: u}},
			[]int64{1e12, 5e12}},
		{"negative numbers count as 0, a minimum above the maximum as the maximum", 5,
			[]Party{{Weight: -1, Min: -4, Max: u}, {Weight: 1, Min: 9, Max: 2}}, []int64{0, 2}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Apportion(c.total, c.parties)); diff != "" {
				t.Errorf("(-want,+got):\n%s", diff)
			}
		})
	}
}

// seatBySeat is the dumb twin: one seat after the other to the largest weight/(2·seats+1).
func seatBySeat(total int64, parties []Party) []int64 {
	seats := make([]int64, len(parties))
	var minima int64
	for _, p := range parties {
		minima += p.Min
	}
	if minima > total {
		shrunk := make([]Party, len(parties))
		for i, p := range parties {
			shrunk[i] = Party{Weight: p.Min, Max: p.Min, Tie: p.Tie}
		}
		return seatBySeat(total, shrunk)
	}
	for i, p := range parties {
		seats[i] = p.Min
	}
	for left := total - minima; left > 0; left-- {
		best := -1
		for i, p := range parties {
			if p.Weight == 0 || seats[i] >= p.Max {
				continue
			}
			if best < 0 || claims(p, seats[i], parties[best], seats[best]) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		seats[best]++
	}
	return seats
}

func claims(p Party, seats int64, q Party, seatsQ int64) bool {
	if p.Weight < 1<<20 && q.Weight < 1<<20 && seats < 1<<40 && seatsQ < 1<<40 {
		if a, b := p.Weight*(2*seatsQ+1), q.Weight*(2*seats+1); a != b {
			return a > b
		}
		return p.Tie < q.Tie
	}
	odd := func(n int64) *big.Int { return new(big.Int).SetUint64(2*uint64(n) + 1) }
	a := odd(seatsQ)
	b := odd(seats)
	a.Mul(a, big.NewInt(p.Weight))
	b.Mul(b, big.NewInt(q.Weight))
	if c := a.Cmp(b); c != 0 {
		return c > 0
	}
	return p.Tie < q.Tie
}

func randomParties(r *rand.Rand, n int, total int64) []Party {
	parties := make([]Party, n)
	weights := []int64{3, 10, 1000, 1 << 31}[r.IntN(4)]
	for i := range parties {
		p := Party{Weight: r.Int64N(weights + 1), Max: Unlimited, Tie: uint64(r.IntN(3))}
		switch r.IntN(4) {
		case 0:
			p.Min = r.Int64N(total/int64(n) + 2)
		case 1:
			p.Max = r.Int64N(2*total/int64(n) + 2)
		case 2:
			p.Min = r.Int64N(total/int64(n) + 2)
			p.Max = p.Min + r.Int64N(total+1)
		}
		if p.Weight == 0 {
			p.Max = p.Min
		}
		parties[i] = p
	}
	return parties
}

func TestApportionIsSeatBySeat(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range rounds(t) {
		total := r.Int64N([]int64{5, 40, 300}[r.IntN(3)])
		parties := randomParties(r, 1+r.IntN(8), total)
		want, got := seatBySeat(total, parties), Apportion(total, parties)
		if !slices.Equal(want, got) {
			t.Fatalf("%d seats over %+v: want %v, got %v", total, parties, want, got)
		}
	}
}

// TestApportionIsTheBestApportionment searches all apportionments within the bounds for the one that Sainte-Laguë's
// method is known to find: the least sum of (seats - share)²/weight, with the ideal shares of the total.
func TestApportionIsTheBestApportionment(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range rounds(t) / 20 {
		total := r.Int64N(9)
		parties := randomParties(r, 1+r.IntN(4), total)
		got := Apportion(total, parties)
		var minima, sum, weights int64
		for i, p := range parties {
			minima, sum, weights = minima+p.Min, sum+got[i], weights+p.Weight
		}
		if minima > total {
			continue
		}
		cost := func(seats []int64) *big.Rat {
			c := new(big.Rat)
			for i, p := range parties {
				if p.Weight > 0 {
					off := big.NewRat(seats[i]*weights-total*p.Weight, weights)
					c.Add(c, off.Mul(off, off).Quo(off, big.NewRat(p.Weight, 1)))
				}
			}
			return c
		}
		least := cost(got)
		var search func(i int, left int64, seats []int64)
		search = func(i int, left int64, seats []int64) {
			if i == len(parties) {
				if left == 0 && cost(seats).Cmp(least) < 0 {
					t.Fatalf("%d seats over %+v: %v is better than %v", total, parties, seats, got)
				}
				return
			}
			for n := parties[i].Min; n <= min(parties[i].Max, left); n++ {
				search(i+1, left-n, append(seats[:i:i], n))
			}
		}
		search(0, sum, make([]int64, 0, len(parties)))
	}
}

// TestApportionHasNoBetterSwap checks numbers too large for a twin: no seat has a weaker claim than one not given.
func TestApportionHasNoBetterSwap(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range rounds(t) / 2 {
		total := r.Int64N(math.MaxInt64 >> r.IntN(60))
		n := 1 + r.IntN(12)
		parties := randomParties(r, n, total/2)
		for i := range parties {
			parties[i].Tie = uint64(i)
			if r.IntN(8) == 0 {
				parties[i].Weight = r.Int64N(math.MaxInt64 / int64(n))
			}
			if parties[i].Weight == 0 {
				parties[i].Max = parties[i].Min
			}
		}
		got := Apportion(total, parties)
		var sum, room, minima uint64
		for i, p := range parties {
			if got[i] > p.Max {
				t.Fatalf("%d seats over %+v: %v breaks a maximum", total, parties, got)
			}
			sum += uint64(got[i])
			minima = saturatingAdd(minima, uint64(p.Min))
			room = saturatingAdd(room, uint64(p.Max))
		}
		if sum != min(uint64(total), room) {
			t.Fatalf("%d seats over %+v: %v sums to %d", total, parties, got, sum)
		}
		if minima > uint64(total) {
			continue
		}
		for i, p := range parties {
			if got[i] < p.Min {
				t.Fatalf("%d seats over %+v: %v breaks a minimum", total, parties, got)
			}
			for j, q := range parties {
				if i != j && got[i] < p.Max && got[j] > q.Min && claims(p, got[i], q, got[j]-1) {
					t.Fatalf("%d seats over %+v: %v, but %d should have one of %d's", total, parties, got, i, j)
				}
			}
		}
	}
}

func TestApportionIsMonotone(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range rounds(t) {
		total := 1 + r.Int64N(500)
		parties := randomParties(r, 1+r.IntN(6), total)
		before := Apportion(total, parties)
		more := Apportion(total+1, parties)
		for i := range parties {
			if more[i] < before[i] {
				t.Fatalf("%d to %d seats over %+v: %v to %v", total, total+1, parties, before, more)
			}
		}
		i := r.IntN(len(parties))
		heavier := slices.Clone(parties)
		heavier[i].Weight += 1 + r.Int64N(5)
		if got := Apportion(total, heavier); got[i] < before[i] && sumOf(parties) <= total {
			t.Fatalf("%d seats over %+v: %v, with a heavier %d %v", total, parties, before, i, got)
		}
		another := append(slices.Clone(parties), Party{Weight: 1 + r.Int64N(9), Max: Unlimited, Tie: 7})
		for i, n := range Apportion(total, another)[:len(parties)] {
			if n > before[i] {
				t.Fatalf("%d seats over %+v: %v, with one more party %d has %d", total, parties, before, i, n)
			}
		}
	}
}

func sumOf(parties []Party) int64 {
	var minima int64
	for _, p := range parties {
		minima += p.Min
	}
	return minima
}

func TestTieHashSpreadsObjects(t *testing.T) {
	first := map[string]int{}
	for i := range 3000 {
		key := "apps/Deployment/shop/web-" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		best := "a"
		for _, name := range []string{"b", "c"} {
			if TieHash(key, name) < TieHash(key, best) {
				best = name
			}
		}
		first[best]++
	}
	for _, name := range []string{"a", "b", "c"} {
		if first[name] < 850 || first[name] > 1150 {
			t.Errorf("3000 single replicas over three equal clusters: %v", first)
		}
	}
}
