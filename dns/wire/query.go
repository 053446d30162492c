package wire

import "encoding/binary"

// HeaderSize is the length of a message header, in octets.
const HeaderSize = 12

// Query is what Parse found in a packet. Slices point into the packet.
type Query struct {
	ID    uint16
	flags uint16

	// Question is the question section as asked, case and all; its first octets are the name.
	Question []byte
	Type     Type
	Class    Class

	name    [MaxName]byte // in lower case
	nameLen int

	EDNS    EDNS
	HasEDNS bool
	// HasTSIG says that the last record is a TSIG (RFC 8945); what it says has not been looked at.
	HasTSIG bool
	// IXFRSerial is the serial of the SOA in the authority section, of a query for IXFR (RFC 1995 section 3).
	IXFRSerial uint32
}

// EDNS is the OPT record of a query (RFC 6891).
type EDNS struct {
	// UDPSize is the response size the client takes, in octets, as sent.
	UDPSize uint16
	Version uint8
	// DO asks for DNSSEC records.
	DO bool
	// CO says that the client knows compact denial of existence (RFC 9824 section 5.1).
	CO bool
	// options is the whole RDATA; its inner lengths have been checked.
	options []byte
}

// Verdict says what must happen to a packet.
type Verdict uint8

const (
	// Answer: the query is well formed and has a question.
	Answer Verdict = iota
	// Drop: there must be no response at all.
	Drop
	// RefuseHeader: respond with a bare header and the returned code; there may be no question to echo.
	RefuseHeader
	// CookieOnly: no question, but an OPT record, for a DNS Cookie (RFC 7873 section 5.4).
	CookieOnly
	// Update: an UPDATE message (RFC 2136), of which nothing but ID and flags has been read; respond with the returned
	// code if there is nobody to carry it out.
	Update
)

// Name is the name asked for, in wire form and lower case. It is overwritten by the next Parse into the same Query.
func (q *Query) Name() []byte { return q.name[:q.nameLen] }

// RD reports whether recursion was desired.
func (q *Query) RD() bool { return q.flags&flagRD != 0 }

// Parse reads packet into q. For RefuseHeader the second result is the response code; q has the ID and flags then.
//
// The rules, in their order:
//   - Shorter than a header, or a response: drop; answering answers makes loops.
//   - Any opcode but QUERY: NOTIMP (RFC 8906 section 3.1.4), and UPDATE is told apart.
//   - Not exactly one question: FORMERR (RFC 9619), but none with an OPT is a request for a cookie.
//   - A question that is cut off, has a compression pointer, a label over 63 or a name over 255 octets: FORMERR.
//   - A record counted but not there, or longer than the packet: FORMERR. Octets after the last counted record are
//     ignored.
//   - OPT twice, not in the additional section, with an owner other than the root, or with an option longer than it:
//     FORMERR (RFC 6891).
//   - TSIG that is not the last record: FORMERR (RFC 8945 section 5.1).
func Parse(packet []byte, q *Query) (Verdict, Rcode) {
	if len(packet) < HeaderSize {
		return Drop, 0
	}
	q.ID = binary.BigEndian.Uint16(packet)
	q.flags = binary.BigEndian.Uint16(packet[2:])
	q.HasEDNS, q.HasTSIG, q.nameLen, q.Question = false, false, 0, nil
	if q.flags&flagQR != 0 {
		return Drop, 0
	}
	switch q.flags >> 11 & 15 {
	case opcodeQuery:
	case opcodeUpdate:
		return Update, NotImp
	default:
		return RefuseHeader, NotImp
	}
	questions := binary.BigEndian.Uint16(packet[4:])
	off := HeaderSize
	if questions == 1 {
		end, ok := q.parseQuestion(packet)
		if !ok {
			return RefuseHeader, FormErr
		}
		off = end
	} else if questions > 1 {
		return RefuseHeader, FormErr
	}
	counts := binary.BigEndian.Uint32(packet[6:])
	additional := int(binary.BigEndian.Uint16(packet[10:]))
	switch {
	case counts == 0 && additional == 0:
	case counts == 0 && additional == 1 && q.parsePlainOPT(packet[off:]):
	case !q.parseRecords(packet, off, int(counts>>16), int(counts&0xffff), additional):
		return RefuseHeader, FormErr
	}
	if questions == 0 {
		if q.HasEDNS && counts == 0 {
			return CookieOnly, 0
		}
		return RefuseHeader, FormErr
	}
	return Answer, 0
}

func (q *Query) parseQuestion(packet []byte) (end int, ok bool) {
	off := HeaderSize
	for {
		if off >= len(packet) {
			return 0, false
		}
		length := int(packet[off])
		if length == 0 {
			break
		}
		if length > MaxLabel {
			return 0, false
		}
		off += 1 + length
	}
	off++
	n := off - HeaderSize
	if n > MaxName || off+4 > len(packet) {
		return 0, false
	}
	for i, c := range packet[HeaderSize:off] {
		q.name[i] = lower[c]
	}
	q.nameLen = n
	q.Type = Type(binary.BigEndian.Uint16(packet[off:]))
	q.Class = Class(binary.BigEndian.Uint16(packet[off+2:]))
	q.Question = packet[HeaderSize : off+4]
	return off + 4, true
}

// parsePlainOPT takes the one shape that nearly all additional sections have: a single OPT. It reports false for
// anything it is not sure about.
func (q *Query) parsePlainOPT(b []byte) bool {
	if len(b) < 11 || b[0] != 0 || binary.BigEndian.Uint16(b[1:]) != uint16(TypeOPT) {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[9:]))
	return 11+length <= len(b) && q.parseOPT(b[1:11], b[11:11+length])
}

func (q *Query) parseRecords(packet []byte, off, answers, authorities, additional int) bool {
	q.HasEDNS = false
	total := answers + authorities + additional
	for i := range total {
		owner := off
		end, ok := skipName(packet, off)
		if !ok || end+10 > len(packet) {
			return false
		}
		header := packet[end : end+10]
		length := int(binary.BigEndian.Uint16(header[8:]))
		off = end + 10 + length
		if off > len(packet) {
			return false
		}
		data := packet[end+10 : off]
		switch t := Type(binary.BigEndian.Uint16(header)); {
		case t == TypeOPT:
			if i < answers+authorities || q.HasEDNS || packet[owner] != 0 || !q.parseOPT(header, data) {
				return false
			}
		case t == TypeTSIG:
			if i != total-1 || additional == 0 {
				return false
			}
			q.HasTSIG = true
		case t == TypeSOA && i >= answers && i < answers+authorities && length >= 20:
			q.IXFRSerial = binary.BigEndian.Uint32(data[length-20:])
		}
	}
	return true
}

func (q *Query) parseOPT(header, data []byte) bool {
	for rest := data; len(rest) > 0; {
		if len(rest) < 4 {
			return false
		}
		length := int(binary.BigEndian.Uint16(rest[2:]))
		if 4+length > len(rest) {
			return false
		}
		rest = rest[4+length:]
	}
	q.HasEDNS = true
	q.EDNS = EDNS{
		UDPSize: binary.BigEndian.Uint16(header[2:]),
		Version: header[5],
		DO:      header[6]&0x80 != 0,
		CO:      header[6]&0x40 != 0,
		options: data,
	}
	return true
}

// skipName steps over an owner name. A pointer ends it; where it points to does not matter for a record that is stepped
// over.
func skipName(packet []byte, off int) (end int, ok bool) {
	for start := off; off < len(packet) && off-start < MaxName; {
		length := int(packet[off])
		switch {
		case length == 0:
			return off + 1, true
		case length >= 0xc0:
			return off + 2, off+2 <= len(packet)
		case length > MaxLabel:
			return 0, false
		}
		off += 1 + length
	}
	return 0, false
}

// HasOptions reports whether the OPT record has options at all.
func (e *EDNS) HasOptions() bool { return len(e.options) > 0 }

// Option is the data of the first option with this code.
func (e *EDNS) Option(code uint16) (data []byte, ok bool) {
	for rest := e.options; len(rest) >= 4; {
		length := int(binary.BigEndian.Uint16(rest[2:]))
		if binary.BigEndian.Uint16(rest) == code {
			return rest[4 : 4+length], true
		}
		rest = rest[4+length:]
	}
	return nil, false
}
