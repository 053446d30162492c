package propagate

import (
	"time"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/member"
)

// holderWait is how often the next cluster of what runs in one at a time looks whether the last one has let go.
const holderWait = 250 * time.Millisecond

// holder names the member that must let go of an object before this one gets it: of a CronJob, and of everything else
// that goes to exactly one cluster, there are never two, so that no schedule is kept twice. A member that cannot be
// reached holds up nobody: the decision to leave it was taken knowing that, and who has been cut off may still run what
// it had until it is back.
func (mw *memberWorker) holder(f facts) string {
	if f.live != nil || len(f.distribution.Spec.Clusters) != 1 || len(f.distribution.Spec.Leaving) == 0 ||
		mw.Rules.For(f.ref.GroupKind()).Mode(f.template) != kinds.One {
		return ""
	}
	isReachable := func(name string) bool {
		m, ok := mw.Fleet.Get(member.Name(name))
		return ok && m.State().IsReady()
	}
	return firstHolder(f.distribution.Spec.Leaving, mw.Results.Of(f.ref), f.distribution.Generation, isReachable)
}

// firstHolder is the first of the members that are being left whose copy is not known to be gone.
func firstHolder(
	leaving []string, entries map[member.Name]results.Entry, decision int64, isReachable func(string) bool,
) string {
	for _, name := range leaving {
		entry := entries[member.Name(name)]
		isGone := entry.Decision == decision && (entry.Verdict == v1alpha1.VerdictDeleted || entry.Verdict == v1alpha1.VerdictSkipped)
		if !isGone && isReachable(name) {
			return name
		}
	}
	return ""
}
