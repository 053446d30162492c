package schedule

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/decisions"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
)

// BenchmarkLoss is what follows when one of 100 members is lost and 10,000 Deployments are on the hub: from the event
// to the last write, which is encoded and goes nowhere. The target is 5 s on 2 cores. cpu-ms/op is the time of all
// cores, which other work on the machine does not lengthen.
func BenchmarkLoss(b *testing.B) {
	for _, c := range []struct {
		name    string
		members int // that each Deployment is placed in
		writes  int // that the loss causes
	}{
		{"each on 3 members", 3, 300},
		{"each on 10 members", 10, 1000},
		{"each on all 100 members", 100, 10000},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorkshop(b, 10000, 100, c.members)
			healthy := w.cluster("member-000")
			lost := healthy.DeepCopy()
			lost.Status.Conditions[0].Status = metav1.ConditionFalse
			lost.Status.Conditions[0].LastTransitionTime = metav1.NewTime(w.now.Add(-2 * time.Minute))
			begin := cpuTime()
			for b.Loop() {
				w.set(lost)
				w.source.cluster(healthy, lost)
				if w.work(b); int(w.writes.Swap(0)) != c.writes {
					b.Fatalf("other than %d decisions have changed", c.writes)
				}
				b.ReportMetric(float64(w.decisions.Swap(0)), "decisions/op")
				w.set(healthy)
			}
			b.ReportMetric(float64((cpuTime()-begin).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkFull decides about all of 10,000 Deployments again, as after a change of a member's labels.
func BenchmarkFull(b *testing.B) {
	for _, members := range []int{3, 100} {
		b.Run(fmt.Sprintf("each on %d members", members), func(b *testing.B) {
			w := newWorkshop(b, 10000, 100, members)
			begin := cpuTime()
			for b.Loop() {
				w.caches.Forget()
				w.source.Again()
				w.work(b)
				b.ReportMetric(float64(w.decisions.Swap(0)), "decisions/op")
			}
			b.ReportMetric(float64((cpuTime()-begin).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

// cpuTime is what this process has used of all cores.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// workshop is a reconciler with its source, caches and queue, without a hub.
type workshop struct {
	now       time.Time
	store     *indexed
	caches    *Caches
	source    *Source
	scheduler *Reconciler
	queue     workqueue.TypedRateLimitingInterface[template.Ref]
	writes    atomic.Int64
	decisions atomic.Int64
}

// workers is as many as the federation has.
const workers = 4

func newWorkshop(b *testing.B, templates, clusters, each int) *workshop {
	b.Helper()
	w := &workshop{now: time.Unix(1_800_000_000, 0)}
	w.store = newIndexed(b)
	for i := range clusters {
		w.store.set(simulatedCluster(i, w.now))
	}
	claims := match.NewIndex(func(string) labels.Set { return nil })
	view := &simulated{objects: make(map[template.Ref]*unstructured.Unstructured, templates)}
	view.Caches = &Caches{Reader: w.store, Claims: claims, Fleet: member.NewFleet(b.Context(), member.Options{})}
	w.caches = view.Caches
	w.source = &Source{Decisions: w.store.decisions, Facts: view.Caches, Watchlist: &Watchlist{}}
	w.scheduler = &Reconciler{
		Client: writer{Reader: w.store, of: w}, Facts: view, Watchlist: w.source.Watchlist,
		Now: func() time.Time { return w.now },
	}
	w.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[template.Ref]())
	w.source.queue.Store(&w.queue)
	for i := range templates {
		obj := simulatedDeployment(i)
		ref := template.RefOf(obj)
		view.objects[ref] = obj
		p := &v1alpha1.Placement{ObjectMeta: metav1.ObjectMeta{Namespace: obj.GetNamespace(), Name: obj.GetName()}}
		p.Spec.Resources = []v1alpha1.ResourceSelector{{Kind: "Deployment", Name: obj.GetName()}}
		for k := range each {
			p.Spec.Clusters = append(p.Spec.Clusters,
				v1alpha1.ClusterTerm{Name: memberName((i + k) % clusters), Weight: ptr.To(int64(k%3 + 1))})
		}
		if err := claims.SetPlacement(p); err != nil {
			b.Fatal(err)
		}
		w.queue.Add(ref)
	}
	w.writes.Store(0)
	w.work(b) // the first decisions are stored
	w.decisions.Store(0)
	w.writes.Store(0)
	return w
}

// work empties the queue.
func (w *workshop) work(b *testing.B) {
	var group sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(w.queue.Len()))
	if left.Load() == 0 {
		return
	}
	for range workers {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				ref, _ := w.queue.Get()
				if _, err := w.scheduler.Reconcile(context.Background(), ref); err != nil {
					b.Error(err)
				}
				w.decisions.Add(1)
				w.queue.Done(ref)
			}
		})
	}
	group.Wait()
}

func (w *workshop) set(c *v1alpha1.Cluster) { w.store.set(c) }

func (w *workshop) cluster(name string) *v1alpha1.Cluster {
	found, _, _ := w.store.clusters.GetByKey(name)
	return found.(*v1alpha1.Cluster)
}

func memberName(i int) string { return fmt.Sprintf("member-%03d", i) }

func simulatedCluster(i int, now time.Time) *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: memberName(i), Labels: map[string]string{"env": "prod"}}}
	c.Spec.Region, c.Spec.Zones, c.Spec.Provider = fmt.Sprintf("region-%d", i%5), []string{"a", "b"}, "cloud"
	c.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ClusterConditionReady, Status: metav1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(now.Add(-time.Hour)),
	}}
	c.Status.Nodes = &v1alpha1.NodeSummary{Total: 100, Ready: 100}
	c.Status.Resources = &v1alpha1.ResourceSummary{Available: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("30000"),
		corev1.ResourceMemory: resource.MustParse("100Ti"),
		corev1.ResourcePods:   resource.MustParse("900000"),
	}}
	c.Status.APIs = &v1alpha1.APISummary{Hash: "h", Count: 100}
	return c
}

func simulatedDeployment(i int) *unstructured.Unstructured {
	name := fmt.Sprintf("web-%05d", i)
	match := map[string]any{"app": name}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{
			"name": name, "namespace": fmt.Sprintf("team-%02d", i%50), "uid": "uid-" + name, "generation": int64(1),
			"labels": match, "finalizers": []any{v1alpha1.CopiesFinalizer},
		},
		"spec": map[string]any{
			"replicas": int64(300),
			"selector": map[string]any{"matchLabels": match},
			"template": map[string]any{"metadata": map[string]any{"labels": match}, "spec": map[string]any{
				"containers": []any{map[string]any{
					"name": "web", "image": "registry.example.org/web:v1",
					"envFrom":   []any{map[string]any{"configMapRef": map[string]any{"name": name}}},
					"resources": map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "128Mi"}},
				}},
			}},
		},
	}}
}

// simulated is Caches with templates that no informer has brought.
type simulated struct {
	*Caches
	objects map[template.Ref]*unstructured.Unstructured
}

func (s *simulated) Template(ref template.Ref) (*unstructured.Unstructured, bool) {
	obj, ok := s.objects[ref]
	return obj, ok
}

func (s *simulated) Autoscaler(template.Ref) (*unstructured.Unstructured, bool) { return nil, false }

func (s *simulated) Kind(schema.GroupKind) (template.Kind, bool) { return template.Kind{}, false }

// indexed reads as the cache of the hub does: from indexers, copying unless told not to.
type indexed struct {
	clusters, distributions toolscache.Indexer
	decisions               *decisions.View
}

func newIndexed(b *testing.B) *indexed {
	b.Helper()
	by := toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc}
	for name, values := range indexes {
		by[name] = func(obj any) ([]string, error) { return values(&obj.(*v1alpha1.Distribution).Spec), nil }
	}
	informer := toolscache.NewSharedIndexInformer(nil, &v1alpha1.Distribution{}, 0, by)
	view, err := decisions.NewView(informer)
	if err != nil {
		b.Fatal(err)
	}
	return &indexed{
		clusters:      toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{}),
		distributions: informer.GetIndexer(),
		decisions:     view,
	}
}

func (x *indexed) set(obj client.Object) {
	if _, is := obj.(*v1alpha1.Cluster); is {
		_ = x.clusters.Update(obj)
		return
	}
	_ = x.distributions.Update(obj)
}

// Get implements client.Reader.
func (x *indexed) Get(_ context.Context, key client.ObjectKey, out client.Object, opts ...client.GetOption) error {
	var o client.GetOptions
	o.ApplyOptions(opts)
	found, exists, _ := x.distributions.GetByKey(key.String())
	if !exists {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "distributions"}, key.Name)
	}
	d := found.(*v1alpha1.Distribution)
	if !ptr.Deref(o.UnsafeDisableDeepCopy, false) {
		d = d.DeepCopy()
	}
	reflect.ValueOf(out).Elem().Set(reflect.ValueOf(d).Elem())
	return nil
}

// List implements client.Reader.
func (x *indexed) List(_ context.Context, out client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	switch list := out.(type) {
	case *v1alpha1.ClusterList:
		for _, found := range x.clusters.List() {
			list.Items = append(list.Items, *found.(*v1alpha1.Cluster))
		}
	case *v1alpha1.DistributionList:
		found := x.distributions.List
		if o.FieldSelector != nil {
			asked := o.FieldSelector.Requirements()[0]
			found = func() []any { all, _ := x.distributions.ByIndex(asked.Field, asked.Value); return all }
		}
		for _, item := range found() {
			d := item.(*v1alpha1.Distribution)
			if !ptr.Deref(o.UnsafeDisableDeepCopy, false) {
				d = d.DeepCopy()
			}
			list.Items = append(list.Items, *d)
		}
	}
	return nil
}

// writer encodes what would be written. First decisions are stored as if all of it had become ready.
type writer struct {
	client.Client
	client.Reader
	of *workshop
}

func (w writer) Get(ctx context.Context, key client.ObjectKey, out client.Object, opts ...client.GetOption) error {
	return w.Reader.Get(ctx, key, out, opts...)
}

func (w writer) List(ctx context.Context, out client.ObjectList, opts ...client.ListOption) error {
	return w.Reader.List(ctx, out, opts...)
}

func (w writer) Create(_ context.Context, obj client.Object, _ ...client.CreateOption) error {
	d := obj.DeepCopyObject().(*v1alpha1.Distribution)
	d.UID, d.Generation = types.UID(d.Name), 1
	for _, c := range d.Spec.Clusters {
		d.Status.Clusters = append(d.Status.Clusters, v1alpha1.ClusterOutcome{
			Name: c.Name, Verdict: "Created", Desired: c.Replicas, Ready: c.Replicas, Health: "Healthy",
		})
	}
	w.of.store.set(d)
	return nil
}

func (w writer) Update(_ context.Context, obj client.Object, _ ...client.UpdateOption) error {
	w.of.writes.Add(1)
	_, err := json.Marshal(obj)
	return err
}
