package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/zone"
)

func signingKey(t testing.TB, stage sign.Stage) zone.Key {
	t.Helper()
	private, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return zone.Key{Private: private, Stage: stage}
}

// signedZone is fuzzZone with keys and a signed delegation.
func signedZone(t testing.TB) zone.Config {
	t.Helper()
	c := fuzzZone(t)
	z := &c.Zones[0]
	z.Keys = []zone.Key{signingKey(t, sign.Active)}
	z.Records = append(z.Records,
		zone.Record{Name: "safe", Type: "NS", Data: "ns.safe"}, zone.Record{Name: "ns.safe", Type: "A", Data: "192.0.2.9"},
		zone.Record{Name: "safe", Type: "DS", Data: "1 13 2 " + strings.Repeat("ab", 32)},
		zone.Record{Name: "*.wildsrv", Type: "SRV", Data: "1 2 80 ns.safe"},
	)
	return c
}

func wantsDNSSEC(t testing.TB, name string, qtype uint16, co bool) []byte {
	t.Helper()
	var m dns.Msg
	m.SetQuestion(name, qtype)
	m.SetEdns0(1232, true)
	m.IsEdns0().SetCo(co)
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// validator checks answers of a zone with its keys, as a resolver does.
type validator struct {
	testing.TB
	origin string
	keys   map[uint16]*dns.DNSKEY
	at     time.Time
}

func newValidator(t testing.TB, r *responder, origin string) *validator {
	t.Helper()
	v := &validator{TB: t, origin: origin, keys: map[uint16]*dns.DNSKEY{}, at: time.Unix(int64(r.seconds), 0)}
	var m dns.Msg
	if err := m.Unpack(r.respond(nil, wantsDNSSEC(t, origin, dns.TypeDNSKEY, false), client, overTCP)); err != nil {
		t.Fatal(err)
	}
	for _, rr := range m.Answer {
		if k, ok := rr.(*dns.DNSKEY); ok {
			v.keys[k.KeyTag()] = k
		}
	}
	v.section("DNSKEY", m.Answer)
	return v
}

// section fails unless each set of a section that the zone has authority for is signed, and gives the sets.
func (v *validator) section(what string, rrs []dns.RR) map[string][]dns.RR {
	v.Helper()
	sets, signatures := map[string][]dns.RR{}, map[string][]*dns.RRSIG{}
	for _, rr := range rrs {
		key := strings.ToLower(rr.Header().Name) + " "
		if s, ok := rr.(*dns.RRSIG); ok {
			key += dns.TypeToString[s.TypeCovered]
			signatures[key] = append(signatures[key], s)
			continue
		}
		key += dns.TypeToString[rr.Header().Rrtype]
		sets[key] = append(sets[key], rr)
	}
	for key, set := range sets {
		if strings.Contains(key, "sub."+v.origin) || strings.Contains(key, "safe."+v.origin) {
			if t := set[0].Header().Rrtype; t != dns.TypeDS && t != dns.TypeNSEC {
				if signatures[key] != nil {
					v.Errorf("%s: %s belongs to another zone, and is signed", what, key)
				}
				continue
			}
		}
		if signatures[key] == nil {
			v.Errorf("%s: %s is not signed", what, key)
		}
		for _, s := range signatures[key] {
			k := v.keys[s.KeyTag]
			if k == nil {
				v.Errorf("%s: %s is signed with the unknown key %d", what, key, s.KeyTag)
			} else if err := s.Verify(k, set); err != nil {
				v.Errorf("%s: %s: %v", what, key, err)
			} else if !s.ValidityPeriod(v.at) {
				v.Errorf("%s: %s is signed for another time: %s", what, key, s)
			}
			if int(s.Labels) != dns.CountLabel(strings.TrimPrefix(set[0].Header().Name, "*.")) {
				v.Errorf("%s: %s would need a proof that there is nothing closer", what, key)
			}
		}
	}
	for key := range signatures {
		if sets[key] == nil && !strings.Contains(what, "RRSIG") {
			v.Errorf("%s: a signature of %s, which is not there", what, key)
		}
	}
	return sets
}

// TestSecure asks for every name that there is, and some that there are not, for types that they have and have not:
// every set is signed, and what is not there is proven. But for that, the answer is the one of the same zone without
// keys.
func TestSecure(t *testing.T) {
	c := signedZone(t)
	r := testResponder(t, c)
	c.Zones[0].Keys = nil
	plain := testResponder(t, c)
	v := newValidator(t, r, "c.test.")
	names := []string{"nope.c.test.", "a.b.nope.c.test.", "x.star.c.test.", "y.wild.c.test.", "x.sub.c.test.", "x.safe.c.test.", "a.wildsrv.c.test.",
		strings.Repeat(strings.Repeat("x", 61)+".", 4)[:246] + ".c.test."}
	for name := range plain.store.Snapshot().Trees()[0].Names {
		names = append(names, name.String())
	}
	slices.Sort(names)
	for _, name := range names {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeSRV, dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypeCNAME,
			dns.TypeHTTPS, dns.TypeANY, dns.TypeNSEC, dns.TypeRRSIG, dns.TypeCDS, 1000} {
			for _, co := range []bool{false, true} {
				what := fmt.Sprintf("%s %s CO=%v", dns.Type(qtype), name, co)
				packet := wantsDNSSEC(t, name, qtype, co)
				var m, want dns.Msg
				if err := m.Unpack(r.respond(nil, packet, client, overTCP)); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if err := want.Unpack(plain.respond(nil, packet, client, overTCP)); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				v.compare(what, &m, &want, qtype, co)
			}
		}
	}
}

func (v *validator) compare(what string, m, want *dns.Msg, qtype uint16, co bool) {
	v.Helper()
	answer := v.section(what, m.Answer)
	authority := v.section(what, m.Ns)
	v.section(what, m.Extra[:len(m.Extra)-1])
	last := m.Question[0].Name
	for _, rr := range m.Answer {
		if cname, ok := rr.(*dns.CNAME); ok && qtype != dns.TypeCNAME && qtype != dns.TypeANY {
			last = cname.Target
		}
	}
	nsec, _ := slices.Concat(answer[strings.ToLower(last)+" NSEC"], authority[strings.ToLower(last)+" NSEC"]), 0
	isRefused := want.Rcode != dns.RcodeSuccess && want.Rcode != dns.RcodeNameError
	isReferral := !want.Authoritative && len(want.Ns) > 0 || hasType(want.Ns, dns.TypeNS)
	isNegative := hasType(want.Ns, dns.TypeSOA)
	wantCode := want.Rcode
	if wantCode == dns.RcodeNameError && !co {
		wantCode = dns.RcodeSuccess
	}
	if m.Rcode != wantCode {
		v.Errorf("%s: %s, want %s", what, dns.RcodeToString[m.Rcode], dns.RcodeToString[wantCode])
	}
	switch {
	case qtype == dns.TypeDNSKEY, qtype == dns.TypeCDS, qtype == dns.TypeCDNSKEY: // the zone without keys has none
		return
	case isRefused || isReferral || qtype == dns.TypeRRSIG && isNegative && want.Rcode == dns.RcodeSuccess:
		return
	case qtype == dns.TypeNSEC && isNegative && want.Rcode == dns.RcodeSuccess:
		if len(nsec) != 1 || len(m.Ns) > 0 {
			v.Errorf("%s: no NSEC record in the answer:\n%s", what, m)
		}
		return
	case !isNegative && qtype != dns.TypeANY:
		if got := without(m.Answer); fmt.Sprint(typesOf(got)) != fmt.Sprint(typesOf(want.Answer)) {
			v.Errorf("%s: answered with %s, want %s", what, got, want.Answer)
		}
		if len(nsec) > 0 && qtype != dns.TypeNSEC {
			v.Errorf("%s: a positive answer with a denial", what)
		}
		return
	case !isNegative:
		return
	}
	if len(nsec) != 1 {
		v.Fatalf("%s: %d NSEC records at %s:\n%s", what, len(nsec), last, m)
	}
	bitmap := nsec[0].(*dns.NSEC).TypeBitMap
	if slices.Contains(bitmap, dns.TypeNXNAME) != (want.Rcode == dns.RcodeNameError) {
		v.Errorf("%s: %s, but the code without DNSSEC is %s", what, nsec[0], dns.RcodeToString[want.Rcode])
	}
	if qtype != dns.TypeNSEC && qtype != dns.TypeRRSIG && slices.Contains(bitmap, qtype) || slices.Contains(bitmap, dns.TypeCNAME) {
		v.Errorf("%s: %s does not deny it", what, nsec[0])
	}
}

func hasType(rrs []dns.RR, t uint16) bool {
	return slices.ContainsFunc(rrs, func(rr dns.RR) bool { return rr.Header().Rrtype == t })
}

func without(rrs []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
}

func typesOf(rrs []dns.RR) (out []string) {
	for _, rr := range rrs {
		if t := dns.TypeToString[rr.Header().Rrtype]; !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// TestReferralSigned: a delegation with keys has them signed; one without has the proof that there are none.
func TestReferralSigned(t *testing.T) {
	r := testResponder(t, signedZone(t))
	v := newValidator(t, r, "c.test.")
	for name, want := range map[string]string{"x.safe.c.test.": "NS DS", "x.sub.c.test.": "NS NSEC"} {
		var m dns.Msg
		if err := m.Unpack(r.respond(nil, wantsDNSSEC(t, name, dns.TypeA, false), client, overUDP)); err != nil {
			t.Fatal(err)
		}
		v.section(name, m.Ns)
		if got := strings.Join(typesOf(without(m.Ns)), " "); got != want || m.Authoritative {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		for _, rr := range m.Ns {
			if nsec, ok := rr.(*dns.NSEC); ok && fmt.Sprint(nsec.TypeBitMap) != fmt.Sprint([]uint16{dns.TypeNS, dns.TypeRRSIG, dns.TypeNSEC}) {
				t.Errorf("%s: %s", name, nsec)
			}
		}
	}
}

// TestEveryAnswerSetIsSigned: whatever set of a weighted name is drawn has its signature, made once.
func TestEveryAnswerSetIsSigned(t *testing.T) {
	c := benchZone(3)
	c.Zones[0].Keys = []zone.Key{signingKey(t, sign.Active)}
	r := testResponder(t, c)
	v := newValidator(t, r, "bench.test.")
	packet := wantsDNSSEC(t, "s1.bench.test.", dns.TypeA, false)
	sets := map[int]int{}
	var made uint64
	for i := range 2000 {
		var m dns.Msg
		if err := m.Unpack(r.respond(nil, packet, client, overUDP)); err != nil {
			t.Fatal(err)
		}
		v.section("s1", m.Answer)
		sets[len(without(m.Answer))]++
		if i == 1000 {
			made = r.signatures.count.Load()
		}
	}
	if len(sets) != 3 || r.signatures.count.Load() != made {
		t.Errorf("drawn by size: %v; %d signatures, then %d more", sets, made, r.signatures.count.Load()-made)
	}
}

// TestUnsignedWithoutDO: nobody who does not ask for DNSSEC sees anything of it.
func TestUnsignedWithoutDO(t *testing.T) {
	c := signedZone(t)
	r := testResponder(t, c)
	for name, want := range map[string]int{"www.c.test.": dns.RcodeSuccess, "nope.c.test.": dns.RcodeNameError, "x.safe.c.test.": dns.RcodeSuccess} {
		var m dns.Msg
		if err := m.Unpack(r.respond(nil, packed(t, name, dns.TypeA, true), client, overUDP)); err != nil {
			t.Fatal(err)
		}
		for _, rr := range slices.Concat(m.Answer, m.Ns, m.Extra) {
			switch rr.Header().Rrtype {
			case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeDS:
				t.Errorf("%s: %s", name, rr)
			}
		}
		if m.Rcode != want {
			t.Errorf("%s: %s", name, dns.RcodeToString[m.Rcode])
		}
	}
}

// TestSignatureBudget: a flood of made-up names costs a bounded number of signatures, gets nothing to reflect, and takes
// nothing from clients with a proven address, nor from names that exist.
func TestSignatureBudget(t *testing.T) {
	r := testResponder(t, signedZone(t))
	ask := func(name string, by transport) *dns.Msg {
		var m dns.Msg
		if err := m.Unpack(r.respond(nil, wantsDNSSEC(t, name, dns.TypeA, false), client, by)); err != nil {
			t.Fatal(err)
		}
		return &m
	}
	answered := 0
	limit := signaturesPerWorker * r.config(t).Workers
	for i := range limit + 500 {
		m := ask(fmt.Sprintf("n%d.c.test.", i), overUDP)
		switch {
		case m.Truncated:
			if len(m.Ns) > 0 {
				t.Fatal("truncated, with records")
			}
		case len(m.Ns) == 4:
			answered++
		default:
			t.Fatal(m)
		}
	}
	if answered > limit || answered < limit-5 {
		t.Errorf("%d names were denied, %d may be in a second", answered, limit)
	}
	if m := ask("another.c.test.", overUDP); !m.Truncated {
		t.Error("a made-up name is answered over UDP beyond the budget")
	}
	if m := ask("another.c.test.", overTCP); m.Truncated || len(m.Ns) != 4 {
		t.Errorf("a made-up name is not answered over TCP: %s", m)
	}
	if m := ask("another.c.test.", overUDP); m.Truncated {
		t.Error("what has been signed is not answered")
	}
	if m := ask("ns1.c.test.", overUDP); m.Truncated || len(m.Answer) != 2 {
		t.Errorf("a name that exists is not answered: %s", m)
	}
	r.tick(time.Unix(int64(r.seconds)+1, 0))
	if m := ask("later.c.test.", overUDP); m.Truncated {
		t.Error("a second later the budget is still spent")
	}
}

// config is what a responder's server was made from; its tests need the number of workers only.
func (r *responder) config(t testing.TB) Config {
	c, err := Config{Listen: []string{"127.0.0.1:0"}, Snapshot: r.store}.validated()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRenewal: signatures are made anew before they run out, and not before their time.
func TestRenewal(t *testing.T) {
	r := testResponder(t, signedZone(t))
	begin, seen := r.seconds, map[string]bool{}
	for hour := range uint32(24 * 8) {
		r.tick(time.Unix(int64(begin+hour*3600), 0))
		v := newValidator(t, r, "c.test.")
		var m dns.Msg
		if err := m.Unpack(r.respond(nil, wantsDNSSEC(t, "ns1.c.test.", dns.TypeA, false), client, overUDP)); err != nil {
			t.Fatal(err)
		}
		v.section("ns1", m.Answer)
		seen[m.Answer[1].(*dns.RRSIG).Signature] = true
	}
	if len(seen) < 5 || len(seen) > 7 {
		t.Errorf("%d signatures in 8 days", len(seen))
	}
}

// TestSignedAllocations: an answer with a signature that has been made costs no memory either.
func TestSignedAllocations(t *testing.T) {
	c := benchZone(100)
	c.Zones[0].Keys = []zone.Key{signingKey(t, sign.Active)}
	r := testResponder(t, c)
	out := make([]byte, 0, maxUDPSize)
	for _, name := range []string{"www.bench.test.", "s7.bench.test.", "foo.wild.bench.test."} {
		packet := wantsDNSSEC(t, name, dns.TypeA, false)
		got := testing.AllocsPerRun(500, func() { r.respond(out, packet, client, overUDP) })
		if got > 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func BenchmarkRespondSigned(b *testing.B) {
	c := benchZone(10000)
	c.Zones[0].Keys = []zone.Key{signingKey(b, sign.Active)}
	r := testResponder(b, c)
	out := make([]byte, 0, maxUDPSize)
	for _, name := range []string{"www.bench.test.", "s7.bench.test."} {
		packet := wantsDNSSEC(b, name, dns.TypeA, false)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.respond(out, packet, client, overUDP)
			}
		})
	}
}

// TestChainOfZones: the DS record of a zone that lies in another one of ours is answered by that one, signed, and is of
// a key that signs the zone below; a zone below without keys is proven to have none.
func TestChainOfZones(t *testing.T) {
	c := benchZone(1)
	above := c.Zones[0]
	above.Keys = []zone.Key{signingKey(t, sign.Active)}
	safe, bare := above, above
	safe.Origin, bare.Origin, bare.Keys = "a.safe.bench.test", "bare.bench.test", nil
	safe.Keys = []zone.Key{signingKey(t, sign.Active), signingKey(t, sign.Incoming)}
	r := testResponder(t, zone.Config{Serial: 1, Zones: []zone.Zone{above, safe, bare}})
	v := newValidator(t, r, "bench.test.")
	below := newValidator(t, r, "a.safe.bench.test.")
	ask := func(name string, qtype uint16) *dns.Msg {
		var m dns.Msg
		if err := m.Unpack(r.respond(nil, wantsDNSSEC(t, name, qtype, true), client, overTCP)); err != nil {
			t.Fatal(err)
		}
		return &m
	}
	m := ask("a.safe.bench.test.", dns.TypeDS)
	for _, rr := range v.section("DS", m.Answer)["a.safe.bench.test. DS"] {
		ds := rr.(*dns.DS)
		if key := below.keys[ds.KeyTag]; key == nil || key.ToDS(dns.SHA256).Digest != ds.Digest {
			t.Errorf("no key for %s", ds)
		}
	}
	if len(without(m.Answer)) != 2 {
		t.Errorf("%d DS records for two keys: %s", len(without(m.Answer)), m)
	}
	m = ask("bare.bench.test.", dns.TypeDS)
	nsec := v.section("no DS", m.Ns)["bare.bench.test. NSEC"]
	if len(nsec) != 1 || fmt.Sprint(nsec[0].(*dns.NSEC).TypeBitMap) != fmt.Sprint([]uint16{dns.TypeNS, dns.TypeRRSIG, dns.TypeNSEC}) {
		t.Errorf("a zone without keys: %s", m)
	}
	if m = ask("safe.bench.test.", dns.TypeA); m.Rcode != dns.RcodeSuccess {
		t.Errorf("a name between two zones: %s", dns.RcodeToString[m.Rcode])
	}
	if m = ask("www.bare.bench.test.", dns.TypeA); len(m.Answer) != 2 || !m.Authoritative {
		t.Errorf("the zone below is not answered: %s", m)
	}
}
