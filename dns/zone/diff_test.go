package zone

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
)

// A copy that is told only the differences stays equal to what it is a copy of, whatever happens to that.
func TestCopyByDifferencesStaysEqual(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	original, replica := NewStore(), NewStore()
	given := randomZones(random, 40)
	for round := range 300 {
		serial := uint32(round + 1)
		switch random.IntN(4) {
		case 0:
			given = randomZones(random, 30+random.IntN(30)) // one fault of the header: everything is told anew
			if random.IntN(3) == 0 {
				given[0].TTL++
			}
		default:
			change(random, &given[0])
		}
		before := original.Snapshot()
		if err := original.Set(Config{Serial: serial, Seed: 7, Zones: given}); err != nil {
			t.Fatal(err)
		}
		if err := follow(replica, before, original.Snapshot()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		want, err := original.Snapshot().Config()
		if err != nil {
			t.Fatal(err)
		}
		got, err := replica.Snapshot().Config()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("round %d: the copy differs\nwant %+v\n got %+v", round, want, got)
		}
	}
}

func follow(replica *Store, before, now *Snapshot) error {
	if before != nil {
		if changes, ok := Diff(before, now); ok {
			return replica.Update(now.Serial(), changes...)
		}
	}
	c, err := now.Config()
	if err != nil {
		return err
	}
	return replica.Set(c)
}

func randomZones(random *rand.Rand, names int) []Zone {
	z := Zone{Origin: "example.org.", TTL: 300, NameServers: []NameServer{{Name: "ns.example.net."}}}
	for i := range names {
		if random.IntN(2) == 0 {
			z.Records = append(z.Records, Record{Name: fmt.Sprintf("r%d", i), Type: "A", Data: "10.0.0.1"})
			continue
		}
		z.Services = append(z.Services, randomService(random, fmt.Sprintf("s%d", i)))
	}
	return []Zone{z}
}

func randomService(random *rand.Rand, name string) Service {
	s := Service{Name: name, Ports: []Port{{Name: "http", Protocol: "tcp", Port: 80}}}
	for i := range 1 + random.IntN(3) {
		s.Targets = append(s.Targets, Target{
			Cluster: fmt.Sprintf("c%d", i), Weight: uint32(random.IntN(4)),
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 1, byte(random.IntN(9)), byte(i)})},
		})
	}
	return s
}

// change does one thing to one zone.
func change(random *rand.Rand, z *Zone) {
	records, services := append([]Record(nil), z.Records...), append([]Service(nil), z.Services...)
	switch i := random.IntN(4); {
	case i == 0 && len(services) > 0:
		at := random.IntN(len(services))
		services[at] = randomService(random, services[at].Name)
	case i == 1 && len(services) > 0:
		services = append(services[:0:0], services[1:]...)
	case i == 2 && len(records) > 0:
		records = append(records[:0:0], records[1:]...)
	default:
		records = append(records, Record{Name: fmt.Sprintf("n%d", random.Uint32()), Type: "TXT", Data: `"new"`})
	}
	z.Records, z.Services = records, services
}

func TestDiffSaysWhenMoreThanNamesDiffer(t *testing.T) {
	base := Config{Serial: 1, Seed: 7, Zones: []Zone{{Origin: "example.org", NameServers: []NameServer{{Name: "ns.example.net."}}}}}
	for what, alter := range map[string]func(*Config){
		"the seed":      func(c *Config) { c.Seed++ },
		"the secret":    func(c *Config) { c.Secret = []byte("s") },
		"a zone's TTL":  func(c *Config) { c.Zones[0].TTL = 9 },
		"the zones":     func(c *Config) { c.Zones = nil },
		"another zone":  func(c *Config) { c.Zones[0].Origin = "example.com" },
		"the networks":  func(c *Config) { c.Networks = []Network{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}} },
		"a name server": func(c *Config) { c.Zones[0].NameServers = []NameServer{{Name: "ns2.example.net."}} },
	} {
		before, err := Build(base)
		if err != nil {
			t.Fatal(err)
		}
		other := base
		other.Zones = append([]Zone(nil), base.Zones...)
		alter(&other)
		now, err := Build(other)
		if err != nil {
			t.Fatal(err)
		}
		if changes, ok := Diff(before, now); ok {
			t.Errorf("%s: told as %v", what, changes)
		}
	}
}

func TestChangedIsClosedByThePublication(t *testing.T) {
	s := NewStore()
	first := s.Changed()
	if err := s.Set(Config{Serial: 1}); err != nil {
		t.Fatal(err)
	}
	second := s.Changed()
	for what, c := range map[string]struct {
		of       <-chan struct{}
		isClosed bool
	}{"taken before": {first, true}, "taken after": {second, false}} {
		select {
		case <-c.of:
			if !c.isClosed {
				t.Errorf("%s: is closed", what)
			}
		default:
			if c.isClosed {
				t.Errorf("%s: is not closed", what)
			}
		}
	}
}
