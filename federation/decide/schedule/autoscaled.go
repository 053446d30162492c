package schedule

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

// bounds are the numbers between which an autoscaler keeps the replicas of a template, over all members.
type bounds struct{ least, most int64 }

// scale makes the question to the engine that of a workload which autoscalers own: how many run at first, and that
// every chosen cluster has one, since an autoscaler cannot be below one. How many run later is the members' affair, and
// changes no decision.
func (b *bounds) scale(f facts, input *placement.Input) {
	if input.Object.Mode != placement.ModeDivide || b.most < 1 {
		return
	}
	first := max(b.least, 1)
	if f.rule.NamesReplicas(f.template) {
		first = input.Object.Replicas
	}
	first = min(max(first, b.least, 1), b.most)
	if clusters := int64(len(placement.Decide(engineInputByWeight(f)).Clusters)); clusters > 1 && clusters <= b.most {
		first = max(first, clusters)
		for i := range input.Policy.Terms {
			if t := &input.Policy.Terms[i]; t.Min == nil && t.Tier == 0 && ptr.Deref(t.Weight, 1) > 0 {
				t.Min = ptr.To(int64(1))
			}
		}
	}
	input.Object.Replicas = first
}

// kept is how many replicas a template without a number has whose autoscaler has gone: what ran then, as a Deployment
// in one cluster goes on with what its autoscaler left. nil where there was none, or the template names a number.
func kept(f facts) *int64 {
	if f.previous == nil || f.scaled != nil || f.rule.NamesReplicas(f.template) {
		return nil
	}
	if !f.previous.Spec.Autoscaled {
		return f.previous.Spec.KeptReplicas
	}
	var running int64
	for _, o := range f.previous.Status.Clusters {
		running += ptr.Deref(o.Desired, 0)
	}
	running = max(running, ptr.Deref(f.previous.Spec.Replicas, 1), 1)
	return &running
}

// awaitsTarget reports whether an autoscaler's target has been decided on without it. With the bounds by those shares
// one member would begin to run what is meant for all; the target is decided on again at once, and then the autoscaler.
func awaitsTarget(f facts) bool {
	return f.rule.Scales() && slices.ContainsFunc(f.followed, func(d *v1alpha1.Distribution) bool {
		return d.Spec.Replicas != nil && !d.Spec.Autoscaled && len(d.Spec.Clusters) > 0
	})
}

// idealParts are the exact shares of a decision, in parts of wholeRatio for each replica: what an autoscaler's bounds
// are divided by, since two replicas in two clusters say nothing of the weights. nil where there are none.
func idealParts(d *v1alpha1.Distribution, cluster string) (int64, bool) {
	for _, c := range d.Spec.Clusters {
		if c.Name == cluster {
			return fraction(c.Ideal)
		}
	}
	return 0, false
}

// fraction reads what placement.Fraction prints ("3", "2/3", "1 2/3"), in parts of wholeRatio.
func fraction(text string) (int64, bool) {
	whole, rest, mixed := strings.Cut(text, " ")
	if !mixed && strings.Contains(text, "/") {
		whole, rest = "0", text
	}
	n, err := strconv.ParseInt(whole, 10, 32)
	if err != nil {
		return 0, false
	}
	parts := n * wholeRatio
	if rest == "" {
		return parts, true
	}
	over, under, _ := strings.Cut(rest, "/")
	num, errNum := strconv.ParseInt(over, 10, 32)
	den, errDen := strconv.ParseInt(under, 10, 32)
	if errNum != nil || errDen != nil || den < 1 {
		return 0, false
	}
	return parts + num*wholeRatio/den, true
}

// isDuplicated reports whether every cluster has all replicas of what a decision is about.
func isDuplicated(d *v1alpha1.Distribution) bool {
	if d.Spec.Replicas == nil || *d.Spec.Replicas == 0 || len(d.Spec.Clusters) < 2 {
		return false
	}
	for _, c := range d.Spec.Clusters {
		if ptr.Deref(c.Replicas, 0) != *d.Spec.Replicas {
			return false
		}
	}
	return true
}
