package native

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/batch"
	"k8s.io/kubernetes/pkg/apis/core"
)

// unassignedUID stands for the identity that the store gives an object, where an object is looked at before that.
const unassignedUID types.UID = "00000000-0000-0000-0000-000000000000"

// Validate returns what upstream finds wrong with a new object: of a defaulted and prepared copy, so that a template
// need not hold what a running cluster fills in. A kind unknown to this package has no errors.
func Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	c, err := newCandidate(ctx, obj)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	if c == nil {
		return nil
	}
	completeService(c)
	completePod(c)
	c.rules.PrepareForCreate(c.ctx, c.object)
	return rest.ValidateCreate(c.ctx, c.object, c.rules)
}

// ValidateUpdate returns what upstream finds wrong with replacing old by obj, both being of one kind.
// It is for the main resource; a write to a status subresource changes nothing that is validated here.
func ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	next, before, err := newChange(ctx, obj, old)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	if next == nil {
		return nil
	}
	next.rules.PrepareForUpdate(next.ctx, next.object, before.object)
	return rest.ValidateUpdate(next.ctx, next.object, before.object, next.rules)
}

// Warnings returns what upstream would tell the user who creates obj: deprecated fields, surprising values.
func Warnings(ctx context.Context, obj runtime.Object) []string {
	c, err := newCandidate(ctx, obj)
	if err != nil || c == nil {
		return nil
	}
	c.rules.PrepareForCreate(c.ctx, c.object)
	return c.rules.WarningsOnCreate(c.ctx, c.object)
}

// WarningsOnUpdate returns what upstream would tell the user who replaces old by obj.
func WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	next, before, err := newChange(ctx, obj, old)
	if err != nil || next == nil {
		return nil
	}
	next.rules.PrepareForUpdate(next.ctx, next.object, before.object)
	return next.rules.WarningsOnUpdate(next.ctx, next.object, before.object)
}

// candidate is an internal, defaulted copy of one object with the rules of its kind and the context they expect.
type candidate struct {
	ctx    context.Context
	object runtime.Object
	rules  strategy
}

// newCandidate returns nil for a kind without rules.
func newCandidate(ctx context.Context, obj runtime.Object) (*candidate, error) {
	gvk, err := kindOf(obj)
	if err != nil {
		return nil, nil //nolint:nilerr // a type outside the scheme is a kind without rules
	}
	rules, ok := strategies[gvk.GroupKind()]
	if !ok {
		return nil, nil
	}
	object, err := toInternal(obj, gvk)
	if err != nil {
		return nil, err
	}
	m, err := meta.Accessor(object)
	if err != nil {
		return nil, fmt.Errorf("read metadata of %s: %w", gvk.Kind, err)
	}
	if m.GetUID() == "" {
		m.SetUID(unassignedUID)
	}
	return &candidate{ctx: requestFor(ctx, gvk, m.GetNamespace(), m.GetName()), object: object, rules: rules}, nil
}

func newChange(ctx context.Context, obj, old runtime.Object) (next, before *candidate, err error) {
	if next, err = newCandidate(ctx, obj); err != nil || next == nil {
		return nil, nil, err
	}
	if before, err = newCandidate(ctx, old); err != nil || before == nil {
		return nil, nil, err
	}
	if err := carryIdentity(next.object, before.object); err != nil {
		return nil, nil, err
	}
	keepCompletions(next, before, obj, old)
	for _, c := range []*candidate{next, before} {
		completeJob(c)
		completeService(c)
		completePod(c)
	}
	keepAddress(next, before)
	return next, before, nil
}

// carryIdentity does what the generic store does before it validates an update.
func carryIdentity(obj, old runtime.Object) error {
	next, err := meta.Accessor(obj)
	if err != nil {
		return fmt.Errorf("read metadata of the new object: %w", err)
	}
	before, err := meta.Accessor(old)
	if err != nil {
		return fmt.Errorf("read metadata of the old object: %w", err)
	}
	if next.GetUID() == unassignedUID {
		next.SetUID(before.GetUID())
	}
	if created := before.GetCreationTimestamp(); !created.IsZero() {
		next.SetCreationTimestamp(created)
	}
	if deleted := before.GetDeletionTimestamp(); !deleted.IsZero() {
		next.SetDeletionTimestamp(deleted)
		if next.GetDeletionGracePeriodSeconds() == nil {
			next.SetDeletionGracePeriodSeconds(before.GetDeletionGracePeriodSeconds())
		}
	}
	if next.GetResourceVersion() == "" {
		next.SetResourceVersion(before.GetResourceVersion())
	}
	next.SetGeneration(before.GetGeneration())
	return nil
}

// completeJob gives the copy of a stored Job the selector and labels that a member generates when it creates the Job.
// The template has none of them, and upstream's update rules take them for granted.
func completeJob(c *candidate) {
	job, ok := c.object.(*batch.Job)
	if !ok {
		return
	}
	status, generation := job.Status, job.Generation
	c.rules.PrepareForCreate(c.ctx, job)
	job.Status, job.Generation = status, generation
}

// keepCompletions lets a Job that names no completions keep those that a member defaulted when it was created. Their
// default depends on parallelism, so that naming that later would look like a change of completions, which a member
// does not see: it keeps the value it has where the template names none.
func keepCompletions(next, before *candidate, obj, old runtime.Object) {
	sent, ok := obj.(*batchv1.Job)
	if !ok || sent.Spec.Completions != nil || old.(*batchv1.Job).Spec.Completions != nil {
		return
	}
	next.object.(*batch.Job).Spec.Completions = before.object.(*batch.Job).Spec.Completions
}

// completeService fills clusterIPs from clusterIP, which a member's API server does before it validates. Only a
// headless Service names one in a template as a rule.
func completeService(c *candidate) {
	service, ok := c.object.(*core.Service)
	if !ok || service.Spec.ClusterIP == "" || len(service.Spec.ClusterIPs) > 0 {
		return
	}
	service.Spec.ClusterIPs = []string{service.Spec.ClusterIP}
}

// completePod names the account that a member gives to a pod without one, before it validates.
func completePod(c *candidate) {
	if pod, ok := c.object.(*core.Pod); ok && pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = defaultAccount
		//lint:ignore SA1019 it is served beside its successor
		pod.Spec.DeprecatedServiceAccount = defaultAccount
	}
}

// keepAddress gives a Service that is written without a cluster IP the one that it had, as a member's API server does: who
// replaces a Service need not know what it was given.
func keepAddress(next, before *candidate) {
	after, ok := next.object.(*core.Service)
	if !ok || after.Spec.ClusterIP != "" || after.Spec.Type == core.ServiceTypeExternalName {
		return
	}
	was := before.object.(*core.Service)
	after.Spec.ClusterIP, after.Spec.ClusterIPs = was.Spec.ClusterIP, was.Spec.ClusterIPs
}

func kindOf(obj runtime.Object) (schema.GroupVersionKind, error) {
	kinds, _, err := Scheme().ObjectKinds(obj)
	if err != nil {
		return schema.GroupVersionKind{}, err
	}
	return kinds[0], nil
}

// toInternal returns a defaulted deep copy of obj in upstream's internal version.
func toInternal(obj runtime.Object, gvk schema.GroupVersionKind) (runtime.Object, error) {
	defaulted := obj.DeepCopyObject()
	legacyscheme.Scheme.Default(defaulted)
	internal := schema.GroupVersion{Group: gvk.Group, Version: runtime.APIVersionInternal}
	out, err := legacyscheme.Scheme.UnsafeConvertToVersion(defaulted, internal)
	if err != nil {
		return nil, fmt.Errorf("convert %s to its internal version: %w", gvk, err)
	}
	return out, nil
}

// requestFor puts the kind's own version into the context, from which upstream's rules take the version to speak of.
// The caller's request may be one to a subresource or to another version of the same storage. An Event request is
// kept: which fields are required differs between v1 and events.k8s.io/v1.
func requestFor(ctx context.Context, gvk schema.GroupVersionKind, namespace, name string) context.Context {
	if info, ok := request.RequestInfoFrom(ctx); ok && gvk.Kind == "Event" && info.Resource == "events" {
		return ctx
	}
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	ctx = request.WithNamespace(ctx, namespace)
	return request.WithRequestInfo(ctx, &request.RequestInfo{
		IsResourceRequest: true,
		APIPrefix:         "apis",
		APIGroup:          gvk.Group,
		APIVersion:        gvk.Version,
		Resource:          plural.Resource,
		Namespace:         namespace,
		Name:              name,
	})
}
