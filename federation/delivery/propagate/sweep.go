package propagate

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hanse-federation/hanse/federation/template"
)

// DefaultSweep is in which time everything in a member is compared with what is wanted, whatever its watches tell.
const DefaultSweep = 10 * time.Minute

// sweepIdle is how often a member is looked at that has nothing to compare.
const sweepIdle = 10 * time.Second

// sweep reads one kind after the other anew from the member, and looks at all its templates, until the context ends: a
// watch that is mute, or an event that was lost, hides no difference for longer than a round takes. A list a kind and
// round is what it costs the member.
func (mw *memberWorker) sweep(ctx context.Context, round time.Duration) {
	var left []schema.GroupVersionResource
	for {
		if len(left) == 0 {
			left = mw.followed()
		}
		pause := sweepIdle
		if kinds := len(mw.followed()); kinds > 0 {
			pause = wait.Jitter(round/time.Duration(kinds+1), 0.1)
		}
		timer := time.NewTimer(min(pause, round))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if len(left) == 0 || !mw.member.State().IsReady() {
			continue
		}
		mw.compareAgain(left[0])
		left = left[1:]
	}
}

// compareAgain reads the objects of a resource anew, and looks at the templates of its kind.
func (mw *memberWorker) compareAgain(gvr schema.GroupVersionResource) {
	mw.follow(gvr).Refresh()
	mw.each(func(ref template.Ref) bool {
		kind, ok := mw.Templates.Kind(ref.GroupKind())
		return ok && kind.GVR() == gvr
	})
}

// followed are the resources whose changes are heard of, in a stable order.
func (mw *memberWorker) followed() []schema.GroupVersionResource {
	mw.mu.Lock()
	defer mw.mu.Unlock()
	return slices.SortedFunc(maps.Keys(mw.watched), func(a, b schema.GroupVersionResource) int {
		return strings.Compare(a.String(), b.String())
	})
}
