package collect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
)

// scheduled tells whether everything has a place.
func scheduled(v view) metav1.Condition {
	spec := v.distribution.Spec
	c := metav1.Condition{Type: v1alpha1.ConditionScheduled, Status: metav1.ConditionTrue, Reason: "Placed"}
	switch {
	case spec.Kept:
		c.Status, c.Reason = metav1.ConditionFalse, noSuchCluster
		c.Message = strings.Join(append(slices.Clone(spec.Notes), "the copies stay where they are until there is another place"), "; ")
	case spec.Unplaced > 0:
		c.Status, c.Reason = metav1.ConditionFalse, "Unplaced"
		unplaced := fmt.Sprintf("%d unplaced: %s", spec.Unplaced, spec.UnplacedReason)
		c.Message = strings.Join(append([]string{unplaced}, spec.Notes...), "; ")
	case len(spec.Clusters) == 0 && len(spec.Leaving) > 0:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, "Leaving", "being removed from "+strings.Join(spec.Leaving, ", ")
	case len(spec.Clusters) == 0:
		c.Status, c.Reason = metav1.ConditionFalse, noClusters
		c.Message = strings.Join(append([]string{"no cluster is chosen"}, spec.Notes...), "; ")
	default:
		c.Message = strings.Join(spec.Notes, "; ")
	}
	return c
}

// applied tells whether every chosen member holds what was decided.
func applied(v view, outcomes []v1alpha1.ClusterOutcome) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionApplied, Status: metav1.ConditionTrue, Reason: "Applied"}
	var bad []string
	for i, o := range outcomes {
		if v.members[i].entry.Good() && v.members[i].hasEntry {
			continue
		}
		if len(bad) == 0 {
			c.Reason = o.Reason
		}
		bad = append(bad, strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", o.Name, o.Verdict, o.Message), ": "))
	}
	switch {
	case len(bad) > 0:
		c.Status, c.Message = metav1.ConditionFalse, listed(bad)
	case len(v.distribution.Spec.Clusters) == 0:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, noClusters, "no cluster is chosen"
	}
	if c.Reason == "" {
		c.Reason = "NotApplied"
	}
	return c
}

// summed reports whether a field of the template's status is missing since its KindRule fails; false when none is.
func summed(v view, now time.Time) (c metav1.Condition, isMissing bool) {
	if v.template == nil {
		return c, false
	}
	err := v.rule.Unsummed(v.template, v.statuses(), now)
	if err == nil {
		return c, false
	}
	texts := strings.Split(err.Error(), "\n")
	return metav1.Condition{
		Type: v1alpha1.ConditionSummed, Status: metav1.ConditionFalse, Reason: "KindRuleFails",
		Message: "left out of the status: " + listed(texts),
	}, true
}

// noSuchCluster is the reason of the condition Scheduled when a placement means clusters that do not exist.
const noSuchCluster = "NoSuchCluster"

// noClusters is the reason of conditions about members when there are none.
const noClusters = "NoClusters"

// listed puts the first few texts into one message: a condition cannot hold what a hundred members say.
func listed(texts []string) string {
	if more := len(texts) - maxTold; more > 0 {
		texts = append(slices.Clone(texts[:maxTold]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// ready tells whether what was applied is healthy.
func ready(v view, outcomes []v1alpha1.ClusterOutcome) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Healthy"}
	worst := 0
	var bad []string
	for i, o := range outcomes {
		if v.members[i].isLeaving {
			continue
		}
		at := badness(o)
		if at == 0 {
			continue
		}
		if at > worst {
			worst, c.Reason = at, o.Health
		}
		bad = append(bad, strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", o.Name, o.Health, o.HealthMessage), ": "))
	}
	switch {
	case worst > 0:
		c.Status, c.Message = metav1.ConditionFalse, listed(bad)
	case len(v.distribution.Spec.Clusters) == 0:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, noClusters, "no cluster is chosen"
	}
	if onlyUnknown := worst == 1; onlyUnknown {
		c.Status = metav1.ConditionUnknown
	}
	if c.Reason == "" {
		c.Reason = "Unknown"
	}
	return c
}

// readyIfApplied is the condition Ready beside the condition Applied: what was not applied is not ready, however healthy
// what a member had before, or has of somebody else's, may be. Where a member refuses the object it is False; where it is
// yet to be applied, or held back on purpose, nobody can say.
func readyIfApplied(ready, applied metav1.Condition, outcomes []v1alpha1.ClusterOutcome) metav1.Condition {
	refused := slices.ContainsFunc(outcomes, func(o v1alpha1.ClusterOutcome) bool {
		return o.Verdict == v1alpha1.VerdictFailed || o.Verdict == v1alpha1.VerdictConflict
	})
	switch {
	case applied.Status == metav1.ConditionTrue, ready.Status == metav1.ConditionFalse,
		ready.Status == metav1.ConditionUnknown && !refused:
		return ready
	case refused:
		ready.Status = metav1.ConditionFalse
	default:
		ready.Status = metav1.ConditionUnknown
	}
	ready.Reason, ready.Message = applied.Reason, "not applied: "+applied.Message
	return ready
}

// badness orders healths; 0 is good. A kind that does not tell its health is good when it is applied; of what is not
// applied yet nobody can say.
func badness(o v1alpha1.ClusterOutcome) int {
	switch {
	case o.Unknown, o.Health == string(kinds.Unknown) && o.Verdict == v1alpha1.VerdictPending:
		return 1
	case o.Health == string(kinds.Degraded):
		return 3
	case o.Health == string(kinds.Progressing):
		return 2
	}
	return 0
}
