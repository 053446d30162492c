package expose

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// The names of multicluster DNS (KEP-1645 specification.md, version 1.0.0): a Zone of this name has the records of the
// hub's ServiceImports and of the EndpointSlices that belong to them.
const (
	clusterSetZone    = "clusterset.local"
	clusterSetVersion = "1.0.0"
	versionTTL        = 28800
	clusterSetTTL     = 5
)

// What the EndpointSlices of a ServiceImport are marked with.
const (
	importedServiceLabel = "multicluster.kubernetes.io/service-name"
	sourceClusterLabel   = "multicluster.kubernetes.io/source-cluster"
)

// ImportedSlices selects the EndpointSlices that belong to ServiceImports.
func ImportedSlices() labels.Selector {
	belongs, err := labels.NewRequirement(importedServiceLabel, selection.Exists, nil)
	if err != nil {
		panic("selecting imported EndpointSlices: " + err.Error()) // the label is a constant
	}
	return labels.NewSelector().Add(*belongs)
}

// importKind is a ServiceImport.
var importKind = schema.GroupKind{Group: "multicluster.x-k8s.io", Kind: "ServiceImport"}

// versionRecord says which version of the specification the zone follows.
func versionRecord() zone.Record {
	return zone.Record{Name: "dns-version", Type: "TXT", TTL: versionTTL, Data: fmt.Sprintf("%q", clusterSetVersion)}
}

// imported is what one ServiceImport comes to in the zone. What of it cannot be answered is left out alone.
type imported struct {
	object  *unstructured.Unstructured
	at      string // the service's name
	records []zone.Record
	// empty are names that exist without a record.
	empty  []string
	faults []string

	sizes map[setKey]int
}

type setKey struct{ name, kind string }

// importedPort is a port of a ServiceImport or of its endpoints. One without a name has its SRV record at the service's
// own name only.
type importedPort struct {
	name, protocol string
	number         int64
}

// importsOf are the ServiceImports of the hub, in the order of their names.
func importsOf(w world) []imported {
	bySlice := map[[2]string][]*discoveryv1.EndpointSlice{}
	for i := range w.slices {
		s := &w.slices[i]
		key := [2]string{s.Namespace, s.Labels[importedServiceLabel]}
		bySlice[key] = append(bySlice[key], s)
	}
	var all []imported
	w.imported(func(obj *unstructured.Unstructured) {
		m := imported{object: obj, sizes: map[setKey]int{}}
		m.at = strings.ToLower(obj.GetName() + "." + obj.GetNamespace() + ".svc")
		if kind, _, _ := unstructured.NestedString(obj.Object, "spec", "type"); kind == "Headless" {
			m.headless(bySlice[[2]string{obj.GetNamespace(), obj.GetName()}])
		} else {
			m.clusterSetIP()
		}
		slices.SortFunc(m.records, func(a, b zone.Record) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Data, b.Data))
		})
		m.records = slices.Compact(m.records)
		m.settleEmpty()
		all = append(all, m)
	})
	slices.SortFunc(all, func(a, b imported) int { return cmp.Compare(a.at, b.at) })
	return all
}

// settleEmpty keeps those empty names that no record and no other of them makes exist.
func (m *imported) settleEmpty() {
	has := map[string]bool{}
	for _, r := range m.records {
		has[r.Name] = true
	}
	slices.Sort(m.empty)
	m.empty = slices.DeleteFunc(slices.Compact(m.empty), func(name string) bool { return has[name] })
}

func (m *imported) fault(format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

// clusterSetIP are the records of a service with addresses of its own. The service exists, with or without them.
func (m *imported) clusterSetIP() {
	if !isNameable(m.at) {
		m.fault("%s is no name that DNS can have", m.at)
		return
	}
	m.empty = append(m.empty, m.at)
	ips, _, _ := unstructured.NestedStringSlice(m.object.Object, "spec", "ips")
	own := addresses(ips)
	for _, a := range own {
		if !m.add(addressRecord(m.at, a)) {
			m.fault("not all of spec.ips fit an answer")
			break
		}
	}
	for _, p := range m.ports() {
		names := []string{m.at}
		if name, ok := m.portName(p); ok {
			names = append(names, name)
			m.empty = append(m.empty, name)
		}
		for _, name := range names {
			if len(own) > 0 && !m.add(srvRecord(name, p, m.at)) {
				m.fault("not all of spec.ports fit an answer")
				return
			}
		}
	}
}

// ports are those of the ServiceImport.
func (m *imported) ports() []importedPort {
	given, _, _ := unstructured.NestedSlice(m.object.Object, "spec", "ports")
	var ports []importedPort
	for _, g := range given {
		fields, _ := g.(map[string]any)
		var p importedPort
		p.name, _, _ = unstructured.NestedString(fields, "name")
		p.protocol, _, _ = unstructured.NestedString(fields, "protocol")
		p.number, _, _ = unstructured.NestedInt64(fields, "port")
		if p.number <= 0 || p.number >= 1<<16 {
			m.fault("port %d is none", p.number)
			continue
		}
		ports = append(ports, p)
	}
	return ports
}

// portName is where the SRV records of a port are. It is false for a port without a name, or with one that DNS cannot
// have.
func (m *imported) portName(p importedPort) (string, bool) {
	if p.name == "" {
		return "", false
	}
	name := strings.ToLower("_" + p.name + "._" + cmp.Or(p.protocol, "TCP") + "." + m.at)
	if !isPlain(p.name) || !isPlain(cmp.Or(p.protocol, "TCP")) || !isNameable(name) {
		m.fault("port %q: %s is no name that DNS can have", p.name, name)
		return "", false
	}
	return name, true
}

// member is what has one name of a headless service: the addresses, of both families, of one host of one cluster.
type member struct {
	own       string // empty if DNS cannot have it
	cluster   string
	addresses []netip.Addr
	ports     []importedPort
	rank      int // among those of its cluster
}

// headless are the records of a headless service: every ready endpoint at the service's name, and each under
// <hostname>.<cluster id>.<service>. SRV records lead to the latter, for the ports that the endpoints have. Where not
// all fit an answer, it is a subset (KEP-1645), the same for every type, with some of each cluster; their own names
// have all.
func (m *imported) headless(endpoints []*discoveryv1.EndpointSlice) {
	if !isNameable(m.at) {
		m.fault("%s is no name that DNS can have", m.at)
		return
	}
	members := m.members(endpoints)
	left := 0
	for _, one := range members {
		if one.own != "" {
			for _, a := range one.addresses {
				m.add(addressRecord(one.own, a))
			}
		}
		if !m.addAll(m.recordsOf(one)) {
			left++
		}
	}
	if left > 0 {
		m.fault("%d of %d endpoints do not fit an answer and are left out of it", left, len(members))
	}
}

// recordsOf are what one member adds to the names of the service and its ports.
func (m *imported) recordsOf(one member) []zone.Record {
	var records []zone.Record
	for _, a := range one.addresses {
		records = append(records, addressRecord(m.at, a))
	}
	if one.own == "" {
		return records
	}
	for _, p := range one.ports {
		records = append(records, srvRecord(m.at, p, one.own))
		if name, ok := m.portName(p); ok {
			records = append(records, srvRecord(name, p, one.own))
		}
	}
	return records
}

// members are the ready endpoints by their own names, one of each cluster after another.
func (m *imported) members(endpoints []*discoveryv1.EndpointSlice) []member {
	byName := map[string]*member{}
	for _, slice := range endpoints {
		cluster := strings.ToLower(slice.Labels[sourceClusterLabel])
		for _, e := range slice.Endpoints {
			if !ptr.Deref(e.Conditions.Ready, true) {
				continue
			}
			for _, a := range addresses(e.Addresses) {
				own := hostnameOf(e, a) + "." + cluster + "." + m.at
				if byName[own] == nil {
					byName[own] = &member{own: own, cluster: cluster}
					if !isPlain(hostnameOf(e, a)) || !isPlain(cluster) || !isNameable(own) {
						m.fault("endpoint %s: %s is no name that DNS can have; its address is answered, and no SRV record", a, own)
						byName[own].own = ""
					}
				}
				one := byName[own]
				one.addresses = append(one.addresses, a)
				one.ports = append(one.ports, portsOfSlice(slice)...)
			}
		}
	}
	keys := make([]string, 0, len(byName))
	for own := range byName {
		keys = append(keys, own)
	}
	slices.Sort(keys)
	var members []member
	ranks := map[string]int{}
	for _, own := range keys {
		one := *byName[own]
		one.rank = ranks[one.cluster]
		ranks[one.cluster]++
		members = append(members, one)
	}
	slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(a.rank, b.rank) })
	return members
}

// portsOfSlice are the ports that the endpoints of a slice have.
func portsOfSlice(slice *discoveryv1.EndpointSlice) []importedPort {
	var ports []importedPort
	for _, p := range slice.Ports {
		if number := ptr.Deref(p.Port, 0); number > 0 && number < 1<<16 {
			ports = append(ports, importedPort{ptr.Deref(p.Name, ""), string(ptr.Deref(p.Protocol, "")), int64(number)})
		}
	}
	return ports
}

// add adds a record, unless its set would be too large for a message.
func (m *imported) add(r zone.Record) bool { return m.addAll([]zone.Record{r}) }

// addAll adds all of some records, or none.
func (m *imported) addAll(records []zone.Record) bool {
	more := map[setKey]int{}
	for _, r := range records {
		key := setKey{r.Name, r.Type}
		if more[key] += wire.RecordSize(dataSize(r)); m.sizes[key]+more[key] > zone.MaxSet {
			return false
		}
	}
	for key, size := range more {
		m.sizes[key] += size
	}
	m.records = append(m.records, records...)
	return true
}

// dataSize is at least the size of a record's data: of an address, or of an SRV record.
func dataSize(r zone.Record) int {
	if r.Type == "SRV" {
		return 6 + len(r.Data) + len(clusterSetZone)
	}
	return 16
}

// hostnameOf is an endpoint's own label: its hostname, or its address with dashes.
func hostnameOf(e discoveryv1.Endpoint, a netip.Addr) string {
	if name := ptr.Deref(e.Hostname, ""); name != "" {
		return strings.ToLower(name)
	}
	return strings.NewReplacer(".", "-", ":", "-").Replace(a.String())
}

// isPlain reports whether a text is one label of letters, digits, hyphens and underscores, which stands for itself in a
// zone file.
func isPlain(text string) bool {
	return text != "" && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// isNameable reports whether the zone can have a name.
func isNameable(name string) bool {
	_, err := wire.ParseName(name+"."+clusterSetZone+".", wire.Root)
	return err == nil
}

func addressRecord(name string, a netip.Addr) zone.Record {
	kind := "AAAA"
	if a.Is4() {
		kind = "A"
	}
	return zone.Record{Name: name, Type: kind, TTL: clusterSetTTL, Data: a.String()}
}

// srvRecord is the one of a port of a target, under the port's name or, as the conformance suite asks, at the service's
// own.
func srvRecord(name string, p importedPort, target string) zone.Record {
	return zone.Record{
		Name: name, Type: "SRV", TTL: clusterSetTTL, Data: fmt.Sprintf("0 50 %d %s", p.number, target),
	}
}
