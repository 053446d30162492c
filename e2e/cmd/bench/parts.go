package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/harness"
)

const mib = 1 << 20

// idle is how long a hub has nothing to do before its memory is looked at: longer than it takes to give back what its
// start needed, and to use again what it goes on to need.
const idle = 30 * time.Second

// start measures a hub from an empty directory to the first placed object.
func (b *bench) start(ctx context.Context) error {
	if _, err := harness.Hanse(); err != nil { // builds it, which is not to be measured
		return err
	}
	began := time.Now()
	hub, err := harness.StartHub(ctx, harness.HubOptions{})
	if err != nil {
		return err
	}
	b.hub = hub
	ready := time.Since(began)
	time.Sleep(idle) // not a wait for anything: idle is what is measured
	resident, _ := memory(hub.Process().PID())
	joining := time.Now()
	for _, m := range b.members {
		if err := harness.Join(ctx, hub, m); err != nil {
			return err
		}
	}
	const namespace = "first"
	if err := makeNamespace(ctx, hub.Kube, namespace); err != nil {
		return err
	}
	one := configMap(namespace, 0, first)
	one.obj.SetAnnotations(map[string]string{v1alpha1.ClustersAnnotation: "*"})
	goals := []goal{{gvr: configMaps, isRight: anyObject, count: 1}}
	if _, err := timed(ctx, b.members, namespace, goals, func(ctx context.Context) error {
		return create(ctx, hub.Clients, []item{one})
	}); err != nil {
		return err
	}
	b.add("hub ready from an empty directory", "", seconds(ready), "", "3 s")
	b.add("from nothing to the first placed object, three joins", "", seconds(ready+time.Since(joining)), "", "5 s")
	b.add("resident memory, idle", "", fmt.Sprintf("%d MiB", resident/mib), "", "150 MiB")
	return nil
}

// latencies is how many single objects are measured.
const latencies = 50

// latency measures single objects on an idle system.
func (b *bench) latency(ctx context.Context) error {
	floor, err := b.latencyOf(ctx, "floor-latency", func(ctx context.Context, i item) error {
		return atOnce(ctx, b.members, func(ctx context.Context, m *harness.Member) error {
			return applyTo(ctx, m.Clients, i)
		})
	})
	if err != nil {
		return err
	}
	if err := makeNamespace(ctx, b.hub.Kube, "hub-latency"); err != nil {
		return err
	}
	if err := create(ctx, b.hub.Clients, []item{placement("hub-latency", weightsBefore)}); err != nil {
		return err
	}
	hub, err := b.latencyOf(ctx, "hub-latency", func(ctx context.Context, i item) error {
		return create(ctx, b.hub.Clients, []item{i})
	})
	if err != nil {
		return err
	}
	b.add("create to present in three members, p50", millis(floor, 50), millis(hub, 50), over(hub, floor, 50), "25 ms")
	b.add("create to present in three members, p99", millis(floor, 99), millis(hub, 99), over(hub, floor, 99), "100 ms")
	back, err := b.statusLatency(ctx)
	if err != nil {
		return err
	}
	b.add("member status to hub status, p50", "", millis(back, 50), "", "30 ms")
	b.add("member status to hub status, p99", "", millis(back, 99), "", "")
	return nil
}

// latencyOf writes objects one at a time and measures until the last member has each.
func (b *bench) latencyOf(
	ctx context.Context, namespace string, write func(context.Context, item) error,
) ([]time.Duration, error) {
	if err := b.makeInMembers(ctx, namespace); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var watched []*copies
	for _, m := range b.members {
		c, err := watchCopies(ctx, m, namespace, goal{gvr: configMaps, isRight: anyObject})
		if err != nil {
			return nil, err
		}
		watched = append(watched, c)
	}
	var took []time.Duration
	for i := range latencies + 1 {
		began := time.Now()
		if err := write(ctx, configMap(namespace, i, first)); err != nil {
			return nil, err
		}
		for _, c := range watched {
			if err := c.await(ctx, i+1); err != nil {
				return nil, err
			}
		}
		if i > 0 { // the first one makes connections and caches
			took = append(took, time.Since(began))
		}
		time.Sleep(20 * time.Millisecond) // not a wait for anything: an idle system is what is measured
	}
	return took, nil
}

// makeInMembers makes a namespace in all members.
func (b *bench) makeInMembers(ctx context.Context, namespace string) error {
	return atOnce(ctx, b.members, func(ctx context.Context, m *harness.Member) error {
		return makeNamespace(ctx, m.Kube, namespace)
	})
}

// statusLatency changes a status in a member and measures until the hub's object shows it.
func (b *bench) statusLatency(ctx context.Context) ([]time.Duration, error) {
	const namespace = "hub-latency"
	web := deployment(namespace, 0, first, 6*latencies)
	if err := create(ctx, b.hub.Clients, []item{web}); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	hub := b.hub.Dynamic.Resource(deployments).Namespace(namespace)
	watch, err := hub.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("watching the hub: %w", err)
	}
	member := b.members[0].Dynamic.Resource(deployments).Namespace(namespace)
	var took []time.Duration
	for i := int64(1); i <= latencies; i++ {
		patch := statusPatch(1, 3*latencies, i)
		if err := patchSoon(ctx, func() error {
			_, err := member.Patch(ctx, web.obj.GetName(), types.MergePatchType, patch, metav1.PatchOptions{}, "status")
			return err
		}); err != nil {
			return nil, err
		}
		began := time.Now()
		for event := range watch.ResultChan() {
			obj, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				return nil, fmt.Errorf("watching the hub: %v", event.Object)
			}
			if ready, _, _ := unstructured.NestedInt64(obj.Object, "status", "readyReplicas"); ready == i {
				break
			}
		}
		took = append(took, time.Since(began))
		time.Sleep(200 * time.Millisecond) // not a wait for anything: an idle system is what is measured
	}
	return took, nil
}

// patchSoon tries until the object is there.
func patchSoon(ctx context.Context, patch func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := patch()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// restart measures a start with everything placed, and looks for writes.
func (b *bench) restart(ctx context.Context) error {
	if err := b.reportReady(ctx, "hub-wave"); err != nil {
		return err
	}
	if _, _, err := quiet(ctx, b.hub.DataDir()); err != nil {
		return err
	}
	before, err := b.hub.Stored(ctx)
	if err != nil {
		return err
	}
	members, err := b.versions(ctx)
	if err != nil {
		return err
	}
	if err := b.hub.Stop(); err != nil {
		return err
	}
	began := time.Now()
	if err := b.hub.Start(ctx); err != nil {
		return err
	}
	ready := time.Since(began)
	idle, err := b.idleAfter(ctx, began)
	if err != nil {
		return err
	}
	if _, _, err := quiet(ctx, b.hub.DataDir()); err != nil {
		return err
	}
	after, err := b.hub.Stored(ctx)
	if err != nil {
		return err
	}
	for key, revision := range after.Keys {
		if before.Keys[key] != revision {
			fmt.Fprintln(os.Stderr, "bench: written by the restart: "+key)
		}
	}
	now, err := b.versions(ctx)
	if err != nil {
		return err
	}
	written := 0
	for name, version := range now {
		if members[name] != version {
			written++
		}
	}
	b.add("restart with all placed: ready", "", seconds(ready), "", "")
	b.add("restart with all placed: quiet", "", seconds(idle), "", "3 s")
	b.add("restart with all placed: writes to etcd", "", fmt.Sprint(after.Revision-before.Revision), "", "0")
	b.add("restart with all placed: writes to members", "", fmt.Sprint(written), "", "0")
	return nil
}

// reportReady plays the members' controllers: every Deployment has all its replicas.
func (b *bench) reportReady(ctx context.Context, namespace string) error {
	return atOnce(ctx, b.members, func(ctx context.Context, m *harness.Member) error {
		resource := m.Dynamic.Resource(deployments).Namespace(namespace)
		list, err := resource.List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("listing Deployments of %s: %w", m.Name(), err)
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(workers)
		for _, d := range list.Items {
			wanted, _, _ := unstructured.NestedInt64(d.Object, "spec", "replicas")
			group.Go(func() error {
				_, err := resource.Patch(ctx, d.GetName(), types.MergePatchType, statusPatch(d.GetGeneration(), wanted, wanted),
					metav1.PatchOptions{}, "status")
				return err
			})
		}
		return group.Wait()
	})
}

// statusPatch is what a Deployment controller reports.
func statusPatch(generation, replicas, ready int64) []byte {
	return fmt.Appendf(nil, `{"status":{"observedGeneration":%d,"replicas":%d,"updatedReplicas":%d,"readyReplicas":%d,`+
		`"availableReplicas":%d}}`, generation, replicas, replicas, ready, ready)
}

// idleAfter waits until the hub uses less than a tenth of a core and tells how long after began that was.
func (b *bench) idleAfter(ctx context.Context, began time.Time) (time.Duration, error) {
	const slice = 200 * time.Millisecond
	last, err := cpu(b.hub.Process().PID())
	if err != nil {
		return 0, err
	}
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(slice):
		}
		used, err := cpu(b.hub.Process().PID())
		if err != nil {
			return 0, err
		}
		if used-last < slice/10 {
			return time.Since(began) - slice, nil
		}
		last = used
	}
}

// versions are the resource versions of all that the hub has made in the members.
func (b *bench) versions(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for _, m := range b.members {
		for _, gvr := range []schema.GroupVersionResource{configMaps, deployments} {
			list, err := m.Dynamic.Resource(gvr).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.HubLabel})
			if err != nil {
				return nil, fmt.Errorf("listing %s of %s: %w", gvr.Resource, m.Name(), err)
			}
			for i := range list.Items {
				o := &list.Items[i]
				all[m.Name()+"/"+gvr.Resource+"/"+o.GetNamespace()+"/"+o.GetName()] = o.GetResourceVersion()
			}
		}
	}
	return all, nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// percentile of durations.
func percentile(all []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

func millis(all []time.Duration, p int) string {
	return fmt.Sprintf("%.1f ms", float64(percentile(all, p).Microseconds())/1000)
}

func over(a, b []time.Duration, p int) string { return quotient(percentile(a, p), percentile(b, p)) }

func quotient(a, b time.Duration) string { return fmt.Sprintf("%.2f", a.Seconds()/b.Seconds()) }
