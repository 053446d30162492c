package dnspeers

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/server"
	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// TestAResolverFindsEveryName: unbound, as strict as it can be set, resolves every name and type of a zone of a
// thousand names through us, and says NODATA or NXDOMAIN, never SERVFAIL, for what is not there. When the zone is
// signed, it validates all of that.
func TestAResolverFindsEveryName(t *testing.T) {
	programs := unpack(t, Unbound.Packages...)
	t.Run("unsigned", func(t *testing.T) {
		resolveAll(t, programs, thousand("resolve.test"), "")
	})
	t.Run("signed", func(t *testing.T) {
		c := thousand("resolve.test")
		anchor := signed(t, &c)
		resolveAll(t, programs, c, anchor)
	})
}

// signed gives the zone a key, and the file with its DS record that a validator starts from.
func signed(t *testing.T, c *zone.Config) (anchor string) {
	t.Helper()
	z := &c.Zones[0]
	z.Keys = []zone.Key{newKey(t)}
	key, err := sign.NewKey(z.Keys[0].Private, z.Keys[0].Stage)
	if err != nil {
		t.Fatal(err)
	}
	origin, err := wire.ParseName(z.Origin, wire.Root)
	if err != nil {
		t.Fatal(err)
	}
	anchor = filepath.Join(t.TempDir(), "anchor")
	if err := os.WriteFile(anchor, []byte(key.DSText(origin)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return anchor
}

// resolveAll asks the resolver for every name of the zone. anchor, if any, is what it validates with.
func resolveAll(t *testing.T, programs *Programs, c zone.Config, anchor string) {
	origin := c.Zones[0].Origin
	store := zone.NewStore()
	if err := store.Set(c); err != nil {
		t.Fatal(err)
	}
	ours := serve(t, server.Config{Listen: []string{"127.0.0.1:0"}, Snapshot: store})
	resolver, err := Unbound.Start(t.Context(), programs, t.TempDir(), Zone{
		Origin: origin, Primary: ours.Addr(), File: anchor,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Stop)
	tree := store.Snapshot().Trees()[0]
	if tree.Len() < 1000 {
		t.Fatalf("the zone has %d names only", tree.Len())
	}
	asked, failed := 0, 0
	ask := func(name string, kind uint16) {
		asked++
		if err := sameAnswer(resolver.Addr, ours.Addr(), name, kind, anchor != ""); err != nil {
			t.Errorf("%s %s: %v", name, dns.TypeToString[kind], err)
			if failed++; failed > 10 {
				t.Fatal("and so on")
			}
		}
	}
	for name := range tree.Names {
		text := strings.Replace(name.String(), "*", "anything", 1)
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeSRV} {
			ask(text, kind)
		}
	}
	for i := range 200 {
		ask(fmt.Sprintf("x%d.app-%d.team-%d.%s.", i, i*7%900, i%9, origin), dns.TypeA)
	}
	t.Logf("%d names, %d questions answered by the resolver as by us", tree.Len(), asked)
}

// TestDelvValidates: the validator of BIND, asking us directly, trusts what is there and what is not.
func TestDelvValidates(t *testing.T) {
	programs := unpack(t, "bind9-dnsutils")
	c := thousand("delv.test")
	anchor := signed(t, &c)
	store := zone.NewStore()
	if err := store.Set(c); err != nil {
		t.Fatal(err)
	}
	ours := serve(t, server.Config{Listen: []string{"127.0.0.1:0"}, Snapshot: store})
	text, err := os.ReadFile(anchor)
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(text))
	keys := filepath.Join(t.TempDir(), "keys")
	content := fmt.Sprintf("trust-anchors { %s static-ds %s %s %s \"%s\"; };\n", f[0], f[3], f[4], f[5], f[6])
	if err := os.WriteFile(keys, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, kind, want string }{
		{"delv.test", "SOA", "; fully validated"},
		{"delv.test", "DNSKEY", "; fully validated"},
		{"app-7.team-7.delv.test", "A", "; fully validated"},
		{"_http._tcp.app-3.team-3.delv.test", "SRV", "; fully validated"},
		{"anything.wild.delv.test", "A", "; fully validated"},
		{"alias-8.delv.test", "A", "; fully validated"},
		{"app-7.team-7.delv.test", "MX", "; negative response, fully validated"},
		{"team-7.delv.test", "A", "; negative response, fully validated"},
		{"nothing.delv.test", "A", "; negative response, fully validated"},
	} {
		out := output(t, programs, "delv", "@"+ours.Addr().Addr().String(), "-p", fmt.Sprint(ours.Addr().Port()),
			"-a", keys, "+root=delv.test", tt.name, tt.kind)
		if !strings.Contains(out, tt.want) {
			t.Errorf("%s %s: delv does not say %q:\n%s", tt.name, tt.kind, tt.want, out)
		}
	}
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

// sameAnswer asks the resolver and us, and compares code and records. Of a signed zone the resolver must say that it
// has validated the answer.
func sameAnswer(resolver, ours netip.AddrPort, name string, kind uint16, isSigned bool) error {
	client := dns.Client{Timeout: 10 * time.Second}
	var q dns.Msg
	q.SetQuestion(name, kind)
	q.SetEdns0(1232, false)
	want, _, err := client.Exchange(&q, ours.String())
	if err != nil {
		return fmt.Errorf("asking us: %w", err)
	}
	q.AuthenticatedData = true // asks to be told (RFC 6840 section 5.7)
	got, _, err := client.Exchange(&q, resolver.String())
	if err != nil {
		return fmt.Errorf("asking the resolver: %w", err)
	}
	if got.Rcode != want.Rcode && !(isSigned && isCompactDenial(got, want)) {
		return fmt.Errorf("the resolver says %s, we say %s", dns.RcodeToString[got.Rcode], dns.RcodeToString[want.Rcode])
	}
	if got.AuthenticatedData != isSigned {
		return fmt.Errorf("validated: %v, signed: %v", got.AuthenticatedData, isSigned)
	}
	if a, b := dataOf(got), dataOf(want); !slices.Equal(a, b) {
		return fmt.Errorf("the resolver has %q, we have %q", a, b)
	}
	return nil
}

// isCompactDenial: a resolver that does not know RFC 9824 takes the denial of a name for one of the type, because with
// DNSSEC that is what it is sent.
func isCompactDenial(got, want *dns.Msg) bool {
	return want.Rcode == dns.RcodeNameError && got.Rcode == dns.RcodeSuccess && len(got.Answer) == 0
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
