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

// importedPort is a named port of a ServiceImport.
type importedPort struct {
	name, protocol string
	number         int64
}

// clusterSetRecords are the records of the zone clusterset.local.
func clusterSetRecords(w world) []zone.Record {
	records := []zone.Record{{Name: "dns-version", Type: "TXT", TTL: versionTTL, Data: fmt.Sprintf("%q", clusterSetVersion)}}
	w.imported(func(obj *unstructured.Unstructured) {
		if !isLabel(obj.GetName()) || !isLabel(obj.GetNamespace()) {
			return
		}
		at := obj.GetName() + "." + obj.GetNamespace() + ".svc"
		if kind, _, _ := unstructured.NestedString(obj.Object, "spec", "type"); kind == "Headless" {
			records = append(records, headless(w, obj, at)...)
			return
		}
		ips, _, _ := unstructured.NestedStringSlice(obj.Object, "spec", "ips")
		for _, a := range addresses(ips) {
			records = append(records, addressRecord(at, a))
		}
		for _, p := range importedPorts(obj) {
			records = append(records, srvRecords(at, p, at)...)
		}
	})
	slices.SortFunc(records, func(a, b zone.Record) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Data, b.Data))
	})
	return slices.Compact(records)
}

// importedPorts are the named ports; an unnamed one has no SRV record.
func importedPorts(obj *unstructured.Unstructured) []importedPort {
	given, _, _ := unstructured.NestedSlice(obj.Object, "spec", "ports")
	var ports []importedPort
	for _, g := range given {
		fields, _ := g.(map[string]any)
		p := importedPort{protocol: "tcp"}
		p.name, _, _ = unstructured.NestedString(fields, "name")
		if protocol, _, _ := unstructured.NestedString(fields, "protocol"); protocol != "" {
			p.protocol = strings.ToLower(protocol)
		}
		p.number, _, _ = unstructured.NestedInt64(fields, "port")
		if isLabel(p.name) && isLabel(p.protocol) && p.number > 0 && p.number < 1<<16 {
			ports = append(ports, p)
		}
	}
	return ports
}

// headless are the records of a headless service: every ready endpoint at the service's name, and each under
// <hostname>.<cluster id>.<service>. SRV records lead to the latter.
func headless(w world, obj *unstructured.Unstructured, at string) []zone.Record {
	var records []zone.Record
	ports := importedPorts(obj)
	for i := range w.slices {
		slice := &w.slices[i]
		cluster := slice.Labels[sourceClusterLabel]
		if slice.Namespace != obj.GetNamespace() || slice.Labels[importedServiceLabel] != obj.GetName() || !isLabel(cluster) {
			continue
		}
		for _, e := range slice.Endpoints {
			if !ptr.Deref(e.Conditions.Ready, true) {
				continue
			}
			for _, a := range addresses(e.Addresses) {
				own := hostnameOf(e, a) + "." + cluster + "." + at
				records = append(records, addressRecord(at, a), addressRecord(own, a))
				for _, p := range portsIn(slice, ports) {
					records = append(records, srvRecords(at, p, own)...)
				}
			}
		}
	}
	return records
}

// portsIn are the ports as a slice has them: an endpoint may listen elsewhere than the service says.
func portsIn(slice *discoveryv1.EndpointSlice, ports []importedPort) []importedPort {
	out := slices.Clone(ports)
	for i := range out {
		for _, p := range slice.Ports {
			if ptr.Deref(p.Name, "") == out[i].name && p.Port != nil {
				out[i].number = int64(*p.Port)
			}
		}
	}
	return out
}

// hostnameOf is an endpoint's own label: its hostname, or its address with dashes.
func hostnameOf(e discoveryv1.Endpoint, a netip.Addr) string {
	if name := ptr.Deref(e.Hostname, ""); isLabel(name) {
		return strings.ToLower(name)
	}
	return strings.Trim(strings.NewReplacer(".", "-", ":", "-").Replace(a.String()), "-")
}

func addressRecord(name string, a netip.Addr) zone.Record {
	kind := "AAAA"
	if a.Is4() {
		kind = "A"
	}
	return zone.Record{Name: name, Type: kind, TTL: clusterSetTTL, Data: a.String()}
}

// srvRecords are those of one port of one target, under the port's name and, as the conformance suite asks, at the
// service's own.
func srvRecords(service string, p importedPort, target string) []zone.Record {
	data := fmt.Sprintf("0 50 %d %s", p.number, target)
	return []zone.Record{
		{Name: "_" + p.name + "._" + p.protocol + "." + service, Type: "SRV", TTL: clusterSetTTL, Data: data},
		{Name: service, Type: "SRV", TTL: clusterSetTTL, Data: data},
	}
}
