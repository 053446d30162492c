package expose

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/names/acks"
)

// margin is added to the TTL of the last answer that may name a member: resolvers round, and clients are slow.
const margin = 10 * time.Second

// drain says how far the answers have left a member:
//
//  1. A snapshot without the member is published; its serial is the version.
//  2. Every DNS server answers from that version, or has not been heard of for long.
//  3. The longest TTL of the answers that were given before passes, and a margin.
//  4. Nothing leads to the member any more; what is there may go.
//
// nil: the member is not being left, or is still answered.
func drain(w world, gs *v1alpha1.GlobalService, cluster string, f finding, serial uint32, ttl int32) *v1alpha1.DrainStatus {
	if !f.isLeft || f.state != zone.Draining {
		return nil
	}
	d := &v1alpha1.DrainStatus{Version: int64(serial), Since: *stamp(w.now)}
	if before := statusOf(gs, cluster); before != nil && before.Drain != nil {
		d = before.Drain.DeepCopy()
	}
	if f.isPointless && !d.Done {
		d.Done, d.Message = true, "it was not healthy: nobody was served there"
	}
	if d.Done {
		return d
	}
	if d.Until == nil {
		if behind := acks.Lag(w.nameservers, uint32(d.Version), w.now); len(behind) > 0 {
			d.Message = "waiting for the DNS servers that still answer with it: " + strings.Join(behind, ", ")
			return d
		}
		d.Until = stamp(w.now.Add(time.Duration(ttl)*time.Second + margin + time.Second - 1))
	}
	d.Message = "answers with it may be kept until " + d.Until.UTC().Format(time.TimeOnly)
	if !w.now.Before(d.Until.Time) {
		d.Done, d.Message = true, "no answer leads there any more"
	}
	return d
}

// keptTTL is the longest TTL, in seconds, of answers that may still be kept, and until when that holds; nil: as long as
// answers are given with it.
func keptTTL(gs *v1alpha1.GlobalService, now time.Time) (int32, *metav1.Time) {
	before, until := gs.Status.TTL, gs.Status.TTLUntil
	switch {
	case gs.Spec.TTL >= before, until != nil && !now.Before(until.Time):
		return gs.Spec.TTL, nil
	case until == nil:
		return before, stamp(now.Add(time.Duration(before+1) * time.Second))
	}
	return before, until
}

// drained is the condition about all members that are being left; false: there are none.
func drained(status *v1alpha1.GlobalServiceStatus) (isDone bool, message string, ok bool) {
	isDone = true
	var parts []string
	for _, c := range status.Clusters {
		if c.Drain == nil {
			continue
		}
		isDone = isDone && c.Drain.Done
		parts = append(parts, fmt.Sprintf("%s: %s", c.Name, c.Drain.Message))
	}
	return isDone, strings.Join(parts, "; "), len(parts) > 0
}

// nextDrain is when a drain may get on by time alone; 0: none waits.
func nextDrain(status *v1alpha1.GlobalServiceStatus, now time.Time) time.Duration {
	var next soonest
	for _, c := range status.Clusters {
		switch {
		case c.Drain == nil || c.Drain.Done:
		case c.Drain.Until == nil:
			next.in(time.Second) // a DNS server is waited for; its report wakes us as well
		default:
			next.in(max(c.Drain.Until.Sub(now), time.Millisecond))
		}
	}
	if until := status.TTLUntil; until != nil {
		next.in(max(until.Sub(now), time.Second))
	}
	return next.after
}
