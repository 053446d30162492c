package server

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/answer"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// fuzzZone has every kind of data that an answer can be made of.
func fuzzZone(t testing.TB) zone.Config {
	c := probeZone(t)
	a := func(s string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(s)} }
	c.Zones[0].Services = []zone.Service{
		{Name: "app", Ports: []zone.Port{{Name: "http", Protocol: "tcp", Port: 80}}, Targets: []zone.Target{
			{Cluster: "north", Addresses: a("192.0.2.1"), Weight: 80}, {Cluster: "south", Addresses: a("192.0.2.2"), Weight: 20},
		}},
		{Name: "cloud", Targets: []zone.Target{{Cluster: "north", Hostname: "app.c.test", Weight: 1}}},
		{Name: "*.star", Targets: []zone.Target{{Cluster: "north", Addresses: a("2001:db8::1"), Weight: 1}}},
	}
	c.Zones[0].Records = append(c.Zones[0].Records,
		zone.Record{Name: "ring", Type: "CNAME", Data: "ring2"}, zone.Record{Name: "ring2", Type: "CNAME", Data: "ring"},
		zone.Record{Name: "mail", Type: "MX", Data: "10 www"}, zone.Record{Name: "mail", Type: "MX", Data: "20 www.example.org."},
		zone.Record{Name: "web", Type: "HTTPS", Data: "1 www alpn=h2"},
	)
	return c
}

// FuzzRespond gives any octets to the server and looks at what must always hold. What it answers to a well-formed query
// is compared with a slow twin: the same sections, put together record by record by another codec.
func FuzzRespond(f *testing.F) {
	for _, p := range readProbes(f) {
		f.Add(p.packet, p.overTCP)
	}
	for _, name := range []string{"app.c.test.", "cloud.c.test.", "x.star.c.test.", "ring.c.test.", "mail.c.test.", "web.c.test.", "x.sub.c.test."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeMX, dns.TypeHTTPS, dns.TypeANY, dns.TypeSRV} {
			f.Add(packed(f, name, qtype, true), false)
		}
	}
	r := testResponder(f, fuzzZone(f))
	r.takesUpdates = true
	f.Fuzz(func(t *testing.T, packet []byte, overStream bool) {
		by := overUDP
		if overStream {
			by = overTCP
		}
		panics := r.counts.panics.Load()
		response := slices.Clone(r.respond(nil, packet, client, by))
		if r.counts.panics.Load() != panics {
			t.Fatal("answering panicked")
		}
		if r.wantsZone || r.pending != nil {
			return // transfers and updates have tests of their own
		}
		checkResponse(t, packet, response, by)
		if len(response) > wire.HeaderSize && !hasTSIG(packet) {
			compareWithTwin(t, r, packet, response, by)
		}
	})
}

// checkResponse looks at what must hold whatever was asked.
func checkResponse(t *testing.T, packet, response []byte, by transport) {
	t.Helper()
	if len(packet) < 12 || packet[2]&0x80 != 0 {
		if response != nil {
			t.Fatal("something that is no query was answered")
		}
		return
	}
	if len(response) < 12 {
		t.Fatalf("a response of %d octets", len(response))
	}
	if most := allowed(packet, by); len(response) > most {
		t.Fatalf("a response of %d octets, of %d allowed, to %x", len(response), most, packet)
	}
	if response[0] != packet[0] || response[1] != packet[1] || response[2]&0xf8 != packet[2]&0x78|0x80 || response[3]&0xf0 != 0 {
		t.Fatalf("header %x answers %x", response[:4], packet[:4])
	}
	var m dns.Msg
	if err := m.Unpack(response); err != nil && len(response) > 12 {
		t.Fatalf("the response cannot be read: %v\n%x", err, response)
	}
	if len(response) > 12 && m.IsEdns0() != nil != hasOPT(packet) && !hasTSIG(packet) {
		t.Fatalf("OPT in the response: %v", m.IsEdns0())
	}
}

// allowed is the length that a response may have (RFC 6891 section 6.2.3).
func allowed(packet []byte, by transport) int {
	if by != overUDP {
		return maxTCPSize
	}
	var q wire.Query
	if verdict, _ := wire.Parse(packet, &q); verdict == wire.RefuseHeader {
		return wire.HeaderSize
	}
	if !q.HasEDNS {
		return minUDPSize
	}
	return min(max(minUDPSize, int(q.EDNS.UDPSize)), defaultUDPSize)
}

func hasTSIG(packet []byte) bool {
	var q wire.Query
	wire.Parse(packet, &q)
	return q.HasTSIG
}

func hasOPT(packet []byte) bool {
	var q wire.Query
	wire.Parse(packet, &q)
	return q.HasEDNS
}

// compareWithTwin packs what Resolve says with the other codec and compares what can be read from both.
func compareWithTwin(t *testing.T, r *responder, packet, response []byte, by transport) {
	t.Helper()
	var got dns.Msg
	if err := got.Unpack(response); err != nil {
		t.Fatal(err)
	}
	if got.Truncated {
		if len(got.Answer)+len(got.Ns) > 0 || by != overUDP {
			t.Fatal("a truncated response with records, or over TCP")
		}
		return
	}
	var q wire.Query
	if verdict, _ := wire.Parse(packet, &q); verdict != wire.Answer || q.HasEDNS && (q.EDNS.Version > 0 || q.EDNS.HasOptions()) ||
		q.Type == wire.TypeIXFR {
		return
	}
	if string(response[12:12+len(q.Question)]) != string(q.Question) {
		t.Fatalf("the question came back as %x, asked as %x", response[12:12+len(q.Question)], q.Question)
	}
	var twin answer.Response
	c := r.client
	twin.Resolve(r.store.Snapshot(), &q, &c)
	if uint16(twin.Rcode)&15 != uint16(got.Rcode)&15 || twin.Authoritative != got.Authoritative {
		t.Fatalf("code %v authoritative %v, the twin says %v %v", got.Rcode, got.Authoritative, twin.Rcode, twin.Authoritative)
	}
	question := wire.Name(q.Name())
	for _, section := range []struct {
		got  []dns.RR
		want []answer.Set
		all  bool
	}{{got.Answer, twin.Answer, true}, {got.Ns, twin.Authority, true}, {got.Extra, twin.Additional, false}} {
		var have, want []string
		for _, rr := range section.got {
			if rr.Header().Rrtype != dns.TypeOPT {
				rr.Header().Name = dns.CanonicalName(rr.Header().Name)
				have = append(have, strings.ToLower(rr.String())) // names in it point to the question, and have its case
			}
		}
		for _, s := range section.want {
			owner := s.Owner
			if owner == "" {
				owner = question
			}
			for data := range s.RRset.All {
				rr, _, err := dns.UnpackRR(append([]byte(owner), wire.AppendRecord(nil, s.RRset.Type, s.RRset.TTL, data)[2:]...), 0)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, strings.ToLower(rr.String()))
			}
		}
		slices.Sort(have)
		slices.Sort(want)
		if section.all && !slices.Equal(have, want) || len(have) > len(want) {
			t.Fatalf("records %q, the twin has %q", have, want)
		}
	}
}

// FuzzSecure asks a signed zone for any name and type, and validates the answer: all that the zone has authority for is
// signed, and what is not there is denied.
func FuzzSecure(f *testing.F) {
	for _, name := range []string{"app.c.test.", "nope.c.test.", "x.sub.c.test.", "x.safe.c.test.", "a2.c.test.", `\000.c.test.`, "*.wild.c.test."} {
		f.Add(name, dns.TypeA, true)
		f.Add(name, dns.TypeDS, false)
	}
	c := signedZone(f)
	r := testResponder(f, c)
	c.Zones[0].Keys = nil
	plain := testResponder(f, c)
	v := newValidator(f, r, "c.test.")
	f.Fuzz(func(t *testing.T, name string, qtype uint16, co bool) {
		if _, ok := dns.IsDomainName(name); !ok {
			return
		}
		var q, m, want dns.Msg
		q.SetQuestion(dns.Fqdn(name), qtype)
		q.SetEdns0(1232, true)
		q.IsEdns0().SetCo(co)
		packet, err := q.Pack()
		if err != nil {
			return
		}
		r.tick(time.Unix(int64(r.seconds)+1, 0)) // a fresh budget
		if m.Unpack(r.respond(nil, packet, client, overTCP)) != nil || want.Unpack(plain.respond(nil, packet, client, overTCP)) != nil ||
			m.IsEdns0() == nil || len(m.Question) != 1 {
			return // no query, or a transfer
		}
		checked := *v
		checked.TB, checked.at = t, time.Unix(int64(r.seconds), 0)
		checked.compare(q.Question[0].String(), &m, &want, qtype, co)
	})
}

// mutatedPackets is how many TestMutatedPackets sends: DNS_MUTATED_PACKETS=1000000 for a long run.
func mutatedPackets(t *testing.T) int {
	if text := os.Getenv("DNS_MUTATED_PACKETS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("DNS_MUTATED_PACKETS: %v", err)
		}
		return n
	}
	if testing.Short() {
		return 5000
	}
	return 100000
}

// TestMutatedPackets sends packets that have been damaged in every way, over UDP and TCP, looks at every response, and
// asks in between whether the server is well. At the end it holds no more memory and goroutines than at the start.
func TestMutatedPackets(t *testing.T) {
	n := mutatedPackets(t)
	s := start(t, Config{Snapshot: storeOf(t, fuzzZone(t))})
	probes := readProbes(t)
	rng := rand.New(rand.NewPCG(11, 12))
	settle := func() (goroutines int, heap uint64) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	goroutines, heap := settle()
	udp, tcp := newFlood(t, s.Addr()), &stream{t: t, to: s.Addr()}
	defer udp.conn.Close()
	defer tcp.close()
	for i := range n {
		packet := mutate(rng, probes[rng.IntN(len(probes))].packet)
		if i%20 == 0 {
			if response := tcp.ask(packet); response != nil {
				checkResponse(t, packet, response, overTCP)
			}
			continue
		}
		udp.send(packet)
	}
	udp.settle()
	tcp.close()
	t.Logf("%d packets over UDP, of which %d were answered, and %d over TCP", udp.sent, udp.answered, tcp.sent)
	deadline := time.Now().Add(20 * time.Second)
	for {
		g, h := settle()
		if g <= goroutines+2 && h < heap+(8<<20) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines (%d before), heap %d (%d before)", g, goroutines, h, heap)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, c := range s.counters {
		if p := c.panics.Load(); p > 0 {
			t.Errorf("%d panics", p)
		}
	}
}

// flood sends packets over UDP, each with an ID of its own, and relates what comes back to them.
type flood struct {
	t              *testing.T
	conn           *net.UDPConn
	pending        [][]byte // by ID
	control        []byte
	buf            []byte
	sent, answered int
}

// floodSize is how many packets go out before the responses are read: no more than fit our own socket.
const floodSize = 100

func newFlood(t *testing.T, to netip.AddrPort) *flood {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadBuffer(1 << 20)
	control := packed(t, "www.c.test.", dns.TypeA, false)
	binary.BigEndian.PutUint16(control, floodSize)
	return &flood{t: t, conn: conn, control: control, buf: make([]byte, 65535)}
}

func (f *flood) send(packet []byte) {
	if len(packet) >= 2 {
		binary.BigEndian.PutUint16(packet, uint16(len(f.pending)))
	}
	f.pending = append(f.pending, packet)
	f.sent++
	if _, err := f.conn.Write(packet); err != nil {
		f.t.Fatal(err)
	}
	if len(f.pending) == floodSize {
		f.settle()
	}
}

// settle asks a proper question, and reads until the answer to that. One worker serves our address, in order, so that
// everything it had to say about the packets before has come then.
func (f *flood) settle() {
	f.t.Helper()
	f.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := f.conn.Write(f.control); err != nil {
		f.t.Fatal(err)
	}
	for {
		n, err := f.conn.Read(f.buf)
		if err != nil {
			f.t.Fatalf("after %d packets the server is silent: %v", f.sent, err)
		}
		response := f.buf[:n]
		id := binary.BigEndian.Uint16(response)
		if id == floodSize {
			break
		}
		if int(id) >= len(f.pending) || f.pending[id] == nil {
			f.t.Fatalf("a response that nobody asked for: %x", response)
		}
		checkResponse(f.t, f.pending[id], response, overUDP)
		f.pending[id] = nil // a second answer would be one too many
		f.answered++
	}
	f.pending = f.pending[:0]
}

// stream asks over TCP, on one connection as long as the server leaves it open.
type stream struct {
	t    *testing.T
	to   netip.AddrPort
	conn *net.TCPConn
	sent int
}

func (s *stream) close() {
	if s.conn != nil {
		s.conn.SetLinger(0) // tens of thousands of closed connections would use up the ports
		s.conn.Close()
		s.conn = nil
	}
}

// ask gives the response, or nil when the server has closed the connection instead.
func (s *stream) ask(packet []byte) []byte {
	s.t.Helper()
	if s.conn == nil {
		conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(s.to))
		if err != nil {
			s.t.Fatal(err)
		}
		s.conn = conn
	}
	s.sent++
	s.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := s.conn.Write(framed(packet)); err != nil {
		s.close()
		return nil
	}
	var head [2]byte
	if _, err := io.ReadFull(s.conn, head[:]); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.t.Fatalf("neither an answer nor an end over TCP to %x", packet)
		}
		s.close()
		return nil
	}
	response := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(s.conn, response); err != nil {
		s.t.Fatal(err)
	}
	return response
}

func mutate(rng *rand.Rand, packet []byte) []byte {
	p := slices.Clone(packet)
	for range 1 + rng.IntN(4) {
		if len(p) == 0 {
			return p
		}
		switch at := rng.IntN(len(p)); rng.IntN(6) {
		case 0:
			p[at] ^= 1 << rng.IntN(8)
		case 1:
			p[at] = byte(rng.IntN(256))
		case 2:
			p = p[:at]
		case 3:
			p = slices.Insert(p, at, byte(rng.IntN(256)), 0xc0, byte(rng.IntN(64)))
		case 4:
			p = append(p, p[at:]...)
		case 5:
			p = slices.Delete(p, at, min(len(p), at+1+rng.IntN(8)))
		}
	}
	return p[:min(len(p), 4000)]
}
