package expose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/names/probescope"
)

// laddersOf are the names that stand for one cluster or region of a GlobalService, by zone:
// <name>.<namespace>.<cluster>.c.<zone> and <name>.<namespace>.<region>.r.<zone> in the default zone. Each falls
// upward: the cluster, then its region, then all. A name that somebody gave to something else is that.
func laddersOf(w world, exposures []exposure, owners map[string]string) map[string][]zone.Service {
	ladders := map[string][]zone.Service{}
	for _, e := range exposures {
		in, ok := homeZone(w.origins, e.object)
		if !ok || len(e.hostnames) == 0 {
			continue
		}
		base := e.object.Name + "." + e.object.Namespace + "."
		add := func(label, kind string, home zone.Home) {
			name := absolute(base + label + "." + kind + "." + in.Name)
			if _, taken := owners[name]; taken || !isLabel(label) {
				return
			}
			owners[name] = e.object.Namespace + "/" + e.object.Name
			service := e.service
			service.Name, service.Home, service.Ports = name, home, nil
			ladders[in.Name] = append(ladders[in.Name], service)
		}
		for _, t := range e.service.Targets {
			add(t.Cluster, "c", zone.Home{Cluster: t.Cluster, Region: t.Region})
			add(strings.ToLower(t.Region), "r", zone.Home{Region: t.Region})
		}
	}
	return ladders
}

// isLabel reports whether a text is one label of a name.
func isLabel(text string) bool {
	name, err := wire.ParseName(text, wire.Root)
	return err == nil && text != "" && text != "@" && name.Parent() == wire.Root && !strings.Contains(text, ".")
}

// flatten gives addresses to targets that only have a name, for the apex of a zone, where no CNAME can be (RFC 1034
// section 3.6.2): those that the name stands for, as the hub has found out.
func (p *plan) flatten(w world, targets []zone.Target, from probescope.Origin) []zone.Target {
	flat := slices.Clone(targets)
	for i := range flat {
		t := &flat[i]
		if len(t.Addresses) > 0 || t.Hostname == "" {
			continue
		}
		if !slices.Contains(p.hosts, t.Hostname) {
			p.hosts = append(p.hosts, t.Hostname)
		}
		t.Addresses, t.Hostname = w.standsFor(t.Hostname, from), ""
	}
	return flat
}

// networksOf are the networks of clients that the zones name. Of two that place one network the first zone is right,
// and the other says so.
func networksOf(w world, faults map[string]error) []zone.Network {
	var all []zone.Network
	owner := map[netip.Prefix]string{}
	for i := range w.zones {
		z := &w.zones[i]
		for j, n := range z.Spec.Networks {
			prefix, err := netip.ParsePrefix(n.CIDR)
			if err != nil {
				faults[z.Name] = fmt.Errorf("spec.networks[%d].cidr: %w", j, err)
				continue
			}
			prefix = prefix.Masked()
			if first, taken := owner[prefix]; taken {
				faults[z.Name] = fmt.Errorf("spec.networks[%d].cidr: %s is placed by the Zone %s already", j, prefix, first)
				continue
			}
			owner[prefix] = z.Name
			all = append(all, zone.Network{Prefix: prefix, Region: n.Region, Zone: n.Zone})
		}
	}
	return all
}
