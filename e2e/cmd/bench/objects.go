package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-federation/hanse/e2e/harness"
)

var (
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	placements  = schema.GroupVersionResource{Group: "hanse.io", Version: "v1alpha1", Resource: "placements"}
)

// item is one object to write.
type item struct {
	gvr schema.GroupVersionResource
	obj *unstructured.Unstructured
}

// configMap of 1 KiB.
func configMap(namespace string, i int) item {
	return item{configMaps, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": namespace, "name": fmt.Sprintf("c-%05d", i)},
		"data":     map[string]any{"text": strings.Repeat("hanse ", 1024/6)},
	}}}
}

// deployment of so many replicas.
func deployment(namespace string, i int, replicas int64) item {
	labels := map[string]any{"app": fmt.Sprintf("d-%05d", i)}
	return item{deployments, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"namespace": namespace, "name": fmt.Sprintf("d-%05d", i), "labels": labels},
		"spec": map[string]any{
			"replicas": replicas,
			"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec": map[string]any{"containers": []any{map[string]any{
					"name": "web", "image": "web:1",
					"resources": map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "64Mi"}},
				}}},
			},
		},
	}}}
}

// placement of everything that the bench makes in a namespace.
func placement(namespace string) item {
	return item{placements, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.io/v1alpha1", "kind": "Placement",
		"metadata": map[string]any{"namespace": namespace, "name": "all"},
		"spec": map[string]any{
			"resources": []any{map[string]any{"kind": "ConfigMap"}, map[string]any{"kind": "Deployment"}},
			"clusters": []any{
				map[string]any{"name": "east", "weight": int64(3)},
				map[string]any{"name": "west", "weight": int64(2)},
				map[string]any{"name": "south", "weight": int64(1)},
			},
		},
	}}}
}

// makeNamespace makes a namespace, if it is not there.
func makeNamespace(ctx context.Context, kube kubernetes.Interface, name string) error {
	_, err := kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making namespace %s: %w", name, err)
	}
	return nil
}

// create writes items to one API server, so many at a time.
func create(ctx context.Context, c harness.Clients, items []item) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, i := range items {
		group.Go(func() error {
			_, err := c.Dynamic.Resource(i.gvr).Namespace(i.obj.GetNamespace()).Create(ctx, i.obj, metav1.CreateOptions{})
			return err
		})
	}
	return group.Wait()
}

// applyTo server-side-applies one item to one API server: a step of the floor.
func applyTo(ctx context.Context, c harness.Clients, i item) error {
	_, err := c.Dynamic.Resource(i.gvr).Namespace(i.obj.GetNamespace()).Apply(ctx, i.obj.GetName(), i.obj,
		metav1.ApplyOptions{FieldManager: "floor", Force: true})
	return err
}

// arrivals hears of objects that come into being in a namespace of a member.
type arrivals struct {
	mu    sync.Mutex
	at    map[string]time.Time
	count int
	news  chan struct{}
}

// watchArrivals watches until the context ends.
func watchArrivals(
	ctx context.Context, m *harness.Member, gvr schema.GroupVersionResource, namespace string,
) (*arrivals, error) {
	a := &arrivals{at: map[string]time.Time{}, news: make(chan struct{}, 1)}
	watch, err := m.Dynamic.Resource(gvr).Namespace(namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("watching %s of %s: %w", gvr.Resource, m.Name(), err)
	}
	go func() {
		for event := range watch.ResultChan() {
			if obj, ok := event.Object.(*unstructured.Unstructured); ok && event.Type == "ADDED" {
				a.arrived(obj.GetName())
			}
		}
	}()
	return a, nil
}

func (a *arrivals) arrived(name string) {
	a.mu.Lock()
	if _, known := a.at[name]; !known && name != "kube-root-ca.crt" {
		a.at[name] = time.Now()
		a.count++
	}
	a.mu.Unlock()
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// await waits for so many objects.
func (a *arrivals) await(ctx context.Context, count int) error {
	for {
		a.mu.Lock()
		have := a.count
		a.mu.Unlock()
		if have >= count {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d objects are there: %w", have, count, ctx.Err())
		case <-a.news:
		case <-time.After(time.Second):
		}
	}
}
