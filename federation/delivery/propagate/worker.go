package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
)

// facts is everything that one step in one member depends on.
type facts struct {
	ref          template.Ref
	distribution *v1alpha1.Distribution
	cluster      *v1alpha1.Cluster
	template     *unstructured.Unstructured // nil: gone
	kind         template.Kind
	share        *v1alpha1.DistributionCluster // nil: not chosen
	isLeaving    bool
	live         *unstructured.Unstructured // nil: not in the member's cache
	isCacheReady bool
	entry        results.Entry
	hasEntry     bool
	// held says why the member keeps replicas that it is not to have; empty if it does not.
	held string
}

// isWanted reports whether the member is to have the object.
func (f facts) isWanted() bool {
	return f.share != nil && f.template != nil && f.template.GetDeletionTimestamp() == nil &&
		f.template.GetUID() == f.distribution.Spec.Template.UID
}

// isHeldBack reports whether nothing is to be changed in the member now.
func (f facts) isHeldBack() bool {
	return f.cluster.Spec.Paused || f.distribution.Spec.Paused || f.distribution.Spec.ReportOnly
}

// isStray reports whether the member has a copy of a template whose decision does not name the member: it was lost with
// the copy, left by force, and joined again.
func (f facts) isStray(hub apply.Hub) bool {
	return f.share == nil && !f.isLeaving && f.live != nil && apply.IsOurs(f.live, hub) &&
		apply.TemplateOf(f.live) == f.distribution.Spec.Template.UID
}

// Reconcile does one thing in one member.
func (mw *memberWorker) Reconcile(ctx context.Context, w work) (reconcile.Result, error) {
	if w.namespace != "" {
		return mw.cleanNamespace(ctx, w)
	}
	f, found, err := mw.gather(ctx, w.ref)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !found {
		mw.failures.Forget(w)
		return reconcile.Result{}, nil
	}
	switch {
	case f.isWanted():
		if mw.holdShare(&f) {
			return reconcile.Result{RequeueAfter: drainPoll}, nil
		}
		result := mw.bring(ctx, f)
		if f.held != "" && (result.RequeueAfter == 0 || result.RequeueAfter > drainPoll) {
			result.RequeueAfter = drainPoll
		}
		return result, nil
	case f.share != nil || f.isLeaving, f.isStray(mw.Hub):
		return mw.remove(ctx, f), nil
	}
	mw.Results.Forget(w.ref, mw.member.Name())
	return reconcile.Result{}, nil
}

// gather reads every fact from memory; found is false when no Distribution concerns the member.
func (mw *memberWorker) gather(ctx context.Context, ref template.Ref) (f facts, found bool, err error) {
	f = facts{ref: ref, distribution: &v1alpha1.Distribution{}, cluster: &v1alpha1.Cluster{}}
	namespace, name := ref.Distribution()
	err = mw.Cache.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, f.distribution)
	if apierrors.IsNotFound(err) || err == nil && template.RefOfDistribution(f.distribution) != ref {
		return f, false, nil
	}
	if err != nil {
		return f, false, fmt.Errorf("reading the distribution of %s: %w", ref, err)
	}
	err = mw.Cache.Get(ctx, client.ObjectKey{Name: string(mw.member.Name())}, f.cluster)
	if err != nil {
		return f, false, client.IgnoreNotFound(err)
	}
	for i := range f.distribution.Spec.Clusters {
		if f.distribution.Spec.Clusters[i].Name == string(mw.member.Name()) {
			f.share = &f.distribution.Spec.Clusters[i]
		}
	}
	f.isLeaving = slices.Contains(f.distribution.Spec.Leaving, string(mw.member.Name()))
	f.template, _ = mw.Templates.Get(ref)
	f.entry, f.hasEntry = mw.Results.Get(ref, mw.member.Name())
	kind, ok := mw.Templates.Kind(ref.GroupKind())
	if !ok {
		// The hub does not serve the kind any more; the Distribution still says which version the copies have.
		kind.GroupVersionKind = schema.FromAPIVersionAndKind(f.distribution.Spec.Template.APIVersion, ref.Kind)
	}
	f.kind = kind
	mw.look(&f)
	return f, true, nil
}

// look reads the member's cache of the kind, and starts it if need be.
func (mw *memberWorker) look(f *facts) {
	if f.kind.Resource == "" {
		return
	}
	objects := mw.follow(f.kind.GVR())
	f.isCacheReady = objects.HasSynced()
	f.live, _ = objects.Get(f.ref.Namespace, f.ref.Name)
}

// follow hears of our objects of one resource in the member.
func (mw *memberWorker) follow(gvr schema.GroupVersionResource) *member.Objects {
	objects := mw.member.Objects(gvr)
	mw.mu.Lock()
	isNew := !mw.watched[gvr]
	mw.watched[gvr] = true
	mw.mu.Unlock()
	if isNew {
		objects.Subscribe(&objectHandler{worker: mw})
	}
	return objects
}

// cacheWait is how long a member's cache is given to be read for the first time before it is looked at again, and
// recheckPaused how often what is held up from outside is.
const cacheWait = 50 * time.Millisecond

// wanted is the object that a member is to have.
type wanted struct {
	object *unstructured.Unstructured
	// revision is a hash of the object without the fields that are the member's.
	revision string
	// awaitsReplicas reports whether its replicas are an autoscaler's in the member, and that those are not known yet.
	awaitsReplicas bool
	// isApplied reports whether the member got it, whatever was done to it there since.
	isApplied bool
	// isCurrent reports whether the last verdict is about this very object and decision.
	isCurrent bool
}

// awaitsReplicas reports whether the object cannot be rendered before the member's cache has been read: an autoscaler
// there owns its replicas, and without them it would be applied with those that it began with.
func (mw *memberWorker) awaitsReplicas(f facts) bool {
	isServed := mw.member.State().APIs.Count == 0 || mw.member.HasAPI(f.kind.GroupVersionKind)
	return !f.isCacheReady && isServed && mw.isAutoscaled(f.ref)
}

// isApplied reports whether the last apply brought what is wanted. Where that cannot be rendered, the template's
// generation says so.
func (f facts) isApplied(w wanted) bool {
	isSame := f.entry.Revision == w.revision
	if w.awaitsReplicas {
		isSame = f.entry.TemplateGeneration == f.template.GetGeneration()
	}
	return f.hasEntry && f.entry.InPlace() && isSame
}

// isCurrent reports whether the last verdict is about what is wanted now, so that it is the last word until the member can be
// asked again: a hub that restarts, or a member that was away, makes no news of an old conflict. What was stored does
// not say what it was about; unless it was an apply that went well, it is taken to be about the present.
func (f facts) isCurrent(w wanted) bool {
	isSame := f.entry.Tried == w.revision || f.entry.Tried == "" && !f.entry.InPlace()
	return f.hasEntry && f.entry.Decision == f.distribution.Generation && isSame && f.entry.Reason != results.ReasonPaused
}

// bring makes the member's object be as it is wanted.
func (mw *memberWorker) bring(ctx context.Context, f facts) reconcile.Result {
	rendered, err := mw.render(f)
	if err != nil {
		mw.record(f, mw.held(f, v1alpha1.VerdictFailed, "CannotRender", err.Error()))
		return reconcile.Result{}
	}
	w := wanted{object: rendered, revision: revisionOf(apply.Without(rendered, f.distribution.Spec.IgnoreFields))}
	w.awaitsReplicas = mw.awaitsReplicas(f)
	w.isApplied, w.isCurrent = f.isApplied(w), f.isCurrent(w)
	if why := f.hasEnded(mw.Rules.For(f.ref.GroupKind()), mw.member.Name()); why != "" {
		switch {
		case f.isCacheReady:
		case mw.member.State().IsReady():
			return reconcile.Result{RequeueAfter: cacheWait}
		default: // whether the copy is there is not known; it is looked at again when the member can be asked
			mw.record(f, f.entry)
			return reconcile.Result{}
		}
		mw.record(f, mw.held(f, v1alpha1.VerdictSkipped, results.ReasonEnded, why))
		return reconcile.Result{}
	}
	f.entry.Tried = w.revision // what is entered now is about this
	if result, ends := mw.refrain(ctx, f, w); ends {
		return result
	}
	if holder := mw.holder(f); holder != "" {
		mw.record(f, mw.held(f, v1alpha1.VerdictPending, "HeldElsewhere",
			"it runs in one cluster at a time, and "+holder+" still has it"))
		return reconcile.Result{RequeueAfter: holderWait}
	}
	return mw.put(ctx, f, w)
}

// hasEnded says why an object that is not in the member is not made there: its work is done, and would be done again.
func (f facts) hasEnded(rule kinds.Rule, name member.Name) string {
	if f.live != nil || !rule.MayEnd() {
		return ""
	}
	if rule.HasEnded(f.template) {
		return "its work has ended, so it is not made again"
	}
	for _, o := range f.distribution.Status.Clusters {
		if o.Name != string(name) || o.Status == nil {
			continue
		}
		status := map[string]any{}
		if json.Unmarshal(o.Status.Raw, &status) == nil && rule.EndedIn(status) {
			return "its work in this member has ended, so it is not made again"
		}
	}
	return ""
}

// refrain ends what needs no apply, or must have none now.
func (mw *memberWorker) refrain(ctx context.Context, f facts, w wanted) (result reconcile.Result, ends bool) {
	spec, state := f.distribution.Spec, mw.member.State()
	switch {
	case (w.isApplied || w.awaitsReplicas) && !f.isCacheReady && state.IsReady():
		return reconcile.Result{RequeueAfter: cacheWait}, true
	case w.isApplied && (!f.isCacheReady || isAsApplied(f)):
		mw.record(f, stillApplied(f))
		mw.failures.Forget(work{ref: f.ref})
	case spec.Paused || f.cluster.Spec.Paused:
		mw.record(f, mw.held(f, v1alpha1.VerdictSkipped, results.ReasonPaused,
			"nothing is changed in the member while it, or the placement, is paused"))
	case !state.IsReady() && w.isCurrent:
		mw.record(f, f.entry)
	case !state.IsReady(): // looked at again when it is
		mw.record(f, mw.held(f, v1alpha1.VerdictPending, "MemberNotReady", string(state.Reason)+": "+state.Message))
	case spec.ReportOnly:
		return mw.foresee(ctx, f, w.object), true
	case mw.isEmptied(f) && mw.waitForDrain(ctx, f):
		return reconcile.Result{RequeueAfter: drainPoll}, true
	case w.isApplied && spec.Drift == v1alpha1.DriftReport:
		return reconcile.Result{}, mw.tellDrift(ctx, f, w.object)
	case w.isApplied:
		wait := mw.contentionOf(f.ref).wait(time.Now())
		if wait == 0 {
			return reconcile.Result{}, false
		}
		mw.record(f, mw.held(f, v1alpha1.VerdictPending, results.ReasonContended, mw.contentionOf(f.ref).message()))
		return reconcile.Result{RequeueAfter: wait}, true
	default:
		return reconcile.Result{}, false
	}
	return reconcile.Result{}, true
}

// put applies the object, and enters what became of it.
func (mw *memberWorker) put(ctx context.Context, f facts, w wanted) reconcile.Result {
	result := apply.Apply(ctx, mw.member, w.object, mw.applyOptions(f))
	if result.Reason == apply.ReasonNamespaceMissing {
		if made := apply.EnsureNamespace(ctx, mw.member, mw.Hub, f.ref.Namespace); made.OK() {
			result = apply.Apply(ctx, mw.member, w.object, mw.applyOptions(f))
		} else {
			result = made
		}
	}
	if result.Reason == apply.ReasonKindMissing {
		mw.awaitDefinition(f, &result)
	}
	entry := mw.held(f, v1alpha1.Verdict(result.Verdict), string(result.Reason), result.Message)
	entry.Seen = ""
	if w.isApplied {
		entry.Reason, entry.Message = repaired(f, result)
		mw.noteRepair(f.ref, entry.Reason, result)
	}
	if result.OK() && result.Verdict != apply.Skipped {
		entry.Revision, entry.Fingerprint, entry.Generation = w.revision, result.Fingerprint, result.Generation
		entry.TemplateGeneration = f.template.GetGeneration()
	}
	mw.record(f, entry)
	return mw.again(f.ref, result)
}

// awaitDefinition says what an object waits for whose kind the member does not serve, when the kind's definition is on its
// way there.
func (mw *memberWorker) awaitDefinition(f facts, result *apply.Result) {
	definition := template.Ref{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition",
		Name: f.kind.Resource + "." + f.ref.Group}
	entry, isComing := mw.Results.Get(definition, mw.member.Name())
	switch {
	case !isComing || entry.Verdict == v1alpha1.VerdictDeleted:
		return
	case entry.Good():
		result.Message = fmt.Sprintf("waits until the member serves its kind: %s has just come", definition)
	default:
		result.Message = fmt.Sprintf("waits for %s, which is %s: %s", definition, entry.Verdict, entry.Message)
	}
	result.Verdict = apply.Pending
}

// repaired reports whether an apply of what had been applied before undid what somebody did in the member.
func repaired(f facts, result apply.Result) (reason, message string) {
	switch {
	case result.Reason != "":
	case result.Verdict == apply.Created && f.live == nil:
		return results.ReasonRepaired, "somebody deleted it in the member; it was made again"
	case result.Verdict == apply.Configured && result.TakenBack != "":
		return results.ReasonRepaired, "somebody changed it in the member; it was brought back: " + result.TakenBack
	case result.Verdict == apply.Configured && f.live != nil:
		return results.ReasonRepaired, "somebody changed it in the member; it was brought back"
	}
	return string(result.Reason), result.Message
}

// stillApplied is the entry of an object that is as the last apply left it.
func stillApplied(f facts) results.Entry {
	entry := f.entry
	entry.TemplateGeneration = f.template.GetGeneration()
	isStale := entry.Reason == results.ReasonDrifted || entry.Reason == results.ReasonContended ||
		entry.Reason == results.ReasonAwaitsSuccessors
	if isStale && f.isCacheReady {
		entry.Verdict, entry.Reason, entry.Message, entry.Seen = v1alpha1.VerdictUnchanged, "", "", ""
	}
	return entry
}

// isAsApplied reports whether the member's object is as the last apply left it.
func isAsApplied(f facts) bool {
	return f.live != nil && f.live.GetDeletionTimestamp() == nil && f.entry.Fingerprint != "" &&
		apply.Fingerprint(f.live) == f.entry.Fingerprint
}

// held is the entry of what is not done now; what was applied before stays known.
func (mw *memberWorker) held(f facts, verdict v1alpha1.Verdict, reason, message string) results.Entry {
	entry := f.entry
	entry.Verdict, entry.Reason, entry.Message = verdict, reason, message
	return entry
}

// record enters the outcome, with the decision that it is for.
func (mw *memberWorker) record(f facts, entry results.Entry) {
	entry.Decision = f.distribution.Generation
	if f.held != "" && (entry.Good() || entry.Reason == results.ReasonAwaitsSuccessors) {
		entry.Verdict, entry.Reason, entry.Message = v1alpha1.VerdictPending, results.ReasonAwaitsSuccessors, f.held
	}
	mw.Results.Record(f.ref, mw.member.Name(), entry)
}

// ApplyOptions are what a decision says of how an object is to be applied.
func ApplyOptions(hub apply.Hub, templateUID types.UID, decided *v1alpha1.DistributionSpec) apply.Options {
	return apply.Options{
		Hub:         hub,
		TemplateUID: templateUID,
		OnConflict:  apply.OnConflict(decided.OnConflict),
		Recreate:    decided.OnImmutable == v1alpha1.ImmutableRecreate,
		Ignore:      decided.IgnoreFields,
	}
}

func (mw *memberWorker) applyOptions(f facts) apply.Options {
	options := ApplyOptions(mw.Hub, f.template.GetUID(), &f.distribution.Spec)
	options.Live = f.live
	return options
}

// remove takes the member's object away, or takes our marks off it.
func (mw *memberWorker) remove(ctx context.Context, f facts) reconcile.Result {
	switch {
	case f.hasEntry && f.entry.Verdict == v1alpha1.VerdictDeleted && f.isCacheReady && f.live == nil:
		mw.record(f, f.entry)
		return reconcile.Result{}
	case f.isHeldBack() && f.entry.Revision == "" && f.isCacheReady && f.live == nil:
		mw.record(f, results.Entry{Verdict: v1alpha1.VerdictDeleted}) // it was never there
		return reconcile.Result{}
	case f.cluster.Spec.Paused || f.distribution.Spec.Paused:
		mw.record(f, mw.held(f, v1alpha1.VerdictPending, results.ReasonPaused,
			"the copy is removed when the member, or the placement, is no longer paused"))
		return reconcile.Result{}
	case f.distribution.Spec.ReportOnly:
		mw.record(f, mw.held(f, v1alpha1.VerdictPending, results.ReasonReportOnly,
			"the copy would be removed; it is when the placement no longer only reports"))
		return reconcile.Result{}
	case mw.member.State().IsReady() && mw.waitForSuccessors(f):
		return reconcile.Result{RequeueAfter: drainPoll}
	case f.template != nil && mw.waitForDrain(ctx, f):
		return reconcile.Result{RequeueAfter: drainPoll}
	case !mw.member.State().IsReady() && f.isRemovalCurrent():
		mw.record(f, f.entry)
		return reconcile.Result{}
	case !mw.member.State().IsReady():
		mw.record(f, mw.held(f, v1alpha1.VerdictPending, "MemberNotReady", "the copy is removed when the member can be reached again"))
		return reconcile.Result{}
	}
	isOrphaned := f.distribution.Spec.OnDelete == v1alpha1.OrphanCopies ||
		f.cluster.Annotations[v1alpha1.OnDeleteAnnotation] == string(v1alpha1.OrphanCopies)
	ref := apply.Ref{GVK: f.kind.GroupVersionKind, Namespace: f.ref.Namespace, Name: f.ref.Name}
	result := apply.Delete(ctx, mw.member, ref, apply.DeleteOptions{
		Hub:         mw.Hub,
		TemplateUID: f.distribution.Spec.Template.UID,
		Orphan:      isOrphaned,
		Live:        f.live,
	})
	mw.record(f, results.Entry{
		Verdict: v1alpha1.Verdict(result.Verdict),
		Reason:  string(result.Reason),
		Message: result.Message,
	})
	if result.Verdict == apply.Deleted && f.ref.Namespace != "" {
		mw.lookAtNamespace(f.ref.Namespace)
	}
	return mw.again(f.ref, result)
}

// isRemovalCurrent reports whether the last verdict is about the removal that is wanted now, see isCurrent.
func (f facts) isRemovalCurrent() bool {
	isOpen := f.entry.Verdict == v1alpha1.VerdictFailed || f.entry.Verdict == v1alpha1.VerdictPending
	return f.hasEntry && f.entry.Decision == f.distribution.Generation && isOpen && f.entry.Reason != results.ReasonPaused
}

// again says when to try again what did not succeed.
func (mw *memberWorker) again(ref template.Ref, result apply.Result) reconcile.Result {
	if result.RetryAfter == 0 {
		mw.failures.Forget(work{ref: ref})
		return reconcile.Result{}
	}
	delay := result.RetryAfter
	if result.Backoff {
		delay = max(delay, mw.failures.When(work{ref: ref}))
	}
	return reconcile.Result{RequeueAfter: delay}
}

// firstBackoff is the delay after the first failure; it doubles with every failure in a row, up to maxBackoff.
const (
	firstBackoff = time.Second
	maxBackoff   = 2 * time.Minute
)

// newFailures counts the failures in a row of each piece of work.
func newFailures() workqueue.TypedRateLimiter[work] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[work](firstBackoff, maxBackoff)
}

// turned reports whether the member can be worked with and could not before, and that it serves other kinds than
// before.
func (mw *memberWorker) turned() (ready, kinds bool) {
	state := mw.member.State()
	mw.mu.Lock()
	defer mw.mu.Unlock()
	ready, kinds = state.IsReady() && !mw.isReady, state.APIs.Hash != mw.apis
	mw.isReady, mw.apis = state.IsReady(), state.APIs.Hash
	return ready, kinds
}

// news hears of changes of our objects in the member.
type objectHandler struct{ worker *memberWorker }

var _ member.Handler = &objectHandler{}

// OnAdd implements member.Handler.
func (n *objectHandler) OnAdd(obj *unstructured.Unstructured) { n.check(obj) }

// OnUpdate implements member.Handler.
func (n *objectHandler) OnUpdate(_, obj *unstructured.Unstructured) { n.check(obj) }

// OnDelete implements member.Handler.
func (n *objectHandler) OnDelete(last *unstructured.Unstructured) {
	n.worker.add(template.RefOf(last), 0)
}

// check queues an object that is not as the last apply left it.
func (n *objectHandler) check(obj *unstructured.Unstructured) {
	ref := template.RefOf(obj)
	entry, known := n.worker.Results.Get(ref, n.worker.member.Name())
	if known && entry.Fingerprint == apply.Fingerprint(obj) && obj.GetDeletionTimestamp() == nil {
		return
	}
	if entry.Revision == "" && known {
		return // an apply is under way, or failed and will be tried again
	}
	n.worker.add(ref, 0)
}
