package zone

import (
	"unsafe"

	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/wire"
)

// Tree is one compiled zone of a Snapshot.
type Tree struct {
	// Origin is the apex.
	Origin wire.Name
	// SOA is the record set of the apex.
	SOA wire.RRset
	// Negative is the SOA set as it goes into the authority section of negative answers: its TTL is the smaller of the
	// record's TTL and MINIMUM (RFC 2308 section 5).
	Negative wire.RRset
	// ClientSubnet allows answers to depend on EDNS Client Subnet.
	ClientSubnet bool

	signer  *sign.Signer
	updates []updater
	given   Zone // the zone as it was given, without records and services
	header  Zone // the same with what was left out filled in
	source  source
	apex    *Node
	cuts    int // delegations in the zone
	// wanted are the delegations to zones of the same snapshot, and delegated those of them that are derived here.
	wanted, delegated delegations
	names             index
}

// Node is a name that exists: because it has data, or because a name below it has (an empty non-terminal).
type Node struct {
	name       wire.Name
	sets       []wire.RRset
	service    *Balanced
	generation uint64
	children   uint32        // nodes one label below
	static     uint16        // how many of sets come from Records; the others are derived from name servers and services
	wildcard   bool          // one of the children is "*"
	one        [1]wire.RRset // where sets begins: most names have one set, which is at hand then
}

// Name is that of the node.
func (n *Node) Name() wire.Name { return n.name }

// RRset is the static record set of a type, or nil. The SOA of an apex is the Tree's.
func (n *Node) RRset(t wire.Type) *wire.RRset {
	for i := range n.sets {
		if n.sets[i].Type == t {
			return &n.sets[i]
		}
	}
	return nil
}

// RRsets are all static record sets of the name. They must not be changed.
func (n *Node) RRsets() []wire.RRset { return n.sets }

// Balanced is the service at this name, or nil.
func (n *Node) Balanced() *Balanced { return n.service }

// HasWildcard reports whether "*" exists one label below.
func (n *Node) HasWildcard() bool { return n.wildcard }

// Apex is the node of the origin.
func (t *Tree) Apex() *Node { return t.apex }

// Signer signs the answers of the zone; nil: they are not signed.
func (t *Tree) Signer() *sign.Signer { return t.signer }

// Types are the types of data that there are at a node of this zone, in answers of whatever draw. At a delegation they
// are those that this side of it is asked for: NS and DS (RFC 4035 section 2.3).
func (t *Tree) Types(n *Node) []wire.Type {
	types := make([]wire.Type, 0, len(n.sets)+3)
	isCut := t.IsDelegation(n)
	for i := range n.sets {
		if set := n.sets[i].Type; !isCut || set == wire.TypeNS || set == wire.TypeDS {
			types = append(types, set)
		}
	}
	if n == t.apex {
		types = append(types, wire.TypeSOA)
	}
	if n.service != nil {
		types = append(types, n.service.types()...)
	}
	return types
}

// Serial is the SOA serial.
func (t *Tree) Serial() uint32 {
	for data := range t.SOA.All {
		d := data[len(data)-20:]
		return uint32(d[0])<<24 | uint32(d[1])<<16 | uint32(d[2])<<8 | uint32(d[3])
	}
	return 0
}

// Node is the node of a name in wire form and lower case, or nil if the name does not exist in this zone.
func (t *Tree) Node(name []byte) *Node {
	return t.names.node(name)
}

// HasDelegations reports whether there is any name with NS records below the apex.
func (t *Tree) HasDelegations() bool { return t.cuts > 0 }

// Cut is the highest delegation at or above name, which is in wire form and lower case, or nil.
func (t *Tree) Cut(name []byte) (cut *Node) {
	if t.cuts == 0 {
		return nil
	}
	for ; len(name) > len(t.Origin); name = name[1+name[0]:] {
		if n := t.Node(name); n != nil && t.IsDelegation(n) {
			cut = n
		}
	}
	return cut
}

// IsDelegation reports whether n, a node of this zone, hands the names at and below it to other servers.
func (t *Tree) IsDelegation(n *Node) bool {
	return t.cuts > 0 && n != t.apex && n.RRset(wire.TypeNS) != nil
}

// Names yields every name that exists, in no particular order.
func (t *Tree) Names(yield func(wire.Name, *Node) bool) {
	for _, s := range t.names.shards {
		for n := range s.nodes {
			if !yield(n.name, n) {
				return
			}
		}
	}
}

// Len is the number of names that exist.
func (t *Tree) Len() int { return t.names.len }

// draft is a Tree that is being changed. It copies what it changes: nodes and shards of another generation are shared
// with a Snapshot.
type draft struct {
	*Tree
	generation uint64
	touched    *[]*Node // nodes of this generation
}

// edit starts a draft that shares everything with base.
func edit(base *Tree, generation uint64) draft {
	t := *base
	t.names = base.names.shared()
	return draft{Tree: &t, generation: generation, touched: &[]*Node{}}
}

// settle ends the draft: it puts the name and the records of each changed node side by side, where one read of memory
// fetches most of them.
func (d draft) settle() {
	for _, n := range *d.touched {
		n.settle()
	}
}

func (n *Node) settle() {
	size := 0
	for i := range n.sets {
		size += len(n.sets[i].Records)
	}
	var slab []byte
	if n.service != nil {
		n.name, slab = n.service.name, make([]byte, 0, size)
	} else {
		slab = append(make([]byte, 0, len(n.name)+size), n.name...)
		n.name = wire.Name(unsafe.String(&slab[0], len(n.name))) // what has been written to slab never changes
	}
	for i := range n.sets {
		start := len(slab)
		slab = append(slab, n.sets[i].Records...)
		n.sets[i].Records = slab[start:len(slab):len(slab)]
	}
}

// node is the node of a name, ours to change, made if it did not exist; its ancestors up to the apex exist then, too.
func (d draft) node(name wire.Name) *Node {
	n := d.Node([]byte(name))
	if n != nil && n.generation == d.generation {
		return n
	}
	if n != nil {
		fresh := *n
		fresh.generation = d.generation
		fresh.sets = append(fresh.one[:0:1], n.sets...)
		d.put(&fresh)
		return &fresh
	}
	n = &Node{name: name, generation: d.generation}
	n.sets = n.one[:0:1]
	d.put(n)
	if name == d.Origin {
		return n
	}
	parent := d.node(name.Parent())
	parent.children++
	parent.wildcard = parent.wildcard || name.IsWildcard()
	return n
}

// put makes n the node of its name.
func (d draft) put(n *Node) {
	*d.touched = append(*d.touched, n)
	d.names.put(n, d.generation)
	if n.name == d.Origin {
		d.apex = n
	}
}

// prune removes the node of name if it has neither data nor children, and then its parents likewise.
func (d draft) prune(name wire.Name) {
	for name != d.Origin {
		n := d.Node([]byte(name))
		if n == nil || n.children > 0 || len(n.sets) > 0 || n.service != nil {
			return
		}
		d.names.remove(n, d.generation)
		parent := d.node(name.Parent())
		parent.children--
		if name.IsWildcard() {
			parent.wildcard = false
		}
		name = name.Parent()
	}
}
