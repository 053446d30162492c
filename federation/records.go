package federation

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Records is the short way to what the hub stores: without a request, where there is much of it. The objects are in the
// version of the resource that is named.
type Records interface {
	// ListWatch reads the objects of a kind; nil where they must be read through the API. What it gives is shared with
	// nobody.
	ListWatch(schema.GroupVersionResource) toolscache.ListerWatcher
	// Create, Update and UpdateStatus write objects that nobody but the hub writes, and return them as stored.
	Create(context.Context, schema.GroupVersionResource, *unstructured.Unstructured) (*unstructured.Unstructured, error)
	Update(context.Context, schema.GroupVersionResource, *unstructured.Unstructured) (*unstructured.Unstructured, error)
	UpdateStatus(context.Context, schema.GroupVersionResource, *unstructured.Unstructured) (*unstructured.Unstructured, error)
}

var distributions = v1alpha1.GroupVersion.WithResource("distributions")

// newInformer is a maker of informers that reads Distributions from the records. For all other kinds it is client-go's.
func newInformer(records Records) func(
	toolscache.ListerWatcher, runtime.Object, time.Duration, toolscache.Indexers,
) toolscache.SharedIndexInformer {
	return func(
		through toolscache.ListerWatcher, kind runtime.Object, resync time.Duration, indexers toolscache.Indexers,
	) toolscache.SharedIndexInformer {
		if _, ok := kind.(*v1alpha1.Distribution); ok {
			if direct := records.ListWatch(distributions); direct != nil {
				through = typed(direct)
			}
		}
		return toolscache.NewSharedIndexInformer(through, kind, resync, indexers)
	}
}

// typed reads Distributions as such.
func typed(records toolscache.ListerWatcher) toolscache.ListerWatcher {
	loose := toolscache.ToListerWatcherWithContext(records)
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			found, err := loose.ListWithContext(ctx, options)
			if err != nil {
				return nil, err
			}
			return typedList(found)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := loose.WatchWithContext(ctx, options)
			if err != nil {
				return nil, err
			}
			return watch.Filter(events, func(e watch.Event) (watch.Event, bool) { return typedEvent(e), true }), nil
		},
	}
}

func typedList(found runtime.Object) (*v1alpha1.DistributionList, error) {
	list, ok := found.(*unstructured.UnstructuredList)
	if !ok {
		return nil, fmt.Errorf("reading distributions: the store gave a %T", found)
	}
	out := &v1alpha1.DistributionList{
		ListMeta: metav1.ListMeta{ResourceVersion: list.GetResourceVersion(), Continue: list.GetContinue()},
		Items:    make([]v1alpha1.Distribution, len(list.Items)),
	}
	for i := range list.Items {
		if err := fill(&out.Items[i], &list.Items[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func typedEvent(e watch.Event) watch.Event {
	obj, ok := e.Object.(*unstructured.Unstructured)
	if !ok {
		return e
	}
	d := &v1alpha1.Distribution{}
	if err := fill(d, obj); err != nil {
		return watch.Event{Type: watch.Error, Object: &metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}}
	}
	return watch.Event{Type: e.Type, Object: d}
}

// fill makes d what obj says.
func fill(d *v1alpha1.Distribution, obj *unstructured.Unstructured) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, d); err != nil {
		return fmt.Errorf("reading distribution %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
	}
	return nil
}

// recorder is a client that writes Distributions to the records, and all else as the client that it is made from.
type recorder struct {
	client.Client
	records Records
}

// Create implements client.Writer.
func (r recorder) Create(ctx context.Context, obj client.Object, options ...client.CreateOption) error {
	if d, ok := obj.(*v1alpha1.Distribution); ok && len(options) == 0 {
		return write(ctx, d, r.records.Create)
	}
	return r.Client.Create(ctx, obj, options...)
}

// Update implements client.Writer.
func (r recorder) Update(ctx context.Context, obj client.Object, options ...client.UpdateOption) error {
	if d, ok := obj.(*v1alpha1.Distribution); ok && len(options) == 0 {
		return write(ctx, d, r.records.Update)
	}
	return r.Client.Update(ctx, obj, options...)
}

// Status implements client.StatusClient.
func (r recorder) Status() client.SubResourceWriter {
	return statusRecorder{r.Client.Status(), r.records}
}

// statusRecorder is a recorder for statuses.
type statusRecorder struct {
	client.SubResourceWriter
	records Records
}

// Update implements client.SubResourceWriter.
func (r statusRecorder) Update(
	ctx context.Context, obj client.Object, options ...client.SubResourceUpdateOption,
) error {
	if d, ok := obj.(*v1alpha1.Distribution); ok && len(options) == 0 {
		return write(ctx, d, r.records.UpdateStatus)
	}
	return r.SubResourceWriter.Update(ctx, obj, options...)
}

// write writes a Distribution and gives it the resource version and what else it has once stored.
func write(ctx context.Context, d *v1alpha1.Distribution, by func(
	context.Context, schema.GroupVersionResource, *unstructured.Unstructured,
) (*unstructured.Unstructured, error)) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(d)
	if err != nil {
		return fmt.Errorf("writing distribution %s/%s: %w", d.Namespace, d.Name, err)
	}
	obj := &unstructured.Unstructured{Object: fields}
	obj.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Distribution"))
	stored, err := by(ctx, distributions, obj)
	if err != nil {
		return err
	}
	d.ObjectMeta.ResourceVersion, d.ObjectMeta.UID = stored.GetResourceVersion(), stored.GetUID()
	d.ObjectMeta.Generation = stored.GetGeneration()
	return nil
}
