package sign

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"sync/atomic"

	"github.com/hanse-federation/hanse/dns/wire"
)

// Cache holds signatures that have been made. It is a fixed table: a new signature takes the place of an old one in one
// of a few slots. Readers and writers never wait for each other.
//
// Signatures are found by what they sign, not by where it is stored: a snapshot that changes one name leaves the
// signatures of the others in use.
type Cache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[signature]
	mask  uint64
}

// ways is the number of slots in which a signature may be.
const ways = 4

type signature struct {
	signer  [8]byte
	owner   wire.Name
	of      wire.Type
	ttl     uint32
	records []byte
	rrsig   wire.RRset
	until   int64
}

// NewCache has room for about size signatures, ways at least.
func NewCache(size int) *Cache {
	n := uint64(1) << bits.Len64(uint64(max(size, ways)-1))
	return &Cache{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[signature], n), mask: n - 1}
}

// Find is the RRSIG set of a record set if it has been made and holds at now, in seconds since 1970, or nil. owner is in
// wire form and lower case.
func (c *Cache) Find(s *Signer, owner []byte, set *wire.RRset, now int64) *wire.RRset {
	at := c.slot(owner, set)
	for i := range uint64(ways) {
		if e := c.slots[(at+i)&c.mask].Load(); e != nil && e.until > now && e.isOf(s, owner, set) {
			return &e.rrsig
		}
	}
	return nil
}

// Make signs a record set and keeps the signature.
func (c *Cache) Make(s *Signer, owner []byte, set *wire.RRset, now int64) (*wire.RRset, error) {
	rrsig, until, err := s.Sign(owner, set, now)
	if err != nil {
		return nil, err
	}
	e := &signature{
		signer: s.id, owner: wire.Name(owner), of: set.Type, ttl: set.TTL, records: set.Records,
		rrsig: rrsig, until: until,
	}
	at := c.slot(owner, set)
	place := &c.slots[(at+uint64(until)%ways)&c.mask] // if all are taken, any will do
	for i := range uint64(ways) {
		slot := &c.slots[(at+i)&c.mask]
		if old := slot.Load(); old == nil || old.until <= now || old.isOf(s, owner, set) {
			place = slot
			break
		}
	}
	place.Store(e)
	return &e.rrsig, nil
}

func (c *Cache) slot(owner []byte, set *wire.RRset) uint64 {
	return maphash.Bytes(c.seed, owner) ^ maphash.Bytes(c.seed, set.Records)
}

func (e *signature) isOf(s *Signer, owner []byte, set *wire.RRset) bool {
	return e.of == set.Type && e.ttl == set.TTL && e.signer == s.id && string(owner) == string(e.owner) &&
		bytes.Equal(e.records, set.Records)
}
