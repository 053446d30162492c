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
		if got := x.nextSerial(c.world, []zone.Zone{here}); got != c.want {
			t.Errorf("%s: serial %d, want %d", c.what, got, c.want)
		}
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

func TestZoneFor(t *testing.T) {
	var zones []v1alpha1.Zone
	for _, name := range []string{"example.org", "shop.example.org", "org"} {
		zones = append(zones, v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	for hostname, want := range map[string]string{
		"www.example.org.": "example.org", "example.org.": "example.org", "a.b.shop.example.org.": "shop.example.org",
		"badexample.org.": "org", "example.com.": "",
	} {
		got := ""
		if z, ok := zoneFor(zones, hostname); ok {
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
