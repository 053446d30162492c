package cli

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// dnsEndpoint is a DNSEndpoint of ExternalDNS (externaldns.k8s.io/v1alpha1), as far as it is written here.
type dnsEndpoint struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       struct {
		Endpoints []endpoint `json:"endpoints"`
	} `json:"spec"`
}

// endpoint is one record set in it.
type endpoint struct {
	Name          string              `json:"dnsName"`
	Type          string              `json:"recordType"`
	Targets       []string            `json:"targets"`
	TTL           int64               `json:"recordTTL,omitempty"`
	SetIdentifier string              `json:"setIdentifier,omitempty"`
	Specific      []map[string]string `json:"providerSpecific,omitempty"`
}

func newDNSExport(hub *access) *cobra.Command {
	var weighted bool
	c := &cobra.Command{
		Use:   "export ZONE",
		Short: "The names of a zone as a DNSEndpoint, for ExternalDNS to publish elsewhere",
		Long: `Print the records of a zone, and the names of its GlobalServices as they are answered now, as a DNSEndpoint: apply it
where an ExternalDNS with --source=crd runs, and it publishes them with the provider that it is for.

With --aws-weights each member is a record set of its own with its weight, for providers that understand that.`,
		Example: `  hanse dns export example.org | kubectl --context dns apply -f -`,
		Args:    oneArg("the ZONE"),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := hub.connect()
			if err != nil {
				return err
			}
			name := strings.TrimSuffix(args[0], ".")
			var zones v1alpha1.ZoneList
			var services v1alpha1.GlobalServiceList
			for _, list := range []client.ObjectList{&zones, &services} {
				if err := h.List(c.Context(), list); err != nil {
					return enroll.Diagnose(h.what, err)
				}
			}
			at := slices.IndexFunc(zones.Items, func(z v1alpha1.Zone) bool { return z.Name == name })
			if at < 0 {
				return failure("kubectl get zones lists the zones.", "there is no Zone %s on %s", name, h.what)
			}
			text, err := yaml.Marshal(exportZone(&zones.Items[at], zones.Items, services.Items, weighted))
			if err != nil {
				return fmt.Errorf("writing the DNSEndpoint: %w", err)
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		},
	}
	c.Flags().BoolVar(&weighted, "aws-weights", false, "a record set for each member, with its weight")
	return c
}

// exportZone is everything in a zone that a provider can serve as it is now.
func exportZone(
	z *v1alpha1.Zone, zones []v1alpha1.Zone, services []v1alpha1.GlobalService, weighted bool,
) dnsEndpoint {
	out := dnsEndpoint{APIVersion: "externaldns.k8s.io/v1alpha1", Kind: "DNSEndpoint",
		Metadata: map[string]string{"name": z.Name}}
	all := []endpoint{}
	for _, r := range z.Spec.Records {
		e := endpoint{Name: nameIn(r.Name, z.Name), Type: r.Type, Targets: r.Values, TTL: int64(z.Spec.TTL)}
		if r.TTL != nil {
			e.TTL = int64(*r.TTL)
		}
		all = append(all, e)
	}
	for i := range services {
		gs := &services[i]
		for _, hostname := range gs.Status.Hostnames {
			if zoneOfName(hostname, zones) == z.Name {
				all = append(all, exportName(gs, hostname, weighted)...)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b endpoint) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.SetIdentifier, b.SetIdentifier))
	})
	out.Spec.Endpoints = all
	return out
}

// nameIn is a name of a Zone's record in full.
func nameIn(name, origin string) string {
	switch {
	case name == "" || name == "@":
		return origin
	case strings.HasSuffix(name, "."):
		return strings.TrimSuffix(name, ".")
	}
	return name + "." + origin
}

// zoneOfName is the longest origin that covers a name.
func zoneOfName(hostname string, zones []v1alpha1.Zone) string {
	best := ""
	for i := range zones {
		origin := zones[i].Name
		if (hostname == origin || strings.HasSuffix(hostname, "."+origin)) && len(origin) > len(best) {
			best = origin
		}
	}
	return best
}

// exportName is what a name is answered with now: the members that have a share. Members with addresses come before
// those with a name, which can only stand alone (RFC 1034 section 3.6.2).
func exportName(gs *v1alpha1.GlobalService, hostname string, weighted bool) []endpoint {
	var all []endpoint
	add := func(kind, member, target string, weight int64) {
		of := ""
		if weighted {
			of = member
		}
		at := slices.IndexFunc(all, func(e endpoint) bool { return e.Type == kind && e.SetIdentifier == of })
		if at < 0 {
			e := endpoint{Name: hostname, Type: kind, TTL: int64(gs.Spec.TTL), SetIdentifier: of}
			if weighted {
				e.Specific = []map[string]string{{"name": "aws/weight", "value": strconv.FormatInt(weight, 10)}}
			}
			all, at = append(all, e), len(all)
		}
		all[at].Targets = append(all[at].Targets, target)
	}
	var named []func()
	for _, c := range gs.Status.Clusters {
		if c.Share == "" || c.Share == "0.0%" {
			continue
		}
		for _, target := range c.Addresses {
			switch addr, err := netip.ParseAddr(target); {
			case err != nil:
				named = append(named, func() { add("CNAME", c.Name, target, c.Weight) })
			case addr.Is4():
				add("A", c.Name, target, c.Weight)
			default:
				add("AAAA", c.Name, target, c.Weight)
			}
		}
	}
	if len(all) == 0 {
		for i, one := range named {
			if weighted || i == 0 {
				one()
			}
		}
	}
	return all
}
