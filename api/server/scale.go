package server

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

var (
	scaleKind    = autoscalingv1.SchemeGroupVersion.WithKind("Scale")
	replicasPath = fieldpath.MakePathOrDie("spec", "replicas")
)

// partOf is a store seen through a subresource: it reads and updates, and never creates.
type partOf struct{ *registry.Store }

// Update implements rest.Updater.
func (p partOf) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, onCreate rest.ValidateObjectFunc,
	onUpdate rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return p.Store.Update(ctx, name, info, onCreate, onUpdate, false, options)
}

// scale is the scale subresource of a workload: the workload's replicas, dressed as a Scale.
type scale struct {
	store    *registry.Store
	resource schema.GroupVersionResource
}

func newScale(store *registry.Store, resource schema.GroupVersionResource) scale {
	return scale{store: store, resource: resource}
}

// New implements rest.Storage.
func (scale) New() runtime.Object { return &autoscalingv1.Scale{} }

// Destroy implements rest.Storage. The store belongs to the workload.
func (scale) Destroy() {}

// Get implements rest.Getter.
func (s scale) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	obj, err := s.store.Get(ctx, name, options)
	if err != nil {
		return nil, err
	}
	return scaleOf(obj)
}

// Update implements rest.Updater.
func (s scale) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, _ rest.ValidateObjectFunc,
	onUpdate rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	judge := func(ctx context.Context, obj, old runtime.Object) error {
		newScale, err := scaleOf(obj)
		if err != nil {
			return err
		}
		oldScale, err := scaleOf(old)
		if err != nil {
			return err
		}
		return onUpdate(ctx, newScale, oldScale)
	}
	obj, _, err := s.store.Update(ctx, name, scaledObject{s, name, info}, rest.ValidateAllObjectFunc, judge, false, options)
	if err != nil {
		return nil, false, err
	}
	out, err := scaleOf(obj)
	return out, false, err
}

// scaledObject turns "the Scale after the write" into "the workload after the write".
type scaledObject struct {
	scale scale
	name  string
	info  rest.UpdatedObjectInfo
}

// Preconditions implements rest.UpdatedObjectInfo.
func (u scaledObject) Preconditions() *metav1.Preconditions { return u.info.Preconditions() }

// UpdatedObject implements rest.UpdatedObjectInfo.
func (u scaledObject) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	workload := old.DeepCopyObject()
	accessor := workload.(metav1.Object)
	if accessor.GetResourceVersion() == "" {
		return nil, apierrors.NewNotFound(u.scale.resource.GroupResource(), u.name)
	}
	// Who owns the replicas of the workload owns them in its Scale, and the other way round.
	version := u.scale.resource.GroupVersion()
	owners := managedfields.NewScaleHandler(accessor.GetManagedFields(), version,
		managedfields.ResourcePathMappings{version.String(): replicasPath})
	before, err := scaleOf(workload)
	if err != nil {
		return nil, err
	}
	if before.ManagedFields, err = owners.ToSubresource(); err != nil {
		return nil, fmt.Errorf("read the field owners of the scale: %w", err)
	}
	changed, err := u.info.UpdatedObject(ctx, before)
	if err != nil {
		return nil, err
	}
	after, ok := changed.(*autoscalingv1.Scale)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the body must be a Scale, not %T", changed))
	}
	if after.Spec.Replicas < 0 {
		return nil, apierrors.NewInvalid(scaleKind.GroupKind(), u.name, negativeReplicas(after.Spec.Replicas))
	}
	managed, err := owners.ToParent(after.ManagedFields)
	if err != nil {
		return nil, fmt.Errorf("write the field owners of the scale: %w", err)
	}
	setReplicas(workload, after.Spec.Replicas)
	accessor.SetResourceVersion(after.ResourceVersion)
	if after.UID != "" {
		accessor.SetUID(after.UID)
	}
	accessor.SetManagedFields(managed)
	return workload, nil
}

// scaleOf dresses a workload as its Scale.
func scaleOf(obj runtime.Object) (*autoscalingv1.Scale, error) {
	accessor, ok := obj.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("%T has no metadata", obj)
	}
	out := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{
		Name: accessor.GetName(), Namespace: accessor.GetNamespace(), UID: accessor.GetUID(),
		ResourceVersion: accessor.GetResourceVersion(), CreationTimestamp: accessor.GetCreationTimestamp(),
	}}
	var selector *metav1.LabelSelector
	switch w := obj.(type) {
	case *appsv1.Deployment:
		out.Spec.Replicas, selector = wanted(w.Spec.Replicas, w.Status.Replicas), w.Spec.Selector
		out.Status.Replicas = w.Status.Replicas
	case *appsv1.StatefulSet:
		out.Spec.Replicas, selector = wanted(w.Spec.Replicas, w.Status.Replicas), w.Spec.Selector
		out.Status.Replicas = w.Status.Replicas
	case *appsv1.ReplicaSet:
		out.Spec.Replicas, selector = wanted(w.Spec.Replicas, w.Status.Replicas), w.Spec.Selector
		out.Status.Replicas = w.Status.Replicas
	case *corev1.ReplicationController:
		out.Spec.Replicas, out.Status.Replicas = wanted(w.Spec.Replicas, w.Status.Replicas), w.Status.Replicas
		out.Status.Selector = labels.Set(w.Spec.Selector).String()
		return out, nil
	default:
		return nil, fmt.Errorf("%T has no scale", obj)
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("spec.selector: %v", err))
	}
	out.Status.Selector = parsed.String()
	return out, nil
}

// wanted is what an unset number of replicas means: what runs, since autoscalers in the members say how many, or else one.
func wanted(replicas *int32, running int32) int32 {
	if replicas == nil {
		return max(running, 1)
	}
	return *replicas
}

func setReplicas(obj runtime.Object, replicas int32) {
	switch w := obj.(type) {
	case *appsv1.Deployment:
		w.Spec.Replicas = &replicas
	case *appsv1.StatefulSet:
		w.Spec.Replicas = &replicas
	case *appsv1.ReplicaSet:
		w.Spec.Replicas = &replicas
	case *corev1.ReplicationController:
		w.Spec.Replicas = &replicas
	}
}
