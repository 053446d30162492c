package events

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/delivery/results"
)

// note is one Event to be.
type note struct {
	kind    string // corev1.EventTypeNormal or EventTypeWarning
	reason  string
	message string
}

func normal(reason, message string) note  { return note{corev1.EventTypeNormal, reason, message} }
func warning(reason, message string) note { return note{corev1.EventTypeWarning, reason, message} }

// news is what is new between two states of a Distribution; before is nil when there was none. isGoing tells that the
// template is being deleted: that its copies go is no news then.
func news(before, after *v1alpha1.Distribution, isGoing bool) []note {
	if before == nil {
		before = &v1alpha1.Distribution{}
	}
	var notes []note
	if !isGoing && !equality.Semantic.DeepEqual(before.Spec, after.Spec) {
		notes = append(notes, decisionNews(&before.Spec, &after.Spec)...)
	}
	for _, now := range after.Status.Clusters {
		was := v1alpha1.ClusterOutcome{}
		if i := slices.IndexFunc(before.Status.Clusters,
			func(o v1alpha1.ClusterOutcome) bool { return o.Name == now.Name }); i >= 0 {
			was = before.Status.Clusters[i]
		}
		notes = append(notes, outcomeNews(was, now)...)
	}
	return slices.Concat(notes, deadlineNews(before, after), sumNews(before, after))
}

// decisionNews tells how two decisions differ.
func decisionNews(before, after *v1alpha1.DistributionSpec) []note {
	var notes []note
	had, has := len(before.Clusters) > 0, len(after.Clusters) > 0
	switch moves := moved(before, after); {
	case had && !has && len(after.Leaving) > 0:
		notes = append(notes, normal("Unplaced", "it is removed from "+strings.Join(after.Leaving, ", ")+whyNowhere(after)))
	case !has && (had || before.Template.UID == "" || whyNowhere(before) == "" && whyNowhere(after) != ""):
		notes = append(notes, warning("NoClusters", "no cluster is chosen"+whyNowhere(after)))
	case had && has && len(moves) > 0:
		notes = append(notes, normal("Rescheduled", listed(moves)))
	}
	if after.Kept && !before.Kept {
		notes = append(notes, warning("NoSuchCluster",
			"the copies stay where they are until there is another place"+whyNowhere(after)))
	}
	if after.Unplaced > 0 && (after.Unplaced != before.Unplaced || after.UnplacedReason != before.UnplacedReason) {
		of := ""
		if after.Replicas != nil {
			of = fmt.Sprintf(" of %d", *after.Replicas)
		}
		notes = append(notes, warning("NoRoom", fmt.Sprintf("%d%s replicas have no place: %s",
			after.Unplaced, of, after.UnplacedReason)))
	}
	for _, other := range after.Contested {
		if !slices.ContainsFunc(before.Contested, func(c v1alpha1.PlacementReference) bool {
			return c.Kind == other.Kind && c.Name == other.Name
		}) {
			notes = append(notes, warning("Contested", fmt.Sprintf("%s %s claims it as well and is ignored, since %s %s is "+
				"older", other.Kind, other.Name, after.Placement.Kind, after.Placement.Name)))
		}
	}
	return notes
}

// whyNowhere is what the notes of a decision without clusters say.
func whyNowhere(spec *v1alpha1.DistributionSpec) string {
	texts := slices.Clone(spec.Notes)
	for _, r := range spec.Rejected {
		texts = append(texts, r.Name+": "+cmp.Or(r.Message, r.Reason))
	}
	if len(texts) == 0 {
		return ""
	}
	return ": " + listed(texts)
}

// moved tells member by member what changed, with the reason where the decision gives one.
func moved(before, after *v1alpha1.DistributionSpec) []string {
	why := map[string]string{}
	if change := after.LastChange; change != nil && !equality.Semantic.DeepEqual(change, before.LastChange) {
		for _, m := range change.Moves {
			why[m.Name] = cmp.Or(m.Message, m.Reason)
		}
	}
	replicas := map[string][2]*int64{}
	shares := map[string][2]bool{}
	for side, spec := range []*v1alpha1.DistributionSpec{before, after} {
		for _, c := range spec.Clusters {
			r, s := replicas[c.Name], shares[c.Name]
			r[side], s[side] = c.Replicas, true
			replicas[c.Name], shares[c.Name] = r, s
		}
	}
	var moves []string
	for name, is := range shares {
		from, to := replicas[name][0], replicas[name][1]
		if is[0] && is[1] && equality.Semantic.DeepEqual(from, to) {
			continue
		}
		text := name + " " + movement(from, to, is)
		if why[name] != "" {
			text += " (" + why[name] + ")"
		}
		moves = append(moves, text)
	}
	slices.Sort(moves)
	return moves
}

// movement reads "2 -> 3", "0 -> 3", "is new" or "leaves".
func movement(from, to *int64, is [2]bool) string {
	if from == nil && to == nil {
		if is[1] {
			return "is new"
		}
		return "leaves"
	}
	number := func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	}
	return fmt.Sprintf("%d -> %d", number(from), number(to))
}

// outcomeNews tells what became of the template in one member.
func outcomeNews(was, now v1alpha1.ClusterOutcome) []note {
	isSame := was.Verdict == now.Verdict && was.Reason == now.Reason
	told := cmp.Or(now.Message, now.Reason)
	switch {
	case isBad(now):
		if isSame && was.Message == now.Message {
			return nil
		}
		reason := "ApplyFailed"
		if now.Verdict == v1alpha1.VerdictConflict {
			reason = "Conflict"
		}
		return []note{warning(reason, fmt.Sprintf("%s: %s: %s", now.Name, now.Reason, told))}
	case isSame:
		return nil
	case now.Reason == results.ReasonDrifted:
		return []note{warning("Drifted", now.Name+": "+told)}
	case now.Reason == results.ReasonContended:
		return []note{warning("Contended", now.Name+": "+told)}
	case now.Reason == results.ReasonRepaired && was.Reason != results.ReasonContended:
		return []note{normal("Repaired", now.Name+": "+told)}
	case now.Reason == string(apply.ReasonRecreated):
		return []note{normal("Recreated", now.Name+": "+told)}
	case now.Reason == string(apply.ReasonCeded):
		return []note{warning("FieldsCeded", now.Name+": "+told)}
	case isBad(was) && now.Verdict == v1alpha1.VerdictDeleted:
		return []note{normal("Removed", fmt.Sprintf("%s: removed, after %s", now.Name, was.Reason))}
	case isBad(was) && (results.Entry{Verdict: now.Verdict, Reason: now.Reason}).Good():
		return []note{normal("Applied", fmt.Sprintf("%s: applied, after %s", now.Name, was.Reason))}
	}
	return nil
}

// isBad reports whether the member did not take the object. Trouble with the way to the member is told of the Cluster,
// and not of each object that is on its way at the time; if it lasts, a deadline passes.
func isBad(o v1alpha1.ClusterOutcome) bool {
	switch apply.Reason(o.Reason) {
	case apply.ReasonUnreachable, apply.ReasonTimeout, apply.ReasonBusy, apply.ReasonCanceled:
		return false
	}
	return o.Verdict == v1alpha1.VerdictFailed || o.Verdict == v1alpha1.VerdictConflict
}

// deadlineNews reports whether there was no progress for too long.
func deadlineNews(before, after *v1alpha1.Distribution) []note {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionProgressing)
	now := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionProgressing)
	if now == nil || now.Status != metav1.ConditionFalse || was != nil && was.Status == metav1.ConditionFalse {
		return nil
	}
	return []note{warning(now.Reason, now.Message)}
}

// sumNews reports whether a KindRule fails, once for each way in which it does.
func sumNews(before, after *v1alpha1.Distribution) []note {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionSummed)
	now := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionSummed)
	if now == nil || was != nil && was.Message == now.Message {
		return nil
	}
	return []note{warning(now.Reason, now.Message)}
}

// listed puts the first few texts into one message.
func listed(texts []string) string {
	const shown = 5
	if more := len(texts) - shown; more > 0 {
		texts = append(slices.Clone(texts[:shown]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}
