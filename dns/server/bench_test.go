package server

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
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

// shapedZones are benchZone and what else the shapes ask for.
func shapedZones(services int) zone.Config {
	c := benchZone(services)
	z := &c.Zones[0]
	z.Services[7].Ports = []zone.Port{{Name: "http", Protocol: "tcp", Port: 80}}
	z.Records = append(z.Records,
		zone.Record{Name: "to-a-service", Type: "CNAME", Data: "s7"}, zone.Record{Name: "mail", Type: "MX", Data: "10 www"},
		zone.Record{Name: "a-name-that-is-rather-longer-than-most-are", Type: "CNAME", Data: "www"},
		zone.Record{Name: "chain", Type: "CNAME", Data: "a-name-that-is-rather-longer-than-most-are"},
	)
	c.Zones = append(c.Zones, zone.Zone{Origin: "upper.test", NameServers: z.NameServers, Records: []zone.Record{
		{Name: "sub", Type: "NS", Data: "a-server-with-a-name-that-is-long.sub"},
		{Name: "a-server-with-a-name-that-is-long.sub", Type: "A", Data: "192.0.2.9"},
	}})
	return c
}

var shapes = []struct {
	name  string
	qname string
	qtype uint16
	edns  bool
	want  string // how the response begins, as describe has it
}{
	{"static", "www.bench.test.", dns.TypeA, false, "NOERROR aa rd an:A*2"},
	{"static with EDNS", "www.bench.test.", dns.TypeA, true, "NOERROR aa rd an:A*2"},
	{"weighted", "s8.bench.test.", dns.TypeA, true, "NOERROR aa rd an:A"},
	{"wildcard", "foo.wild.bench.test.", dns.TypeA, true, "NOERROR aa rd an:A"},
	{"no data", "www.bench.test.", dns.TypeTXT, true, "NOERROR aa rd ns:SOA"},
	{"no such name", "nope.bench.test.", dns.TypeA, true, "NXDOMAIN aa rd ns:SOA"},
	{"SOA", "bench.test.", dns.TypeSOA, true, "NOERROR aa rd an:SOA"},
	{"refused", "www.example.org.", dns.TypeA, true, "REFUSED rd"},
	{"alias", "alias.bench.test.", dns.TypeA, true, "NOERROR aa rd an:CNAME,A*2"},
	{"alias of an alias", "chain.bench.test.", dns.TypeA, true, "NOERROR aa rd an:CNAME*2,A*2"},
	{"alias of a weighted", "to-a-service.bench.test.", dns.TypeA, true, "NOERROR aa rd an:CNAME,A"},
	{"SRV", "_x._tcp.bench.test.", dns.TypeSRV, true, "NOERROR aa rd an:SRV ar:A*2"},
	{"SRV of a weighted", "_http._tcp.s7.bench.test.", dns.TypeSRV, true, "NOERROR aa rd an:SRV ar:A"},
	{"NS", "bench.test.", dns.TypeNS, true, "NOERROR aa rd an:NS ar:A"},
	{"MX", "mail.bench.test.", dns.TypeMX, true, "NOERROR aa rd an:MX"},
	{"referral", "x.sub.upper.test.", dns.TypeA, true, "NOERROR rd ns:NS ar:A"},
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

// TestAllocations: a query of any of these shapes costs no memory.
func TestAllocations(t *testing.T) {
	r := testResponder(t, shapedZones(100))
	out := make([]byte, 0, maxUDPSize)
	for _, shape := range shapes {
		packet := packed(t, shape.qname, shape.qtype, shape.edns)
		if got := describe(r.respond(out, packet, client, overUDP)); !strings.HasPrefix(got, shape.want) {
			t.Errorf("%s: %s, want %s", shape.name, got, shape.want)
		}
		got := testing.AllocsPerRun(200, func() {
			if len(r.respond(out, packet, client, overUDP)) == 0 {
				t.Fatal("no response")
			}
		})
		if got > 0 {
			t.Errorf("%s: %v allocations", shape.name, got)
		}
	}
}

// BenchmarkRespond is the cost of a query without the kernel: parse, resolve, write.
func BenchmarkRespond(b *testing.B) {
	r := testResponder(b, shapedZones(10000))
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
