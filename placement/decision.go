package placement

import (
	"strconv"
	"strings"
	"time"
)

// Decision is the answer: a value that explains itself.
type Decision struct {
	// Object, Mode and Replicas repeat what was asked, with the mode that was used.
	Object   string
	Mode     Mode
	Replicas int64
	// Clusters are the chosen ones by name, also those that keep replicas for the time being.
	Clusters []Share
	// Rejected are the clusters by name that a term chooses and that get nothing, with every reason.
	Rejected []Rejection
	// NotSelected counts the clusters that no term chooses.
	NotSelected int
	// Unplaced is how many wanted replicas (or, for objects without, copies) are nowhere, and Cause why.
	Unplaced int64
	Cause    Reason
	// Surge is how many replicas exist above the number that is placed in the end, while some move:
	// Placed() + Unplaced - Surge is Replicas when the object is divided.
	Surge int64
	// Changes says what is different from the previous decision.
	Changes []Change
	// Notes are facts about the placement as a whole: a name without cluster, a spread not reached, a move waiting.
	Notes []Reason
	// Away are clusters that lost their replicas by failover and have not got their share back. They are part of the
	// next decision's Previous, as is Surge.
	Away []string
	// Waiting reports that shares are not judged before replicas that start are ready: what the policy asks for may be
	// another decision then.
	Waiting bool
	// RecheckAfter is when time alone may change the decision; 0 means never.
	RecheckAfter time.Duration
}

// Share is what one cluster gets.
type Share struct {
	Name     string
	Replicas int64
	// Moving is how many replicas are still to come, or below zero to leave, before the move under way is done.
	Moving int64
	// Ideal is its share by votes alone, before bounds and stability; zero where nothing is divided.
	Ideal  Fraction
	Clamps Clamps
	Reason
}

// Fraction is Whole + Num/Den.
type Fraction struct{ Whole, Num, Den int64 }

// String prints 4, 2/3 or 1 1/3.
func (f Fraction) String() string {
	switch {
	case f.Num == 0 || f.Den == 0:
		return strconv.FormatInt(f.Whole, 10)
	case f.Whole == 0:
		return strconv.FormatInt(f.Num, 10) + "/" + strconv.FormatInt(f.Den, 10)
	}
	return strconv.FormatInt(f.Whole, 10) + " " + strconv.FormatInt(f.Num, 10) + "/" + strconv.FormatInt(f.Den, 10)
}

// Clamps is the set of things that held a cluster's replicas away from its share by votes.
type Clamps uint16

// What can hold a share.
const (
	ClampMin      Clamps = 1 << iota // lifted to its minimum
	ClampMax                         // held at its maximum
	ClampCapacity                    // held at what fits
	ClampSpread                      // lifted so that its group is in use
	ClampKept                        // keeps what it has: stability, or nothing new may come
	ClampFrozen                      // out of reach or paused
	ClampTier                        // not its turn, or only for the rest
	ClampMoving                      // on the way to another number
	ClampOverflow                    // above what fits, on request
)

var clampNames = [...]string{"min", "max", "capacity", "spread", "kept", "frozen", "tier", "moving", "overflow"}

// String lists the clamps, as in "max,kept".
func (c Clamps) String() string {
	var names []string
	for i, name := range clampNames {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// Reason is a code for machines and a sentence for people.
type Reason struct {
	Code    Code
	Message string
}

// Rejection is a cluster that gets nothing: the first reason, and all of them in the filters' order.
type Rejection struct {
	Name string
	Reason
	All []Reason
}

// Change is one cluster's difference from the previous decision.
type Change struct {
	Name     string
	From, To int64
	// Had and Has say whether the object was and is there at all.
	Had, Has bool
	Reason
}

// Assignments is the decision as the next one's Previous, with what became of it still unknown: fill in Ready and
// Unschedulable.
func (d Decision) Assignments() *Previous {
	p := &Previous{Clusters: make([]Assignment, len(d.Clusters)), Surge: d.Surge, Away: d.Away}
	for i, s := range d.Clusters {
		p.Clusters[i] = Assignment{Name: s.Name, Replicas: s.Replicas, Moving: s.Moving}
	}
	return p
}

// Placed is the sum over the chosen clusters.
func (d Decision) Placed() int64 {
	var sum int64
	for _, s := range d.Clusters {
		sum = addUpTo(sum, s.Replicas)
	}
	return sum
}
