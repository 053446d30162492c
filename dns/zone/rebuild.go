package zone

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"unsafe"

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
		if next.trees[origin] = s.regrow(z, s.trees[origin], next, p); next.trees[origin] == nil {
			return nil
		}
	}
	if p.err() == nil {
		next.delegate(p, s)
	}
	if p.err() != nil {
		return nil
	}
	next.index()
	return next
}

// regrow makes the tree of one zone on top of its former one, which is given back as it was if nothing has changed. It
// gives nil when that cannot be done.
func (s *Snapshot) regrow(z *Zone, base *Tree, next *Snapshot, p problems) *Tree {
	if base == nil {
		return plant(z, next, p.in(z.Origin))
	}
	if !reflect.DeepEqual(base.given, withoutData(z)) {
		tree := plant(z, next, p.in(z.Origin))
		if tree != nil {
			tree.setSOA(nextSerial(base, z.Serial, next.serial))
		}
		return tree
	}
	if !base.source.isOf(z) {
		b := &builder{draft: edit(base, next.generation), seed: s.seed, problems: p.in(z.Origin)}
		b.source = sourceOf(z)
		if !b.bring(z, base) {
			return nil
		}
		if len(*b.touched) > 0 || b.names.len != base.names.len {
			b.settle()
			b.setSOA(nextSerial(base, z.Serial, next.serial))
			return b.Tree
		}
	}
	if z.Serial != 0 && isBefore(base.Serial(), z.Serial) && !isBefore(next.serial, z.Serial) {
		later := *base
		later.setSOA(z.Serial)
		return &later
	}
	return base
}

// source is where the data of a zone were: the same memory, which nobody changes, has the same data.
type source struct {
	records  unsafe.Pointer
	services unsafe.Pointer
	lengths  [2]int
}

func sourceOf(z *Zone) source {
	return source{
		records:  unsafe.Pointer(unsafe.SliceData(z.Records)),
		services: unsafe.Pointer(unsafe.SliceData(z.Services)),
		lengths:  [2]int{len(z.Records), len(z.Services)},
	}
}

// isOf reports whether the data of z are known to be the same.
func (s source) isOf(z *Zone) bool { return s == sourceOf(z) && s.lengths != [2]int{} }

// withoutData is a zone without what belongs to single names, and without its serial.
func withoutData(z *Zone) Zone {
	header := *z
	header.Records, header.Services, header.Serial = nil, nil, 0
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
