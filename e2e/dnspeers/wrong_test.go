package dnspeers

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/server"
	"github.com/hanse-federation/hanse/dns/zone"
)

// TestWrongAnswersEndWithTheTTL counts, second by second, what a resolver's clients are told after a member has lost all
// its pods, for each share of the weight that it had: none is led there once the TTL has passed.
func TestWrongAnswersEndWithTheTTL(t *testing.T) {
	programs := unpack(t, Unbound.Packages...)
	const ttl = 2
	down := netip.MustParseAddr("192.0.2.1")
	config := func(serial uint32, share uint32, state zone.State) zone.Config {
		return zone.Config{Serial: serial, Seed: 7, Zones: []zone.Zone{{
			Origin: "wrong.test.", NameServers: []zone.NameServer{{Name: "ns", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}},
			Services: []zone.Service{{Name: "app", TTL: ttl, MinHealthy: 50, Targets: []zone.Target{
				{Cluster: "east", Addresses: []netip.Addr{down}, Weight: share, State: state},
				{Cluster: "west", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.2")}, Weight: 100 - share},
			}}},
		}}}
	}
	store := zone.NewStore()
	if err := store.Set(config(1, 50, zone.Healthy)); err != nil {
		t.Fatal(err)
	}
	ours := serve(t, server.Config{Listen: []string{"127.0.0.1:0"}, Snapshot: store})
	resolver, err := Unbound.Start(t.Context(), programs, t.TempDir(), Zone{Origin: "wrong.test.", Primary: ours.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Stop)
	isWrong := func() bool {
		m := new(dns.Msg)
		m.SetQuestion("app.wrong.test.", dns.TypeA)
		c := dns.Client{Timeout: 5 * time.Second}
		reply, _, err := c.ExchangeContext(t.Context(), m, resolver.Addr.String())
		if err != nil || len(reply.Answer) == 0 {
			t.Fatalf("the resolver answers %v (%v)", reply, err)
		}
		for _, rr := range reply.Answer {
			if a, ok := rr.(*dns.A); ok && a.A.String() == down.String() {
				return true
			}
		}
		return false
	}
	serial := uint32(1)
	for _, share := range []uint32{10, 33, 50, 67, 90, 99} {
		t.Run(fmt.Sprint(share, "%"), func(t *testing.T) {
			serial += 2
			if err := store.Set(config(serial-1, share, zone.Healthy)); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(10 * ttl * time.Second); share >= 50 && !isWrong() && time.Now().Before(deadline); {
				time.Sleep(20 * time.Millisecond) // until the resolver has an answer that will be wrong
			}
			if err := store.Set(config(serial, share, zone.Unhealthy)); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			var seconds [2*ttl + 2]int
			asked := 0
			for at := 0; at < len(seconds); at = int(time.Since(began) / time.Second) {
				asked++
				if isWrong() {
					seconds[at]++
				}
				time.Sleep(20 * time.Millisecond)
			}
			t.Logf("%d questions; wrong answers by second: %v", asked, seconds)
			for at, wrong := range seconds {
				if at > ttl && wrong > 0 { // one second for the resolver, which counts in whole ones
					t.Errorf("%d wrong answers %d seconds after the member was down, with a TTL of %d", wrong, at, ttl)
				}
			}
		})
	}
}
