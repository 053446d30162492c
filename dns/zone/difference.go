package zone

import (
	"bytes"
	"slices"

	"github.com/hanse-federation/hanse/dns/wire"
)

// Owned is a record set and its name.
type Owned struct {
	Owner wire.Name
	RRset wire.RRset
}

// Copied are the record sets of a name as they go into a copy of the zone, without the SOA: a balanced name has the
// largest set of targets that is answered.
func (n *Node) Copied() []*wire.RRset {
	sets := make([]*wire.RRset, 0, len(n.sets)+2)
	for i := range n.sets {
		sets = append(sets, &n.sets[i])
	}
	if n.service != nil {
		sets = append(sets, n.service.Static()...)
	}
	return sets
}

// Difference is what must be taken from a copy of old and what added to it, so that it becomes a copy of t, without the
// SOA. Names that both share cost nothing.
func (t *Tree) Difference(old *Tree) (removed, added []Owned) {
	differ(old, t, func(name wire.Name, was, is *Node) {
		if was == is {
			return
		}
		var before, after []*wire.RRset
		if was != nil {
			before = was.Copied()
		}
		if is != nil {
			after = is.Copied()
		}
		removed = appendMissing(removed, name, before, after)
		added = appendMissing(added, name, after, before)
	})
	return removed, added
}

// appendMissing appends the records of sets that are not in others.
func appendMissing(dst []Owned, name wire.Name, sets, others []*wire.RRset) []Owned {
	for _, set := range sets {
		at := slices.IndexFunc(others, func(o *wire.RRset) bool { return o.Type == set.Type })
		if at < 0 {
			dst = append(dst, Owned{name, *set})
			continue
		}
		other := others[at]
		if bytes.Equal(set.Records, other.Records) {
			continue
		}
		var missing [][]byte
		for data := range set.All {
			if set.TTL != other.TTL || !other.Has(data) {
				missing = append(missing, data)
			}
		}
		if len(missing) > 0 {
			dst = append(dst, Owned{name, wire.NewRRset(set.Type, set.TTL, missing...)})
		}
	}
	return dst
}
