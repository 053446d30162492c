package expose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
)

// bind adds the HTTPS records that GlobalServices ask for to a zone that is right without them. One that does not fit
// beside the zone's own records is left out, and said so.
func (p *plan) bind(z *zone.Zone, names []exposedName) {
	if !slices.ContainsFunc(names, func(n exposedName) bool { return n.of.object.Spec.HTTPS != nil }) {
		return
	}
	served := map[string]*zone.Service{}
	for i := range z.Services {
		served[z.Services[i].Name] = &z.Services[i]
	}
	owned := map[string]bool{} // names with an HTTPS record of the zone's own
	for _, r := range z.Records {
		if r.Type == "HTTPS" {
			owned[within(z.Origin, r.Name)] = true
		}
	}
	type binding struct {
		to     *exposure
		record zone.Record
	}
	var wanted []binding
	for _, n := range names {
		https := n.of.object.Spec.HTTPS
		if https == nil {
			continue
		}
		switch service := served[n.hostname]; {
		case service == nil || slices.ContainsFunc(service.Targets, isReachedByName):
		case owned[n.hostname]:
			n.of.refuse(fmt.Errorf("spec.https: %s has an HTTPS record in its Zone already", strings.TrimSuffix(n.hostname, ".")))
		default:
			wanted = append(wanted, binding{n.of, bindingOf(https, n.hostname, service.TTL)})
		}
	}
	add := func(z *zone.Zone, b binding) { z.Records = append(z.Records, b.record) }
	fit(z, wanted, add, func(b binding, err error) { b.to.refuse(fmt.Errorf("spec.https: %w", err)) })
}

func isReachedByName(t zone.Target) bool { return len(t.Addresses) == 0 && t.Hostname != "" }

// within is the absolute form of a name in a zone.
func within(origin, name string) string {
	switch {
	case name == "" || name == "@":
		return origin
	case strings.HasSuffix(name, "."):
		return strings.ToLower(name)
	}
	return strings.ToLower(name) + "." + origin
}

// defaultHTTPS is the port of https, which a record need not tell.
const defaultHTTPS = 443

// bindingOf is the record: in service mode, for the name itself (RFC 9460 section 9).
func bindingOf(b *v1alpha1.HTTPSBinding, hostname string, ttl uint32) zone.Record {
	data := fmt.Sprintf("1 . alpn=%q", strings.Join(b.ALPN, ","))
	if b.Port != 0 && b.Port != defaultHTTPS {
		data += fmt.Sprintf(" port=%d", b.Port)
	}
	return zone.Record{Name: hostname, Type: "HTTPS", TTL: ttl, Data: data}
}
