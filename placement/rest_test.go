package placement

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// steps is how many decisions the test of rest takes in all: REST_STEPS for the nightly run, a bounded number
// otherwise.
func steps(t *testing.T) int {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv("REST_STEPS")); err == nil {
		return n
	}
	if testing.Short() {
		return 20_000
	}
	return 150_000
}

// member is what a simulated member knows of the object: replicas are late to find room, and late to become ready.
type member struct {
	capacity int64 // -1: not told, and without bound
	assigned int64
	room     int64 // those of the assigned that have found room
	ready    int64
	stuck    int64
	late     int // steps until the member looks at what it was given
	patience int
}

// simulation is a world in which nothing changes but what decisions cause.
type simulation struct {
	in      Input
	members map[string]*member
	story   []string
}

func newSimulation(r *rand.Rand, in Input) *simulation {
	s := &simulation{in: in, members: map[string]*member{}}
	s.in.Clusters = slices.Clone(in.Clusters)
	for i := range s.in.Clusters {
		c := &s.in.Clusters[i]
		m := &member{capacity: -1, patience: r.IntN(3)}
		if c.Free != nil {
			m.capacity = r.Int64N(16)
		}
		s.members[c.Name] = m
	}
	if in.Previous == nil {
		s.tell()
		return s
	}
	for _, a := range in.Previous.Clusters {
		if m := s.members[a.Name]; m != nil {
			m.assigned = a.Replicas
			m.room = a.Replicas
			if m.capacity >= 0 {
				m.room = min(a.Replicas, m.capacity)
			}
			m.ready = min(a.Ready, m.room)
			m.late = m.patience
		}
	}
	s.in.Previous.Surge = 0
	s.tell()
	return s
}

// tell writes what the members know into the input.
func (s *simulation) tell() {
	for i := range s.in.Clusters {
		c := &s.in.Clusters[i]
		if m := s.members[c.Name]; m.capacity >= 0 {
			c.Free = []Room{{Resources{Pods: m.capacity - m.room}, 1}}
		}
	}
	if s.in.Previous == nil {
		return
	}
	for i := range s.in.Previous.Clusters {
		a := &s.in.Previous.Clusters[i]
		if m := s.members[a.Name]; m != nil {
			a.Ready, a.Unschedulable = m.ready, m.stuck
		}
	}
}

// step decides, lets the members work for a while, and reports whether anything changed.
func (s *simulation) step() (Decision, bool) {
	d := Decide(s.in)
	s.story = append(s.story, fmt.Sprint(result(d), " unplaced ", d.Unplaced, " surge ", d.Surge))
	changed := false
	given := map[string]int64{}
	for _, share := range d.Clusters {
		given[share.Name] = share.Replicas
	}
	for i := range s.in.Clusters {
		c := &s.in.Clusters[i]
		changed = s.members[c.Name].work(given[c.Name], c.Ready) || changed
	}
	before := s.in.Previous
	s.in.Previous = d.Assignments()
	changed = changed || before == nil || before.Surge != d.Surge
	s.tell()
	return d, changed
}

// work lets one member do what it was given, and reports whether it is not done yet.
func (m *member) work(given int64, reachable bool) bool {
	changed := given != m.assigned
	if changed {
		m.late = m.patience
	}
	m.assigned = given
	// The member takes away what is not ready first.
	m.ready = min(m.ready, given)
	m.room = min(m.room, given)
	m.stuck = min(m.stuck, given-m.room)
	if !reachable {
		return changed
	}
	if m.late > 0 {
		m.late--
		return true
	}
	room := given
	if m.capacity >= 0 {
		room = min(given, m.capacity)
	}
	ready, stuck := m.room, given-room // who has found room in the last step is ready in this one
	changed = changed || room != m.room || ready != m.ready || stuck != m.stuck
	m.room, m.ready, m.stuck = room, ready, stuck
	return changed
}

// rest steps until nothing changes.
func (s *simulation) rest(t *testing.T) int {
	t.Helper()
	first := s.in
	s.story = nil
	for n := 1; n <= 400; n++ {
		before := s.in
		d, changed := s.step()
		if problem := taken(before, d); problem != "" {
			t.Fatalf("%s\n%s\n%s", describeInput(before), problem, d.Describe())
		}
		if !changed {
			return n
		}
	}
	last := strings.Join(s.story[max(len(s.story)-12, 0):], "\n")
	t.Fatalf("%s\ndoes not come to rest: %s\n%s", describeInput(first), last,
		Decide(s.in).Describe())
	return 0
}

// taken says what was taken away although something is nowhere and no rule asks for it.
func taken(in Input, d Decision) string {
	if d.Mode != ModeDivide || d.Unplaced == 0 || in.Previous == nil {
		return ""
	}
	got := map[string]int64{}
	for _, s := range d.Clusters {
		got[s.Name] = s.Replicas
	}
	// A judge of its own: the filters tell who must go, and everybody else keeps what runs.
	var j deciding
	j.gather(&in)
	j.filter()
	total, kept := int64(0), int64(0)
	problem := ""
	for i := range j.list {
		c := &j.list[i]
		may := min(c.replicas, c.max)
		if c.standing == discarded || c.mustGo && c.standing != frozen && c.standing != lost {
			may = 0
		}
		total += may
		kept += got[c.cluster.Name]
		if got[c.cluster.Name] < may {
			problem = fmt.Sprintf("%s had %d and has %d, and %d are nowhere",
				c.cluster.Name, may, got[c.cluster.Name], d.Unplaced)
		}
	}
	if problem != "" && kept < min(total, in.Object.Replicas) {
		return problem
	}
	return ""
}

func describeInput(in Input) string {
	var b strings.Builder
	fmt.Fprintf(&b, "object %+v\n", in.Object)
	p := in.Policy
	p.Terms, p.Spread = nil, nil
	fmt.Fprintf(&b, "policy %+v\n", p)
	for _, t := range in.Policy.Terms {
		fmt.Fprintf(&b, "  term %s weight %d min %d max %d tier %d\n", t.what(), orElse(t.Weight, -1), orElse(t.Min, -1),
			orElse(t.Max, -1), t.Tier)
	}
	for _, s := range in.Policy.Spread {
		fmt.Fprintf(&b, "  spread %s", s.By)
		if s.Min != nil {
			fmt.Fprintf(&b, " min %d", *s.Min)
		}
		if s.Max != nil {
			fmt.Fprintf(&b, " max %d", *s.Max)
		}
		fmt.Fprintf(&b, " %s\n", s.WhenUnsatisfiable)
	}
	for _, c := range in.Clusters {
		fmt.Fprintf(&b, "  cluster %+v\n", c)
	}
	if in.Previous != nil {
		fmt.Fprintf(&b, "previous %+v\n", *in.Previous)
	}
	return b.String()
}

// TestEveryHistoryComesToRest: under constant facts every sequence of decisions ends, whatever happened before, and
// nothing is taken away on the way that nobody replaces.
func TestEveryHistoryComesToRest(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for n, want := 0, steps(t); n < want; {
		in := randomInput(r)
		in.Policy.Spread = nil
		for range r.IntN(4) {
			in.Policy.Spread = append(in.Policy.Spread, randomSpread(r))
		}
		s := newSimulation(r, in)
		n += s.rest(t)
		for range r.IntN(6) {
			s.disturb(r)
			n += s.rest(t)
		}
	}
}

func randomSpread(r *rand.Rand) Spread {
	s := Spread{By: []string{"cluster", "region", "zone", "provider", "label:env"}[r.IntN(5)],
		WhenUnsatisfiable: []WhenUnsatisfiable{SpreadBlocks, SpreadBestEffort}[r.IntN(2)]}
	lo, hi := 1+r.IntN(3), 1+r.IntN(3)
	switch r.IntN(3) {
	case 0:
		s.Min = &lo
	case 1:
		s.Max = &hi
	default:
		hi = max(lo, hi)
		s.Min, s.Max = &lo, &hi
	}
	return s
}

// disturb changes one fact.
func (s *simulation) disturb(r *rand.Rand) {
	in := &s.in
	in.Now = in.Now.Add(time.Duration(r.IntN(90)) * time.Second)
	if len(in.Clusters) == 0 {
		return
	}
	c := &in.Clusters[r.IntN(len(in.Clusters))]
	m := s.members[c.Name]
	switch r.IntN(12) {
	case 0:
		c.Ready, c.Since = !c.Ready, in.Now
	case 1:
		c.Draining = !c.Draining
	case 2:
		c.Cordoned = !c.Cordoned
	case 3:
		c.Paused = !c.Paused
	case 4:
		c.Taints = nil
		if r.IntN(2) == 0 {
			c.Taints = []Taint{{Key: []string{"k", DrainTaint}[r.IntN(2)], Effect: []Effect{NoSchedule, NoExecute}[r.IntN(2)],
				TimeAdded: in.Now}}
		}
	case 5:
		if m.capacity >= 0 {
			m.capacity = max(r.Int64N(16), m.room)
		}
	case 6:
		in.Policy.Terms = randomPolicy(r).Terms
	case 7:
		in.Policy.Rebalance = []Rebalance{RebalanceScale, RebalanceNever, RebalanceAlways}[r.IntN(3)]
	case 8:
		in.Policy.Spread = append(slices.Clone(in.Policy.Spread[:len(in.Policy.Spread)/2]), randomSpread(r))
	default:
		in.Object.Replicas = r.Int64N(24)
	}
	s.tell()
}
