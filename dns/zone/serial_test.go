package zone

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hanse-federation/hanse/dns/wire"
)

// many are zones with records and services of their own.
func many(zones, names int) []Zone {
	all := make([]Zone, zones)
	for i := range all {
		all[i] = Zone{Origin: fmt.Sprintf("z%d.example.", i), NameServers: []NameServer{{Name: "ns.example.net."}}}
		for j := range names {
			all[i].Services = append(all[i].Services, Service{Name: fmt.Sprintf("s%d", j),
				Targets: []Target{{Cluster: "east", Addresses: addrs("192.0.2.1"), Weight: 1}}})
		}
	}
	return all
}

func treeOf(t testing.TB, s *Snapshot, origin string) *Tree {
	t.Helper()
	name, err := wire.ParseName(origin, wire.Root)
	if err != nil {
		t.Fatal(err)
	}
	return s.Tree(name)
}

// withChange is the zones with another weight in one of them, in memory of its own.
func withChange(zones []Zone, at int, weight uint32) []Zone {
	next := slices.Clone(zones)
	next[at].Services = slices.Clone(next[at].Services)
	s := next[at].Services[0]
	s.Targets = slices.Clone(s.Targets)
	s.Targets[0].Weight = weight
	next[at].Services[0] = s
	return next
}

// copied are the same zones in other memory.
func copied(zones []Zone) []Zone {
	next := slices.Clone(zones)
	for i := range next {
		next[i].Services, next[i].Records = slices.Clone(next[i].Services), slices.Clone(next[i].Records)
	}
	return next
}

// Only a zone that changes gets another serial; the others are the very same trees, so nobody is told of them and
// nothing of them is signed again.
func TestOnlyAChangedZoneHasAnotherSerial(t *testing.T) {
	store := NewStore()
	zones := many(3, 5)
	set := func(serial uint32, zones []Zone) {
		t.Helper()
		if err := store.Set(Config{Serial: serial, Zones: zones}); err != nil {
			t.Fatal(err)
		}
	}
	serials := func() (all [3]uint32) {
		for i := range all {
			all[i] = treeOf(t, store.Snapshot(), zones[i].Origin).Serial()
		}
		return all
	}
	set(10, zones)
	first := store.Snapshot()
	for _, c := range []struct {
		what   string
		serial uint32
		zones  []Zone
		want   [3]uint32
	}{
		{"the same memory", 11, zones, [3]uint32{10, 10, 10}},
		{"the same data in other memory", 12, copied(zones), [3]uint32{10, 10, 10}},
		{"one has another weight", 13, withChange(zones, 1, 7), [3]uint32{10, 13, 10}},
		{"and another one", 14, withChange(withChange(zones, 1, 7), 2, 7), [3]uint32{10, 13, 14}},
		{"a header changes", 15, func() []Zone {
			z := withChange(withChange(zones, 1, 7), 2, 7)
			z[0].TTL = 77
			return z
		}(), [3]uint32{15, 13, 14}},
	} {
		set(c.serial, c.zones)
		if got := serials(); got != c.want {
			t.Errorf("%s: serials %v, want %v", c.what, got, c.want)
		}
		if store.Snapshot().Serial() != c.serial {
			t.Errorf("%s: the snapshot is %d, want %d", c.what, store.Snapshot().Serial(), c.serial)
		}
	}
	if now := treeOf(t, store.Snapshot(), zones[1].Origin); store.Before(now.Origin, 10) != treeOf(t, first, zones[1].Origin) {
		t.Error("the version of a changed zone before the change is not known, so IXFR is not possible")
	}
}

// A given serial holds for a zone that is built, raises one that has not changed, and never lowers one.
func TestGivenSerial(t *testing.T) {
	for _, c := range []struct {
		what          string
		before, given uint32 // of the zone
		isChanged     bool
		want          uint32
	}{
		{"unchanged", 10, 0, false, 10},
		{"unchanged, and a later one is asked for", 10, 15, false, 15},
		{"unchanged, and an earlier one is asked for", 10, 5, false, 10},
		{"unchanged, and one after the configuration is asked for", 10, 25, false, 10},
		{"changed", 10, 0, true, 20},
		{"changed, and a later one is given", 10, 15, true, 15},
		{"changed, and an earlier one is given", 10, 5, true, 20},
		{"changed, and the same one is given", 10, 10, true, 20},
		{"changed, and one after the configuration is given", 10, 25, true, 20},
	} {
		store := NewStore()
		zones := many(1, 2)
		zones[0].Serial = c.before
		if err := store.Set(Config{Serial: 18, Zones: zones}); err != nil {
			t.Fatal(err)
		}
		next := zones
		if c.isChanged {
			next = withChange(zones, 0, 9)
		}
		next = slices.Clone(next)
		next[0].Serial = c.given
		if err := store.Set(Config{Serial: 20, Zones: next}); err != nil {
			t.Fatal(err)
		}
		if got := treeOf(t, store.Snapshot(), zones[0].Origin).Serial(); got != c.want {
			t.Errorf("%s: serial %d, want %d", c.what, got, c.want)
		}
	}
}

// What a follower builds from a configuration or from changes has the serials of its maker.
func TestSerialsTravel(t *testing.T) {
	maker := NewStore()
	zones := many(3, 3)
	for serial, z := range [][]Zone{zones, withChange(zones, 0, 2), withChange(withChange(zones, 0, 2), 1, 2)} {
		if err := maker.Set(Config{Serial: uint32(serial + 1), Zones: z}); err != nil {
			t.Fatal(err)
		}
	}
	config, err := maker.Snapshot().Config()
	if err != nil {
		t.Fatal(err)
	}
	same := func(what string, s *Snapshot) {
		t.Helper()
		for i := range zones {
			want, got := treeOf(t, maker.Snapshot(), zones[i].Origin), treeOf(t, s, zones[i].Origin)
			if got.Serial() != want.Serial() {
				t.Errorf("%s: %s has serial %d, the maker %d", what, zones[i].Origin, got.Serial(), want.Serial())
			}
		}
	}
	follower := NewStore()
	if err := follower.Set(config); err != nil {
		t.Fatal(err)
	}
	same("the whole", follower.Snapshot())
	before := maker.Snapshot()
	now := withChange(withChange(withChange(zones, 0, 2), 1, 2), 2, 3)
	for serial, z := range [][]Zone{now, withChange(now, 0, 4)} { // two at once
		if err := maker.Set(Config{Serial: uint32(serial + 10), Zones: z}); err != nil {
			t.Fatal(err)
		}
	}
	changes, ok := Diff(before, maker.Snapshot())
	if !ok {
		t.Fatal("there is no difference by names")
	}
	if err := follower.Update(maker.Snapshot().Serial(), changes...); err != nil {
		t.Fatal(err)
	}
	same("the changes", follower.Snapshot())
}

// BenchmarkManyZones is one change in a thousand zones of a hundred names.
func BenchmarkManyZones(b *testing.B) {
	zones := many(1000, 100)
	for _, c := range []struct {
		name string
		next func(i int) []Zone
	}{
		{"changed memory of one", func(i int) []Zone { return withChange(zones, i%1000, uint32(i%50+2)) }},
		{"changed memory of all", func(i int) []Zone { return withChange(copied(zones), i%1000, uint32(i%50+2)) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			store := NewStore()
			if err := store.Set(Config{Serial: 1, Zones: zones}); err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				if err := store.Set(Config{Serial: uint32(i + 2), Zones: c.next(i)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
