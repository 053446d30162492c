package propagate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/template"
)

const (
	// namespaceWait lets the last objects of a namespace end before it is looked at.
	namespaceWait = 2 * time.Second
	// namespacePause is the longest time between two looks at a namespace that is not empty yet.
	namespacePause = 10 * time.Second
	// endingTries is how often is looked again as long as all that is inside is ending: ten minutes.
	endingTries = 60
	// foreignTries is how often when something foreign is inside: it may be what a controller of the member made for our
	// objects without saying so, as the Endpoints of a Service, and takes away in its own time.
	foreignTries = 6
)

// lookAtNamespace sees soon whether the namespace can go. Looks that were too early do not count: they came before the
// object that has just gone.
func (mw *memberWorker) lookAtNamespace(namespace string) {
	w := work{namespace: namespace}
	mw.failures.Forget(w)
	mw.queue.AddWithOpts(priorityqueue.AddOpts{After: namespaceWait}, w)
}

// cleanNamespace removes a namespace that was made on demand, when nothing of ours is to be in it and nothing foreign is.
func (mw *memberWorker) cleanNamespace(ctx context.Context, w work) (reconcile.Result, error) {
	isUsed, err := mw.uses(ctx, w.namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	if isUsed || mw.isTemplate(w.namespace) {
		return reconcile.Result{}, nil // the next copy that goes has it looked at again
	}
	if !mw.member.State().IsReady() {
		return reconcile.Result{RequeueAfter: namespacePause}, nil
	}
	result := apply.RemoveNamespaceIfOursAndEmpty(ctx, mw.member, mw.Hub, w.namespace)
	if result.Verdict == apply.Deleted || mw.failures.NumRequeues(w) >= triesAfter(result) {
		mw.failures.Forget(w)
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: min(max(mw.failures.When(w), namespaceWait), namespacePause)}, nil
}

func triesAfter(result apply.Result) int {
	switch {
	case result.Verdict != apply.Skipped:
		return endingTries
	case result.Reason == apply.ReasonNotEmpty:
		return foreignTries
	}
	return 0 // it is not ours to remove
}

// uses reports whether something is, or is still, in the namespace in this member.
func (mw *memberWorker) uses(ctx context.Context, namespace string) (bool, error) {
	var all v1alpha1.DistributionList
	if err := mw.Cache.List(ctx, &all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("listing distributions of %s: %w", namespace, err)
	}
	for i := range all.Items {
		entry, _ := mw.Results.Get(template.RefOfDistribution(&all.Items[i]), mw.member.Name())
		if needsNamespace(&all.Items[i].Spec, string(mw.member.Name()), entry) {
			return true, nil
		}
	}
	return false, nil
}

// needsNamespace reports whether a member has a copy, or is to have one. A copy that is gone counts for nothing even
// where the decision still names the member: the template is on its way out, and the decision follows it, but nobody
// would look at the namespace again. If it is to come back after all, it brings its namespace along.
func needsNamespace(spec *v1alpha1.DistributionSpec, member string, entry results.Entry) bool {
	isChosen := slices.ContainsFunc(spec.Clusters, func(c v1alpha1.DistributionCluster) bool { return c.Name == member })
	return (isChosen || slices.Contains(spec.Leaving, member)) && entry.Verdict != v1alpha1.VerdictDeleted
}

// isTemplate reports whether the namespace itself is placed in the member, and goes as any other template.
func (mw *memberWorker) isTemplate(namespace string) bool {
	ref := template.Ref{Kind: "Namespace", Name: namespace}
	_, placed := mw.Results.Get(ref, mw.member.Name())
	_, known := mw.Templates.Kind(schema.GroupKind{Kind: "Namespace"})
	return placed && known
}
