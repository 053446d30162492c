package schedule

import (
	"sync"

	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// Watchlist knows the templates whose decisions depend on more than the members that their Distributions name. The
// zero value is ready for use; after a restart it is full when every template has been decided once.
type Watchlist struct {
	mu sync.Mutex
	// room: replicas wait for free room, or follow it.
	room map[template.Ref]bool
	// facts: an expression of the placement may choose a member by its readiness or its taints.
	facts map[template.Ref]bool
}

// note enters what a decision depends on.
func (w *Watchlist) note(ref template.Ref, decided outcome, claimed *match.Claim) {
	byRoom := decided.engine != nil && claimed != nil && followsRoom(decided.engine, claimed.Policy)
	byFacts := decided.engine != nil && claimed != nil && hasExpression(claimed.Policy.Terms)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.room == nil {
		w.room, w.facts = map[template.Ref]bool{}, map[template.Ref]bool{}
	}
	for set, is := range map[*map[template.Ref]bool]bool{&w.room: byRoom, &w.facts: byFacts} {
		if is {
			(*set)[ref] = true
		} else {
			delete(*set, ref)
		}
	}
}

// followsRoom reports whether other free room may lead to another decision: something found no room, or replicas may
// move at any time and go by room.
func followsRoom(d *placement.Decision, policy placement.Policy) bool {
	if d.Unplaced > 0 {
		return true
	}
	const byRoom = placement.ClampCapacity | placement.ClampTier | placement.ClampOverflow
	for _, share := range d.Clusters {
		if share.Clamps&placement.ClampOverflow != 0 {
			return true
		}
		if share.Clamps&byRoom != 0 && policy.Rebalance == placement.RebalanceAlways {
			return true
		}
	}
	byCapacity := policy.By == placement.ByCapacity || policy.By == placement.ByWeightAndCapacity
	return byCapacity && policy.Rebalance == placement.RebalanceAlways
}

func hasExpression(terms []placement.Term) bool {
	for i := range terms {
		if terms[i].Expression != nil {
			return true
		}
	}
	return false
}

// eachOfRoom and eachOfFacts call visit for the templates of a set.
func (w *Watchlist) eachOfRoom(visit func(template.Ref))  { w.each(&w.room, visit) }
func (w *Watchlist) eachOfFacts(visit func(template.Ref)) { w.each(&w.facts, visit) }

func (w *Watchlist) each(set *map[template.Ref]bool, visit func(template.Ref)) {
	w.mu.Lock()
	refs := make([]template.Ref, 0, len(*set))
	for ref := range *set {
		refs = append(refs, ref)
	}
	w.mu.Unlock()
	for _, ref := range refs {
		visit(ref)
	}
}
