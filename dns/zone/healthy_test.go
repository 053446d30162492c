package zone

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/hanse-federation/hanse/dns/wire"
)

// TestUnhealthyIsNotAnswered builds random services of every policy and form of answer, and looks at all that is said of
// them: drawn answers for clients everywhere, what secondaries copy, and SRV records. While a target is healthy, none
// that is unhealthy is named.
func TestUnhealthyIsNotAnswered(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 4000 {
		s := mixedService(rng)
		z := good()
		z.Services = []Service{s}
		snapshot, err := Build(Config{Seed: rng.Uint64(), Zones: []Zone{z}, Networks: []Network{
			{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Region: "r0", Zone: "z0"},
			{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Region: "r1"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		tree := snapshot.Trees()[0]
		node := tree.Node([]byte("\x03app\x07example\x03com\x00"))
		said := map[string]string{} // address or name to where it was seen
		note := func(set *wire.RRset, where string) {
			if set == nil {
				return
			}
			for _, text := range Texts(set) {
				said[text] = where
			}
		}
		for range 20 {
			c := Client{Addr: netip.AddrFrom4([4]byte{10, byte(rng.IntN(3)), 0, 1}), Random: rng.Uint64(), Window: rng.Uint64()}
			for _, qtype := range []wire.Type{wire.TypeA, wire.TypeAAAA, wire.TypeTXT} {
				set, _, _ := node.Balanced().Draw(snapshot, qtype, &c)
				note(set, fmt.Sprint("drawn for ", c.Addr))
			}
		}
		for _, set := range node.Balanced().Static() {
			note(set, "static")
		}
		port := tree.Node([]byte("\x05_http\x04_tcp\x03app\x07example\x03com\x00"))
		if port != nil && port.RRset(wire.TypeSRV) != nil {
			for data := range port.RRset(wire.TypeSRV).All {
				said[fmt.Sprint(binary.BigEndian.Uint16(data[:2]), " ", wire.Name(data[6:]))] = "SRV"
			}
		}
		checkSaid(t, s, said)
	}
}

func checkSaid(t *testing.T, s Service, said map[string]string) {
	t.Helper()
	isHealthy := false
	for _, target := range s.Targets {
		isHealthy = isHealthy || (target.State == "" || target.State == Healthy) && len(target.Data()) > 0
	}
	for _, target := range s.Targets {
		texts := []string{target.Hostname}
		for _, a := range target.Addresses {
			texts = append(texts, a.String())
		}
		for tier := range 3 {
			texts = append(texts, fmt.Sprintf("%d %s.example.com.", tier, target.Name))
		}
		for _, text := range texts {
			if where, isSaid := said[text]; isSaid && isHealthy && target.State == Unhealthy {
				t.Fatalf("%s names %s of an unhealthy target, and a healthy one exists:\n%+v", where, text, s)
			}
		}
	}
	if len(said) == 0 && isHealthy {
		t.Fatalf("nothing is answered, and a healthy target exists:\n%+v", s)
	}
}

// mixedService is valid, and each of its addresses and names stands for one target.
func mixedService(rng *rand.Rand) Service {
	s := Service{
		Name:        "app",
		Policy:      []Policy{Weighted, Failover, Nearest}[rng.IntN(3)],
		Answer:      []Answer{Staircase, Single, Sticky, All}[rng.IntN(4)],
		MinHealthy:  rng.IntN(2) * rng.IntN(101),
		OverflowAll: rng.IntN(2) == 0,
		Ports:       []Port{{Name: "http", Protocol: "tcp", Port: 80}},
	}
	if rng.IntN(3) == 0 {
		s.Home = Home{Cluster: "c1", Region: "r0"}
	}
	for i := range 1 + rng.IntN(6) {
		target := Target{
			Cluster: fmt.Sprint("c", i), Name: fmt.Sprint("t", i), Weight: uint32(rng.IntN(3) * rng.IntN(1000)),
			Capacity: uint32(rng.IntN(2) * rng.IntN(2000)), Tier: uint16(rng.IntN(3)),
			State:  []State{Healthy, Unhealthy, Unknown, Draining}[rng.IntN(4)],
			Region: fmt.Sprint("r", rng.IntN(3)), Zone: fmt.Sprint("z", rng.IntN(2)),
		}
		switch rng.IntN(6) {
		case 0: // nothing
		case 1:
			target.Hostname = fmt.Sprintf("lb%d.cloud.example.", i)
		default:
			for j := range 1 + rng.IntN(3) {
				target.Addresses = append(target.Addresses, netip.AddrFrom4([4]byte{192, 0, byte(i), byte(j)}))
			}
			if rng.IntN(2) == 0 {
				target.Addresses = append(target.Addresses, netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i+1)))
			}
		}
		s.Targets = append(s.Targets, target)
	}
	return s
}
