package expose

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/names/acks"
	"github.com/hanse-federation/hanse/federation/names/probescope"
	"github.com/hanse-federation/hanse/federation/template"
)

// world is everything that a snapshot is made of.
type world struct {
	zones    []v1alpha1.Zone
	services []v1alpha1.GlobalService
	clusters map[string]*v1alpha1.Cluster
	// distribution looks up what became of a template.
	distribution func(template.Ref) *v1alpha1.Distribution
	// object looks up a template.
	object func(template.Ref) (*unstructured.Unstructured, bool)
	// overrides are those of the placement that a decision comes from.
	overrides func(*v1alpha1.Distribution) []v1alpha1.Override
	// workloads calls visit for the workloads of a namespace that run pods.
	workloads func(namespace string, visit func(*unstructured.Unstructured))
	// secret looks up a Secret of the hub's own, and updates what others have written into a zone.
	secret  func(name string) (*corev1.Secret, bool)
	updates func(zone string) ([]zone.Record, error)
	// servers are the addresses that the hub serves DNS on, for zones that name none.
	servers []string
	// nameservers are the DNS servers of the hub, and what each answers from.
	nameservers []acks.Server
	// routes calls visit for the HTTPRoutes of a namespace.
	routes func(namespace string, visit func(*unstructured.Unstructured))
	// annotated calls visit for the templates that may carry annotations of ExternalDNS.
	annotated func(visit func(*unstructured.Unstructured))
	// imported calls visit for the ServiceImports of the hub.
	imported func(visit func(*unstructured.Unstructured))
	// slices are the EndpointSlices of the hub that belong to ServiceImports.
	slices []discoveryv1.EndpointSlice
	// resolved are the addresses that the name of a load balancer stands for, as far as they are known.
	resolved map[string][]netip.Addr
	// probed are the verdicts of the hub's probes, by probeKey; nil where this replica does not probe.
	probed map[string]v1alpha1.ProbeStatus
	// scope is what the hub answers and probes for others.
	scope probescope.Scope
	// fitting are zones, by origin, that are known to be right with their services.
	fitting map[string]zone.Zone
	now     time.Time

	origins origins // made by build
}

// exposure is what is to be served of one GlobalService.
type exposure struct {
	object    *v1alpha1.GlobalService
	hostnames []string // those that are served; absolute, with the closing dot
	problem   error    // why it, or one of its names, is not served
	// isDisowned: a name of it belongs to somebody else.
	isDisowned bool
	service    zone.Service // without a name
	// isHealthKnown reports whether the members' health follows from anything but their addresses.
	isHealthKnown bool
	findings      map[string]finding
	behind        []string // templates
	// notFollowed says which annotations that it was made for are not followed.
	notFollowed []string
}

// plan is a snapshot in the making.
type plan struct {
	zones     []zone.Zone
	exposures []exposure
	problems  map[string]error   // by zone: why it is not served
	faults    map[string]error   // by zone: what of it is not, while the rest is
	signing   map[string]signing // by zone
	networks  []zone.Network
	// defaultZone is the name of the Zone where GlobalServices without hostnames are named.
	defaultZone string
	// hosts are the names of load balancers whose addresses are needed.
	hosts []string
	// wishes are what annotations ask for.
	wishes []wish
	// unserved are objects of which something is not served, and that have no status to say so.
	unserved []unserved
	// fitting are the zones that are right with all their services, see world.
	fitting map[string]zone.Zone
	// recheck is when time alone changes the plan; 0 means never.
	recheck time.Duration
}

// unserved is an object of which something is not served.
type unserved struct {
	object *unstructured.Unstructured
	why    string
}

// build is pure: the world in, the plan out.
func build(w world) plan {
	p := plan{problems: map[string]error{}, faults: map[string]error{}, signing: map[string]signing{},
		fitting: map[string]zone.Zone{}}
	slices.SortFunc(w.zones, func(a, b v1alpha1.Zone) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(w.services, func(a, b v1alpha1.GlobalService) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Name, b.Name))
	})
	w.origins = originsOf(w.zones)
	owners := map[string]string{}
	for i := range w.services {
		e, recheck := expose(w, &w.services[i])
		e.disown(w)
		owner := w.services[i].Namespace + "/" + w.services[i].Name
		e.hostnames = slices.DeleteFunc(e.hostnames, func(hostname string) bool {
			first, taken := owners[hostname]
			if taken {
				e.refuse(fmt.Errorf("%s is the name of the older GlobalService %s; take another one",
					strings.TrimSuffix(hostname, "."), first))
				return true
			}
			owners[hostname] = owner
			return false
		})
		p.lookAgain(recheck)
		p.exposures = append(p.exposures, e)
	}
	if w.origins.main != nil {
		p.defaultZone = w.origins.main.Name
	}
	p.wishes = wishes(w)
	p.tellNotFollowed()
	p.networks = networksOf(w, p.faults)
	ladders, names := laddersOf(w, p.exposures, owners), p.namesByZone(w)
	for i := range w.zones {
		z, err := p.assemble(w, &w.zones[i], names[w.zones[i].Name], ladders[w.zones[i].Name])
		if err != nil {
			p.problems[w.zones[i].Name] = err
		}
		p.zones = append(p.zones, z)
	}
	return p
}

// assemble puts a zone together, in the order of who has a name first: the Zone's own records, GlobalServices, what
// clusters export, what others have written by updates. What does not fit is left out alone. The error is why the zone
// itself cannot be served.
func (p *plan) assemble(w world, from *v1alpha1.Zone, names []exposedName, ladder []zone.Service) (zone.Zone, error) {
	z := zoneOf(w, from)
	unsigned := p.complete(w, from, &z)
	for _, n := range names {
		service := n.of.service
		service.Name = n.hostname
		if n.hostname == z.Origin {
			service.Targets = p.flatten(w, service.Targets, originOf(n.of.object))
		}
		z.Services = append(z.Services, service)
	}
	z.Services = append(z.Services, ladder...)
	if err := p.keepServices(w, &z); err != nil {
		return z, err
	}
	p.bind(&z, names)
	if from.Name == clusterSetZone {
		p.addImports(w, &z)
	}
	if len(from.Spec.Updates) > 0 {
		p.addFault(from.Name, addUpdates(w, from.Name, &z))
	}
	return z, unsigned
}

// exposedName is one name of a GlobalService.
type exposedName struct {
	of       *exposure
	hostname string
}

// namesByZone are the names of GlobalServices by the zone that they are in.
func (p *plan) namesByZone(w world) map[string][]exposedName {
	names := make(map[string][]exposedName, len(w.zones))
	for i := range p.exposures {
		for _, hostname := range p.exposures[i].hostnames {
			if in, ok := w.origins.covering(hostname); ok {
				names[in.Name] = append(names[in.Name], exposedName{&p.exposures[i], hostname})
			}
		}
	}
	return names
}

// tellNotFollowed gives to each exposure that was made for annotations what is to be said of them.
func (p *plan) tellNotFollowed() {
	said := map[string][]string{}
	for _, one := range p.wishes {
		said[one.namespace+"/"+one.name] = one.notFollowed
	}
	for i := range p.exposures {
		gs := p.exposures[i].object
		if _, ours := gs.Labels[fromAnnotations]; ours {
			p.exposures[i].notFollowed = said[gs.Namespace+"/"+gs.Name]
		}
	}
}

func (p *plan) lookAgain(after time.Duration) {
	if after > 0 && (p.recheck == 0 || after < p.recheck) {
		p.recheck = after
	}
}

// complete adds what a zone has from elsewhere: keys and rights. The error says why the zone
// cannot be signed as it should; then it must not be served without.
func (p *plan) complete(w world, from *v1alpha1.Zone, z *zone.Zone) (unsigned error) {
	s, unsigned := signingOf(w, from)
	p.signing[from.Name] = s
	p.lookAgain(s.until)
	z.Keys = keysOf(s.published())
	var faults [2]error
	z.Transfer, faults[0] = transferOf(w, from)
	z.Updates, faults[1] = updatesOf(w, from)
	for _, fault := range faults {
		p.addFault(from.Name, fault)
	}
	return unsigned
}

// refuse takes one name out of what is served.
func (p *plan) refuse(hostname string, why error) {
	for i := range p.exposures {
		e := &p.exposures[i]
		if at := slices.Index(e.hostnames, hostname); at >= 0 {
			e.hostnames = slices.Delete(e.hostnames, at, at+1)
			e.refuse(fmt.Errorf("%s: %w", strings.TrimSuffix(hostname, "."), why))
		}
	}
}

// refuse says why a name, or the whole, is not served.
func (e *exposure) refuse(why error) {
	if e.problem != nil {
		why = fmt.Errorf("%w; %w", e.problem, why)
	}
	e.problem = why
}

// zoneOf translates a Zone.
func zoneOf(w world, z *v1alpha1.Zone) zone.Zone {
	out := zone.Zone{Origin: absolute(z.Name), TTL: uint32(z.Spec.TTL), ClientSubnet: z.Spec.ClientSubnet}
	if soa := z.Spec.SOA; soa != nil {
		out.SOA = zone.SOA{
			Mailbox: soa.Contact,
			Refresh: uint32(soa.Refresh),
			Retry:   uint32(soa.Retry),
			Expire:  uint32(soa.Expire),
			Minimum: uint32(soa.Minimum),
		}
	}
	for _, ns := range z.Spec.Nameservers {
		out.NameServers = append(out.NameServers, nameServer(absolute(ns.Name), ns.IPs))
	}
	if len(out.NameServers) == 0 {
		out.NameServers = []zone.NameServer{nameServer("ns1."+out.Origin, w.servers)}
	}
	for _, r := range z.Spec.Records {
		for _, value := range r.Values {
			record := zone.Record{Name: r.Name, Type: r.Type, Data: value}
			if r.TTL != nil {
				record.TTL = uint32(*r.TTL)
			}
			out.Records = append(out.Records, record)
		}
	}
	return out
}

func nameServer(name string, ips []string) zone.NameServer {
	return zone.NameServer{Name: name, Addresses: addresses(ips)}
}

// absolute closes a name with a dot.
func absolute(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) + "." }

// origins finds Zones by their names.
type origins struct {
	named map[string]*v1alpha1.Zone
	// main is the default zone; nil if there is none.
	main *v1alpha1.Zone
}

func originsOf(zones []v1alpha1.Zone) origins {
	o := origins{named: make(map[string]*v1alpha1.Zone, len(zones))}
	for i := range zones {
		o.named[absolute(zones[i].Name)] = &zones[i]
	}
	o.main, _ = defaultZone(zones)
	return o
}

// covering finds the zone of a name: the longest origin that covers it.
func (o origins) covering(hostname string) (*v1alpha1.Zone, bool) {
	for {
		if z, ok := o.named[hostname]; ok {
			return z, true
		}
		_, above, isMore := strings.Cut(hostname, ".")
		if !isMore || above == "" {
			return nil, false
		}
		hostname = above
	}
}

// defaultZone is where GlobalServices without hostnames are named: the oldest Zone that says so, so that a second one
// changes nothing, or the only one.
func defaultZone(zones []v1alpha1.Zone) (*v1alpha1.Zone, bool) {
	var first *v1alpha1.Zone
	for i := range zones {
		if z := &zones[i]; z.Spec.Default && (first == nil || isOlder(z, first)) {
			first = z
		}
	}
	if first == nil && len(zones) == 1 {
		first = &zones[0]
	}
	return first, first != nil
}

// isOlder reports whether a Zone was the default one before another. Of two made in the same second that is the one that
// is so already, or the one whose name comes first.
func isOlder(a, b *v1alpha1.Zone) bool {
	wasDefault := func(z *v1alpha1.Zone) int {
		if meta.IsStatusConditionTrue(z.Status.Conditions, v1alpha1.ConditionDefault) {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(wasDefault(a), wasDefault(b)), a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Name, b.Name)) < 0
}

// homeZone is where a GlobalService without hostnames is named: where it is already, while that Zone is there, and else
// in the default one. An annotation lets it follow the default.
func homeZone(zones origins, gs *v1alpha1.GlobalService) (*v1alpha1.Zone, bool) {
	if gs.Annotations[v1alpha1.FollowDefaultZone] != "true" && len(gs.Spec.Hostnames) == 0 {
		for _, hostname := range gs.Status.Hostnames {
			origin, isDefaultName := strings.CutPrefix(absolute(hostname), gs.Name+"."+gs.Namespace+".")
			if home := zones.named[origin]; isDefaultName && home != nil {
				return home, true
			}
		}
	}
	return zones.main, zones.main != nil
}

// nameIn is the name of a GlobalService without hostnames in a Zone.
func nameIn(z *v1alpha1.Zone, gs *v1alpha1.GlobalService) string {
	return absolute(gs.Name + "." + gs.Namespace + "." + z.Name)
}

// expose works out one GlobalService.
func expose(w world, gs *v1alpha1.GlobalService) (exposure, time.Duration) {
	e := exposure{object: gs, findings: map[string]finding{}}
	e.hostnames, e.problem = hostnamesOf(w.origins, gs)
	minHealthy, err := strconv.Atoi(strings.TrimSuffix(cmp.Or(gs.Spec.MinHealthy, "0%"), "%"))
	if err != nil {
		e.hostnames = nil
		e.refuse(fmt.Errorf("spec.minHealthy: %w", err))
	}
	e.service = zone.Service{
		Policy:      zone.Policy(gs.Spec.Policy),
		Answer:      zone.Answer(gs.Spec.Answer),
		TTL:         uint32(gs.Spec.TTL),
		TTLDegraded: uint32(max(1, gs.Spec.TTL/2)),
		MinHealthy:  minHealthy,
		OverflowAll: gs.Spec.Overflow == "All",
	}
	if gs.Spec.Policy == "All" {
		e.service.Policy, e.service.Answer = zone.Weighted, zone.All
	}
	return e, targets(w, gs, &e)
}

// hostnamesOf are the names that lie in a zone; the error says which do not.
func hostnamesOf(zones origins, gs *v1alpha1.GlobalService) ([]string, error) {
	if len(gs.Spec.Hostnames) == 0 {
		in, ok := homeZone(zones, gs)
		if !ok {
			return nil, fmt.Errorf("spec.hostnames is empty and there is no default zone; " +
				"name a hostname, or set spec.default of a Zone")
		}
		return []string{nameIn(in, gs)}, nil
	}
	var names []string
	var strange []string
	for i, hostname := range gs.Spec.Hostnames {
		name := absolute(hostname)
		if _, ok := zones.covering(name); !ok {
			strange = append(strange, fmt.Sprintf("spec.hostnames[%d]: %s lies in no Zone of the hub", i, hostname))
			continue
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(strange) > 0 {
		return names, errors.New(strings.Join(strange, "; "))
	}
	return names, nil
}

// portsOf are the named ports of a Service.
func portsOf(service *unstructured.Unstructured) []zone.Port {
	var typed corev1.Service
	if runtime.DefaultUnstructuredConverter.FromUnstructured(service.Object, &typed) != nil {
		return nil
	}
	var ports []zone.Port
	for _, port := range typed.Spec.Ports {
		if port.Name == "" {
			continue // unnamed ports have no SRV record
		}
		protocol := strings.ToLower(string(cmp.Or(port.Protocol, corev1.ProtocolTCP)))
		ports = append(ports, zone.Port{Name: port.Name, Protocol: protocol, Port: uint16(port.Port)})
	}
	return ports
}
