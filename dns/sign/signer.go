package sign

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/hanse-federation/hanse/dns/balance"
	"github.com/hanse-federation/hanse/dns/wire"
)

// Signer signs the record sets of one zone. It never changes.
type Signer struct {
	origin wire.Name
	keys   []Key
	id     [8]byte
}

// Errors of NewSigner.
var (
	ErrNoActiveKey = errors.New("needs exactly one active key")
	ErrTwins       = errors.New("two keys have the same tag")
)

// NewSigner is the signer of a zone. Exactly one key must be active, and no two may have one tag: validators would try
// both for every signature (and some refuse to).
func NewSigner(origin wire.Name, keys []Key) (*Signer, error) {
	s := &Signer{origin: origin, keys: slices.Clone(keys)}
	active, hash := 0, sha256.New()
	hash.Write([]byte(origin))
	for i, k := range keys {
		switch k.Stage {
		case Active, Leaving:
			active++
		case Incoming, Retired:
		default:
			return nil, fmt.Errorf("stage %q of key %d is none of %s, %s, %s, %s", k.Stage, k.Tag, Incoming, Active, Leaving, Retired)
		}
		for _, other := range keys[:i] {
			if other.Tag == k.Tag {
				return nil, fmt.Errorf("%w: %d", ErrTwins, k.Tag)
			}
		}
		hash.Write(k.dnskey)
		hash.Write([]byte(k.Stage))
	}
	if active != 1 {
		return nil, fmt.Errorf("%w: %d are", ErrNoActiveKey, active)
	}
	copy(s.id[:], hash.Sum(nil))
	return s, nil
}

// IsLike tells whether two signers, which may be nil, sign alike.
func (s *Signer) IsLike(other *Signer) bool {
	return s == other || s != nil && other != nil && s.id == other.id
}

// Keys are the keys of the zone.
func (s *Signer) Keys() []Key { return s.keys }

// isLeaving reports whether the zone is to be signed no more.
func (s *Signer) isLeaving() bool {
	return slices.ContainsFunc(s.keys, func(k Key) bool { return k.Stage == Leaving })
}

// The CDS and CDNSKEY records that ask the parent to drop all DS records (RFC 8078 section 4, with its erratum 5049).
var (
	dropDS     = []byte{0, 0, 0, 0, 0}
	dropDNSKEY = []byte{0, 0, protocol, 0, 0}
)

// Apex are the sets that a signed zone has at its origin: DNSKEY, and CDS and CDNSKEY, which tell the parent what DS
// records it should have (RFC 7344): those of all keys but the retired, so that they may be changed at any time; or none
// at all.
func (s *Signer) Apex() []wire.RRset {
	var dnskey, cds, cdnskey [][]byte
	for i := range s.keys {
		k := &s.keys[i]
		dnskey = append(dnskey, k.dnskey)
		if k.Stage != Retired {
			cds = append(cds, k.DS(s.origin))
			cdnskey = append(cdnskey, k.dnskey)
		}
	}
	if s.isLeaving() {
		cds, cdnskey = [][]byte{dropDS}, [][]byte{dropDNSKEY}
	}
	return []wire.RRset{
		wire.NewRRset(wire.TypeDNSKEY, KeyTTL, dnskey...),
		wire.NewRRset(wire.TypeCDS, KeyTTL, cds...),
		wire.NewRRset(wire.TypeCDNSKEY, KeyTTL, cdnskey...),
	}
}

// DS is the set that the parent of the zone should have. It is empty for a zone that is to be signed no more.
func (s *Signer) DS() wire.RRset {
	var ds [][]byte
	for i := range s.keys {
		if s.keys[i].Stage != Retired && !s.isLeaving() {
			ds = append(ds, s.keys[i].DS(s.origin))
		}
	}
	return wire.NewRRset(wire.TypeDS, KeyTTL, ds...)
}

// Lifetime is the longest that a signature holds after it was first sent.
const Lifetime = 2 * window

// A signature is made for a window, and valid from a little before it until as long again after it.
const (
	window  = 36 * time.Hour
	earlier = time.Hour
)

// windowOf is when the window around now begins, for a set; both in seconds since 1970.
func windowOf(owner []byte, t wire.Type, now int64) int64 {
	length := int64(window / time.Second)
	shift := int64(balance.Scale(hashOf(owner, t), uint64(length)))
	return (now+shift)/length*length - shift
}

func hashOf(owner []byte, t wire.Type) uint64 {
	h := uint64(t)
	for _, c := range owner {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return balance.Mix(h)
}

// IsRenewed tells whether the signature of a set is another one at a later time, though the set is the same. Within a
// window it is not: it depends on nothing but what is signed, the key and the window.
func IsRenewed(owner []byte, t wire.Type, then, now int64) bool {
	return windowOf(owner, t, then) != windowOf(owner, t, now)
}

// Sign makes the RRSIG set of a record set. owner is in wire form and lower case; now is in seconds since 1970. The
// result holds until the second of that kind that is returned with it.
func (s *Signer) Sign(owner []byte, set *wire.RRset, now int64) (rrsig wire.RRset, until int64, err error) {
	begin := windowOf(owner, set.Type, now)
	message := canonical(owner, set)
	rrsig = wire.RRset{Type: wire.TypeRRSIG, TTL: set.TTL}
	for i := range s.keys {
		k := &s.keys[i]
		// The set of keys is signed by each of them: a resolver may know any by a DS of the parent, also an old one.
		if k.Stage != Active && k.Stage != Leaving && set.Type != wire.TypeDNSKEY {
			continue
		}
		data := s.head(k, owner, set, begin)
		hash := sha256.New()
		hash.Write(data)
		hash.Write(message)
		signature, err := k.sign(hash.Sum(nil))
		if err != nil {
			return wire.RRset{}, 0, fmt.Errorf("signing with key %d of %s: %w", k.Tag, s.origin, err)
		}
		rrsig.Records = wire.AppendRecord(rrsig.Records, wire.TypeRRSIG, set.TTL, append(data, signature...))
		rrsig.Count++
	}
	return rrsig, begin + int64(window/time.Second), nil
}

// head is the data of an RRSIG record up to its signature (RFC 4034 section 3.1).
func (s *Signer) head(k *Key, owner []byte, set *wire.RRset, begin int64) []byte {
	data := make([]byte, 0, 18+len(s.origin)+64)
	data = binary.BigEndian.AppendUint16(data, uint16(set.Type))
	data = append(data, algorithm, labels(owner))
	data = binary.BigEndian.AppendUint32(data, set.TTL)
	data = binary.BigEndian.AppendUint32(data, uint32(begin+int64(Lifetime/time.Second)))
	data = binary.BigEndian.AppendUint32(data, uint32(begin-int64(earlier/time.Second)))
	data = binary.BigEndian.AppendUint16(data, k.Tag)
	return append(data, s.origin...)
}

// labels counts the labels of a name, without the root and without a wildcard's asterisk (RFC 4034 section 3.1.3).
func labels(name []byte) byte {
	n := byte(0)
	if len(name) > 2 && name[0] == 1 && name[1] == '*' {
		name = name[2:]
	}
	for ; name[0] != 0; name = name[1+name[0]:] {
		n++
	}
	return n
}

// canonical is the record set as it is signed: canonical form and order (RFC 4034 section 6).
func canonical(owner []byte, set *wire.RRset) []byte {
	datas := make([][]byte, 0, set.Count)
	size := 0
	for data := range set.All {
		datas = append(datas, wire.Canonical(set.Type, data))
		size += len(owner) + 10 + len(data)
	}
	slices.SortFunc(datas, bytes.Compare)
	out := make([]byte, 0, size)
	for i, data := range datas {
		if i > 0 && bytes.Equal(data, datas[i-1]) {
			continue
		}
		out = append(out, owner...)
		out = binary.BigEndian.AppendUint16(out, uint16(set.Type))
		out = binary.BigEndian.AppendUint16(out, uint16(wire.ClassIN))
		out = binary.BigEndian.AppendUint32(out, set.TTL)
		out = binary.BigEndian.AppendUint16(out, uint16(len(data)))
		out = append(out, data...)
	}
	return out
}

// sign is the signature in the form of RFC 6605 section 4: r and s, 32 octets each. Without a source of randomness it is
// that of RFC 6979.
func (k *Key) sign(digest []byte) ([]byte, error) {
	der, err := k.private.Sign(nil, digest, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		return nil, err
	}
	var out [64]byte
	pair.R.FillBytes(out[:32])
	pair.S.FillBytes(out[32:])
	return out[:], nil
}
