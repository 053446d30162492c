package zone

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/wire"
)

// FuzzZone builds a zone from what a user may write: either it is refused, or it is served by the rules, says the same
// when it is saved and loaded, and reads back with another codec.
func FuzzZone(f *testing.F) {
	for _, s := range [][4]string{
		{"www", "A", "192.0.2.1", "app"}, {"@", "MX", "10 mail", "app"}, {"a.b.c", "TXT", `"x" "y\"z"`, "*.w"},
		{"*.w", "CNAME", "www", "x"}, {"sub", "NS", "ns.sub", "app.sub"}, {`a\.b\032`, "AAAA", "2001:db8::1", `\*`},
		{"_x._tcp", "SRV", "1 2 3 www", "app"}, {"h", "HTTPS", "1 . alpn=h2 ipv4hint=192.0.2.1", "h"},
		{"c", "CAA", `0 issue "ca.example"`, "@"}, {"d", "DS", "1 13 2 " + strings.Repeat("AB", 32), "d"},
		{"n", "NAPTR", `100 10 "U" "E2U+sip" "!^.*$!sip:info@example.com!" .`, "n"}, {"u", "URI", `10 1 "https://x"`, "u"},
		{"t", "TLSA", "3 1 1 " + strings.Repeat("cd", 32), "t"}, {"s", "SSHFP", "4 2 " + strings.Repeat("ef", 32), "s"},
	} {
		f.Add(s[0], s[1], s[2], s[3], "host.example.", uint32(60), uint32(3))
	}
	f.Fuzz(func(t *testing.T, name, kind, data, service, host string, ttl, weight uint32) {
		z := good()
		z.Records = append(z.Records, Record{Name: name, Type: kind, Data: data, TTL: ttl})
		z.Services = append(z.Services, Service{
			Name: service, TTL: ttl, PortsAtName: weight%2 == 0,
			Ports: []Port{{Name: "p", Protocol: "tcp", Port: uint16(weight)}},
			Targets: []Target{
				{Cluster: "a", Weight: weight, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7")}},
				{Cluster: "b", Weight: 1, Hostname: host},
			},
		})
		s, err := Build(Config{Serial: 1, Seed: 1, Zones: []Zone{z}})
		if err != nil {
			if s != nil {
				t.Fatal("a refused configuration has a snapshot")
			}
			return
		}
		sets := checkNames(t, s)
		if again := checkNames(t, saved(t, s)); !slices.Equal(sets, again) {
			t.Fatalf("saved and loaded the zone is another\nbefore %q\nafter  %q", sets, again)
		}
	})
}

// saved is a snapshot after it has been a file.
func saved(t *testing.T, s *Snapshot) *Snapshot {
	t.Helper()
	c, err := s.Config()
	if err != nil {
		t.Fatal(err)
	}
	file, err := Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = Unmarshal(file); err != nil {
		t.Fatal(err)
	}
	again, err := Build(c)
	if err != nil {
		t.Fatalf("what was saved is refused: %v\n%s", err, file)
	}
	return again
}

// checkNames looks at what must hold for every name that exists, and gives all records, sorted.
func checkNames(t *testing.T, s *Snapshot) (all []string) {
	t.Helper()
	for _, tree := range s.Trees() {
		for name, n := range tree.Names {
			if !name.IsAtOrBelow(tree.Origin) || len(name) > wire.MaxName {
				t.Fatalf("%s is in the zone %s", name, tree.Origin)
			}
			if name != tree.Origin && tree.Node([]byte(name.Parent())) == nil {
				t.Fatalf("%s exists, and the name above it does not", name)
			}
			for _, set := range n.Copied() {
				for data := range set.All {
					all = append(all, string(name)+checkRecord(t, name, set, data))
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// checkRecord reads a record with the other codec, which must write it the same.
func checkRecord(t *testing.T, name wire.Name, set *wire.RRset, data []byte) string {
	t.Helper()
	record := append([]byte(name), wire.AppendRecord(nil, set.Type, set.TTL, data)[2:]...)
	rr, end, err := dns.UnpackRR(record, 0)
	if err != nil || end != len(record) {
		t.Fatalf("%s %s: the other codec reads %d of %d octets, %v", name, set.Type, end, len(record), err)
	}
	back := make([]byte, len(record)+1)
	end, err = dns.PackRR(rr, back, 0, nil, false)
	if err != nil || !bytes.Equal(back[:end], record) {
		t.Fatalf("%s: the other codec writes %x, %v, not %x", rr, back[:end], err, record)
	}
	return string(record[len(name):])
}

// FuzzUnmarshal reads a file that somebody has damaged or made up, with the right checksum: it is refused, or what it
// says is marshalled to something that says the same.
func FuzzUnmarshal(f *testing.F) {
	file, err := Marshal(Config{Serial: 7, Zones: []Zone{good()}})
	if err != nil {
		f.Fatal(err)
	}
	body := file[len(fileHead)+2*sha256.Size+1:]
	f.Add(body)
	f.Add(body[:len(body)/2])
	f.Add(body[:len(body)-1])
	f.Add(append(body, 0))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := Unmarshal(append(append(checksum([]byte(fileHead), body), '\n'), body...))
		if err != nil {
			return
		}
		file, err := Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Unmarshal(file)
		if err != nil {
			t.Fatal(err)
		}
		equal := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		equalPrefix := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
		if diff := cmp.Diff(c, again, equal, equalPrefix, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-first,+again):\n%s", diff)
		}
	})
}
