package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// absence is what happens at the hub while a member is away: a third each of so many ConfigMaps is changed, deleted and
// left alone, and as many as are deleted are new.
type absence struct{ before, changed, gone, fresh []item }

func newAbsence(namespace string, count int) absence {
	var a absence
	for i := range count {
		a.before = append(a.before, configMap(namespace, i, first))
		switch i % 3 {
		case 0:
			a.changed = append(a.changed, configMap(namespace, i, "2"))
		case 1:
			a.gone = append(a.gone, a.before[i])
			a.fresh = append(a.fresh, configMap(namespace, count+i, first))
		}
	}
	return a
}

// goals are what a member that was away should have in the end: everything as it is now, and nothing else.
func (a absence) goals() []goal {
	texts := map[string]string{}
	for _, items := range [][]item{a.before, a.changed, a.fresh} {
		for _, i := range items {
			texts[i.obj.GetName()] = says(i.obj)
		}
	}
	for _, i := range a.gone {
		delete(texts, i.obj.GetName())
	}
	isRight := func(_ string, obj *unstructured.Unstructured) bool { return texts[obj.GetName()] == says(obj) }
	return []goal{
		{gvr: configMaps, isRight: isRight, count: len(texts)},
		{gvr: configMaps, isRight: anyObject, count: len(texts)},
	}
}

// reconnect kills a member, changes things at the hub, and measures from the member's return until it has them.
func (b *bench) reconnect(ctx context.Context) error {
	const floorSpace, hubSpace = "floor-away", "hub-away"
	count := max(3, b.size*3/10)
	away := b.members[2]
	one := []*harness.Member{away}
	floor, hub := newAbsence(floorSpace, count), newAbsence(hubSpace, count)

	if err := makeNamespace(ctx, away.Kube, floorSpace); err != nil {
		return err
	}
	if err := applyAll(ctx, one, floor.before); err != nil {
		return err
	}
	direct, err := timed(ctx, one, floorSpace, floor.goals(), func(ctx context.Context) error {
		return errors.Join(applyAll(ctx, one, floor.changed), remove(ctx, away.Clients, floor.gone),
			applyAll(ctx, one, floor.fresh))
	})
	if err != nil {
		return fmt.Errorf("the floor: %w", err)
	}

	if err := makeNamespace(ctx, b.hub.Kube, hubSpace); err != nil {
		return err
	}
	if err := create(ctx, b.hub.Clients, []item{placement(hubSpace, evenly(b.members))}); err != nil {
		return err
	}
	goals := []goal{{gvr: configMaps, isRight: anyObject, count: count}}
	if _, err := timed(ctx, b.members, hubSpace, goals, func(ctx context.Context) error {
		return create(ctx, b.hub.Clients, hub.before)
	}); err != nil {
		return err
	}
	if err := away.Kill(cluster.APIServer); err != nil {
		return err
	}
	if err := b.awaitReadiness(ctx, away.Name(), false); err != nil {
		return err
	}
	if err := errors.Join(change(ctx, b.hub.Clients, hub.changed), remove(ctx, b.hub.Clients, hub.gone),
		create(ctx, b.hub.Clients, hub.fresh)); err != nil {
		return err
	}
	if _, _, err := quiet(ctx, b.hub.DataDir()); err != nil {
		return err
	}
	if err := away.Start(cluster.APIServer); err != nil {
		return err
	}
	// The watch of what is timed begins when the API server is ready, so the hub may have a head start of a moment: it
	// is the time from there that a user sees.
	through, err := timed(ctx, one, hubSpace, hub.goals(), nothing)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := b.awaitReadiness(ctx, away.Name(), true); err != nil {
		return err
	}
	changes := len(hub.changed) + len(hub.gone) + len(hub.fresh)
	b.add(fmt.Sprintf("reconnect: from a member's return to %d changes made", changes), seconds(direct),
		seconds(through), quotient(through, direct), "")
	b.add("  and to the hub's saying that it is ready", "", seconds(through+time.Since(began)), "", "")
	return nil
}

// awaitReadiness waits until the hub says of a member that it is ready, or that it is not.
func (b *bench) awaitReadiness(ctx context.Context, member string, isReady bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c := &v1alpha1.Cluster{}
		if err := b.hub.Client.Get(ctx, client.ObjectKey{Name: member}, c); err != nil {
			return fmt.Errorf("reading Cluster %s: %w", member, err)
		}
		if meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) == isReady {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for Cluster %s: %w", member, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
