package balance

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func selectionOf(weights ...uint32) Selection {
	targets := make([]Target, len(weights))
	for i, w := range weights {
		targets[i] = Target{ID: fmt.Sprintf("c%02d", i), Weight: w}
	}
	return Select(targets, Floor{})
}

// TestStaircaseSharesAreExact: as fractions, the share of every target is its weight over the sum; no rounding
// anywhere.
func TestStaircaseSharesAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		weights := make([]uint32, 1+rng.IntN(9))
		sum := int64(0)
		for i := range weights {
			weights[i] = 1 + rng.Uint32N(1<<uint(1+rng.IntN(20)))
			if i > 0 && rng.IntN(3) == 0 {
				weights[i] = weights[i-1]
			}
			sum += int64(weights[i])
		}
		s := selectionOf(weights...)
		for name, plan := range map[string]Plan{"staircase": Staircase(s), "single": Single(s)} {
			for i, share := range plan.Shares(len(weights)) {
				if want := big.NewRat(int64(weights[i]), sum); share.Cmp(want) != 0 {
					t.Fatalf("%s %v: share of %d is %s, want %s", name, weights, i, share, want)
				}
			}
			if len(plan.Sets) > len(weights) || plan.Total != uint64(sum) {
				t.Fatalf("%s %v: %d sets, total %d", name, weights, len(plan.Sets), plan.Total)
			}
		}
	}
}

// TestStaircaseTwin compares with the definition read slowly: lay one unit of weight after another; in unit u, the set
// is all targets whose weight is more than u, and the draws that fall into it are as many as it has members.
func TestStaircaseTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		weights := make([]uint32, 1+rng.IntN(6))
		for i := range weights {
			weights[i] = 1 + rng.Uint32N(30)
		}
		want := map[int]uint64{} // size of the set to draws
		for u := uint32(0); u < 30; u++ {
			size := 0
			for _, w := range weights {
				if w > u {
					size++
				}
			}
			want[size] += uint64(size)
		}
		plan := Staircase(selectionOf(weights...))
		for _, set := range plan.Sets {
			if want[len(set.Members)] != set.Weight {
				t.Fatalf("%v: the set of %d has weight %d, want %d", weights, len(set.Members), set.Weight, want[len(set.Members)])
			}
			delete(want, len(set.Members))
		}
		if delete(want, 0); len(want) > 0 {
			t.Fatalf("%v: sets missing: %v", weights, want)
		}
	}
}

// TestStaircaseExample is the one in the documentation.
func TestStaircaseExample(t *testing.T) {
	plan := Staircase(selectionOf(50, 30, 20))
	got := ""
	for _, s := range plan.Sets {
		got += fmt.Sprintf("%v %d/%d; ", s.Members, s.Weight, plan.Total)
	}
	if want := "[0] 20/100; [0 1] 20/100; [0 1 2] 60/100; "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestPickFollowsWeights draws often and compares what clients that pick evenly would get with the weights, by
// chi-square.
func TestPickFollowsWeights(t *testing.T) {
	const draws = 200000
	weights := []uint32{80, 15, 5}
	rng := rand.New(rand.NewPCG(9, 10))
	for name, plan := range map[string]Plan{"staircase": Staircase(selectionOf(weights...)), "single": Single(selectionOf(weights...))} {
		got := make([]float64, len(weights))
		for range draws {
			members := plan.Sets[plan.Pick(rng.Uint64())].Members
			got[members[rng.IntN(len(members))]]++
		}
		checkShares(t, name, weights, got, draws)
	}
}

// TestStickyFollowsWeights does the same over clients, and TestStickyMovesLittle looks at what a changed weight does.
func TestStickyFollowsWeights(t *testing.T) {
	const clients = 200000
	weights := []uint32{80, 15, 5}
	plan, keys := stickyPlan(weights)
	got := make([]float64, len(weights))
	for c := range uint64(clients) {
		got[plan.Sets[plan.Sticky(Mix(c), keys)].Members[0]]++
	}
	checkShares(t, "sticky", weights, got, clients)
}

func TestStickyMovesLittle(t *testing.T) {
	const clients = 100000
	before, keys := stickyPlan([]uint32{50, 30, 20})
	after := Plan{Sets: append([]Set(nil), before.Sets...)}
	after.Sets[2].Weight = 40 // the third goes from 20/100 to 40/120
	moved := 0.0
	for c := range uint64(clients) {
		a, b := before.Sticky(Mix(c), keys), after.Sticky(Mix(c), keys)
		if a == b {
			continue
		}
		if moved++; b != 2 {
			t.Fatalf("client %d moved from %d to %d, though only target 2 became heavier", c, a, b)
		}
	}
	if want := 40.0/120 - 20.0/100; math.Abs(moved/clients-want) > 0.01 {
		t.Errorf("%.3f of the clients moved, want about %.3f", moved/clients, want)
	}
}

func stickyPlan(weights []uint32) (Plan, []uint64) {
	plan := Single(selectionOf(weights...))
	keys := make([]uint64, len(plan.Sets))
	for i := range keys {
		keys[i] = HashString(1, fmt.Sprint("cluster-", plan.Sets[i].Members[0]))
	}
	return plan, keys
}

// checkShares is a chi-square test with two degrees of freedom; 13.8 would be passed by chance once in a thousand, and
// the seeds are fixed.
func checkShares(t *testing.T, name string, weights []uint32, got []float64, n float64) {
	t.Helper()
	sum, chi := 0.0, 0.0
	for _, w := range weights {
		sum += float64(w)
	}
	for i, w := range weights {
		want := n * float64(w) / sum
		chi += (got[i] - want) * (got[i] - want) / want
	}
	if chi > 13.8 {
		t.Errorf("%s: shares %v of %v draws do not fit weights %v (chi-square %.1f)", name, got, n, weights, chi)
	}
}

func TestNegativeLog2(t *testing.T) {
	for _, x := range []uint64{0, 1, 2, 3, 1 << 20, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1} {
		got := float64(negativeLog2(x)) / (1 << logBits)
		want := 64 - math.Log2(float64(x)+1)
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%d: got %v, want %v", x, got, want)
		}
	}
}
