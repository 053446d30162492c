package sign

import (
	"slices"

	"github.com/hanse-federation/hanse/dns/wire"
)

// Deny is the NSEC set that says: name has these types, and nothing lies between it and the name after it. A name that
// does not exist is denied with types nil (RFC 9824 section 3.1). ttl is that of negative answers (RFC 9077).
//
// RRSIG and NSEC need not be among types.
func Deny(origin wire.Name, name []byte, ttl uint32, types []wire.Type) wire.RRset {
	all := append(slices.Clone(types), wire.TypeRRSIG, wire.TypeNSEC)
	if types == nil {
		all = append(all, wire.TypeNXNAME)
	}
	return wire.NewRRset(wire.TypeNSEC, ttl, appendBitmap(successor(origin, name), all))
}

// Link is the NSEC set of a name in a zone that is written down whole: next is the name after it (RFC 4034 section 4).
func Link(next wire.Name, ttl uint32, types []wire.Type) wire.RRset {
	all := append(slices.Clone(types), wire.TypeRRSIG, wire.TypeNSEC)
	return wire.NewRRset(wire.TypeNSEC, ttl, appendBitmap([]byte(next), all))
}

// appendBitmap appends the types that exist (RFC 4034 section 4.1.2).
func appendBitmap(dst []byte, types []wire.Type) []byte {
	slices.Sort(types)
	for i := 0; i < len(types); {
		block := byte(types[i] >> 8)
		start := len(dst)
		dst = append(dst, block, 0)
		for ; i < len(types) && byte(types[i]>>8) == block; i++ {
			at := int(types[i] & 0xff)
			for len(dst)-start-2 <= at/8 {
				dst = append(dst, 0)
			}
			dst[start+2+at/8] |= 0x80 >> (at % 8)
		}
		dst[start+1] = byte(len(dst) - start - 2)
	}
	return dst
}

// successor is the name directly after name in canonical order (RFC 4034 section 6.1): a label with a zero octet below
// it. Where that would be too long, it is the next longer label, or else the next greater one, of the name or of one
// above it; after the last name of the zone comes its origin.
func successor(origin wire.Name, name []byte) []byte {
	if len(name)+2 <= wire.MaxName {
		return append([]byte{1, 0}, name...)
	}
	for len(name) > len(origin) {
		label, parent := name[1:1+name[0]], name[1+name[0]:]
		if len(label) < wire.MaxLabel && len(name) < wire.MaxName {
			next := append([]byte{byte(len(label) + 1)}, label...)
			return append(append(next, 0), parent...)
		}
		for end := len(label); end > 0; end-- {
			c := label[end-1]
			if c == 0xff {
				continue
			}
			if c++; c >= 'A' && c <= 'Z' {
				c = 'Z' + 1 // upper case letters sort as lower case ones
			}
			next := append([]byte{byte(end)}, label[:end]...)
			next[end] = c
			return append(next, parent...)
		}
		name = parent
	}
	return []byte(origin)
}
