package update

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

func tree(t testing.TB) *zone.Tree {
	t.Helper()
	s, err := zone.Build(zone.Config{Serial: 1, Zones: []zone.Zone{{
		Origin: "example.org", NameServers: []zone.NameServer{{Name: "ns"}},
		Records: []zone.Record{{Name: "www", Type: "A", Data: "192.0.2.1"}, {Name: "www", Type: "A", Data: "192.0.2.2"}},
		Services: []zone.Service{{Name: "app", Targets: []zone.Target{
			{Cluster: "c", Weight: 1, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.3")}},
		}}},
		Updates: []zone.Update{
			{Key: zone.TSIGKey{Name: "acme", Secret: "c2VjcmV0"}, Names: []string{"_acme-challenge.*"}, Types: []string{"TXT"}},
			{Key: zone.TSIGKey{Name: "dhcp", Secret: "c2VjcmV0"}, Names: []string{"*.dyn", "gate"}, Types: []string{"A", "CNAME", "TXT"}},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return s.Trees()[0]
}

// message reads lines: "needs NAME CLASS TYPE DATA" for prerequisites, "add …", "drop …" for changes.
func message(t testing.TB, lines ...string) *dns.Msg {
	t.Helper()
	var m dns.Msg
	m.SetUpdate("example.org.")
	for _, line := range lines {
		words := strings.Fields(line)
		verb, name, class := words[0], words[1], words[2]
		record := fmt.Sprintf("%s 60 IN %s", name, strings.Join(words[3:], " "))
		var rr dns.RR
		if len(words) > 4 {
			var err error
			if rr, err = dns.NewRR(record); err != nil {
				t.Fatal(err)
			}
			rr.Header().Rdlength = 1
		} else {
			rr = &dns.ANY{Hdr: dns.RR_Header{Name: name, Rrtype: dns.StringToType[words[3]]}}
		}
		rr.Header().Class = dns.StringToClass[class]
		if verb == "needs" {
			rr.Header().Ttl = 0
			m.Answer = append(m.Answer, rr)
			continue
		}
		if verb == "drop" {
			rr.Header().Ttl = 0
		}
		m.Ns = append(m.Ns, rr)
	}
	return &m
}

const challenge = "_acme-challenge.app.example.org."

// TestApply: what a message does, by RFC 2136, and what nobody may do.
func TestApply(t *testing.T) {
	before := []zone.Record{
		{Name: challenge, Type: "TXT", TTL: 60, Data: `"one"`},
		{Name: "host.dyn.example.org.", Type: "A", TTL: 60, Data: "10.0.0.1"},
		{Name: "alias.dyn.example.org.", Type: "CNAME", TTL: 60, Data: "host.dyn.example.org."},
	}
	for _, c := range []struct {
		what, key string
		lines     []string
		want      string // records at the names of the message, or the code
	}{
		{"a challenge is added", "acme.", []string{"add " + challenge + ` IN TXT "two"`}, `60 TXT "one", 60 TXT "two"`},
		{"added twice", "acme.", []string{"add " + challenge + ` IN TXT "one"`}, `60 TXT "one"`},
		{"at the apex", "acme.", []string{`add _acme-challenge.example.org. IN TXT "x"`}, `60 TXT "x"`},
		{"taken away", "acme.", []string{"drop " + challenge + ` NONE TXT "one"`}, ""},
		{"something else taken away", "acme.", []string{"drop " + challenge + ` NONE TXT "nine"`}, `60 TXT "one"`},
		{"the set taken away", "acme.", []string{"drop " + challenge + " ANY TXT"}, ""},
		{"the name taken away", "acme.", []string{"drop " + challenge + " ANY ANY"}, ""},
		{"replaced", "acme.", []string{"drop " + challenge + " ANY TXT", "add " + challenge + ` IN TXT "two"`}, `60 TXT "two"`},
		{"in another case", "acme.", []string{`add _ACME-challenge.App.Example.org. IN TXT "two"`}, `60 TXT "one", 60 TXT "two"`},
		{"another key", "dhcp.", []string{"add " + challenge + ` IN TXT "two"`}, "REFUSED"},
		{"no such key", "none.", []string{"add " + challenge + ` IN TXT "two"`}, "REFUSED"},
		{"another type", "acme.", []string{"add " + challenge + " IN A 10.0.0.1"}, "REFUSED"},
		{"a record of the zone", "acme.", []string{"add www.example.org. IN A 10.0.0.1"}, "REFUSED"},
		{"a record of the zone taken away", "acme.", []string{"drop www.example.org. ANY ANY"}, "REFUSED"},
		{"a name that only looks alike", "acme.", []string{`add x_acme-challenge.example.org. IN TXT "x"`}, "REFUSED"},
		{"all or nothing", "acme.", []string{"add " + challenge + ` IN TXT "two"`, "add www.example.org. IN A 10.0.0.1"}, "REFUSED"},
		{"outside the zone", "acme.", []string{`add _acme-challenge.example.net. IN TXT "x"`}, "NOTZONE"},
		{"a meta type", "acme.", []string{"drop " + challenge + " ANY AXFR"}, "FORMERR"},
		{"below a name", "dhcp.", []string{"add new.dyn.example.org. IN A 10.0.0.2"}, "60 A 10.0.0.2"},
		{"the name itself", "dhcp.", []string{"add dyn.example.org. IN A 10.0.0.2"}, "REFUSED"},
		{"one name", "dhcp.", []string{"add gate.example.org. IN A 10.0.0.2"}, "60 A 10.0.0.2"},
		{"below one name", "dhcp.", []string{"add x.gate.example.org. IN A 10.0.0.2"}, "REFUSED"},
		{"an alias replaced", "dhcp.", []string{"add alias.dyn.example.org. IN CNAME other.example."}, "60 CNAME other.example."},
		{"an alias beside data", "dhcp.", []string{"add host.dyn.example.org. IN CNAME other.example."}, "60 A 10.0.0.1"},
		{"data beside an alias", "dhcp.", []string{"add alias.dyn.example.org. IN A 10.0.0.2"}, "60 CNAME host.dyn.example.org."},

		{"needs a name, has it", "dhcp.", []string{"needs host.dyn.example.org. ANY ANY", "add gate.example.org. IN A 10.0.0.2"}, "60 A 10.0.0.2"},
		{"needs a name, has it not", "dhcp.", []string{"needs nope.dyn.example.org. ANY ANY", "add gate.example.org. IN A 10.0.0.2"}, "NXDOMAIN"},
		{"needs a set, has it not", "dhcp.", []string{"needs host.dyn.example.org. ANY TXT", "add gate.example.org. IN A 10.0.0.2"}, "NXRRSET"},
		{"needs no name, has it", "dhcp.", []string{"needs www.example.org. NONE ANY", "add gate.example.org. IN A 10.0.0.2"}, "YXDOMAIN"},
		{"needs no set, has it", "dhcp.", []string{"needs www.example.org. NONE A", "add gate.example.org. IN A 10.0.0.2"}, "YXRRSET"},
		{"needs no set, has it not", "dhcp.", []string{"needs www.example.org. NONE TXT", "add gate.example.org. IN A 10.0.0.2"}, "60 A 10.0.0.2"},
		{"needs a service", "dhcp.", []string{"needs app.example.org. ANY A", "add gate.example.org. IN A 10.0.0.2"}, "60 A 10.0.0.2"},
		{"needs a set as it is", "dhcp.", []string{"needs www.example.org. IN A 192.0.2.2", "needs www.example.org. IN A 192.0.2.1", "add gate.example.org. IN A 10.0.0.2"}, "60 A 10.0.0.2"},
		{"needs a set otherwise", "dhcp.", []string{"needs www.example.org. IN A 192.0.2.2", "add gate.example.org. IN A 10.0.0.2"}, "NXRRSET"},
		{"needs a name elsewhere", "dhcp.", []string{"needs www.example.net. ANY ANY"}, "NOTZONE"},
	} {
		t.Run(c.what, func(t *testing.T) {
			m := message(t, c.lines...)
			given := slices.Clone(before)
			after, err := Apply(tree(t), c.key, m, given)
			if diff := cmp.Diff(before, given); diff != "" {
				t.Errorf("what was given has been changed:\n%s", diff)
			}
			got := ""
			var refusal Refusal
			if errors.As(err, &refusal) {
				got = wire.Rcode(refusal).String()
			}
			var at []string
			for _, r := range after {
				if r.Name == strings.ToLower(m.Ns[len(m.Ns)-1].Header().Name) {
					at = append(at, fmt.Sprintf("%d %s %s", r.TTL, r.Type, r.Data))
				}
			}
			if err == nil {
				got = strings.Join(at, ", ")
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// FuzzApply: whatever a message says, what comes out lies where the key may write, and the zone can hold it.
func FuzzApply(f *testing.F) {
	for _, lines := range [][]string{{"add " + challenge + ` IN TXT "two"`}, {"drop " + challenge + " ANY ANY"}, {"needs www.example.org. NONE ANY", "add gate.example.org. IN CNAME www.example.org."}} {
		packet, err := message(f, lines...).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
	}
	in := tree(f)
	f.Fuzz(func(t *testing.T, packet []byte) {
		var m dns.Msg
		if m.Unpack(packet) != nil {
			return
		}
		after, err := Apply(in, "dhcp.", &m, nil)
		if err != nil {
			return
		}
		for _, r := range after {
			name, err := wire.ParseName(r.Name, wire.Root)
			kind, ok := wire.ParseType(r.Type)
			if err != nil || !ok || !in.MayUpdate("dhcp.", name, kind) {
				t.Fatalf("%+v was written: %v", r, err)
			}
			z := zone.Zone{Origin: "example.org", NameServers: []zone.NameServer{{Name: "ns"}}, Records: []zone.Record{r}}
			if err := zone.Check(z); err != nil {
				t.Fatalf("%+v cannot be served: %v", r, err)
			}
		}
	})
}
