package server

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// copyOf is a secondary as simple as can be: it holds records as lines, and asks for what has changed.
type copyOf struct {
	origin  string
	serial  uint32
	records map[string]bool
	steps   int // transfers of differences
	wholes  int
}

func (c *copyOf) refresh(t *testing.T, s *Server) {
	t.Helper()
	q := axfr(c.origin)
	if c.records != nil {
		q = new(dns.Msg)
		q.SetIxfr(c.origin, c.serial, "ns1."+c.origin, "hostmaster."+c.origin)
	}
	q.SetTsig(testKey, dns.HmacSHA256, 300, time.Now().Unix())
	transfer := dns.Transfer{ReadTimeout: 10 * time.Second, TsigSecret: map[string]string{testKey: testSecret}}
	messages, err := transfer.In(q, s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var rrs []dns.RR
	for m := range messages {
		if m.Error != nil {
			t.Fatal(m.Error)
		}
		rrs = append(rrs, m.RR...)
	}
	c.take(t, rrs)
}

// take is RFC 1995 section 4, word by word.
func (c *copyOf) take(t *testing.T, rrs []dns.RR) {
	t.Helper()
	last := rrs[0].(*dns.SOA)
	if len(rrs) == 1 {
		if last.Serial != c.serial {
			t.Fatalf("only the SOA of %d, for %d", last.Serial, c.serial)
		}
		return
	}
	if second, ok := rrs[1].(*dns.SOA); !ok || second.Serial == last.Serial {
		c.wholes++
		c.records = map[string]bool{}
		for _, rr := range rrs[1 : len(rrs)-1] {
			c.records[strings.ToLower(rr.String())] = true
		}
		c.serial = last.Serial
		return
	}
	c.steps++
	isAdding := true
	for _, rr := range rrs[1 : len(rrs)-1] {
		line := strings.ToLower(rr.String())
		if soa, ok := rr.(*dns.SOA); ok {
			isAdding = !isAdding
			if !isAdding && soa.Serial != c.serial {
				t.Fatalf("differences since %d, the copy is of %d", soa.Serial, c.serial)
			}
			c.serial = soa.Serial
			continue
		}
		if c.records[line] == isAdding {
			t.Fatalf("adding %v: %s, which is there %v", isAdding, line, c.records[line])
		}
		if isAdding {
			c.records[line] = true
		} else {
			delete(c.records, line)
		}
	}
	if c.serial != last.Serial {
		t.Fatalf("the differences end with %d, not with %d", c.serial, last.Serial)
	}
}

// isWhole compares the copy with one that is made at once.
func (c *copyOf) isWhole(t *testing.T, s *Server) {
	t.Helper()
	whole := &copyOf{origin: c.origin}
	whole.refresh(t, s)
	if diff := cmp.Diff(whole.records, c.records); diff != "" {
		t.Fatalf("at %d, after %d differences and %d times the whole (-whole +by differences):\n%s", c.serial, c.steps, c.wholes, diff)
	}
}

// TestDifferences: secondaries that ask for what has changed, often or seldom, hold what one holds that copies the whole,
// after every change of a thousand.
func TestDifferences(t *testing.T) {
	c := transferring(benchZone(300), keys)
	store := storeOf(t, c)
	s := start(t, Config{Snapshot: store})
	random := rand.New(rand.NewPCG(1, 2))
	secondaries := []*copyOf{{origin: "bench.test."}, {origin: "bench.test."}, {origin: "bench.test."}}
	z := c.Zones[0]
	for serial := uint32(2); serial < 1002; serial++ {
		z = changedZone(random, z)
		if err := store.Set(zone.Config{Serial: serial, Seed: 1, Zones: []zone.Zone{z}}); err != nil {
			t.Fatal(err)
		}
		for i, secondary := range secondaries {
			if every := []int{1, 7, 60}[i]; int(serial)%every != 0 {
				continue
			}
			secondary.refresh(t, s)
			if serial%50 == 0 || i > 1 {
				secondary.isWhole(t, s)
			}
		}
	}
	for i, secondary := range secondaries {
		t.Logf("secondary %d: %d times the differences, %d times the whole", i, secondary.steps, secondary.wholes)
	}
	if secondaries[0].wholes > 12 || secondaries[1].wholes > 12 || secondaries[2].wholes > 12 {
		t.Error("differences are not used where they should be")
	}
}

// TestSignedDifferences: the same of a signed zone, with delegations that come and go.
func TestSignedDifferences(t *testing.T) {
	c := transferring(benchZone(40), keys)
	c.Zones[0].Keys = []zone.Key{signingKey(t, sign.Active)}
	store := storeOf(t, c)
	s := start(t, Config{Snapshot: store})
	random := rand.New(rand.NewPCG(3, 4))
	secondaries := []*copyOf{{origin: "bench.test."}, {origin: "bench.test."}}
	z := c.Zones[0]
	for serial := uint32(2); serial < 202; serial++ {
		z = changedZone(random, z)
		if serial%40 == 0 {
			z = withDelegation(z, int(serial)/40)
		}
		if err := store.Set(zone.Config{Serial: serial, Seed: 1, Zones: []zone.Zone{z}}); err != nil {
			t.Fatal(err)
		}
		for i, secondary := range secondaries {
			if every := []int{1, 3}[i]; int(serial)%every != 0 {
				continue
			}
			secondary.refresh(t, s)
			if serial%10 == 0 || i > 0 {
				secondary.isWhole(t, s)
			}
		}
	}
	for i, secondary := range secondaries {
		t.Logf("secondary %d: %d times the differences, %d times the whole", i, secondary.steps, secondary.wholes)
		if secondary.steps < 50 {
			t.Error("differences are not used where they should be")
		}
	}
}

// withDelegation hands over the n-th name below which names may have been made, or takes it back.
func withDelegation(z zone.Zone, n int) zone.Zone {
	sub := fmt.Sprintf("cut%d", n/2)
	records := slices.DeleteFunc(slices.Clone(z.Records), func(r zone.Record) bool { return strings.Contains(r.Name, sub) })
	if len(records) == len(z.Records) {
		records = append(records, zone.Record{Name: sub, Type: "NS", Data: "ns." + sub},
			zone.Record{Name: "ns." + sub, Type: "A", Data: "192.0.2.77"})
	}
	z.Records = records
	return z
}

// TestRenewedSignaturesAreDifferences: a day later, with a single change, the signatures that time has renewed are sent,
// and those alone; and the copy is the whole.
func TestRenewedSignaturesAreDifferences(t *testing.T) {
	c := transferring(benchZone(200), keys)
	c.Zones[0].Keys = []zone.Key{signingKey(t, sign.Active)}
	store := storeOf(t, c)
	r := newResponder(start(t, Config{Snapshot: store}).settings, &counters{})
	first := time.Unix(1_700_000_000, 0)
	transferAt := func(at time.Time, question *dns.Msg, from netip.AddrPort) (records []dns.RR) {
		r.tick(at)
		packet, err := question.Pack()
		if err != nil {
			t.Fatal(err)
		}
		wire.Parse(packet, &r.query)
		r.signature.name = testKey // as if it had been checked
		defer func() { r.signature = signature{} }()
		r.signature.algorithm, r.signature.secret = dns.HmacSHA256, testSecret
		if err := r.sendZone(from, overTCP, func(message []byte) error {
			var m dns.Msg
			err := m.Unpack(message)
			records = append(records, m.Answer...)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return records
	}
	secondary, whole := &copyOf{origin: "bench.test."}, &copyOf{origin: "bench.test."}
	secondary.take(t, transferAt(first, axfr("bench.test."), client))
	if err := store.Update(2, zone.Change{Origin: "bench.test", Name: "new", Records: []zone.Record{
		{Name: "new", Type: "A", Data: "192.0.2.1"},
	}}); err != nil {
		t.Fatal(err)
	}
	var q dns.Msg
	q.SetIxfr("bench.test.", 1, "ns1.bench.test.", "hostmaster.bench.test.")
	differences := transferAt(first.Add(3*time.Hour), &q, client)
	secondary.take(t, differences)
	whole.take(t, transferAt(first.Add(3*time.Hour), axfr("bench.test."), client))
	if secondary.wholes != 1 || len(differences) > len(whole.records)/3 || len(differences) < 20 {
		t.Errorf("%d differences of %d records, %d times the whole", len(differences), len(whole.records), secondary.wholes)
	}
	if diff := cmp.Diff(whole.records, secondary.records); diff != "" {
		t.Errorf("(-whole +by differences):\n%s", diff)
	}
	elsewhere := netip.MustParseAddrPort("192.0.2.201:5353")
	if got := transferAt(first.Add(3*time.Hour), &q, elsewhere); len(got) < len(whole.records) {
		t.Errorf("who has not got its copy from us gets %d records, not the whole", len(got))
	}
}

// changedZone is a zone after one random change, sometimes of its header.
func changedZone(random *rand.Rand, z zone.Zone) zone.Zone {
	z.Services, z.Records = slices.Clone(z.Services), slices.Clone(z.Records)
	switch at := random.IntN(len(z.Services)); random.IntN(12) {
	case 0:
		z.Services = slices.Delete(z.Services, at, at+1)
	case 1, 2:
		z.Services = append(z.Services, zone.Service{Name: fmt.Sprintf("n%d.sub%d", random.Uint32(), random.IntN(9)), Targets: []zone.Target{
			{Cluster: "c", Weight: 1, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 9, byte(random.IntN(9)), 1})}},
		}, Ports: []zone.Port{{Name: "http", Protocol: "tcp", Port: 80}}})
	case 3:
		z.Records = append(z.Records, zone.Record{Name: fmt.Sprintf("t%d", random.IntN(20)), Type: "TXT", Data: fmt.Sprintf("%q", fmt.Sprint(random.Uint32())), TTL: 60})
	case 4:
		if len(z.Records) > 6 {
			z.Records = slices.Delete(z.Records, 5, 6)
		}
	case 5:
		if random.IntN(60) == 0 {
			z.TTL = 30 + uint32(random.IntN(3))
		}
	default:
		s := &z.Services[at]
		s.Targets = slices.Clone(s.Targets)
		t := &s.Targets[random.IntN(len(s.Targets))]
		t.Weight = uint32(random.IntN(4))
		t.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 8, byte(random.IntN(9)), byte(random.IntN(9))})}
	}
	return z
}

// TestDifferencesOverUDP: just the SOA, for those who may copy the zone.
func TestDifferencesOverUDP(t *testing.T) {
	s := start(t, Config{Snapshot: storeOf(t, transferring(benchZone(5), keys))})
	for secret, want := range map[string]int{testSecret: 1, "": 0} {
		var q dns.Msg
		q.SetIxfr("bench.test.", 0, "ns1.bench.test.", "hostmaster.bench.test.")
		client := dns.Client{}
		if secret != "" {
			q.SetTsig(testKey, dns.HmacSHA256, 300, time.Now().Unix())
			client.TsigSecret = map[string]string{testKey: secret}
		}
		m, _, err := client.Exchange(&q, s.Addr().String())
		if err != nil || len(m.Answer) != want || want == 0 && m.Rcode != dns.RcodeRefused {
			t.Errorf("%d records, want %d: %v, %v", len(m.Answer), want, m, err)
		}
	}
}

// TestTransferSigned: a copy of a signed zone has all that a server which cannot sign needs: a signature of each set, and
// the chain of names. BIND and NSD's library say so, too, where they are installed.
func TestTransferSigned(t *testing.T) {
	c := transferring(signedZone(t), keys)
	c.Zones[0].Keys = append(c.Zones[0].Keys, signingKey(t, sign.Incoming), signingKey(t, sign.Retired))
	s := start(t, Config{Snapshot: storeOf(t, c)})
	q := axfr("c.test.")
	q.SetTsig(testKey, dns.HmacSHA256, 300, time.Now().Unix())
	transfer := dns.Transfer{TsigSecret: map[string]string{testKey: testSecret}}
	messages, err := transfer.In(q, s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var rrs []dns.RR
	for m := range messages {
		if m.Error != nil {
			t.Fatal(m.Error)
		}
		rrs = append(rrs, m.RR...)
	}
	rrs = rrs[:len(rrs)-1]
	v := &validator{TB: t, origin: "c.test.", keys: map[uint16]*dns.DNSKEY{}, at: time.Now()}
	next := map[string]string{}
	for _, rr := range rrs {
		switch rr := rr.(type) {
		case *dns.DNSKEY:
			v.keys[rr.KeyTag()] = rr
		case *dns.NSEC:
			next[strings.ToLower(rr.Hdr.Name)] = rr.NextDomain
		}
	}
	v.section("transfer", rrs)
	at, length := "c.test.", 0
	for length = 1; length < 1000; length++ {
		if at = next[at]; at == "c.test." || at == "" {
			break
		}
	}
	if length != len(next) || at == "" {
		t.Errorf("the chain has %d of %d names", length, len(next))
	}
	var text strings.Builder
	for _, rr := range rrs {
		text.WriteString(rr.String() + "\n")
	}
	file := filepath.Join(t.TempDir(), "c.test")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"ldns-verify-zone", file}, {"dnssec-verify", "-z", "-o", "c.test", file}, {"named-checkzone", "c.test", file}} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Logf("%s is not installed: not checked with it", command[0])
			continue
		}
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", command[0], err, out)
		}
	}
}

// TestOrdersAreForgotten: what is kept of a zone goes with it.
func TestOrdersAreForgotten(t *testing.T) {
	of := func(origins ...string) *zone.Snapshot {
		c := zone.Config{Serial: 1, Seed: 1}
		for _, o := range origins {
			c.Zones = append(c.Zones, zone.Zone{Origin: o, NameServers: []zone.NameServer{{Name: "ns.elsewhere."}}})
		}
		s, err := zone.Build(c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var sent sentTrees
	both, one := of("a.test", "b.test"), of("b.test")
	for _, tree := range both.Trees() {
		sent.ownNames(tree, both)
	}
	if len(sent.orders) != 2 {
		t.Fatalf("%d orders of 2 zones", len(sent.orders))
	}
	sent.ownNames(one.Trees()[0], one)
	if len(sent.orders) != 1 {
		t.Errorf("%d orders of one zone that is left", len(sent.orders))
	}
}
