package propagate

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
)

// comeBackGrace is how long after its return a member that may pull its share back keeps what it runs, so that the next
// decision can count on it.
const comeBackGrace = 10 * time.Second

// running is what one chosen member runs, as far as the decision lets it.
type running struct {
	ready int64 // as its own status says; 0 if it cannot be reached
	share int64
}

// keepsReady reports whether the ready replicas that the decision keeps are as many as are wanted: then every member
// may go down to its share, all at the same time and in any order. wanted is never more than the decision gives out.
func keepsReady(wanted int64, chosen []running) (ready int64, isEnough bool) {
	var decided int64
	for _, r := range chosen {
		ready += min(r.ready, r.share)
		decided += r.share
	}
	return ready, ready >= min(wanted, decided)
}

// awaitsSuccessors says why the ready replicas of a member must not become fewer yet; empty if they may. share is what
// the member is to have.
//
// The decision moves replicas in steps, so a member that follows every decision loses none too early. One that was out
// of reach holds what older decisions gave it: it may be the only one that runs anything.
func (mw *memberWorker) awaitsSuccessors(f facts, share int64) string {
	if f.live == nil || f.template == nil || f.template.GetDeletionTimestamp() != nil || f.distribution.Spec.Replicas == nil {
		return ""
	}
	rule := mw.Rules.For(f.ref.GroupKind())
	if rule.Mode(f.template) == kinds.One { // there are never two of it
		return ""
	}
	here, _ := rule.Ready(f.live)
	if here <= share {
		return ""
	}
	if why := mw.mayPullBack(f, share); why != "" {
		return why
	}
	wanted := *f.distribution.Spec.Replicas
	ready, isEnough := keepsReady(wanted, mw.runningElsewhere(f, rule))
	if isEnough {
		return ""
	}
	return fmt.Sprintf("%d ready replicas stay until their successors are ready: %d of %d are", here-share, ready, wanted)
}

// runningElsewhere is what the chosen members run, this one included.
func (mw *memberWorker) runningElsewhere(f facts, rule kinds.Rule) []running {
	isScaled := f.distribution.Spec.Autoscaled
	chosen := make([]running, 0, len(f.distribution.Spec.Clusters))
	for i := range f.distribution.Spec.Clusters {
		c := &f.distribution.Spec.Clusters[i]
		r := running{share: ptr.Deref(c.Replicas, 0)}
		if live := mw.liveIn(member.Name(c.Name), f); live != nil {
			r.ready, _ = rule.Ready(live)
		}
		if isScaled { // its members' autoscalers decide how many it has
			r.share = max(r.share, r.ready)
		}
		chosen = append(chosen, r)
	}
	return chosen
}

// liveIn is a reachable member's object; nil if there is none.
func (mw *memberWorker) liveIn(name member.Name, f facts) *unstructured.Unstructured {
	m, ok := mw.Fleet.Get(name)
	if !ok || !m.State().IsReady() || f.kind.Resource == "" {
		return nil
	}
	live, _ := m.Objects(f.kind.GVR()).Get(f.ref.Namespace, f.ref.Name)
	return live
}

// mayPullBack says why a member that has just returned keeps what it runs: the placement lets it pull its share back,
// and what runs is not removed only to be made again.
func (mw *memberWorker) mayPullBack(f facts, share int64) string {
	key, isPlacement := PlacementOf(f.distribution)
	if share > 0 || !isPlacement || !f.isLeaving || time.Since(mw.member.State().Since) > comeBackGrace {
		return ""
	}
	if claimed, ok := mw.Claims.Get(key); !ok || !claimed.Policy.Failover.ComeBack {
		return ""
	}
	return "the cluster has just returned, and may get its share back"
}

// holdShare lets a member keep the replicas that it must not lose yet. All else of the object is brought up to date,
// except where pods have ordinals: another block of them would end pods that stay.
func (mw *memberWorker) holdShare(f *facts) (isHeld bool) {
	if f.share.Replicas == nil || f.distribution.Spec.Autoscaled {
		return false
	}
	why := mw.awaitsSuccessors(*f, *f.share.Replicas)
	if why == "" {
		return false
	}
	here, has := mw.Rules.For(f.ref.GroupKind()).Replicas(f.live)
	switch {
	case !has || here <= *f.share.Replicas: // it is on its way down already
		return false
	case f.share.OrdinalStart != nil:
		mw.record(*f, mw.held(*f, v1alpha1.VerdictPending, results.ReasonAwaitsSuccessors, why))
		return true
	}
	share := *f.share
	share.Replicas = &here
	f.share, f.held = &share, why
	return false
}

// isStillNeeded names what is to leave the member as well, is still there, and refers to the object; empty if nothing is.
func (mw *memberWorker) isStillNeeded(f facts) string {
	for d := range mw.Decisions.Needing(f.ref) {
		ref := template.RefOfDistribution(d)
		kind, ok := mw.Templates.Kind(ref.GroupKind())
		if !ok || ref == f.ref || !slices.Contains(d.Spec.Leaving, string(mw.member.Name())) {
			continue
		}
		entry, _ := mw.Results.Get(ref, mw.member.Name())
		hasEnded := entry.Verdict == v1alpha1.VerdictDeleted || entry.Verdict == v1alpha1.VerdictSkipped
		if _, isThere := mw.follow(kind.GVR()).Get(ref.Namespace, ref.Name); isThere && !hasEnded {
			return ref.String()
		}
	}
	return ""
}

// waitForSuccessors records that a copy that is to go stays for a while: what it runs is wanted, or another copy that
// stays needs it.
func (mw *memberWorker) waitForSuccessors(f facts) bool {
	if f.template == nil || f.live == nil {
		return false
	}
	why := mw.awaitsSuccessors(f, 0)
	if why == "" {
		if needing := mw.isStillNeeded(f); needing != "" {
			why = "it stays as long as " + needing + " does, which refers to it"
		}
	}
	if why != "" {
		mw.record(f, mw.held(f, v1alpha1.VerdictPending, results.ReasonAwaitsSuccessors, why))
	}
	return why != ""
}
