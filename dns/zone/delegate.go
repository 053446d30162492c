package zone

import (
	"bytes"
	"maps"
	"slices"

	"github.com/hanse-federation/hanse/dns/wire"
)

// delegate hands names over from zones to the zones below them in the same snapshot, as if their records said so: NS, DS
// if the zone below is signed, and the addresses of its servers. Queries find the zone below by themselves; but its DS
// is asked for at the zone above (RFC 4035 section 3.1.4.1), and names between the two must exist there (RFC 8020). What
// a zone's own records say about the name stays as it is.
//
// A zone that changes by this, against a former snapshot, gets the snapshot's serial.
func (s *Snapshot) delegate(p problems, former *Snapshot) {
	wanted := map[wire.Name]delegations{}
	for _, child := range s.trees {
		if parent := s.above(child.Origin); parent != nil {
			if wanted[parent.Origin] == nil {
				wanted[parent.Origin] = delegations{}
			}
			child.askFor(wanted[parent.Origin])
		}
	}
	for origin, tree := range s.trees {
		if wanted[origin].equal(tree.wanted) && tree.isDelegated() {
			continue
		}
		b := &builder{draft: edit(tree, s.generation), seed: s.seed, problems: p.in(tree.header.Origin)}
		b.undelegate()
		b.delegateAll(wanted[origin])
		if former != nil && former.trees[origin] != nil {
			b.setSOA(s.serial)
		}
		s.trees[origin] = b.Tree
	}
}

// delegations are sets by their names.
type delegations map[wire.Name][]wire.RRset

func (d delegations) equal(other delegations) bool {
	return maps.EqualFunc(d, other, func(a, b []wire.RRset) bool {
		return slices.EqualFunc(a, b, func(x, y wire.RRset) bool { return x.Type == y.Type && bytes.Equal(x.Records, y.Records) })
	})
}

// above is the zone that a zone with this origin lies in, or nil.
func (s *Snapshot) above(origin wire.Name) *Tree {
	for name := origin; name != wire.Root; {
		name = name.Parent()
		if t := s.trees[name]; t != nil {
			return t
		}
	}
	return nil
}

// askFor lists what the zone above should have about t.
func (t *Tree) askFor(d delegations) {
	ns := t.apex.RRset(wire.TypeNS)
	if ns == nil {
		return
	}
	d[t.Origin] = append(d[t.Origin], *ns)
	if t.signer != nil {
		if ds := t.signer.DS(); ds.Count > 0 {
			d[t.Origin] = append(d[t.Origin], ds)
		}
	}
	for data := range ns.All {
		host, ok := wire.Target(wire.TypeNS, data)
		if !ok || host == t.Origin || !host.IsAtOrBelow(t.Origin) {
			continue
		}
		if n := t.Node([]byte(host)); n != nil {
			for _, kind := range []wire.Type{wire.TypeA, wire.TypeAAAA} {
				if set := n.RRset(kind); set != nil {
					d[host] = append(d[host], *set)
				}
			}
		}
	}
}

// isDelegated reports whether the names handed over are still those that are wanted and free: others may have come to
// have data of their own meanwhile, or lost it.
func (t *Tree) isDelegated() bool {
	for name := range t.wanted {
		n := t.Node([]byte(name))
		isFree := n == nil || len(n.sets) == len(t.delegated[name]) && n.service == nil
		if isFree != (len(t.delegated[name]) > 0) {
			return false
		}
	}
	return true
}

func (b *builder) undelegate() {
	for name, sets := range b.delegated {
		for _, set := range sets {
			if set.Type == wire.TypeNS {
				b.cuts--
			}
			b.underive(name, set.Type)
		}
	}
	b.delegated = nil
}

// delegateAll hands the wanted names over that have no data of their own.
func (b *builder) delegateAll(wanted delegations) {
	b.wanted = wanted
	for name, sets := range wanted {
		if n := b.Node([]byte(name)); n != nil && (len(n.sets) > 0 || n.service != nil) {
			continue
		}
		b.derive(name, sets, field("the zone "+name.String()))
		if sets[0].Type == wire.TypeNS {
			b.cuts++
		}
		if b.delegated == nil {
			b.delegated = delegations{}
		}
		b.delegated[name] = sets
	}
}
