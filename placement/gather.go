package placement

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// candidate is one cluster on its way through a decision.
type candidate struct {
	cluster *Cluster
	term    *Term
	tie     uint64

	// What was there: replicas assigned, of them ready and unschedulable; held says that it has the object
	// (heldBefore: had it before this decision).
	replicas, ready, stuck int64
	// aim is how many replicas there are when the move under way is done.
	aim              int64
	held, heldBefore bool
	// mustGo says that what is there cannot or must not run there, so it goes even if nobody else can take it.
	mustGo bool

	// standing and reasons are the filters' verdict.
	standing standing
	// spreadFloor says that must comes from a spread; clamps are what held the division. They stand here, and not with
	// the division, because small fields side by side share a word, of which there are thousands.
	spreadFloor bool
	// pinned says that nothing is decided about it before what starts there is ready.
	pinned bool
	clamps Clamps

	why  Reason
	more []Reason

	// weight, min, max and tier come from the term, fit is how many replicas it can hold in all, vote its claim.
	// most is the same if all that it has is in its room already, ready or not: what it can hold once it has settled.
	weight, min, max, fit, most, vote int64

	// must is the floor that a spread needs, floor and ceiling are the bounds of the division, seats its result;
	// wants is the floor before stability lowered it.
	must, floor, ceiling, seats, wants int64
	// goal is where the replicas are going; now is the step towards it that this decision takes.
	goal, now int64
	// leaving is how many replicas may be taken away in this step.
	leaving int64
}

// standing says what a cluster may do for the object; the greater wins when several filters speak.
type standing uint8

const (
	welcome   standing = iota // may get more
	keeps                     // keeps what it has, may lose some, gets nothing new
	leaves                    // what it has moves away
	frozen                    // keeps exactly what it has: nothing can be done there
	lost                      // what it has counts as gone
	discarded                 // no longer chosen: what it has moves away, whatever the rebalance rule says
)

// deciding holds the state of one decision; its fields are set by the steps in the order of Decide.
type deciding struct {
	in   Input
	mode Mode
	list []candidate
	// replicas is the wanted number, after the mode: copies for the modes that do not divide.
	replicas int64
	// underWay says that the previous decision began moves that are not done.
	underWay bool
	// byCapacity says that capacity is a vote.
	byCapacity bool
	// dims are the spread constraints, unmet is the one that blocks, lowest the lowest tier in use, votes the sum of
	// votes of the ideal.
	dims   []*dimension
	unmet  Reason
	lowest int
	votes  uint64
	// someGain and someLose say that stability holds candidates away from their ideal.
	someGain, someLose bool
	// gone are previous clusters that no longer exist, away those that lost replicas by failover.
	gone    []Assignment
	away    []string
	recheck time.Duration
	out     Decision
	scratch scratch
}

// few is for how many terms or clusters a decision makes do with one piece of memory.
const few = 8

// scratch is working memory for small decisions, which are most.
type scratch struct {
	used       [few]bool
	walked     [few]int
	candidates [few]*candidate
	parties    [few]Party
	seats      [few]int64
	items      [few]int32
}

// gather matches clusters with terms and with the previous decision.
func (d *deciding) gather(in *Input) {
	d.in, d.mode = *in, in.Policy.Replicas
	if d.mode == "" {
		d.mode = in.Object.Mode
	}
	if d.mode == "" {
		d.mode = ModeAll
		if in.Object.HasReplicas {
			d.mode = ModeDivide
		}
	}
	if d.mode == ModeDivide && !in.Object.HasReplicas {
		d.mode = ModeAll
	}
	d.byCapacity = votesByCapacity(in)
	d.replicas = max(in.Object.Replicas, 0)
	d.out = Decision{Object: in.Object.Key, Mode: d.mode, Replicas: d.replicas}
	d.gatherClusters()
	d.gatherPrevious()
}

func (d *deciding) gatherClusters() {
	clusters := d.in.Clusters
	d.list = make([]candidate, 0, len(clusters))
	sorted := true
	for i := range clusters {
		d.list = append(d.list, candidate{cluster: &clusters[i]})
		sorted = sorted && (i == 0 || clusters[i-1].Name < clusters[i].Name)
	}
	if !sorted {
		slices.SortStableFunc(d.list, func(a, b candidate) int { return cmp.Compare(a.cluster.Name, b.cluster.Name) })
		d.list = slices.CompactFunc(d.list, func(a, b candidate) bool { return a.cluster.Name == b.cluster.Name })
	}
	seed := seedHash(d.in.Object.Key)
	terms := d.in.Policy.Terms
	if len(terms) == 0 {
		terms = everyCluster[:]
	}
	index := newTermIndex(terms, d.scratch.used[:0], d.scratch.walked[:0])
	for i := range d.list {
		c := &d.list[i]
		c.tie = seededTie(seed, c.cluster.Name)
		c.max, c.fit, c.most = Unlimited, Unlimited, Unlimited
		c.weight = 1
		term, failure := index.match(c.cluster)
		if failure != nil {
			d.reject(c, keeps, CodeExpression, failure.Error())
		}
		if term != none {
			t := &terms[term]
			c.term = t
			c.weight, c.min, c.max = orElse(t.Weight, 1), orElse(t.Min, 0), orElse(t.Max, Unlimited)
			c.max = max(c.max, 0)
			c.min = min(max(c.min, 0), c.max)
		}
	}
	d.out.Notes = index.unused(d.in.Clusters)
}

// gatherPrevious joins the previous assignments, both sides sorted by name.
func (d *deciding) gatherPrevious() {
	if d.in.Previous == nil {
		return
	}
	byName := func(a, b Assignment) int { return cmp.Compare(a.Name, b.Name) }
	previous := d.in.Previous.Clusters
	if !slices.IsSortedFunc(previous, byName) {
		previous = slices.Clone(previous)
		slices.SortStableFunc(previous, byName)
	}
	i := 0
	for _, p := range previous {
		for i < len(d.list) && d.list[i].cluster.Name < p.Name {
			i++
		}
		if i == len(d.list) || d.list[i].cluster.Name != p.Name {
			d.gone = append(d.gone, p)
			continue
		}
		c := &d.list[i]
		c.held, c.heldBefore = true, true
		c.replicas = max(p.Replicas, 0)
		c.ready = min(max(p.Ready, 0), c.replicas)
		c.stuck = min(max(p.Unschedulable, 0), c.replicas)
		c.aim = c.replicas
		if p.Moving != 0 {
			c.aim = max(addUpTo(c.replicas, max(p.Moving, 0))+max(min(p.Moving, 0), -math.MaxInt64), 0)
			d.underWay = true
		}
		if d.in.Object.ReadyAtOnce {
			c.ready = c.replicas
		}
	}
	for _, name := range d.in.Previous.Away {
		if d.find(name) != nil {
			d.away = append(d.away, name)
		}
	}
}

func (d *deciding) find(name string) *candidate {
	i, ok := slices.BinarySearchFunc(d.list, name, func(c candidate, name string) int {
		return cmp.Compare(c.cluster.Name, name)
	})
	if !ok {
		return nil
	}
	return &d.list[i]
}

// recheckIn notes that the decision may change in this time.
func (d *deciding) recheckIn(after time.Duration) {
	if after > 0 && (d.recheck == 0 || after < d.recheck) {
		d.recheck = after
	}
}

// termIndex finds the term of a cluster: by name, then by selector, then any.
type termIndex struct {
	terms []Term
	// byName is used when there are many names; with few, walking them is faster.
	byName map[string]int
	// walked are the terms that byName does not answer.
	walked []int
	used   []bool
}

const manyNames = 16

// newTermIndex uses the room of the two slices it is given as far as it reaches.
func newTermIndex(terms []Term, used []bool, walked []int) termIndex {
	x := termIndex{terms: terms}
	x.used = slices.Grow(used, len(terms))[:len(terms)]
	x.walked = walked
	names := 0
	for i := range terms {
		names += len(terms[i].Names)
		x.walked = append(x.walked, i)
	}
	if names <= manyNames {
		return x
	}
	x.byName = make(map[string]int, names)
	x.walked = x.walked[:0]
	for i := range terms {
		t := &terms[i]
		if len(t.Names) == 0 || t.Selector != nil || t.Expression != nil {
			x.walked = append(x.walked, i)
			continue
		}
		for _, name := range t.Names {
			if _, known := x.byName[name]; !known {
				x.byName[name] = i
			}
		}
	}
	return x
}

// everyCluster is what a placement without terms means.
var everyCluster = [...]Term{{}}

// none is no term.
const none = -1

// match returns the index of the cluster's term, or none. An expression that fails is no match, and the error is
// returned when no other term matches.
func (x *termIndex) match(c *Cluster) (int, error) {
	named, selected, whole := none, none, none
	if i, ok := x.byName[c.Name]; ok {
		named = i
	}
	var failure error
	for _, i := range x.walked {
		t := &x.terms[i]
		filtered := t.Selector != nil || t.Expression != nil
		switch {
		case len(t.Names) > 0:
			if named != none && named < i || !slices.Contains(t.Names, c.Name) {
				continue
			}
		case !filtered:
			if whole == none {
				whole = i
			}
			continue
		case selected != none:
			continue
		}
		ok, err := t.admits(c)
		if err != nil && failure == nil {
			failure = err
		}
		if !ok {
			continue
		}
		if len(t.Names) > 0 {
			named = i
		} else {
			selected = i
		}
	}
	for _, i := range [...]int{named, selected, whole} {
		if i != none {
			x.used[i] = true
			return i, nil
		}
	}
	return none, failure
}

// admits applies the term's selector and expression.
func (t *Term) admits(c *Cluster) (bool, error) {
	if t.Selector != nil && !t.Selector.Matches(labelsOf(c.Labels)) {
		return false, nil
	}
	if t.Expression == nil {
		return true, nil
	}
	return t.Expression.Matches(c)
}

// unused says which names no cluster bears and which selectors match nothing.
func (x *termIndex) unused(clusters []Cluster) []Reason {
	var notes []Reason
	var known map[string]bool
	for i, t := range x.terms {
		if len(t.Names) == 0 && !x.used[i] && (t.Selector != nil || t.Expression != nil) && !x.matchesAny(i, clusters) {
			notes = append(notes, Reason{CodeNothingSelected, "no cluster matches " + t.what()})
		}
		if len(t.Names) == 1 && x.used[i] {
			continue
		}
		for _, name := range t.Names {
			if known == nil {
				known = make(map[string]bool, len(clusters))
				for j := range clusters {
					known[clusters[j].Name] = true
				}
			}
			if !known[name] {
				notes = append(notes, Reason{CodeNoSuchCluster, "there is no cluster " + name})
			}
		}
	}
	return notes
}

// matchesAny says whether a term that decided for no cluster would match one that an earlier term took.
func (x *termIndex) matchesAny(term int, clusters []Cluster) bool {
	for i := range clusters {
		if ok, _ := x.terms[term].admits(&clusters[i]); ok {
			return true
		}
	}
	return false
}

// what describes how the term chooses, as in "(env=prod)".
func (t *Term) what() string {
	var parts []string
	if len(t.Names) > 0 {
		parts = append(parts, strings.Join(t.Names, ", "))
	}
	if t.Selector != nil {
		parts = append(parts, "("+t.Selector.String()+")")
	}
	if t.Expression != nil {
		parts = append(parts, "{"+t.Expression.String()+"}")
	}
	if len(parts) == 0 {
		return "*"
	}
	return strings.Join(parts, " and ")
}

func orElse(p *int64, otherwise int64) int64 {
	if p == nil {
		return otherwise
	}
	return *p
}

// addUpTo adds two numbers that are not negative, saturating.
func addUpTo(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}
