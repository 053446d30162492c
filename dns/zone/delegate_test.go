package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/wire"
)

// TestZonesBelowZones: a zone hands names over to the zones below it, whatever comes and goes, however it is built.
func TestZonesBelowZones(t *testing.T) {
	private, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	server := []NameServer{{Name: "ns1", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}}
	parent := Zone{Origin: "example.org", NameServers: server}
	child := Zone{Origin: "a.eu.example.org", NameServers: server}
	signed := child
	signed.Keys = []Key{{Private: private, Stage: sign.Active}}
	busy := parent
	busy.Services = []Service{{Name: "a.eu"}}
	told := parent
	told.Records = []Record{{Name: "a.eu", Type: "NS", Data: "elsewhere.example."}}
	below := parent
	below.Records = []Record{{Name: "www.a.eu", Type: "A", Data: "192.0.2.1"}}
	nothing := "nothing"
	delegated := "a.eu.example.org: NS; eu.example.org: ; ns1.a.eu.example.org: A"
	for _, step := range []struct {
		what  string
		zones []Zone
		want  string // of the zone above
	}{
		{"the zone above alone", []Zone{parent}, nothing},
		{"with one below", []Zone{parent, child}, delegated},
		{"that is signed", []Zone{parent, signed}, strings.Replace(delegated, "NS;", "NS DS;", 1)},
		{"no longer", []Zone{child, parent}, delegated},
		{"a service comes to be there", []Zone{busy, child}, "a.eu.example.org: ; eu.example.org: ; ns1.a.eu.example.org: A"},
		{"and goes", []Zone{parent, child}, delegated},
		{"the zone says itself to whom", []Zone{told, signed}, delegated},
		{"names below", []Zone{below, child}, delegated + "; www.a.eu.example.org: A"},
		{"the one below goes", []Zone{parent}, nothing},
		{"another one between", []Zone{parent, child, {Origin: "eu.example.org", NameServers: []NameServer{{Name: "ns.example.net."}}}}, "eu.example.org: NS"},
	} {
		built, err := Build(Config{Serial: 1, Zones: step.zones})
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if got := namesBelow(built); got != step.want {
			t.Errorf("%s: got %s, want %s", step.what, got, step.want)
		}
		for _, before := range [][]Zone{{parent}, {parent, child}, {busy, child}, {told, signed}} {
			store := NewStore()
			if err := store.Set(Config{Serial: 1, Zones: before}); err != nil {
				t.Fatal(err)
			}
			if err := store.Set(Config{Serial: 2, Zones: step.zones}); err != nil {
				t.Fatal(err)
			}
			s := store.Snapshot()
			if got := namesBelow(s); got != step.want {
				t.Errorf("%s, on top of others: got %s, want %s", step.what, got, step.want)
			}
			want, _ := built.Tree(mustName(t, "example.org.")), 0
			if got := s.Tree(want.Origin); got.cuts != want.cuts || got.Len() != want.Len() {
				t.Errorf("%s, on top of others: %d cuts and %d names, want %d and %d", step.what, got.cuts, got.Len(), want.cuts, want.Len())
			}
		}
	}
}

func mustName(t *testing.T, text string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(text, wire.Root)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// namesBelow lists the names of example.org that end with eu, and their types.
func namesBelow(s *Snapshot) string {
	var lines []string
	for _, t := range s.Trees() {
		if t.Origin.String() != "example.org." {
			continue
		}
		for name, n := range t.Names {
			if text := strings.TrimSuffix(name.String(), "."); strings.HasSuffix(text, "eu.example.org") {
				var types []string
				for i := range n.sets {
					types = append(types, n.sets[i].Type.String())
				}
				lines = append(lines, fmt.Sprintf("%s: %s", text, strings.Join(types, " ")))
			}
		}
	}
	if len(lines) == 0 {
		return "nothing"
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}
