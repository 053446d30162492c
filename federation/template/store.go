package template

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/cache"
)

// Kind is a kind of templates as the hub serves it.
type Kind struct {
	schema.GroupVersionKind
	Resource   string
	Namespaced bool
	// HasStatus reports whether the kind has a status subresource.
	HasStatus bool
}

// GVR of the kind.
func (k Kind) GVR() schema.GroupVersionResource { return k.GroupVersion().WithResource(k.Resource) }

// Event tells of one template. Old is nil for a new one, New is nil for one that is gone.
type Event struct {
	Ref      Ref
	Old, New *unstructured.Unstructured
}

// Options of a Store.
type Options struct {
	// Discovery asks the hub for its kinds.
	Discovery discovery.DiscoveryInterface
	// ListWatch reads the objects of a kind as unstructured.
	ListWatch func(Kind) cache.ListerWatcher
	// Logger for failures of single kinds.
	Logger *slog.Logger
	// Refresh is how often the kinds are looked up again. Default one minute. Changed kinds are also looked up when a
	// CustomResourceDefinition changes.
	Refresh time.Duration
}

// Store holds the templates of the hub.
type Store struct {
	options Options
	refresh chan struct{}

	mu       sync.RWMutex
	kinds    map[schema.GroupKind]*watched
	handlers []func(Event)
	ready    bool
}

var definitionKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// watched is one kind's watch.
type watched struct {
	kind     Kind
	informer cache.SharedIndexInformer
	stop     context.CancelFunc
}

// NewStore returns a store that is empty until Run.
func NewStore(options Options) *Store {
	if options.Refresh == 0 {
		options.Refresh = time.Minute
	}
	return &Store{
		options: options,
		refresh: make(chan struct{}, 1),
		kinds:   map[schema.GroupKind]*watched{},
	}
}

// Handle calls handle for every template, present and future. It must be called before Run.
func (s *Store) Handle(handle func(Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers = append(s.handlers, handle)
}

// Run watches until the context ends.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(s.options.Refresh)
	defer tick.Stop()
	var lag time.Duration // of the hub's discovery behind a CustomResourceDefinition
	for {
		if err := s.follow(ctx); err != nil && ctx.Err() == nil {
			s.options.Logger.Warn("looking up the kinds of templates", "error", err)
		}
		var again <-chan time.Time
		if lag < maxLag && s.isBehind() {
			lag = max(2*lag, firstLag)
			again = time.After(lag)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-again:
		case <-s.refresh:
			lag = 0
		}
	}
}

// The hub's discovery shows a kind a moment after its definition is established, sometimes a second.
const firstLag, maxLag = 100 * time.Millisecond, 10 * time.Second

// isBehind reports whether a CustomResourceDefinition of the hub is established, and its kind is not followed yet.
func (s *Store) isBehind() bool {
	behind := false
	s.Each(definitionKind, "", func(definition *unstructured.Unstructured) bool {
		group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "kind")
		gk := schema.GroupKind{Group: group, Kind: kind}
		_, local := IsLocal(gk)
		_, known := s.Kind(gk)
		behind = !local && !known && definition.GetDeletionTimestamp() == nil && isEstablished(definition)
		return !behind
	})
	return behind
}

func isEstablished(definition *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(item any) bool {
		c, ok := item.(map[string]any)
		return ok && c["type"] == "Established" && c["status"] == "True"
	})
}

// HasSynced reports whether every kind known at the start has been read once.
func (s *Store) HasSynced() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.ready {
		return false
	}
	for _, w := range s.kinds {
		if !w.informer.HasSynced() {
			return false
		}
	}
	return true
}

// WaitForSync waits for HasSynced.
func (s *Store) WaitForSync(ctx context.Context) error {
	for !s.HasSynced() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("reading the templates: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// Kind looks up how the hub serves a kind.
func (s *Store) Kind(gk schema.GroupKind) (Kind, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	w, ok := s.kinds[gk]
	if !ok {
		return Kind{}, false
	}
	return w.kind, true
}

// Informer is the one of a kind, which runs as long as the hub serves the kind; nil if there is none.
func (s *Store) Informer(resource schema.GroupVersionResource) cache.SharedIndexInformer {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, w := range s.kinds {
		if w.kind.GVR() == resource {
			return w.informer
		}
	}
	return nil
}

// Get returns a template; it is shared and must not be changed.
func (s *Store) Get(ref Ref) (*unstructured.Unstructured, bool) {
	s.mu.RLock()
	w, ok := s.kinds[ref.GroupKind()]
	s.mu.RUnlock()
	if !ok {
		return nil, false
	}
	key := ref.Name
	if ref.Namespace != "" {
		key = ref.Namespace + "/" + ref.Name
	}
	found, exists, err := w.informer.GetIndexer().GetByKey(key)
	if err != nil || !exists {
		return nil, false
	}
	obj, ok := found.(*unstructured.Unstructured)
	return obj, ok
}

// Each calls visit for the templates of a namespace, or for all if it is empty, until visit returns false. A zero
// kind means every kind.
func (s *Store) Each(gk schema.GroupKind, namespace string, visit func(*unstructured.Unstructured) bool) {
	for _, w := range s.watchedKinds() {
		if (gk != schema.GroupKind{}) && w.kind.GroupKind() != gk {
			continue
		}
		var found []any
		if namespace == "" {
			found = w.informer.GetStore().List()
		} else if w.kind.Namespaced {
			found, _ = w.informer.GetIndexer().ByIndex(cache.NamespaceIndex, namespace)
		}
		for _, item := range found {
			if obj, ok := item.(*unstructured.Unstructured); ok && !visit(obj) {
				return
			}
		}
	}
}

// EachKind calls visit for every kind of templates until it returns false.
func (s *Store) EachKind(visit func(schema.GroupKind) bool) {
	for _, w := range s.watchedKinds() {
		if !visit(w.kind.GroupKind()) {
			return
		}
	}
}

func (s *Store) watchedKinds() []*watched {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*watched, 0, len(s.kinds))
	for _, w := range s.kinds {
		all = append(all, w)
	}
	return all
}

// follow starts watches of new kinds and stops those of kinds that are gone.
func (s *Store) follow(ctx context.Context) error {
	served, err := s.served()
	if err != nil {
		return err
	}
	for _, gone := range s.update(ctx, served) {
		for _, obj := range gone.informer.GetStore().List() {
			s.dispatch(s.handlers, obj, nil)
		}
	}
	return nil
}

// update makes the watches those of the served kinds and returns the ones that it ended.
func (s *Store) update(ctx context.Context, served map[schema.GroupKind]Kind) []*watched {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gone []*watched
	for gk, w := range s.kinds {
		if kind, still := served[gk]; !still || kind != w.kind {
			w.stop()
			delete(s.kinds, gk)
			gone = append(gone, w)
		}
	}
	for gk, kind := range served {
		if _, known := s.kinds[gk]; !known {
			s.kinds[gk] = s.watch(ctx, kind)
		}
	}
	s.ready = true
	return gone
}

// served asks the hub for the kinds that may travel, each in the first version that has it in the hub's own order.
func (s *Store) served() (map[schema.GroupKind]Kind, error) {
	groups, lists, err := s.options.Discovery.ServerGroupsAndResources()
	if err != nil && len(lists) == 0 {
		return nil, fmt.Errorf("asking the hub for its kinds: %w", err)
	}
	resources := map[string][]metav1.APIResource{}
	for _, list := range lists {
		resources[list.GroupVersion] = list.APIResources
	}
	kinds := map[schema.GroupKind]Kind{}
	for _, group := range groups {
		for _, version := range group.Versions {
			gv := schema.GroupVersion{Group: group.Name, Version: version.Version}
			for _, r := range resources[version.GroupVersion] {
				kind, travels := kindOf(gv, r, resources[version.GroupVersion])
				if _, known := kinds[kind.GroupKind()]; travels && !known {
					kinds[kind.GroupKind()] = kind
				}
			}
		}
	}
	return kinds, nil
}

// kindOf is a resource as a kind of templates, if it is one.
func kindOf(gv schema.GroupVersion, r metav1.APIResource, all []metav1.APIResource) (Kind, bool) {
	kind := Kind{GroupVersionKind: gv.WithKind(r.Kind), Resource: r.Name, Namespaced: r.Namespaced}
	_, local := IsLocal(kind.GroupKind())
	if local || strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "watch") {
		return kind, false
	}
	kind.HasStatus = slices.ContainsFunc(all, func(s metav1.APIResource) bool { return s.Name == r.Name+"/status" })
	return kind, true
}

// watch starts the watch of one kind.
func (s *Store) watch(ctx context.Context, kind Kind) *watched {
	ctx, stop := context.WithCancel(ctx)
	indexers := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	informer := cache.NewSharedIndexInformer(s.options.ListWatch(kind), &unstructured.Unstructured{}, 0, indexers)
	if err := informer.SetTransform(strip); err != nil {
		s.options.Logger.Error("preparing the watch", "kind", kind.String(), "error", err)
	}
	handlers := slices.Clone(s.handlers)
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { s.dispatch(handlers, nil, obj) },
		UpdateFunc: func(old, obj any) { s.dispatch(handlers, old, obj) },
		DeleteFunc: func(obj any) { s.dispatch(handlers, obj, nil) },
	})
	if err != nil {
		s.options.Logger.Error("preparing the watch", "kind", kind.String(), "error", err)
	}
	go informer.RunWithContext(ctx)
	return &watched{kind: kind, informer: informer, stop: stop}
}

// strip drops what is never read.
func strip(obj any) (any, error) {
	if accessor, err := meta.Accessor(obj); err == nil {
		accessor.SetManagedFields(nil)
	}
	return obj, nil
}

func (s *Store) dispatch(handlers []func(Event), old, now any) {
	event := Event{Old: asObject(old), New: asObject(now)}
	switch {
	case event.New != nil:
		event.Ref = RefOf(event.New)
	case event.Old != nil:
		event.Ref = RefOf(event.Old)
	default:
		return
	}
	if event.Ref.GroupKind() == definitionKind {
		select {
		case s.refresh <- struct{}{}:
		default:
		}
	}
	for _, handle := range handlers {
		handle(event)
	}
}

func asObject(item any) *unstructured.Unstructured {
	if gone, ok := item.(cache.DeletedFinalStateUnknown); ok {
		item = gone.Obj
	}
	obj, _ := item.(*unstructured.Unstructured)
	return obj
}
