package placement

// Cases in which decisions did not come to rest, lost what ran, or said what was not so.

import "testing"

func w1(name string) Term { return Term{Names: []string{name}, Weight: i64(1)} }
func divide(n int64) Object {
	return Object{Key: "k", Mode: ModeDivide, HasReplicas: true, Replicas: n}
}
func well(name, region string) Cluster { return Cluster{Name: name, Ready: true, Region: region} }
func full(c Cluster) Cluster           { c.Free = free(0); return c }
func had(a ...Assignment) *Previous    { return &Previous{Clusters: a} }
func runs(name string, n int64) Assignment {
	return Assignment{Name: name, Replicas: n, Ready: n}
}

// H1: a full cluster's replicas are all taken away when a spread moves to another region and then blocks.
func TestH1Outage(t *testing.T) {
	d := Decide(Input{Object: divide(8), Clusters: []Cluster{full(well("a", "eu")), well("b", "us")},
		Policy:   Policy{Spread: []Spread{{By: "region", Max: in32(1)}, {By: "cluster", Min: in32(2)}}},
		Previous: had(runs("a", 4), runs("a2", 4))})
	if d.Placed() < 4 {
		t.Errorf("4 ran and were ready in a; now %v, unplaced %d, cause %q", result(d), d.Unplaced, d.Cause.Message)
	}
}

// H2: one full cluster is enough: nothing changed, and the replica moves, for ever.
func TestH2SpreadMaxFlaps(t *testing.T) {
	in := Input{Object: divide(1), Clusters: []Cluster{full(well("a", "eu")), well("b", "us")},
		Policy: Policy{Spread: []Spread{{By: "region", Max: in32(1)}}}, Previous: had(runs("a", 1))}
	in.Clusters[1].Free = free(1)
	if d := Decide(in); !sameMap(result(d), map[string]int64{"a": 1}) {
		t.Errorf("moved without cause: %v surge %d", result(d), d.Surge)
	}
	if s := flaps(in); s != "" {
		t.Error(s)
	}
}

// H3: a cluster that is full (or has no known capacity under By Capacity) loses its minimum.
func TestH3MinOfFullCluster(t *testing.T) {
	e := w1("e")
	e.Min = i64(3)
	in := Input{Object: divide(3), Clusters: []Cluster{well("b", ""), full(well("e", ""))},
		Policy: Policy{Terms: []Term{w1("b"), e}}, Previous: had(runs("b", 1), runs("e", 3))}
	if d := Decide(in); result(d)["e"] < 3 {
		t.Errorf("scaled 4 -> 3, min 3 in e: %v", result(d))
	}
	if s := flaps(in); s != "" {
		t.Error(s)
	}
}

// H4: a spread that holds now is broken by a scale-down, since who is full is not held by the spread.
func TestH4SpreadBrokenByScaleDown(t *testing.T) {
	c := w1("c")
	c.Weight = i64(9)
	d := Decide(Input{Object: divide(2), Clusters: []Cluster{full(well("b", "")), well("c", "")},
		Policy:   Policy{Terms: []Term{w1("b"), c}, Spread: []Spread{{By: "cluster", Min: in32(2)}}},
		Previous: had(runs("b", 1), runs("c", 4))})
	if len(result(d)) < 2 {
		t.Errorf("cluster min 2 held; after 5 -> 2: %v, notes %v", result(d), d.Notes)
	}
}

// H5: two nested constraints that can be kept together are called impossible; in the other order they are kept.
func TestH5ClaimsImpossible(t *testing.T) {
	spread := []Spread{{By: "cluster", Min: in32(2), Max: in32(2)}, {By: "region", Max: in32(1)}}
	e := w1("e")
	e.Weight = i64(2)
	in := Input{Object: divide(2), Clusters: []Cluster{well("c", "r0"), well("d", "r0"), well("e", "r2")},
		Policy: Policy{Terms: []Term{w1("c"), w1("d"), e}, Spread: spread}}
	d := Decide(in)
	in.Policy.Spread = []Spread{spread[1], spread[0]}
	if d.Unplaced > 0 {
		t.Errorf("%v; c and d keep both. Constraints the other way round: %v", d.Cause.Message, result(Decide(in)))
	}
}

// H6: says nothing although region min 2 is not kept ("It never answers satisfied when it is not").
func TestH6FalselySatisfied(t *testing.T) {
	c, d1, e := well("c", "r2"), well("d", "r1"), well("e", "r1")
	c.Provider, d1.Provider, e.Provider = "p0", "p1", "p0"
	in := Input{Object: divide(2), Clusters: []Cluster{c, d1, e},
		Policy: Policy{Spread: []Spread{{By: "provider", Min: in32(2)}, {By: "region", Min: in32(2)}}}}
	for k := 0; k < 40; k++ {
		in.Object.Key = string(rune('a' + k))
		d := Decide(in)
		if got := result(d); len(got) > 0 && !spreadKept(in, got) && len(d.Notes) == 0 {
			t.Errorf("key %s: %v, no note", in.Object.Key, got)
			return
		}
	}
}

// H7: overflow Pending places what a DoNotSchedule spread blocks.
func TestH7PendingIgnoresBlock(t *testing.T) {
	d := Decide(Input{Object: divide(2), Clusters: []Cluster{well("c", "r0")},
		Policy: Policy{Overflow: OverflowPending, Spread: []Spread{{By: "region", Min: in32(2)}}}})
	if len(result(d)) > 0 {
		t.Errorf("region min 2, one region, DoNotSchedule: %v unplaced %d notes %v", result(d), d.Unplaced, d.Notes)
	}
}

// H8: overflow Pending chooses a group whose maximum is too low (reachOf forgets the maxima).
func TestH8PendingForgetsMax(t *testing.T) {
	c := Term{Names: []string{"c"}, Weight: i64(2), Max: i64(4)}
	d := Decide(Input{Object: divide(5), Clusters: []Cluster{well("c", ""), well("d", "")},
		Policy: Policy{Terms: []Term{c, w1("d")}, Overflow: OverflowPending,
			Spread: []Spread{{By: "cluster", Max: in32(1)}}}})
	if d.Unplaced > 0 {
		t.Errorf("%v, %d unplaced (%s); d alone holds 5", result(d), d.Unplaced, d.Cause.Message)
	}
}

// H9: a spread that is kept is "improved" by moving a running replica to a cluster in two zones.
func TestH9MovesToTwoZones(t *testing.T) {
	a, b, e := well("a", "r1"), well("b", "r2"), well("e", "r1")
	a.Zones, b.Zones, e.Zones = []string{"z1", "z9"}, []string{"z2"}, []string{"z0"}
	d := Decide(Input{Object: divide(2), Clusters: []Cluster{a, b, e},
		Policy: Policy{Spread: []Spread{{By: "zone", Min: in32(2)}}}, Previous: had(runs("b", 1), runs("e", 1))})
	if !sameMap(result(d), map[string]int64{"b": 1, "e": 1}) {
		t.Errorf("2 zones in use, 2 wanted, yet: %v surge %d", result(d), d.Surge)
	}
}

// H10: an entry of 0 replicas (left from scaling to zero) outranks a cluster that runs.
func TestH10EmptyEntryOutranks(t *testing.T) {
	a, c, d1, f := well("a", ""), well("c", "r0"), well("d", "r2"), well("f", "r0")
	d := Decide(Input{Object: divide(3), Clusters: []Cluster{a, c, d1, f},
		Policy:   Policy{Spread: []Spread{{By: "region"}, {By: "cluster", Max: in32(3)}}},
		Previous: had(runs("a", 0), runs("c", 1), runs("d", 1), runs("f", 1))})
	if len(d.Changes) > 1 || d.Surge > 0 {
		t.Errorf("c, d, f run one each, cluster max 3 kept: %v surge %d changes %v", result(d), d.Surge, d.Changes)
	}
}

// H11: by Capacity and Always: a replica that is scheduled and not yet ready shrinks the vote that called for it.
func TestH11CapacityAlways(t *testing.T) {
	in := Input{Object: divide(4), Policy: Policy{By: ByCapacity, Rebalance: RebalanceAlways}, Previous: had(runs("b", 4))}
	ready := map[string]int64{"b": 4}
	for step := 0; step < 40; step++ {
		now := map[string]int64{}
		for _, a := range in.Previous.Clusters {
			now[a.Name] = a.Replicas
		}
		in.Clusters = []Cluster{well("a", ""), well("b", "")}
		in.Clusters[0].Free, in.Clusters[1].Free = free(7-now["a"]), free(11-now["b"])
		d := Decide(in)
		if d.Surge == 0 && step > 3 && sameMap(result(d), now) {
			return
		}
		in.Previous = d.Assignments()
		for i := range in.Previous.Clusters {
			a := &in.Previous.Clusters[i]
			a.Ready = min(ready[a.Name], a.Replicas)
			if a.Replicas == now[a.Name] { // one step later
				a.Ready = a.Replicas
			}
			ready[a.Name] = a.Ready
		}
	}
	t.Error("does not come to rest in 40 steps")
}

// H12: the taint of a drain keeps what nobody else can take, as the engine's Draining does.
func TestH12DrainWithoutRoom(t *testing.T) {
	a := well("a", "")
	in := Input{Object: divide(3), Clusters: []Cluster{a, full(well("b", ""))}, Previous: had(runs("a", 3))}
	in.Clusters[0].Draining = true
	asField := result(Decide(in))
	in.Clusters[0].Draining = false
	in.Clusters[0].Taints = []Taint{{Key: "hanse.io/drained", Effect: NoExecute}}
	d := Decide(in)
	if !sameMap(asField, result(d)) {
		t.Errorf("b is full. Draining: %v. The taint of hanse drain: %v, unplaced %d", asField, result(d), d.Unplaced)
	}
}
