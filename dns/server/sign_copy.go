package server

import (
	"bytes"
	"slices"

	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// appendSigned writes a signed zone as a secondary of another make needs it, which cannot sign: with a signature of every
// set, and the chain of NSEC records over all names (RFC 4035 section 2). Whoever may copy the zone may know its names.
func (z *zoneWriter) appendSigned(tree *zone.Tree) {
	z.appendSignature(tree, tree.Origin, &tree.SOA)
	names := ownNames(tree)
	for i, name := range names {
		node := tree.Node([]byte(name))
		isCut := tree.IsDelegation(node)
		var types []wire.Type
		if name == tree.Origin {
			types = append(types, wire.TypeSOA)
		}
		for _, set := range node.Copied() {
			z.append(name, set)
			if isCut && set.Type != wire.TypeDS {
				continue // not this zone's to sign: NS, and addresses
			}
			types = append(types, set.Type)
			z.appendSignature(tree, name, set)
		}
		if isCut {
			types = append(types, wire.TypeNS)
		}
		link := sign.Link(names[(i+1)%len(names)], tree.Negative.TTL, types)
		z.append(name, &link)
		z.appendSignature(tree, name, &link)
		if z.err != nil {
			return
		}
	}
	for name, node := range tree.Names {
		if isBelowCut(tree, name) {
			for _, set := range node.Copied() {
				z.append(name, set)
			}
		}
	}
}

// appendSignature writes the signature of a set. What has been signed for an answer is not signed again.
func (z *zoneWriter) appendSignature(tree *zone.Tree, owner wire.Name, set *wire.RRset) {
	if z.err != nil {
		return
	}
	signer, cache, now := tree.Signer(), z.signatures.known, int64(z.seconds)
	rrsig := cache.Find(signer, []byte(owner), set, now)
	if rrsig == nil {
		made, _, err := signer.Sign([]byte(owner), set, now)
		if err != nil {
			z.err = err
			return
		}
		rrsig = &made
	}
	z.append(owner, rrsig)
}

// ownNames are the names with data that the zone has authority for, in canonical order. Names without data have no NSEC
// record (RFC 4035 section 2.3).
func ownNames(tree *zone.Tree) []wire.Name {
	type keyed struct {
		name wire.Name
		key  []byte
	}
	names := make([]keyed, 0, tree.Len())
	for name, node := range tree.Names {
		if len(node.Copied()) > 0 && !isBelowCut(tree, name) {
			names = append(names, keyed{name, canonicalKey(name)})
		}
	}
	slices.SortFunc(names, func(a, b keyed) int { return bytes.Compare(a.key, b.key) })
	out := make([]wire.Name, len(names))
	for i := range names {
		out[i] = names[i].name
	}
	return out
}

// canonicalKey is a string of octets that sorts as the name does (RFC 4034 section 6.1): the labels from the right, each
// closed by two zero octets, with the zero octets in it told apart from that.
func canonicalKey(name wire.Name) []byte {
	var labels []wire.Name
	for ; name != wire.Root; name = name.Parent() {
		labels = append(labels, name[1:1+name[0]])
	}
	var key []byte
	for _, label := range slices.Backward(labels) {
		for _, c := range []byte(label) {
			if key = append(key, c); c == 0 {
				key = append(key, 1)
			}
		}
		key = append(key, 0, 0)
	}
	return key
}

// isBelowCut tells that a name belongs to a zone that is delegated.
func isBelowCut(tree *zone.Tree, name wire.Name) bool {
	cut := tree.Cut([]byte(name))
	return cut != nil && cut.Name() != name
}
