package expose

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
)

// finding is what is to be said of one member.
type finding struct {
	weight int64
	state  zone.State
	reason string
	// isLeft: what is exposed, or what runs behind it, is to leave the member.
	isLeft bool
	// isPointless: there is no use in waiting until no answer leads to the member that is left.
	isPointless bool
	// lost and recovering go into the status, and come back with it.
	lost, recovering *metav1.Time
	resolved         []string
	probe            *v1alpha1.ProbeStatus
}

// stabilisation is how long a member that was lost must look healthy before it is answered again. Going down is not
// delayed: the members' kubelets have damped readiness, and probes count failures.
const stabilisation = 10 * time.Second

// examine folds everything that is known of one member: what it has there, its contact to the hub, the probes, and what
// was said of it before.
func examine(w world, gs *v1alpha1.GlobalService, l load, e *endpoint, recheck *soonest) finding {
	before := statusOf(gs, e.cluster)
	contact, again := contactOf(w, gs, e.cluster)
	recheck.in(again)
	f := finding{probe: probeOf(w, gs, e, before)}
	for _, a := range w.standsFor(e.hostname, originOf(gs)) {
		f.resolved = append(f.resolved, a.String())
	}
	f.weight, f.state, f.reason = judge(gs, l, *e, contact)
	f.believe(f.probe)
	f.isLeft = contact != gone && f.state != zone.Draining &&
		(e.isLeft || l.isKnown && !l.stays[e.cluster] || isDrained(w.clusters[e.cluster]))
	recheck.in(f.damp(before, w.now))
	return f
}

// believe follows the hub's probes: a member whose probes fail is down, whatever it reports, and one that is out of contact
// is what they say.
func (f *finding) believe(p *v1alpha1.ProbeStatus) {
	switch {
	case p == nil || f.state != zone.Healthy && f.state != zone.Unknown:
	case !p.Healthy:
		f.state, f.reason = zone.Unhealthy, "the hub's probes fail: "+cmp.Or(p.Message, "no reason was given")
	case strings.HasPrefix(p.Message, notProbed):
		f.reason += "; " + p.Message
	case f.state == zone.Unknown:
		f.state, f.reason = zone.Healthy, f.reason+", but the hub's probes succeed"
	}
}

// statusOf is what was said of a member before, or nil.
func statusOf(gs *v1alpha1.GlobalService, cluster string) *v1alpha1.GlobalServiceCluster {
	for i := range gs.Status.Clusters {
		if gs.Status.Clusters[i].Name == cluster {
			return &gs.Status.Clusters[i]
		}
	}
	return nil
}

// drainTaint is what hanse drain puts on a member.
const drainTaint = v1alpha1.Prefix + "drained"

// isDrained reports whether an administrator empties a member.
func isDrained(c *v1alpha1.Cluster) bool {
	if c == nil {
		return false
	}
	for _, taint := range c.Spec.Taints {
		if taint.Key == drainTaint {
			return true
		}
	}
	return c.DeletionTimestamp != nil
}

// judge gives a member its weight and state, with the reason for people.
func judge(gs *v1alpha1.GlobalService, l load, e endpoint, c contact) (int64, zone.State, string) {
	weight := weightOf(gs, l, e.cluster)
	state, reason := zone.Healthy, "ready"
	switch {
	case c == gone:
		return 0, zone.Unhealthy, "the cluster is not a member any more"
	case len(e.addresses) == 0 && e.hostname == "":
		state, reason = zone.Unhealthy, "has no address"
	case l.isKnown && l.ready[e.cluster] == 0 && l.desired[e.cluster] > 0:
		state, reason = zone.Unhealthy, fmt.Sprintf("0 of %d replicas are ready", l.desired[e.cluster])
		weight = max(weight, fallbackWeight(gs, l, e.cluster))
	case l.failing[e.cluster] != "":
		state, reason = zone.Unhealthy, fmt.Sprintf("Service %s has no ready replica", l.failing[e.cluster])
		weight = max(weight, fallbackWeight(gs, l, e.cluster))
	case l.isKnown && l.desired[e.cluster] == 0 && l.ready[e.cluster] > 0: // left, and still running
		weight, reason = max(weight, l.ready[e.cluster]), fmt.Sprintf("%d replicas are ready", l.ready[e.cluster])
	case l.isKnown && l.desired[e.cluster] == 0:
		state, reason = zone.Draining, "has no replicas"
	case c == lost:
		state, reason = zone.Unknown, "out of contact"
	case c == justLost:
		reason = "out of contact, keeps its last health for now"
	case l.isKnown:
		reason = fmt.Sprintf("%d of %d replicas are ready", l.ready[e.cluster], l.desired[e.cluster])
	}
	return weight, state, reason
}

// damp holds back a member that was lost and looks healthy again. It returns when to look again.
func (f *finding) damp(before *v1alpha1.GlobalServiceCluster, now time.Time) time.Duration {
	if before == nil {
		return 0 // the first look at a member is believed
	}
	f.lost, f.recovering = before.Lost, before.Recovering
	if f.state != zone.Healthy {
		f.recovering = nil
		if before.Health == string(zone.Healthy) && f.state == zone.Unhealthy {
			f.lost = stamp(now)
		}
		return 0
	}
	if f.lost == nil || before.Health != string(zone.Unhealthy) {
		f.lost, f.recovering = nil, nil
		return 0
	}
	if f.recovering == nil {
		f.recovering = stamp(now)
	}
	left := stabilisation - now.Sub(f.recovering.Time)
	if left <= 0 {
		f.lost, f.recovering = nil, nil
		return 0
	}
	f.state = zone.Unhealthy
	f.reason = fmt.Sprintf("healthy again (%s), answered when it has been for %s", f.reason, stabilisation)
	return left
}

// hasten ends the damping of members that look healthy again while no other one is: there is nothing to spare them for.
func hasten(all []finding) {
	for _, f := range all {
		if f.state == zone.Healthy && f.weight > 0 {
			return
		}
	}
	for i := range all {
		if f := &all[i]; f.recovering != nil {
			f.state, f.reason = zone.Healthy, "healthy again, answered at once since no other member is healthy"
			f.lost, f.recovering = nil, nil
		}
	}
}

// stamp is a time as it is stored: in seconds.
func stamp(t time.Time) *metav1.Time {
	at := metav1.NewTime(t.Truncate(time.Second))
	return &at
}

// leave takes the members that are left out of the answers, if there is another one to answer: a move never takes away
// the last place where something works.
func leave(all []finding) {
	isElsewhere := false
	for _, f := range all {
		isElsewhere = isElsewhere || !f.isLeft && f.state == zone.Healthy && f.weight > 0
	}
	for i := range all {
		f := &all[i]
		switch {
		case !f.isLeft:
		case f.state != zone.Healthy:
			f.isPointless = true
			f.state, f.reason = zone.Draining, "is being left; "+f.reason
		case isElsewhere:
			f.state, f.reason = zone.Draining, "is being left; "+f.reason
		default:
			f.reason = "is to be left, and stays until another member can take over; " + f.reason
		}
	}
}
