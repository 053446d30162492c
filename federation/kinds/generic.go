package kinds

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// generic is the rule for kinds that are not in the table: most custom resources.
var generic = Rule{aggregate: aggregateGeneric}

// genericReady counts the replicas of a custom resource that has a scale subresource (Rule.WithScale).
func (r Rule) genericReady(obj map[string]any) (ready, desired int64) {
	if !r.hasReplicas() {
		return 0, 0
	}
	desired = r.replicasOf(obj)
	if r.lesson != nil && r.lesson.Ready != nil {
		ready, _ = r.lesson.Ready(obj) // an object that does not tell yet has none
		return ready, desired
	}
	ready = intOr(obj, 0, "status", "readyReplicas")
	if _, says := intAt(obj, "status", "readyReplicas"); !says && len(r.statusReplicas) > 0 {
		ready = intOr(obj, 0, r.statusReplicas...)
	}
	return ready, desired
}

// genericHealth reads the conventions that controllers of custom resources share: a generation that is observed, one
// of the Ready-like conditions, or else a phase. Without any of them it is Unknown: that the object is there says
// nothing about what it stands for.
func genericHealth(obj map[string]any) (Health, string) {
	if unobserved(obj) {
		return Progressing, "the controller has not seen the present generation yet"
	}
	status := mapAt(obj, "status")
	for _, kind := range []string{"Stalled", "Degraded", "Failed"} {
		if c, found := findCondition(status, kind); found && c.Status == isTrue {
			return Degraded, because(c)
		}
	}
	for _, kind := range []string{"Ready", "Available", "Healthy", "Succeeded", "Complete", "Established", "Programmed",
		"Synced", "Accepted"} {
		c, found := findCondition(status, kind)
		switch {
		case !found:
		case c.Status == isTrue:
			return Healthy, ""
		case c.Status == isFalse && soundsFinal(c.Reason):
			return Degraded, because(c)
		default:
			return Progressing, because(c)
		}
	}
	return phaseHealth(cmp.Or(stringAt(status, "phase"), stringAt(status, "state")))
}

// soundsFinal tells a failure from a "not yet": both are Ready=False, and only the reason's words differ. Taking a
// wait for a failure would be the worse mistake, since a failure may move what runs.
func soundsFinal(reason string) bool {
	reason = strings.ToLower(reason)
	return strings.Contains(reason, "fail") || strings.Contains(reason, "error") || strings.Contains(reason, "invalid")
}

func phaseHealth(phase string) (Health, string) {
	switch strings.ToLower(phase) {
	case "":
		return Unknown, ""
	case "ready", "running", "active", "available", "bound", "succeeded", "complete", "completed", "healthy", "deployed":
		return Healthy, ""
	case "failed", "error", "degraded", "lost", "unhealthy", "crashed":
		return Degraded, "phase " + phase
	default:
		return Progressing, "phase " + phase
	}
}

// unobserved reports whether the status speaks of an older generation; statuses that say nothing of it are taken as
// fresh.
func unobserved(obj map[string]any) bool {
	observed, says := intAt(obj, "status", "observedGeneration")
	return says && observed < intOr(obj, 0, "metadata", "generation")
}

func because(c condition) string {
	return cmp.Or(c.Message, c.Reason, "condition "+c.Type+" is "+c.Status)
}

// aggregateGeneric joins statuses of which the meaning is not known: one member's is copied; of several, the
// conditions are united, and other fields stay where all members say the same.
func aggregateGeneric(in aggregation) map[string]any {
	collected := in.collected()
	if len(collected) == 0 {
		return nil
	}
	status := agreed(collected)
	delete(status, cutField)
	delete(status, "conditions")
	if united := in.unitedConditions(); len(united) > 0 {
		status["conditions"] = in.conditions(noMoment, united...)
	}
	if reportsGeneration(collected) {
		status["observedGeneration"] = in.observedGeneration()
	}
	if path := in.rule.statusReplicas; len(path) > 1 {
		_ = setAt(status, in.sum(path[1:]...), path[1:]...) // the path begins with "status"
	}
	return status
}

// agreed are the fields that are the same in all.
func agreed(members []MemberStatus) map[string]any {
	same := map[string]any{}
	for key, value := range members[0].Status {
		if !slices.ContainsFunc(members[1:], func(m MemberStatus) bool {
			return !reflect.DeepEqual(m.Status[key], value)
		}) {
			same[key] = copied(value)
		}
	}
	return same
}

func reportsGeneration(members []MemberStatus) bool {
	return slices.ContainsFunc(members, func(m MemberStatus) bool {
		_, says := m.Status["observedGeneration"]
		return says
	})
}
