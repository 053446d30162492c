package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/e2e/harness"
)

// The namespaces of the wave.
const (
	floorWave = "floor-wave"
	hubWave   = "hub-wave"
)

func (b *bench) deployments() int { return (b.size + 1) / 2 }

// items are the objects of the wave, saying something.
func (b *bench) items(namespace, says string) []item {
	var items []item
	for i := range b.size {
		items = append(items, configMap(namespace, i, says))
		if i%2 == 0 {
			items = append(items, deployment(namespace, i, says, replicas))
		}
	}
	return items
}

// cost is what the hub has used.
type cost struct {
	processor time.Duration
	writes    int64 // to its etcd
	bytes     int64 // live in its etcd
}

// costOf does something and tells what it has cost the hub until all is quiet again.
func (b *bench) costOf(ctx context.Context, do func() error) (cost, error) {
	pid := b.hub.Process().PID()
	revision, bytes, err := quiet(ctx, b.hub.DataDir())
	if err != nil {
		return cost{}, err
	}
	used, err := cpu(pid)
	if err != nil {
		return cost{}, err
	}
	if err := do(); err != nil {
		return cost{}, err
	}
	revisionAfter, bytesAfter, err := quiet(ctx, b.hub.DataDir())
	if err != nil {
		return cost{}, err
	}
	usedAfter, err := cpu(pid)
	return cost{usedAfter - used, revisionAfter - revision, bytesAfter - bytes}, err
}

// targets are what a wave should not cost more than; none if empty.
type targets struct{ ratio, processor, writes string }

// compare times the floor and then the hub, and adds the rows that all waves have.
func (b *bench) compare(
	ctx context.Context, name string, want targets, goals []goal, count int, floor, hub func(context.Context) error,
) (cost, error) {
	direct, err := timed(ctx, b.members, floorWave, goals, floor)
	if err != nil {
		return cost{}, fmt.Errorf("the floor: %w", err)
	}
	var through time.Duration
	spent, err := b.costOf(ctx, func() (err error) {
		through, err = timed(ctx, b.members, hubWave, goals, hub)
		return err
	})
	if err != nil {
		return cost{}, err
	}
	b.add(name, seconds(direct), seconds(through), quotient(through, direct), want.ratio)
	each := func(format string, all float64) string { return fmt.Sprintf(format, all/float64(count)) }
	b.add("  hub CPU-seconds per object", "", each("%.4f", spent.processor.Seconds()), "", want.processor)
	b.add("  writes to the hub's etcd per object", "", each("%.2f", float64(spent.writes)), "", want.writes)
	return spent, nil
}

// wave makes many objects at once.
func (b *bench) wave(ctx context.Context) error {
	if err := b.makeInMembers(ctx, floorWave); err != nil {
		return err
	}
	if err := makeNamespace(ctx, b.hub.Kube, hubWave); err != nil {
		return err
	}
	if err := create(ctx, b.hub.Clients, []item{placement(hubWave, weightsBefore)}); err != nil {
		return err
	}
	pid := b.hub.Process().PID()
	resetPeak(pid)
	items := b.items(hubWave, first)
	name := fmt.Sprintf("wave: %d ConfigMaps and %d Deployments to three members", b.size, b.deployments())
	spent, err := b.compare(ctx, name, targets{"2", "0.02", "4"}, b.goals(anyObject), len(items),
		func(ctx context.Context) error { return applyAll(ctx, b.members, b.items(floorWave, first)) },
		func(ctx context.Context) error { return create(ctx, b.hub.Clients, items) })
	if err != nil {
		return err
	}
	now, peak := memory(pid)
	each := float64(spent.bytes) / float64(len(items))
	b.add("  live bytes in the hub's etcd per object", "", fmt.Sprintf("%.0f", each), "", "4096")
	b.add("  resident memory, peak of the wave", "", fmt.Sprintf("%d MiB", peak/mib), "", "400 MiB")
	b.add("  resident memory, after", "", fmt.Sprintf("%d MiB", now/mib), "", "")
	return nil
}

// update changes every object of the wave.
func (b *bench) update(ctx context.Context) error {
	const second = "2"
	items := b.items(hubWave, second)
	_, err := b.compare(ctx, "update: all of the wave changed", targets{}, b.goals(saying(second)), len(items),
		func(ctx context.Context) error { return applyAll(ctx, b.members, b.items(floorWave, second)) },
		func(ctx context.Context) error { return change(ctx, b.hub.Clients, items) })
	return err
}

// weights changes one number for each member in the placement, and with it the replicas of every Deployment in two of
// the three members. The floor applies just these.
func (b *bench) weights(ctx context.Context) error {
	before, after := byMember(weightsBefore), byMember(weightsAfter)
	var scaled []item
	for _, i := range b.items(floorWave, first) {
		if i.gvr == deployments {
			scaled = append(scaled, i)
		}
	}
	// The floor's Deployments become what the hub's are.
	if err := everywhere(ctx, b.members, scaled, func(ctx context.Context, m *harness.Member, i item) error {
		return applyTo(ctx, m.Clients, withReplicas(i, before[m.Name()]))
	}); err != nil {
		return err
	}
	hasShare := func(member string, obj *unstructured.Unstructured) bool {
		has, _, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
		return has == after[member]
	}
	_, err := b.compare(ctx, fmt.Sprintf("weights: 3:2:1 becomes 1:2:3 for %d Deployments", len(scaled)), targets{},
		[]goal{{gvr: deployments, isRight: hasShare, count: len(scaled)}}, len(scaled),
		func(ctx context.Context) error {
			return everywhere(ctx, b.members, scaled, func(ctx context.Context, m *harness.Member, i item) error {
				if before[m.Name()] == after[m.Name()] {
					return nil
				}
				return applyTo(ctx, m.Clients, withReplicas(i, after[m.Name()]))
			})
		},
		func(ctx context.Context) error {
			return change(ctx, b.hub.Clients, []item{placement(hubWave, weightsAfter)})
		})
	return err
}

func byMember(shares []share) map[string]int64 {
	all := map[string]int64{}
	for _, s := range shares {
		all[s.member] = s.weight
	}
	return all
}

// withReplicas is a Deployment with other replicas.
func withReplicas(i item, replicas int64) item {
	i.obj = i.obj.DeepCopy()
	i.obj.Object["spec"].(map[string]any)["replicas"] = replicas
	return i
}

// remove deletes every object of the wave.
func (b *bench) remove(ctx context.Context) error {
	goals := b.goals(anyObject)
	for i := range goals {
		goals[i].before, goals[i].count = goals[i].count, 0
	}
	items := b.items(hubWave, first)
	_, err := b.compare(ctx, "delete: all of the wave", targets{}, goals, len(items),
		func(ctx context.Context) error {
			direct := b.items(floorWave, first)
			return everywhere(ctx, b.members, direct, func(ctx context.Context, m *harness.Member, i item) error {
				return removeFrom(ctx, m.Clients, i)
			})
		},
		func(ctx context.Context) error { return remove(ctx, b.hub.Clients, items) })
	return err
}
