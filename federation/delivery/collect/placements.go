package collect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template/match"
)

// Placements reports on one Placement or ClusterPlacement at a time: the sum of the Distributions that it caused.
type Placements struct {
	// Client writes the status and reads from the cache; Distributions are indexed by IndexPlacement.
	Client client.Client
	Claims *match.Index
	// Now is the clock.
	Now func() time.Time
}

var _ reconcile.TypedReconciler[match.Key] = &Placements{}

// IndexPlacement finds the Distributions of a placement.
const IndexPlacement = "placement"

// indexContested finds the Distributions of templates that a placement claims in vain, since an older one does.
const indexContested = "contested"

// contestantsOf are the keys of indexContested.
func contestantsOf(d *v1alpha1.Distribution) []match.Key {
	var keys []match.Key
	for _, other := range d.Spec.Contested {
		key := match.Key{Name: other.Name}
		if other.Kind == "Placement" {
			key.Namespace = d.Namespace
		}
		keys = append(keys, key)
	}
	return keys
}

// PlacementOf is the key of IndexPlacement: the placement that caused a Distribution, if any.
func PlacementOf(d *v1alpha1.Distribution) (match.Key, bool) {
	switch d.Spec.Placement.Kind {
	case "Placement":
		return match.Key{Namespace: d.Namespace, Name: d.Spec.Placement.Name}, true
	case "ClusterPlacement":
		return match.Key{Name: d.Spec.Placement.Name}, true
	}
	return match.Key{}, false
}

// IndexFields prepares the cache's indexes; it must be called before the cache starts.
func IndexFields(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &v1alpha1.Distribution{}, IndexPlacement, func(obj client.Object) []string {
		d, ok := obj.(*v1alpha1.Distribution)
		if !ok {
			return nil
		}
		if key, ok := PlacementOf(d); ok {
			return []string{key.String()}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing distributions by placement: %w", err)
	}
	err = indexer.IndexField(ctx, &v1alpha1.Distribution{}, indexContested, func(obj client.Object) []string {
		d, ok := obj.(*v1alpha1.Distribution)
		if !ok {
			return nil
		}
		var keys []string
		for _, key := range contestantsOf(d) {
			keys = append(keys, key.String())
		}
		return keys
	})
	if err != nil {
		return fmt.Errorf("indexing distributions by contested placement: %w", err)
	}
	return nil
}

// Reconcile brings the status of one placement up to date.
func (p *Placements) Reconcile(ctx context.Context, key match.Key) (reconcile.Result, error) {
	obj, status := newPlacement(key)
	err := p.Client.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, obj)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading placement %s: %w", key, err)
	}
	var won, lost v1alpha1.DistributionList
	for index, into := range map[string]*v1alpha1.DistributionList{IndexPlacement: &won, indexContested: &lost} {
		options := []client.ListOption{client.MatchingFields{index: key.String()}, client.UnsafeDisableDeepCopy}
		if err := p.Client.List(ctx, into, options...); err != nil {
			return reconcile.Result{}, fmt.Errorf("listing the distributions of placement %s: %w", key, err)
		}
		// The cache lists in no order, and a condition names the first few.
		slices.SortFunc(into.Items, func(a, b v1alpha1.Distribution) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
	}
	problem := p.Claims.Err(key)
	now := placementStatus(*status, won.Items, lost.Items, obj.GetGeneration(), problem, p.Now())
	if equality.Semantic.DeepEqual(*status, now) {
		return reconcile.Result{}, nil
	}
	*status = now
	err = p.Client.Status().Update(ctx, obj)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return reconcile.Result{RequeueAfter: cacheLag}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("writing the status of placement %s: %w", key, err)
	}
	return reconcile.Result{}, nil
}

// newPlacement makes an empty object of the right kind, with its status.
func newPlacement(key match.Key) (client.Object, *v1alpha1.PlacementStatus) {
	if key.Namespace == "" {
		p := &v1alpha1.ClusterPlacement{}
		return p, &p.Status
	}
	p := &v1alpha1.Placement{}
	return p, &p.Status
}

// placementStatus adds up what became of the selected objects.
func placementStatus(
	old v1alpha1.PlacementStatus, all, lost []v1alpha1.Distribution, generation int64, problem error, now time.Time,
) v1alpha1.PlacementStatus {
	if problem == nil && isOutdated(all, generation) {
		generation = old.ObservedGeneration
	}
	status := v1alpha1.PlacementStatus{
		ObservedGeneration: generation,
		Conditions:         slices.Clone(old.Conditions),
		Objects:            int32(len(all)),
	}
	clusters := map[string]*v1alpha1.PlacementCluster{}
	for i := range all {
		status.Unplaced += all[i].Spec.Unplaced
		for _, chosen := range all[i].Spec.Clusters {
			sum := clusters[chosen.Name]
			if sum == nil {
				sum = &v1alpha1.PlacementCluster{Name: chosen.Name, State: "Applied"}
				clusters[chosen.Name] = sum
			}
			addTo(sum, chosen, all[i].Status.Clusters)
		}
	}
	for _, sum := range clusters {
		status.Clusters = append(status.Clusters, *sum)
		status.Decisions = append(status.Decisions, v1alpha1.ClusterDecision{ClusterName: sum.Name, Reason: "Chosen"})
	}
	slices.SortFunc(status.Clusters, func(a, b v1alpha1.PlacementCluster) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(status.Decisions, func(a, b v1alpha1.ClusterDecision) int {
		return cmp.Compare(a.ClusterName, b.ClusterName)
	})
	permitted(&status, all, generation, now)
	for _, kind := range conditionTypes {
		condition := sum(kind, all)
		switch {
		case kind != v1alpha1.ConditionScheduled:
		case problem != nil:
			condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, "Invalid", problem.Error()
		case len(lost) > 0:
			condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, "Contested", contested(lost)
		}
		condition.Message = printable.Text(condition.Message)
		condition.ObservedGeneration = generation
		condition.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	return status
}

// permitted says of a placement in which members its author may not place.
func permitted(status *v1alpha1.PlacementStatus, all []v1alpha1.Distribution, generation int64, now time.Time) {
	var members []string
	for i := range all {
		members = append(members, all[i].Spec.NotPermitted...)
	}
	slices.Sort(members)
	members = slices.Compact(members)
	if len(members) == 0 {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionPermitted)
		return
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionPermitted, Status: metav1.ConditionFalse, Reason: "NotPermitted",
		Message: printable.Text("the author of this placement, who is in the annotation " + v1alpha1.AuthorAnnotation +
			", may not place in " + listed(members) + ": what is there stays, and nothing new comes;" +
			" give them the verb place on clusters.hanse.io, or have somebody who has it write the placement"),
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	})
}

// isOutdated reports whether a decision, or the report on one, is of an older generation of the placement: who waits
// for the placement (helm, Flux) must not take what was for what will be.
func isOutdated(all []v1alpha1.Distribution, generation int64) bool {
	return slices.ContainsFunc(all, func(d v1alpha1.Distribution) bool {
		of := d.Spec.Placement.Generation
		return of != 0 && of < generation || d.Status.ObservedGeneration < d.Generation
	})
}

// conditionTypes are the conditions that a placement sums, in the order of its status.
var conditionTypes = []string{
	v1alpha1.ConditionScheduled, v1alpha1.ConditionApplied, v1alpha1.ConditionReady, v1alpha1.ConditionProgressing,
}

// contested names objects that older placements have.
func contested(lost []v1alpha1.Distribution) string {
	var told []string
	for i := range lost[:min(len(lost), maxTold)] {
		older := lost[i].Spec.Placement
		told = append(told, fmt.Sprintf("%s is claimed by the older %s %s as well, which keeps it",
			objectName(&lost[i]), older.Kind, older.Name))
	}
	if more := len(lost) - maxTold; more > 0 {
		told = append(told, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(told, "; ") + "; delete one of the placements or give them different resources"
}

// severity orders the states of a member.
var severity = []string{"Applied", "Unknown", "Pending", "Failed"}

// addTo adds one object's part in a member to the member's sum; the worst state stands.
func addTo(sum *v1alpha1.PlacementCluster, chosen v1alpha1.DistributionCluster, outcomes []v1alpha1.ClusterOutcome) {
	if chosen.Replicas != nil {
		sum.Replicas += *chosen.Replicas
	}
	state, reason, message := "Pending", "NotApplied", ""
	for _, o := range outcomes {
		if o.Name != chosen.Name {
			continue
		}
		if o.Ready != nil {
			sum.Ready += *o.Ready
		}
		state, reason, message = stateOf(o), o.Reason, o.Message
	}
	if slices.Index(severity, state) > slices.Index(severity, sum.State) {
		sum.State, sum.Reason, sum.Message = state, reason, message
	}
}

func stateOf(o v1alpha1.ClusterOutcome) string {
	switch {
	case o.Unknown:
		return "Unknown"
	case o.Verdict == "Conflict", o.Verdict == "Failed":
		return "Failed"
	case o.Verdict == "Pending", o.Verdict == "":
		return "Pending"
	}
	return "Applied"
}

// maxTold is how many objects a condition names.
const maxTold = 5

// sum is the condition over all objects: True when it is True of each; else it names some of which it is not.
func sum(kind string, all []v1alpha1.Distribution) metav1.Condition {
	if len(all) == 0 {
		return metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: "NothingSelected",
			Message: "no object of the hub is selected"}
	}
	total := metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "AllObjects"}
	var told []string
	bad := 0
	for i := range all {
		c := meta.FindStatusCondition(all[i].Status.Conditions, kind)
		if c != nil && c.Status == metav1.ConditionTrue {
			if c.Reason == underWay {
				total.Reason = underWay
			}
			if c.Message != "" && len(told) < maxTold {
				told = append(told, objectName(&all[i])+": "+c.Message)
			}
			continue
		}
		bad++
		message := "is not reported yet"
		total.Status = metav1.ConditionFalse
		if bad == 1 {
			total.Reason = "NotReported"
		}
		if c != nil {
			message = c.Message
			if bad == 1 {
				total.Reason, total.Status = c.Reason, c.Status
			}
		}
		if len(told) < maxTold {
			told = append(told, objectName(&all[i])+": "+message)
		}
	}
	if bad > maxTold {
		told = append(told, fmt.Sprintf("and %d more", bad-maxTold))
	}
	total.Message = strings.Join(told, "; ")
	return total
}

func objectName(d *v1alpha1.Distribution) string {
	return d.Spec.Template.Kind + " " + d.Spec.Template.Name
}
