package placement

import (
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// filter asks the filters about every candidate. Each says what the candidate may do, with a reason unless it is
// welcome.
//
// Their order is that in which reasons are given: what the user asked for first, then what an operator did to the
// cluster, then what the cluster is able to do. The gravest verdict decides; its first reason is the first reason.
// They are called by name, not out of a list, because what a function in a list is given must be on the heap.
func (d *deciding) filter() {
	for i := range d.list {
		c := &d.list[i]
		hear := func(s standing, why Reason) {
			if s != welcome {
				d.reject(c, s, why.Code, why.Message)
			}
		}
		hear(chosen(c))
		if c.standing == discarded { // no term, or weight 0: nothing else matters
			continue
		}
		hear(permitted(c)) // whose author may not use the cluster asks for nothing there
		if c.standing == discarded {
			continue
		}
		hear(reachable(d, c)) // before all that supposes that something can be done there
		hear(notPaused(c))    // nothing is written there
		hear(notDraining(c))  // emptied by an operator
		hear(notCordoned(c))  // closed by an operator
		hear(servesAPI(d, c)) // the object cannot exist there without
		hear(toleratesTaints(d, c))
		hear(backForGood(d, c)) // returned from a failover long enough ago
		hear(roomForOne(d, c))  // last: it is what changes most often
	}
}

// reject records a reason; the gravest standing holds, and its first reason comes first.
func (d *deciding) reject(c *candidate, s standing, code Code, message string) {
	r := Reason{code, message}
	if s == leaves && d.in.Policy.Rebalance == RebalanceNever {
		s = keeps
	}
	if c.why.Code == "" {
		c.why = r
	} else {
		if len(c.more) == 0 {
			c.more = append(c.more, c.why)
		}
		c.more = append(c.more, r)
		if s > c.standing {
			c.why = r
		}
	}
	c.standing = max(c.standing, s)
}

func chosen(c *candidate) (standing, Reason) {
	switch {
	case c.why.Code == CodeExpression:
		return welcome, Reason{} // said already: what it has stays until the expression can be judged
	case c.term == nil:
		return discarded, Reason{CodeNotSelected, "no term of the placement chooses it"}
	case c.weight <= 0:
		return discarded, Reason{CodeZeroWeight, "its weight is 0"}
	case c.max == 0:
		return discarded, Reason{CodeMaxZero, "its maximum is 0"}
	}
	return welcome, Reason{}
}

func reachable(d *deciding, c *candidate) (standing, Reason) {
	if c.cluster.Ready {
		return welcome, Reason{}
	}
	after := d.failoverAfter()
	trouble := "it is out of reach"
	if c.cluster.Trouble != "" {
		trouble = c.cluster.Trouble
	}
	if c.cluster.Since.IsZero() || after < 0 {
		return frozen, Reason{CodeNotReady, trouble}
	}
	if d.in.Sight.Blind {
		return frozen, Reason{CodeNotReady, "it is out of reach, as all clusters are; nothing moves until one can be reached"}
	}
	out := d.in.Now.Sub(d.outSince(c))
	if out < after {
		d.recheckIn(after - out)
		return frozen, Reason{CodeNotReady,
			trouble + " for " + short(out) + " and counts as lost after " + short(after)}
	}
	if c.cluster.Trouble != "" {
		return lost, Reason{CodeLost, "it is lost: " + trouble + " for more than " + short(after)}
	}
	return lost, Reason{CodeLost, "it is lost: out of reach for more than " + short(after)}
}

// outSince is when a cluster that is out of reach began to be, as far as it was looked at. A time in the future is that of
// a clock that has been set back.
func (d *deciding) outSince(c *candidate) time.Time {
	since := c.cluster.Since
	if since.Before(d.in.Sight.Since) || since.After(d.in.Now) && !d.in.Sight.Since.IsZero() {
		return d.in.Sight.Since
	}
	return since
}

func (d *deciding) failoverAfter() time.Duration {
	if d.in.Policy.Failover.After == 0 {
		return DefaultFailoverAfter
	}
	return d.in.Policy.Failover.After
}

func notPaused(c *candidate) (standing, Reason) {
	if c.cluster.Paused {
		return frozen, Reason{CodePaused, "it is paused"}
	}
	return welcome, Reason{}
}

// draining is the message of CodeDraining.
const draining = "it is being drained"

func notDraining(c *candidate) (standing, Reason) {
	if c.cluster.Draining {
		return leaves, Reason{CodeDraining, draining}
	}
	return welcome, Reason{}
}

func permitted(c *candidate) (standing, Reason) {
	switch {
	case c.cluster.NotPermitted == "":
		return welcome, Reason{}
	case c.held || c.heldBefore:
		return keeps, Reason{CodeNotPermitted, c.cluster.NotPermitted}
	}
	return discarded, Reason{CodeNotPermitted, c.cluster.NotPermitted}
}

func notCordoned(c *candidate) (standing, Reason) {
	if c.cluster.Cordoned {
		return keeps, Reason{CodeCordoned, "it is cordoned"}
	}
	return welcome, Reason{}
}

func servesAPI(d *deciding, c *candidate) (standing, Reason) {
	api := d.in.Object.API
	if c.cluster.APIs == nil || api == (API{}) || c.cluster.APIs[api] {
		return welcome, Reason{}
	}
	name := api.Version
	if api.Group != "" {
		name = api.Group + "/" + api.Version
	}
	c.mustGo = true
	return leaves, Reason{CodeNoAPI, "it does not serve " + api.Kind + " in " + name}
}

func toleratesTaints(d *deciding, c *candidate) (standing, Reason) {
	worst, why := welcome, Reason{}
	for i := range c.cluster.Taints {
		t := &c.cluster.Taints[i]
		s, r := d.judgeTaint(t)
		if s == leaves && t.Key == DrainTaint {
			r = Reason{CodeDraining, draining}
		}
		c.mustGo = c.mustGo || s == leaves && t.Key != DrainTaint
		if s > worst {
			worst, why = s, r
		}
	}
	return worst, why
}

func (d *deciding) judgeTaint(t *Taint) (standing, Reason) {
	if t.Effect != NoSchedule && t.Effect != NoExecute {
		return welcome, Reason{}
	}
	borne, seconds := false, int64(-1) // seconds < 0: for ever
	for i := range d.in.Policy.Tolerations {
		o := &d.in.Policy.Tolerations[i]
		if !o.bears(t) {
			continue
		}
		if t.Effect == NoSchedule || o.Seconds == nil {
			return welcome, Reason{}
		}
		borne, seconds = true, max(seconds, *o.Seconds, 0)
	}
	switch {
	case !borne && t.Effect == NoSchedule:
		return keeps, Reason{CodeTaint, t.untolerated()}
	case !borne:
		return leaves, Reason{CodeTaint, t.untolerated()}
	}
	patience := time.Duration(min(seconds, maxSeconds)) * time.Second
	left := patience - d.in.Now.Sub(t.TimeAdded)
	if left <= 0 {
		return leaves, Reason{CodeTaint, "its taint " + t.String() + " is tolerated for " + short(patience) + " only"}
	}
	d.recheckIn(left)
	return keeps, Reason{CodeTaintSoon, "its taint " + t.String() + " is tolerated for another " + short(left)}
}

// maxSeconds keeps durations from wrapping; it is more than a hundred years.
const maxSeconds = 1 << 32

// bears follows Kubernetes: an empty key bears every taint.
func (o *Toleration) bears(t *Taint) bool {
	if o.Effect != "" && o.Effect != t.Effect {
		return false
	}
	if o.Key == "" {
		return o.Exists
	}
	return o.Key == t.Key && (o.Exists || o.Value == t.Value)
}

// String prints key=value:effect, as kubectl does.
func (t *Taint) String() string {
	if t.Value == "" {
		return t.Key + ":" + string(t.Effect)
	}
	return t.Key + "=" + t.Value + ":" + string(t.Effect)
}

// untolerated is made in one piece: it is what most rejections of large fleets say.
func (t *Taint) untolerated() string {
	if t.Value == "" {
		return "its taint " + t.Key + ":" + string(t.Effect) + " is not tolerated"
	}
	return "its taint " + t.String() + " is not tolerated"
}

// backForGood makes a cluster that returned from a failover prove itself as long as it was given to fail.
func backForGood(d *deciding, c *candidate) (standing, Reason) {
	if len(d.away) == 0 || !c.cluster.Ready || c.cluster.Since.IsZero() || !d.isAway(c) {
		return welcome, Reason{}
	}
	after := d.failoverAfter()
	back := d.in.Now.Sub(c.cluster.Since)
	if back >= after {
		return welcome, Reason{}
	}
	d.recheckIn(after - back)
	return keeps, Reason{CodeJustBack,
		"it is back for " + short(back) + " and gets new replicas after " + short(after)}
}

func (d *deciding) isAway(c *candidate) bool {
	for _, name := range d.away {
		if name == c.cluster.Name {
			return true
		}
	}
	return false
}

// roomForOne computes what fits, for it is needed in the division as well.
func roomForOne(d *deciding, c *candidate) (standing, Reason) {
	if d.mode == ModeAll {
		return welcome, Reason{}
	}
	if c.cluster.Free == nil {
		if d.byCapacity {
			return keeps, Reason{CodeCapacityHidden, "its free capacity is not known"}
		}
		return welcome, Reason{}
	}
	room := roomFor(d.in.Object.Requests, c.cluster.Free)
	if c.stuck > 0 {
		room = 0
	}
	// Replicas that are not ready may not have taken their room yet: counting it twice would overcommit the member.
	c.fit = max(c.replicas-c.stuck, addUpTo(c.ready, room))
	c.most = max(c.fit, addUpTo(c.replicas-c.stuck, room))
	switch {
	case d.in.Policy.Overflow == OverflowPending:
		return welcome, Reason{}
	case c.stuck > 0:
		return keeps, Reason{CodeUnschedulable, "it cannot run " + count(c.stuck, "replica", "replicas") + " it has"}
	case d.mode != ModeDivide && c.fit < d.replicas:
		return keeps, Reason{CodeNoCapacity, "it has room for " + count(c.fit, "replica", "replicas") + " only"}
	case room == 0 && d.mode == ModeDivide:
		return keeps, Reason{CodeNoCapacity, "it has no room for another replica"}
	}
	return welcome, Reason{}
}

// short prints a duration without needless zeros: 90s as 1m30s, 60s as 1m.
func short(t time.Duration) string {
	t = t.Round(time.Second)
	s := t.String()
	if t >= time.Minute && t%time.Minute == 0 {
		s = s[:len(s)-len("0s")]
	}
	if t >= time.Hour && t%time.Hour == 0 {
		s = s[:len(s)-len("0m")]
	}
	return s
}

func labelsOf(m map[string]string) labels.Labels { return labels.Set(m) }
