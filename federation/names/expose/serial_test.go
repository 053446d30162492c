package expose

import (
	"encoding/json"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
)

// RFC 1982: serials are compared on a circle.
func TestLater(t *testing.T) {
	for _, c := range []struct{ a, b, want uint32 }{
		{1, 2, 2}, {2, 1, 2}, {7, 7, 7}, {0, 1, 1},
		{math.MaxUint32, 0, 0}, {0, math.MaxUint32, 0}, {math.MaxUint32, 5, 5},
		{1, 1 << 31, 1 << 31}, {0x7fffffff, 0xfffffffe, 0xfffffffe},
	} {
		if got := later(c.a, c.b); got != c.want {
			t.Errorf("later(%d, %d) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// The serial grows with every snapshot, whatever the numbers of the resource versions do; a hub that starts and finds
// what is stored keeps the stored one.
func TestNextSerial(t *testing.T) {
	here := zone.Zone{Origin: "example.org.", NameServers: []zone.NameServer{{Name: "ns.example.net."}}}
	stored := func(serial int64, z zone.Zone) world {
		status := v1alpha1.ZoneStatus{Serial: serial, Digest: digestOf(z)}
		return world{zones: []v1alpha1.Zone{{ObjectMeta: metav1.ObjectMeta{Name: "example.org"}, Status: status}}}
	}
	other := here
	other.TTL = 7
	for _, c := range []struct {
		what      string
		world     world
		newest    int64
		published uint32 // 0: nothing
		isFresh   bool   // this hub has published before
		want      uint32
	}{
		{"the first of all", world{}, 0, 0, false, 1},
		{"the newest resource version", world{}, 900, 0, false, 900},
		{"a start, and nothing has changed", stored(800, here), 900, 0, false, 800},
		{"a start, and the disk had the same", stored(800, here), 900, 800, false, 800},
		{"a start, and the disk was ahead", stored(800, here), 900, 850, false, 900},
		{"a start, and something has changed", stored(800, other), 900, 0, false, 900},
		{"a restored etcd counts from a lower number", stored(800, other), 20, 0, false, 801},
		{"a change", stored(800, here), 900, 800, true, 900},
		{"a change without a newer version (time passed)", stored(800, here), 800, 800, true, 801},
		{"the count wraps", world{}, 1<<32 + 5, math.MaxUint32 - 5, true, 5},
		{"zero is skipped", world{}, 1 << 32, 0, false, 1},
	} {
		x := New(Config{Store: zone.NewStore()})
		x.newest.Store(c.newest)
		x.isFresh = c.isFresh
		if c.published > 0 {
			if err := x.Store.Set(zone.Config{Serial: c.published, Zones: []zone.Zone{here}}); err != nil {
				t.Fatal(err)
			}
		}
		zones := []zone.Zone{here}
		if got := x.nextSerial(c.world, zones, digestsOf(zones, nil, nil)); got != c.want {
			t.Errorf("%s: serial %d, want %d", c.what, got, c.want)
		}
	}
}

// Only a zone that changes gets another serial, and a hub that starts again gives each zone the serial that it had.
func TestSerialsOfZones(t *testing.T) {
	ns := []zone.NameServer{{Name: "ns.example.net."}}
	zones := []zone.Zone{{Origin: "a.example.", NameServers: ns}, {Origin: "b.example.", NameServers: ns}}
	changed := func(ttl uint32) []zone.Zone {
		next := slices.Clone(zones)
		next[1].TTL = ttl
		return next
	}
	newest := int64(0)
	w := world{now: time.Unix(1_800_000_000, 0)}
	step := func(x *Exposer, zones []zone.Zone) {
		t.Helper()
		newest++
		x.newest.Store(newest)
		zones, _ = x.reuse(zones)
		if err := x.set(w, zones, nil, x.aging(zones, w.now)); err != nil {
			t.Fatal(err)
		}
	}
	serials := func(x *Exposer) [2]uint32 {
		return [2]uint32{serialOf(x.Store.Snapshot(), "a.example."), serialOf(x.Store.Snapshot(), "b.example.")}
	}
	x := New(Config{Store: zone.NewStore()})
	newest = 99
	step(x, zones)
	step(x, changed(7))
	step(x, changed(8))
	if got, want := serials(x), [2]uint32{100, 102}; got != want {
		t.Errorf("serials %v, want %v", got, want)
	}
	for i, name := range []string{"a.example", "b.example"} {
		w.zones = append(w.zones, v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ZoneStatus{
			Serial: int64(serials(x)[i]), Digest: x.digests[name+"."].whole}})
	}
	restarted := New(Config{Store: zone.NewStore()})
	newest = 200
	step(restarted, changed(8))
	if got, want := serials(restarted), [2]uint32{100, 102}; got != want || restarted.serial != 102 {
		t.Errorf("after a restart: serials %v of version %d, want %v of 102", got, restarted.serial, want)
	}
	other := New(Config{Store: zone.NewStore()})
	newest = 300
	step(other, changed(9))
	if got, want := serials(other), [2]uint32{100, 301}; got != want {
		t.Errorf("after a restart with a change: serials %v, want %v", got, want)
	}
}

// Copies of a signed zone that does not change are fetched again in time for their signatures, whatever happens to other
// zones meanwhile.
func TestAging(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	transfer := zone.Transfer{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	zones := []zone.Zone{
		{Origin: "signed.", Keys: []zone.Key{{}}, Transfer: transfer},
		{Origin: "alone.", Keys: []zone.Key{{}}},
		{Origin: "plain.", Transfer: transfer},
	}
	x := New(Config{Store: zone.NewStore()})
	x.signed = map[string]serialTime{"signed.": {1, now}, "alone.": {1, now}, "plain.": {1, now}}
	if got := x.aging(zones, now.Add(copyAge)); len(got) != 0 {
		t.Errorf("in time: %v", got)
	}
	if got := x.aging(zones, now.Add(copyAge+time.Second)); len(got) != 1 || !got["signed."] {
		t.Errorf("after %s: %v, want signed.", copyAge, got)
	}
}

// The digest of a zone includes what it hands over to zones below it: their servers and keys, and nothing else.
func TestDigestsOfParents(t *testing.T) {
	of := func(child zone.Zone) map[string]digest {
		return digestsOf([]zone.Zone{{Origin: "example."}, {Origin: "other."}, child}, nil, nil)
	}
	child := zone.Zone{Origin: "a.b.example.", NameServers: []zone.NameServer{{Name: "ns1"}}}
	before := of(child)
	child.TTL = 7
	if after := of(child); after["example."] != before["example."] || after[child.Origin] == before[child.Origin] {
		t.Error("a TTL of the child is in the digest of the parent, or not in its own")
	}
	child.NameServers = []zone.NameServer{{Name: "ns2"}}
	if after := of(child); after["example."] == before["example."] || after["other."] != before["other."] {
		t.Error("another server of the child is not in the digest of the parent, or in that of another zone")
	}
}

// The version of a status is the serial that brought its answers; what is not answered changes nothing.
func TestVersionOfStatus(t *testing.T) {
	s := newStage()
	for _, line := range []string{
		"zone example.org {}", "cluster east",
		"template {apiVersion: v1, kind: Service, metadata: {name: web}}", "at Service/web east=10.0.0.1",
		"global web {service: web}",
	} {
		if err := s.Obey(line); err != nil {
			t.Fatal(err)
		}
	}
	status := func(serial uint32) v1alpha1.GlobalServiceStatus {
		w := s.world()
		e := build(w).exposures[0]
		s.services["web"].Status = serviceStatus(w, e, serial)
		return s.services["web"].Status
	}
	if got := status(7).Version; got != 7 {
		t.Errorf("first answered by %d, want 7", got)
	}
	if got := status(8).Version; got != 7 {
		t.Errorf("nothing changed, and yet answered by %d, want 7", got)
	}
	if err := s.Obey("at Service/web east=10.0.0.2"); err != nil {
		t.Fatal(err)
	}
	if got := status(9).Version; got != 9 {
		t.Errorf("another address is answered by %d, want 9", got)
	}
}

func TestChangedLeavesOutOurOwnWrites(t *testing.T) {
	meta := func(generation int64) metav1.ObjectMeta {
		return metav1.ObjectMeta{Generation: generation, ResourceVersion: "12"}
	}
	for _, c := range []struct {
		what     string
		old, now any
		heard    bool
	}{
		{"a zone's status", &v1alpha1.Zone{ObjectMeta: meta(1)}, &v1alpha1.Zone{ObjectMeta: meta(1)}, false},
		{"a zone", &v1alpha1.Zone{ObjectMeta: meta(1)}, &v1alpha1.Zone{ObjectMeta: meta(2)}, true},
		{"a service's status", &v1alpha1.GlobalService{ObjectMeta: meta(1)},
			&v1alpha1.GlobalService{ObjectMeta: meta(1)}, false},
		{"a service", &v1alpha1.GlobalService{ObjectMeta: meta(1)}, &v1alpha1.GlobalService{ObjectMeta: meta(2)}, true},
		{"what became of copies", &v1alpha1.Distribution{ObjectMeta: meta(1)},
			&v1alpha1.Distribution{ObjectMeta: meta(1)}, true},
	} {
		x := New(Config{Now: time.Now})
		x.changed(c.old, c.now)
		if heard := len(x.kick) > 0; heard != c.heard || heard && x.newest.Load() != 12 {
			t.Errorf("%s: heard %t (newest %d), want %t", c.what, heard, x.newest.Load(), c.heard)
		}
	}
}

func TestCovering(t *testing.T) {
	var zones []v1alpha1.Zone
	for _, name := range []string{"example.org", "shop.example.org", "org"} {
		zones = append(zones, v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	for hostname, want := range map[string]string{
		"www.example.org.": "example.org", "example.org.": "example.org", "a.b.shop.example.org.": "shop.example.org",
		"badexample.org.": "org", "example.com.": "",
	} {
		got := ""
		if z, ok := originsOf(zones).covering(hostname); ok {
			got = z.Name
		}
		if got != want {
			t.Errorf("%s lies in %q, want %q", hostname, got, want)
		}
	}
}

// FuzzReachedAt: a member may say what it likes in a status; what comes out can be answered.
func FuzzReachedAt(f *testing.F) {
	f.Add([]byte(`{"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "lb.example"}]}}`))
	f.Add([]byte(`{"addresses": [{"type": "Hostname", "value": "lb.example"}, {"value": "2001:db8::1%eth0"}]}`))
	f.Add([]byte(`{"loadBalancer": []}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, hostname := reachedAt(raw)
		if (len(all) > 0 || hostname != "") && !json.Valid(raw) {
			t.Errorf("%q says %v %q", raw, all, hostname)
		}
		for _, a := range all {
			if !a.IsValid() || a.IsUnspecified() || a.Zone() != "" || a.Is4In6() {
				t.Errorf("%q has the address %v", raw, a)
			}
		}
	})
}

func TestReachedAt(t *testing.T) {
	raw := `{"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "a.example"}, {"hostname": "b.example"}]},
		"addresses": [{"type": "IPAddress", "value": "2001:db8::1"}, {"type": "Hostname", "value": "c.example"}]}`
	all, hostname := reachedAt([]byte(raw))
	want := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")}
	if !slices.Equal(want, all) || hostname != "a.example" {
		t.Errorf("reached at %v %q, want %v", all, hostname, want)
	}
}
