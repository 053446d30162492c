package propagate

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/apply"
	"github.com/hanse-federation/hanse/federation/ledger"
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
	entry        ledger.Entry
	hasEntry     bool
}

// isWanted tells that the member is to have the object.
func (f facts) isWanted() bool {
	return f.share != nil && f.template != nil && f.template.GetDeletionTimestamp() == nil &&
		f.template.GetUID() == f.distribution.Spec.Template.UID
}

// isHeldBack tells that nothing is to be changed in the member now.
func (f facts) isHeldBack() bool {
	return f.cluster.Spec.Paused || f.distribution.Spec.Paused || f.distribution.Spec.ReportOnly
}

// isStray tells that the member has a copy of a template whose decision does not name the member: it was lost with the
// copy, left by force, and joined again.
func (f facts) isStray(hub apply.Hub) bool {
	return f.share == nil && !f.isLeaving && f.live != nil && apply.IsOurs(f.live, hub) &&
		apply.TemplateOf(f.live) == f.distribution.Spec.Template.UID
}

// Reconcile does one thing in one member.
func (l *lane) Reconcile(ctx context.Context, w work) (reconcile.Result, error) {
	if w.namespace != "" {
		return l.cleanNamespace(ctx, w)
	}
	f, found, err := l.gather(ctx, w.ref)
	if err != nil || !found {
		return reconcile.Result{}, err
	}
	switch {
	case f.isWanted():
		return l.bring(ctx, f), nil
	case f.share != nil || f.isLeaving, f.isStray(l.Hub):
		return l.remove(ctx, f), nil
	}
	l.Ledger.Forget(w.ref, l.member.Name())
	return reconcile.Result{}, nil
}

// gather reads every fact from memory; found is false when no Distribution concerns the member.
func (l *lane) gather(ctx context.Context, ref template.Ref) (f facts, found bool, err error) {
	f = facts{ref: ref, distribution: &v1alpha1.Distribution{}, cluster: &v1alpha1.Cluster{}}
	namespace, name := ref.Distribution()
	err = l.Cache.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, f.distribution)
	if apierrors.IsNotFound(err) || err == nil && template.RefOfDistribution(f.distribution) != ref {
		return f, false, nil
	}
	if err != nil {
		return f, false, fmt.Errorf("reading the distribution of %s: %w", ref, err)
	}
	err = l.Cache.Get(ctx, client.ObjectKey{Name: string(l.member.Name())}, f.cluster)
	if err != nil {
		return f, false, client.IgnoreNotFound(err)
	}
	for i := range f.distribution.Spec.Clusters {
		if f.distribution.Spec.Clusters[i].Name == string(l.member.Name()) {
			f.share = &f.distribution.Spec.Clusters[i]
		}
	}
	f.isLeaving = slices.Contains(f.distribution.Spec.Leaving, string(l.member.Name()))
	f.template, _ = l.Templates.Get(ref)
	f.entry, f.hasEntry = l.Ledger.Get(ref, l.member.Name())
	kind, ok := l.Templates.Kind(ref.GroupKind())
	if !ok {
		// The hub does not serve the kind any more; the Distribution still says which version the copies have.
		kind.GroupVersionKind = schema.FromAPIVersionAndKind(f.distribution.Spec.Template.APIVersion, ref.Kind)
	}
	f.kind = kind
	l.look(&f)
	return f, true, nil
}

// look reads the member's cache of the kind, and starts it if need be.
func (l *lane) look(f *facts) {
	if f.kind.Resource == "" {
		return
	}
	objects := l.follow(f.kind.GVR())
	f.isCacheReady = objects.HasSynced()
	f.live, _ = objects.Get(f.ref.Namespace, f.ref.Name)
}

// follow hears of our objects of one resource in the member.
func (l *lane) follow(gvr schema.GroupVersionResource) *member.Objects {
	objects := l.member.Objects(gvr)
	l.mu.Lock()
	isNew := !l.watched[gvr]
	l.watched[gvr] = true
	l.mu.Unlock()
	if isNew {
		objects.Subscribe(&news{lane: l})
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
	// isBlind tells that its replicas are an autoscaler's in the member, and that those are not known yet.
	isBlind bool
	// isApplied tells that the member got it, whatever was done to it there since.
	isApplied bool
	// stands tells that the last verdict is about this very object and decision.
	stands bool
}

// isBlind tells that the object cannot be rendered before the member's cache has been read: an autoscaler there owns its
// replicas, and without them it would be applied with those that it began with.
func (l *lane) isBlind(f facts) bool {
	isServed := l.member.State().APIs.Count == 0 || l.member.HasAPI(f.kind.GroupVersionKind)
	return !f.isCacheReady && isServed && l.isAutoscaled(f.ref)
}

// isApplied tells that the last apply brought what is wanted. Where that cannot be rendered, the template's generation
// says so.
func (f facts) isApplied(w wanted) bool {
	isSame := f.entry.Revision == w.revision
	if w.isBlind {
		isSame = f.entry.TemplateGeneration == f.template.GetGeneration()
	}
	return f.hasEntry && f.entry.InPlace() && isSame
}

// stands tells that the last verdict is about what is wanted now, so that it is the last word until the member can be
// asked again: a hub that restarts, or a member that was away, makes no news of an old conflict. What was stored does
// not say what it was about; unless it was an apply that went well, it is taken to be about the present.
func (f facts) stands(w wanted) bool {
	isSame := f.entry.Tried == w.revision || f.entry.Tried == "" && !f.entry.InPlace()
	return f.hasEntry && f.entry.Decision == f.distribution.Generation && isSame && f.entry.Reason != ledger.ReasonPaused
}

// bring makes the member's object be as it is wanted.
func (l *lane) bring(ctx context.Context, f facts) reconcile.Result {
	rendered, err := l.render(f)
	if err != nil {
		l.record(f, l.held(f, "Failed", "CannotRender", err.Error()))
		return reconcile.Result{}
	}
	w := wanted{object: rendered, revision: revisionOf(apply.Without(rendered, f.distribution.Spec.IgnoreFields))}
	w.isBlind = l.isBlind(f)
	w.isApplied, w.stands = f.isApplied(w), f.stands(w)
	f.entry.Tried = w.revision // what is entered now is about this
	if result, ends := l.refrain(ctx, f, w); ends {
		return result
	}
	if holder := l.holder(f); holder != "" {
		l.record(f, l.held(f, "Pending", "HeldElsewhere",
			"it runs in one cluster at a time, and "+holder+" still has it"))
		return reconcile.Result{RequeueAfter: holderWait}
	}
	return l.put(ctx, f, w)
}

// refrain ends what needs no apply, or must have none now.
func (l *lane) refrain(ctx context.Context, f facts, w wanted) (result reconcile.Result, ends bool) {
	spec, state := f.distribution.Spec, l.member.State()
	switch {
	case (w.isApplied || w.isBlind) && !f.isCacheReady && state.IsReady():
		return reconcile.Result{RequeueAfter: cacheWait}, true
	case w.isApplied && (!f.isCacheReady || isAsApplied(f)):
		l.record(f, stillApplied(f))
		l.forgetFailures(f.ref)
	case spec.Paused || f.cluster.Spec.Paused:
		l.record(f, l.held(f, "Skipped", ledger.ReasonPaused,
			"nothing is changed in the member while it, or the placement, is paused"))
	case !state.IsReady() && w.stands:
		l.record(f, f.entry)
	case !state.IsReady(): // looked at again when it is
		l.record(f, l.held(f, "Pending", "MemberNotReady", string(state.Reason)+": "+state.Message))
	case spec.ReportOnly:
		return l.foresee(ctx, f, w.object), true
	case l.isEmptied(f) && l.stays(ctx, f):
		return reconcile.Result{RequeueAfter: lingerWait}, true
	case w.isApplied && spec.Drift == v1alpha1.DriftReport:
		return reconcile.Result{}, l.tellDrift(ctx, f, w.object)
	case w.isApplied:
		wait := l.contention(f.ref).wait(time.Now())
		if wait == 0 {
			return reconcile.Result{}, false
		}
		l.record(f, l.held(f, "Pending", ledger.ReasonContended, l.contention(f.ref).message()))
		return reconcile.Result{RequeueAfter: wait}, true
	default:
		return reconcile.Result{}, false
	}
	return reconcile.Result{}, true
}

// put applies the object, and enters what became of it.
func (l *lane) put(ctx context.Context, f facts, w wanted) reconcile.Result {
	result := apply.Apply(ctx, l.member, w.object, l.applyOptions(f))
	if result.Reason == apply.ReasonNamespaceMissing {
		if made := apply.EnsureNamespace(ctx, l.member, l.Hub, f.ref.Namespace); made.OK() {
			result = apply.Apply(ctx, l.member, w.object, l.applyOptions(f))
		} else {
			result = made
		}
	}
	if result.Reason == apply.ReasonKindMissing {
		l.awaitDefinition(f, &result)
	}
	entry := l.held(f, v1alpha1.Verdict(result.Verdict), string(result.Reason), result.Message)
	entry.Seen = ""
	if w.isApplied {
		entry.Reason, entry.Message = repaired(f, result)
		l.noteRepair(f.ref, entry.Reason, result)
	}
	if result.OK() && result.Verdict != apply.Skipped {
		entry.Revision, entry.Fingerprint, entry.Generation = w.revision, result.Fingerprint, result.Generation
		entry.TemplateGeneration = f.template.GetGeneration()
	}
	l.record(f, entry)
	return l.again(f.ref, result)
}

// awaitDefinition says what an object waits for whose kind the member does not serve, when the kind's definition is on its
// way there.
func (l *lane) awaitDefinition(f facts, result *apply.Result) {
	definition := template.Ref{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition",
		Name: f.kind.Resource + "." + f.ref.Group}
	entry, isComing := l.Ledger.Get(definition, l.member.Name())
	switch {
	case !isComing || entry.Verdict == "Deleted":
		return
	case entry.Good():
		result.Message = fmt.Sprintf("waits until the member serves its kind: %s has just come", definition)
	default:
		result.Message = fmt.Sprintf("waits for %s, which is %s: %s", definition, entry.Verdict, entry.Message)
	}
	result.Verdict = apply.Pending
}

// repaired tells that an apply of what had been applied before undid what somebody did in the member.
func repaired(f facts, result apply.Result) (reason, message string) {
	switch {
	case result.Reason != "":
	case result.Verdict == apply.Created && f.live == nil:
		return ledger.ReasonRepaired, "somebody deleted it in the member; it was made again"
	case result.Verdict == apply.Configured && result.TakenBack != "":
		return ledger.ReasonRepaired, "somebody changed it in the member; it was brought back: " + result.TakenBack
	case result.Verdict == apply.Configured && f.live != nil:
		return ledger.ReasonRepaired, "somebody changed it in the member; it was brought back"
	}
	return string(result.Reason), result.Message
}

// stillApplied is the entry of an object that is as the last apply left it.
func stillApplied(f facts) ledger.Entry {
	entry := f.entry
	entry.TemplateGeneration = f.template.GetGeneration()
	isStale := entry.Reason == ledger.ReasonDrifted || entry.Reason == ledger.ReasonContended
	if isStale && f.isCacheReady {
		entry.Verdict, entry.Reason, entry.Message, entry.Seen = "Unchanged", "", "", ""
	}
	return entry
}

// isAsApplied tells that the member's object is as the last apply left it.
func isAsApplied(f facts) bool {
	return f.live != nil && f.live.GetDeletionTimestamp() == nil && f.entry.Fingerprint != "" &&
		apply.Fingerprint(f.live) == f.entry.Fingerprint
}

// held is the entry of what is not done now; what was applied before stays known.
func (l *lane) held(f facts, verdict v1alpha1.Verdict, reason, message string) ledger.Entry {
	entry := f.entry
	entry.Verdict, entry.Reason, entry.Message = verdict, reason, message
	return entry
}

// record enters the outcome, with the decision that it is for.
func (l *lane) record(f facts, entry ledger.Entry) {
	entry.Decision = f.distribution.Generation
	l.Ledger.Record(f.ref, l.member.Name(), entry)
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

func (l *lane) applyOptions(f facts) apply.Options {
	options := ApplyOptions(l.Hub, f.template.GetUID(), &f.distribution.Spec)
	options.Live = f.live
	return options
}

// remove takes the member's object away, or takes our marks off it.
func (l *lane) remove(ctx context.Context, f facts) reconcile.Result {
	switch {
	case f.hasEntry && f.entry.Verdict == "Deleted" && f.isCacheReady && f.live == nil:
		l.record(f, f.entry)
		return reconcile.Result{}
	case f.isHeldBack() && f.entry.Revision == "" && f.isCacheReady && f.live == nil:
		l.record(f, ledger.Entry{Verdict: "Deleted"}) // it was never there
		return reconcile.Result{}
	case f.cluster.Spec.Paused || f.distribution.Spec.Paused:
		l.record(f, l.held(f, "Pending", ledger.ReasonPaused,
			"the copy is removed when the member, or the placement, is no longer paused"))
		return reconcile.Result{}
	case f.distribution.Spec.ReportOnly:
		l.record(f, l.held(f, "Pending", ledger.ReasonReportOnly,
			"the copy would be removed; it is when the placement no longer only reports"))
		return reconcile.Result{}
	case f.template != nil && l.stays(ctx, f):
		return reconcile.Result{RequeueAfter: lingerWait}
	case !l.member.State().IsReady() && f.removalStands():
		l.record(f, f.entry)
		return reconcile.Result{}
	case !l.member.State().IsReady():
		l.record(f, l.held(f, "Pending", "MemberNotReady", "the copy is removed when the member can be reached again"))
		return reconcile.Result{}
	}
	isOrphaned := f.distribution.Spec.OnDelete == v1alpha1.OrphanCopies ||
		f.cluster.Annotations[v1alpha1.OnDeleteAnnotation] == string(v1alpha1.OrphanCopies)
	ref := apply.Ref{GVK: f.kind.GroupVersionKind, Namespace: f.ref.Namespace, Name: f.ref.Name}
	result := apply.Delete(ctx, l.member, ref, apply.DeleteOptions{
		Hub:         l.Hub,
		TemplateUID: f.distribution.Spec.Template.UID,
		Orphan:      isOrphaned,
		Live:        f.live,
	})
	l.record(f, ledger.Entry{
		Verdict: v1alpha1.Verdict(result.Verdict),
		Reason:  string(result.Reason),
		Message: result.Message,
	})
	if result.Verdict == apply.Deleted && f.ref.Namespace != "" {
		l.lookAtNamespace(f.ref.Namespace)
	}
	return l.again(f.ref, result)
}

// removalStands tells that the last verdict is about the removal that is wanted now, see stands.
func (f facts) removalStands() bool {
	isOpen := f.entry.Verdict == "Failed" || f.entry.Verdict == "Pending"
	return f.hasEntry && f.entry.Decision == f.distribution.Generation && isOpen && f.entry.Reason != ledger.ReasonPaused
}

// again says when to try again what did not succeed.
func (l *lane) again(ref template.Ref, result apply.Result) reconcile.Result {
	if result.RetryAfter == 0 {
		l.forgetFailures(ref)
		return reconcile.Result{}
	}
	return reconcile.Result{RequeueAfter: l.backoff(work{ref: ref}, result.RetryAfter, result.Backoff)}
}

const maxBackoff = 2 * time.Minute

// backoff doubles a delay with every failure in a row.
func (l *lane) backoff(w work, first time.Duration, grows bool) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts[w]++
	if !grows {
		return first
	}
	delay := first
	for range min(l.attempts[w]-1, 16) {
		delay = min(2*delay, maxBackoff)
	}
	return delay
}

func (l *lane) forgetFailures(ref template.Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.attempts, work{ref: ref})
}

// turned tells that the member can be worked with and could not before, and that it serves other kinds than before.
func (l *lane) turned() (ready, kinds bool) {
	state := l.member.State()
	l.mu.Lock()
	defer l.mu.Unlock()
	ready, kinds = state.IsReady() && !l.isReady, state.APIs.Hash != l.apis
	l.isReady, l.apis = state.IsReady(), state.APIs.Hash
	return ready, kinds
}

// news hears of changes of our objects in the member.
type news struct{ lane *lane }

var _ member.Handler = &news{}

// OnAdd implements member.Handler.
func (n *news) OnAdd(obj *unstructured.Unstructured) { n.check(obj) }

// OnUpdate implements member.Handler.
func (n *news) OnUpdate(_, obj *unstructured.Unstructured) { n.check(obj) }

// OnDelete implements member.Handler.
func (n *news) OnDelete(last *unstructured.Unstructured) { n.lane.add(template.RefOf(last), 0) }

// check queues an object that is not as the last apply left it.
func (n *news) check(obj *unstructured.Unstructured) {
	ref := template.RefOf(obj)
	entry, known := n.lane.Ledger.Get(ref, n.lane.member.Name())
	if known && entry.Fingerprint == apply.Fingerprint(obj) && obj.GetDeletionTimestamp() == nil {
		return
	}
	if entry.Revision == "" && known {
		return // an apply is under way, or failed and will be tried again
	}
	n.lane.add(ref, 0)
}
