package member

import (
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
)

// small is a store that knows what it keeps of an object, and what all of it comes to.
type small interface {
	cache.ReflectorStore
	// shrink makes an object as small as it is kept, and says what it comes to. An error leaves it out. What has been
	// through it once it leaves as it is.
	shrink(obj any) (any, int64, error)
	tally() tally
}

// bounded is a small store that takes in no more than the member may hold: neither for good nor while a list is on its
// way, which a member may never end.
type bounded struct {
	store   small
	what    string
	holding *holding
	// refuse ends the list and watch under way; accept hears that a whole list has been taken in.
	refuse func(*TooMuchError)
	accept func()

	mu       sync.Mutex
	arriving tally
}

var _ cache.TransformingStore = &bounded{}

// begin forgets what a former list, which was not finished, brought.
func (b *bounded) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arriving = tally{}
}

// arrive takes one more object of a list.
func (b *bounded) arrive(obj any) (any, error) {
	kept, size, err := b.store.shrink(obj)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.arriving = b.arriving.plus(tally{1, size})
	sum := b.arriving
	b.mu.Unlock()
	if before := b.store.tally(); sum.bytes < before.bytes && sum.objects < before.objects {
		return kept, nil // it is to take the place of more than that
	}
	return kept, b.allow(sum)
}

// allow asks whether a kind may come to so much.
func (b *bounded) allow(t tally) error {
	if err := b.holding.set(b.what, t); err != nil {
		err = err.of(b.what)
		b.refuse(err)
		return err
	}
	return nil
}

// page is a page of a list with its objects as they are kept, so that a list of many pages takes no more than that.
func (b *bounded) page(list runtime.Object) (runtime.Object, error) {
	about, err := meta.ListAccessor(list)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotKubernetes, err)
	}
	out := &metainternalversion.List{ListMeta: metav1.ListMeta{
		ResourceVersion: about.GetResourceVersion(), Continue: about.GetContinue(),
	}}
	err = meta.EachListItem(list, func(obj runtime.Object) error {
		kept, err := b.arrive(obj)
		if errors.As(err, new(*TooMuchError)) {
			return err
		}
		if one, ok := kept.(runtime.Object); ok && err == nil {
			out.Items = append(out.Items, one)
		}
		return nil
	})
	return out, err
}

// Transformer is for the streamed first list, which is collected before Replace.
func (b *bounded) Transformer() cache.TransformFunc { return b.arrive }

// Add implements cache.ReflectorStore.
func (b *bounded) Add(obj any) error { return b.put(obj, b.store.Add) }

// Update implements cache.ReflectorStore.
func (b *bounded) Update(obj any) error { return b.put(obj, b.store.Update) }

func (b *bounded) put(obj any, put func(any) error) error {
	kept, size, err := b.store.shrink(obj)
	if err != nil {
		return err
	}
	if err := b.allow(b.store.tally().plus(tally{1, size})); err != nil {
		return err
	}
	err = put(kept)
	_ = b.holding.set(b.what, b.store.tally())
	return err
}

// Delete implements cache.ReflectorStore.
func (b *bounded) Delete(obj any) error {
	err := b.store.Delete(obj)
	_ = b.holding.set(b.what, b.store.tally())
	return err
}

// Replace implements cache.ReflectorStore.
func (b *bounded) Replace(list []any, version string) error {
	var sum tally
	kept := make([]any, 0, len(list))
	for _, obj := range list {
		one, size, err := b.store.shrink(obj)
		if err != nil {
			continue
		}
		kept, sum = append(kept, one), sum.plus(tally{1, size})
	}
	b.begin()
	if err := b.allow(sum); err != nil {
		return err
	}
	if err := b.store.Replace(kept, version); err != nil {
		return err
	}
	_ = b.holding.set(b.what, b.store.tally())
	b.accept()
	return nil
}

// Resync implements cache.ReflectorStore.
func (b *bounded) Resync() error { return nil }

// shrink keeps the object as Strip makes it.
func (s objectStore) shrink(obj any) (any, int64, error) {
	if done, ok := obj.(stripped); ok {
		return done, done.size, nil
	}
	u, _ := obj.(*unstructured.Unstructured)
	if u == nil || !IsName(u.GetName()) || !IsName(u.GetNamespace()) {
		return nil, 0, errNoName
	}
	s.strip(u)
	done := stripped{u, sizeOf(u.Object) + 100}
	return done, done.size, nil
}

func (s objectStore) tally() tally {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return tally{int64(len(s.items)), s.bytes}
}

// sizeOfPod is what a pod comes to while a list is on its way; afterwards it is a part of that.
const sizeOfPod = 600

// shrink keeps what the sums are made of.
func (s podStore) shrink(obj any) (any, int64, error) {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, sizeOfPod, nil
	}
	if !IsName(p.Name) || !IsName(p.Namespace) || !IsName(p.Spec.NodeName) || !IsName(string(p.UID)) {
		return nil, 0, errNoName
	}
	about := metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, UID: p.UID}
	return &seenPod{ObjectMeta: about, pod: smallPod(p)}, sizeOfPod, nil
}

func (s podStore) tally() tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	return tally{int64(len(s.pods)), int64(len(s.pods)) * sizeOfPod / 2}
}

// sizeOfNode is what a node comes to.
const sizeOfNode = 4096

// shrink keeps what the sums are made of.
func (s nodeStore) shrink(obj any) (any, int64, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, sizeOfNode, nil
	}
	if !IsName(n.Name) {
		return nil, 0, errNoName
	}
	return &seenNode{ObjectMeta: metav1.ObjectMeta{Name: n.Name}, node: smallNode(n)}, sizeOfNode, nil
}

func (s nodeStore) tally() tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	return tally{int64(len(s.nodes)), int64(len(s.nodes)) * sizeOfNode}
}

// shrink keeps a name alone, and that only while a list is on its way.
func (p pulse) shrink(obj any) (any, int64, error) {
	const size = 500
	if m, ok := obj.(*metav1.PartialObjectMetadata); ok {
		if !IsName(m.Name) {
			return nil, 0, errNoName
		}
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: m.Name}}, size, nil
	}
	return obj, size, nil
}

func (p pulse) tally() tally { return tally{} }
