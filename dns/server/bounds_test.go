package server

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/zone"
)

// What anybody can make up more of is counted as one answer: names that a wildcard or a delegation answers, and types
// that an alias or a name without data does.
func TestRateLimitCountsMadeUpQuestionsAsOne(t *testing.T) {
	c := zone.Config{Serial: 1, Seed: 1, Zones: []zone.Zone{{Origin: "c.test",
		NameServers: []zone.NameServer{{Name: "ns.example."}},
		Records: []zone.Record{
			{Name: "*.wild", Type: "TXT", Data: `"a long text"`},
			{Name: "alias", Type: "CNAME", Data: "www.example."},
			{Name: "one", Type: "A", Data: "192.0.2.1"},
			{Name: "child", Type: "NS", Data: "ns.example."},
		}}}}
	for what, question := range map[string]func(i int) (string, uint16){
		"a wildcard":              func(i int) (string, uint16) { return fmt.Sprintf("x%d.wild.c.test.", i), dns.TypeTXT },
		"a wildcard, no data":     func(i int) (string, uint16) { return fmt.Sprintf("x%d.wild.c.test.", i), dns.TypeA },
		"a delegation":            func(i int) (string, uint16) { return fmt.Sprintf("x%d.child.c.test.", i), dns.TypeA },
		"an alias":                func(i int) (string, uint16) { return "alias.c.test.", uint16(1000 + i) },
		"a name without data":     func(i int) (string, uint16) { return "one.c.test.", uint16(1000 + i) },
		"names that do not exist": func(i int) (string, uint16) { return fmt.Sprintf("x%d.c.test.", i), dns.TypeA },
	} {
		s, err := New(Config{Listen: []string{":0"}, Snapshot: storeOf(t, c), ResponsesPerSecond: 20})
		if err != nil {
			t.Fatal(err)
		}
		r := newResponder(s.settings, s.newCounters())
		r.tick(time.Unix(1e9, 0))
		full := 0
		for i := range 500 {
			name, kind := question(i)
			response := r.respond(nil, packed(t, name, kind, false),
				netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(1024+i)), overUDP)
			if len(response) > 0 && response[2]&2 == 0 {
				full++
			}
		}
		if full != 20 {
			t.Errorf("%s: %d of 500 answers are full, want 20", what, full)
		}
	}
}

// Connections that are stuck, idle, in the middle of a query or of the next, keep out nobody who has few.
func TestStuckConnectionsKeepOutNobody(t *testing.T) {
	s := start(t, Config{Snapshot: storeOf(t, probeZone(t)), MaxConnections: 60, IdleTimeout: time.Minute})
	query := packed(t, "www.c.test.", dns.TypeA, false)
	for i := range 12 * 10 {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%12))}, Timeout: 10 * time.Second}
		c, err := dialer.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_, _ = c.Write([][]byte{nil, {0}, {0xff, 0xff, 1, 2}, framed(query)[:10]}[i%4]) // it may be closed already
	}
	for i := range 50 {
		if askTCP(t, s.Addr(), query) == nil {
			t.Fatalf("honest query %d is not answered", i)
		}
	}
}
