package schedule

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/placement"
)

// engineInput puts the question to the engine in its own words.
func engineInput(f facts) placement.Input {
	policy := f.claim.Policy
	object := engineObject(f, policy.Replicas)
	policy.Replicas = "" // engineObject has seen to it
	policy.Terms = slices.Clone(policy.Terms)
	input := placement.Input{
		Object:   object,
		Policy:   policy,
		Clusters: f.clusters,
		Previous: enginePrevious(f.previous),
		Now:      f.now,
		Sight:    f.sight,
		Explain:  f.explain,
	}
	if policy.Failover.ComeBack {
		pullBack(f, input.Previous)
	}
	if object.Mode == placement.ModeDivide && object.HasReplicas {
		input.Object.Replicas = ptr.Deref(kept(f), object.Replicas)
	}
	if f.scaled != nil {
		f.scaled.scale(f, &input)
	}
	return input
}

func engineObject(f facts, wish placement.Mode) placement.Object {
	gvk := f.template.GroupVersionKind()
	requests := f.rule.Requests(f.template)
	object := placement.Object{
		Key: f.ref.String(),
		API: placement.API{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind},
		Requests: placement.Resources{
			MilliCPU: requests.MilliCPU,
			Memory:   requests.Memory,
			Extended: requests.Extended,
		},
	}
	if requests.EphemeralStorage > 0 { // room has it among the extended ones, too
		if object.Requests.Extended == nil {
			object.Requests.Extended = map[string]int64{}
		}
		object.Requests.Extended[string(corev1.ResourceEphemeralStorage)] = requests.EphemeralStorage
	}
	object.Replicas, object.HasReplicas = f.rule.Replicas(f.template)
	object.Mode = engineMode(f.rule.Mode(f.template), object.HasReplicas, wish)
	object.ReadyAtOnce = !object.HasReplicas
	return object
}

// engineMode is the kind's own mode, unless the placement asks for another one that the kind can have.
func engineMode(own kinds.Mode, hasReplicas bool, wish placement.Mode) placement.Mode {
	switch {
	case wish == placement.ModeDuplicate && hasReplicas:
		return placement.ModeDuplicate
	case wish == placement.ModeDuplicate:
		return placement.ModeAll
	case own == kinds.One:
		return placement.ModeOne
	case own == kinds.Divide && hasReplicas, wish == placement.ModeDivide && hasReplicas:
		return placement.ModeDivide
	}
	return placement.ModeAll
}

// enginePrevious is the stored decision, with what became of it.
func enginePrevious(d *v1alpha1.Distribution) *placement.Previous {
	if d == nil {
		return nil
	}
	previous := &placement.Previous{
		Away: d.Spec.Away, Surge: d.Spec.Surge, Clusters: make([]placement.Assignment, 0, len(d.Spec.Clusters)),
	}
	became := make(map[string]*v1alpha1.ClusterOutcome, len(d.Status.Clusters))
	for i := range d.Status.Clusters {
		became[d.Status.Clusters[i].Name] = &d.Status.Clusters[i]
	}
	for i := range d.Spec.Clusters {
		c := &d.Spec.Clusters[i]
		if c.Reason == "Follows" {
			continue
		}
		assignment := placement.Assignment{Name: c.Name}
		if o := became[c.Name]; o != nil {
			assignment.Ready = ptr.Deref(o.Ready, 0)
			assignment.Unschedulable = unschedulable(d, c, o)
		}
		if c.Replicas != nil {
			assignment.Replicas, assignment.Moving = *c.Replicas, c.Moving
		}
		previous.Clusters = append(previous.Clusters, assignment)
	}
	return previous
}

// pullBack has the engine count on what runs in members that have returned and may get their share back. It moves then
// as in any other move: nothing is removed only to be made again, and nothing before its successor is ready.
func pullBack(f facts, previous *placement.Previous) {
	if previous == nil {
		return
	}
	leaves := f.previous.Spec.Leaving
	for _, o := range f.previous.Status.Clusters {
		isBack := slices.ContainsFunc(f.clusters, func(c placement.Cluster) bool { return c.Name == o.Name && c.Ready })
		runs := ptr.Deref(o.Ready, 0)
		if runs == 0 || !isBack || !slices.Contains(leaves, o.Name) || !slices.Contains(previous.Away, o.Name) {
			continue
		}
		previous.Clusters = append(previous.Clusters, placement.Assignment{Name: o.Name, Replicas: runs, Ready: runs})
		previous.Surge += runs
	}
}

// unschedulable is how many of a member's replicas it cannot run. What was seen when the member had another number of
// replicas says nothing of this one: it would be taken away a second time.
func unschedulable(d *v1alpha1.Distribution, c *v1alpha1.DistributionCluster, o *v1alpha1.ClusterOutcome) int64 {
	if d.Status.ObservedGeneration != d.Generation || c.Replicas == nil || ptr.Deref(o.Desired, 0) != *c.Replicas {
		return 0
	}
	return min(o.Unschedulable, max(*c.Replicas-ptr.Deref(o.Ready, 0), 0))
}

// wholeRatio is what stands for the whole when numbers are divided by weights alone.
const wholeRatio = 1 << 20

// divideNumbers divides the template's other numbers in the ratio of the shares.
func divideNumbers(f facts, spec *v1alpha1.DistributionSpec, mode placement.Mode) {
	numbers := f.rule.Numbers(f.template)
	if len(numbers) == 0 || len(spec.Clusters) == 0 || !divides(f, mode) {
		return
	}
	parties := make([]placement.Party, len(spec.Clusters))
	for i, weight := range ratio(f, spec) {
		parties[i] = placement.Party{
			Weight: weight,
			Max:    placement.Unlimited,
			Tie:    placement.TieHash(f.ref.String(), spec.Clusters[i].Name),
		}
	}
	for _, number := range numbers {
		divideNumber(f, spec, number, slices.Clone(parties))
	}
}

// divideNumber divides one number. A member that has its part of a fixed one keeps it, for its object cannot be changed;
// the others share the rest.
func divideNumber(f facts, spec *v1alpha1.DistributionSpec, number kinds.Number, parties []placement.Party) {
	for i := range parties {
		parties[i].Min = number.Floor
		before := sharePreviously(f, spec.Clusters[i].Name)
		if before == nil || !number.Fixed || f.previous.Spec.Template.UID != f.template.GetUID() {
			continue
		}
		if part, had := before.Numbers[number.Key]; had {
			parties[i].Min, parties[i].Max = part, part
		}
	}
	total := max(number.Value, number.Floor*int64(len(parties)))
	fixed := int64(0)
	for _, p := range parties {
		if p.Min == p.Max {
			fixed += p.Min
		}
	}
	for i, share := range placement.Apportion(max(total, fixed), parties) {
		if spec.Clusters[i].Numbers == nil {
			spec.Clusters[i].Numbers = map[string]int64{}
		}
		spec.Clusters[i].Numbers[number.Key] = share
	}
}

// divides tells whether the template's numbers are split at all.
func divides(f facts, mode placement.Mode) bool {
	own := f.rule.Mode(f.template)
	if f.claim != nil && f.claim.Policy.Replicas == placement.ModeDuplicate {
		return false
	}
	if own == kinds.Follows && len(f.followed) > 0 && !slices.ContainsFunc(f.followed, isDivided) {
		return false // what runs whole in every cluster is scaled and guarded whole in every cluster
	}
	return mode == placement.ModeDivide || own == kinds.Divide || own == kinds.Follows
}

// ratio is each chosen cluster's part: its replicas, those of what is followed, or its weight.
func ratio(f facts, spec *v1alpha1.DistributionSpec) []int64 {
	parts := make([]int64, len(spec.Clusters))
	known := false
	for i, c := range spec.Clusters {
		if c.Replicas != nil {
			parts[i], known = *c.Replicas, true
		}
		for _, d := range f.followed {
			if r := partIn(f, d, c.Name); r > 0 {
				parts[i], known = parts[i]+r, true
			}
		}
	}
	if known {
		return parts
	}
	byWeight := engineInputByWeight(f)
	for _, share := range placement.Decide(byWeight).Clusters {
		for i, c := range spec.Clusters {
			if c.Name == share.Name {
				parts[i] = share.Replicas
			}
		}
	}
	return parts
}

// engineInputByWeight asks for the shares of a whole by weight alone, for kinds that count no replicas. The whole is no
// number of pods: what there is room for does not matter.
func engineInputByWeight(f facts) placement.Input {
	clusters := slices.Clone(f.clusters)
	for i := range clusters {
		clusters[i].Free = nil
	}
	input := placement.Input{
		Object:   placement.Object{Key: f.ref.String(), Mode: placement.ModeDivide, Replicas: wholeRatio, HasReplicas: true},
		Clusters: clusters,
		Now:      f.now,
	}
	if f.claim != nil {
		input.Policy.Terms = slices.Clone(f.claim.Policy.Terms)
		input.Policy.Tolerations = f.claim.Policy.Tolerations
	}
	for i := range input.Policy.Terms {
		input.Policy.Terms[i].Min, input.Policy.Terms[i].Max = nil, nil
	}
	return input
}

func isDivided(d *v1alpha1.Distribution) bool { return !isDuplicated(d) }

// partIn is a cluster's part of what is followed: its replicas, or, for what scales them, its share by weight.
func partIn(f facts, d *v1alpha1.Distribution, cluster string) int64 {
	if parts, exact := idealParts(d, cluster); exact && f.rule.Scales() {
		return parts
	}
	if f.rule.Scales() {
		return replicasIn(d, cluster) * wholeRatio
	}
	return replicasIn(d, cluster)
}

func replicasIn(d *v1alpha1.Distribution, cluster string) int64 {
	for _, c := range d.Spec.Clusters {
		if c.Name == cluster && c.Replicas != nil {
			return *c.Replicas
		}
	}
	return 0
}
