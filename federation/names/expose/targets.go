package expose

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/names/probescope"
	"github.com/hanse-federation/hanse/federation/template"
)

// defaultStaleAfter is how long a member out of contact keeps its last health.
const defaultStaleAfter = time.Minute

// endpoint is what is exposed of one member.
type endpoint struct {
	cluster   string
	addresses []netip.Addr
	hostname  string
	isLeft    bool // the decision is that what is exposed leaves the member
}

// targets works out where a GlobalService can be reached, in the order of the members' names.
func targets(w world, gs *v1alpha1.GlobalService, e *exposure) time.Duration {
	endpoints, exposed, ports := endpointsOf(w, gs)
	load := loadOf(w, gs, exposed, namesOf(e))
	e.isHealthKnown = load.isKnown || gs.Spec.Probe != nil
	recheck := soonest{}
	findings := make([]finding, len(endpoints))
	for i := range endpoints {
		findings[i] = examine(w, gs, load, &endpoints[i], &recheck)
	}
	hasten(findings)
	leave(findings)
	for i, f := range findings {
		at := &endpoints[i]
		t := zone.Target{
			Cluster: at.cluster, Addresses: at.addresses, Hostname: at.hostname, State: f.state,
			Weight:   uint32(min(f.weight, int64(maxWeight))),
			Capacity: capacityOf(f.weight, load, at.cluster),
		}
		if c := w.clusters[at.cluster]; c != nil {
			t.Region = c.Spec.Region
			if len(c.Spec.Zones) > 0 {
				t.Zone = c.Spec.Zones[0]
			}
			t.Location = locationOf(c)
		}
		for _, tier := range gs.Spec.Tiers {
			if tier.Cluster == at.cluster {
				t.Tier = uint16(tier.Tier)
			}
		}
		e.service.Targets = append(e.service.Targets, t)
		e.findings[at.cluster] = f
	}
	scaleWeights(e.service.Targets)
	e.service.Ports = ports
	e.behind = behind(w, gs, load)
	return recheck.after
}

// namesOf are the names that requests come for.
func namesOf(e *exposure) []string {
	names := make([]string, 0, len(e.hostnames))
	for _, hostname := range e.hostnames {
		names = append(names, strings.TrimSuffix(hostname, "."))
	}
	return names
}

// soonest is the shortest of some times; 0 means never.
type soonest struct{ after time.Duration }

func (s *soonest) in(d time.Duration) {
	if d > 0 && (s.after == 0 || d < s.after) {
		s.after = d
	}
}

// load is what stands behind an exposed object: the replicas of its workloads in each member.
type load struct {
	isKnown bool
	ready   map[string]int64
	desired map[string]int64
	// stays has the members that are to go on running some of it, as decided.
	stays map[string]bool
	// failing names, by member, a Service among several that has no ready replica there.
	failing map[string]string
	// behind are the templates: the workloads, and what goes where they go.
	behind []string
}

// contact is how the hub stands to a member.
type contact int

const (
	inTouch contact = iota
	justLost
	lost
	gone
)

// contactOf tells how the hub stands to a member, and when that may change by time alone.
func contactOf(w world, gs *v1alpha1.GlobalService, name string) (contact, time.Duration) {
	cluster, joined := w.clusters[name]
	if !joined {
		if len(gs.Spec.Addresses) > 0 {
			return inTouch, 0 // an address given by hand need not be a member's
		}
		return gone, 0
	}
	ready := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ClusterConditionReady)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return inTouch, 0
	}
	if meta.IsStatusConditionTrue(cluster.Status.Conditions, v1alpha1.ClusterConditionReachable) {
		return inTouch, 0 // its API server answers, though not as it should: what it serves may be well
	}
	stale := defaultStaleAfter
	if gs.Spec.StaleAfter != nil {
		stale = gs.Spec.StaleAfter.Duration
	}
	if since := w.now.Sub(ready.LastTransitionTime.Time); since < stale {
		return justLost, stale - since
	}
	return lost, 0
}

// weightOf is a member's weight before scaling.
func weightOf(gs *v1alpha1.GlobalService, l load, cluster string) int64 {
	switch {
	case gs.Spec.Weights == "Fixed":
		for _, fixed := range gs.Spec.FixedWeights {
			if fixed.Cluster == cluster {
				return fixed.Weight
			}
		}
		return 0
	case !l.isKnown:
		return 1
	case gs.Spec.Weights == "Placement":
		return l.desired[cluster]
	}
	return l.ready[cluster]
}

// fallbackWeight is the weight that a member without a ready replica would have: it counts as what is missing.
func fallbackWeight(gs *v1alpha1.GlobalService, l load, cluster string) int64 {
	if gs.Spec.Weights == "Fixed" {
		return 0
	}
	return l.desired[cluster]
}

// capacityOf is the weight that a member would have with all its replicas ready; 0 if that is the one it has.
func capacityOf(weight int64, l load, cluster string) uint32 {
	ready, desired := l.ready[cluster], l.desired[cluster]
	if !l.isKnown || ready <= 0 || desired <= ready || weight <= 0 {
		return 0
	}
	return uint32(min(float64(weight)*float64(desired)/float64(ready), maxWeight))
}

// maxWeight bounds a weight before scaling, so that sums cannot overflow.
const maxWeight = 1<<31 - 1

// scaleWeights brings weights into the range of the DNS server, keeping their ratio; none that is not 0 becomes 0.
func scaleWeights(all []zone.Target) {
	var most uint32
	for _, t := range all {
		most = max(most, t.Weight)
	}
	if most <= zone.MaxWeight {
		return
	}
	for i := range all {
		if all[i].Weight > 0 {
			all[i].Weight = max(1, uint32(uint64(all[i].Weight)*zone.MaxWeight/uint64(most)))
		}
		all[i].Capacity = uint32(min(uint64(all[i].Capacity)*zone.MaxWeight/uint64(most), maxWeight))
	}
}

// endpointsOf finds the members' addresses, and the exposed object if it is a Service.
func endpointsOf(w world, gs *v1alpha1.GlobalService) ([]endpoint, *unstructured.Unstructured, []zone.Port) {
	if len(gs.Spec.Addresses) > 0 {
		var given []endpoint
		for _, a := range gs.Spec.Addresses {
			given = append(given, endpoint{cluster: a.Cluster, addresses: w.answerable(addresses(a.IPs)),
				hostname: answerableName(a.Hostname)})
		}
		sortEndpoints(given)
		return given, nil, nil
	}
	ref := exposedBy(gs)
	obj, ok := w.object(ref)
	d := w.distribution(ref)
	if !ok || d == nil {
		return nil, nil, nil
	}
	var found []endpoint
	for _, o := range d.Status.Clusters {
		if o.Verdict == v1alpha1.VerdictDeleted {
			continue
		}
		e := endpoint{cluster: o.Name, isLeft: slices.Contains(d.Spec.Leaving, o.Name)}
		if o.Status != nil {
			e.addresses, e.hostname = reachedAt(o.Status.Raw)
		}
		found = append(found, e)
	}
	sortEndpoints(found)
	if ref.Kind != "Service" {
		return found, obj, nil
	}
	return found, obj, portsOf(obj)
}

// answerable are the addresses given by hand that a name may stand for. What was written before the hub looked at it is
// left out here.
func (w world) answerable(given []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(given, func(a netip.Addr) bool { return w.scope.RefusesAnswer(a) != "" })
}

func answerableName(host string) string {
	if probescope.RefusesName(host) != "" {
		return ""
	}
	return host
}

// standsFor are the addresses of a load balancer's name. One that is given by hand must not tell what the hub's resolver
// knows of private networks.
func (w world) standsFor(host string, from probescope.Origin) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(w.resolved[host]), func(a netip.Addr) bool {
		return from == probescope.ByHand && w.scope.RefusesProbe(netip.AddrPortFrom(a, 0), from) != ""
	})
}

// exposedBy names the template that a GlobalService exposes; the zero Ref if its addresses are given by hand.
func exposedBy(gs *v1alpha1.GlobalService) template.Ref {
	ref := template.Ref{Namespace: gs.Namespace}
	switch {
	case gs.Spec.Service != "":
		ref.Kind, ref.Name = "Service", gs.Spec.Service
	case gs.Spec.Ingress != "":
		ref.Group, ref.Kind, ref.Name = "networking.k8s.io", "Ingress", gs.Spec.Ingress
	case gs.Spec.Gateway != "":
		ref.Group, ref.Kind, ref.Name = "gateway.networking.k8s.io", "Gateway", gs.Spec.Gateway
	default:
		return template.Ref{}
	}
	return ref
}

// behind are the templates that answers lead to, sorted.
func behind(w world, gs *v1alpha1.GlobalService, l load) []string {
	all := slices.Clone(l.behind)
	if ref := exposedBy(gs); ref != (template.Ref{}) {
		all = append(all, ref.String())
		if d := w.distribution(ref); d != nil {
			all = append(all, d.Spec.FollowedBy...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// locationOf is where a member is, if that is known.
func locationOf(c *v1alpha1.Cluster) *zone.Location {
	if c.Spec.Location == nil {
		return nil
	}
	return &zone.Location{Latitude: c.Spec.Location.Latitude, Longitude: c.Spec.Location.Longitude}
}

func sortEndpoints(all []endpoint) {
	slices.SortFunc(all, func(a, b endpoint) int { return strings.Compare(a.cluster, b.cluster) })
}

// reachedAt reads the addresses off a member's status of a Service, an Ingress or a Gateway.
func reachedAt(raw []byte) ([]netip.Addr, string) {
	var status struct {
		LoadBalancer struct {
			Ingress []struct{ IP, Hostname string }
		}
		Addresses []struct{ Type, Value string }
	}
	if json.Unmarshal(raw, &status) != nil {
		return nil, ""
	}
	var ips []string
	hostname := ""
	for _, in := range status.LoadBalancer.Ingress {
		ips = append(ips, in.IP)
		if hostname == "" {
			hostname = in.Hostname
		}
	}
	for _, a := range status.Addresses {
		if a.Type == "Hostname" && hostname == "" {
			hostname = a.Value
		} else if a.Type != "Hostname" {
			ips = append(ips, a.Value)
		}
	}
	return addresses(ips), hostname
}

// addresses parses what is an address and skips the rest.
func addresses(texts []string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil && !addr.IsUnspecified() {
			all = append(all, addr.Unmap().WithZone(""))
		}
	}
	return all
}

// loadOf adds up the workloads behind a GlobalService: the one it names, or those that what it exposes leads to.
func loadOf(w world, gs *v1alpha1.GlobalService, exposed *unstructured.Unstructured, hostnames []string) load {
	switch {
	case gs.Spec.Workload != "":
		kind, name, _ := strings.Cut(gs.Spec.Workload, "/")
		return loadOfMatching(w, gs.Namespace, func(obj *unstructured.Unstructured) bool {
			return strings.EqualFold(obj.GetKind(), kind) && obj.GetName() == name
		})
	case exposed != nil:
		return loadBehind(w, exposed, hostnames)
	}
	return newLoad()
}

func newLoad() load {
	return load{ready: map[string]int64{}, desired: map[string]int64{}, stays: map[string]bool{}, failing: map[string]string{}}
}

// add adds another load.
func (l *load) add(other load) {
	l.behind = append(l.behind, other.behind...)
	for name, stays := range other.stays {
		l.stays[name] = l.stays[name] || stays
	}
	for name := range other.desired {
		l.ready[name] += other.ready[name]
		l.desired[name] += other.desired[name]
	}
}

// loadOfMatching adds up the workloads of a namespace that match.
func loadOfMatching(w world, namespace string, matches func(*unstructured.Unstructured) bool) load {
	l := newLoad()
	w.workloads(namespace, func(obj *unstructured.Unstructured) {
		if !matches(obj) {
			return
		}
		if d := w.distribution(template.RefOf(obj)); d != nil {
			l.isKnown = true
			l.behind = append(append(l.behind, template.RefOf(obj).String()), d.Spec.FollowedBy...)
			for _, c := range d.Spec.Clusters {
				l.stays[c.Name] = l.stays[c.Name] || ptr.Deref(c.Replicas, 1) > 0
			}
			for _, o := range d.Status.Clusters {
				l.ready[o.Name] += ptr.Deref(o.Ready, 0)
				l.desired[o.Name] += ptr.Deref(o.Desired, 0)
			}
		}
	})
	return l
}
