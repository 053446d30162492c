package zone

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
)

// large is a zone of n services with three targets each.
func large(n int) Config {
	z := good()
	z.Services = make([]Service, n)
	for i := range z.Services {
		s := &z.Services[i]
		s.Name = fmt.Sprintf("service-%d.team-%d", i, i%100)
		for c := range 3 {
			s.Targets = append(s.Targets, Target{
				Cluster: []string{"north", "south", "east"}[c], Weight: uint32(3 - c),
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(c), byte(i >> 8), byte(i)})},
			})
		}
	}
	return Config{Serial: 1, Seed: 1, Zones: []Zone{z}}
}

// TestMemoryOfALargeZone: the snapshot of a balanced name with three targets takes less than the bound, what the user
// gave not counted.
func TestMemoryOfALargeZone(t *testing.T) {
	const n, bound = 50000, 768
	c := large(n)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	s, err := Build(c)
	if err != nil {
		t.Fatal(err)
	}
	each := (heap() - before) / n
	t.Logf("%d octets a name", each)
	if each > bound {
		t.Errorf("%d octets a name, want at most %d", each, bound)
	}
	runtime.KeepAlive(s)
	runtime.KeepAlive(c)
}

// BenchmarkBuild compiles 100,000 balanced names; BenchmarkUpdate changes one of them; BenchmarkUnmarshal reads them
// from a file.
func BenchmarkBuild(b *testing.B) {
	c := large(100000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Build(c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSet publishes 100,000 names of which one has changed.
func BenchmarkSet(b *testing.B) {
	c := large(100000)
	store := NewStore()
	if err := store.Set(c); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c.Serial++
		c.Zones[0].Services[c.Serial%100000].TTL = c.Serial%60 + 1
		if err := store.Set(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	c := large(100000)
	s, err := Build(c)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i++
		service := c.Zones[0].Services[i%100000]
		service.TTL = i%60 + 1
		if s, err = s.Update(i, Change{Origin: "example.com", Name: service.Name, Service: &service}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	file, err := Marshal(large(100000))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := Unmarshal(file); err != nil {
			b.Fatal(err)
		}
	}
}
