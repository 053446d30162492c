package schedule

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

// Labels that every cluster has for selectors, beside its own.
const (
	labelName     = "hanse.io/cluster"
	labelRegion   = "topology.kubernetes.io/region"
	labelProvider = "hanse.io/provider"
)

// factsOf is what the engine knows of one member. A Cluster that is being deleted is none.
func factsOf(c *v1alpha1.Cluster) placement.Cluster {
	facts := placement.Cluster{
		Name:     c.Name,
		Labels:   labelsOf(c),
		Region:   c.Spec.Region,
		Zones:    c.Spec.Zones,
		Provider: c.Spec.Provider,
		Cordoned: c.Spec.Unschedulable,
		Paused:   c.Spec.Paused,
		Free:     freeOf(c.Status),
	}
	facts.Ready, facts.Since = contactOf(c)
	facts.Trouble = troubleOf(c)
	for _, taint := range c.Spec.Taints {
		t := placement.Taint{Key: taint.Key, Value: taint.Value, Effect: placement.Effect(taint.Effect)}
		if taint.TimeAdded != nil {
			t.TimeAdded = taint.TimeAdded.Time
		}
		facts.Taints = append(facts.Taints, t)
	}
	return facts
}

// troubleOf says why a member's replicas cannot be relied on, where it is not that nothing answers.
func troubleOf(c *v1alpha1.Cluster) string {
	conditions := c.Status.Conditions
	switch ready := meta.FindStatusCondition(conditions, v1alpha1.ClusterConditionReady); {
	case ready == nil:
	case ready.Status == metav1.ConditionTrue && meta.IsStatusConditionFalse(conditions, v1alpha1.ClusterConditionHealthy):
		return "none of its nodes is ready"
	case ready.Status != metav1.ConditionTrue && meta.IsStatusConditionTrue(conditions, v1alpha1.ClusterConditionReachable):
		return "its API server answers, but cannot be worked with (" + ready.Reason + "); what runs there may be well"
	}
	return ""
}

// contactOf reports whether what runs in a member can be relied on, and since when it can, or cannot. Without a time the
// member never counts as lost: its API server answers with errors, or refuses the hub, and what runs there may be well.
func contactOf(c *v1alpha1.Cluster) (isReady bool, since time.Time) {
	ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ClusterConditionReady)
	if ready == nil {
		return false, time.Time{}
	}
	reachable := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ClusterConditionReachable)
	healthy := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ClusterConditionHealthy)
	switch {
	case ready.Status != metav1.ConditionTrue && reachable == nil: // as an older hub stored it
		return false, ready.LastTransitionTime.Time
	case ready.Status != metav1.ConditionTrue && reachable.Status != metav1.ConditionFalse:
		return false, time.Time{}
	case ready.Status != metav1.ConditionTrue:
		return false, reachable.LastTransitionTime.Time
	case healthy != nil && healthy.Status == metav1.ConditionFalse:
		return false, healthy.LastTransitionTime.Time
	case healthy != nil && healthy.LastTransitionTime.After(ready.LastTransitionTime.Time) && healthy.Status == metav1.ConditionTrue:
		return true, healthy.LastTransitionTime.Time
	}
	return true, ready.LastTransitionTime.Time
}

func labelsOf(c *v1alpha1.Cluster) map[string]string {
	all := maps.Clone(c.Labels)
	if all == nil {
		all = map[string]string{}
	}
	for key, value := range map[string]string{
		labelName: c.Name, labelRegion: c.Spec.Region, labelProvider: c.Spec.Provider,
	} {
		if _, own := all[key]; !own && value != "" {
			all[key] = value
		}
	}
	return all
}

// freeOf is the member's free room, as one; nil when it is not known. A member without any node (a virtual one, or
// one that starts nodes on demand) has no figure to go by.
func freeOf(status v1alpha1.ClusterStatus) []placement.Room {
	if status.Resources == nil || status.Nodes == nil || status.Nodes.Total == 0 {
		return nil
	}
	room := placement.Room{Nodes: 1}
	for name, quantity := range status.Resources.Available {
		switch name {
		case corev1.ResourceCPU:
			room.MilliCPU = quantity.MilliValue()
		case corev1.ResourceMemory:
			room.Memory = quantity.Value()
		case corev1.ResourcePods:
			room.Pods = quantity.Value()
		case corev1.ResourceStorage:
		default:
			if room.Extended == nil {
				room.Extended = map[string]int64{}
			}
			room.Extended[string(name)] = quantity.Value()
		}
	}
	return []placement.Room{room}
}

// fleetFacts are the facts of all members, sorted by name.
func fleetFacts(clusters []v1alpha1.Cluster) []placement.Cluster {
	facts := make([]placement.Cluster, 0, len(clusters))
	for i := range clusters {
		if clusters[i].DeletionTimestamp == nil {
			facts = append(facts, factsOf(&clusters[i]))
		}
	}
	slices.SortFunc(facts, func(a, b placement.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return facts
}

// effect is what a change of a Cluster can do to decisions.
type effect int

const (
	// noEffect: no decision depends on what changed.
	noEffect effect = iota
	// roomEffect: there is more or less free room. It changes all the time, and only decisions that wait for room, or
	// follow it, are taken again.
	roomEffect
	// memberEffect: what the member may get has changed, for placements that choose it already.
	memberEffect
	// choiceEffect: placements may choose it that did not, or no longer.
	choiceEffect
)

// effectOf compares two states of a Cluster; nil: there is none.
func effectOf(old, now *v1alpha1.Cluster) effect {
	if old == nil || now == nil || (old.DeletionTimestamp == nil) != (now.DeletionTimestamp == nil) {
		return choiceEffect
	}
	a, b := factsOf(old), factsOf(now)
	switch {
	case a.Region != b.Region || a.Provider != b.Provider || !maps.Equal(a.Labels, b.Labels) ||
		!slices.Equal(a.Zones, b.Zones):
		return choiceEffect
	case !slices.Equal(a.Taints, b.Taints), a.Ready != b.Ready, a.Since.IsZero() != b.Since.IsZero(), a.Cordoned != b.Cordoned, a.Paused != b.Paused,
		(a.Free == nil) != (b.Free == nil), apisHash(old) != apisHash(now):
		return memberEffect
	case !slices.EqualFunc(a.Free, b.Free, sameRoom):
		return roomEffect
	}
	return noEffect
}

func sameRoom(a, b placement.Room) bool {
	return a.Nodes == b.Nodes && a.MilliCPU == b.MilliCPU && a.Memory == b.Memory && a.Pods == b.Pods &&
		maps.Equal(a.Extended, b.Extended)
}

func apisHash(c *v1alpha1.Cluster) string {
	if c.Status.APIs == nil {
		return ""
	}
	return c.Status.APIs.Hash
}
