package server

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCookieVectors are those of RFC 9018, appendix A.
func TestCookieVectors(t *testing.T) {
	for _, tt := range []struct {
		name, secret, client, addr string
		now                        uint32
		server                     string
		made                       bool // not only checked, but made so
	}{
		{"A.1", "e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957", "198.51.100.100", 1559731985, "010000005cf79f111f8130c3eee29480", true},
		{"A.2", "e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957", "198.51.100.100", 1559734385, "010000005cf7a871d4a564a1442aca77", true},
		{"A.3 as it came", "e5e973e5a6b2a43f48e7dc849e37bfcf", "fc93fc62807ddb86", "203.0.113.203", 1559727985, "01abcdef5cf78f71a314227b6679ebf5", false},
		{"A.3 renewed", "e5e973e5a6b2a43f48e7dc849e37bfcf", "fc93fc62807ddb86", "203.0.113.203", 1559734700, "010000005cf7a9acf73a7810aca2381e", true},
		{"A.4", "dd3bdf9344b678b185a6f5cb60fca715", "22681ab97d52c298", "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741817, "010000005cf7c57926556bd0934c72f8", false},
		{"A.4 with the new secret", "445536bcd2513298075a5d379663c962", "22681ab97d52c298", "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961, "010000005cf7c609a6bb79d16625507a", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := fromHex(t, tt.secret)
			secret := [2]uint64{binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[8:])}
			addr := netip.MustParseAddr(tt.addr)
			data := fromHex(t, tt.client+tt.server)
			if got := hex.EncodeToString(appendCookie(nil, secret, data, addr, tt.now)); tt.made && got != tt.client+tt.server {
				t.Errorf("made %s, want %s", got, tt.client+tt.server)
			}
			if _, ok := checkCookie(secret, data, addr, tt.now); !ok {
				t.Error("refused")
			}
			for _, seconds := range []int32{3601, -301} {
				if _, ok := checkCookie(secret, data, addr, tt.now+uint32(seconds)); ok {
					t.Errorf("taken %d s later", seconds)
				}
			}
			if _, ok := checkCookie(secret, data, addr.Next(), tt.now); ok {
				t.Error("taken from another address")
			}
			for i := range data {
				data[i] ^= 4
				if _, ok := checkCookie(secret, data, addr, tt.now); ok {
					t.Errorf("taken with octet %d changed", i)
				}
				data[i] ^= 4
			}
		})
	}
}

// options asks with some options and gives code and options of the response.
func options(t *testing.T, r *responder, by transport, name string, opts ...dns.EDNS0) (m dns.Msg, got map[uint16]string) {
	t.Helper()
	var q dns.Msg
	q.SetQuestion(name, dns.TypeA)
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = opts
	packet, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Unpack(r.respond(nil, packet, client, by)); err != nil {
		t.Fatal(err)
	}
	got = map[uint16]string{}
	for _, o := range m.IsEdns0().Option {
		got[o.Option()] = o.String()
	}
	return m, got
}

func TestCookieLife(t *testing.T) {
	r := testResponder(t, probeZone(t))
	ask := func(cookie string) string {
		m, got := options(t, r, overUDP, "www.c.test.", &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
		if m.Rcode != dns.RcodeSuccess {
			t.Fatalf("code %d", m.Rcode)
		}
		return got[dns.EDNS0COOKIE]
	}
	begin := time.Unix(1e9, 0)
	first := ask("0102030405060708")
	if len(first) != 48 || first[:16] != "0102030405060708" {
		t.Fatalf("cookie %q", first)
	}
	r.tick(begin.Add(29 * time.Minute))
	if again := ask(first); again != first {
		t.Errorf("a young cookie was renewed")
	}
	r.tick(begin.Add(31 * time.Minute))
	if again := ask(first); again == first || len(again) != 48 {
		t.Errorf("an old cookie was not renewed: %q", again)
	}
	if again := ask(first[:47] + "0"); len(again) != 48 {
		t.Errorf("no fresh cookie for a wrong one: %q", again)
	}
	for _, bad := range []string{"01020304050607", "010203040506070809", first + "00000000000000000000000000000000ff"} {
		m, _ := options(t, r, overUDP, "www.c.test.", &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: bad})
		if m.Rcode != dns.RcodeFormatError || len(m.Answer) > 0 {
			t.Errorf("a cookie of %d octets: code %d", len(bad)/2, m.Rcode)
		}
	}
}

func TestClientSubnet(t *testing.T) {
	c := probeZone(t)
	c.Networks = []zone.Network{{Prefix: netip.MustParsePrefix("198.51.100.0/25"), Region: "north"}}
	c.Zones[0].Services = []zone.Service{{Name: "near", Policy: zone.Nearest, Targets: []zone.Target{
		{Cluster: "n", Region: "north", Weight: 1, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		{Cluster: "s", Region: "south", Weight: 1, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.2")}},
	}}}
	off := testResponder(t, c)
	c.Zones[0].ClientSubnet = true
	on := testResponder(t, c)
	subnet := func(family uint16, mask, scope uint8, addr string) *dns.EDNS0_SUBNET {
		return &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: mask, SourceScope: scope, Address: netip.MustParseAddr(addr).AsSlice()}
	}
	north := subnet(1, 24, 0, "198.51.100.0")
	if m, got := options(t, off, overUDP, "near.c.test.", north); len(m.Answer) != 2 || len(got) != 0 {
		t.Errorf("a zone that does not use client subnets: %v %v", m.Answer, got)
	}
	if m, got := options(t, on, overUDP, "near.c.test.", north); len(m.Answer) != 1 || got[8] != "198.51.100.0/24/25" {
		t.Errorf("in the north: %v %v", m.Answer, got)
	}
	if m, got := options(t, on, overUDP, "near.c.test.", subnet(1, 0, 0, "0.0.0.0")); len(m.Answer) != 2 || got[8] != "0.0.0.0/0/0" {
		t.Errorf("a client that wants no tailored answer: %v %v", m.Answer, got)
	}
	if _, got := options(t, on, overUDP, "www.c.test.", north); got[8] != "198.51.100.0/24/0" {
		t.Errorf("an answer that does not depend on it: %v", got)
	}
	if _, got := options(t, on, overUDP, "near.c.test.", subnet(2, 56, 0, "2001:db8::")); got[8] == "" {
		t.Errorf("IPv6: %v", got)
	}
	for what, bad := range map[string]string{
		"family":           "00071800c00002",
		"scope in a query": "00011818c00002",
		"bits beyond":      "00011400c000ff",
		"too short":        "00011800c000",
		"too long":         "00011800c0000200",
		"source too long":  "00012100c000020000",
		"nothing":          "0001",
	} {
		m, _ := options(t, on, overUDP, "www.c.test.", &dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: fromHex(t, bad)})
		if m.Rcode != dns.RcodeFormatError || len(m.Answer) > 0 {
			t.Errorf("%s: code %d", what, m.Rcode)
		}
	}
}

func TestIdentityAndKeepalive(t *testing.T) {
	s, err := New(Config{Listen: []string{":0"}, Snapshot: storeOf(t, probeZone(t)), Identity: "dns-1", Version: "hanse", IdleTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r := newResponder(s.settings, s.newCounters())
	r.tick(time.Unix(1e9, 0))
	nsid := &dns.EDNS0_NSID{Code: dns.EDNS0NSID}
	if _, got := options(t, r, overUDP, "www.c.test.", nsid); got[dns.EDNS0NSID] != hex.EncodeToString([]byte("dns-1")) {
		t.Errorf("NSID: %v", got)
	}
	if _, got := options(t, r, overUDP, "www.c.test."); len(got) != 0 {
		t.Errorf("options nobody asked for: %v", got)
	}
	keepalive := &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}
	if _, got := options(t, r, overUDP, "www.c.test.", keepalive); len(got) != 0 {
		t.Errorf("keepalive over UDP: %v", got)
	}
	m, _ := options(t, r, overTCP, "www.c.test.", keepalive)
	if o := m.IsEdns0().Option; len(o) != 1 || o[0].(*dns.EDNS0_TCP_KEEPALIVE).Timeout != 200 {
		t.Errorf("keepalive: %v", o)
	}
	for name, want := range map[string]string{"version.bind.": "hanse", "ID.server.": "dns-1"} {
		var q dns.Msg
		q.SetQuestion(name, dns.TypeTXT)
		q.Question[0].Qclass = dns.ClassCHAOS
		packet, _ := q.Pack()
		var m dns.Msg
		if err := m.Unpack(r.respond(nil, packet, client, overUDP)); err != nil {
			t.Fatal(err)
		}
		if len(m.Answer) != 1 || m.Answer[0].Header().Class != dns.ClassCHAOS || m.Answer[0].(*dns.TXT).Txt[0] != want {
			t.Errorf("%s: %v", name, m.Answer)
		}
	}
}

func TestExtendedErrors(t *testing.T) {
	r := testResponder(t, probeZone(t))
	if m, _ := options(t, r, overUDP, "www.example.org."); m.Rcode != dns.RcodeRefused || m.IsEdns0().Option[0].(*dns.EDNS0_EDE).InfoCode != dns.ExtendedErrorCodeNotAuthoritative {
		t.Errorf("not ours: %v", m)
	}
	r.settings.store = zone.NewStore()
	if m, _ := options(t, r, overUDP, "www.c.test."); m.Rcode != dns.RcodeServerFailure || m.IsEdns0().Option[0].(*dns.EDNS0_EDE).InfoCode != dns.ExtendedErrorCodeNotReady {
		t.Errorf("nothing loaded: %v", m)
	}
}

// TestRateLimit: one network gets so many like answers, half of the rest truncated, and others are not touched; whoever
// has a cookie of ours, or comes over TCP, is not limited.
func TestRateLimit(t *testing.T) {
	s, err := New(Config{Listen: []string{":0"}, Snapshot: storeOf(t, probeZone(t)), ResponsesPerSecond: 20})
	if err != nil {
		t.Fatal(err)
	}
	r := newResponder(s.settings, s.newCounters())
	now := time.Unix(1e9, 0)
	r.tick(now)
	count := func(n int, addr, name string, by transport, opts ...dns.EDNS0) (full, small, none int) {
		var q dns.Msg
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = opts
		for i := range n {
			from := netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(1024+i))
			q.SetQuestion(name, dns.TypeA)
			packet, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			response := r.respond(nil, packet, from, by)
			switch {
			case len(response) == 0:
				none++
			case response[2]&2 != 0:
				small++
				if len(response) > len(packet)+40 {
					t.Errorf("a limited response of %d octets to a query of %d", len(response), len(packet))
				}
			default:
				full++
			}
		}
		return full, small, none
	}
	if full, small, none := count(1000, "192.0.2.1", "www.c.test.", overUDP); full != 20 || small < 400 || none < 400 {
		t.Errorf("1000 at once: %d full, %d truncated, %d dropped", full, small, none)
	}
	if full, _, _ := count(20, "192.0.3.1", "www.c.test.", overUDP); full != 20 {
		t.Errorf("another network: %d full", full)
	}
	if full, _, _ := count(20, "192.0.2.77", "ns1.c.test.", overUDP); full != 20 {
		t.Errorf("another name: %d full", full)
	}
	if full, _, _ := count(1000, "192.0.2.1", "www.c.test.", overTCP); full != 1000 {
		t.Errorf("TCP: %d full", full)
	}
	cookie := hex.EncodeToString(appendCookie(nil, r.secret, make([]byte, 8), netip.MustParseAddr("192.0.2.1"), r.seconds))
	if full, _, _ := count(1000, "192.0.2.1", "www.c.test.", overUDP, &dns.EDNS0_COOKIE{Code: 10, Cookie: cookie}); full != 1000 {
		t.Errorf("with a cookie: %d full", full)
	}
	r.tick(now.Add(time.Second))
	if full, _, _ := count(100, "192.0.2.1", "www.c.test.", overUDP); full != 20 {
		t.Errorf("a second later: %d full", full)
	}
	full := 0
	for i := range 100 {
		f, _, _ := count(1, "192.0.2.1", string(rune('a'+i%26))+string(rune('a'+i/26))+".c.test.", overUDP)
		full += f
	}
	if full != 20 {
		t.Errorf("ever new names that do not exist: %d full", full)
	}
}

// TestZoneVersion: who asks is told the serial that the answer comes from (RFC 9660), and nobody else.
func TestZoneVersion(t *testing.T) {
	r := testResponder(t, probeZone(t))
	for name, want := range map[string]string{
		"www.c.test.": "\x00\x00\x00\x01", "nope.c.test.": "\x00\x00\x00\x01", "x.sub.c.test.": "", "example.org.": "",
	} {
		_, got := options(t, r, overUDP, name, &dns.EDNS0_LOCAL{Code: wire.OptionVersion})
		if got[wire.OptionVersion] != want {
			t.Errorf("%s: version %q, want %q", name, got[wire.OptionVersion], want)
		}
		if _, got := options(t, r, overUDP, name); got[wire.OptionVersion] != "" {
			t.Errorf("%s: version %q, nobody asked", name, got[wire.OptionVersion])
		}
	}
	m, _ := options(t, r, overUDP, "www.c.test.", &dns.EDNS0_LOCAL{Code: wire.OptionVersion})
	if v, ok := m.IsEdns0().Option[0].(*dns.EDNS0_ZONEVERSION); !ok || v.LabelCount != 2 || v.Type != 0 {
		t.Errorf("options %v", m.IsEdns0().Option)
	}
}

// TestStaleIsTold: an answer from what was heard long ago says so, beside being given.
func TestStaleIsTold(t *testing.T) {
	heard := time.Unix(1000, 0)
	s, err := New(Config{Listen: []string{"127.0.0.1:0"}, Snapshot: storeOf(t, probeZone(t)), Heard: func() time.Time { return heard }})
	if err != nil {
		t.Fatal(err)
	}
	r := newResponder(s.settings, s.newCounters())
	for seconds, want := range map[int64]string{0: "", 60: "", 61: "0 (Other): (hub state 61 s old)"} {
		r.tick(time.Unix(1000+seconds, 0))
		m, got := options(t, r, overUDP, "www.c.test.")
		if len(m.Answer) == 0 || got[wire.OptionEDE] != want {
			t.Errorf("after %d s: %d records, %q, want %q", seconds, len(m.Answer), got[wire.OptionEDE], want)
		}
	}
	heard = time.Time{}
	r.tick(time.Unix(2000, 0))
	if _, got := options(t, r, overUDP, "www.c.test."); got[wire.OptionEDE] != "" {
		t.Errorf("nothing was heard yet, and %q is told", got[wire.OptionEDE])
	}
}

// TestReplicasShareCookies: a cookie of one replica is taken by another with the same snapshot.
func TestReplicasShareCookies(t *testing.T) {
	for secret, want := range map[string]bool{"": false, "0123456789abcdef": true} {
		c := probeZone(t)
		c.Secret = []byte(secret)
		one, other := testResponder(t, c), testResponder(t, c)
		ask := func(r *responder, cookie string) string {
			_, got := options(t, r, overUDP, "www.c.test.", &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
			return got[dns.EDNS0COOKIE]
		}
		cookie := ask(one, "0102030405060708")
		if taken := ask(other, cookie) == cookie; taken != want {
			t.Errorf("secret %q: the cookie is taken %v, want %v", secret, taken, want)
		}
	}
}
