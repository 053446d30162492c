package schedule

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// What a member cannot run is taken away once: not again because of what was seen before.
func TestUnschedulableCountsOnce(t *testing.T) {
	cases := []struct {
		name               string
		replicas, desired  int64
		ready, stuck       int64
		observed, decision int64
		want               int64
	}{
		{"seen of this decision", 6, 6, 3, 3, 2, 2, 3},
		{"seen of the decision before", 3, 6, 3, 3, 1, 2, 0},
		{"the member has not been told yet", 3, 6, 3, 3, 2, 2, 0},
		{"never more than are missing", 4, 4, 3, 3, 2, 2, 1},
		{"a rollout surges", 3, 3, 3, 1, 2, 2, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := &v1alpha1.Distribution{}
			d.Generation, d.Status.ObservedGeneration = c.decision, c.observed
			d.Spec.Clusters = []v1alpha1.DistributionCluster{{Name: "east", Replicas: &c.replicas}}
			d.Status.Clusters = []v1alpha1.ClusterOutcome{
				{Name: "east", Desired: &c.desired, Ready: &c.ready, Unschedulable: c.stuck},
			}
			want := []placement.Assignment{{Name: "east", Replicas: c.replicas, Ready: c.ready, Unschedulable: c.want}}
			if diff := cmp.Diff(want, enginePrevious(d).Clusters); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A second replica that is stuck when the first has been taken away is news, although it is still one.
func TestUnschedulableComesToCount(t *testing.T) {
	distribution := func(observed, desired, stuck int64) *v1alpha1.Distribution {
		d := &v1alpha1.Distribution{}
		d.Generation, d.Status.ObservedGeneration = 2, observed
		d.Spec.Clusters = []v1alpha1.DistributionCluster{{Name: "east", Replicas: ptr.To[int64](1)}}
		d.Status.Clusters = []v1alpha1.ClusterOutcome{{Name: "east", Desired: &desired, Unschedulable: stuck}}
		return d
	}
	cases := []struct {
		name          string
		before, after *v1alpha1.Distribution
		want          bool
	}{
		{"the hub has looked", distribution(1, 1, 1), distribution(2, 1, 1), true},
		{"the member has followed", distribution(2, 2, 1), distribution(2, 1, 1), true},
		{"nothing new", distribution(2, 1, 1), distribution(2, 1, 1), false},
		{"of a decision before", distribution(1, 2, 1), distribution(1, 2, 2), false},
		{"it runs", distribution(2, 1, 1), distribution(2, 1, 0), true},
	}
	for _, c := range cases {
		if got := stuckChanged(c.before, c.after); got != c.want {
			t.Errorf("%s: news: %t, want %t", c.name, got, c.want)
		}
	}
}

// Other room concerns what waits for it, and what follows it at any time; nothing else.
func TestWatchlist(t *testing.T) {
	ref := template.Ref{Kind: "Deployment", Group: "apps", Namespace: "shop", Name: "web"}
	expression, err := placement.CompileSelector("cluster.ready")
	if err != nil {
		t.Fatal(err)
	}
	held := placement.Decision{Clusters: []placement.Share{{Name: "east", Clamps: placement.ClampCapacity}}}
	cases := []struct {
		name        string
		decision    placement.Decision
		policy      placement.Policy
		room, facts bool
	}{
		{"placed", placement.Decision{}, placement.Policy{}, false, false},
		{"unplaced", placement.Decision{Unplaced: 1}, placement.Policy{}, true, false},
		{"by capacity, at rest", placement.Decision{}, placement.Policy{By: placement.ByCapacity}, false, false},
		{"by capacity, always", placement.Decision{},
			placement.Policy{By: placement.ByCapacity, Rebalance: placement.RebalanceAlways}, true, false},
		{"held by room, at rest", held, placement.Policy{}, false, false},
		{"held by room, always", held, placement.Policy{Rebalance: placement.RebalanceAlways}, true, false},
		{"more than fits", placement.Decision{Clusters: []placement.Share{{Clamps: placement.ClampOverflow}}},
			placement.Policy{}, true, false},
		{"an expression", placement.Decision{},
			placement.Policy{Terms: []placement.Term{{Expression: expression}}}, false, true},
	}
	list := &Watchlist{}
	for _, c := range cases {
		list.note(ref, outcome{engine: &c.decision}, &match.Claim{Policy: c.policy})
		room, facts := false, false
		list.eachOfRoom(func(template.Ref) { room = true })
		list.eachOfFacts(func(template.Ref) { facts = true })
		if room != c.room || facts != c.facts {
			t.Errorf("%s: room %t, facts %t, want %t and %t", c.name, room, facts, c.room, c.facts)
		}
	}
}
