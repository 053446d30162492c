package native

import (
	"fmt"
	"maps"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

// withoutDefaults are kinds that upstream has no defaults for and that there is much of.
var withoutDefaults = map[schema.GroupKind]bool{
	kind(corev1.GroupName, "ConfigMap"):          true,
	kind(corev1.GroupName, "Event"):              true,
	kind(corev1.GroupName, "ServiceAccount"):     true,
	kind(eventsv1.GroupName, "Event"):            true,
	kind(coordinationv1.GroupName, "Lease"):      true,
	kind(appsv1.GroupName, "ControllerRevision"): true,
	kind(rbacv1.GroupName, "Role"):               true,
	kind(rbacv1.GroupName, "ClusterRole"):        true,
}

// HasDefaults reports whether a cluster adds values to objects of the kind when it serves them.
func HasDefaults(kind schema.GroupKind) bool { return !withoutDefaults[kind] }

// Default completes obj in place as an API server of the release in go.mod does when it reads an object. What it sets
// beyond upstream's defaults: where autoscalers in the members say how many replicas there are, so that a workload names
// no number, the number is what runs. Labels stay as they are, since placements and selectors go by what is stored.
func Default(obj runtime.Object) {
	replicas, running := replicasOf(obj)
	unset := replicas != nil && *replicas == nil
	m, err := meta.Accessor(obj)
	if err != nil {
		return // no object of any kind
	}
	labels := maps.Clone(m.GetLabels())
	legacyscheme.Scheme.Default(obj)
	m.SetLabels(labels)
	if unset && *replicas != nil {
		**replicas = max(**replicas, running)
	}
}

// Defaulted returns a completed copy of obj, see Default. What the copy shares with obj must not be changed.
func Defaulted(obj runtime.Object) runtime.Object {
	if secret, ok := obj.(*corev1.Secret); ok { // its type is all that is defaulted, its data may be large
		out := *secret
		Default(&out)
		return &out
	}
	out := obj.DeepCopyObject()
	Default(out)
	return out
}

// DefaultedList returns a list of completed copies, see Defaulted.
func DefaultedList(list runtime.Object) (runtime.Object, error) {
	out := reflect.New(reflect.TypeOf(list).Elem())
	out.Elem().Set(reflect.ValueOf(list).Elem())
	items := out.Elem().FieldByName("Items")
	if items.Kind() != reflect.Slice {
		return nil, fmt.Errorf("%T is no list", list)
	}
	completed := reflect.MakeSlice(items.Type(), items.Len(), items.Len())
	for i := range items.Len() {
		item, ok := items.Index(i).Addr().Interface().(runtime.Object)
		if !ok {
			return nil, fmt.Errorf("a %T holds no objects", list)
		}
		completed.Index(i).Set(reflect.ValueOf(Defaulted(item)).Elem())
	}
	if !items.IsNil() {
		items.Set(completed)
	}
	return out.Interface().(runtime.Object), nil
}

// Undefaulted returns next, which somebody made out of Defaulted(stored), without the values that only completion put
// there: next as it is to be stored.
//
// A value stays if stored has it, if it is not the one that completion gave stored, or if next has an owner of it
// (metadata.managedFields) that stored has not. So who writes back what was read, with a change somewhere, stores
// the change and nothing else; who applies a value that happens to be the default keeps it. Completing the answer gives
// what completing next gives, always.
func Undefaulted(next, stored runtime.Object) (runtime.Object, error) {
	out := next.DeepCopyObject()
	if err := takeStatus(out, stored); err != nil {
		return nil, err
	}
	owned, err := gainedFields(next, stored)
	if err != nil {
		return nil, err
	}
	value, before, served := valueOf(out), valueOf(stored.DeepCopyObject()), valueOf(Defaulted(stored))
	content := contentOf(value.Type())
	unchanged := true
	for _, i := range content {
		name, inline := jsonName(value.Type().Field(i))
		if part := owned.child(name, inline); !part.empty() || !sameValue(value.Field(i), served.Field(i)) {
			unchanged = false
			strip(value.Field(i), served.Field(i), before.Field(i), part)
			continue
		}
		value.Field(i).Set(before.Field(i))
	}
	if unchanged {
		return takeBack(out, next), nil
	}
	want := next.DeepCopyObject()
	if err := takeStatus(want, stored); err != nil {
		return nil, err
	}
	Default(want)
	for range 2 { // one default may hang on another
		got := Defaulted(out)
		if equality.Semantic.DeepEqual(got, want) {
			return takeBack(out, next), nil
		}
		for _, i := range content {
			restore(value.Field(i), valueOf(got).Field(i), valueOf(want).Field(i), valueOf(next).Field(i))
		}
	}
	if equality.Semantic.DeepEqual(Defaulted(out), want) {
		return takeBack(out, next), nil
	}
	return next, nil
}

func valueOf(obj runtime.Object) reflect.Value { return reflect.ValueOf(obj).Elem() }

// takeStatus gives obj the status of stored, which is what decides about defaults that follow the status: a write of the
// object does not change it.
func takeStatus(obj, stored runtime.Object) error {
	to, from := valueOf(obj), valueOf(stored)
	if to.Type() != from.Type() {
		return fmt.Errorf("a %T cannot replace a %T", obj, stored)
	}
	if status := to.FieldByName("Status"); status.IsValid() {
		status.Set(from.FieldByName("Status"))
	}
	return nil
}

// takeBack gives out the metadata and status that next came with.
func takeBack(out, next runtime.Object) runtime.Object {
	to, from := valueOf(out), valueOf(next)
	for _, name := range []string{"ObjectMeta", "Status"} {
		if field := to.FieldByName(name); field.IsValid() {
			field.Set(from.FieldByName(name))
		}
	}
	return out
}

// contentOf are the indices of the fields of an object that are neither kind, metadata nor status.
func contentOf(object reflect.Type) []int {
	var out []int
	for i := range object.NumField() {
		switch object.Field(i).Name {
		case "TypeMeta", "ObjectMeta", "Status":
		default:
			out = append(out, i)
		}
	}
	return out
}

// replicasOf returns where a workload says how many replicas it wants, and how many run; nil for other kinds.
func replicasOf(obj runtime.Object) (wanted **int32, running int32) {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Replicas, o.Status.Replicas
	case *appsv1.StatefulSet:
		return &o.Spec.Replicas, o.Status.Replicas
	case *appsv1.ReplicaSet:
		return &o.Spec.Replicas, o.Status.Replicas
	case *corev1.ReplicationController:
		return &o.Spec.Replicas, o.Status.Replicas
	}
	return nil, 0
}
