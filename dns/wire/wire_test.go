package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestParseName(t *testing.T) {
	origin := Name("\x07example\x03com\x00")
	l63 := strings.Repeat("a", 63)
	for _, tt := range []struct {
		text string
		want Name
		err  error
	}{
		{".", Root, nil},
		{"@", origin, nil},
		{"", origin, nil},
		{"www", "\x03www" + origin, nil},
		{"WwW.Example.COM.", "\x03www" + origin, nil},
		{`a\.b.c.`, "\x03a.b\x01c\x00", nil},
		{`\065\255.`, "\x02a\xff\x00", nil},
		{"*.x", "\x01*\x01x" + origin, nil},
		{l63 + ".", Name("\x3f" + l63 + "\x00"), nil},
		{l63 + "a.", "", ErrLabelTooLong},
		{strings.Repeat(l63+".", 4), "", ErrNameTooLong},
		{"a..b", "", ErrEmptyLabel},
		{".a", "", ErrEmptyLabel},
		{"a..", "", ErrEmptyLabel},
		{`a\`, "", ErrEscape},
		{`a\25`, "", ErrEscape},
		{`a\999.`, "", ErrEscape},
		{`a\1x3.`, "", ErrEscape},
		{"b\u00fccher", "", ErrNotASCII},
		{"a\x8b.", "", ErrNotASCII},
	} {
		got, err := ParseName(tt.text, origin)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%q: got %q, %v; want %q, %v", tt.text, got, err, tt.want, tt.err)
		}
	}
}

// FuzzParseName: what is taken is a name by the rules of the wire, and comes back the same from its text; the other
// codec agrees.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"www.example.com.", `a\.b\032c.x`, "*.y", "@", `\`, "a..", strings.Repeat("a.", 127)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseName(text, Root)
		if err != nil {
			return
		}
		if len(n) > MaxName || n[len(n)-1] != 0 {
			t.Fatalf("%q gives %q", text, n)
		}
		back, err := ParseName(n.String(), Root)
		if err != nil || back != n {
			t.Fatalf("%q gives %q, its text %q gives %q, %v", text, n, n.String(), back, err)
		}
		buf := make([]byte, 300)
		end, err := dns.PackDomainName(n.String(), buf, 0, nil, false)
		if err != nil || string(buf[:end]) != string(n) {
			t.Fatalf("%q: the other codec packs %q, %v", n.String(), buf[:end], err)
		}
		steps := 0
		for p := n; p != Root; p = p.Parent() {
			if steps++; !n.IsAtOrBelow(p) || p.IsAtOrBelow(n) != (p == n) {
				t.Fatalf("%q and its ancestor %q", n, p)
			}
		}
	})
}

// FuzzParse compares with the other codec: what this one takes, that one reads to the same question; nothing is read
// twice differently.
func FuzzParse(f *testing.F) {
	var m dns.Msg
	m.SetQuestion("WWW.example.com.", dns.TypeAAAA)
	m.SetEdns0(1400, true)
	packet, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet)
	for i := range packet {
		f.Add(packet[:i])
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		var q Query
		before := bytes.Clone(packet)
		verdict, rcode := Parse(packet, &q)
		if !bytes.Equal(before, packet) {
			t.Fatal("the packet was changed")
		}
		if verdict == RefuseHeader && rcode != FormErr && rcode != NotImp {
			t.Fatalf("refused with %s", rcode)
		}
		if verdict != Answer {
			return
		}
		name, end, err := dns.UnpackDomainName(packet, HeaderSize)
		if err != nil {
			t.Fatalf("the other codec: %v", err)
		}
		back := make([]byte, MaxName+1)
		length, err := dns.PackDomainName(name, back, 0, nil, false)
		if err != nil || !bytes.Equal(Lower(nil, back[:length]), q.Name()) {
			t.Fatalf("name %q, the other codec has %s, %v", q.Name(), name, err)
		}
		if uint16(q.Type) != binary.BigEndian.Uint16(packet[end:]) || len(q.Question) != end+4-HeaderSize {
			t.Fatalf("type %s, question %x", q.Type, q.Question)
		}
		var m dns.Msg
		if err := m.Unpack(packet); err == nil && q.HasEDNS != (m.IsEdns0() != nil) {
			t.Fatalf("EDNS %v, the other codec has %v", q.HasEDNS, m.IsEdns0())
		}
	})
}

// FuzzEDNS gives any octets as the RDATA of an OPT record: taken are those that are a list of options to the end (RFC
// 6891 section 6.1.2), and each option is the one that a slow twin finds. The plain shape of a query and one that takes
// the long way (a second record before the OPT) must agree.
func FuzzEDNS(f *testing.F) {
	f.Add([]byte{}, uint16(OptionCookie))
	f.Add([]byte{0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}, uint16(OptionCookie))
	f.Add([]byte{0, 3, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0}, uint16(OptionECS))
	f.Add([]byte{0, 3, 0, 9, 1}, uint16(OptionNSID))
	f.Fuzz(func(t *testing.T, rdata []byte, code uint16) {
		if len(rdata) > 4000 {
			return
		}
		opt := []byte{0, 0, byte(TypeOPT), 4, 208, 0, 0, 0x80, 0}
		opt = append(binary.BigEndian.AppendUint16(opt, uint16(len(rdata))), rdata...)
		other := []byte{0, 0, byte(TypeA), 0, 1, 0, 0, 0, 0, 0, 0}
		head := []byte{1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 'x', 0, 0, 1, 0, 1}
		short := append(bytes.Clone(head), opt...)
		long := append(append(bytes.Clone(head), other...), opt...)
		long[11] = 2
		want, isList := optionOf(rdata, code)
		for what, packet := range map[string][]byte{"short": short, "long": long} {
			var q Query
			verdict, rcode := Parse(packet, &q)
			if isList != (verdict == Answer) || !isList && rcode != FormErr {
				t.Fatalf("the %s way: %v %s, a list of options: %v", what, verdict, rcode, isList)
			}
			if !isList {
				continue
			}
			got, _ := q.EDNS.Option(code)
			if !q.HasEDNS || !q.EDNS.DO || q.EDNS.UDPSize != 1232 || !bytes.Equal(got, want) {
				t.Fatalf("the %s way: %+v, option %x, want %x", what, q.EDNS, got, want)
			}
		}
	})
}

// optionOf is the first option of a code, and whether the octets are a list of options at all.
func optionOf(rdata []byte, code uint16) (found []byte, isList bool) {
	for len(rdata) >= 4 {
		n := int(rdata[2])<<8 | int(rdata[3])
		if len(rdata) < 4+n {
			return nil, false
		}
		if found == nil && int(rdata[0])<<8|int(rdata[1]) == int(code) {
			found = rdata[4 : 4+n : 4+n]
		}
		rdata = rdata[4+n:]
	}
	return found, len(rdata) == 0
}

func query(t *testing.T, name string) *Query {
	t.Helper()
	var m dns.Msg
	m.SetQuestion(name, dns.TypeA)
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	q := &Query{}
	if verdict, _ := Parse(packet, q); verdict != Answer {
		t.Fatal(verdict)
	}
	return q
}

func mustName(t *testing.T, s string) Name {
	t.Helper()
	n, err := ParseName(s, Root)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWriterCompresses: each name is written once, letter case aside, in owners and in data, and reads back the same.
func TestWriterCompresses(t *testing.T) {
	var w Writer
	w.Begin(nil, query(t, "WWW.Example.com."), 512)
	ns := NewRRset(TypeNS, 60, []byte(mustName(t, "ns1.EXAMPLE.com.")), []byte(mustName(t, "ns2.example.com.")), []byte(mustName(t, "ns.other.")))
	mx := NewRRset(TypeMX, 60, append([]byte{0, 10}, mustName(t, "www.example.com.")...))
	srv := NewRRset(TypeSRV, 60, append([]byte{0, 1, 0, 2, 0, 3}, mustName(t, "www.example.com.")...))
	for _, s := range []*RRset{&ns, &mx, &srv} {
		if !w.Append(AnswerSection, mustName(t, "example.com."), s, 0) {
			t.Fatal("does not fit")
		}
	}
	out := w.Finish(NoError, nil)
	var m dns.Msg
	if err := m.Unpack(out); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Example.com.\t60\tIN\tNS\tns1.Example.com.", "Example.com.\t60\tIN\tNS\tns2.Example.com.", "Example.com.\t60\tIN\tNS\tns.other.",
		"Example.com.\t60\tIN\tMX\t10 WWW.Example.com.", "Example.com.\t60\tIN\tSRV\t1 2 3 www.example.com.",
	}
	for i, rr := range m.Answer {
		if rr.String() != want[i] {
			t.Errorf("record %d is %s, want %s", i, rr, want[i])
		}
	}
	// Owners are two octets; the names in NS data six and ten, in MX data two; that in SRV data is not compressed (RFC
	// 2782).
	if want := 12 + 21 + 5*12 + (4 + 2) + (4 + 2) + 10 + (2 + 2) + (6 + 17); len(out) != want {
		t.Errorf("%d octets, want %d", len(out), want)
	}
}

// TestWriterKeepsItsLimit: at every limit a set is there whole or not at all, and what was tried in vain leaves no
// pointers to it.
func TestWriterKeepsItsLimit(t *testing.T) {
	first := NewRRset(TypeNS, 60, []byte(mustName(t, "a.long.name.elsewhere.")), []byte(mustName(t, "b.long.name.elsewhere.")))
	second := NewRRset(TypeNS, 60, []byte(mustName(t, "c.long.name.elsewhere.")))
	seen := map[int]bool{}
	for limit := 30; limit < 200; limit++ {
		var w Writer
		w.Begin(nil, query(t, "example.com."), limit)
		n := 0
		if w.Append(AnswerSection, "", &first, 0) {
			n += 2
		}
		if w.Append(AnswerSection, "", &second, 0) {
			n++
		}
		out := w.Finish(NoError, nil)
		if len(out) > limit {
			t.Fatalf("%d octets, limit %d", len(out), limit)
		}
		var m dns.Msg
		if err := m.Unpack(out); err != nil || len(m.Answer) != n {
			t.Fatalf("limit %d: %d records, want %d, %v", limit, len(m.Answer), n, err)
		}
		seen[n] = true
	}
	for _, n := range []int{0, 1, 3} {
		if !seen[n] {
			t.Errorf("no limit at which %d records fit; the test says little", n)
		}
	}
}

func TestWriterTurnsSets(t *testing.T) {
	set := NewRRset(TypeA, 60, []byte{1, 1, 1, 1}, []byte{2, 2, 2, 2}, []byte{3, 3, 3, 3})
	for _, owner := range []Name{"", mustName(t, "other.example.com.")} {
		var w Writer
		w.Begin(nil, query(t, "example.com."), 512)
		w.Append(AnswerSection, owner, &set, 2*RecordSize(4))
		var m dns.Msg
		if err := m.Unpack(w.Finish(NoError, nil)); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, rr := range m.Answer {
			got += rr.(*dns.A).A.String() + " "
		}
		if got != "3.3.3.3 1.1.1.1 2.2.2.2 " {
			t.Errorf("got %s", got)
		}
	}
}
