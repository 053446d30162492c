package collect

import (
	"cmp"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/kinds"
)

// The reasons of the condition Progressing.
const (
	underWay         = "Progressing"
	complete         = "Complete"
	deadlineExceeded = "DeadlineExceeded"
)

// defaultDeadline is how long there may be no progress where the placement does not say: that of a Deployment.
const defaultDeadline = 10 * time.Minute

func deadlineOf(d *v1alpha1.Distribution) time.Duration {
	if d.Spec.ProgressDeadline == nil {
		return defaultDeadline
	}
	return d.Spec.ProgressDeadline.Duration
}

// lastProgress is when something last came nearer to what was decided; nil when nothing is to come, or nothing is to be
// done on purpose. It changes only together with what it speaks of, so that it costs no write of its own.
func lastProgress(
	v view, status v1alpha1.DistributionStatus, conditions []metav1.Condition, now time.Time,
) *metav1.Time {
	before := v.distribution.Status
	switch {
	case waitsFor(status, conditions) == nil, heldBack(status) != "":
		return nil
	case before.LastProgress == nil,
		before.ObservedGeneration != status.ObservedGeneration, before.TemplateGeneration != status.TemplateGeneration,
		done(status.Clusters) > done(before.Clusters):
		at := metav1.NewTime(now.Truncate(time.Second))
		return &at
	}
	return before.LastProgress
}

// waitsFor is the first condition that does not hold; nil when all is applied and ready.
func waitsFor(status v1alpha1.DistributionStatus, conditions []metav1.Condition) *metav1.Condition {
	for i, c := range conditions {
		if c.Status != metav1.ConditionTrue && (c.Type != v1alpha1.ConditionScheduled || len(status.Clusters) == 0) {
			return &conditions[i]
		}
	}
	return nil
}

// done counts what is as it should be: the more, the nearer.
func done(outcomes []v1alpha1.ClusterOutcome) (n int64) {
	for _, o := range outcomes {
		if (results.Entry{Verdict: o.Verdict, Reason: o.Reason}).Good() {
			n++
		}
		if o.Health == string(kinds.Healthy) {
			n++
		}
		if o.Ready != nil {
			n += *o.Ready
		}
	}
	return n
}

// heldBack is why all that is missing is missing on purpose; empty if something else is missing, or nothing.
func heldBack(status v1alpha1.DistributionStatus) string {
	why := ""
	for _, o := range status.Clusters {
		switch o.Reason {
		case results.ReasonPaused, results.ReasonReportOnly, results.ReasonDrifted:
			why = cmp.Or(why, o.Reason)
		default:
			if !(results.Entry{Verdict: o.Verdict, Reason: o.Reason}).Good() {
				return ""
			}
		}
	}
	return why
}

// progressing tells whether what was decided comes about in time, and if not, who is behind with what.
func progressing(
	v view, status v1alpha1.DistributionStatus, conditions []metav1.Condition, now time.Time,
) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionTrue, Reason: complete}
	behind := waitsFor(status, conditions)
	switch {
	case behind == nil:
	case status.LastProgress == nil:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, heldBack(status), behind.Message
	case now.Sub(status.LastProgress.Time) < deadlineOf(v.distribution):
		c.Reason = underWay
	default:
		c.Status, c.Reason = metav1.ConditionFalse, deadlineExceeded
		c.Message = fmt.Sprintf("%s %s: no progress for %s: %s", v.ref.Kind, v.ref.Name,
			duration.HumanDuration(deadlineOf(v.distribution)), behind.Message)
	}
	return c
}

// untilDeadline is when the status is to be looked at again though nothing happens; 0 means never.
func untilDeadline(d *v1alpha1.Distribution, status v1alpha1.DistributionStatus, now time.Time) time.Duration {
	if status.LastProgress == nil {
		return 0
	}
	return max(0, status.LastProgress.Add(deadlineOf(d)).Sub(now))
}
