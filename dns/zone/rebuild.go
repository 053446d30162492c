package zone

import (
	"bytes"
	"reflect"
	"slices"
	"strings"

	"github.com/hanse-federation/hanse/dns/wire"
)

// rebuild compiles a whole configuration on top of a snapshot: names that came out the same are shared with it. It
// gives nil when that cannot be done, and then Build has to, which also says best what is wrong.
func (s *Snapshot) rebuild(c Config) *Snapshot {
	if s.seed != c.Seed {
		return nil // every draw is hashed with it
	}
	p := newProblems()
	next := &Snapshot{
		serial: c.Serial, seed: c.Seed, secret: c.Secret, generation: s.generation + 1,
		trees:    make(map[wire.Name]*Tree, len(c.Zones)),
		networks: newNetworks(c.Networks, p),
	}
	for i := range c.Zones {
		z := &c.Zones[i]
		origin, err := wire.ParseName(z.Origin, wire.Root)
		if err != nil || next.trees[origin] != nil {
			return nil
		}
		base := s.trees[origin]
		if base == nil || !reflect.DeepEqual(base.given, withoutData(z)) {
			if next.trees[origin] = plant(z, next, p.in(z.Origin)); next.trees[origin] == nil {
				return nil
			}
			continue
		}
		b := &builder{draft: edit(base, next.generation), seed: s.seed, problems: p.in(z.Origin)}
		if !b.bring(z, base) {
			return nil
		}
		b.settle()
		b.setSOA(c.Serial)
		next.trees[origin] = b.Tree
	}
	if p.err() == nil {
		next.delegate(p)
	}
	if p.err() != nil {
		return nil
	}
	next.index()
	return next
}

// withoutData is a zone without what belongs to single names.
func withoutData(z *Zone) Zone {
	header := *z
	header.Records, header.Services = nil, nil
	return header
}

// bring makes the data of every name what z says, and leaves those alone that have it.
func (b *builder) bring(z *Zone, base *Tree) bool {
	wanted := make(map[wire.Name]*Change, len(z.Services)+len(z.Records))
	at := func(text string) *Change {
		name, err := b.name(text)
		if err != nil {
			return nil
		}
		c := wanted[name]
		if c == nil {
			c = &Change{Name: text}
			wanted[name] = c
		}
		return c
	}
	for i := range z.Records {
		c := at(z.Records[i].Name)
		if c == nil {
			return false
		}
		c.Records = append(c.Records, z.Records[i])
	}
	for i := range z.Services {
		c := at(z.Services[i].Name)
		if c == nil || c.Service != nil {
			return false
		}
		c.Service = &z.Services[i]
	}
	for name, n := range base.Names {
		if wanted[name] == nil && (n.static > 0 || n.service != nil) {
			b.change(&Change{Name: name.String()}, "")
		}
	}
	for name, c := range wanted {
		if n := base.Node([]byte(name)); n == nil || !b.has(n, c) {
			b.change(c, "")
		}
	}
	return true
}

// has reports whether a node has the data that c says.
func (b *builder) has(n *Node, c *Change) bool {
	if (n.service == nil) != (c.Service == nil) || c.Service != nil && n.service.given != pack(c.Service) {
		return false
	}
	var want setBuilder
	for i := range c.Records {
		r := &c.Records[i]
		ttl := r.TTL
		if ttl == 0 {
			ttl = b.header.TTL
		}
		t := recordTypes[strings.ToUpper(r.Type)]
		data, err := parseData(t, r.Data, b.Origin)
		if err != nil || want.add(t, ttl, data) != nil {
			return false
		}
	}
	return slices.EqualFunc(n.sets[:n.static], want.sets, func(a, b wire.RRset) bool {
		return a.Type == b.Type && bytes.Equal(a.Records, b.Records)
	})
}
