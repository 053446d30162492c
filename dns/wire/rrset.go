package wire

import (
	"bytes"
	"encoding/binary"
)

// RRset is a record set in the form in which it is written: its records one after another, each with an owner that
// points to the question (offset 12), class IN and the TTL. Names in the data are not compressed.
type RRset struct {
	Type  Type
	Count uint16
	// TTL in seconds, the same in every record (RFC 2181 section 5.2).
	TTL     uint32
	Records []byte
}

// recordHead is the length of what stands before the data of a record in an RRset: pointer, type, class, TTL, length.
const recordHead = 12

// RecordSize is the length of a record in an RRset with n octets of data.
func RecordSize(n int) int { return recordHead + n }

// ownerPointer is a compression pointer to the name of the question.
const ownerPointer = 0xc000 | HeaderSize

// NewRRset builds a set from the data of its records.
func NewRRset(t Type, ttl uint32, data ...[]byte) RRset {
	size := 0
	for _, d := range data {
		size += recordHead + len(d)
	}
	records := make([]byte, 0, size)
	for _, d := range data {
		records = AppendRecord(records, t, ttl, d)
	}
	return RRset{Type: t, Count: uint16(len(data)), TTL: ttl, Records: records}
}

// AppendRecord appends one record in the form of RRset.Records.
func AppendRecord(dst []byte, t Type, ttl uint32, data []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, ownerPointer)
	dst = binary.BigEndian.AppendUint16(dst, uint16(t))
	dst = binary.BigEndian.AppendUint16(dst, uint16(ClassIN))
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}

// All yields the data of each record.
func (s *RRset) All(yield func(data []byte) bool) {
	for rest := s.Records; len(rest) >= recordHead; {
		end := recordHead + int(binary.BigEndian.Uint16(rest[recordHead-2:]))
		if !yield(rest[recordHead:end]) {
			return
		}
		rest = rest[end:]
	}
}

// Raw yields each record, with all that stands before its data.
func (s *RRset) Raw(yield func(record []byte) bool) {
	for rest := s.Records; len(rest) >= recordHead; {
		end := recordHead + int(binary.BigEndian.Uint16(rest[recordHead-2:]))
		if !yield(rest[:end:end]) {
			return
		}
		rest = rest[end:]
	}
}

// OneRecord is the set of a single record that Raw has given.
func OneRecord(raw []byte) RRset {
	return RRset{
		Type: Type(binary.BigEndian.Uint16(raw[2:])), Count: 1, TTL: binary.BigEndian.Uint32(raw[6:]), Records: raw,
	}
}

// Has reports whether one of the records has this data.
func (s *RRset) Has(data []byte) bool {
	for other := range s.All {
		if bytes.Equal(other, data) {
			return true
		}
	}
	return false
}

// layout says where names stand in the data of a type: after skip octets, count of them. Only the types of RFC 1035 may
// be compressed (RFC 3597 section 4); SRV has a name that must stand in full (RFC 2782).
type layout struct{ skip, count int }

func compressible(t Type) (layout, bool) {
	switch t {
	case TypeNS, TypeCNAME, TypePTR:
		return layout{0, 1}, true
	case TypeMX:
		return layout{2, 1}, true
	case TypeSOA:
		return layout{0, 2}, true
	}
	return layout{}, false
}

// IsPlain reports whether a set of type t is written exactly as it is stored: no name in its data is compressed.
func IsPlain(t Type) bool {
	_, ok := compressible(t)
	return !ok
}

// Target is the name that the data of a record refers to, for the types that have one: NS, CNAME, PTR, MX, SRV, SVCB
// and HTTPS.
func Target(t Type, data []byte) (Name, bool) {
	var buf [MaxName]byte
	name, ok := AppendTarget(buf[:0], t, data)
	return Name(name), ok
}

// AppendTarget appends the name that Target gives to dst, in wire form and lower case.
func AppendTarget(dst []byte, t Type, data []byte) ([]byte, bool) {
	skip := 0
	switch t {
	case TypeNS, TypeCNAME, TypePTR:
	case TypeMX, TypeSVCB, TypeHTTPS:
		skip = 2
	case TypeSRV:
		skip = 6
	default:
		return dst, false
	}
	if len(data) < skip {
		return dst, false
	}
	end, ok := skipName(data, skip)
	if !ok {
		return dst, false
	}
	return Lower(dst, data[skip:end]), true
}

// IsOwnTarget reports whether the data of an SVCB or HTTPS record in ServiceMode refers to its own owner, by the root as
// its TargetName (RFC 9460 section 2.5.2).
func IsOwnTarget(t Type, data []byte) bool {
	return (t == TypeSVCB || t == TypeHTTPS) && len(data) >= 3 && data[2] == 0 && (data[0] != 0 || data[1] != 0)
}

// Canonical is the data of a record in canonical form (RFC 4034 section 6.2 as amended by RFC 6840 section 5.1): names
// in the data of old types are in lower case. It is data itself where that makes no difference.
func Canonical(t Type, data []byte) []byte {
	form, ok := compressible(t)
	switch {
	case ok:
	case t == TypeSRV:
		form = layout{6, 1}
	case t == TypeNAPTR:
		form = layout{4, 1}
		for range 3 { // flags, services and regular expression
			if form.skip < len(data) {
				form.skip += 1 + int(data[form.skip])
			}
		}
	default:
		return data
	}
	if form.skip > len(data) {
		return data
	}
	out := append(make([]byte, 0, len(data)), data[:form.skip]...)
	rest := data[form.skip:]
	for range form.count {
		end, ok := skipName(rest, 0)
		if !ok {
			return data
		}
		out = Lower(out, rest[:end])
		rest = rest[end:]
	}
	return append(out, rest...)
}
