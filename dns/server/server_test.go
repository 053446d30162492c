package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hanse-federation/hanse/dns/zone"
)

func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func framed(packet []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
}

func readFrame(t testing.TB, c net.Conn) []byte {
	t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(c, buf); err != nil {
		t.Fatal(err)
	}
	return buf
}

// isClosed waits until the other side closes.
func isClosed(c net.Conn) bool {
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// TestPipelining: a thousand queries in one write, cut anywhere, are all answered on one connection (RFC 7766 section
// 6.2.1.1).
func TestPipelining(t *testing.T) {
	s := start(t, Config{Snapshot: storeOf(t, probeZone(t))})
	c := dial(t, s)
	var all []byte
	for i := range 1000 {
		packet := packed(t, "big.c.test.", dns.TypeA, i%2 == 0)
		binary.BigEndian.PutUint16(packet, uint16(i))
		all = append(all, framed(packet)...)
	}
	go func() {
		for len(all) > 0 {
			n := min(len(all), 777)
			if _, err := c.Write(all[:n]); err != nil {
				return
			}
			all = all[n:]
		}
	}()
	for i := range 1000 {
		var m dns.Msg
		if err := m.Unpack(readFrame(t, c)); err != nil {
			t.Fatal(err)
		}
		if int(m.Id) != i || len(m.Answer) != 60 {
			t.Fatalf("response %d has ID %d and %d records", i, m.Id, len(m.Answer))
		}
	}
}

// TestIdleConnections: one that asks nothing, and one that begins a query and never ends it, are closed.
func TestIdleConnections(t *testing.T) {
	s := start(t, Config{Snapshot: storeOf(t, probeZone(t)), IdleTimeout: 50 * time.Millisecond})
	if !isClosed(dial(t, s)) {
		t.Error("an idle connection stays")
	}
	slow := dial(t, s)
	if _, err := slow.Write([]byte{0xff, 0xff, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if !isClosed(slow) {
		t.Error("a connection that never ends its query stays")
	}
	deadline := time.Now().Add(10 * time.Second)
	for askTCP(t, s.Addr(), packed(t, "www.c.test.", dns.TypeA, false)) == nil { // a slow machine may be idle for too long itself
		if time.Now().After(deadline) {
			t.Fatal("no response afterwards")
		}
	}
}

// TestConnectionLimits: over the limit of one client connections are refused; over the limit of all, the one idle
// longest goes.
func TestConnectionLimits(t *testing.T) {
	query := packed(t, "www.c.test.", dns.TypeA, false)
	t.Run("client", func(t *testing.T) {
		s := start(t, Config{Snapshot: storeOf(t, probeZone(t)), MaxConnectionsPerClient: 3, IdleTimeout: time.Minute})
		var open []net.Conn
		for range 3 {
			c := dial(t, s)
			c.Write(framed(query))
			readFrame(t, c)
			open = append(open, c)
		}
		if !isClosed(dial(t, s)) {
			t.Error("a fourth connection is served")
		}
		open[0].Close()
		deadline := time.Now().Add(10 * time.Second)
		for askTCP(t, s.Addr(), query) == nil {
			if time.Now().After(deadline) {
				t.Fatal("no connection is served after one was closed")
			}
		}
	})
	t.Run("all", func(t *testing.T) {
		s := start(t, Config{Snapshot: storeOf(t, probeZone(t)), MaxConnections: 3, IdleTimeout: time.Minute})
		var open []net.Conn
		for i := range 4 {
			c := dial(t, s)
			c.Write(framed(query))
			readFrame(t, c)
			open = append(open, c)
			waitIdle(t, s, min(i+1, 3)) // the response is there a moment before the connection counts as idle
		}
		if !isClosed(open[0]) {
			t.Error("the connection idle longest stays")
		}
		for _, c := range open[1:] {
			c.Write(framed(query))
			readFrame(t, c)
		}
	})
}

// waitIdle waits until n connections are idle.
func waitIdle(t *testing.T, s *Server, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		idle := 0
		s.conns.mu.Lock()
		for c := range s.conns.open {
			if c.isIdle {
				idle++
			}
		}
		s.conns.mu.Unlock()
		if idle == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are idle, want %d", idle, n)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestAnyAddress: bound to every address, the response leaves from the one that was asked.
func TestAnyAddress(t *testing.T) {
	s := start(t, Config{Snapshot: storeOf(t, probeZone(t)), Listen: []string{":0"}})
	for _, host := range []string{"127.0.0.1", "127.0.0.53", "::1"} {
		at := netip.AddrPortFrom(netip.MustParseAddr(host), s.Addr().Port())
		c, err := net.Dial("udp", at.String())
		if err != nil {
			t.Logf("skipping %s: %v", host, err)
			continue
		}
		c.Close()
		// A connected socket takes packets from its peer only.
		if got := describe(askUDP(t, at, packed(t, "www.c.test.", dns.TypeA, false))); !strings.HasPrefix(got, "NOERROR aa rd an:A") {
			t.Errorf("%s: %s", host, got)
		}
	}
}

// certificate is one for dns.test that nobody has signed.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"dns.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestTLS is DNS over TLS.
func TestTLS(t *testing.T) {
	served := certificate(t)
	s := start(t, Config{
		Snapshot: storeOf(t, probeZone(t)), ListenTLS: []string{"127.0.0.1:0"},
		TLS: &tls.Config{Certificates: []tls.Certificate{served}},
	})
	cert, err := x509.ParseCertificate(served.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	c, err := tls.Dial("tcp", s.AddrTLS().String(), &tls.Config{RootCAs: roots, ServerName: "dns.test", NextProtos: []string{"dot"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	c.Write(framed(packed(t, "big.c.test.", dns.TypeA, false)))
	if got := describe(readFrame(t, c)); got != "NOERROR aa rd an:A*60 [988]" {
		t.Errorf("got %s", got)
	}
}

// TestReload publishes snapshots as fast as it can under queries: none is lost, and none is answered from two
// snapshots.
func TestReload(t *testing.T) {
	config := func(serial uint32) zone.Config {
		c := probeZone(t)
		c.Serial = serial
		c.Zones[0].Records = append(c.Zones[0].Records, zone.Record{Name: "serial", Type: "TXT", Data: fmt.Sprint(serial)})
		return c
	}
	store := storeOf(t, config(1))
	s := start(t, Config{Snapshot: store})
	stop := make(chan struct{})
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for serial := uint32(2); ; serial++ {
			select {
			case <-stop:
				return
			default:
			}
			name := "serial.c.test."
			if err := store.Update(serial, zone.Change{Origin: "c.test", Name: name, Records: []zone.Record{
				{Name: name, Type: "TXT", Data: fmt.Sprint(serial)},
			}}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var c dns.Client
	last := uint64(0)
	for range 2000 {
		var q dns.Msg
		q.SetQuestion("serial.c.test.", dns.TypeTXT)
		m, _, err := c.Exchange(&q, s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Answer) != 1 {
			t.Fatalf("%v", m)
		}
		var serial uint64
		fmt.Sscan(m.Answer[0].(*dns.TXT).Txt[0], &serial)
		if serial < last {
			t.Fatalf("serial %d after %d", serial, last)
		}
		last = serial
	}
	close(stop)
	publisher.Wait()
	if last < 10 {
		t.Errorf("only %d snapshots were published meanwhile", last)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, Config{Snapshot: storeOf(t, probeZone(t)), Registerer: registry})
	askUDP(t, s.Addr(), packed(t, "www.c.test.", dns.TypeA, false))
	askTCP(t, s.Addr(), packed(t, "nope.c.test.", dns.TypeSRV, false))
	askUDP(t, s.Addr(), []byte{1})
	got := gathered(t, registry)
	for end := time.Now().Add(5 * time.Second); got["hanse_dns_response_seconds tcp"] == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the time is noted after the response has gone
		got = gathered(t, registry)
	}
	for key, want := range map[string]float64{
		"hanse_dns_responses_total NOERROR udp A c.test.":    1,
		"hanse_dns_responses_total NXDOMAIN tcp SRV c.test.": 1,
		"hanse_dns_response_seconds tcp":                     1,
		"hanse_dns_dropped_total invalid":                    1, "hanse_dns_snapshot_loaded": 1, "hanse_dns_snapshot_serial": 1,
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v (%v)", key, got[key], want, got)
		}
	}
	s.Close()
	if err := registry.Register(s); err != nil {
		t.Errorf("the metrics stay registered after Close: %v", err)
	}
}

// TestAgeIsMeasured: the age grows from when the zones were last said to hold.
func TestAgeIsMeasured(t *testing.T) {
	registry := prometheus.NewRegistry()
	var heard time.Time
	start(t, Config{
		Snapshot: storeOf(t, probeZone(t)), Registerer: registry,
		Heard: func() time.Time { return heard }, Now: func() time.Time { return time.Unix(1090, 0) },
	})
	for _, step := range []struct {
		heard time.Time
		want  float64
	}{{time.Time{}, -1}, {time.Unix(1000, 0), 90}, {time.Unix(1090, 0), 0}} {
		heard = step.heard
		if got := gathered(t, registry)["hanse_dns_snapshot_age_seconds"]; got != step.want {
			t.Errorf("heard %v: the age is %v, want %v", step.heard, got, step.want)
		}
	}
}

// gathered are all values, by the name and the labels of the metric.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			key := f.GetName()
			for _, l := range m.Label {
				key += " " + l.GetValue()
			}
			got[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() +
				float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}

func TestConfig(t *testing.T) {
	store := zone.NewStore()
	for want, c := range map[string]Config{
		"Listen: at least one":         {Snapshot: store},
		"Listen[0]":                    {Listen: []string{"nonsense"}, Snapshot: store},
		"Snapshot: is required":        {Listen: []string{":0"}},
		"UDPSize: 100 is not":          {Listen: []string{":0"}, Snapshot: store, UDPSize: 100},
		"TLS: is required":             {ListenTLS: []string{":0"}, Snapshot: store},
		"must not be negative":         {Listen: []string{":0"}, Snapshot: store, Workers: -1},
		"ListenTLS[0]: address nons":   {ListenTLS: []string{"nonsense"}, Snapshot: store, TLS: &tls.Config{}},
		"ResponsesPerSecond: must not": {Listen: []string{":0"}, Snapshot: store, ResponsesPerSecond: -1},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestPortInUse: the error says which address, and nothing stays open.
func TestPortInUse(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s, err := New(Config{Listen: []string{"127.0.0.1:0", taken.LocalAddr().String()}, Snapshot: zone.NewStore()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil || !strings.Contains(err.Error(), taken.LocalAddr().String()) {
		t.Fatalf("got %v", err)
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("the first address is still open")
	}
}
