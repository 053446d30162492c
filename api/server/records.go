package server

import (
	"context"
	"fmt"
	"maps"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/tools/cache"
)

// Records is a door of the API server for the hub's own parts: they read stored objects, and write those that only
// they write, without a request. What a request does for strangers is left out: the filters, JSON in both directions,
// field managers, admission and audit. What keeps the store sound is not: resource versions, watches, finalizers and
// the rules of the kind.
//
// Through it goes what there is much of: templates on their way in, and the record of each. Everything else, and
// everything that a user could want to see in an audit log, takes the API.
type Records struct{ server *Server }

// Records is the door to the stored objects of this server.
func (s *Server) Records() Records { return Records{s} }

// ListWatch reads the objects of a kind, in the version in which they are stored, as unstructured. It is nil for a kind
// that must be read through the API: one that is stored in another version, or that a user defined.
func (r Records) ListWatch(gvr schema.GroupVersionResource) cache.ListerWatcher {
	if _, isNative := r.server.natives.stores[gvr]; !isNative && !r.isSeeded(gvr) {
		return nil
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return r.list(ctx, gvr, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return r.watch(ctx, gvr, options)
		},
	}
}

// isSeeded reports whether a kind is one of the configuration's CRDs, which have one version each.
func (r Records) isSeeded(gvr schema.GroupVersionResource) bool {
	for _, crd := range r.server.cfg.CRDs {
		if crd.Spec.Group == gvr.Group && crd.Spec.Names.Plural == gvr.Resource && len(crd.Spec.Versions) == 1 {
			return crd.Spec.Versions[0].Name == gvr.Version
		}
	}
	return false
}

func (r Records) list(
	ctx context.Context, gvr schema.GroupVersionResource, options metav1.ListOptions,
) (*unstructured.UnstructuredList, error) {
	store, gvk, err := r.store(gvr)
	if err != nil {
		return nil, err
	}
	var asked internalversion.ListOptions
	if err := internalversion.Convert_v1_ListOptions_To_internalversion_ListOptions(&options, &asked, nil); err != nil {
		return nil, fmt.Errorf("list %s: %w", gvr.Resource, err)
	}
	if asked.ResourceVersion == "0" { // what the watch cache has will do
		awaitCache(ctx, store)
	}
	found, err := store.List(request.WithNamespace(ctx, metav1.NamespaceAll), &asked)
	if err != nil {
		return nil, err
	}
	return listOf(found, gvk)
}

// cachePatience is how long a watch cache is given to fill.
const cachePatience = 2 * time.Second

// awaitCache waits until the watch cache of a store has read all objects. At the start of a hub it is about to: who
// does not wait for it reads and decodes them all from etcd a second time, at the same time.
func awaitCache(ctx context.Context, store *registry.Store) {
	ctx, cancel := context.WithTimeout(ctx, cachePatience)
	defer cancel()
	for store.ReadinessCheck() != nil {
		select {
		case <-ctx.Done():
			return // the store knows what to do without
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// listOf is a list of the store as unstructured.
func listOf(found runtime.Object, gvk schema.GroupVersionKind) (*unstructured.UnstructuredList, error) {
	if list, ok := found.(*unstructured.UnstructuredList); ok {
		for i := range list.Items { // they share their fields with the watch cache
			list.Items[i] = *list.Items[i].DeepCopy()
		}
		return list, nil
	}
	out := &unstructured.UnstructuredList{}
	out.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	if list, ok := found.(metav1.ListInterface); ok {
		out.SetResourceVersion(list.GetResourceVersion())
		out.SetContinue(list.GetContinue())
	}
	err := meta.EachListItem(found, func(item runtime.Object) error {
		obj, err := looseOf(item, gvk)
		if err == nil {
			out.Items = append(out.Items, *obj)
		}
		return err
	})
	return out, err
}

func (r Records) watch(
	ctx context.Context, gvr schema.GroupVersionResource, options metav1.ListOptions,
) (watch.Interface, error) {
	store, gvk, err := r.store(gvr)
	if err != nil {
		return nil, err
	}
	var asked internalversion.ListOptions
	if err := internalversion.Convert_v1_ListOptions_To_internalversion_ListOptions(&options, &asked, nil); err != nil {
		return nil, fmt.Errorf("watch %s: %w", gvr.Resource, err)
	}
	events, err := store.Watch(request.WithNamespace(ctx, metav1.NamespaceAll), &asked)
	if err != nil {
		return nil, err
	}
	return mapEvents(events, func(e watch.Event) watch.Event {
		if e.Type == watch.Error {
			return e
		}
		obj, err := looseOf(e.Object, gvk)
		if err != nil {
			failure := metav1.Status{Status: metav1.StatusFailure, Message: err.Error(), Code: 500}
			return watch.Event{Type: watch.Error, Object: &failure}
		}
		e.Object = obj
		return e
	}), nil
}

// looseOf is an object of a store or of its watch as unstructured that shares nothing with the store. Its kind is said
// anew: a typed object need not have it with it.
func looseOf(obj runtime.Object, gvk schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	if shared, ok := obj.(runtime.CacheableObject); ok {
		obj = shared.GetObject() // a copy
	}
	if loose, ok := obj.(*unstructured.Unstructured); ok {
		return loose, nil // a watch gives copies
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("read a %s: %w", gvk.Kind, err)
	}
	out := &unstructured.Unstructured{Object: fields}
	out.SetGroupVersionKind(gvk)
	return out, nil
}

// Create stores a new object of one of the configuration's CRDs and returns it as stored.
func (r Records) Create(
	ctx context.Context, gvr schema.GroupVersionResource, obj *unstructured.Unstructured,
) (*unstructured.Unstructured, error) {
	store, _, err := r.store(gvr)
	if err != nil {
		return nil, err
	}
	ctx = request.WithNamespace(ctx, obj.GetNamespace())
	stored, err := store.Create(ctx, obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return stored.(*unstructured.Unstructured), nil
}

// Update stores all of an object but its status. The resource version must be that of the stored one.
func (r Records) Update(
	ctx context.Context, gvr schema.GroupVersionResource, obj *unstructured.Unstructured,
) (*unstructured.Unstructured, error) {
	store, _, err := r.store(gvr)
	if err != nil {
		return nil, err
	}
	return put(ctx, store, obj)
}

// UpdateStatus stores the status of an object and nothing else of it. The resource version must be that of the stored
// one. The status is trusted: it is not held against the schema.
func (r Records) UpdateStatus(
	ctx context.Context, gvr schema.GroupVersionResource, obj *unstructured.Unstructured,
) (*unstructured.Unstructured, error) {
	store, _, err := r.store(gvr)
	if err != nil {
		return nil, err
	}
	part := *store
	part.UpdateStrategy = trustedStatus{store.UpdateStrategy}
	return put(ctx, &part, obj)
}

func put(ctx context.Context, store *registry.Store, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	ctx = request.WithNamespace(ctx, obj.GetNamespace())
	stored, _, err := store.Update(ctx, obj.GetName(), rest.DefaultUpdatedObjectInfo(obj), rest.ValidateAllObjectFunc,
		rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		return nil, err
	}
	return stored.(*unstructured.Unstructured), nil
}

// trustedStatus is the strategy of a write that takes nothing but the status.
type trustedStatus struct{ rest.RESTUpdateStrategy }

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (trustedStatus) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	now, before := obj.(*unstructured.Unstructured), old.(*unstructured.Unstructured)
	status, version := now.Object["status"], now.GetResourceVersion()
	now.Object = maps.Clone(before.Object)
	if metadata, ok := before.Object["metadata"].(map[string]any); ok {
		now.Object["metadata"] = maps.Clone(metadata)
	}
	now.Object["status"] = status
	now.SetResourceVersion(version)
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (trustedStatus) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (trustedStatus) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// store finds the store of a kind. That of a CRD is another one after each change of the CRD.
func (r Records) store(gvr schema.GroupVersionResource) (*registry.Store, schema.GroupVersionKind, error) {
	if native, ok := r.server.natives.stores[gvr]; ok {
		return native.Store, native.Kind.GVK, nil
	}
	var none schema.GroupVersionKind
	crd, err := r.server.customs.informer.Lister().Get(gvr.GroupResource().String())
	if err != nil {
		return nil, none, fmt.Errorf("find the store of %s: %w", gvr.Resource, err)
	}
	kept, err := r.server.customs.stores.GetCustomResourceListerCollectionDeleter(crd)
	if err != nil {
		return nil, none, fmt.Errorf("find the store of %s: %w", gvr.Resource, err)
	}
	custom, ok := kept.(*customresource.REST)
	if !ok {
		return nil, none, fmt.Errorf("find the store of %s: it is a %T", gvr.Resource, kept)
	}
	return custom.Store, gvkOf(crd, gvr.Version), nil
}

func gvkOf(crd *apiextensionsv1.CustomResourceDefinition, version string) schema.GroupVersionKind {
	return gvOf(crd, version).WithKind(crd.Spec.Names.Kind)
}
