package dnspeers

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/server"
	"github.com/hanse-federation/hanse/dns/zone"
)

// TestAResolverFindsEveryName: unbound, as strict as it can be set, resolves every name and type of a zone of a
// thousand names through us, and says NODATA or NXDOMAIN, never SERVFAIL, for what is not there.
func TestAResolverFindsEveryName(t *testing.T) {
	const origin = "resolve.test"
	programs := unpack(t, Unbound.Packages...)
	store := zone.NewStore()
	if err := store.Set(thousand(origin)); err != nil {
		t.Fatal(err)
	}
	ours := serve(t, server.Config{Listen: []string{"127.0.0.1:0"}, Snapshot: store})
	resolver, err := Unbound.Start(t.Context(), programs, t.TempDir(), Zone{Origin: origin, Primary: ours.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Stop)
	tree := store.Snapshot().Trees()[0]
	if tree.Len() < 1000 {
		t.Fatalf("the zone has %d names only", tree.Len())
	}
	asked, failed := 0, 0
	for name := range tree.Names {
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeSRV} {
			text := strings.Replace(name.String(), "*", "anything", 1)
			asked++
			if err := sameAnswer(resolver.Addr, ours.Addr(), text, kind); err != nil {
				failed++
				t.Errorf("%s %s: %v", text, dns.TypeToString[kind], err)
			}
		}
		if failed > 10 {
			t.Fatal("and so on")
		}
	}
	for i := range 200 {
		asked++
		name := fmt.Sprintf("x%d.app-%d.team-%d.%s.", i, i*7%900, i%9, origin)
		if err := sameAnswer(resolver.Addr, ours.Addr(), name, dns.TypeA); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%d names, %d questions answered by the resolver as by us", tree.Len(), asked)
}

// thousand is a zone of more than 1,000 names in the shape of ours: services with ports below namespaces, names that
// exist only because something is below them, aliases, wildcards.
func thousand(origin string) zone.Config {
	z := zone.Zone{
		Origin: origin, TTL: 300,
		NameServers: []zone.NameServer{{Name: "ns1", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}},
		Records: []zone.Record{
			{Name: "*.wild", Type: "A", Data: "192.0.2.3"},
			{Name: "a.very.deep.name.under.nothing", Type: "TXT", Data: `"here"`},
		},
	}
	for i := range 300 {
		name := fmt.Sprintf("app-%d.team-%d", i, i%9)
		s := zone.Service{Name: name, TTL: 300, Answer: zone.All, Targets: []zone.Target{
			{Cluster: "north", Weight: 2, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}},
			{Cluster: "south", Weight: 1, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})}},
		}}
		if i%2 == 0 {
			s.Targets[0].Addresses = append(s.Targets[0].Addresses, netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)))
		}
		if i%3 == 0 {
			s.Ports = []zone.Port{{Name: "http", Protocol: "tcp", Port: 80}, {Name: "dns", Protocol: "udp", Port: 53}}
		}
		z.Services = append(z.Services, s)
		z.Records = append(z.Records,
			zone.Record{Name: fmt.Sprintf("alias-%d", i), Type: "CNAME", Data: name},
			zone.Record{Name: "_acme-challenge." + name, Type: "TXT", Data: fmt.Sprintf(`"token-%d"`, i)},
		)
	}
	return zone.Config{Serial: 1, Seed: 1, Zones: []zone.Zone{z}}
}

// sameAnswer asks the resolver and us, and compares code and records.
func sameAnswer(resolver, ours netip.AddrPort, name string, kind uint16) error {
	client := dns.Client{Timeout: 10 * time.Second}
	var q dns.Msg
	q.SetQuestion(name, kind)
	q.SetEdns0(1232, false)
	want, _, err := client.Exchange(&q, ours.String())
	if err != nil {
		return fmt.Errorf("asking us: %w", err)
	}
	got, _, err := client.Exchange(&q, resolver.String())
	if err != nil {
		return fmt.Errorf("asking the resolver: %w", err)
	}
	if got.Rcode != want.Rcode {
		return fmt.Errorf("the resolver says %s, we say %s", dns.RcodeToString[got.Rcode], dns.RcodeToString[want.Rcode])
	}
	if a, b := dataOf(got), dataOf(want); !slices.Equal(a, b) {
		return fmt.Errorf("the resolver has %q, we have %q", a, b)
	}
	return nil
}

// dataOf is the answer section without TTLs, sorted.
func dataOf(m *dns.Msg) []string {
	var out []string
	for _, rr := range m.Answer {
		rr.Header().Ttl = 0
		out = append(out, strings.ToLower(rr.String()))
	}
	slices.Sort(out)
	return out
}
