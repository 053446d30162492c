package zone

import (
	"hash/maphash"
	"slices"
)

// index maps names to nodes, in shards that are copied when they are first changed, so that a change costs what its
// shard holds.
//
// A query looks a name up with one hash and, mostly, three reads of memory that is not in a cache: shard, node and what
// the node is answered with. The map of the language takes about twice that.
type index struct {
	seed   maphash.Seed
	shards []*shard
	len    int
}

// shard is a hash table with linear probing. A cell is free when it has no node; at least a quarter are.
type shard struct {
	generation uint64
	len        int
	cells      []cell
}

type cell struct {
	hash uint64
	node *Node
}

// Sizes of the index: names per shard aimed at, and the most shards.
const (
	shardLoad = 64
	maxShards = 4096
)

// minCells of a shard; a power of two, as all sizes of shards are.
const minCells = 4

func newIndex(names int) index {
	n := 1
	for n < maxShards && n*shardLoad < names {
		n *= 2
	}
	x := index{seed: maphash.MakeSeed(), shards: make([]*shard, n)}
	for i := range x.shards {
		x.shards[i] = &shard{cells: make([]cell, minCells)}
	}
	return x
}

// shared is an index that shares all shards with x, or, when x has grown too large for its shards, one with more.
func (x *index) shared() index {
	if len(x.shards) == maxShards || x.len <= 8*shardLoad*len(x.shards) {
		next := *x
		next.shards = slices.Clone(x.shards)
		return next
	}
	next := newIndex(x.len)
	for _, s := range x.shards {
		for n := range s.nodes {
			next.put(n, 0)
		}
	}
	return next
}

func (x *index) hash(name []byte) uint64 { return maphash.Bytes(x.seed, name) }

// shard of a hash: the lower half says which, the upper half the cell in it.
func (x *index) shard(hash uint64) **shard { return &x.shards[hash&uint64(len(x.shards)-1)] }

// node is the node of a name, or nil.
func (x *index) node(name []byte) *Node {
	hash := x.hash(name)
	s := *x.shard(hash)
	return s.cells[s.find(hash, name)].node
}

// find is the cell of a name, or the free one where it belongs.
func (s *shard) find(hash uint64, name []byte) uint64 {
	mask := uint64(len(s.cells) - 1)
	at := hash >> 32 & mask
	for s.cells[at].node != nil && (s.cells[at].hash != hash || string(s.cells[at].node.name) != string(name)) {
		at = (at + 1) & mask
	}
	return at
}

// put makes n the node of its name.
func (x *index) put(n *Node, generation uint64) {
	hash := x.hash([]byte(n.name))
	s := x.writable(hash, generation)
	at := s.find(hash, []byte(n.name))
	if s.cells[at].node == nil {
		x.len++
		s.len++
	}
	s.cells[at] = cell{hash, n}
	if 4*s.len > 3*len(s.cells) {
		s.resize(2*len(s.cells), nil)
	}
}

// remove takes the node of a name out.
func (x *index) remove(n *Node, generation uint64) {
	s := x.writable(x.hash([]byte(n.name)), generation)
	size := len(s.cells)
	if size > minCells && 8*s.len < size {
		size /= 2
	}
	s.resize(size, n)
	x.len--
}

// writable is the shard of a hash, ours to change.
func (x *index) writable(hash, generation uint64) *shard {
	at := x.shard(hash)
	if s := *at; s.generation != generation {
		*at = &shard{generation: generation, len: s.len, cells: slices.Clone(s.cells)}
	}
	return *at
}

// resize puts all nodes but one into a table of another size.
func (s *shard) resize(size int, without *Node) {
	old := s.cells
	s.cells, s.len = make([]cell, size), 0
	for _, p := range old {
		if p.node != nil && p.node != without {
			s.cells[s.find(p.hash, []byte(p.node.name))] = p
			s.len++
		}
	}
}

// nodes yields every node.
func (s *shard) nodes(yield func(*Node) bool) {
	for i := range s.cells {
		if n := s.cells[i].node; n != nil && !yield(n) {
			return
		}
	}
}
