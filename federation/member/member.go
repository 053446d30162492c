package member

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Member is the connection to one member.
type Member struct {
	name    Name
	options Options
	log     *slog.Logger
	ctx     context.Context

	wire      *wire
	gate      *gate
	holding   *holding
	dynamic   dynamic.Interface
	discovery *discover
	capacity  *capacity

	kickProbe  chan struct{}
	kickChange chan struct{}

	mu           sync.Mutex // guards what follows; never held during I/O
	spec         Spec
	health       health
	figures      figures
	identityRead time.Time
	objects      map[schema.GroupVersionResource]*Objects
	running      sync.WaitGroup
	ended        bool // no goroutine may start any more
	done         chan struct{}
}

// figures are all of State that does not come from the probes.
type figures struct {
	version, clusterUID string
	nodes               Nodes
	resources           Resources
	apis                APIs
	stuck               map[Workload]int64 // replaced, never edited
	tooMuch             map[string]string  // by kind, why; likewise
}

// same reports whether two are equal; equal quantities may be written differently.
func (f figures) same(g figures) bool {
	return f.version == g.version && f.clusterUID == g.clusterUID && f.apis == g.apis && f.nodes == g.nodes &&
		maps.Equal(f.stuck, g.stuck) && maps.Equal(f.tooMuch, g.tooMuch) && apiequality.Semantic.DeepEqual(f.resources, g.resources)
}

// Connect begins to connect and returns at once. The member ends when ctx does.
func Connect(ctx context.Context, spec Spec, o Options) *Member {
	o = o.withDefaults()
	spec.Probe = spec.Probe.withDefaults()
	m := &Member{
		name: spec.Name, options: o, log: o.Logger.With("member", string(spec.Name)), ctx: ctx,
		gate: newGate(), capacity: newCapacity(), holding: newHolding(o.Bounds),
		kickProbe: make(chan struct{}, 1), kickChange: make(chan struct{}, 1),
		spec: spec, health: newHealth(o.Clock.Now()), objects: map[schema.GroupVersionResource]*Objects{},
		done: make(chan struct{}),
	}
	m.wire = newWire(m.alarm, o)
	m.wire.use(newLine(ctx, spec.Config, o))
	m.makeClients()
	m.start(func() { m.runProbe(ctx) })
	m.start(func() { m.runChanges(ctx) })
	m.start(func() { m.discovery.run(ctx) })
	m.start(func() { m.runCapacity(ctx, corev1client.NewForConfigOrDie(m.protobuf())) })
	m.start(func() { m.runKindChanges(ctx) })
	go m.finish()
	return m
}

// makeClients makes all clients once. They cannot fail: the configuration is ours, and what a user gave is in the line.
func (m *Member) makeClients() {
	m.dynamic = dynamic.NewForConfigOrDie(m.REST())
	m.discovery = &discover{
		client: discovery.NewDiscoveryClientForConfigOrDie(m.REST()), clock: m.options.Clock, log: m.log, gate: m.gate,
		kicks:   make(chan struct{}, 1),
		changed: func(a APIs) { m.change(func(f *figures) { f.apis = a }) },
	}
}

// Name of the member.
func (m *Member) Name() Name { return m.name }

// State is what is known now.
func (m *Member) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stateLocked()
}

func (m *Member) stateLocked() State {
	h, f := m.health, m.figures
	return State{
		Phase: h.phase, Since: h.since, LastSeen: h.lastSeen, Reason: h.reason, Message: h.message, Failing: h.failures,
		KubernetesVersion: f.version, ClusterUID: f.clusterUID, Nodes: f.nodes, Resources: f.resources, APIs: f.apis,
		TooMuch: tellTooMuch(f.tooMuch),
	}
}

// tellTooMuch says what a member has too much of; empty if there is nothing.
func tellTooMuch(why map[string]string) string {
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(why)) {
		all = append(all, why[kind])
	}
	return limitedText(strings.Join(all, "; "))
}

// reportTooMuch takes into the State that there is too much of a kind, or with nil that there is not any more.
func (m *Member) reportTooMuch(kind string, err *TooMuchError) {
	m.change(func(f *figures) {
		next := maps.Clone(f.tooMuch)
		delete(next, kind)
		if err != nil {
			if next == nil {
				next = map[string]string{}
			}
			next[kind] = err.What
		}
		f.tooMuch = next
	})
}

// keep completes what is followed with what is the member's.
func (m *Member) keep(f *followed) *followed {
	f.gate, f.clock, f.budget, f.holding, f.report = m.gate, m.options.Clock, m.wire.budget, m.holding, m.reportTooMuch
	return f
}

// Update takes a new address or new credentials of the same member. Requests under way finish the old way, watches and
// all that follows go the new way. Equal settings change nothing.
func (m *Member) Update(spec Spec) {
	spec.Name = m.name
	spec.Probe = spec.Probe.withDefaults()
	m.mu.Lock()
	m.spec = spec
	same := m.ended || m.wire.line.Load().same(spec.Config)
	if !same {
		m.wire.use(newLine(m.ctx, spec.Config, m.options))
	}
	m.mu.Unlock()
	if !same {
		m.log.Info("member has new connection settings", "server", spec.Config.Server)
		m.alarm()
	}
}

// Done is closed when the context has ended and all that belongs to the member has stopped.
func (m *Member) Done() <-chan struct{} { return m.done }

// Dynamic is a client for all kinds.
func (m *Member) Dynamic() dynamic.Interface { return m.dynamic }

// REST is the configuration for any other client: it goes through the member's own transport, so it follows Update.
func (m *Member) REST() *rest.Config {
	return &rest.Config{
		Host:           "https://member", // the wire knows the address
		Transport:      m.wire,
		QPS:            -1, // no limit of our own
		UserAgent:      m.options.UserAgent,
		WarningHandler: rest.NoWarnings{},
	}
}

func (m *Member) protobuf() *rest.Config {
	c := m.REST()
	c.ContentType = runtime.ContentTypeProtobuf
	c.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return c
}

// Transport carries requests to the member with our credentials, whatever host they name; it follows Update.
func (m *Member) Transport() http.RoundTripper { return m.wire }

// Mapper knows the kinds that the member serves. It may ask the member, for a few seconds at most, when it does not
// know a kind. Before the first answer its error is ErrNotDiscovered.
func (m *Member) Mapper() meta.RESTMapper { return mapper{m.discovery} }

// HasAPI reports whether the member serves the kind, as far as is known; it asks nobody.
func (m *Member) HasAPI(gvk schema.GroupVersionKind) bool {
	a := m.discovery.current.Load()
	return a != nil && a.kinds[gvk]
}

// Resources are all that can be listed, one version of each. The error says that the list is not complete.
func (m *Member) Resources() ([]Resource, error) {
	a := m.discovery.current.Load()
	if a == nil {
		return nil, ErrNotDiscovered
	}
	return a.resources, a.incomplete
}

// NamespacedResources are those of Resources that are in namespaces.
func (m *Member) NamespacedResources() ([]schema.GroupVersionResource, error) {
	all, err := m.Resources()
	var namespaced []schema.GroupVersionResource
	for _, r := range all {
		if r.IsNamespaced {
			namespaced = append(namespaced, r.GroupVersionResource)
		}
	}
	return namespaced, err
}

// Metadata is a client for the metadata of all kinds.
func (m *Member) Metadata() metadata.Interface {
	return metadata.NewForConfigOrDie(metadata.ConfigFor(m.protobuf()))
}

// Objects is the cache of our objects of one resource. The first call starts it.
func (m *Member) Objects(gvr schema.GroupVersionResource) *Objects {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.objects[gvr]; ok {
		return o
	}
	o := newObjects(func(u *unstructured.Unstructured) { m.options.Strip(gvr, u) })
	client := m.dynamic.Resource(gvr)
	o.follow = m.keep(&followed{
		what: gvr.GroupResource().String(),
		changed: func(err error) {
			if err != nil {
				m.log.Warn("cannot follow our objects", "resource", gvr.GroupResource().String(), "err", err)
			}
		},
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = m.options.Selector
			return client.List(ctx, o)
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = m.options.Selector
			return client.Watch(ctx, o)
		},
	})
	m.objects[gvr] = o
	m.startLocked(func() { o.follow.run(m.ctx, &unstructured.Unstructured{}, objectStore{o}) })
	return o
}

// ProbeNow asks the member soon whether it is there. It never blocks.
func (m *Member) ProbeNow() { m.alarm() }

// alarm asks for a probe now. It never blocks.
func (m *Member) alarm() {
	select {
	case m.kickProbe <- struct{}{}:
	default:
	}
}

// observe takes one outcome into the health.
func (m *Member) observe(o outcome, p Probe) (before, after health) {
	m.mu.Lock()
	before = m.health
	after = before.next(m.options.Clock.Now(), o, p)
	m.health = after
	m.mu.Unlock()
	m.gate.set(after.passes())
	if before.phase != after.phase || before.reason != after.reason || before.message != after.message {
		m.tell()
	}
	return before, after
}

func (m *Member) healthNow() health {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.health
}

func (m *Member) probeSettings() Probe {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spec.Probe
}

// change edits the figures and tells, if that made a difference.
func (m *Member) change(edit func(*figures)) {
	m.mu.Lock()
	before := m.figures
	edit(&m.figures)
	changed := !before.same(m.figures)
	m.mu.Unlock()
	if changed {
		m.tell()
	}
}

func (m *Member) tell() {
	select {
	case m.kickChange <- struct{}{}:
	default:
	}
}

// runChanges calls OnChange, one call at a time.
func (m *Member) runChanges(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.kickChange:
			m.options.OnChange(m.name)
		}
	}
}

// runKindChanges has the APIs read again when a CustomResourceDefinition or an aggregated API comes, goes or changes. A
// member that does not let us watch them is read periodically only.
func (m *Member) runKindChanges(ctx context.Context) {
	client := m.Metadata()
	for _, gvr := range []schema.GroupVersionResource{
		{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
		{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"},
	} {
		resource := client.Resource(gvr)
		f := m.keep(&followed{
			what: gvr.GroupResource().String(),
			list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				return resource.List(ctx, o)
			},
			watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return resource.Watch(ctx, o)
			},
		})
		m.start(func() { f.run(ctx, nil, pulse{m.discovery.kick}) })
	}
}

// pulse is a store that keeps nothing and says that something happened.
type pulse struct{ beat func() }

var _ cache.ReflectorStore = pulse{}

func (p pulse) Add(any) error               { p.beat(); return nil }
func (p pulse) Update(any) error            { p.beat(); return nil }
func (p pulse) Delete(any) error            { p.beat(); return nil }
func (p pulse) Replace([]any, string) error { p.beat(); return nil }
func (p pulse) Resync() error               { return nil }

// start runs f as a part of the member, which ends only after f has.
func (m *Member) start(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.startLocked(f)
}

func (m *Member) startLocked(f func()) {
	if m.ended {
		return
	}
	m.running.Go(func() {
		for !m.survives(f) {
			select {
			case <-m.ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	})
}

// survives runs f and reports whether it came to its end. What one member answers must not end the hub, so a panic in
// its own goroutines is logged and the part begins anew.
func (m *Member) survives(f func()) (finished bool) {
	defer func() {
		if trouble := recover(); trouble != nil {
			m.log.Error("a part of the connection failed and starts again", "panic", trouble, "stack",
				string(debug.Stack()))
		}
	}()
	f()
	return true
}

// finish waits for the end and cleans up.
func (m *Member) finish() {
	<-m.ctx.Done()
	m.mu.Lock()
	m.ended = true
	l := m.wire.line.Load()
	m.mu.Unlock()
	l.close()
	m.running.Wait()
	close(m.done)
}
