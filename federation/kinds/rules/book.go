package rules

import (
	"fmt"
	"log/slog"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/template"
)

// Book says what rule is in force for a kind. Make one with NewBook; a nil Book knows what package kinds knows.
type Book struct {
	language *language
	shipped  map[schema.GroupKind]*v1alpha1.KindRule
	logger   *slog.Logger
	synced   chan struct{}

	mu       sync.RWMutex
	users    map[schema.GroupKind]kinds.Lesson
	trouble  map[schema.GroupKind]error // why a user's rule is not in force
	scales   map[schema.GroupKind]kinds.Scale
	resolved map[schema.GroupKind]kinds.Rule
	changed  []func(schema.GroupKind)
}

// NewBook is a book with the shipped rules.
func NewBook(logger *slog.Logger) (*Book, error) {
	l, err := newLanguage()
	if err != nil {
		return nil, err
	}
	shipped, err := Shipped()
	if err != nil {
		return nil, err
	}
	b := &Book{
		language: l, logger: logger, synced: make(chan struct{}),
		shipped:  make(map[schema.GroupKind]*v1alpha1.KindRule, len(shipped)),
		users:    map[schema.GroupKind]kinds.Lesson{},
		trouble:  map[schema.GroupKind]error{},
		scales:   map[schema.GroupKind]kinds.Scale{},
		resolved: map[schema.GroupKind]kinds.Rule{},
	}
	for _, rule := range shipped {
		b.shipped[KindOf(rule)] = rule
	}
	return b, nil
}

// OnChange calls changed after the rule of a kind has changed. It must be called before the book is used.
func (b *Book) OnChange(changed func(schema.GroupKind)) { b.changed = append(b.changed, changed) }

// Of is For with the object's own group and kind.
func (b *Book) Of(obj *unstructured.Unstructured) kinds.Rule {
	return b.For(obj.GroupVersionKind().GroupKind())
}

// For is the rule in force for a kind.
func (b *Book) For(gk schema.GroupKind) kinds.Rule {
	if b == nil || kinds.IsKnown(gk) {
		return kinds.For(gk)
	}
	b.mu.RLock()
	rule, known := b.resolved[gk]
	b.mu.RUnlock()
	if known {
		return rule
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	rule = b.resolve(gk)
	b.resolved[gk] = rule
	return rule
}

// resolve needs the lock.
func (b *Book) resolve(gk schema.GroupKind) kinds.Rule {
	rule := kinds.For(gk)
	if lesson, taught := b.users[gk]; taught {
		rule = kinds.Taught(lesson)
	} else if shipped, has := b.shipped[gk]; has {
		lesson, err := b.language.lesson(&shipped.Spec)
		if err != nil {
			b.logger.Error("a shipped rule does not compile", "rule", shipped.Name, "error", err) // a test sees to it
		} else {
			rule = kinds.Taught(lesson)
		}
	}
	if scale, has := b.scales[gk]; has {
		rule = rule.WithScale(scale)
	}
	return rule
}

// IsShipped reports whether the hub comes with a rule for a kind.
func (b *Book) IsShipped(gk schema.GroupKind) bool {
	_, has := b.shipped[gk]
	return has
}

// Templates are the objects of the hub.
type Templates interface {
	// EachKind calls visit for every kind of templates until it returns false.
	EachKind(visit func(schema.GroupKind) bool)
	// Each calls visit for the templates of a kind in a namespace until it returns false.
	Each(gk schema.GroupKind, namespace string, visit func(*unstructured.Unstructured) bool)
}

// Followers are the templates of a namespace that find what they follow by themselves.
func (b *Book) Followers(templates Templates, namespace string) []template.Ref {
	var refs []template.Ref
	b.eachOf(templates, namespace, kinds.Rule.CanFollow, func(obj *unstructured.Unstructured) bool {
		refs = append(refs, template.RefOf(obj))
		return true
	})
	return refs
}

// Autoscaler finds the template that owns the replica count of another one in each member.
func (b *Book) Autoscaler(templates Templates, of template.Ref) (found *unstructured.Unstructured, is bool) {
	b.eachOf(templates, of.Namespace, kinds.Rule.Scales, func(obj *unstructured.Unstructured) bool {
		// Of two, which is somebody's mistake, always the same one.
		if b.Autoscales(obj, of) && (found == nil || template.RefOf(obj).String() < template.RefOf(found).String()) {
			found = obj
		}
		return true
	})
	return found, found != nil
}

// Autoscales reports whether an object owns the replica count of a template, in each member.
func (b *Book) Autoscales(obj *unstructured.Unstructured, of template.Ref) bool {
	rule := b.Of(obj)
	if !rule.Scales() || obj.GetNamespace() != of.Namespace {
		return false
	}
	target, ok := rule.Follows(obj)
	return ok && target.Ref != nil && target.Ref.GroupKind == of.GroupKind() && target.Ref.Name == of.Name
}

// eachOf visits the templates of a namespace whose kinds are picked.
func (b *Book) eachOf(
	templates Templates, namespace string, isPicked func(kinds.Rule) bool, visit func(*unstructured.Unstructured) bool,
) {
	goesOn := true
	templates.EachKind(func(gk schema.GroupKind) bool {
		if isPicked(b.For(gk)) {
			templates.Each(gk, namespace, func(obj *unstructured.Unstructured) bool {
				goesOn = visit(obj)
				return goesOn
			})
		}
		return goesOn
	})
}

// Set puts a user's rule in force. One that does not compile changes nothing.
func (b *Book) Set(rule *v1alpha1.KindRule) error {
	gk := KindOf(rule)
	lesson, err := b.language.lesson(&rule.Spec)
	if err != nil {
		err = fmt.Errorf("KindRule %s: %w", rule.Name, err)
		b.mu.Lock()
		b.trouble[gk] = err
		b.mu.Unlock()
		return err
	}
	b.change(gk, func() {
		delete(b.trouble, gk)
		b.users[gk] = lesson
	})
	return nil
}

// Delete puts the rule in force that is there without the user's.
func (b *Book) Delete(gk schema.GroupKind) {
	b.change(gk, func() {
		delete(b.users, gk)
		delete(b.trouble, gk)
	})
}

// Err is why the user's rule for a kind is not in force; nil if it is, or there is none.
func (b *Book) Err(gk schema.GroupKind) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.trouble[gk]
}

// change changes what is known of a kind, and tells.
func (b *Book) change(gk schema.GroupKind, apply func()) {
	b.mu.Lock()
	apply()
	delete(b.resolved, gk)
	b.mu.Unlock()
	for _, tell := range b.changed {
		tell(gk)
	}
}

var definitionKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// HandleTemplate learns from the hub's CustomResourceDefinitions where kinds have their replicas. It is a handler of
// template.Store.
func (b *Book) HandleTemplate(e template.Event) {
	if e.Ref.GroupKind() != definitionKind {
		return
	}
	obj := e.New
	if obj == nil {
		obj = e.Old
	}
	gk, scale, has := scaleOf(obj)
	has = has && e.New != nil
	b.mu.RLock()
	before, had := b.scales[gk]
	b.mu.RUnlock()
	switch {
	case has && before != scale:
		b.change(gk, func() { b.scales[gk] = scale })
	case !has && had:
		b.change(gk, func() { delete(b.scales, gk) })
	}
}

// scaleOf reads the scale subresource of a definition, in its storage version.
func scaleOf(definition *unstructured.Unstructured) (gk schema.GroupKind, scale kinds.Scale, has bool) {
	gk.Group, _, _ = unstructured.NestedString(definition.Object, "spec", "group")
	gk.Kind, _, _ = unstructured.NestedString(definition.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, item := range versions {
		version, isMap := item.(map[string]any)
		if isStorage, _, _ := unstructured.NestedBool(version, "storage"); !isMap || !isStorage {
			continue
		}
		scale.SpecReplicas, has, _ = unstructured.NestedString(version, "subresources", "scale", "specReplicasPath")
		scale.StatusReplicas, _, _ = unstructured.NestedString(version, "subresources", "scale", "statusReplicasPath")
	}
	return gk, scale, has
}
