package server

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/zone"
)

// start runs a server on a free port of the loopback address and stops it with the test.
func start(t testing.TB, c Config) *Server {
	t.Helper()
	if c.Listen == nil {
		c.Listen = []string{"127.0.0.1:0"}
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// storeOf publishes one configuration.
func storeOf(t testing.TB, c zone.Config) *zone.Store {
	t.Helper()
	store := zone.NewStore()
	if err := store.Set(c); err != nil {
		t.Fatal(err)
	}
	return store
}

// probeZone is testdata/c.test.zone, the zone that the peers served.
func probeZone(t testing.TB) zone.Config {
	t.Helper()
	f, err := os.Open("testdata/c.test.zone")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zone.Zone{Origin: "c.test", TTL: 300}
	parser := dns.NewZoneParser(f, "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		h := rr.Header()
		switch v := rr.(type) {
		case *dns.SOA:
			z.SOA = zone.SOA{Primary: v.Ns, Mailbox: v.Mbox, Refresh: v.Refresh, Retry: v.Retry, Expire: v.Expire, Minimum: v.Minttl, TTL: h.Ttl}
			continue
		case *dns.NS:
			if h.Name == "c.test." {
				z.NameServers = append(z.NameServers, zone.NameServer{Name: v.Ns})
				continue
			}
		}
		z.Records = append(z.Records, zone.Record{
			Name: h.Name, Type: dns.TypeToString[h.Rrtype], TTL: h.Ttl, Data: rr.String()[len(h.String()):],
		})
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return zone.Config{Serial: 1, Seed: 1, Zones: []zone.Zone{z}}
}

// askUDP sends one packet; nil means that no response came. A second, well-formed query from the same socket tells
// silence from delay.
func askUDP(t testing.TB, to netip.AddrPort, packet []byte) []byte {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	sentinel := []byte{0xfe, 0xed, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1} // SOA of the root: always refused
	for _, p := range [][]byte{packet, sentinel} {
		if _, err := conn.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 65535)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatalf("the server has gone silent: %v", err)
	}
	if n >= 2 && binary.BigEndian.Uint16(buf) == 0xfeed {
		return nil
	}
	return buf[:n]
}

// askTCP sends one packet on a connection of its own; nil means that the server closed it.
func askTCP(t testing.TB, to netip.AddrPort, packet []byte) []byte {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(framed(packet)); err != nil {
		return nil // closed already
	}
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil
	}
	buf := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		t.Fatal(err)
	}
	return buf
}
