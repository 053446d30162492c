package server

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// ordered are the own names of a version of a zone, in canonical order: those with data, but for what is delegated.
// Names without data have no NSEC record (RFC 4035 section 2.3).
type ordered struct {
	tree  *zone.Tree
	names []wire.Name
}

// ownNames are the own names of a zone, in canonical order. What has changed since the version that was asked for last
// is put in its place; only a zone of which none is known is sorted. Zones that served does not have are forgotten.
func (s *sentTrees) ownNames(tree *zone.Tree, served *zone.Snapshot) []wire.Name {
	s.mu.Lock()
	last := s.orders[tree.Origin]
	s.mu.Unlock()
	switch {
	case last.tree == tree:
		return last.names
	case last.tree == nil || last.tree.HasDelegations() || tree.HasDelegations():
		last.names = sortedNames(tree)
	default:
		last.names = last.patched(tree)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orders == nil {
		s.orders = map[wire.Name]ordered{}
	}
	maps.DeleteFunc(s.orders, func(origin wire.Name, _ ordered) bool { return served.Tree(origin) == nil })
	s.orders[tree.Origin] = ordered{tree, last.names}
	return last.names
}

func sortedNames(tree *zone.Tree) []wire.Name {
	var names []wire.Name
	for name, node := range tree.Names {
		if hasRecords(node) && !isBelowCut(tree, name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, compareCanonical)
	return names
}

// patched are the names of another version; neither has delegations.
func (o ordered) patched(tree *zone.Tree) []wire.Name {
	gone := map[wire.Name]bool{}
	var come []wire.Name
	tree.Changed(o.tree, func(name wire.Name, was, is *zone.Node) {
		switch had, has := hasRecords(was), hasRecords(is); {
		case had && !has:
			gone[name] = true
		case has && !had:
			come = append(come, name)
		}
	})
	if len(gone) == 0 && len(come) == 0 {
		return o.names
	}
	slices.SortFunc(come, compareCanonical)
	names, rest := make([]wire.Name, 0, len(o.names)+len(come)), o.names
	for _, name := range come {
		at, _ := slices.BinarySearchFunc(rest, name, compareCanonical)
		names = append(append(names, rest[:at]...), name)
		rest = rest[at:]
	}
	names = append(names, rest...)
	if len(gone) > 0 {
		names = slices.DeleteFunc(names, func(name wire.Name) bool { return gone[name] })
	}
	return names
}

// hasRecords reports whether there is something at a node, which may be nil.
func hasRecords(n *zone.Node) bool {
	return n != nil && (len(n.RRsets()) > 0 || n.Balanced() != nil && len(n.Copied()) > 0)
}

// compareAt compares names of two lists; after the end of a list comes nothing.
func compareAt(a []wire.Name, i int, b []wire.Name, j int) int {
	switch {
	case i == len(a):
		return 1
	case j == len(b):
		return -1
	case a[i] == b[j]:
		return 0
	}
	return compareCanonical(a[i], b[j])
}

// compareCanonical orders names in lower case by their labels from the right, as strings of octets (RFC 4034 section
// 6.1).
func compareCanonical(a, b wire.Name) int {
	var startsA, startsB labels
	i, j := startsA.of(a), startsB.of(b)
	for i > 0 && j > 0 {
		i, j = i-1, j-1
		if c := cmp.Compare(labelAt(a, startsA[i]), labelAt(b, startsB[j])); c != 0 {
			return c
		}
	}
	return i - j
}

// labels are the places where the labels of a name begin, but for the root's.
type labels [wire.MaxName / 2]uint8

func (l *labels) of(name wire.Name) (n int) {
	for at := 0; name[at] != 0; at += 1 + int(name[at]) {
		l[n] = uint8(at)
		n++
	}
	return n
}

func labelAt(name wire.Name, at uint8) wire.Name {
	from := int(at) + 1
	return name[from : from+int(name[at])]
}
