package zone

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/hanse-federation/hanse/dns/wire"
)

// drawn counts which address comes first, and which addresses come at all, over many draws.
func drawn(t *testing.T, s Service, qtype wire.Type, draws int, client func(i int, c *Client)) (first, any map[string]int) {
	t.Helper()
	s.Name = "app"
	z := good()
	z.Services = []Service{s}
	snapshot, err := Build(Config{Seed: 5, Zones: []Zone{z}})
	if err != nil {
		t.Fatal(err)
	}
	node := snapshot.Trees()[0].Node([]byte("\x03app\x07example\x03com\x00"))
	rng := rand.New(rand.NewPCG(1, 1))
	first, any = map[string]int{}, map[string]int{}
	for i := range draws {
		c := Client{Addr: netip.MustParseAddr("192.0.2.1"), Random: rng.Uint64()}
		if client != nil {
			client(i, &c)
		}
		set, at, _ := node.Balanced().Draw(snapshot, qtype, &c)
		if set == nil {
			first["nothing"]++
			continue
		}
		if at%(len(set.Records)/int(set.Count)) != 0 || at >= len(set.Records) {
			t.Fatalf("a rotation by %d octets splits a record", at)
		}
		turned := wire.RRset{Records: append(append([]byte(nil), set.Records[at:]...), set.Records[:at]...)}
		k := 0
		for data := range turned.All {
			text, _ := presentData(set.Type, data)
			if any[text]++; k == 0 {
				first[text]++
			}
			k++
		}
		if k != int(set.Count) {
			t.Fatalf("%d records, %d counted", k, set.Count)
		}
	}
	return first, any
}

func near(t *testing.T, what string, got map[string]int, key string, draws int, want float64) {
	t.Helper()
	if share := float64(got[key]) / float64(draws); share < want-0.01 || share > want+0.01 {
		t.Errorf("%s: %s has %.3f of the draws, want %.3f (%v)", what, key, share, want, got)
	}
}

func TestDrawFollowsWeights(t *testing.T) {
	const draws = 100000
	for _, answer := range []Answer{Staircase, Single} {
		s := Service{Answer: answer, Targets: []Target{
			{Cluster: "north", Addresses: addrs("192.0.2.1"), Weight: 80},
			{Cluster: "south", Addresses: addrs("192.0.2.2"), Weight: 20},
			{Cluster: "none", Addresses: addrs("192.0.2.3"), Weight: 0},
			{Cluster: "down", Addresses: addrs("192.0.2.4"), Weight: 50, State: Unhealthy},
		}}
		first, any := drawn(t, s, wire.TypeA, draws, nil)
		near(t, string(answer), first, "192.0.2.1", draws, 0.8)
		near(t, string(answer), first, "192.0.2.2", draws, 0.2)
		if any["192.0.2.3"] > 0 || any["192.0.2.4"] > 0 {
			t.Errorf("%s: a target that must not be answered was: %v", answer, any)
		}
		if answer == Staircase {
			near(t, "in the answer at all", any, "192.0.2.1", draws, 1)
			near(t, "in the answer at all", any, "192.0.2.2", draws, 0.4)
		}
	}
}

// TestDrawWithManyAddresses: three addresses here and one there do not shift the weights, and each of the three gets
// its turn.
func TestDrawWithManyAddresses(t *testing.T) {
	const draws = 100000
	first, _ := drawn(t, Service{Targets: []Target{
		{Cluster: "north", Addresses: addrs("192.0.2.1", "192.0.2.2", "192.0.2.3"), Weight: 60},
		{Cluster: "south", Addresses: addrs("192.0.2.9"), Weight: 40},
	}}, wire.TypeA, draws, nil)
	near(t, "first", first, "192.0.2.9", draws, 0.4)
	for i := 1; i <= 3; i++ {
		near(t, "first", first, fmt.Sprint("192.0.2.", i), draws, 0.2)
	}
}

func TestDrawAllIsCapped(t *testing.T) {
	const draws = 20000
	s := Service{Answer: All}
	for i := range 12 {
		s.Targets = append(s.Targets, Target{Cluster: fmt.Sprint(i), Weight: 1, Addresses: addrs(fmt.Sprintf("192.0.2.%d", i+1))})
	}
	first, any := drawn(t, s, wire.TypeA, draws, nil)
	for i := 1; i <= 12; i++ {
		near(t, "first", first, fmt.Sprint("192.0.2.", i), draws, 1.0/12)
		near(t, "any", any, fmt.Sprint("192.0.2.", i), draws, 8.0/12)
	}
}

// TestDrawFamiliesAgree: A and AAAA of one lookup name the same cluster, also on another replica, and the weights hold
// over clients.
func TestDrawFamiliesAgree(t *testing.T) {
	const draws = 50000
	s := Service{Targets: []Target{
		{Cluster: "north", Addresses: addrs("192.0.2.1", "2001:db8::1"), Weight: 70},
		{Cluster: "south", Addresses: addrs("192.0.2.2", "2001:db8::2"), Weight: 30},
	}}
	client := func(i int, c *Client) {
		c.Addr = netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
		c.Window = uint64(i)
	}
	v4, v6 := make([]string, draws), make([]string, draws)
	for qtype, out := range map[wire.Type][]string{wire.TypeA: v4, wire.TypeAAAA: v6} {
		first, _ := drawn(t, s, qtype, draws, client)
		for k, n := range first {
			if share := float64(n) / draws; share < 0.28 || share > 0.72 || share > 0.32 && share < 0.68 {
				t.Errorf("%s first in %.3f", k, share)
			}
		}
		for i := range 500 {
			one, _ := drawn(t, s, qtype, 1, func(_ int, c *Client) { client(i, c) })
			for k := range one {
				out[i] = k[len(k)-1:]
			}
		}
	}
	for i := range 500 {
		if v4[i] != v6[i] {
			t.Fatalf("client %d gets cluster %s by IPv4 and %s by IPv6", i, v4[i], v6[i])
		}
	}
}

// TestDrawFamilyOfOneCluster: a family that only the standby cluster has is not a way around the failover.
func TestDrawFamilyOfOneCluster(t *testing.T) {
	first, _ := drawn(t, Service{Policy: Failover, Targets: []Target{
		{Cluster: "main", Addresses: addrs("192.0.2.1"), Weight: 1},
		{Cluster: "spare", Addresses: addrs("2001:db8::2"), Weight: 1, Tier: 1},
	}}, wire.TypeAAAA, 100, nil)
	if first["nothing"] != 100 {
		t.Errorf("the standby is answered: %v", first)
	}
}

// TestDrawStickyStays: a client network keeps its target whatever the time, and targets get their weight over networks.
func TestDrawStickyStays(t *testing.T) {
	const draws = 50000
	s := Service{Answer: Sticky, Targets: []Target{
		{Cluster: "north", Addresses: addrs("192.0.2.1"), Weight: 75},
		{Cluster: "south", Addresses: addrs("192.0.2.2"), Weight: 25},
	}}
	first, _ := drawn(t, s, wire.TypeA, draws, func(i int, c *Client) {
		c.Addr = netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), byte(i * 7)})
	})
	near(t, "sticky", first, "192.0.2.1", draws, 0.75)
	one, _ := drawn(t, s, wire.TypeA, 1000, func(i int, c *Client) {
		c.Addr, c.Window = netip.AddrFrom4([4]byte{10, 1, 1, byte(i)}), uint64(i)
	})
	if len(one) != 1 {
		t.Errorf("one network gets several targets: %v", one)
	}
}

// TestDrawHostnames: with a host name among the targets, one target is drawn for all types alike.
func TestDrawHostnames(t *testing.T) {
	const draws = 20000
	s := Service{Targets: []Target{
		{Cluster: "cloud", Hostname: "LB.cloud.example", Weight: 50},
		{Cluster: "own", Addresses: addrs("192.0.2.2"), Weight: 50},
	}}
	window := func(i int, c *Client) { c.Window = uint64(i) }
	first, _ := drawn(t, s, wire.TypeA, draws, window)
	near(t, "A", first, "lb.cloud.example.", draws, 0.5)
	near(t, "A", first, "192.0.2.2", draws, 0.5)
	first, _ = drawn(t, s, wire.TypeMX, draws, window)
	near(t, "MX", first, "lb.cloud.example.", draws, 0.5)
	near(t, "MX", first, "nothing", draws, 0.5)
}
