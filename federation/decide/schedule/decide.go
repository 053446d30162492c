package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// facts is everything that one decision depends on.
type facts struct {
	ref      template.Ref
	template *unstructured.Unstructured // nil: gone
	rule     kinds.Rule
	claim    *match.Claim // nil: nothing claims it
	trouble  error        // why the claim cannot be read
	// followed are the Distributions of what the template follows, or of what refers to it, in a stable order.
	followed []*v1alpha1.Distribution
	clusters []placement.Cluster
	// scaled are the numbers between which an autoscaler keeps the template's replicas; nil: nothing scales it.
	scaled *bounds
	// sight is how far the facts about members out of reach can be relied on.
	sight placement.Sight
	// joined names every Cluster there is, those that are being removed included.
	joined map[string]bool
	// stays: the template is the hub's own.
	stays bool
	// grants are the ReferenceGrants of other namespaces that the template refers to.
	grants []*unstructured.Unstructured
	// brings is the template's own CustomResourceDefinition, which goes ahead of it.
	brings   *template.Ref
	previous *v1alpha1.Distribution // nil: none
	now      time.Time
	// explain asks the engine for the reasons of every member.
	explain bool
}

// outcome is what is to be stored.
type outcome struct {
	// spec of the Distribution; nil: there is to be none.
	spec *v1alpha1.DistributionSpec
	// recheck is when time alone may change the decision; 0 means never.
	recheck time.Duration
	// engine is the engine's answer; nil when it was not asked.
	engine *placement.Decision
}

// decide is pure: facts in, outcome out.
func decide(f facts) outcome {
	wanted := f.template != nil && f.template.GetDeletionTimestamp() == nil && !f.stays
	switch {
	case wanted && f.trouble != nil:
		return refuse(f)
	case wanted && awaitsTarget(f):
		return stay(f)
	case wanted && f.claim != nil:
		return place(f)
	case wanted && len(f.followed) > 0:
		return follow(f)
	}
	return leave(f)
}

// stay changes nothing for now.
func stay(f facts) outcome {
	if f.previous == nil {
		return outcome{}
	}
	return outcome{spec: f.previous.Spec.DeepCopy()}
}

// refuse keeps what is and says why nothing changes.
func refuse(f facts) outcome {
	spec := v1alpha1.DistributionSpec{Template: reference(f)}
	if f.previous != nil {
		spec = *f.previous.Spec.DeepCopy()
	}
	spec.Notes = []string{f.trouble.Error()}
	return outcome{spec: &spec}
}

// place asks the engine.
func place(f facts) outcome {
	input := engineInput(f)
	isMoving := moves(f)
	if isMoving && asksForOthers(f) { // what was begun for the old shares is judged again
		for i := range input.Previous.Clusters {
			input.Previous.Clusters[i].Moving = 0
		}
	}
	if isMoving && input.Policy.Rebalance != placement.RebalanceNever {
		input.Policy.Rebalance = placement.RebalanceAlways
	}
	decision := placement.Decide(input)
	spec := &v1alpha1.DistributionSpec{
		Template:   reference(f),
		Placement:  f.claim.Source,
		OnConflict: f.claim.OnConflict,
		OnDelete:   f.claim.OnDelete,
		Unplaced:   decision.Unplaced,
		Away:       decision.Away,
		Surge:      decision.Surge,
		Moving:     isMoving && !hasArrived(decision),
	}
	giveHandling(spec, f.claim)
	if decision.Unplaced > 0 {
		spec.UnplacedReason = decision.Cause.Message
	}
	if input.Object.HasReplicas {
		spec.Replicas = &input.Object.Replicas
		spec.Autoscaled, spec.KeptReplicas = f.scaled != nil, kept(f)
	}
	for _, share := range decision.Clusters {
		chosen := v1alpha1.DistributionCluster{
			Name:    share.Name,
			Reason:  string(share.Code),
			Message: share.Message,
		}
		if input.Object.HasReplicas {
			chosen.Replicas, chosen.Moving = &share.Replicas, share.Moving
		}
		if decision.Mode == placement.ModeDivide {
			chosen.Ideal = share.Ideal.String()
		}
		spec.Clusters = append(spec.Clusters, chosen)
	}
	if f.rule.HasEnded(f.template) {
		keepOnly(f, spec)
	}
	for _, rejection := range decision.Rejected {
		if rejection.Code == placement.CodeNotSelected {
			continue // only said to who asks for an explanation
		}
		spec.Rejected = append(spec.Rejected, v1alpha1.RejectedCluster{
			Name: rejection.Name, Reason: string(rejection.Code), Message: rejection.Message,
		})
	}
	for _, note := range decision.Notes {
		spec.Notes = append(spec.Notes, note.Message)
	}
	giveRights(f, spec)
	for _, other := range f.claim.Contested {
		spec.Contested = append(spec.Contested, v1alpha1.PlacementReference{Kind: other.Kind, Name: other.Name})
		spec.Notes = append(spec.Notes, fmt.Sprintf("%s %s claims the object as well and is ignored, since %s %s is older;"+
			" delete one of them or give them different resources", other.Kind, other.Name,
			f.claim.Source.Kind, f.claim.Source.Name))
	}
	changes := decision.Changes
	if keepMisplaced(f, spec, decision) {
		changes = nil
	}
	if f.claim.Follow {
		var refused []string
		spec.FollowedBy, refused = needs(f)
		spec.Notes = append(spec.Notes, refused...)
	}
	union(spec, f.followed)
	divideNumbers(f, spec, decision.Mode)
	spec.Leaving = leaving(f, spec.Clusters)
	giveOrdinals(f, spec, decision)
	spec.LastChange = lastChange(f, spec, changes)
	return outcome{spec: spec, recheck: decision.RecheckAfter, engine: &decision}
}

// keepOnly is for a template whose work has ended: it goes to no other member, and what it had in each stays as it is.
func keepOnly(f facts, spec *v1alpha1.DistributionSpec) {
	kept := make([]v1alpha1.DistributionCluster, 0, len(spec.Clusters))
	for _, c := range spec.Clusters {
		if before := sharePreviously(f, c.Name); before != nil {
			kept = append(kept, *before)
		}
	}
	spec.Clusters, spec.Unplaced, spec.UnplacedReason, spec.Surge, spec.Moving = kept, 0, "", 0, false
}

// sharePreviously is what the previous decision gave a member; nil for nothing.
func sharePreviously(f facts, name string) *v1alpha1.DistributionCluster {
	if f.previous == nil {
		return nil
	}
	for i := range f.previous.Spec.Clusters {
		if f.previous.Spec.Clusters[i].Name == name {
			return f.previous.Spec.Clusters[i].DeepCopy()
		}
	}
	return nil
}

// giveHandling says how propagate is to treat the copies. What is so by default is left out.
func giveHandling(spec *v1alpha1.DistributionSpec, c *match.Claim) {
	spec.OnImmutable, spec.Drift = "", ""
	if c.OnImmutable == v1alpha1.ImmutableRecreate {
		spec.OnImmutable = c.OnImmutable
	}
	if c.Drift == v1alpha1.DriftReport {
		spec.Drift = c.Drift
	}
	spec.IgnoreFields = slices.Clone(c.IgnoreFields)
	spec.ProgressDeadline = c.ProgressDeadline
	spec.Paused, spec.ReportOnly = c.Paused, c.ReportOnly
}

// lastChange is what this decision changes; one that changes nothing keeps what the last one that did changed.
func lastChange(f facts, spec *v1alpha1.DistributionSpec, changes []placement.Change) *v1alpha1.DecisionChange {
	if f.previous == nil {
		return nil
	}
	before := f.previous.Spec.LastChange
	if len(changes) == 0 {
		return before
	}
	spec.LastChange = before
	if equality.Semantic.DeepEqual(f.previous.Spec, *spec) {
		return before
	}
	return &v1alpha1.DecisionChange{Time: metav1.NewTime(f.now.Truncate(time.Second)), Moves: MovesOf(changes)}
}

// MovesOf tells the engine's changes in the words of the API.
func MovesOf(changes []placement.Change) []v1alpha1.PlannedMove {
	moves := make([]v1alpha1.PlannedMove, len(changes))
	for i, c := range changes {
		moves[i] = v1alpha1.PlannedMove{Name: c.Name, Reason: string(c.Code), Message: c.Message}
		if c.Had {
			moves[i].From = &changes[i].From
		}
		if c.Has {
			moves[i].To = &changes[i].To
		}
	}
	return moves
}

// moves reports whether replicas go to new shares: the placement asks for others than those of the previous decision,
// or they are still on their way.
func moves(f facts) bool {
	if f.previous == nil || len(f.previous.Spec.Clusters) == 0 {
		return false
	}
	return f.previous.Spec.Moving || asksForOthers(f)
}

// asksForOthers reports whether the placement asks for other shares than those of the previous decision.
func asksForOthers(f facts) bool {
	before := f.previous.Spec.Placement
	return before.Terms != "" && before.Terms != f.claim.Source.Terms
}

// hasArrived reports whether no replica is on its way any more, and none is waited for before it sets out.
func hasArrived(d placement.Decision) bool {
	isOnItsWay := func(s placement.Share) bool {
		return s.Code == placement.CodeMoving || s.Clamps&placement.ClampMoving != 0
	}
	return d.Surge == 0 && !d.Waiting && !slices.ContainsFunc(d.Clusters, isOnItsWay)
}

// follow sends a dependency where those that need it are.
func follow(f facts) outcome {
	first := f.followed[0].Spec
	spec := &v1alpha1.DistributionSpec{
		Template:   reference(f),
		Placement:  v1alpha1.PlacementReference{Kind: "Dependency", Name: first.Template.Kind + "/" + first.Template.Name},
		OnConflict: v1alpha1.ConflictFail,
		OnDelete:   v1alpha1.DeleteCopies,
	}
	spec.FollowedBy, spec.Notes = needs(f)
	// A dependency is held back with all that need it.
	spec.Paused, spec.ReportOnly = true, true
	for _, d := range f.followed {
		spec.Paused = spec.Paused && d.Spec.Paused
		spec.ReportOnly = spec.ReportOnly && d.Spec.ReportOnly
	}
	union(spec, f.followed)
	divideNumbers(f, spec, placement.ModeDivide)
	spec.Leaving = leaving(f, spec.Clusters)
	return outcome{spec: spec}
}

// leave empties the members; when nothing is left there is no Distribution any more.
func leave(f facts) outcome {
	if f.previous == nil {
		return outcome{}
	}
	spec := f.previous.Spec.DeepCopy()
	spec.Leaving = leaving(f, nil)
	holdOrdinals(f, spec)
	spec.Clusters, spec.FollowedBy, spec.Rejected, spec.Notes, spec.Away = nil, nil, nil, nil, nil
	spec.Contested, spec.NotPermitted = nil, nil
	spec.Replicas, spec.Unplaced, spec.UnplacedReason = nil, 0, ""
	// A placement that is still there holds back deletions as well; when it goes, nothing does.
	spec.Paused = f.claim != nil && f.claim.Paused
	spec.ReportOnly = f.claim != nil && f.claim.ReportOnly
	spec.Moving, spec.Surge = false, 0
	spec.Autoscaled, spec.KeptReplicas = false, nil
	if len(spec.Leaving) == 0 {
		return outcome{}
	}
	return outcome{spec: spec}
}

// leaving names the members of the previous decision that are not chosen any more and may still hold a copy.
func leaving(f facts, chosen []v1alpha1.DistributionCluster) []string {
	previous := f.previous
	if previous == nil {
		return nil
	}
	isChosen := make(map[string]bool, len(chosen))
	for i := range chosen {
		isChosen[chosen[i].Name] = true
	}
	may := slices.Clone(previous.Spec.Leaving)
	for _, c := range previous.Spec.Clusters {
		may = append(may, c.Name)
	}
	slices.Sort(may)
	may = slices.DeleteFunc(slices.Compact(may), func(name string) bool {
		return isChosen[name] || !f.joined[name] || isGone(previous, name)
	})
	if len(may) == 0 {
		return nil
	}
	return may
}

// isGone reports whether the status, of the very decision that a member leaves, says that its copy is gone.
func isGone(d *v1alpha1.Distribution, name string) bool {
	if !slices.Contains(d.Spec.Leaving, name) || d.Status.ObservedGeneration != d.Generation {
		return false
	}
	for _, c := range d.Status.Clusters {
		if c.Name == name {
			return c.Verdict == v1alpha1.VerdictDeleted || c.Verdict == v1alpha1.VerdictSkipped
		}
	}
	return true
}

// union adds the clusters of what is followed.
func union(spec *v1alpha1.DistributionSpec, followed []*v1alpha1.Distribution) {
	for _, d := range followed {
		for _, c := range d.Spec.Clusters {
			known := slices.ContainsFunc(spec.Clusters, func(k v1alpha1.DistributionCluster) bool { return k.Name == c.Name })
			if known {
				continue
			}
			spec.Clusters = append(spec.Clusters, v1alpha1.DistributionCluster{
				Name:    c.Name,
				Reason:  "Follows",
				Message: fmt.Sprintf("needed by %s %s", d.Spec.Template.Kind, d.Spec.Template.Name),
			})
		}
	}
	slices.SortFunc(spec.Clusters, func(a, b v1alpha1.DistributionCluster) int { return strings.Compare(a.Name, b.Name) })
}

// reference names the template in its Distribution.
func reference(f facts) v1alpha1.TemplateReference {
	return v1alpha1.TemplateReference{
		APIVersion: f.template.GetAPIVersion(),
		Kind:       f.ref.Kind,
		Namespace:  f.ref.Namespace,
		Name:       f.ref.Name,
		UID:        f.template.GetUID(),
	}
}
