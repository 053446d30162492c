package member

import (
	"context"
	"errors"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	podresources "k8s.io/component-helpers/resource"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/hanse-federation/hanse/api/printable"
)

// figuresGap is the least time between two reports of changed figures.
const figuresGap = time.Second

// capacity adds up nodes and pods. It keeps sums, and of each pod no more than it takes to subtract it again.
type capacity struct {
	mu         sync.Mutex
	nodes      map[string]node
	pods       map[podKey]counted
	onNode     map[string]*requests
	waiting    map[podKey]waiting
	nodesKnown bool
	podsKnown  bool
	dirty      chan struct{}
}

// node is what we keep of one.
type node struct {
	isReady     bool
	takesPods   bool // ready and schedulable
	allocatable corev1.ResourceList
}

// podKey is a hash of a pod's UID, which is less than half as long.
type podKey [16]byte

func keyOfPod(uid types.UID) (key podKey) {
	h := fnv.New128a()
	h.Write([]byte(uid))
	h.Sum(key[:0])
	return key
}

// counted is what we keep of a pod: what it takes to subtract it from its node's sum.
type counted struct {
	in       *requests // nil while it has no node
	milliCPU int64
	memory   int64
	others   corev1.ResourceList // nil for almost all
}

// pod is what we read of one.
type pod struct {
	node     string
	milliCPU int64
	memory   int64
	others   corev1.ResourceList // nil for almost all
	waits    *waiting            // nil for almost all
}

// requests is a sum over pods. The pods themselves are a resource, too.
type requests struct {
	node                   string
	pods, milliCPU, memory int64
	others                 map[corev1.ResourceName]int64 // in milli units
}

func newCapacity() *capacity {
	return &capacity{
		nodes: map[string]node{}, pods: map[podKey]counted{}, onNode: map[string]*requests{},
		waiting: map[podKey]waiting{}, dirty: make(chan struct{}, 1),
	}
}

// figures is the sum, ready for State.
func (c *capacity) figures() (Nodes, Resources) {
	c.mu.Lock()
	defer c.mu.Unlock()
	nodes := Nodes{Known: c.nodesKnown, Total: int32(len(c.nodes))}
	r := Resources{Known: c.nodesKnown && c.podsKnown, Allocatable: corev1.ResourceList{},
		Requested: corev1.ResourceList{}, Available: corev1.ResourceList{}}
	for name, n := range c.nodes {
		if n.isReady {
			nodes.Ready++
		}
		addTo(r.Allocatable, n.allocatable)
		if n.takesPods {
			addTo(r.Available, free(n.allocatable, c.onNode[name].list()))
		}
	}
	for _, sum := range c.onNode {
		addTo(r.Requested, sum.list())
	}
	if !r.Known {
		r.Available, r.Requested = nil, nil
	}
	return nodes, r
}

// free is what is left of a node, never less than nothing.
func free(allocatable, requested corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, quantity := range allocatable {
		left := quantity.DeepCopy()
		left.Sub(requested[name])
		if left.Sign() > 0 {
			out[name] = left
		}
	}
	return out
}

func addTo(sum, more corev1.ResourceList) {
	for name, quantity := range more {
		total := sum[name]
		total.Add(quantity)
		sum[name] = total
	}
}

func (r *requests) list() corev1.ResourceList {
	if r == nil {
		return nil
	}
	out := corev1.ResourceList{
		corev1.ResourcePods:   *resource.NewQuantity(r.pods, resource.DecimalSI),
		corev1.ResourceCPU:    *resource.NewMilliQuantity(r.milliCPU, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(r.memory, resource.BinarySI),
	}
	for name, milli := range r.others {
		out[name] = *resource.NewMilliQuantity(milli, resource.DecimalSI)
	}
	return out
}

func (c *capacity) touch() {
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// sumOf is the sum of a node, which is begun with its first pod.
func (c *capacity) sumOf(node string) *requests {
	if node == "" {
		return nil
	}
	sum := c.onNode[node]
	if sum == nil {
		sum = &requests{node: node}
		c.onNode[node] = sum
	}
	return sum
}

// count adds a pod to its node's sum, or with sign -1 takes it off. A sum of no pods is forgotten.
func (c *capacity) count(p counted, sign int64) {
	sum := p.in
	if sum == nil {
		return
	}
	sum.pods += sign
	sum.milliCPU += sign * p.milliCPU
	sum.memory += sign * p.memory
	for name, quantity := range p.others {
		if sum.others == nil {
			sum.others = map[corev1.ResourceName]int64{}
		}
		sum.others[name] += sign * quantity.MilliValue()
	}
	if sum.pods == 0 {
		delete(c.onNode, sum.node)
	}
}

func smallPod(p *corev1.Pod) pod {
	requested := podresources.PodRequests(p, podresources.PodResourcesOptions{})
	out := pod{
		node: p.Spec.NodeName, milliCPU: requested.Cpu().MilliValue(), memory: requested.Memory().Value(),
		waits: waitingOf(p),
	}
	delete(requested, corev1.ResourceCPU)
	delete(requested, corev1.ResourceMemory)
	if len(requested) > 0 {
		out.others = fewResources(requested)
	}
	return out
}

// maxResources is how many resources of a node or pod are counted; real ones have a handful.
const maxResources = 32

// fewResources are the first of some resources by name, if there are too many or some have no real name.
func fewResources(all corev1.ResourceList) corev1.ResourceList {
	few := corev1.ResourceList{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if len(few) < maxResources && len(name) <= 2*maxName && printable.Line(string(name), 2*maxName) == string(name) {
			few[name] = all[name]
		}
	}
	return few
}

func smallNode(n *corev1.Node) node {
	out := node{allocatable: fewResources(n.Status.Allocatable)}
	for _, condition := range n.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			out.isReady = condition.Status == corev1.ConditionTrue
		}
	}
	out.takesPods = out.isReady && !n.Spec.Unschedulable && n.DeletionTimestamp == nil
	return out
}

// nodeStore and podStore are what the reflectors write.
type (
	nodeStore struct{ *capacity }
	podStore  struct{ *capacity }
)

func (s nodeStore) Add(obj any) error    { return s.set(obj, true) }
func (s nodeStore) Update(obj any) error { return s.set(obj, true) }
func (s nodeStore) Delete(obj any) error { return s.set(obj, false) }
func (s nodeStore) Resync() error        { return nil }

func (s nodeStore) set(obj any, present bool) error {
	one, _, err := s.shrink(obj)
	n, ok := one.(*seenNode)
	if !ok || err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.nodes, n.Name)
	if present {
		s.nodes[n.Name] = n.node
	}
	s.touch()
	return nil
}

func (s nodeStore) Replace(list []any, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.nodes)
	for _, obj := range list {
		if one, _, err := s.shrink(obj); err == nil {
			if n, ok := one.(*seenNode); ok {
				s.nodes[n.Name] = n.node
			}
		}
	}
	s.nodesKnown = true
	s.touch()
	return nil
}

func (s podStore) Add(obj any) error    { return s.set(obj, true) }
func (s podStore) Update(obj any) error { return s.set(obj, true) }
func (s podStore) Delete(obj any) error { return s.set(obj, false) }
func (s podStore) Resync() error        { return nil }

// seenPod and seenNode are what is kept of one between the list and the sums.
type (
	seenPod struct {
		metav1.TypeMeta
		metav1.ObjectMeta
		pod pod
	}
	seenNode struct {
		metav1.TypeMeta
		metav1.ObjectMeta
		node node
	}
)

// DeepCopyObject implements runtime.Object; nobody changes what is seen.
func (p *seenPod) DeepCopyObject() runtime.Object { return p }

// DeepCopyObject implements runtime.Object.
func (n *seenNode) DeepCopyObject() runtime.Object { return n }

func (s podStore) set(obj any, present bool) error {
	one, _, err := s.shrink(obj)
	p, ok := one.(*seenPod)
	if !ok || err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(p.UID, p.pod, present)
	s.touch()
	return nil
}

func (s podStore) put(uid types.UID, p pod, present bool) {
	key := keyOfPod(uid)
	if former, had := s.pods[key]; had {
		s.count(former, -1)
		delete(s.pods, key)
	}
	delete(s.waiting, key)
	if present && p.waits != nil {
		s.waiting[key] = *p.waits
	}
	if present {
		now := counted{in: s.sumOf(p.node), milliCPU: p.milliCPU, memory: p.memory, others: p.others}
		s.pods[key] = now
		s.count(now, 1)
	}
}

func (s podStore) Replace(list []any, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.pods)
	clear(s.onNode)
	clear(s.waiting)
	for _, obj := range list {
		if one, _, err := s.shrink(obj); err == nil {
			if p, ok := one.(*seenPod); ok {
				s.put(p.UID, p.pod, true)
			}
		}
	}
	s.podsKnown = true
	s.touch()
	return nil
}

// runCapacity follows nodes and pods and reports the figures.
func (m *Member) runCapacity(ctx context.Context, client corev1client.CoreV1Interface) {
	nodes := m.keep(&followed{
		what: "nodes", changed: func(error) { m.capacity.touch() },
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return client.Nodes().List(ctx, o)
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Nodes().Watch(ctx, o)
		},
	})
	running := func(o metav1.ListOptions) metav1.ListOptions {
		o.FieldSelector = "status.phase!=Succeeded,status.phase!=Failed"
		return o
	}
	pods := m.keep(&followed{
		what: "pods", changed: func(error) { m.capacity.touch() },
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return client.Pods("").List(ctx, running(o))
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Pods("").Watch(ctx, running(o))
		},
	})
	m.start(func() { nodes.run(ctx, &corev1.Node{}, nodeStore{m.capacity}) })
	m.start(func() { pods.run(ctx, &corev1.Pod{}, podStore{m.capacity}) })
	for {
		if !m.awaitFigures(ctx) {
			return
		}
		m.reportFigures(nodes.lastErr(), pods.lastErr())
		pause := m.options.Clock.NewTimer(figuresGap)
		select {
		case <-ctx.Done():
		case <-pause.C():
		}
		pause.Stop()
	}
}

// awaitFigures waits for news of nodes and pods, or until a pod has waited too long for a node; false: it is over.
func (m *Member) awaitFigures(ctx context.Context) bool {
	var due <-chan time.Time
	if _, next := m.capacity.stuck(m.options.Clock.Now()); next > 0 {
		timer := m.options.Clock.NewTimer(next)
		defer timer.Stop()
		due = timer.C()
	}
	select {
	case <-ctx.Done():
		return false
	case <-m.capacity.dirty:
	case <-due:
	}
	return true
}

// reportFigures puts the sums into the State. While they cannot be read, the last ones stay, and the message says so.
func (m *Member) reportFigures(nodesErr, podsErr error) {
	nodes, resources := m.capacity.figures()
	if nodesErr != nil {
		nodes.Message = limitedText(nodesErr.Error())
	}
	if err := errors.Join(nodesErr, podsErr); err != nil {
		resources.Message = limitedText(err.Error())
	}
	stuck, _ := m.capacity.stuck(m.options.Clock.Now())
	m.change(func(f *figures) { f.nodes, f.resources, f.stuck = nodes, resources, stuck })
}
