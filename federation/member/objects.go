package member

import (
	"errors"
	"reflect"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-federation/hanse/api/printable"
)

// Handler is told of changes of our objects in a member, in the order in which they happened, one at a time. It must
// not block or change what it is given. Old and new are the stripped, cached objects. A change that Strip removes is
// not told.
type Handler interface {
	OnAdd(obj *unstructured.Unstructured)
	OnUpdate(old, obj *unstructured.Unstructured)
	OnDelete(last *unstructured.Unstructured)
}

// Objects is the cache of our objects of one resource in one member.
type Objects struct {
	strip  func(*unstructured.Unstructured)
	follow *followed
	synced chan struct{}

	// telling serialises changes and subscriptions, so that every handler sees every object exactly once and in order.
	// mu is for readers, who may be called from a handler.
	telling  sync.Mutex
	handlers map[int]Handler
	nextID   int
	// isOutdated: what is kept was stripped by a rule that is no longer, so that the next list is all news.
	isOutdated bool

	mu    sync.RWMutex
	items map[types.NamespacedName]stripped
	bytes int64 // what they come to
}

func newObjects(strip func(*unstructured.Unstructured)) *Objects {
	return &Objects{
		strip: strip, synced: make(chan struct{}),
		handlers: map[int]Handler{}, items: map[types.NamespacedName]stripped{},
	}
}

// Get reads from the cache. The object is shared: do not change it.
func (o *Objects) Get(namespace, name string) (*unstructured.Unstructured, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	obj, ok := o.items[types.NamespacedName{Namespace: namespace, Name: name}]
	return obj.Unstructured, ok
}

// List reads all from the cache, in no order. The objects are shared: do not change them.
func (o *Objects) List() []*unstructured.Unstructured {
	o.mu.RLock()
	defer o.mu.RUnlock()
	out := make([]*unstructured.Unstructured, 0, len(o.items))
	for _, obj := range o.items {
		out = append(out, obj.Unstructured)
	}
	return out
}

// HasSynced reports whether the cache has been complete once.
func (o *Objects) HasSynced() bool {
	select {
	case <-o.synced:
		return true
	default:
		return false
	}
}

// Synced is closed when the cache has been complete once.
func (o *Objects) Synced() <-chan struct{} { return o.synced }

// Err is why the cache is not kept up to date at present, such as 403; nil if it is.
func (o *Objects) Err() error { return o.follow.lastErr() }

// Again reads all objects anew, since Strip keeps something else of them now; handlers are told of each. The present
// ones stay until then.
func (o *Objects) Again() {
	o.telling.Lock()
	o.isOutdated = true
	o.telling.Unlock()
	o.follow.again()
}

// Refresh reads all objects anew; handlers are told of what is different. The present ones stay until then.
func (o *Objects) Refresh() { o.follow.again() }

// Subscribe tells handler of everything that is in the cache (as OnAdd) and of every change from now on. The returned
// function ends it; a call under way may still finish.
func (o *Objects) Subscribe(handler Handler) (cancel func()) {
	o.telling.Lock()
	defer o.telling.Unlock()
	id := o.nextID
	o.nextID++
	for _, obj := range o.List() {
		handler.OnAdd(obj)
	}
	o.handlers[id] = handler
	return func() {
		o.telling.Lock()
		defer o.telling.Unlock()
		delete(o.handlers, id)
	}
}

// objectStore is the side of Objects that the reflector writes.
type objectStore struct{ *Objects }

// stripped is an object that has been through strip, with what it comes to in memory.
type stripped struct {
	*unstructured.Unstructured
	size int64
}

func (s objectStore) Add(obj any) error    { s.put(obj); return nil }
func (s objectStore) Update(obj any) error { s.put(obj); return nil }
func (s objectStore) Resync() error        { return nil }

func (s objectStore) Delete(obj any) error {
	if gone, ok := obj.(metav1.Object); ok {
		s.telling.Lock()
		defer s.telling.Unlock()
		s.drop(keyOf(gone))
	}
	return nil
}

// Replace takes a complete list, and tells only what is different.
func (s objectStore) Replace(list []any, _ string) error {
	s.telling.Lock()
	defer s.telling.Unlock()
	present := make(map[types.NamespacedName]bool, len(list))
	for _, obj := range list {
		if one, _, err := s.shrink(obj); err == nil {
			u := one.(stripped)
			present[keyOf(u)] = true
			s.putLocked(u)
		}
	}
	for _, obj := range s.List() {
		if !present[keyOf(obj)] {
			s.drop(keyOf(obj))
		}
	}
	s.isOutdated = false
	if !s.HasSynced() {
		close(s.synced)
	}
	return nil
}

func (s objectStore) put(obj any) {
	s.telling.Lock()
	defer s.telling.Unlock()
	if one, _, err := s.shrink(obj); err == nil {
		s.putLocked(one.(stripped))
	}
}

func (s objectStore) putLocked(one stripped) {
	obj, key := one.Unstructured, keyOf(one)
	s.mu.Lock()
	was, had := s.items[key]
	old := was.Unstructured
	s.items[key] = one
	s.bytes += one.size - was.size
	s.mu.Unlock()
	switch {
	case !had:
		for _, h := range s.handlers {
			h.OnAdd(obj)
		}
	case old.GetUID() != obj.GetUID(): // deleted and made anew while we did not look
		for _, h := range s.handlers {
			h.OnDelete(old)
			h.OnAdd(obj)
		}
	case s.isOutdated, !sameBesidesVersion(old, obj):
		for _, h := range s.handlers {
			h.OnUpdate(old, obj)
		}
	}
}

func (s objectStore) drop(key types.NamespacedName) {
	s.mu.Lock()
	was, had := s.items[key]
	old := was.Unstructured
	delete(s.items, key)
	s.bytes -= was.size
	s.mu.Unlock()
	if !had {
		return
	}
	for _, h := range s.handlers {
		h.OnDelete(old)
	}
}

// IsName reports whether a member can have an object of this name, or in this namespace. What has another name comes from
// a member that lies; no name of a real one has a control character, a slash or more than 253 letters.
func IsName(name string) bool {
	return len(name) <= maxName && !strings.ContainsAny(name, "/%") && printable.Line(name, maxName) == name
}

const maxName = 253

var errNoName = errors.New("no object has such a name")

func keyOf(obj metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// sameBesidesVersion compares two stripped objects but for their resource version.
func sameBesidesVersion(a, b *unstructured.Unstructured) bool {
	if a.GetResourceVersion() == b.GetResourceVersion() {
		return true
	}
	if len(a.Object) != len(b.Object) {
		return false
	}
	for key, x := range a.Object {
		y, ok := b.Object[key]
		if !ok || (key == "metadata" && !sameMeta(x, y)) || (key != "metadata" && !reflect.DeepEqual(x, y)) {
			return false
		}
	}
	return true
}

func sameMeta(a, b any) bool {
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	if len(x) != len(y) {
		return false
	}
	for key, value := range x {
		if key != "resourceVersion" && !reflect.DeepEqual(value, y[key]) {
			return false
		}
	}
	return true
}
