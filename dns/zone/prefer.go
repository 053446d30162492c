package zone

import (
	"math"
	"net/netip"
	"slices"
)

// preferences order the targets of a service before weights are looked at: the first that tells two apart decides. So
// policies combine: a name that stands for a cluster falls upward by region, within each level by tier, and within a
// tier by the client's place.
var preferences = [...]func(s *Service, t *Target, c place, remote map[string]uint16) uint16{
	home,     // what the name stands for is what its client asked for
	tier,     // what the user ordered comes before what is near
	distance, // and the client's place before weights
}

// ranks are the tiers for balance.Select: targets with the same preferences share one, 0 is first.
func (s *Service) ranks(region, zone string) []uint16 {
	type order [len(preferences)]uint16
	all := make([]order, len(s.Targets))
	remote := s.remoteness(region)
	for i := range s.Targets {
		for p, preference := range preferences {
			all[i][p] = preference(s, &s.Targets[i], place{region, zone}, remote)
		}
	}
	compare := func(a, b order) int { return slices.Compare(a[:], b[:]) }
	distinct := slices.Clone(all)
	slices.SortFunc(distinct, compare)
	distinct = slices.Compact(distinct)
	ranks := make([]uint16, len(all))
	for i := range all {
		at, _ := slices.BinarySearchFunc(distinct, all[i], compare)
		ranks[i] = uint16(at)
	}
	return ranks
}

// home prefers what the name stands for, and then what is in its region.
func home(s *Service, t *Target, _ place, _ map[string]uint16) uint16 {
	switch {
	case s.Home == Home{}, t.Cluster == s.Home.Cluster:
		return 0
	case t.Region == s.Home.Region && t.Region != "":
		return 1
	}
	return 2
}

// tier is the user's order.
func tier(s *Service, t *Target, _ place, _ map[string]uint16) uint16 {
	if s.hasTiers() {
		return t.Tier
	}
	return 0
}

// hasTiers reports whether the policy looks at tiers.
func (s *Service) hasTiers() bool { return s.Policy == Failover || s.Policy == Nearest }

// distance orders targets for a client in a place: same zone, same region, then the other regions, the nearer ones
// first where locations are known. A client of unknown place is equally far from all.
func distance(s *Service, t *Target, c place, remote map[string]uint16) uint16 {
	switch {
	case s.Policy != Nearest || c.region == "":
		return 0
	case t.Region == c.region && t.Zone == c.zone && c.zone != "":
		return 0
	case t.Region == c.region:
		return 1
	}
	return 2 + remote[t.Region]
}

// remoteness orders the other regions by their distance from one; those without a location are last, together.
func (s *Service) remoteness(region string) map[string]uint16 {
	if s.Policy != Nearest || region == "" {
		return nil
	}
	from, ok := s.centre(region)
	if !ok {
		return nil
	}
	far := map[string]float64{}
	var distinct []float64
	for i := range s.Targets {
		other := s.Targets[i].Region
		if _, seen := far[other]; seen || other == region {
			continue
		}
		far[other] = beyond
		if to, ok := s.centre(other); ok && other != "" {
			far[other] = from.angle(to)
		}
		distinct = append(distinct, far[other])
	}
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)
	order := make(map[string]uint16, len(far))
	for other, angle := range far {
		at, _ := slices.BinarySearch(distinct, angle)
		order[other] = uint16(at)
	}
	return order
}

// beyond is farther than any two points on a globe are, as an angle.
const beyond = 4.0

// centre is the middle of a region's targets.
func (s *Service) centre(region string) (point, bool) {
	var sum point
	found := false
	for i := range s.Targets {
		if t := &s.Targets[i]; t.Region == region && t.Location != nil {
			p := t.Location.point()
			sum, found = point{sum.x + p.x, sum.y + p.y, sum.z + p.z}, true
		}
	}
	return sum, found
}

// Geography tells where an address is. Implementations must be safe for concurrent use, and should not allocate.
type Geography interface {
	// Locate gives a region by name, or else a location; ok is false for an address of unknown place. scope is the number
	// of leading bits of the address that this depended on.
	Locate(addr netip.Addr) (region string, at Location, scope uint8, ok bool)
}

// point is a direction from the middle of the Earth.
type point struct{ x, y, z float64 }

func (l Location) point() point {
	latitude, longitude := l.Latitude*math.Pi/180, l.Longitude*math.Pi/180
	return point{
		math.Cos(latitude) * math.Cos(longitude), math.Cos(latitude) * math.Sin(longitude), math.Sin(latitude),
	}
}

// angle between two directions, 0 to pi: the great-circle distance on a globe of radius 1.
func (p point) angle(q point) float64 {
	cross := point{p.y*q.z - p.z*q.y, p.z*q.x - p.x*q.z, p.x*q.y - p.y*q.x}
	return math.Atan2(math.Sqrt(cross.x*cross.x+cross.y*cross.y+cross.z*cross.z), p.x*q.x+p.y*q.y+p.z*q.z)
}

// place is where a client is taken to be: what the networks of the configuration say, then what the geography does. A
// location is the region of the targets nearest to it.
func (b *Balanced) place(s *Snapshot, c *Client) (region, zone string, scope uint8) {
	region, zone, scope = s.Place(c.Addr)
	if region != "" || c.Geography == nil {
		return region, zone, scope
	}
	named, at, depth, ok := c.Geography.Locate(c.Addr)
	scope = max(scope, depth)
	if !ok || named != "" {
		return named, "", scope
	}
	from := at.point()
	best := beyond
	for i := range b.near {
		if n := &b.near[i]; n.isLocated {
			if far := from.angle(n.centre); far < best {
				region, best = n.region, far
			}
		}
	}
	return region, "", scope
}

// PlaceOf is where the client is taken to be, for Explain.
func (b *Balanced) PlaceOf(s *Snapshot, c *Client) (region, zone string) {
	region, zone, _ = b.place(s, c)
	return region, zone
}
