package kinds

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Tally is how one field of a status adds up over the members.
type Tally struct {
	// Field below .status, without wildcards.
	Field []string
	// How is one of the words below; empty when Value says it.
	How How
	// Order is for Worst.
	Order []string
	// Value makes the field of all; an error leaves it out, and Unsummed tells it.
	Value func(Whole) (any, error)
}

// How a field adds up.
type How string

// The ways.
const (
	Sum      How = "Sum"
	Min      How = "Min"
	Max      How = "Max"
	Earliest How = "Earliest"
	Latest   How = "Latest"
	All      How = "All"
	Any      How = "Any"
	Worst    How = "Worst"
	Union    How = "Union"
	First    How = "First"
	Drop     How = "Drop"
)

// Whole is what a Tally's Value sees.
type Whole struct {
	Template           map[string]any
	Members            []MemberStatus // sorted by cluster
	ObservedGeneration int64
}

// aggregateTaught adds up generically, and then field by field what was taught.
func aggregateTaught(in aggregation) map[string]any {
	status := aggregateGeneric(in)
	if status == nil {
		return nil
	}
	if _, isText := status["observedGeneration"].(string); isText {
		delete(status, "observedGeneration") // a member's own is not the template's
	}
	for _, t := range in.rule.lesson.Tally {
		value, ok := in.tally(t)
		if !ok {
			removeAt(status, t.Field...)
			continue
		}
		_ = setAt(status, value, t.Field...) // what is in the way keeps its place
	}
	return status
}

// tally is one field of the sum; false when there is nothing to say.
func (in aggregation) tally(t Tally) (any, bool) {
	if t.Value != nil {
		value, err := t.Value(in.whole()) // Unsummed says what is wrong
		return value, err == nil && value != nil
	}
	var told []any
	for _, m := range in.members {
		if value, set := at(m.Status, t.Field...); set {
			told = append(told, value)
		}
	}
	if len(told) == 0 || t.How == Drop {
		return nil, false
	}
	switch t.How {
	case Sum:
		return in.sum(t.Field...), true
	case Min, Max:
		return extreme(told, t.How == Max)
	case Earliest, Latest:
		return extremeTime(told, t.How == Latest)
	case All, Any:
		return agree(told, t.How == Any, len(told) < len(in.members)), true
	case Worst:
		return worstOf(told, t.Order)
	case Union:
		return unionOf(told), true
	default:
		return copied(told[0]), true
	}
}

func (in aggregation) whole() Whole {
	return Whole{Template: in.template, Members: in.members, ObservedGeneration: in.observedGeneration()}
}

// Unsummed tells which fields Aggregate leaves out because what was taught about them fails; nil for all other kinds,
// and before every member has said something, since what fails until then may do so for want of it.
func (r Rule) Unsummed(template *unstructured.Unstructured, members []MemberStatus, now time.Time) error {
	if r.lesson == nil || !slices.ContainsFunc(r.lesson.Tally, func(t Tally) bool { return t.Value != nil }) {
		return nil
	}
	in := newAggregation(r, template, members, now)
	if len(in.members) == 0 || len(in.collected()) < len(in.members) {
		return nil
	}
	var problems []error
	for _, t := range r.lesson.Tally {
		if t.Value == nil {
			continue
		}
		if _, err := t.Value(in.whole()); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func extreme(told []any, isMost bool) (any, bool) {
	var best int64
	found := false
	for _, value := range told {
		n, is := intAt(map[string]any{"n": value}, "n")
		if is && (!found || isMost == (n > best)) {
			best, found = n, true
		}
	}
	return best, found
}

func extremeTime(told []any, isLatest bool) (any, bool) {
	var best time.Time
	var text string
	for _, value := range told {
		s, _ := value.(string)
		at, err := time.Parse(time.RFC3339, s)
		if err == nil && (text == "" || isLatest == at.After(best)) {
			best, text = at, s
		}
	}
	return text, text != ""
}

// agree: who has not told has not agreed.
func agree(told []any, isAny, isMissing bool) bool {
	isTold := func(value any) bool { b, _ := value.(bool); return b }
	if isAny {
		return slices.ContainsFunc(told, isTold)
	}
	return !isMissing && !slices.ContainsFunc(told, func(value any) bool { return !isTold(value) })
}

// worstOf is the text that comes first in the order; texts that are not in it come last.
func worstOf(told []any, order []string) (any, bool) {
	worst, rank := "", len(order)+1
	for _, value := range told {
		s, isText := value.(string)
		at := slices.Index(order, s)
		if at < 0 {
			at = len(order)
		}
		if isText && at < rank {
			worst, rank = s, at
		}
	}
	return worst, rank <= len(order)
}

// unionOf joins lists, each element once, in the order of their JSON.
func unionOf(told []any) []any {
	byText := map[string]any{}
	for _, value := range told {
		list, _ := value.([]any)
		for _, element := range list {
			if text, err := json.Marshal(element); err == nil {
				byText[string(text)] = copied(element)
			}
		}
	}
	all := make([]any, 0, len(byText))
	for _, text := range sortedKeys(byText) {
		all = append(all, byText[text])
	}
	return all
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
