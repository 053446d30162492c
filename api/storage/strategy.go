package storage

import (
	"context"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/storage/names"
)

// strategy is what happens to an object of any kind with a Go type around a write.
//
// Its rules need no more than the shape all Kubernetes types have: metadata, status, and the rest, here called content.
// A create or update takes the content and leaves the status; a status update the other way round; the generation counts
// the changes of content.
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	kind    Kind
	status  int   // index of the struct field Status, -1 without
	content []int // indices of all fields that are neither metadata nor status
}

func newStrategy(kind Kind) strategy {
	s := strategy{ObjectTyper: kind.Scheme, NameGenerator: nameGenerator, kind: kind, status: -1}
	structType := reflect.TypeOf(kind.new()).Elem()
	for i := range structType.NumField() {
		switch structType.Field(i).Name {
		case "TypeMeta", "ObjectMeta":
		case "Status":
			s.status = i
		default:
			s.content = append(s.content, i)
		}
	}
	return s
}

func (s strategy) hasStatus() bool { return s.status >= 0 }

// NamespaceScoped implements rest.RESTCreateStrategy.
func (s strategy) NamespaceScoped() bool { return s.kind.Namespaced }

// PrepareForCreate implements rest.RESTCreateStrategy: nobody sets the status of an object that does not exist yet.
func (s strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	if !s.hasStatus() {
		return
	}
	reflect.ValueOf(obj).Elem().Field(s.status).SetZero()
	if accessor, err := meta.Accessor(obj); err == nil {
		accessor.SetGeneration(1)
	}
	if namespace, ok := obj.(*corev1.Namespace); ok {
		prepareNamespace(namespace)
	}
}

// PrepareForUpdate implements rest.RESTUpdateStrategy: the status stays, the generation counts changes of content.
func (s strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	if !s.hasStatus() {
		return
	}
	newValue, oldValue := reflect.ValueOf(obj).Elem(), reflect.ValueOf(old).Elem()
	newValue.Field(s.status).Set(oldValue.Field(s.status))
	if namespace, ok := obj.(*corev1.Namespace); ok { // only the finalize subresource writes them
		namespace.Spec.Finalizers = old.(*corev1.Namespace).Spec.Finalizers
	}
	newMeta, newErr := meta.Accessor(obj)
	oldMeta, oldErr := meta.Accessor(old)
	if newErr != nil || oldErr != nil {
		return
	}
	generation := oldMeta.GetGeneration()
	if s.contentDiffers(newValue, oldValue) {
		generation++
	}
	newMeta.SetGeneration(generation)
}

func (s strategy) contentDiffers(a, b reflect.Value) bool {
	for _, i := range s.content {
		if !equality.Semantic.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			return true
		}
	}
	return false
}

// Validate implements rest.RESTCreateStrategy.
func (s strategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	var errs field.ErrorList
	if s.kind.Validate != nil {
		errs = s.kind.Validate(ctx, obj)
	}
	return append(errs, s.validateName(obj, errs)...)
}

// validateName holds the name to the rule of its kind, unless found already says something about it.
func (s strategy) validateName(obj runtime.Object, found field.ErrorList) field.ErrorList {
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return field.ErrorList{field.InternalError(field.NewPath("metadata"), err)}
	}
	path := field.NewPath("metadata", "name")
	for _, err := range found {
		if err.Field == path.String() {
			return nil
		}
	}
	if accessor.GetName() == "" {
		return nil // the library says that one of name and generateName is needed
	}
	var errs field.ErrorList
	for _, problem := range nameRule(s.kind.GVK.GroupKind())(accessor.GetName(), false) {
		errs = append(errs, field.Invalid(path, accessor.GetName(), problem))
	}
	return errs
}

// nameRule is the rule for names of a kind: a DNS subdomain (RFC 1123) where nothing stricter or looser is known.
func nameRule(kind schema.GroupKind) validation.ValidateNameFunc {
	switch {
	case kind == schema.GroupKind{Kind: "Namespace"}:
		return validation.NameIsDNSLabel
	case kind == schema.GroupKind{Kind: "Service"}:
		return validation.NameIsDNS1035Label
	case kind.Group == "rbac.authorization.k8s.io", kind.Kind == "Event", kind.Kind == "ClusterTrustBundle":
		// Names with colons are usual there; the library refuses what cannot stand in a URL.
		return func(string, bool) []string { return nil }
	}
	return validation.NameIsDNSSubdomain
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (s strategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	if s.kind.ValidateUpdate == nil {
		return nil
	}
	return s.kind.ValidateUpdate(ctx, obj, old)
}

// WarningsOnCreate implements rest.RESTCreateStrategy.
func (s strategy) WarningsOnCreate(ctx context.Context, obj runtime.Object) []string {
	if s.kind.Warnings == nil {
		return nil
	}
	return s.kind.Warnings(ctx, obj)
}

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (s strategy) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	if s.kind.WarningsOnUpdate == nil {
		return nil
	}
	return s.kind.WarningsOnUpdate(ctx, obj, old)
}

// Canonicalize implements rest.RESTCreateStrategy.
func (strategy) Canonicalize(runtime.Object) {}

// AllowCreateOnUpdate implements rest.RESTUpdateStrategy: where Kubernetes lets PUT create an object, so do we.
func (s strategy) AllowCreateOnUpdate(context.Context) bool {
	return strings.HasPrefix(s.kind.GVK.Group, "rbac.") || s.kind.GVK.Group == "coordination.k8s.io" ||
		s.kind.GVK.Kind == "Event" || s.kind.GVK.Kind == "Endpoints"
}

// AllowUnconditionalUpdate implements rest.RESTUpdateStrategy: a PUT without resourceVersion overwrites, except a
// Lease, where that would steal it.
func (s strategy) AllowUnconditionalUpdate(context.Context) bool { return s.kind.GVK.Kind != "Lease" }

// statusStrategy is strategy for the status subresource.
type statusStrategy struct{ strategy }

// PrepareForUpdate implements rest.RESTUpdateStrategy: all but status and metadata stays, and of the metadata what
// selects and owns.
func (s statusStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	newValue, oldValue := reflect.ValueOf(obj).Elem(), reflect.ValueOf(old).Elem()
	for _, i := range s.content {
		newValue.Field(i).Set(oldValue.Field(i))
	}
	newMeta, newErr := meta.Accessor(obj)
	oldMeta, oldErr := meta.Accessor(old)
	if newErr != nil || oldErr != nil {
		return
	}
	newMeta.SetLabels(oldMeta.GetLabels())
	newMeta.SetOwnerReferences(oldMeta.GetOwnerReferences())
	newMeta.SetGeneration(oldMeta.GetGeneration())
}

// ValidateUpdate implements rest.RESTUpdateStrategy. The content did not change and was judged when it was written.
func (statusStrategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (statusStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// AllowCreateOnUpdate implements rest.RESTUpdateStrategy.
func (statusStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

// prepareNamespace makes a namespace that is deleted in two steps: emptied first, see NamespaceStore.
func prepareNamespace(namespace *corev1.Namespace) {
	namespace.Status.Phase = corev1.NamespaceActive
	for _, finalizer := range namespace.Spec.Finalizers {
		if finalizer == corev1.FinalizerKubernetes {
			return
		}
	}
	namespace.Spec.Finalizers = append(namespace.Spec.Finalizers, corev1.FinalizerKubernetes)
	if namespace.Labels == nil {
		namespace.Labels = map[string]string{}
	}
	if namespace.Name != "" {
		namespace.Labels[corev1.LabelMetadataName] = namespace.Name
	}
}
