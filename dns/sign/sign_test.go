package sign

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/wire"
)

func name(t testing.TB, s string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(s, wire.Root)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func newKey(t testing.TB, stage Stage) Key {
	t.Helper()
	private, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKey(private, stage)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newSigner(t testing.TB, keys ...Key) *Signer {
	t.Helper()
	s, err := NewSigner(name(t, "example.org."), keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// records are those of a set as the other codec reads them.
func records(t testing.TB, owner wire.Name, set *wire.RRset) []dns.RR {
	t.Helper()
	var out []dns.RR
	for data := range set.All {
		one := wire.NewRRset(set.Type, set.TTL, data)
		rr, _, err := dns.UnpackRR(append([]byte(owner), one.Records[2:]...), 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

// TestKey: the other codec computes the same tag and DS.
func TestKey(t *testing.T) {
	for range 20 {
		k := newKey(t, Active)
		set := newSigner(t, k).Apex()[0]
		rr := records(t, name(t, "example.org."), &set)[0].(*dns.DNSKEY)
		if rr.KeyTag() != k.Tag || rr.Flags != 257 || rr.Algorithm != dns.ECDSAP256SHA256 {
			t.Errorf("tag %d, the other codec has %d: %s", k.Tag, rr.KeyTag(), rr)
		}
		want := rr.ToDS(dns.SHA256)
		got, err := dns.NewRR(k.DSText(name(t, "example.org.")))
		if err != nil || !strings.EqualFold(got.(*dns.DS).Digest, want.Digest) || got.(*dns.DS).KeyTag != want.KeyTag {
			t.Errorf("DS %s, want %s: %v", k.DSText(name(t, "example.org.")), want, err)
		}
	}
}

func TestSignerRefuses(t *testing.T) {
	active, incoming := newKey(t, Active), newKey(t, Incoming)
	for what, keys := range map[string][]Key{
		"none": nil, "no active": {incoming}, "two active": {active, newKey(t, Active)}, "twins": {active, active},
		"strange": {active, newKey(t, "Sleeping")},
	} {
		if _, err := NewSigner(name(t, "example.org."), keys); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if _, err := NewKey([]byte("no key"), Active); err == nil {
		t.Error("something that is no key was taken")
	}
}

// TestSign: the other codec verifies what is signed, of every type with a canonical form of its own, at any time.
func TestSign(t *testing.T) {
	s := newSigner(t, newKey(t, Active))
	key := s.Apex()[0]
	public := records(t, name(t, "example.org."), &key)[0].(*dns.DNSKEY)
	for _, lines := range [][]string{
		{"A 192.0.2.2", "A 192.0.2.1", "A 10.0.0.1"}, {"AAAA 2001:db8::1"}, {"NS Ns1.Example.ORG.", "NS b.example.net."},
		{"CNAME WWW.example.org."}, {"MX 10 Mail.example.org.", "MX 5 mail2.example.org."}, {"SRV 1 2 80 Host.example.org."},
		{`NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:a@B!" Naptr.Example.org.`}, {`TXT "b"`, `TXT "a" "c"`},
		{"HTTPS 1 Svc.Example.org. alpn=h2"}, {`CAA 0 issue "Ca.example"`}, {"PTR Host.example.org."},
	} {
		for _, owner := range []string{"example.org.", "a.b.example.org.", "*.example.org.", `\000.x.example.org.`} {
			var datas [][]byte
			var kind wire.Type
			for _, line := range lines {
				rr, err := dns.NewRR(". 300 IN " + line)
				if err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 512)
				end, err := dns.PackRR(rr, buf, 0, nil, false)
				if err != nil {
					t.Fatal(err)
				}
				datas, kind = append(datas, slices.Clone(buf[11:end])), wire.Type(rr.Header().Rrtype)
			}
			set := wire.NewRRset(kind, 300, datas...)
			now := rand.Int64N(1 << 31)
			rrsig, until, err := s.Sign([]byte(name(t, owner)), &set, now)
			if err != nil {
				t.Fatal(err)
			}
			sig := records(t, name(t, owner), &rrsig)[0].(*dns.RRSIG)
			if err := sig.Verify(public, records(t, name(t, owner), &set)); err != nil {
				t.Errorf("%s %s: %v", owner, lines, err)
			}
			if begin, end := int64(sig.Inception), int64(sig.Expiration); begin > now-3600 || end-until < 36*3600 || until <= now || until > now+36*3600 {
				t.Errorf("at %d: from %d to %d, sent until %d", now, begin, end, until)
			}
			again, _, err := s.Sign([]byte(name(t, owner)), &set, until-1)
			if err != nil || !bytes.Equal(again.Records, rrsig.Records) {
				t.Errorf("%s %s is signed otherwise in the same window: %v", owner, lines, err)
			}
		}
	}
}

// TestRollover: which keys are told of, and what they sign, at each stage.
func TestRollover(t *testing.T) {
	s := newSigner(t, newKey(t, Retired), newKey(t, Active), newKey(t, Incoming))
	apex := s.Apex()
	var counts []string
	for _, set := range append(apex, s.DS()) {
		counts = append(counts, fmt.Sprint(set.Type, " ", set.Count))
	}
	if got, want := strings.Join(counts, ", "), "DNSKEY 3, CDS 2, CDNSKEY 2, DS 2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for i, want := range []uint16{3, 1, 1} {
		rrsig, _, err := s.Sign([]byte(name(t, "example.org.")), &apex[i], 0)
		if err != nil || rrsig.Count != want {
			t.Errorf("%s has %d signatures, want %d: %v", apex[i].Type, rrsig.Count, want, err)
		}
	}
}

// TestLeaving: a zone that is to be signed no more is signed as ever, and asks its parent to drop what it has.
func TestLeaving(t *testing.T) {
	s := newSigner(t, newKey(t, Leaving), newKey(t, Incoming))
	apex, origin := s.Apex(), []byte(name(t, "example.org."))
	var texts []string
	for _, set := range apex[1:] {
		for _, rr := range records(t, wire.Name(origin), &set) {
			texts = append(texts, strings.ReplaceAll(rr.String(), "\t", " "))
		}
	}
	// RFC 8078 section 4.
	want := []string{"example.org. 3600 IN CDS 0 0 0 00", "example.org. 3600 IN CDNSKEY 0 3 0 AA=="}
	if diff := cmp.Diff(want, texts); diff != "" || s.DS().Count != 0 {
		t.Errorf("%d DS records (-want +got):\n%s", s.DS().Count, diff)
	}
	for i, want := range []uint16{2, 1, 1} {
		if rrsig, _, err := s.Sign(origin, &apex[i], 0); err != nil || rrsig.Count != want {
			t.Errorf("%s has %d signatures, want %d: %v", apex[i].Type, rrsig.Count, want, err)
		}
	}
	if _, err := NewSigner("", []Key{newKey(t, Leaving), newKey(t, Active)}); !errors.Is(err, ErrNoActiveKey) {
		t.Errorf("two keys that sign: %v", err)
	}
}

// canonicalLess orders names by RFC 4034 section 6.1, the obvious way.
func canonicalLess(a, b []byte) bool {
	labels := func(n []byte) (out []string) {
		for ; n[0] != 0; n = n[1+n[0]:] {
			out = append(out, string(wire.Lower(nil, n[1:1+n[0]])))
		}
		slices.Reverse(out)
		return out
	}
	return slices.Compare(labels(a), labels(b)) < 0
}

// TestSuccessor: nothing fits between a name and its successor, also where it is as long as a name can be.
func TestSuccessor(t *testing.T) {
	origin := name(t, "example.org.")
	random := rand.New(rand.NewPCG(1, 2))
	octets := []byte{0, 'a', '@', 'z', '[', 0xfe, 0xff}
	for range 20000 {
		n := []byte(origin)
		limit := 20 + random.IntN(236)
		for {
			label := make([]byte, 1+random.IntN(63))
			for i := range label {
				label[i] = octets[random.IntN(len(octets))]
				if random.IntN(3) > 0 {
					label[i] = 0xff
				}
			}
			if len(n)+1+len(label) > limit {
				break
			}
			n = append(append([]byte{byte(len(label))}, label...), n...)
		}
		next := successor(origin, n)
		if len(next) > wire.MaxName || !wire.Name(next).IsAtOrBelow(origin) {
			t.Fatalf("%q is followed by %q", n, next)
		}
		if string(next) == string(origin) {
			continue // the last name of the zone
		}
		if !canonicalLess(n, next) {
			t.Fatalf("%q is followed by %q, which is before it", n, next)
		}
		// Whatever name that can be is made of n by a small change, it must not lie between.
		for _, c := range octets {
			if len(n)+2 <= wire.MaxName {
				if m := append([]byte{1, c}, n...); canonicalLess(n, m) && canonicalLess(m, next) {
					t.Fatalf("%q lies between %q and %q", m, n, next)
				}
			}
			if len(n) > len(origin) && n[0] < 63 && len(n) < wire.MaxName {
				m := append([]byte{n[0] + 1}, n[1:1+n[0]]...)
				m = append(append(m, c), n[1+n[0]:]...)
				if canonicalLess(n, m) && canonicalLess(m, next) {
					t.Fatalf("%q lies between %q and %q", m, n, next)
				}
			}
		}
	}
}

// TestDeny: the other codec reads the types, and whether there is the name at all.
func TestDeny(t *testing.T) {
	origin, at := name(t, "example.org."), name(t, "www.example.org.")
	for want, types := range map[string][]wire.Type{
		"RRSIG NSEC NXNAME":         nil,
		"RRSIG NSEC":                {},
		"A AAAA RRSIG NSEC URI CAA": {wire.TypeCAA, wire.TypeAAAA, wire.TypeA, wire.TypeURI},
	} {
		set := Deny(origin, []byte(at), 30, types)
		nsec := records(t, at, &set)[0].(*dns.NSEC)
		var got []string
		for _, t := range nsec.TypeBitMap {
			got = append(got, wire.Type(t).String())
		}
		if strings.Join(got, " ") != want || nsec.NextDomain != `\000.www.example.org.` || nsec.Hdr.Ttl != 30 {
			t.Errorf("got %s, want the types %s", nsec, want)
		}
	}
}

// TestCache: a signature is found for what it signs, and for nothing that differs in anything; not after its time; and
// there is no more room than there should be.
func TestCache(t *testing.T) {
	c, s := NewCache(100), newSigner(t, newKey(t, Active))
	owner := []byte(name(t, "www.example.org."))
	set := wire.NewRRset(wire.TypeA, 30, []byte{192, 0, 2, 1})
	made, err := c.Make(s, owner, &set, 1000)
	if err != nil {
		t.Fatal(err)
	}
	equal := wire.NewRRset(wire.TypeA, 30, []byte{192, 0, 2, 1})
	if got := c.Find(s, owner, &equal, 1000); got != made {
		t.Error("not found")
	}
	_, until, _ := s.Sign(owner, &set, 1000)
	other := wire.NewRRset(wire.TypeA, 30, []byte{192, 0, 2, 2})
	longer := wire.NewRRset(wire.TypeA, 31, []byte{192, 0, 2, 1})
	for what, got := range map[string]*wire.RRset{
		"after its time": c.Find(s, owner, &set, until), "other data": c.Find(s, owner, &other, 1000),
		"other TTL": c.Find(s, owner, &longer, 1000), "other name": c.Find(s, owner[4:], &set, 1000),
		"other key": c.Find(newSigner(t, newKey(t, Active)), owner, &set, 1000),
	} {
		if got != nil {
			t.Errorf("%s: found", what)
		}
	}
	if len(c.slots) != 128 {
		t.Errorf("%d slots", len(c.slots))
	}
	for i := range 1000 {
		set := wire.NewRRset(wire.TypeA, 30, []byte{10, 0, byte(i >> 8), byte(i)})
		if made, err := c.Make(s, owner, &set, 1000); err != nil || c.Find(s, owner, &set, 1000) != made {
			t.Fatalf("what was made last is not found: %v", err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	s := newSigner(b, newKey(b, Active))
	owner := []byte(name(b, "www.example.org."))
	set := wire.NewRRset(wire.TypeA, 30, []byte{192, 0, 2, 1})
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			s.Sign(owner, &set, 1000)
		}
	})
	b.Run("find", func(b *testing.B) {
		c := NewCache(1000)
		c.Make(s, owner, &set, 1000)
		b.ReportAllocs()
		for b.Loop() {
			c.Find(s, owner, &set, 1000)
		}
	})
}
