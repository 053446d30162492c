package storage

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storageerrors "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
)

// NamespaceStore is the store of namespaces. They end in two steps: a delete only marks them Terminating, then a
// controller removes what is in them, takes its entry out of spec.finalizers through the finalize subresource, and with
// the last one the namespace goes.
type NamespaceStore struct {
	*registry.Store
	// Finalize is the store as the finalize subresource sees it: only spec.finalizers changes.
	Finalize *registry.Store
	// Status is the store as the status subresource sees it.
	Status *registry.Store
}

// NewNamespaceStore adds the two steps to the store of namespaces.
func NewNamespaceStore(store *Store) *NamespaceStore {
	n := &NamespaceStore{Store: store.Store, Status: store.Status}
	for _, s := range []*registry.Store{n.Store, n.Status} {
		s.ShouldDeleteDuringUpdate = emptiedNamespace
	}
	finalize := *store.Store
	finalize.CreateStrategy, finalize.DeleteStrategy = nil, nil
	finalize.UpdateStrategy = finalizeStrategy{store.UpdateStrategy.(strategy)}
	n.Finalize = &finalize
	return n
}

// emptiedNamespace says whether an update leaves nothing that keeps a deleted namespace.
func emptiedNamespace(ctx context.Context, key string, obj, existing runtime.Object) bool {
	namespace, ok := obj.(*corev1.Namespace)
	return ok && len(namespace.Spec.Finalizers) == 0 && registry.ShouldDeleteDuringUpdate(ctx, key, obj, existing)
}

// finalizeStrategy changes nothing but spec.finalizers.
type finalizeStrategy struct{ strategy }

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (finalizeStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	obj.(*corev1.Namespace).Status = old.(*corev1.Namespace).Status
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (finalizeStrategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

// Delete implements rest.GracefulDeleter.
func (n *NamespaceStore) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc,
	options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	found, err := n.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, false, err
	}
	namespace := found.(*corev1.Namespace)
	if options, err = sameNamespace(namespace, options); err != nil {
		return nil, false, err
	}
	switch {
	case namespace.DeletionTimestamp.IsZero():
		return n.terminate(ctx, name, validate, options)
	case len(namespace.Spec.Finalizers) > 0:
		return namespace, false, nil // still being emptied
	}
	return n.Store.Delete(ctx, name, validate, options)
}

// sameNamespace ties the delete to the namespace just read, so that it cannot hit one made meanwhile under its name.
func sameNamespace(namespace *corev1.Namespace, options *metav1.DeleteOptions) (*metav1.DeleteOptions, error) {
	if options == nil {
		options = metav1.NewDeleteOptions(0)
	}
	if options.Preconditions == nil {
		options.Preconditions = &metav1.Preconditions{}
	}
	p := options.Preconditions
	if p.UID == nil {
		p.UID = &namespace.UID
	}
	if *p.UID != namespace.UID {
		return nil, apierrors.NewConflict(corev1.Resource("namespaces"), namespace.Name,
			fmt.Errorf("the precondition asks for UID %s, the namespace has %s", *p.UID, namespace.UID))
	}
	if p.ResourceVersion != nil && *p.ResourceVersion != namespace.ResourceVersion {
		return nil, apierrors.NewConflict(corev1.Resource("namespaces"), namespace.Name,
			fmt.Errorf("the precondition asks for resourceVersion %s, the namespace has %s",
				*p.ResourceVersion, namespace.ResourceVersion))
	}
	return options, nil
}

// terminate is the first step: mark the namespace, so that nothing new enters it and its controller begins.
func (n *NamespaceStore) terminate(ctx context.Context, name string, validate rest.ValidateObjectFunc,
	options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	key, err := n.KeyFunc(ctx, name)
	if err != nil {
		return nil, false, err
	}
	mark := func(existing runtime.Object) (runtime.Object, error) {
		namespace := existing.(*corev1.Namespace)
		if err := validate(ctx, namespace); err != nil {
			return nil, err
		}
		if namespace.DeletionTimestamp.IsZero() {
			now := metav1.Now()
			namespace.DeletionTimestamp = &now
		}
		namespace.Status.Phase = corev1.NamespaceTerminating
		setPropagation(namespace, options)
		return namespace, nil
	}
	out := n.NewFunc()
	preconditions := &storage.Preconditions{
		UID: options.Preconditions.UID, ResourceVersion: options.Preconditions.ResourceVersion,
	}
	err = n.Storage.GuaranteedUpdate(ctx, key, out, false, preconditions, storage.SimpleUpdate(mark),
		dryrun.IsDryRun(options.DryRun), nil)
	if err != nil {
		err = storageerrors.InterpretGetError(err, corev1.Resource("namespaces"), name)
		err = storageerrors.InterpretUpdateError(err, corev1.Resource("namespaces"), name)
		return nil, false, err
	}
	return out, false, nil
}

// setPropagation writes how dependents are to be treated where the garbage collector looks for it.
func setPropagation(namespace *corev1.Namespace, options *metav1.DeleteOptions) {
	if options.PropagationPolicy == nil {
		return
	}
	set := func(finalizer string, wanted bool) {
		has := slices.Index(namespace.Finalizers, finalizer)
		switch {
		case wanted && has < 0:
			namespace.Finalizers = append(namespace.Finalizers, finalizer)
		case !wanted && has >= 0:
			namespace.Finalizers = slices.Delete(namespace.Finalizers, has, has+1)
		}
	}
	set(metav1.FinalizerOrphanDependents, *options.PropagationPolicy == metav1.DeletePropagationOrphan)
	set(metav1.FinalizerDeleteDependents, *options.PropagationPolicy == metav1.DeletePropagationForeground)
}
