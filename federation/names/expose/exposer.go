package expose

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/names/acks"
	"github.com/hanse-federation/hanse/federation/names/probescope"
	"github.com/hanse-federation/hanse/federation/template"
)

// Config is all that an Exposer is made from.
type Config struct {
	// Client writes status and reads from the cache.
	Client client.Client
	Cache  cache.Cache
	// Templates are read.
	Templates *template.Store
	// Store is where snapshots are published.
	Store *zone.Store
	// Seed of hashed draws, the same on all replicas.
	Seed uint64
	// Secret of DNS Cookies, the same on all replicas.
	Secret []byte
	// Servers are the addresses that the hub serves DNS on.
	Servers []string
	// Scope is what the hub answers and probes for others, at present.
	Scope func() probescope.Scope
	// Events are written about objects that have no status to say what is not served of them.
	Events typedcorev1.EventsGetter
	// Leads tells whether this replica writes status.
	Leads  func() bool
	Logger *slog.Logger
	Now    func() time.Time
}

// Exposer publishes snapshots. Make one with New.
type Exposer struct {
	Config

	kick     chan struct{}
	progress progress
	prober   *prober
	resolver *resolver
	teller   *teller
	waits    atomic.Bool  // a drain waits for a DNS server
	newest   atomic.Int64 // the newest resource version heard of
	serial   uint32
	served   []zone.Zone
	// former are the zones of the snapshot that the process before this one left on disk. One that has had a fault since is
	// served as it was.
	former   []zone.Zone
	digests  map[string]digest // of the served zones, by origin
	fitting  map[string]zone.Zone
	networks []zone.Network
	timer    *time.Timer
	isFresh  bool
	// signed is when each zone got its serial: since then its signatures age in the copies of secondaries.
	signed map[string]serialTime
}

// New prepares an Exposer.
func New(c Config) *Exposer {
	x := &Exposer{Config: c, kick: make(chan struct{}, 1)}
	x.teller = &teller{told: map[types.UID]told{}}
	x.prober, x.resolver = newProber(c.Scope, x.Again, c.Now), newResolver(x.Again)
	return x
}

// Lead does what only the replica that leads does besides writing status: it probes members, and looks up the names of
// their load balancers, until the context ends.
func (x *Exposer) Lead(ctx context.Context) error {
	go x.resolver.run(ctx)
	x.prober.run(ctx)
	return nil
}

const (
	// coalesce is the least time between two snapshots.
	coalesce = 50 * time.Millisecond
	// retryPause is how long after one that failed the next is tried.
	retryPause = 5 * time.Second
)

// workloadKinds run pods that a Service can select.
var workloadKinds = []schema.GroupKind{
	{Group: "apps", Kind: "Deployment"},
	{Group: "apps", Kind: "StatefulSet"},
	{Group: "apps", Kind: "DaemonSet"},
	{Group: "apps", Kind: "ReplicaSet"},
}

// Run publishes a snapshot after every change until the context ends.
func (x *Exposer) Run(ctx context.Context) error {
	if err := x.watch(ctx); err != nil {
		return err
	}
	x.teller.start(ctx, x.Events)
	x.timer = time.NewTimer(time.Hour)
	defer x.timer.Stop()
	defer x.progress.stop()
	for {
		began := x.Now()
		x.progress.begin(began)
		err := x.publish(ctx)
		x.progress.end(err == nil)
		if err != nil {
			x.Logger.Error("publishing what DNS serves; it is tried again", "again in", retryPause, "error", err)
			x.timer.Reset(retryPause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(0, coalesce-x.Now().Sub(began))):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-x.kick:
		case <-x.timer.C:
		}
	}
}

// watch hears of everything that a snapshot is made of, and returns when it has been read once.
func (x *Exposer) watch(ctx context.Context) error {
	var synced []toolscache.DoneChecker
	for _, of := range []client.Object{
		&v1alpha1.Zone{}, &v1alpha1.GlobalService{}, &v1alpha1.Distribution{}, &v1alpha1.Cluster{},
		&v1alpha1.Placement{}, &v1alpha1.ClusterPlacement{}, // for their overrides
		&corev1.Secret{}, &corev1.ConfigMap{}, // of the hub's own namespace
		&discoveryv1.EndpointSlice{}, &coordinationv1.Lease{},
	} {
		informer, err := x.Cache.GetInformer(ctx, of, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watching %T: %w", of, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    x.heard,
			UpdateFunc: func(old, now any) { x.changed(old, now) },
			DeleteFunc: x.heard,
		})
		if err != nil {
			return fmt.Errorf("watching %T: %w", of, err)
		}
		synced = append(synced, registration.HasSyncedChecker())
	}
	if !toolscache.WaitFor(ctx, "", synced...) {
		return fmt.Errorf("reading what DNS is made of: %w", context.Cause(ctx))
	}
	return x.Templates.WaitForSync(ctx)
}

// HandleTemplate hears of templates that carry what DNS serves: annotations, what other clusters export, or which
// Services stand behind a name. What else a
// template says comes to members first, and with their status back. It is a handler of template.Store.
func (x *Exposer) HandleTemplate(e template.Event) {
	kind := e.Ref.GroupKind()
	if kind == importKind || slices.Contains(leadsOn, kind) || isAnnotated(e.Old) || isAnnotated(e.New) || changesOwners(e) {
		x.Again()
	}
}

// changed leaves out what we wrote ourselves, and what placements tell of themselves.
func (x *Exposer) changed(old, now any) {
	switch before := old.(type) {
	case *v1alpha1.Zone:
		if after, ok := now.(*v1alpha1.Zone); ok && before.Generation == after.Generation {
			return
		}
	case *v1alpha1.Placement:
		if after, ok := now.(*v1alpha1.Placement); ok && before.Generation == after.Generation {
			return
		}
	case *v1alpha1.ClusterPlacement:
		if after, ok := now.(*v1alpha1.ClusterPlacement); ok && before.Generation == after.Generation {
			return
		}
	case *v1alpha1.GlobalService:
		after, ok := now.(*v1alpha1.GlobalService)
		if ok && before.Generation == after.Generation && sameMemory(before.Status, after.Status) && sameClaims(before, after) {
			return
		}
	}
	x.heard(now)
}

// sameMemory reports whether two statuses say the same of what is only known from there: how a member came to its
// health.
func sameMemory(a, b v1alpha1.GlobalServiceStatus) bool {
	return slices.EqualFunc(a.Clusters, b.Clusters, func(x, y v1alpha1.GlobalServiceCluster) bool {
		return x.Name == y.Name && (x.Lost == nil) == (y.Lost == nil) && (x.Recovering == nil) == (y.Recovering == nil) &&
			slices.Equal(x.Resolved, y.Resolved) && equality.Semantic.DeepEqual(x.Probe, y.Probe)
	})
}

// Again looks again at everything, for instance because this replica leads now.
func (x *Exposer) Again() { x.heard(nil) }

func (x *Exposer) heard(obj any) {
	if gone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if _, isReport := obj.(*coordinationv1.Lease); isReport {
		if x.waits.Load() {
			x.Again()
		}
		return
	}
	if o, ok := obj.(client.Object); ok {
		if version, err := strconv.ParseInt(o.GetResourceVersion(), 10, 64); err == nil {
			for seen := x.newest.Load(); version > seen; seen = x.newest.Load() {
				if x.newest.CompareAndSwap(seen, version) {
					break
				}
			}
		}
	}
	x.progress.hear(x.Now())
	select {
	case x.kick <- struct{}{}:
	default:
	}
}

// AsOf is the time as of which what is published has everything that was heard; zero while nothing is published, and
// after the end.
func (x *Exposer) AsOf() time.Time { return x.progress.asOf(x.Now()) }

// publish builds a snapshot, publishes it if it differs from the last one, and writes what became of it.
func (x *Exposer) publish(ctx context.Context) error {
	w, err := x.gather(ctx)
	if err != nil {
		return err
	}
	p := build(w)
	x.fitting = p.fitting
	x.timer.Reset(time.Hour)
	if p.recheck > 0 {
		x.timer.Reset(p.recheck)
	}
	if !x.isFresh && x.former == nil {
		x.former = servedBefore(x.Store.Snapshot())
	}
	zones, isSame := x.reuse(x.servable(p, w))
	aging := x.aging(zones, w.now)
	if !x.isFresh || !isSame || !slices.Equal(p.networks, x.networks) || len(aging) > 0 {
		if err := x.set(w, zones, p.networks, aging); err != nil {
			return err
		}
		x.former = nil // what is left of them is in served
	}
	if !x.Leads() {
		return nil
	}
	x.prober.want(tasksOf(p))
	x.resolver.want(p.hosts)
	x.fulfil(ctx, w, p.wishes)
	if next := x.report(ctx, w, p); next > 0 && (p.recheck == 0 || next < p.recheck) {
		x.timer.Reset(next)
	}
	return nil
}

// set publishes zones. Those that are aging get the new serial although they have not changed.
func (x *Exposer) set(w world, zones []zone.Zone, networks []zone.Network, aging map[string]bool) error {
	digests := digestsOf(zones, x.served, x.digests)
	serial := x.nextSerial(w, zones, digests)
	given := slices.Clone(zones)
	for i := range given {
		switch {
		case aging[given[i].Origin]:
			given[i].Serial = serial
		case !x.isFresh:
			given[i].Serial = storedSerial(w, given[i].Origin, digests)
		}
	}
	err := x.Store.Set(zone.Config{Serial: serial, Seed: x.Seed, Secret: x.Secret, Zones: given, Networks: networks})
	if err != nil {
		return err
	}
	x.serial, x.served, x.digests, x.networks, x.isFresh = serial, zones, digests, networks, true
	published, before := x.Store.Snapshot(), x.signed
	x.signed = make(map[string]serialTime, len(zones))
	for i := range zones {
		now := serialTime{serialOf(published, zones[i].Origin), w.now}
		if last := before[zones[i].Origin]; last.serial == now.serial {
			now.at = last.at
		}
		x.signed[zones[i].Origin] = now
	}
	return nil
}

// reuse puts in place of each zone that has not changed the value that was served, so that the store need not look at
// it; isSame reports whether none has.
func (x *Exposer) reuse(zones []zone.Zone) (reused []zone.Zone, isSame bool) {
	served := make(map[string]zone.Zone, len(x.served))
	for _, z := range x.served {
		served[z.Origin] = z
	}
	isSame = len(zones) == len(x.served)
	for i := range zones {
		if before, ok := served[zones[i].Origin]; ok && reflect.DeepEqual(before, zones[i]) {
			zones[i] = before
			continue
		}
		isSame = false
	}
	return zones, isSame
}

// serialTime is a serial of a zone, and since when it is served.
type serialTime struct {
	serial uint32
	at     time.Time
}

// serialOf is the serial of a zone as it is served; 0 if it is not.
func serialOf(s *zone.Snapshot, origin string) uint32 {
	name, err := wire.ParseName(origin, wire.Root)
	if err != nil || s == nil || s.Tree(name) == nil {
		return 0
	}
	return s.Tree(name).Serial()
}

// storedSerial is the serial that a zone had when its status was written, if it is still the same zone; otherwise 0.
func storedSerial(w world, origin string, digests map[string]digest) uint32 {
	for i := range w.zones {
		status := w.zones[i].Status
		if absolute(w.zones[i].Name) == origin && status.Digest != "" && status.Digest == digests[origin].whole {
			return uint32(status.Serial)
		}
	}
	return 0
}

// copyAge is how long a secondary may hold the signatures of a zone that does not change: well below the 36 hours that
// the oldest of them are sure to last.
const copyAge = 24 * time.Hour

// aging are the signed zones that secondaries must fetch again, for their signatures: they only do for another serial.
func (x *Exposer) aging(zones []zone.Zone, now time.Time) map[string]bool {
	aging := map[string]bool{}
	for _, z := range zones {
		last, isServed := x.signed[z.Origin]
		if isServed && now.Sub(last.at) > copyAge && len(z.Keys) > 0 && len(z.Transfer.Keys)+len(z.Transfer.Allow) > 0 {
			aging[z.Origin] = true
		}
	}
	return aging
}

// servedBefore are the zones of a snapshot that this process has from the one before it, on disk.
func servedBefore(s *zone.Snapshot) []zone.Zone {
	if s == nil {
		return nil
	}
	c, err := s.Config()
	if err != nil {
		return nil // then a zone with a fault is not served, as on a first start
	}
	for i := range c.Zones {
		c.Zones[i].Serial = 0
	}
	return c.Zones
}

// servable are the zones without fault, and those with one as they were served last.
func (x *Exposer) servable(p plan, w world) []zone.Zone {
	var good []zone.Zone
	for i, z := range p.zones {
		if p.problems[w.zones[i].Name] == nil {
			good = append(good, z)
			continue
		}
		for _, before := range slices.Concat(x.served, x.former) {
			if before.Origin == z.Origin {
				good = append(good, before)
				break
			}
		}
	}
	return good
}

// nextSerial grows with every snapshot. A hub that starts keeps the stored one if nothing has changed meanwhile: its
// secondaries have nothing to fetch, and a restart writes nothing.
func (x *Exposer) nextSerial(w world, zones []zone.Zone, digests map[string]digest) uint32 {
	stored := uint32(0)
	for i := range w.zones {
		stored = later(stored, uint32(w.zones[i].Status.Serial))
	}
	published := x.Store.Snapshot()
	isKept := published == nil || published.Serial() == stored
	if !x.isFresh && isKept && stored > 0 && isStored(w, zones, digests) {
		return stored
	}
	serial := later(stored, uint32(x.newest.Load()))
	if stored > 0 && serial == stored {
		serial = stored + 1 // other answers under the stored serial would stay unseen; a restored etcd counts from below
	}
	if published != nil && later(serial, published.Serial()) == published.Serial() {
		serial = published.Serial() + 1
	}
	return max(serial, 1)
}

// isStored reports whether the zones are those that the stored statuses speak of.
func isStored(w world, zones []zone.Zone, digests map[string]digest) bool {
	if len(zones) != len(w.zones) {
		return false // one is not served
	}
	for i := range w.zones {
		status := w.zones[i].Status
		if status.Serial == 0 || status.Digest == "" || status.Digest != digests[absolute(w.zones[i].Name)].whole {
			return false
		}
	}
	return true
}

// later of two serials (RFC 1982).
func later(a, b uint32) uint32 {
	if int32(a-b) < 0 {
		return b
	}
	return a
}

// gather reads everything from memory.
func (x *Exposer) gather(ctx context.Context) (world, error) {
	w := world{clusters: map[string]*v1alpha1.Cluster{}, servers: x.Servers, scope: x.Scope(), fitting: x.fitting,
		now: x.Now()}
	var zones v1alpha1.ZoneList
	var services v1alpha1.GlobalServiceList
	var clusters v1alpha1.ClusterList
	for _, list := range []client.ObjectList{&zones, &services, &clusters} {
		if err := x.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil { // nothing below changes an object
			return w, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	w.zones, w.services = zones.Items, services.Items
	for i := range clusters.Items {
		w.clusters[clusters.Items[i].Name] = &clusters.Items[i]
	}
	if err := x.gatherOthers(ctx, &w); err != nil {
		return w, err
	}
	w.object = x.Templates.Get
	w.overrides = x.overridesOf(ctx)
	w.secret = x.secretNamed(ctx)
	w.updates = x.writtenInto(ctx)
	w.distribution = func(ref template.Ref) *v1alpha1.Distribution {
		namespace, name := ref.Distribution()
		d := &v1alpha1.Distribution{}
		if x.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, d) != nil {
			return nil
		}
		return d
	}
	w.workloads = func(namespace string, visit func(*unstructured.Unstructured)) {
		for _, kind := range workloadKinds {
			x.Templates.Each(kind, namespace, func(obj *unstructured.Unstructured) bool {
				visit(obj)
				return true
			})
		}
	}
	return w, nil
}

// overridesOf reads what the placement that a decision comes from changes for members, each once.
func (x *Exposer) overridesOf(ctx context.Context) func(*v1alpha1.Distribution) []v1alpha1.Override {
	known := map[client.ObjectKey][]v1alpha1.Override{}
	return func(d *v1alpha1.Distribution) []v1alpha1.Override {
		key := client.ObjectKey{Name: d.Spec.Placement.Name}
		var found client.Object
		var spec *v1alpha1.PlacementSpec
		switch d.Spec.Placement.Kind {
		case "Placement":
			key.Namespace = d.Spec.Template.Namespace
			p := &v1alpha1.Placement{}
			found, spec = p, &p.Spec
		case "ClusterPlacement":
			p := &v1alpha1.ClusterPlacement{}
			found, spec = p, &p.Spec
		default:
			return nil // an annotation, or what is followed: those have none
		}
		if _, isKnown := known[key]; !isKnown {
			_ = x.Client.Get(ctx, key, found) // one that is not there has none
			known[key] = spec.Overrides
		}
		return known[key]
	}
}

// gatherOthers reads what only some zones and policies need.
func (x *Exposer) gatherOthers(ctx context.Context, w *world) error {
	var leases coordinationv1.LeaseList
	var endpoints discoveryv1.EndpointSliceList
	for _, list := range []client.ObjectList{&leases, &endpoints} {
		if err := x.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("listing %T: %w", list, err)
		}
	}
	for i := range leases.Items {
		if s, ok := acks.ServerOf(&leases.Items[i]); ok {
			w.nameservers = append(w.nameservers, s)
		}
	}
	w.slices = endpoints.Items
	w.resolved = resolvedBefore(w.services)
	if x.Leads() {
		w.probed = x.prober.verdicts()
		maps.Copy(w.resolved, x.resolver.addresses())
	}
	w.annotated = func(visit func(*unstructured.Unstructured)) {
		for _, kind := range exposedKinds {
			x.Templates.Each(kind, "", func(obj *unstructured.Unstructured) bool {
				if isAnnotated(obj) {
					visit(obj)
				}
				return true
			})
		}
	}
	w.routes = func(namespace string, visit func(*unstructured.Unstructured)) {
		x.Templates.Each(routeKind, namespace, func(obj *unstructured.Unstructured) bool { visit(obj); return true })
	}
	w.imported = func(visit func(*unstructured.Unstructured)) {
		x.Templates.Each(importKind, "", func(obj *unstructured.Unstructured) bool { visit(obj); return true })
	}
	return nil
}

// resolvedBefore are the addresses of load balancers' names as they are stored.
func resolvedBefore(services []v1alpha1.GlobalService) map[string][]netip.Addr {
	known := map[string][]netip.Addr{}
	for i := range services {
		for _, c := range services[i].Status.Clusters {
			for _, host := range c.Addresses {
				if _, err := netip.ParseAddr(host); err != nil && len(c.Resolved) > 0 {
					known[host] = addresses(c.Resolved)
				}
			}
		}
	}
	return known
}

// fulfil makes the GlobalServices that annotations ask for, and removes those that none asks for any more.
func (x *Exposer) fulfil(ctx context.Context, w world, all []wish) {
	wanted := map[client.ObjectKey]bool{}
	for _, one := range all {
		wanted[client.ObjectKey{Namespace: one.namespace, Name: one.name}] = true
		if err := x.grant(ctx, w, one); err != nil && ctx.Err() == nil {
			x.Logger.Warn("making the GlobalService that annotations ask for",
				"of", one.kind+"/"+one.owner.GetName(), "namespace", one.namespace, "error", err)
		}
	}
	for i := range w.services {
		gs := &w.services[i]
		if _, ours := gs.Labels[fromAnnotations]; ours && !wanted[client.ObjectKeyFromObject(gs)] {
			if err := client.IgnoreNotFound(x.Client.Delete(ctx, gs)); err != nil && ctx.Err() == nil {
				x.Logger.Warn("removing a GlobalService that no annotation asks for",
					"name", gs.Name, "namespace", gs.Namespace, "error", err)
			}
		}
	}
}

// grant makes one wish come true.
func (x *Exposer) grant(ctx context.Context, w world, one wish) error {
	for i := range w.services {
		gs := &w.services[i]
		if gs.Namespace != one.namespace || gs.Name != one.name {
			continue
		}
		changed := one.granted(gs)
		if equality.Semantic.DeepEqual(gs.Spec, changed.Spec) && maps.Equal(gs.Annotations, changed.Annotations) {
			return nil
		}
		return x.Client.Update(ctx, changed)
	}
	made := one.granted(&v1alpha1.GlobalService{})
	made.Namespace, made.Name = one.namespace, one.name
	made.Labels = map[string]string{fromAnnotations: strings.ToLower(one.kind)}
	return client.IgnoreAlreadyExists(x.Client.Create(ctx, made))
}

// exposedKinds may carry annotations of ExternalDNS.
var exposedKinds = []schema.GroupKind{
	{Kind: "Service"},
	{Group: "networking.k8s.io", Kind: "Ingress"},
	{Group: "gateway.networking.k8s.io", Kind: "Gateway"},
}

// isAnnotated reports whether a template may ask for names.
func isAnnotated(obj *unstructured.Unstructured) bool {
	if obj == nil || !slices.Contains(exposedKinds, obj.GroupVersionKind().GroupKind()) {
		return false
	}
	for key := range obj.GetAnnotations() {
		for _, prefix := range externalDNS {
			if strings.HasPrefix(key, prefix) {
				return true
			}
		}
	}
	return false
}

// report writes what is answered. It returns when to look again, 0 is never.
func (x *Exposer) report(ctx context.Context, w world, p plan) time.Duration {
	var next soonest
	defer func() { x.waits.Store(next.after > 0) }()
	for _, e := range p.exposures {
		status := serviceStatus(w, e, x.serial)
		next.in(nextDrain(&status, w.now))
		if equality.Semantic.DeepEqual(e.object.Status, status) {
			continue
		}
		changed := e.object.DeepCopy()
		changed.Status = status
		x.write(ctx, changed)
	}
	x.teller.tell(p.unserved, w.now)
	x.keepKeys(ctx, w, p)
	snapshot := x.Store.Snapshot()
	for i := range w.zones {
		status := zoneStatus(&w.zones[i], p, i, served{
			serialOf(snapshot, p.zones[i].Origin), x.digests[p.zones[i].Origin].whole}, w.now)
		if equality.Semantic.DeepEqual(w.zones[i].Status, status) {
			continue
		}
		changed := w.zones[i].DeepCopy()
		changed.Status = status
		x.write(ctx, changed)
	}
	return next.after
}

// write tries once: what did not get through is written with the next change.
func (x *Exposer) write(ctx context.Context, obj client.Object) {
	if err := x.Client.Status().Update(ctx, obj); client.IgnoreNotFound(err) != nil && ctx.Err() == nil {
		x.Logger.Debug("writing the status of what DNS serves", "name", obj.GetName(), "error", err)
		x.Again()
	}
}

// countRecords counts a zone's records, its services one each.
func countRecords(z zone.Zone) int { return len(z.Records) + len(z.Services) + len(z.NameServers) + 1 }
