package propagate

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/delivery/results"
)

// foreseeAgain is how often a member is asked again what would be done there, where no news of the object can come.
const foreseeAgain = 5 * time.Minute

// foresee tells what an apply would do; nothing is written.
func (mw *memberWorker) foresee(ctx context.Context, f facts, rendered *unstructured.Unstructured) reconcile.Result {
	seen := sightOf(f.live) + revisionOf(rendered)
	if f.live != nil && f.entry.Reason == results.ReasonReportOnly && f.entry.Seen == seen {
		mw.record(f, f.entry)
		return reconcile.Result{}
	}
	changes, result := apply.Diff(ctx, mw.member, rendered, mw.applyOptions(f))
	entry := mw.held(f, v1alpha1.VerdictSkipped, results.ReasonReportOnly, wouldBe(f, changes, result))
	entry.Seen = seen
	mw.record(f, entry)
	switch {
	case !result.OK() && result.RetryAfter > 0:
		return mw.again(f.ref, result)
	case f.live == nil:
		return reconcile.Result{RequeueAfter: foreseeAgain}
	}
	return reconcile.Result{}
}

// wouldBe says what an apply would do.
func wouldBe(f facts, changes []apply.Change, result apply.Result) string {
	switch {
	case result.Reason == apply.ReasonNamespaceMissing:
		return "would be created, with its namespace " + f.ref.Namespace
	case result.Verdict == apply.Created:
		return "would be created"
	case result.Verdict == apply.Unchanged, result.OK() && len(changes) == 0 && result.Message == "":
		return "would be left as it is"
	case result.OK():
		return cmp.Or(result.Message, "would be changed: "+apply.Summary(changes))
	}
	return "would not be applied: " + string(result.Verdict) + " (" + string(result.Reason) + "): " + result.Message
}

// tellDrift enters how the member's object differs from what was applied, and leaves it so. It returns false when no
// field has another value than it should have: an apply then changes nothing but whose the fields are.
func (mw *memberWorker) tellDrift(ctx context.Context, f facts, rendered *unstructured.Unstructured) bool {
	seen := sightOf(f.live)
	if f.entry.Reason == results.ReasonDrifted && f.entry.Seen == seen {
		mw.record(f, f.entry)
		return true
	}
	message := "is gone in the member"
	if f.live != nil {
		changes, result := apply.Diff(ctx, mw.member, rendered, mw.applyOptions(f))
		switch {
		case result.OK() && len(changes) == 0:
			return false
		case result.Verdict == apply.Created: // it has gone meanwhile
		case result.OK():
			message = "somebody changed it in the member; undoing that would be: " + apply.Summary(changes)
		default:
			message = "somebody changed it in the member; how cannot be told: " + result.Message
		}
	}
	entry := mw.held(f, v1alpha1.VerdictSkipped, results.ReasonDrifted,
		message+"; it stays so until the template changes, or the placement says drift: Repair")
	entry.Seen = seen
	mw.record(f, entry)
	return true
}

// sightOf tells one state of a member's object from another, as far as its specification goes.
func sightOf(live *unstructured.Unstructured) string {
	switch {
	case live == nil:
		return "none"
	case live.GetGeneration() > 0:
		return apply.Fingerprint(live) + "/" + strconv.FormatInt(live.GetGeneration(), 10)
	}
	return apply.Fingerprint(live) + "/" + live.GetResourceVersion()
}
