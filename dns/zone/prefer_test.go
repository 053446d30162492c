package zone

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/hanse-federation/hanse/dns/wire"
)

// everywhere is a service in four places of three regions.
func everywhere() Service {
	at := func(latitude, longitude float64) *Location { return &Location{latitude, longitude} }
	target := func(name, region, zone string, last byte, l *Location) Target {
		return Target{Cluster: name, Region: region, Zone: zone, Weight: 1, Location: l,
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, last})}}
	}
	return Service{Name: "app", Answer: All, Targets: []Target{
		target("dublin-a", "ireland", "a", 1, at(53.3, -6.2)),
		target("dublin-b", "ireland", "b", 2, at(53.3, -6.2)),
		target("frankfurt", "germany", "a", 3, at(50.1, 8.7)),
		target("virginia", "us-east", "a", 4, at(38.9, -77.4)),
	}}
}

// The preferences in their order: what the name stands for, tiers, the client's place.
func TestPreferencesCombine(t *testing.T) {
	down := func(names ...string) func(*Service) {
		return func(s *Service) {
			for i := range s.Targets {
				if slices.Contains(names, s.Targets[i].Cluster) {
					s.Targets[i].State = Unhealthy
				}
			}
		}
	}
	nearest := func(s *Service) { s.Policy = Nearest }
	tiers := func(s *Service) { s.Targets[0].Tier, s.Targets[1].Tier = 1, 1 }
	ladder := func(h Home) func(*Service) { return func(s *Service) { s.Home = h } }
	do := func(all ...func(*Service)) []func(*Service) { return all }
	for _, row := range []struct {
		what         string
		change       []func(*Service)
		region, zone string
		want         []string
	}{
		{"no preference", nil, "ireland", "a", []string{"dublin-a", "dublin-b", "frankfurt", "virginia"}},
		{"same zone", do(nearest), "ireland", "a", []string{"dublin-a"}},
		{"same region", do(nearest, down("dublin-a")), "ireland", "a", []string{"dublin-b"}},
		{"the next region", do(nearest, down("dublin-a", "dublin-b")), "ireland", "a", []string{"frankfurt"}},
		{"and the one after it", do(nearest, down("dublin-a", "dublin-b", "frankfurt")), "ireland", "a", []string{"virginia"}},
		{"from over there", do(nearest, down("virginia")), "us-east", "", []string{"dublin-a", "dublin-b"}},
		{"a place that no target is in", do(nearest), "mars", "", []string{"dublin-a", "dublin-b", "frankfurt", "virginia"}},
		{"of unknown place", do(nearest), "", "", []string{"dublin-a", "dublin-b", "frankfurt", "virginia"}},
		{"tiers before places", do(nearest, tiers), "ireland", "a", []string{"frankfurt"}},
		{"a name for a cluster", do(ladder(Home{"frankfurt", "germany"})), "", "", []string{"frankfurt"}},
		{"its region next", do(ladder(Home{"dublin-a", "ireland"}), down("dublin-a")), "", "", []string{"dublin-b"}},
		{"then all", do(ladder(Home{"frankfurt", "germany"}), down("frankfurt")), "", "",
			[]string{"dublin-a", "dublin-b", "virginia"}},
		{"a name for a region", do(ladder(Home{Region: "ireland"})), "", "", []string{"dublin-a", "dublin-b"}},
		{"a cluster without a region falls to all", do(ladder(Home{Cluster: "gone"})), "", "",
			[]string{"dublin-a", "dublin-b", "frankfurt", "virginia"}},
		{"a name for a region, near within it", do(ladder(Home{Region: "ireland"}), nearest), "ireland", "b",
			[]string{"dublin-b"}},
	} {
		s := everywhere()
		for _, change := range row.change {
			change(&s)
		}
		var got []string
		for _, i := range s.Select(row.region, row.zone).Eligible {
			got = append(got, s.Targets[i].Cluster)
		}
		slices.Sort(got)
		if !slices.Equal(row.want, got) {
			t.Errorf("%s: %v, want %v", row.what, got, row.want)
		}
	}
}

// atlas knows one address.
type atlas struct {
	addr   netip.Addr
	region string
	at     Location
}

func (a atlas) Locate(addr netip.Addr) (string, Location, uint8, bool) {
	return a.region, a.at, 20, addr == a.addr
}

func TestNearestByGeography(t *testing.T) {
	s := everywhere()
	s.Policy = Nearest
	client := netip.MustParseAddr("192.0.2.1")
	for _, row := range []struct {
		what string
		of   Geography
		want int // addresses
		has  string
	}{
		{"Paris is nearer to Frankfurt than to Dublin", atlas{client, "", Location{48.9, 2.4}}, 1, "10.0.0.3"},
		{"Boston", atlas{client, "", Location{42.4, -71.1}}, 1, "10.0.0.4"},
		{"Auckland, over the date line", atlas{client, "", Location{-36.8, 174.8}}, 1, "10.0.0.4"},
		{"a region by name", atlas{addr: client, region: "ireland"}, 2, "10.0.0.1"},
		{"nobody knows", atlas{}, 4, "10.0.0.1"},
		{"there is none", nil, 4, "10.0.0.1"},
	} {
		_, all := drawn(t, s, wire.TypeA, 1, func(_ int, c *Client) { c.Geography = row.of })
		if len(all) != row.want || all[row.has] == 0 {
			t.Errorf("%s: %v, want %d addresses with %s", row.what, all, row.want, row.has)
		}
	}
}
