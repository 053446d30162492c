package zone

import (
	"bytes"
	"reflect"
	"slices"

	"github.com/hanse-federation/hanse/dns/wire"
)

// Diff lists the changes that make b out of a, in the order of the names. It is false when more than single names
// differ: then only the whole configuration of b says it. What the two share is not looked at, so the cost is that of
// the changes.
func Diff(a, b *Snapshot) ([]Change, bool) {
	if a.seed != b.seed || !bytes.Equal(a.secret, b.secret) || len(a.trees) != len(b.trees) || !slices.Equal(a.networks.given, b.networks.given) {
		return nil, false
	}
	var changes []Change
	for _, now := range b.changedSince(a) {
		before := a.trees[now.Origin]
		if before == nil || !reflect.DeepEqual(before.given, now.given) {
			return nil, false
		}
		names := changedNames(before, now)
		if len(names) == 0 && before.Serial() != now.Serial() && before.wanted.equal(now.wanted) {
			return nil, false // it has another serial for its own sake
		}
		for _, name := range names {
			c, err := changeAt(now, name)
			if err != nil {
				return nil, false
			}
			if serial := now.Serial(); serial != b.serial {
				c.Serial = serial
			}
			changes = append(changes, c)
		}
	}
	return changes, true
}

// changedSince are the zones that are not shared with another snapshot, in the order of their names.
func (s *Snapshot) changedSince(other *Snapshot) []*Tree {
	var changed []*Tree
	for origin, t := range s.trees {
		if other.trees[origin] != t {
			changed = append(changed, t)
		}
	}
	slices.SortFunc(changed, func(x, y *Tree) int { return compareNames(x.Origin, y.Origin) })
	return changed
}

// changedNames are the names whose own data differ, in their canonical order.
func changedNames(before, now *Tree) []wire.Name {
	var names []wire.Name
	differ(before, now, func(name wire.Name, was, is *Node) {
		if !sameData(was, is) {
			names = append(names, name)
		}
	})
	slices.SortFunc(names, compareNames)
	return names
}

// Changed calls visit for names whose data may be other than in old, an earlier version of the zone; a node is nil where
// there is no such name. What the two versions share is not looked at.
func (t *Tree) Changed(old *Tree, visit func(name wire.Name, was, is *Node)) {
	differ(old, t, func(name wire.Name, was, is *Node) {
		if was != is {
			visit(name, was, is)
		}
	})
}

// differ calls visit for names whose nodes may differ; a node is nil where there is no such name. What the two trees
// share is not looked at.
func differ(before, now *Tree, visit func(name wire.Name, was, is *Node)) {
	if before.names.seed == now.names.seed && len(before.names.shards) == len(now.names.shards) {
		for i, shard := range now.names.shards {
			former := before.names.shards[i]
			if former == shard {
				continue
			}
			for n := range shard.nodes {
				visit(n.name, before.Node([]byte(n.name)), n)
			}
			for n := range former.nodes {
				if now.Node([]byte(n.name)) == nil {
					visit(n.name, n, nil)
				}
			}
		}
		return
	}
	for name, n := range now.Names { // spread over more shards meanwhile
		visit(name, before.Node([]byte(name)), n)
	}
	for name, n := range before.Names {
		if now.Node([]byte(name)) == nil {
			visit(name, n, nil)
		}
	}
}

// sameData reports whether two nodes, which may be nil, were made from the same records and service.
func sameData(a, b *Node) bool {
	if a == b {
		return true
	}
	var none Node
	if a == nil {
		a = &none
	}
	if b == nil {
		b = &none
	}
	if (a.service == nil) != (b.service == nil) {
		return false
	}
	if a.service != nil && a.service != b.service && a.service.given != b.service.given {
		return false
	}
	return slices.EqualFunc(a.sets[:a.static], b.sets[:b.static], func(x, y wire.RRset) bool {
		return x.Type == y.Type && bytes.Equal(x.Records, y.Records)
	})
}

// changeAt is the change that gives a name the data that it has in a tree.
func changeAt(t *Tree, name wire.Name) (Change, error) {
	c := Change{Origin: t.Origin.String(), Name: name.String()}
	n := t.Node([]byte(name))
	if n == nil {
		return c, nil
	}
	c.Service = n.givenService(name)
	var err error
	c.Records, err = n.givenRecords(name)
	return c, err
}
