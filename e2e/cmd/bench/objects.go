package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
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

// first is what all objects say before they are changed.
const first = "1"

// configMap of 1 KiB that says something.
func configMap(namespace string, i int, says string) item {
	return item{configMaps, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": namespace, "name": fmt.Sprintf("c-%05d", i)},
		"data":     map[string]any{"says": says, "text": strings.Repeat("hanse ", 1024/6)},
	}}}
}

// deployment of so many replicas that says something.
func deployment(namespace string, i int, says string, replicas int64) item {
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
					"name": "web", "image": "web:" + says,
					"resources": map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "64Mi"}},
				}}},
			},
		},
	}}}
}

// says reads what a ConfigMap or a Deployment says.
func says(obj *unstructured.Unstructured) string {
	if obj.GetKind() == "ConfigMap" {
		text, _, _ := unstructured.NestedString(obj.Object, "data", "says")
		return text
	}
	containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
	if len(containers) == 0 {
		return ""
	}
	image, _, _ := unstructured.NestedString(containers[0].(map[string]any), "image")
	return strings.TrimPrefix(image, "web:")
}

// share is a member's part of what is divided.
type share struct {
	member string
	weight int64
}

// replicas are those of a Deployment of the wave: so many that each weight below comes out even.
const replicas = 6

// The weights of the wave, and those after the change. West has the same in both.
var (
	weightsBefore = []share{{"east", 3}, {"west", 2}, {"south", 1}}
	weightsAfter  = []share{{"east", 1}, {"west", 2}, {"south", 3}}
)

// evenly is a share of one for each.
func evenly(members []*harness.Member) []share {
	var all []share
	for _, m := range members {
		all = append(all, share{m.Name(), 1})
	}
	return all
}

// placement of everything that the bench makes in a namespace.
func placement(namespace string, shares []share) item {
	var clusters []any
	for _, s := range shares {
		clusters = append(clusters, map[string]any{"name": s.member, "weight": s.weight})
	}
	return item{placements, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.io/v1alpha1", "kind": "Placement",
		"metadata": map[string]any{"namespace": namespace, "name": "all"},
		"spec": map[string]any{
			"resources": []any{map[string]any{"kind": "ConfigMap"}, map[string]any{"kind": "Deployment"}},
			"clusters":  clusters,
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

// each does something with all items, so many at a time.
func each(ctx context.Context, items []item, do func(context.Context, item) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, i := range items {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// create writes items to one API server.
func create(ctx context.Context, c harness.Clients, items []item) error {
	return each(ctx, items, func(ctx context.Context, i item) error {
		_, err := c.Dynamic.Resource(i.gvr).Namespace(i.obj.GetNamespace()).Create(ctx, i.obj, metav1.CreateOptions{})
		return err
	})
}

// change makes the spec and the data of what is at one API server those of the items.
func change(ctx context.Context, c harness.Clients, items []item) error {
	return each(ctx, items, func(ctx context.Context, i item) error {
		patch, err := json.Marshal(map[string]any{"spec": i.obj.Object["spec"], "data": i.obj.Object["data"]})
		if err != nil {
			return err
		}
		_, err = c.Dynamic.Resource(i.gvr).Namespace(i.obj.GetNamespace()).Patch(ctx, i.obj.GetName(), types.MergePatchType,
			patch, metav1.PatchOptions{})
		return err
	})
}

// remove deletes items from one API server.
func remove(ctx context.Context, c harness.Clients, items []item) error {
	return each(ctx, items, func(ctx context.Context, i item) error { return removeFrom(ctx, c, i) })
}

func removeFrom(ctx context.Context, c harness.Clients, i item) error {
	return c.Dynamic.Resource(i.gvr).Namespace(i.obj.GetNamespace()).Delete(ctx, i.obj.GetName(), metav1.DeleteOptions{})
}

// applyTo server-side-applies one item to one API server: a step of the floor.
func applyTo(ctx context.Context, c harness.Clients, i item) error {
	_, err := c.Dynamic.Resource(i.gvr).Namespace(i.obj.GetNamespace()).Apply(ctx, i.obj.GetName(), i.obj,
		metav1.ApplyOptions{FieldManager: "floor", Force: true})
	return err
}

// everywhere is the floor's way: it does something with all items in all members, so many at a time.
func everywhere(
	ctx context.Context, members []*harness.Member, items []item, do func(context.Context, *harness.Member, item) error,
) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, i := range items {
		for _, m := range members {
			group.Go(func() error { return do(ctx, m, i) })
		}
	}
	return group.Wait()
}

// applyAll is the floor of what is made and changed.
func applyAll(ctx context.Context, members []*harness.Member, items []item) error {
	return everywhere(ctx, members, items, func(ctx context.Context, m *harness.Member, i item) error {
		return applyTo(ctx, m.Clients, i)
	})
}
