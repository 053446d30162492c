package server

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/zone"
)

const (
	testKey    = "secondary.test."
	testSecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
)

var keys = zone.Transfer{Keys: []zone.TSIGKey{{Name: testKey, Secret: testSecret}}}

// transferring is a configuration whose zones may be copied.
func transferring(c zone.Config, t zone.Transfer) zone.Config {
	for i := range c.Zones {
		c.Zones[i].Transfer = t
	}
	return c
}

// transferred copies a zone with the client of the other codec, which checks every signature.
func transferred(s *Server, q *dns.Msg, secret string) (records []string, err error) {
	transfer := dns.Transfer{ReadTimeout: 10 * time.Second}
	if secret != "" {
		q.SetTsig(testKey, dns.HmacSHA256, 300, time.Now().Unix())
		transfer.TsigSecret = map[string]string{testKey: secret}
	}
	messages, err := transfer.In(q, s.Addr().String())
	if err != nil {
		return nil, err
	}
	for m := range messages {
		if m.Error != nil {
			err = m.Error
		}
		for _, rr := range m.RR {
			records = append(records, strings.ToLower(rr.String()))
		}
	}
	return records, err
}

func axfr(name string) *dns.Msg {
	var q dns.Msg
	return q.SetAxfr(name)
}

// TestTransfer: a zone of several messages arrives whole, between two SOA records, balanced names with all their
// targets.
func TestTransfer(t *testing.T) {
	c := transferring(benchZone(5000), keys)
	store := storeOf(t, c)
	s := start(t, Config{Snapshot: store})
	for what, secret := range map[string]string{"": "no signature", "d3Jvbmctd3JvbmctIHdyb25nLXdyb25nLXdyb25nISE=": "a wrong signature"} {
		if records, err := transferred(s, axfr("bench.test."), what); err == nil || len(records) > 0 {
			t.Errorf("%s: %d records, %v", secret, len(records), err)
		}
	}
	got, err := transferred(s, axfr("bench.test."), testSecret)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got[0], "\tsoa\t") || got[0] != got[len(got)-1] {
		t.Errorf("begins with %s and ends with %s", got[0], got[len(got)-1])
	}
	// NS, the server's address, 2 www, alias, SRV, wildcard; and three addresses for each service.
	if want := 2 + 7 + 3*5000; len(got) != want {
		t.Errorf("%d records, want %d", len(got), want)
	}
	for _, want := range []string{
		"alias.bench.test.\t30\tin\tcname\twww.bench.test.", "_x._tcp.bench.test.\t30\tin\tsrv\t0 0 80 www.bench.test.",
		"*.wild.bench.test.\t30\tin\ta\t192.0.2.3", "s4999.bench.test.\t30\tin\ta\t10.2.19.135",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	slices.Sort(got)
	if n := len(slices.Compact(got)); n != len(got)-1 {
		t.Errorf("%d different records of %d", n, len(got))
	}
	if _, err := transferred(s, axfr("other.test."), testSecret); err == nil {
		t.Error("a zone that is not ours was transferred")
	}
	var ixfr dns.Msg
	ixfr.SetIxfr("bench.test.", 1, "ns1.bench.test.", "hostmaster.bench.test.")
	if got, err := transferred(s, &ixfr, testSecret); err != nil || len(got) != 1 {
		t.Errorf("IXFR of the current serial: %d records, %v", len(got), err)
	}
}

func TestTransferByAddress(t *testing.T) {
	for prefix, allowed := range map[string]bool{"127.0.0.0/8": true, "192.0.2.0/24": false} {
		allow := zone.Transfer{Allow: []netip.Prefix{netip.MustParsePrefix(prefix)}}
		s := start(t, Config{Snapshot: storeOf(t, transferring(probeZone(t), allow))})
		if got, err := transferred(s, axfr("c.test."), ""); (err == nil) != allowed || (len(got) > 70) != allowed {
			t.Errorf("%s: %d records, %v", prefix, len(got), err)
		}
	}
}

// TestSignedQueries: the check before a transfer, over UDP and TCP, also of answers that do not fit.
func TestSignedQueries(t *testing.T) {
	s := start(t, Config{Snapshot: storeOf(t, transferring(probeZone(t), keys))})
	ask := func(network, name, key, algorithm, secret string, qtype uint16) (*dns.Msg, error) {
		var q dns.Msg
		q.SetQuestion(name, qtype)
		q.SetTsig(key, algorithm, 300, time.Now().Unix())
		c := dns.Client{Net: network, TsigSecret: map[string]string{key: secret}}
		m, _, err := c.Exchange(&q, s.Addr().String())
		return m, err
	}
	for _, network := range []string{"udp", "tcp"} {
		m, err := ask(network, "c.test.", testKey, dns.HmacSHA256, testSecret, dns.TypeSOA)
		if err != nil || len(m.Answer) != 1 || m.IsTsig() == nil {
			t.Errorf("%s: %v, %v", network, m, err)
		}
		m, err = ask(network, "big.c.test.", testKey, dns.HmacSHA256, testSecret, dns.TypeA)
		if err != nil || m.Truncated != (network == "udp") {
			t.Errorf("%s: truncated %v, %v", network, m != nil && m.Truncated, err)
		}
		for what, code := range map[string]uint16{
			"unknown.test. hmac-sha256.": dns.RcodeBadKey,
			testKey + " hmac-sha1.":      dns.RcodeBadKey,
			testKey + " hmac-sha256.":    dns.RcodeBadSig,
		} {
			f := strings.Fields(what)
			m, err := ask(network, "c.test.", f[0], f[1], "d3Jvbmctd3JvbmctIHdyb25nLXdyb25nLXdyb25nISE=", dns.TypeSOA)
			if m == nil || m.Rcode != dns.RcodeNotAuth || m.IsTsig() == nil || m.IsTsig().Error != code || len(m.Answer) > 0 {
				t.Errorf("%s %s: %v, %v", network, what, m, err)
			}
		}
	}
}

// TestNotify: a secondary hears of the first snapshot and of the next, signed, and again until it answers.
func TestNotify(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 100)
	var ignored atomic.Bool // the first message, as a lost one would be
	secondary := &dns.Server{PacketConn: pc, TsigSecret: map[string]string{testKey: testSecret}, MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			if !ignored.Swap(true) {
				return
			}
			heard <- fmt.Sprint(dns.OpcodeToString[q.Opcode], " ", q.Question[0].Name, " ", q.IsTsig() != nil && w.TsigStatus() == nil)
			var m dns.Msg
			m.SetReply(q)
			m.SetTsig(testKey, dns.HmacSHA256, 300, time.Now().Unix())
			w.WriteMsg(&m)
		})}
	go secondary.ActivateAndServe()
	defer secondary.Shutdown()
	c := transferring(probeZone(t), zone.Transfer{Keys: keys.Keys, Notify: []string{pc.LocalAddr().String()}})
	store := storeOf(t, c)
	start(t, Config{Snapshot: store})
	for serial := range uint32(2) {
		select {
		case got := <-heard:
			if got != "NOTIFY c.test. true" {
				t.Errorf("got %s", got)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("nothing heard of snapshot %d", serial+1)
		}
		if err := store.Update(serial+2, zone.Change{Origin: "c.test", Name: "new", Records: []zone.Record{{Name: "new", Type: "TXT", Data: "x"}}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPortZero: nobody can have sent it, so nobody is answered.
func TestPortZero(t *testing.T) {
	r := testResponder(t, probeZone(t))
	packet := packed(t, "www.c.test.", dns.TypeA, false)
	if out := r.respond(nil, packet, netip.MustParseAddrPort("192.0.2.1:0"), overUDP); len(out) > 0 {
		t.Error("answered")
	}
	if out := r.respond(nil, packet, netip.MustParseAddrPort("192.0.2.1:1"), overUDP); len(out) == 0 {
		t.Error("not answered")
	}
}

// TestReferralNeedsItsGlue: addresses inside a delegated zone must be there or the response is truncated (RFC 9471);
// those beside it may be left out.
func TestReferralNeedsItsGlue(t *testing.T) {
	c := probeZone(t)
	z := &c.Zones[0]
	for i := range 20 {
		for _, cut := range []string{"inside", "beside"} {
			host := fmt.Sprintf("a-rather-long-name-%d.%s", i, map[string]string{"inside": "inside", "beside": "elsewhere"}[cut])
			z.Records = append(z.Records, zone.Record{Name: cut, Type: "NS", Data: host}, zone.Record{Name: host, Type: "AAAA", Data: fmt.Sprint("2001:db8::", i)})
		}
	}
	r := testResponder(t, c)
	for cut, truncated := range map[string]bool{"inside": true, "beside": false} {
		var m dns.Msg
		if err := m.Unpack(r.respond(nil, packed(t, "x."+cut+".c.test.", dns.TypeA, true), client, overUDP)); err != nil {
			t.Fatal(err)
		}
		if m.Truncated != truncated || m.Authoritative || (len(m.Ns) == 20) == truncated {
			t.Errorf("%s: truncated %v, %d NS, %d addresses", cut, m.Truncated, len(m.Ns), len(m.Extra))
		}
	}
}

// TestAmplification: what a forged address can be sent is bounded for our own kind of zone, by the ratio of octets sent
// to received.
func TestAmplification(t *testing.T) {
	r := testResponder(t, fuzzZone(t))
	worst, which := 0.0, ""
	tree := r.store.Snapshot().Trees()[0]
	for name := range tree.Names {
		if strings.HasPrefix(name.String(), "big.") {
			continue // 60 addresses, put there to be too large
		}
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeSOA, dns.TypeTXT, dns.TypeSRV, dns.TypeMX, dns.TypeHTTPS, dns.TypeANY} {
			packet := packed(t, name.String(), qtype, true)
			if ratio := float64(len(r.respond(nil, packet, client, overUDP))) / float64(len(packet)); ratio > worst {
				worst, which = ratio, name.String()+" "+dns.TypeToString[qtype]
			}
		}
	}
	t.Logf("the worst is %s: %.1f", which, worst)
	if worst > 5 || worst < 1 {
		t.Errorf("%s is answered with %.1f times what was asked", which, worst)
	}
}

// TestTransferOverTLS: a zone is copied over TLS as over TCP (RFC 9103).
func TestTransferOverTLS(t *testing.T) {
	cert := certificate(t)
	s := start(t, Config{
		Snapshot: storeOf(t, transferring(benchZone(5000), keys)), ListenTLS: []string{"127.0.0.1:0"},
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
	})
	conn, err := tls.Dial("tcp", s.AddrTLS().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"dot"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if p := conn.ConnectionState().NegotiatedProtocol; p != "dot" {
		t.Errorf("the protocol is %q", p)
	}
	q := axfr("bench.test.")
	q.SetTsig(testKey, dns.HmacSHA256, 300, time.Now().Unix())
	transfer := dns.Transfer{Conn: &dns.Conn{Conn: conn}, TsigSecret: map[string]string{testKey: testSecret}}
	messages, err := transfer.In(q, "")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m := range messages {
		if m.Error != nil {
			t.Fatal(m.Error)
		}
		n += len(m.RR)
	}
	if n < 5000 {
		t.Errorf("%d records", n)
	}
}

// TestWrongClock: a message signed at another time is refused with our time, signed, so that the other side can tell
// (RFC 8945 section 5.2.3).
func TestWrongClock(t *testing.T) {
	r := testResponder(t, transferring(probeZone(t), keys))
	var q dns.Msg
	q.SetQuestion("c.test.", dns.TypeSOA)
	q.SetTsig(testKey, dns.HmacSHA256, 300, time.Now().Unix()-1000)
	packet, mac, err := dns.TsigGenerate(&q, testSecret, "", false)
	if err != nil {
		t.Fatal(err)
	}
	out := r.respond(nil, packet, client, overTCP)
	var m dns.Msg
	if err := m.Unpack(out); err != nil {
		t.Fatal(err)
	}
	tsig := m.IsTsig()
	if m.Rcode != dns.RcodeNotAuth || tsig == nil || tsig.Error != dns.RcodeBadTime || tsig.OtherLen != 6 || tsig.MACSize == 0 {
		t.Errorf("got %s", &m)
	}
	sent := tsig.MAC // the codec does not verify what is NOTAUTH; so it is signed once more
	if _, again, err := dns.TsigGenerate(&m, testSecret, mac, false); err != nil || again != sent {
		t.Errorf("the refusal is signed with %s, want %s: %v", sent, again, err)
	}
}
