package dnspeers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/server"
	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/zone"
)

const (
	keyName = "secondary.test."
	secret  = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
)

// unpack gets programs, or skips the test.
func unpack(t *testing.T, packages ...string) *Programs {
	t.Helper()
	p, err := Unpack(t.Context(), packages...)
	if errors.Is(err, ErrNoPackages) {
		t.Skipf("skipped, nothing was compared with the real peers: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serve runs our server and stops it with the test.
func serve(t *testing.T, c server.Config) *server.Server {
	t.Helper()
	s, err := server.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func free(t *testing.T) netip.AddrPort {
	t.Helper()
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// TestSecondariesFollow: NSD, Knot and BIND copy a zone with TSIG, are told of changes by NOTIFY while it changes a
// thousand times, fetch them by IXFR or AXFR, and end with the very records that we have.
func TestSecondariesFollow(t *testing.T) {
	checkers := []string{"knot-dnssecutils", "ldnsutils"}
	programs := unpack(t, slices.Concat(NSD.Packages, Knot.Packages, BIND.Packages, checkers)...)
	t.Run("unsigned", func(t *testing.T) {
		c := startOf("follow.test")
		checkZone(t, programs, follow(t, programs, c), "follow.test")
	})
	t.Run("signed", func(t *testing.T) {
		c := startOf("follow.test")
		c.Zones[0].Keys = []zone.Key{newKey(t)}
		file := checkZone(t, programs, follow(t, programs, c), "follow.test")
		output(t, programs, "ldns-verify-zone", "-V", "4", file)
		output(t, programs, "dnssec-verify", "-z", "-o", "follow.test", file)
	})
}

// follow serves a zone, changes it a thousand times, and gives the records of a secondary that all agree on with us.
func follow(t *testing.T, programs *Programs, c zone.Config) []string {
	const changes = 1000
	rng := rand.New(rand.NewPCG(1, 2))
	makes := []*Make{&NSD, &Knot, &BIND}
	z := &c.Zones[0]
	z.Transfer.Keys = []zone.TSIGKey{{Name: keyName, Secret: secret}}
	var listen []netip.AddrPort
	for range makes {
		listen = append(listen, free(t))
		z.Transfer.Notify = append(z.Transfer.Notify, listen[len(listen)-1].String())
	}
	store := zone.NewStore()
	if err := store.Set(c); err != nil {
		t.Fatal(err)
	}
	ours := serve(t, server.Config{Listen: []string{"127.0.0.1:0"}, Snapshot: store})
	dir := t.TempDir()
	var peers []*Peer
	for i, m := range makes {
		p, err := m.Start(t.Context(), programs, dir, Zone{
			Origin: z.Origin, Primary: ours.Addr(), KeyName: keyName, Secret: secret, Listen: listen[i],
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Stop)
		peers = append(peers, p)
	}

	// The changes come at the pace of a busy control plane, so that secondaries fetch some of them at a time.
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	serial := store.Snapshot().Serial()
	for range changes {
		<-pace.C
		serial++
		if err := store.Update(serial, randomChange(rng, z.Origin)); err != nil {
			t.Fatal(err)
		}
	}
	want := withoutTimes(copyOf(t, ours.Addr(), z.Origin))
	var theirs []string
	for _, p := range peers {
		awaitSerial(t, p, z.Origin, serial)
		theirs = copyOf(t, p.Addr, z.Origin)
		if diff := cmp.Diff(want, withoutTimes(theirs)); diff != "" {
			t.Errorf("%s differs from us (-ours,+theirs):\n%s", p.Name, diff)
		}
	}
	t.Logf("%d changes, %d records at the end, equal in %d secondaries", changes, len(want), len(peers))
	return theirs
}

// withoutTimes leaves of signatures what does not depend on when they were made: each is renewed at a time of its own,
// which may lie between two copies.
func withoutTimes(records []string) []string {
	out := slices.Clone(records)
	for i, r := range out {
		// owner, TTL, class, RRSIG, then: type, algorithm, labels, TTL, expiration, inception, key, signer, signature
		if f := strings.Fields(r); len(f) > 12 && f[3] == "RRSIG" {
			out[i] = strings.Join(slices.Concat(f[:8], f[10:12]), " ")
		}
	}
	slices.Sort(out)
	return out
}

// newKey is a key to sign a zone with.
func newKey(t *testing.T) zone.Key {
	t.Helper()
	private, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return zone.Key{Private: private, Stage: sign.Active}
}

// startOf is a zone with something of everything in it.
func startOf(origin string) zone.Config {
	return zone.Config{Serial: 1, Seed: 1, Zones: []zone.Zone{{
		Origin: origin, TTL: 60,
		NameServers: []zone.NameServer{{Name: "ns1", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}},
		// Secondaries that miss a NOTIFY should not need an hour to find out.
		SOA:     zone.SOA{Refresh: 30, Retry: 5},
		Records: []zone.Record{{Name: "www", Type: "A", Data: "192.0.2.1"}},
	}}}
}

// randomChange gives one name new data of a random kind, or takes it away.
func randomChange(rng *rand.Rand, origin string) zone.Change {
	name := fmt.Sprintf("n%d", rng.IntN(150))
	if rng.IntN(3) == 0 {
		name = fmt.Sprintf("a.b%d.%s", rng.IntN(3), name) // with names between that hold nothing
	}
	c := zone.Change{Origin: origin, Name: name}
	record := func(kind, format string, args ...any) {
		c.Records = append(c.Records, zone.Record{Name: name, Type: kind, Data: fmt.Sprintf(format, args...)})
	}
	switch rng.IntN(8) {
	case 0: // the name goes away
	case 1:
		record("CNAME", "n%d", rng.IntN(150))
	case 2:
		record("TXT", `"%d" "semi;colon \"quoted\" back\\slash"`, rng.Uint32())
		record("MX", "10 n%d", rng.IntN(150))
	case 3:
		record("SRV", "%d %d 443 n%d", rng.IntN(3), rng.IntN(100), rng.IntN(150))
		record("AAAA", "2001:db8::%x", rng.IntN(0xffff))
	case 4:
		record("HTTPS", "1 . alpn=h2 ipv4hint=192.0.2.%d", rng.IntN(256))
		record("CAA", `0 issue "ca%d.example"`, rng.IntN(10))
	case 5, 6:
		c.Service = &zone.Service{Name: name, Ports: []zone.Port{{Name: "http", Protocol: "tcp", Port: 80}}}
		for i := range 1 + rng.IntN(3) {
			c.Service.Targets = append(c.Service.Targets, zone.Target{
				Cluster: fmt.Sprintf("c%d", i), Weight: uint32(rng.IntN(100)),
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(i), 0, byte(rng.IntN(256))})},
			})
		}
	default:
		for i := range 1 + rng.IntN(4) {
			record("A", "192.0.%d.%d", i, rng.IntN(256))
		}
	}
	return c
}

// copyOf is every record of a zone, sorted, fetched by a signed AXFR.
func copyOf(t *testing.T, from netip.AddrPort, origin string) []string {
	t.Helper()
	var q dns.Msg
	q.SetAxfr(dns.Fqdn(origin))
	q.SetTsig(keyName, dns.HmacSHA256, 300, time.Now().Unix())
	transfer := dns.Transfer{ReadTimeout: 10 * time.Second, TsigSecret: map[string]string{keyName: secret}}
	messages, err := transfer.In(&q, from.String())
	if err != nil {
		t.Fatal(err)
	}
	var records []string
	for m := range messages {
		if m.Error != nil {
			t.Fatalf("copying %s from %s: %v", origin, from, m.Error)
		}
		for _, rr := range m.RR {
			records = append(records, rr.String())
		}
	}
	slices.Sort(records)
	return slices.Compact(records) // the SOA came twice
}

// awaitSerial waits until a secondary has a version of the zone.
func awaitSerial(t *testing.T, p *Peer, origin string, serial uint32) {
	t.Helper()
	client := dns.Client{Timeout: time.Second}
	var q dns.Msg
	q.SetQuestion(dns.Fqdn(origin), dns.TypeSOA)
	deadline := time.Now().Add(time.Minute)
	has := uint32(0)
	for time.Now().Before(deadline) {
		answer, _, err := client.Exchange(&q, p.Addr.String())
		if err == nil && len(answer.Answer) > 0 {
			if has = answer.Answer[0].(*dns.SOA).Serial; has == serial {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s has serial %d, we have %d; its log ends with\n%s", p.Name, has, serial, p.lastOfLog())
}

// checkZone has the peers' checkers of zone files look at the records, and gives the file.
func checkZone(t *testing.T, programs *Programs, records []string, origin string) (file string) {
	t.Helper()
	isSOA := func(record string) bool { return strings.Contains(record, "\tSOA\t") }
	soa := slices.IndexFunc(records, isSOA)
	lines := append([]string{records[soa]}, slices.Delete(slices.Clone(records), soa, soa+1)...)
	file = filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// Aliases and services may point to names that are not there: the first checker would mind.
	output(t, programs, "named-checkzone", "-i", "none", origin, file)
	output(t, programs, "nsd-checkzone", origin, file)
	output(t, programs, "kzonecheck", "-o", origin, file)
	return file
}

// output runs a program that must find nothing wrong.
func output(t *testing.T, programs *Programs, program string, args ...string) string {
	t.Helper()
	cmd, err := programs.Command(t.Context(), program, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}
