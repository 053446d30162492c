package zone

import (
	"net/netip"
	"slices"

	"github.com/hanse-federation/hanse/dns/wire"
)

// Snapshot is a Config compiled: immutable, and read by any number of goroutines at once.
type Snapshot struct {
	serial     uint32
	seed       uint64
	secret     []byte
	generation uint64
	trees      map[wire.Name]*Tree
	lengths    [(wire.MaxName + 64) / 64]uint64 // a bit for every length that an origin in trees has
	root       *Tree                            // the tree of the root zone, rarely there
	networks   networks
}

// Serial is the version of the configuration that this snapshot was built from.
func (s *Snapshot) Serial() uint32 { return s.serial }

// Secret is that of the configuration, if it has one.
func (s *Snapshot) Secret() []byte { return s.secret }

// Len is the number of zones.
func (s *Snapshot) Len() int { return len(s.trees) }

// Trees are the zones in the order of their names.
func (s *Snapshot) Trees() []*Tree {
	out := make([]*Tree, 0, len(s.trees))
	for _, t := range s.trees {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Tree) int { return compareNames(a.Origin, b.Origin) })
	return out
}

// Tree is the zone with this origin, or nil.
func (s *Snapshot) Tree(origin wire.Name) *Tree { return s.trees[origin] }

// Find is the zone with the longest origin at or above name, which is in wire form and lower case, or nil.
func (s *Snapshot) Find(name []byte) *Tree {
	for name[0] != 0 {
		if n := len(name); s.lengths[n/64]&(1<<(n%64)) != 0 {
			if t := s.trees[wire.Name(name)]; t != nil {
				return t
			}
		}
		name = name[1+name[0]:]
	}
	return s.root
}

// index notes what helps Find; it must be called when trees is complete.
func (s *Snapshot) index() {
	s.root = s.trees[wire.Root]
	s.lengths = [len(s.lengths)]uint64{}
	for origin := range s.trees {
		s.lengths[len(origin)/64] |= 1 << (len(origin) % 64)
	}
}

// compareNames orders names by their labels from the right, the canonical order of RFC 4034 section 6.1 for lower-case
// names.
func compareNames(a, b wire.Name) int { return slices.Compare(reversed(a), reversed(b)) }

func reversed(n wire.Name) []string {
	var labels []string
	for ; n != wire.Root && n != ""; n = n.Parent() {
		labels = append(labels, string(n[1:1+n[0]]))
	}
	slices.Reverse(labels)
	return labels
}

// networks places addresses, by the longest prefix.
type networks struct {
	bits   []int // the lengths that occur, longest first
	places map[netip.Prefix]place
	given  []Network
}

type place struct{ region, zone string }

func newNetworks(given []Network, p problems) networks {
	n := networks{given: given}
	if len(given) == 0 {
		return n
	}
	n.places = make(map[netip.Prefix]place, len(given))
	for i, g := range given {
		if !g.Prefix.IsValid() {
			p.add(ErrMalformed, "networks[%d].prefix", i)
			continue
		}
		prefix := g.Prefix.Masked()
		if _, ok := n.places[prefix]; ok {
			p.add(ErrDuplicate, "networks[%d].prefix", i)
		}
		n.places[prefix] = place{g.Region, g.Zone}
		if !slices.Contains(n.bits, prefix.Bits()) {
			n.bits = append(n.bits, prefix.Bits())
		}
	}
	slices.SortFunc(n.bits, func(a, b int) int { return b - a })
	return n
}

// Place tells where an address is, and how many of its leading bits that depended on. Both names are empty for an
// unknown place.
func (s *Snapshot) Place(addr netip.Addr) (region, zone string, scope uint8) {
	addr = addr.Unmap()
	for _, bits := range s.networks.bits {
		if bits > addr.BitLen() {
			continue
		}
		prefix, err := addr.Prefix(bits)
		if err != nil {
			continue
		}
		// A longer prefix beside this one could have matched a neighbour, so the answer holds for the longest length
		// looked at.
		scope = max(scope, uint8(bits))
		if p, ok := s.networks.places[prefix]; ok {
			return p.region, p.zone, scope
		}
	}
	return "", "", scope
}

// Config is the configuration that this snapshot amounts to, with absolute names. Changes made by Update are in it.
func (s *Snapshot) Config() (Config, error) {
	c := Config{Serial: s.serial, Seed: s.seed, Secret: s.secret, Networks: s.networks.given}
	for _, t := range s.Trees() {
		z := t.header
		if serial := t.Serial(); serial != s.serial {
			z.Serial = serial
		}
		for name, n := range t.Names {
			if service := n.givenService(name); service != nil {
				z.Services = append(z.Services, *service)
			}
			records, err := n.givenRecords(name)
			if err != nil {
				return Config{}, err
			}
			z.Records = append(z.Records, records...)
		}
		slices.SortStableFunc(z.Services, func(a, b Service) int { return cmpText(a.Name, b.Name) })
		slices.SortStableFunc(z.Records, func(a, b Record) int { return cmpText(a.Name, b.Name) })
		c.Zones = append(c.Zones, z)
	}
	return c, nil
}

// givenService is the service at a name, as a configuration has it; nil if there is none.
func (n *Node) givenService(name wire.Name) *Service {
	if n.service == nil {
		return nil
	}
	return n.service.Service(name.String())
}

// givenRecords are the static records of a name, as a configuration has them.
func (n *Node) givenRecords(name wire.Name) ([]Record, error) {
	var records []Record
	for i := range n.sets[:n.static] {
		set := &n.sets[i]
		for data := range set.All {
			text, err := presentData(set.Type, data)
			if err != nil {
				return nil, err
			}
			records = append(records, Record{Name: name.String(), Type: set.Type.String(), TTL: set.TTL, Data: text})
		}
	}
	return records, nil
}

func cmpText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
