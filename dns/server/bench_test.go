package server

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/zone"
)

// benchZone has static and balanced names.
func benchZone(services int) zone.Config {
	z := zone.Zone{
		Origin:      "bench.test",
		NameServers: []zone.NameServer{{Name: "ns1", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}},
		Records: []zone.Record{
			{Name: "www", Type: "A", Data: "192.0.2.1"}, {Name: "www", Type: "A", Data: "192.0.2.2"},
			{Name: "alias", Type: "CNAME", Data: "www"}, {Name: "_x._tcp", Type: "SRV", Data: "0 0 80 www"},
			{Name: "*.wild", Type: "A", Data: "192.0.2.3"},
		},
	}
	for i := range services {
		s := zone.Service{Name: fmt.Sprintf("s%d", i)}
		for c := range 3 {
			s.Targets = append(s.Targets, zone.Target{
				Cluster: fmt.Sprintf("c%d", c), Weight: uint32(3 - c), Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(c), byte(i >> 8), byte(i)})},
			})
		}
		z.Services = append(z.Services, s)
	}
	return zone.Config{Serial: 1, Seed: 1, Zones: []zone.Zone{z}}
}

var shapes = []struct {
	name   string
	qname  string
	qtype  uint16
	edns   bool
	allocs float64
}{
	{"static", "www.bench.test.", dns.TypeA, false, 0},
	{"static with EDNS", "www.bench.test.", dns.TypeA, true, 0},
	{"weighted", "s7.bench.test.", dns.TypeA, true, 0},
	{"wildcard", "foo.wild.bench.test.", dns.TypeA, true, 0},
	{"no data", "www.bench.test.", dns.TypeTXT, true, 0},
	{"no such name", "nope.bench.test.", dns.TypeA, true, 0},
	{"SOA", "bench.test.", dns.TypeSOA, true, 0},
	{"refused", "www.example.org.", dns.TypeA, true, 0},
	{"alias", "alias.bench.test.", dns.TypeA, true, 2},
	{"SRV", "_x._tcp.bench.test.", dns.TypeSRV, true, 2},
}

func packed(t testing.TB, name string, qtype uint16, edns bool) []byte {
	t.Helper()
	var m dns.Msg
	m.SetQuestion(name, qtype)
	if edns {
		m.SetEdns0(1232, false)
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

func testResponder(t testing.TB, c zone.Config) *responder {
	t.Helper()
	s, err := New(Config{Listen: []string{"127.0.0.1:0"}, Snapshot: storeOf(t, c)})
	if err != nil {
		t.Fatal(err)
	}
	r := newResponder(s.settings, s.newCounters())
	r.tick(time.Unix(1e9, 0))
	return r
}

var client = netip.MustParseAddrPort("192.0.2.200:5353")

// TestAllocations: a query of a common shape costs no memory.
func TestAllocations(t *testing.T) {
	r := testResponder(t, benchZone(100))
	out := make([]byte, 0, maxUDPSize)
	for _, shape := range shapes {
		packet := packed(t, shape.qname, shape.qtype, shape.edns)
		got := testing.AllocsPerRun(200, func() {
			if len(r.respond(out, packet, client, overUDP)) == 0 {
				t.Fatal("no response")
			}
		})
		if got > shape.allocs {
			t.Errorf("%s: %v allocations, want at most %v", shape.name, got, shape.allocs)
		}
	}
}

// BenchmarkRespond is the cost of a query without the kernel: parse, resolve, write.
func BenchmarkRespond(b *testing.B) {
	r := testResponder(b, benchZone(10000))
	out := make([]byte, 0, maxUDPSize)
	for _, shape := range shapes {
		packet := packed(b, shape.qname, shape.qtype, shape.edns)
		b.Run(shape.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.respond(out, packet, client, overUDP)
			}
		})
	}
}

// BenchmarkManyNames asks for all names of a large zone in a random order, so that memory is not in the caches.
func BenchmarkManyNames(b *testing.B) {
	const services = 100000
	r := testResponder(b, benchZone(services))
	out := make([]byte, 0, maxUDPSize)
	packets := make([][]byte, services)
	for i := range packets {
		packets[i] = packed(b, fmt.Sprintf("s%d.bench.test.", i), dns.TypeA, true)
	}
	rand.Shuffle(len(packets), func(i, j int) { packets[i], packets[j] = packets[j], packets[i] })
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.respond(out, packets[i%services], client, overUDP)
	}
}
