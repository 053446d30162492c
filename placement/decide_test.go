package placement

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/labels"
)

// randomInput is any placement over a few clusters in any state, with some previous decision.
func randomInput(r *rand.Rand) Input {
	in := Input{Now: time.Unix(1_000_000, 0), Explain: true,
		Object: Object{Key: fmt.Sprint("web-", r.IntN(50)), HasReplicas: true, Mode: ModeDivide, Replicas: r.Int64N(30)}}
	if r.IntN(6) == 0 {
		in.Object.Mode = []Mode{ModeOne, ModeDuplicate, ModeAll}[r.IntN(3)]
	}
	for i := range r.IntN(7) {
		in.Clusters = append(in.Clusters, randomCluster(r, fmt.Sprintf("c%d", i), in.Now))
	}
	in.Policy = randomPolicy(r)
	if r.IntN(3) > 0 {
		in.Previous = &Previous{}
		for _, c := range in.Clusters {
			if r.IntN(3) > 0 {
				n := r.Int64N(12)
				in.Previous.Clusters = append(in.Previous.Clusters, Assignment{Name: c.Name, Replicas: n,
					Ready: r.Int64N(n + 1), Unschedulable: max(r.Int64N(n+1)-5, 0)})
			} else if r.IntN(6) == 0 {
				in.Previous.Away = append(in.Previous.Away, c.Name)
			}
		}
		in.Previous.Surge = max(r.Int64N(6)-3, 0)
	}
	return in
}

func randomCluster(r *rand.Rand, name string, now time.Time) Cluster {
	rarely := func() bool { return r.IntN(10) == 0 }
	c := Cluster{Name: name, Ready: !rarely(), Since: now.Add(-time.Duration(r.IntN(200)) * time.Second),
		Cordoned: rarely(), Draining: rarely(), Paused: rarely(),
		Region: []string{"eu", "us", "ap", ""}[r.IntN(4)], Provider: []string{"aws", "gcp"}[r.IntN(2)],
		Zones:  [][]string{{"a"}, {"b"}, {"a", "b"}, nil}[r.IntN(4)],
		Labels: map[string]string{"env": []string{"prod", "test"}[r.IntN(2)]}}
	if rarely() {
		c.Taints = []Taint{{Key: "k", Effect: []Effect{NoSchedule, NoExecute}[r.IntN(2)],
			TimeAdded: now.Add(-time.Duration(r.IntN(60)) * time.Second)}}
	}
	if r.IntN(2) == 0 {
		c.Free = []Room{{Resources{Pods: r.Int64N(12)}, 1 + r.Int64N(2)}}
	}
	return c
}

func randomPolicy(r *rand.Rand) Policy {
	maybe := func(n int64) *int64 {
		v := r.Int64N(n)
		return []*int64{nil, &v}[r.IntN(2)]
	}
	p := Policy{
		By:        []By{ByWeight, ByWeight, ByCapacity, ByWeightAndCapacity}[r.IntN(4)],
		Pack:      []Pack{PackSpread, PackSpread, PackFill}[r.IntN(3)],
		Rebalance: []Rebalance{RebalanceScale, RebalanceNever, RebalanceAlways}[r.IntN(3)],
		Overflow:  []Overflow{OverflowNone, OverflowNone, OverflowPending}[r.IntN(3)],
		Failover:  Failover{ComeBack: r.IntN(3) == 0},
	}
	for range r.IntN(4) {
		t := Term{Weight: maybe(6), Min: maybe(5), Max: maybe(12), Tier: max(r.IntN(4)-2, 0)}
		switch r.IntN(3) {
		case 0:
			t.Names = []string{fmt.Sprintf("c%d", r.IntN(7)), fmt.Sprintf("c%d", r.IntN(7))}
		case 1:
			t.Selector = labels.SelectorFromSet(labels.Set{"env": "prod"})
		}
		p.Terms = append(p.Terms, t)
	}
	for range max(r.IntN(4)-1, 0) {
		s := Spread{By: []string{"cluster", "region", "zone", "provider", "label:env"}[r.IntN(5)]}
		lo, hi := r.IntN(4), 1+r.IntN(3)
		s.Min, s.Max = []*int{nil, &lo}[r.IntN(2)], []*int{nil, &hi}[r.IntN(2)]
		s.WhenUnsatisfiable = []WhenUnsatisfiable{SpreadBlocks, SpreadBestEffort}[r.IntN(2)]
		p.Spread = append(p.Spread, s)
	}
	if r.IntN(2) == 0 {
		p.MaxMoves = &Moves{Number: 1 + r.Int64N(4)}
	}
	if seconds := r.Int64N(60); r.IntN(3) == 0 {
		p.Tolerations = []Toleration{{Key: "k", Exists: true, Seconds: &seconds}}
	}
	return p
}

// follow is the next input when nothing changes but that replicas become ready as told.
func follow(in Input, d Decision, ready func(Share) int64) Input {
	in.Previous = d.Assignments()
	for i, s := range d.Clusters {
		in.Previous.Clusters[i].Ready = ready(s)
	}
	return in
}

func all(s Share) int64 { return s.Replicas }

func TestDecisionsAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range rounds(t) {
		in := randomInput(r)
		d := Decide(in)
		told := map[string]int{}
		for _, s := range d.Clusters {
			told[s.Name]++
			if s.Code == "" || s.Message == "" || s.Replicas < 0 {
				t.Fatalf("%+v\nno reason for %+v", in, s)
			}
		}
		for _, j := range d.Rejected {
			told[j.Name]++
			if j.Code == "" || j.Message == "" || len(j.All) == 0 {
				t.Fatalf("%+v\nno reason for %+v", in, j)
			}
		}
		for _, c := range in.Clusters {
			if told[c.Name] != 1 {
				t.Fatalf("%+v\n%s is told %d times\n%s", in, c.Name, told[c.Name], d.Describe())
			}
		}
		if d.Mode != ModeDivide {
			continue
		}
		if d.Placed()+d.Unplaced-d.Surge != in.Object.Replicas || d.Unplaced > 0 && d.Cause.Code == "" {
			t.Fatalf("%+v\n%s", in, d.Describe())
		}
	}
}

func TestDecisionsIgnoreTheOrderOfClusters(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range rounds(t) / 10 {
		in := randomInput(r)
		want := Decide(in)
		shuffled := in
		shuffled.Clusters = append([]Cluster(nil), in.Clusters...)
		r.Shuffle(len(shuffled.Clusters), func(i, j int) {
			shuffled.Clusters[i], shuffled.Clusters[j] = shuffled.Clusters[j], shuffled.Clusters[i]
		})
		if in.Previous != nil {
			p := *in.Previous
			p.Clusters = append([]Assignment(nil), p.Clusters...)
			r.Shuffle(len(p.Clusters), func(i, j int) { p.Clusters[i], p.Clusters[j] = p.Clusters[j], p.Clusters[i] })
			shuffled.Previous = &p
		}
		if diff := cmp.Diff(want, Decide(shuffled), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%+v\n(-want,+got):\n%s", in, diff)
		}
	}
}

// TestDecisionsSettle decides again and again while nothing else happens: soon nothing moves any more.
func TestDecisionsSettle(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for range rounds(t) / 10 {
		first := randomInput(r)
		in := first
		for i := range in.Clusters {
			if c := &in.Clusters[i]; c.Free != nil {
				c.Free = nil // room would have to shrink as it is used
			}
		}
		d := Decide(in)
		steps := 0
		for ; steps < 100; steps++ {
			in = follow(in, d, all)
			next := Decide(in)
			if cmp.Equal(d.Clusters, next.Clusters, cmpopts.IgnoreFields(Share{}, "Reason", "Clamps")) {
				d = next
				break
			}
			d = next
		}
		unreachable := false
		for _, c := range in.Clusters {
			unreachable = unreachable || !c.Ready
		}
		if steps == 100 || d.Surge > 0 && !unreachable || len(d.Changes) > 0 && d.Mode != ModeOne && steps == 100 {
			t.Fatalf("%+v\nafter %d steps:\n%s", first, steps, d.Describe())
		}
		if diff := cmp.Diff(d, Decide(follow(in, d, all)), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%+v\ndeciding again (-want,+got):\n%s", first, diff)
		}
	}
}

// TestMovesKeepReplicasReady walks with replicas that become ready late: what is ready never drops below what is
// wanted because of a move, and no more move at once than allowed.
func TestMovesKeepReplicasReady(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for range rounds(t) / 10 {
		in := randomInput(r)
		in.Object.Mode, in.Policy.Replicas, in.Policy.Pack = ModeDivide, "", PackSpread
		in.Policy.Spread, in.Policy.Overflow = nil, OverflowNone
		in.Object.Replicas = 1 + r.Int64N(30)
		for i := range in.Clusters {
			c := &in.Clusters[i]
			*c = Cluster{Name: c.Name, Ready: true, Labels: c.Labels}
		}
		in.Previous = nil
		d := Decide(in)
		if d.Unplaced > 0 {
			continue
		}
		in = follow(in, d, all)
		in.Policy.Terms = randomPolicy(r).Terms
		if len(in.Clusters) > 0 {
			in.Clusters[r.IntN(len(in.Clusters))].Draining = true
		}
		limit := Unlimited
		if in.Policy.MaxMoves != nil {
			limit = int(in.Policy.MaxMoves.Number)
		}
		for range 20 {
			before := readyOf(in.Previous)
			d = Decide(in)
			if d.Unplaced > 0 {
				break
			}
			if int(d.Surge) > limit {
				t.Fatalf("%+v\nmore than %d move:\n%s", in, limit, d.Describe())
			}
			in = follow(in, d, func(s Share) int64 {
				had := int64(0)
				for _, p := range in.Previous.Clusters {
					if p.Name == s.Name {
						had = p.Ready
					}
				}
				return min(had, s.Replicas) // the member takes away what is not ready first
			})
			if now := readyOf(in.Previous); now < min(before, in.Object.Replicas) {
				t.Fatalf("%+v\nready %d -> %d:\n%s", in, before, now, d.Describe())
			}
			for i := range in.Previous.Clusters {
				p := &in.Previous.Clusters[i]
				p.Ready += r.Int64N(p.Replicas - p.Ready + 1)
			}
		}
	}
}

func readyOf(p *Previous) int64 {
	var sum int64
	for _, a := range p.Clusters {
		sum += a.Ready
	}
	return sum
}

// TestScalingMovesNothing: without another cause, scaling up takes from nobody and scaling down gives to nobody.
func TestScalingMovesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	for range rounds(t) / 5 {
		in := randomInput(r)
		in.Object.Mode, in.Policy.Rebalance = ModeDivide, RebalanceScale
		in.Policy.Failover.ComeBack = false
		in.Policy.Spread = nil // its floors depend on the number of replicas
		in.Previous = nil
		for i := range in.Clusters {
			in.Clusters[i].Free = nil // room would have to shrink as it is used
		}
		d := Decide(in)
		if d.Unplaced > 0 || d.Surge > 0 {
			continue
		}
		in = follow(in, d, all)
		was := map[string]int64{}
		for _, s := range d.Clusters {
			was[s.Name] = s.Replicas
		}
		before := in.Object.Replicas
		in.Object.Replicas = r.Int64N(40)
		for _, c := range Decide(in).Changes {
			if c.To > c.From && in.Object.Replicas <= before || c.To < c.From && in.Object.Replicas >= before {
				t.Fatalf("%+v\nfrom %d to %d: %+v", in, before, in.Object.Replicas, c)
			}
		}
	}
}

// TestSpreadIsKeptOrSaid checks the groups in use against the constraints, by counting.
func TestSpreadIsKeptOrSaid(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for range rounds(t) / 5 {
		in := randomInput(r)
		in.Previous = nil
		d := Decide(in)
		noted := false
		for _, n := range d.Notes {
			noted = noted || n.Code == CodeSpreadUnmet
		}
		for _, s := range in.Policy.Spread {
			used := map[string]bool{}
			untold := 0
			for _, share := range d.Clusters {
				for i := range in.Clusters {
					if c := &in.Clusters[i]; c.Name == share.Name && (share.Replicas > 0 || d.Mode == ModeAll) {
						names := groupNames(s.By, c)
						if len(names) == 0 {
							untold++
						}
						for _, g := range names {
							used[g] = true
						}
					}
				}
			}
			if s.Max != nil && len(used) > *s.Max {
				t.Fatalf("%+v\n%d groups of %s:\n%s", in, len(used), s.By, d.Describe())
			}
			if s.Min == nil || noted || d.Unplaced > 0 || in.Object.Replicas == 0 && d.Mode != ModeAll {
				continue
			}
			if len(used) < *s.Min && d.Mode != ModeOne {
				t.Fatalf("%+v\nonly %d groups of %s, unsaid:\n%s", in, len(used), s.By, d.Describe())
			}
		}
	}
}

// TestDecisionsBearAnyNumber feeds the ends of the number range into everything that holds a number.
func TestDecisionsBearAnyNumber(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	odd := func() int64 {
		ends := []int64{math.MinInt64, -1, 0, 1, 2, 1 << 31, 1 << 40, math.MaxInt64 - 1, math.MaxInt64}
		return ends[r.IntN(len(ends))]
	}
	for range rounds(t) / 5 {
		in := randomInput(r)
		in.Object.Replicas = odd()
		in.Object.Requests = Resources{MilliCPU: odd(), Memory: odd(), Pods: odd(), Extended: map[string]int64{"gpu": odd()}}
		for i := range in.Policy.Terms {
			n, lo, hi := odd(), odd(), odd()
			in.Policy.Terms[i].Weight, in.Policy.Terms[i].Min, in.Policy.Terms[i].Max = &n, &lo, &hi
		}
		for i := range in.Clusters {
			in.Clusters[i].Free = []Room{{Resources{MilliCPU: odd(), Memory: odd(), Pods: odd()}, odd()}}
		}
		if in.Previous != nil {
			in.Previous.Surge = odd()
			for i := range in.Previous.Clusters {
				p := &in.Previous.Clusters[i]
				p.Replicas, p.Ready, p.Unschedulable = odd(), odd(), odd()
			}
		}
		in.Policy.MaxMoves = &Moves{odd(), odd()}
		in.Policy.Failover.After = time.Duration(odd())
		d := Decide(in)
		_ = d.Describe()
		sum := new(big.Int)
		for _, s := range d.Clusters {
			if s.Replicas < 0 {
				t.Fatalf("%+v\n%s", in, d.Describe())
			}
			sum.Add(sum, big.NewInt(s.Replicas))
		}
		limit := new(big.Int).Add(big.NewInt(max(in.Object.Replicas, 0)), big.NewInt(d.Surge))
		if d.Mode == ModeDivide && in.Object.Replicas < 1<<41 && d.Surge < 1<<41 && sum.Cmp(limit) > 0 {
			t.Fatalf("%+v\n%s", in, d.Describe())
		}
	}
}
