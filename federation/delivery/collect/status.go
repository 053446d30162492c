package collect

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
)

// view is everything that one report depends on.
type view struct {
	ref          template.Ref
	distribution *v1alpha1.Distribution
	template     *unstructured.Unstructured // nil: gone
	kind         template.Kind
	rule         kinds.Rule
	members      []memberView
}

// memberView is what is known of the template in one member.
type memberView struct {
	name      string
	isLeaving bool
	state     member.State
	entry     results.Entry
	hasEntry  bool
	// isSeen reports whether the member's cache is up to date, so that live, nil included, is the truth.
	isSeen   bool
	live     *unstructured.Unstructured
	previous *v1alpha1.ClusterOutcome
	// stuck is how many of its pods the member's scheduler has found no node for, for a while.
	stuck int64
}

// isLost reports whether the member was known and cannot be reached now. A member that has not been asked yet, as after
// a start of the hub, is what it was when its status was stored.
func (m memberView) isLost() bool {
	switch m.state.Phase {
	case member.Unreachable, member.NotReady:
		return true
	case member.Ready:
		return false
	}
	return m.previous != nil && m.previous.Unknown
}

// isUnderWay reports whether a member that can be worked with has not been brought up to the present decision and
// template.
func (v view) isUnderWay() bool {
	for _, m := range v.members {
		if !m.state.IsReady() {
			continue
		}
		if !m.hasEntry || m.entry.Decision < v.distribution.Generation {
			return true
		}
		if !m.isLeaving && v.template != nil && m.entry.Good() && m.entry.TemplateGeneration < v.template.GetGeneration() {
			return true
		}
	}
	return false
}

// statuses is what the kind's rule adds up.
func (v view) statuses() []kinds.MemberStatus {
	var all []kinds.MemberStatus
	for _, m := range v.members {
		if !m.isLeaving {
			all = append(all, m.status(v.rule))
		}
	}
	return all
}

// status of one member: what is seen, else what was stored.
func (m memberView) status(rule kinds.Rule) kinds.MemberStatus {
	var s kinds.MemberStatus
	switch {
	case m.isSeen && m.live != nil:
		s = rule.Observe(m.name, m.live)
	case m.isSeen:
		if s = m.stored(); !rule.EndedIn(s.Status) { // what was done stays done
			s = kinds.MemberStatus{Cluster: m.name, Known: true, Health: kinds.Progressing}
		}
	default:
		s = m.stored()
	}
	s.LastSeen = m.state.LastSeen
	s.TemplateGeneration = m.entry.TemplateGeneration
	s.Generation = max(s.Generation, m.entry.Generation)
	return s
}

// stored is what the Distribution last said of the member.
func (m memberView) stored() kinds.MemberStatus {
	s := kinds.MemberStatus{Cluster: m.name, Known: !m.isLost(), Health: kinds.Unknown}
	p := m.previous
	if p == nil {
		return s
	}
	s.Health, s.Message = kinds.Health(p.Health), p.HealthMessage
	if p.Ready != nil {
		s.Ready = *p.Ready
	}
	if p.Desired != nil {
		s.Desired = *p.Desired
	}
	if p.Status != nil {
		_ = json.Unmarshal(p.Status.Raw, &s.Status) // what cannot be read is as good as absent
		integers(s.Status)
		s.ObservedGeneration, _, _ = unstructured.NestedInt64(s.Status, "observedGeneration")
	}
	s.Generation = max(s.ObservedGeneration, p.Generation)
	return s
}

// integers turns whole numbers of decoded JSON into int64, as everywhere else in objects.
func integers(m map[string]any) {
	for key, value := range m {
		if f, ok := value.(float64); ok && f == float64(int64(f)) {
			m[key] = int64(f)
		}
	}
}

// distributionStatus is the whole report.
func distributionStatus(v view, now time.Time) v1alpha1.DistributionStatus {
	d := v.distribution
	status := v1alpha1.DistributionStatus{
		ObservedGeneration: d.Generation,
		Conditions:         slices.Clone(d.Status.Conditions),
	}
	if v.template != nil {
		status.TemplateGeneration = v.template.GetGeneration()
	}
	for _, m := range v.members {
		o := v.outcome(m)
		status.Clusters = append(status.Clusters, o)
		if m.isLeaving {
			continue
		}
		if o.Desired != nil {
			status.Desired += *o.Desired
		}
		if o.Ready != nil {
			status.Ready += *o.Ready
		}
	}
	status.StatusesCut = cutStatuses(status.Clusters)
	status.Summary = summary(v, status.Clusters)
	isApplied := applied(v, status.Clusters)
	conditions := []metav1.Condition{scheduled(v), isApplied,
		readyIfApplied(ready(v, status.Clusters), isApplied, status.Clusters)}
	status.LastProgress = lastProgress(v, status, conditions, now)
	conditions = append(conditions, progressing(v, status, conditions, now))
	if c, isMissing := summed(v, now); isMissing {
		conditions = append(conditions, c)
	} else {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionSummed)
	}
	for _, condition := range conditions {
		condition.Message = printable.Text(condition.Message)
		condition.ObservedGeneration = d.Generation
		condition.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	return status
}

// maxHealthMessage is how much of what a rule or a member says of an object's health is stored.
const maxHealthMessage = 1 << 10

// outcome is the report on one member.
func (v view) outcome(m memberView) v1alpha1.ClusterOutcome {
	o := v1alpha1.ClusterOutcome{
		Name:               m.name,
		Verdict:            m.entry.Verdict,
		Reason:             m.entry.Reason,
		Message:            m.entry.Message,
		Revision:           m.entry.Revision,
		TemplateGeneration: m.entry.TemplateGeneration,
		Fingerprint:        m.entry.Fingerprint,
	}
	if !m.hasEntry {
		o.Verdict, o.Reason = v1alpha1.VerdictPending, "NotApplied"
	}
	s := m.status(v.rule)
	if m.isLeaving {
		// What still runs there, and where, is asked for until clients have been led away. It counts for nothing else.
		if v.hasReplicas() && s.Ready > 0 {
			o.Ready = &s.Ready
		}
		o.Status = v.raw(m, s)
		return o
	}
	if s.Generation > s.ObservedGeneration {
		o.Generation = s.Generation // else a hub that has just started would take the rollout for complete
	}
	o.Health, o.HealthMessage = string(s.Health), printable.Line(s.Message, maxHealthMessage)
	if m.isLost() {
		o.Unknown, o.Health = true, string(kinds.Unknown)
		o.HealthMessage, o.LastSeen = m.lostContact()
	}
	if v.hasReplicas() {
		o.Ready, o.Desired = &s.Ready, v.desired(m.name, s)
		// A pod beyond the wanted ones, as in a rollout, is not missed.
		o.Unschedulable = min(m.stuck, max(*o.Desired-*o.Ready, 0))
	}
	o.Status = v.raw(m, s)
	return o
}

// lostContact says why a lost member cannot be reached, and when it last answered.
func (m memberView) lostContact() (why string, lastSeen *metav1.Time) {
	if m.previous != nil {
		why, lastSeen = m.previous.HealthMessage, m.previous.LastSeen
	}
	if m.state.Reason != "" && m.state.Phase != member.Unknown {
		why = fmt.Sprintf("%s: %s", m.state.Reason, m.state.Message)
	}
	if !m.state.LastSeen.IsZero() {
		seen := metav1.NewTime(m.state.LastSeen.Truncate(time.Second))
		lastSeen = &seen
	}
	return why, lastSeen
}

// raw is the member's status as it is stored. An unchanged one keeps its bytes.
func (v view) raw(m memberView, s kinds.MemberStatus) *runtime.RawExtension {
	if !m.isSeen && m.previous != nil {
		return m.previous.Status
	}
	if len(s.Status) == 0 {
		return nil
	}
	encoded, err := json.Marshal(s.Status)
	if err != nil {
		return nil
	}
	return &runtime.RawExtension{Raw: encoded}
}

// maxStatuses is how many bytes the members' statuses of one template may have together: with all else they must fit
// into one object of etcd (1.5 MiB).
const maxStatuses = 768 << 10

// cutStatuses leaves out the statuses that are bigger than their part of the whole, if the whole is too big.
func cutStatuses(outcomes []v1alpha1.ClusterOutcome) (cut int32) {
	size := func(o v1alpha1.ClusterOutcome) int {
		if o.Status == nil {
			return 0
		}
		return len(o.Status.Raw)
	}
	total := 0
	for _, o := range outcomes {
		total += size(o)
	}
	if total <= maxStatuses {
		return 0
	}
	for i, o := range outcomes {
		if size(o) > maxStatuses/len(outcomes) {
			outcomes[i].Status = nil
			cut++
		}
	}
	return cut
}

func (v view) hasReplicas() bool {
	if v.distribution.Spec.Replicas != nil {
		return true
	}
	return v.template != nil && v.template.GetKind() == "DaemonSet"
}

// desired is what the member's object asks for, or, until there is one, what was decided.
func (v view) desired(name string, s kinds.MemberStatus) *int64 {
	if s.Desired > 0 {
		return &s.Desired
	}
	for _, c := range v.distribution.Spec.Clusters {
		if c.Name == name && c.Replicas != nil {
			return c.Replicas
		}
	}
	return &s.Desired
}

// summary reads "east=4/4,west=2/2", or "east,west" for kinds without replicas; a bad verdict stands in parentheses.
func summary(v view, outcomes []v1alpha1.ClusterOutcome) string {
	var parts []string
	for i, o := range outcomes {
		if v.members[i].isLeaving {
			continue
		}
		part := o.Name
		if o.Ready != nil && o.Desired != nil {
			part += fmt.Sprintf("=%d/%d", *o.Ready, *o.Desired)
		}
		switch {
		case o.Unknown:
			part += "(Unknown)"
		case o.Verdict == v1alpha1.VerdictSkipped && !v.members[i].entry.Good():
			part += "(" + o.Reason + ")"
		case !v.members[i].entry.Good():
			part += "(" + string(o.Verdict) + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}
