package apply

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// neverStored is a resource version that no stored object has: etcd's first write gets revision 2. In an apply it says
// "create, or fail with 409": a create drops the value, an update compares it.
const neverStored = "1"

// maxLooks bounds how often one call looks (GET) after a precondition failed.
const maxLooks = 2

// Apply makes the object in the member be as rendered. obj is the rendered object without our marks (they are added)
// and without status, uid, resourceVersion and managedFields.
func Apply(ctx context.Context, target Target, obj *unstructured.Unstructured, o Options) Result {
	result, _, _ := applyObject(ctx, target, obj, o)
	return result
}

// applyObject is Apply, and also returns the object as it was when we looked (nil if we did not) and as the member
// answered.
func applyObject(
	ctx context.Context, target Target, obj *unstructured.Unstructured, o Options,
) (result Result, before, after *unstructured.Unstructured) {
	ref := RefOf(obj)
	client, err := clientFor(target, ref)
	if err != nil {
		return classify(ref, err), nil, nil
	}
	live, looked := o.Live, o.Live == nil || o.isWhole
	if !looked && (len(o.Ignore) > 0 || isShared(ref)) { // what the cache has is stripped
		if live, err = look(ctx, client, ref.Name); err != nil {
			return classify(ref, err), nil, nil
		}
		looked = true
	}
	recreated := ""
	for looks := 0; ; looks++ {
		step, refusal := decide(ref, obj, live, o)
		if refusal.Verdict != "" && looked {
			return refusal, live, nil
		}
		if refusal.Verdict == "" {
			var taken []fieldConflict
			after, taken, err = step.send(ctx, client, obj, live, o)
			switch {
			case err == nil:
				result = accepted(step, live, after, o).afterRecreation(recreated).afterCeding(ceded(step.before, obj, after))
				result.TakenBack = describeConflicts(taken)
				return result, live, after
			case step.outdated(err):
			case o.Recreate && recreated == "" && isImmutable(err) && !step.isCreate():
				if held := makeWay(ctx, client, ref, err, o); held.Verdict != "" {
					return held, live, nil
				}
				recreated = limited(words(ref, err))
			default:
				return classify(ref, err), live, nil
			}
		}
		if looks == maxLooks {
			return changedMeanwhile(ref), live, nil
		}
		live, err = look(ctx, client, ref.Name)
		if err != nil {
			return classify(ref, err), nil, nil
		}
		looked = true
	}
}

// step is one way to write an object.
type step struct {
	uid             types.UID // precondition; empty when creating
	resourceVersion string    // precondition; neverStored when creating
	adopted         bool      // the object was there before us
	force           bool      // take every field from its owner
	before          digest    // the fields we set before; those are taken without asking
}

func (s step) isCreate() bool { return s.resourceVersion == neverStored }

// decide says how to write the object, given what is there, or why not to.
func decide(ref Ref, obj, live *unstructured.Unstructured, o Options) (step, Result) {
	if live == nil {
		return step{resourceVersion: neverStored}, Result{}
	}
	whose := ownerOf(live)
	why := whose.foreign(o.Hub, o.TemplateUID)
	if why != "" && !mayTake(why, o.OnConflict) {
		return step{}, foreignResult(ref, obj, live, why, o)
	}
	if live.GetDeletionTimestamp() != nil {
		return step{}, beingDeleted(ref, live)
	}
	s := step{uid: live.GetUID(), adopted: whose.adopted, force: o.OnConflict == Overwrite}
	if len(o.Ignore) > 0 {
		s.resourceVersion = live.GetResourceVersion() // the ignored fields are given back as they were seen
	}
	switch why {
	case "":
		s.before = digestOf(live)
	case ReasonOtherTemplate:
		s.before = digestOf(live)
		s.resourceVersion = live.GetResourceVersion()
	default:
		s.adopted = true
		s.before = digest{known: true} // we set nothing yet
		s.resourceVersion = live.GetResourceVersion()
	}
	return s, Result{}
}

// mayTake says whether a foreign object may be taken over.
func mayTake(why Reason, onConflict OnConflict) bool {
	switch onConflict {
	case Overwrite:
		return true
	case Adopt:
		return why != ReasonOtherHub
	}
	return false
}

// send applies the object: first so that only what nobody else owns is taken, then, if all that is in the way are
// fields that were ours before, with force; those are returned.
func (s step) send(
	ctx context.Context, client dynamic.ResourceInterface, obj, live *unstructured.Unstructured, o Options,
) (after *unstructured.Unstructured, takenBack []fieldConflict, err error) {
	body, err := s.body(obj, live, o)
	if err != nil {
		return nil, nil, err
	}
	options := metav1.PatchOptions{FieldManager: FieldManager, Force: new(s.force)}
	if o.DryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	after, err = client.Patch(ctx, obj.GetName(), types.ApplyYAMLPatchType, body, options)
	if err == nil || s.force || s.isCreate() {
		return after, nil, err
	}
	taken := fieldConflicts(err)
	if len(taken) == 0 || !s.before.hasAll(taken) {
		return nil, nil, err
	}
	options.Force = new(true)
	after, err = client.Patch(ctx, obj.GetName(), types.ApplyYAMLPatchType, body, options)
	return after, taken, err
}

// body is the object with our marks and the preconditions.
func (s step) body(obj, live *unstructured.Unstructured, o Options) ([]byte, error) {
	set := digestFields(obj) // with the ignored fields, which are taken back when they are ignored no more
	if live != nil {
		obj = yield(obj, live, o.Ignore)
	}
	obj, entries := unite(obj, live)
	marked := shallowMeta(obj)
	if text := encodeEntries(entries); text != "" {
		setAnnotation(marked, AnnotationEntries, text)
	}
	if s.uid != "" {
		marked.SetUID(s.uid)
	}
	if s.resourceVersion != "" {
		marked.SetResourceVersion(s.resourceVersion)
	}
	setLabel(marked, LabelHub, string(o.Hub))
	if o.TemplateUID != "" {
		setAnnotation(marked, AnnotationTemplate, string(o.TemplateUID))
	}
	if s.adopted {
		setAnnotation(marked, AnnotationAdopted, "true")
	}
	if set.known {
		setAnnotation(marked, AnnotationFields, set.String())
	}
	body, err := marked.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", RefOf(obj), err)
	}
	return body, nil
}

// outdated reports whether the error says that what we knew of the object was not so.
func (s step) outdated(err error) bool {
	if s.isCreate() {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
	}
	return (apierrors.IsConflict(err) && len(fieldConflicts(err)) == 0) || isAboutUID(err)
}

// accepted is the result of a write that the member took.
func accepted(s step, live, after *unstructured.Unstructured, o Options) Result {
	r := Result{
		Verdict:         Configured,
		UID:             after.GetUID(),
		ResourceVersion: after.GetResourceVersion(),
		Generation:      after.GetGeneration(),
		Fingerprint:     fingerprintOf(after, after.GetManagedFields()),
	}
	switch {
	case s.isCreate():
		r.Verdict = Created
	case after.GetResourceVersion() == live.GetResourceVersion() && !o.DryRun:
		r.Verdict = Unchanged
	}
	if o.DryRun {
		r.Reason = ReasonDryRun
		if !s.isCreate() && len(compare(live, after)) == 0 {
			r.Verdict = Unchanged
		}
	}
	return r
}

// look reads the object; nil if there is none.
func look(ctx context.Context, client dynamic.ResourceInterface, name string) (*unstructured.Unstructured, error) {
	live, err := client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return live, err
}

func changedMeanwhile(ref Ref) Result {
	return Result{
		Verdict: Pending, Reason: ReasonChanged, RetryAfter: time.Second, Backoff: true,
		Message: fmt.Sprintf("%s changed in the member each time we looked", ref),
	}
}

func beingDeleted(ref Ref, live *unstructured.Unstructured) Result {
	message := fmt.Sprintf("%s is being deleted in the member", ref)
	if finalizers := live.GetFinalizers(); len(finalizers) > 0 {
		message += fmt.Sprintf("; it waits for %s", quoted(finalizers))
	}
	return Result{
		Verdict: Pending, Reason: ReasonBeingDeleted, Message: message,
		UID: live.GetUID(), ResourceVersion: live.GetResourceVersion(),
		RetryAfter: time.Second, Backoff: true,
	}
}
