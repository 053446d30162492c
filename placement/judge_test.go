package placement

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestSpreadAgainstExhaustiveSearch judges first decisions on small worlds by looking at every set of clusters:
// nothing is called impossible that is possible, nothing is left out that could be placed, and what is decided keeps
// the bounds.
func TestSpreadAgainstExhaustiveSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	for range rounds(t) / 10 {
		in := spreadWorld(r, 1+r.IntN(8))
		d := Decide(in)
		hard, most := bestSet(in)
		got := result(d)
		lacks := lacksOf(in, got)
		switch {
		case hard > 0 && len(got) > 0:
			t.Fatalf("%s\nno set of clusters keeps the spread, yet it is placed\n%s", describeInput(in), d.Describe())
		case hard == 0 && lacks > 0:
			t.Fatalf("%s\nthe spread can be kept, and lacks %d\n%s", describeInput(in), lacks, d.Describe())
		case hard == 0 && d.Placed() < most:
			t.Fatalf("%s\n%d can be placed\n%s", describeInput(in), most, d.Describe())
		}
		shuffled := in
		shuffled.Policy.Spread = append([]Spread(nil), in.Policy.Spread...)
		r.Shuffle(len(shuffled.Policy.Spread), func(i, j int) {
			p := shuffled.Policy.Spread
			p[i], p[j] = p[j], p[i]
		})
		if other := result(Decide(shuffled)); !sameMap(got, other) {
			t.Fatalf("%s\nthe order of the spreads matters: %v and %v", describeInput(in), got, other)
		}
	}
}

// spreadWorld has n clusters in up to three zones, regions and providers, with rooms, bounds and tiers.
func spreadWorld(r *rand.Rand, n int) Input {
	in := Input{Object: divide(1 + r.Int64N(12))}
	in.Object.Key = fmt.Sprint("web-", r.IntN(50))
	for i := range n {
		c := Cluster{Name: fmt.Sprint("c", i), Ready: true,
			Region: fmt.Sprint("r", r.IntN(3)), Provider: fmt.Sprint("p", r.IntN(2)),
			Zones:  []string{fmt.Sprint("z", r.IntN(3))},
			Labels: map[string]string{"env": []string{"prod", "test"}[r.IntN(2)]}}
		if r.IntN(6) == 0 {
			c.Zones = append(c.Zones, "z9")
		}
		if r.IntN(3) == 0 {
			c.Free = free(r.Int64N(6))
		}
		in.Clusters = append(in.Clusters, c)
		term := Term{Names: []string{c.Name}, Weight: i64(1 + r.Int64N(5)), Tier: max(r.IntN(4)-2, 0)}
		if r.IntN(5) == 0 {
			term.Max = i64(1 + r.Int64N(5))
		}
		in.Policy.Terms = append(in.Policy.Terms, term)
	}
	for range 1 + r.IntN(4) {
		s := randomSpread(r)
		s.WhenUnsatisfiable = SpreadBlocks
		in.Policy.Spread = append(in.Policy.Spread, s)
	}
	return in
}

// bestSet looks at every set of clusters that keeps the maxima: how many groups the best lacks of the minima, and how
// many replicas the best of those can hold with one in each of its clusters.
func bestSet(in Input) (lacks int, most int64) {
	lacks = 1 << 30
	for set := range 1 << len(in.Clusters) {
		got, size, holds := map[string]int64{}, int64(0), int64(0)
		possible := true
		for i, c := range in.Clusters {
			if set&(1<<i) == 0 {
				continue
			}
			room := orElse(in.Policy.Terms[i].Max, Unlimited)
			if c.Free != nil {
				room = min(room, roomFor(Resources{}, c.Free))
			}
			possible = possible && room > 0
			got[c.Name] = 1
			size++
			holds = addUpTo(holds, room)
		}
		if !possible || size > in.Object.Replicas || aboveMaxima(in, got) {
			continue
		}
		n, holds := lacksOf(in, got), min(holds, in.Object.Replicas)
		if n < lacks {
			lacks, most = n, 0
		}
		if n == lacks {
			most = max(most, holds)
		}
	}
	return lacks, most
}

func groupsIn(in Input, by string, got map[string]int64) int {
	used := map[string]bool{}
	for i := range in.Clusters {
		if c := &in.Clusters[i]; got[c.Name] > 0 {
			for _, g := range groupNames(by, c) {
				used[g] = true
			}
		}
	}
	return len(used)
}

func aboveMaxima(in Input, got map[string]int64) bool {
	for _, s := range in.Policy.Spread {
		if s.Max != nil && groupsIn(in, s.By, got) > *s.Max {
			return true
		}
	}
	return false
}

// lacksOf counts the groups missing to the minima, which are never above the replicas.
func lacksOf(in Input, got map[string]int64) int {
	n := 0
	for _, s := range in.Policy.Spread {
		if s.Min != nil {
			n += max(min(*s.Min, int(in.Object.Replicas))-groupsIn(in, s.By, got), 0)
		}
	}
	return n
}

// TestSpreadNeverCallsAPlantedSolutionImpossible has worlds that are too large to search, each with clusters that
// keep the spread: they are found, or it is said that the search was cut.
func TestSpreadNeverCallsAPlantedSolutionImpossible(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 44))
	found, undecided := 0, 0
	for range rounds(t) / 500 {
		in := spreadWorld(r, 40+r.IntN(40))
		in.Object.Replicas = 1000
		for i := range in.Clusters {
			c := &in.Clusters[i]
			c.Region, c.Provider = fmt.Sprint("r", r.IntN(12)), fmt.Sprint("p", r.IntN(9))
			c.Zones, c.Free = []string{fmt.Sprint("z", r.IntN(5)), fmt.Sprint("y", r.IntN(5))}, nil
			in.Policy.Terms[i].Max = nil
		}
		in.Policy.Spread = nil
		planted := map[string]int64{}
		for _, i := range r.Perm(len(in.Clusters))[:3+r.IntN(5)] {
			planted[in.Clusters[i].Name] = 1
		}
		for _, by := range []string{"cluster", "region", "provider", "zone"} {
			n := groupsIn(in, by, planted)
			in.Policy.Spread = append(in.Policy.Spread, Spread{By: by, Min: &n, Max: &n})
		}
		d := Decide(in)
		for _, n := range d.Notes {
			if n.Code == CodeSpreadUnmet {
				t.Fatalf("%s\n%v keep the spread\n%s", describeInput(in), planted, d.Describe())
			}
		}
		switch got := result(d); {
		case d.Cause.Code == CodeBlocked && d.Placed() == 0:
			undecided++
		case lacksOf(in, got) > 0 || aboveMaxima(in, got):
			t.Fatalf("%s\nsays that the spread is kept\n%s", describeInput(in), d.Describe())
		default:
			found++
		}
	}
	if found < undecided {
		t.Errorf("%d found, and %d undecided", found, undecided)
	}
	t.Logf("%d found, %d undecided", found, undecided)
}

// TestCutSearchAnswers: a search that has no time at all still answers with clusters that keep the maxima.
func TestCutSearchAnswers(t *testing.T) {
	r := rand.New(rand.NewPCG(45, 46))
	for range 1000 {
		in := spreadWorld(r, 10)
		var d deciding
		d.gather(&in)
		d.filter()
		d.vote()
		for i := range in.Policy.Spread {
			d.dims = append(d.dims, d.newDimension(&in.Policy.Spread[i]))
		}
		sets, dims := d.groupSets()
		s := d.newSearch(dims, sets, d.spreadMembers())
		s.limit = r.IntN(4)
		s.run()
		if !withinMaxima(dims, union(sets, s.allowed())) {
			t.Fatalf("%s\n%v", describeInput(in), s.allowed())
		}
	}
}
