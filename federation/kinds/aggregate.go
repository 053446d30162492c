package kinds

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// aggregation is what a kind's aggregate function reads.
type aggregation struct {
	rule     Rule
	template map[string]any
	previous map[string]any // the template's present .status; read only
	members  []MemberStatus // sorted by cluster
	now      time.Time
}

func newAggregation(r Rule, template *unstructured.Unstructured, members []MemberStatus, now time.Time) aggregation {
	sorted := slices.Clone(members)
	slices.SortStableFunc(sorted, func(a, b MemberStatus) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return aggregation{
		rule:     r,
		template: template.Object,
		previous: mapAt(template.Object, "status"),
		members:  sorted,
		now:      now,
	}
}

func (in aggregation) generation() int64 { return intOr(in.template, 0, "metadata", "generation") }

// collected are the members of which there is a status.
func (in aggregation) collected() []MemberStatus {
	return slices.DeleteFunc(slices.Clone(in.members), func(m MemberStatus) bool { return m.Status == nil })
}

// sum adds a status field over all members, unknown ones with their last figure.
func (in aggregation) sum(path ...string) int64 {
	var total int64
	for _, member := range in.members {
		total += intOr(member.Status, 0, path...)
	}
	return total
}

func (in aggregation) sum32(path ...string) int32 { return int32(in.sum(path...)) }

// knownSum adds a status field over the reachable members only.
func (in aggregation) knownSum(path ...string) int64 {
	var total int64
	for _, member := range in.members {
		if member.Known {
			total += intOr(member.Status, 0, path...)
		}
	}
	return total
}

// desired is the number of replicas that should be: the template's, or more when every member runs them all
// (Duplicate) or an autoscaler in a member asked for more than the template says.
func (in aggregation) desired() int64 {
	var desired int64
	for _, member := range in.members {
		desired += member.Desired
	}
	if in.rule.hasReplicas() {
		desired = max(desired, in.rule.replicasOf(in.template))
	}
	return desired
}

// observedGeneration is the template's generation once every member has been sent it and has observed it, and
// otherwise the last one for which that was so. Without members it advances only if none is needed: no replicas
// wanted.
func (in aggregation) observedGeneration() int64 {
	previous := intOr(in.previous, 0, "observedGeneration")
	isNoneNeeded := in.rule.hasReplicas() && in.desired() == 0
	if len(in.members) == 0 && !isNoneNeeded {
		return previous
	}
	if len(in.behind()) > 0 {
		return previous
	}
	return in.generation()
}

// behind names the members that have not observed the template's present generation.
func (in aggregation) behind() []string {
	return in.clusters(func(m MemberStatus) bool {
		return m.Status == nil || m.TemplateGeneration < in.generation() || m.ObservedGeneration < m.Generation
	})
}

// unknown says which members cannot be reached; empty when all can.
func (in aggregation) unknown() string {
	var parts []string
	for _, m := range in.members {
		if m.Known {
			continue
		}
		if m.LastSeen.IsZero() {
			parts = append(parts, m.Cluster+" has never been seen")
			continue
		}
		parts = append(parts, fmt.Sprintf("%s last seen %s", m.Cluster, m.LastSeen.UTC().Format(time.RFC3339)))
	}
	return strings.Join(parts, ", ")
}

// clusters names the members for which a claim holds, in order.
func (in aggregation) clusters(holds func(MemberStatus) bool) []string {
	var names []string
	for _, member := range in.members {
		if holds(member) {
			names = append(names, member.Cluster)
		}
	}
	return names
}

// earliest and latest compare times of the members' statuses; nil when no member has the field.
func (in aggregation) earliest(path ...string) *metav1.Time {
	return in.pick(func(a, b time.Time) bool { return a.Before(b) }, path...)
}

func (in aggregation) latest(path ...string) *metav1.Time {
	return in.pick(func(a, b time.Time) bool { return a.After(b) }, path...)
}

func (in aggregation) pick(better func(a, b time.Time) bool, path ...string) *metav1.Time {
	var best *metav1.Time
	for _, member := range in.members {
		at, err := time.Parse(time.RFC3339, stringAt(member.Status, path...))
		if err != nil {
			continue
		}
		if best == nil || better(at, best.Time) {
			best = &metav1.Time{Time: at}
		}
	}
	return best
}

// list joins names for a message: "a", "a and b", "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
