package native

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// strip gives next, a part of an object, what stored has where next is what was served, unless somebody became its owner. The
// three are of one type; next is changed and may share with stored afterwards.
func strip(next, served, stored reflect.Value, owned fieldSet) {
	if next.IsZero() || served.IsZero() {
		return
	}
	if owned.empty() && sameValue(next, served) {
		next.Set(stored)
		return
	}
	switch next.Kind() {
	case reflect.Pointer:
		if stored.IsNil() {
			stored = reflect.New(next.Type().Elem())
			defer dropHollow(next, !next.Elem().IsZero())
		}
		strip(next.Elem(), served.Elem(), stored.Elem(), owned)
	case reflect.Struct:
		if !next.Type().Implements(marshaler) {
			stripStruct(next, served, stored, owned)
		}
	case reflect.Slice:
		stripSlice(next, served, stored, owned)
	case reflect.Map:
		stripMap(next, served, stored, owned)
	}
}

// dropHollow takes out a pointer to what strip has emptied.
func dropHollow(pointer reflect.Value, wasFilled bool) {
	if !pointer.IsNil() && wasFilled && pointer.Elem().IsZero() {
		pointer.SetZero()
	}
}

// marshaler is what values implement that are one value in JSON, such as times and quantities.
var marshaler = reflect.TypeFor[json.Marshaler]()

func stripStruct(next, served, stored reflect.Value, owned fieldSet) {
	for i := range next.NumField() {
		name, inline := jsonName(next.Type().Field(i))
		strip(next.Field(i), served.Field(i), stored.Field(i), owned.child(name, inline))
	}
}

// stripSlice strips the elements of a list that stored has. Completion adds no elements to a list and moves none, so
// that those of served are those of stored.
func stripSlice(next, served, stored reflect.Value, owned fieldSet) {
	if stored.Len() != served.Len() || next.Type().Elem().Kind() != reflect.Struct {
		return
	}
	for i, j := range matched(next, served) {
		if j >= 0 {
			element := next.Index(i)
			strip(element, served.Index(j), stored.Index(j), owned.element(i, element))
		}
	}
}

func stripMap(next, served, stored reflect.Value, owned fieldSet) {
	for _, key := range next.MapKeys() {
		was := served.MapIndex(key)
		if !was.IsValid() || !stored.IsNil() && stored.MapIndex(key).IsValid() || !owned.child(key.String(), false).empty() {
			continue
		}
		if sameValue(next.MapIndex(key), was) {
			next.SetMapIndex(key, reflect.Value{})
		}
	}
	if next.Len() == 0 && stored.IsNil() {
		next.SetZero()
	}
}

// restore puts back into next what was there, where completing next gives completed and not what is wanted.
func restore(next, completed, wanted, was reflect.Value) {
	if was.IsZero() || sameValue(completed, wanted) {
		return
	}
	if next.IsZero() {
		next.Set(was)
		return
	}
	switch next.Kind() {
	case reflect.Pointer:
		restore(next.Elem(), completed.Elem(), wanted.Elem(), was.Elem())
	case reflect.Struct:
		if next.Type().Implements(marshaler) {
			next.Set(was)
			return
		}
		for i := range next.NumField() {
			restore(next.Field(i), completed.Field(i), wanted.Field(i), was.Field(i))
		}
	case reflect.Slice:
		for i := range min(next.Len(), completed.Len(), wanted.Len(), was.Len()) {
			restore(next.Index(i), completed.Index(i), wanted.Index(i), was.Index(i))
		}
	case reflect.Map:
		for _, key := range was.MapKeys() {
			if !next.MapIndex(key).IsValid() {
				next.SetMapIndex(key, was.MapIndex(key))
			}
		}
	}
}

func sameValue(a, b reflect.Value) bool {
	return equality.Semantic.DeepEqual(a.Interface(), b.Interface())
}

// identities are the fields by which the elements of Kubernetes' lists are told apart, best first.
var identities = []string{"Name", "MountPath", "DevicePath", "ContainerPort", "Port", "Path", "Key", "Type", "IP",
	"TopologyKey", "UID"}

// matched returns, for each element of next, the index of the element of served that it was made from; -1 for a new one.
func matched(next, served reflect.Value) []int {
	out, taken := make([]int, next.Len()), make([]bool, served.Len())
	for i := range out {
		out[i] = -1
	}
	for _, same := range []func(i, j int) bool{
		func(i, j int) bool { return i == j && sameValue(next.Index(i), served.Index(j)) },
		func(i, j int) bool { return sameValue(next.Index(i), served.Index(j)) },
		func(i, j int) bool { return sameIdentity(next.Index(i), served.Index(j)) },
		func(i, j int) bool { return i == j && next.Len() == served.Len() },
	} {
		for i := range out {
			for j := 0; out[i] < 0 && j < len(taken); j++ {
				if !taken[j] && same(i, j) {
					out[i], taken[j] = j, true
				}
			}
		}
	}
	return out
}

// sameIdentity reports whether two elements are alike in the first field that tells elements apart and that both have.
func sameIdentity(a, b reflect.Value) bool {
	for _, name := range identities {
		x, y := a.FieldByName(name), b.FieldByName(name)
		if x.IsValid() && !x.IsZero() && !y.IsZero() {
			return x.Comparable() && x.Equal(y)
		}
	}
	return false
}

// jsonName returns the name of a field in JSON, and whether its own fields stand in its place there.
func jsonName(field reflect.StructField) (name string, inline bool) {
	name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	if strings.Contains(options, "inline") || name == "" && field.Anonymous {
		return "", true
	}
	return name, false
}

// fieldSet is what owners gained of a part of an object. The zero value is nothing.
type fieldSet struct {
	set    *fieldpath.Set
	member bool // the part itself is owned
}

// everythingBefore is the owner that server-side apply invents for what it finds in an object without owners.
const everythingBefore = "before-first-apply"

// gainedFields are the fields of which somebody became an owner (metadata.managedFields) between before and next,
// whatever the version. Fields that are owned in both say nothing: who creates an object owns the empty values in it as
// well, such as a port that is a number and not named. The status has writers of its own.
func gainedFields(next, before runtime.Object) (fieldSet, error) {
	was, err := ownersOf(before)
	if err != nil {
		return fieldSet{}, err
	}
	now, err := ownersOf(next)
	if err != nil {
		return fieldSet{}, err
	}
	all := fieldpath.NewSet()
	for owner, fields := range now {
		if old := was[owner]; old != nil {
			fields = fields.Difference(old)
		}
		all = all.Union(fields)
	}
	return fieldSet{set: all}, nil
}

// owner is an entry of metadata.managedFields.
type owner struct {
	manager   string
	operation metav1.ManagedFieldsOperationType
	part      string
}

func ownersOf(obj runtime.Object) (map[owner]*fieldpath.Set, error) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	out := map[owner]*fieldpath.Set{}
	for _, entry := range m.GetManagedFields() {
		if entry.FieldsV1 == nil || entry.Subresource == "status" || entry.Manager == everythingBefore {
			continue
		}
		one := &fieldpath.Set{}
		if err := one.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
			return nil, fmt.Errorf("read the fields of %s: %w", entry.Manager, err)
		}
		key := owner{entry.Manager, entry.Operation, entry.Subresource}
		if other := out[key]; other != nil { // in another version
			one = one.Union(other)
		}
		out[key] = one
	}
	return out, nil
}

func (f fieldSet) empty() bool { return !f.member && (f.set == nil || f.set.Empty()) }

func (f fieldSet) at(e fieldpath.PathElement) fieldSet {
	if f.set == nil {
		return fieldSet{}
	}
	below, _ := f.set.Children.Get(e)
	return fieldSet{set: below, member: f.set.Members.Has(e)}
}

func (f fieldSet) child(name string, inline bool) fieldSet {
	if inline {
		return f
	}
	return f.at(fieldpath.FieldNameElement(name))
}

// element is what owners gained of an element of a list. Lists with one owner for the whole say nothing of their elements.
func (f fieldSet) element(index int, element reflect.Value) fieldSet {
	if f.set == nil {
		return fieldSet{}
	}
	var out fieldSet
	f.set.Children.Iterate(func(e fieldpath.PathElement) {
		if e.Index != nil && *e.Index == index || e.Key != nil && hasKey(element, *e.Key) {
			out = f.at(e)
		}
	})
	return out
}

// hasKey reports whether an element of a list is the one that key names.
func hasKey(element reflect.Value, key value.FieldList) bool {
	for _, part := range key {
		found := false
		for _, field := range reflect.VisibleFields(element.Type()) {
			if name, _ := jsonName(field); name == part.Name {
				at := element.FieldByIndex(field.Index)
				found = fmt.Sprint(at.Interface()) == fmt.Sprint(part.Value.Unstructured())
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}
