package wire

import "encoding/binary"

// Writer puts one response together. Begin starts it over, so one Writer serves many responses without allocating.
//
// Names are compressed against every name written before, letter case aside (RFC 1035 section 4.1.4, RFC 4343); the
// owner of an answer is a pointer to the question, so that it comes back in the case in which it was asked.
type Writer struct {
	buf      []byte
	limit    int
	question int // where the question ends
	flags    uint16
	counts   [3]uint16

	labels  [96]uint16 // offsets at which a label starts that a pointer may lead to
	nlabels int
}

// Section is one of the three record sections.
type Section uint8

// The sections, in the order in which they must be written.
const (
	AnswerSection Section = iota
	AuthoritySection
	AdditionalSection
)

// Begin starts a response to q in dst[:0]: the header and the question echoed. limit is the length, in octets, that
// records may fill up to, with room for the OPT record taken off already.
func (w *Writer) Begin(dst []byte, q *Query, limit int) {
	w.buf = append(dst[:0], byte(q.ID>>8), byte(q.ID), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	if len(q.Question) > 0 {
		w.buf[5] = 1
	}
	w.buf = append(w.buf, q.Question...)
	w.question = len(w.buf)
	w.limit = limit
	w.flags = flagQR | q.flags&flagRD
	w.counts = [3]uint16{}
	w.nlabels = 0
}

// Len is the length of the message so far, in octets.
func (w *Writer) Len() int { return len(w.buf) }

// Authoritative sets the AA flag.
func (w *Writer) Authoritative() { w.flags |= flagAA }

// Truncate takes all records out again and sets TC: a part of an answer is not an answer (RFC 2181 section 9).
func (w *Writer) Truncate() {
	w.buf = w.buf[:w.question]
	w.counts = [3]uint16{}
	w.flags |= flagTC
	w.nlabels = 0
}

// Append writes set with the given owner into section, whole or not at all; false says that it did not fit. An empty
// owner is the name of the question. first is the offset in set.Records of the record that comes first; those before it
// come last. Sections must be written in order.
func (w *Writer) Append(section Section, owner Name, set *RRset, first int) bool {
	mark, labels := len(w.buf), w.nlabels
	form, compress := compressible(set.Type)
	if owner == "" && !compress {
		if mark+len(set.Records) > w.limit {
			return false
		}
		w.buf = append(append(w.buf, set.Records[first:]...), set.Records[:first]...)
		w.counts[section] += set.Count
		return true
	}
	for _, rest := range [2][]byte{set.Records[first:], set.Records[:first]} {
		for len(rest) >= recordHead {
			end := recordHead + int(binary.BigEndian.Uint16(rest[recordHead-2:]))
			w.appendRecord(owner, rest[:end], form)
			rest = rest[end:]
		}
	}
	if len(w.buf) > w.limit {
		w.buf, w.nlabels = w.buf[:mark], labels
		return false
	}
	w.counts[section] += set.Count
	return true
}

func (w *Writer) appendRecord(owner Name, record []byte, form layout) {
	if owner == "" {
		w.buf = append(w.buf, record[:2]...)
	} else {
		w.appendName(owner)
	}
	w.buf = append(w.buf, record[2:recordHead]...)
	data := record[recordHead:]
	start := len(w.buf)
	w.buf = append(w.buf, data[:form.skip]...)
	data = data[form.skip:]
	for range form.count {
		end, _ := skipName(data, 0)
		var name [MaxName]byte
		w.appendNameBytes(append(name[:0], data[:end]...))
		data = data[end:]
	}
	w.buf = append(w.buf, data...)
	binary.BigEndian.PutUint16(w.buf[start-2:], uint16(len(w.buf)-start))
}

func (w *Writer) appendName(n Name) {
	var b [MaxName]byte
	w.appendNameBytes(append(b[:0], n...))
}

// appendNameBytes writes a name: the labels that no earlier name ends with, then a pointer to the rest, or the root.
func (w *Writer) appendNameBytes(name []byte) {
	if w.nlabels == 0 {
		w.learn(HeaderSize, w.question-4)
	}
	start := len(w.buf)
	for rest := name; rest[0] != 0; rest = rest[1+rest[0]:] {
		if at, ok := w.find(rest, start); ok {
			w.buf = append(w.buf, 0xc0|byte(at>>8), byte(at))
			w.learn(start, len(w.buf)-2)
			return
		}
		w.buf = append(w.buf, rest[:1+rest[0]]...)
	}
	w.buf = append(w.buf, 0)
	w.learn(start, len(w.buf)-1)
}

// learn remembers the labels between start and end as places that a pointer may lead to.
func (w *Writer) learn(start, end int) {
	for off := start; off < end && w.buf[off] != 0; off += 1 + int(w.buf[off]) {
		if off > 0x3fff || w.nlabels == len(w.labels) {
			return
		}
		w.labels[w.nlabels] = uint16(off)
		w.nlabels++
	}
}

// find looks for name among the labels written before offset end.
func (w *Writer) find(name []byte, end int) (at uint16, ok bool) {
	for _, at := range w.labels[:w.nlabels] {
		if int(at) < end && w.sameName(int(at), name) {
			return at, true
		}
	}
	return 0, false
}

// sameName compares the name at off in the message, along its pointers, with name. Pointers here are our own and lead
// backwards.
func (w *Writer) sameName(off int, name []byte) bool {
	for {
		length := w.buf[off]
		for length >= 0xc0 {
			off = int(length&0x3f)<<8 | int(w.buf[off+1])
			length = w.buf[off]
		}
		if length != name[0] {
			return false
		}
		if length == 0 {
			return true
		}
		for i := 1; i <= int(length); i++ {
			if lower[w.buf[off+i]] != lower[name[i]] {
				return false
			}
		}
		off += 1 + int(length)
		name = name[1+length:]
	}
}

// OPT is what a response says in its OPT record.
type OPT struct {
	// UDPSize is the size of queries that this server takes, in octets.
	UDPSize uint16
	DO      bool
	// Options is the RDATA.
	Options []byte
}

// OPTSize is the length of an OPT record with n octets of options.
func OPTSize(n int) int { return 11 + n }

// Finish closes the message and returns it. opt is nil when the query had no OPT record (RFC 6891 section 7).
func (w *Writer) Finish(rcode Rcode, opt *OPT) []byte {
	if opt != nil {
		w.counts[AdditionalSection]++
		w.buf = append(w.buf, 0, 0, byte(TypeOPT), byte(opt.UDPSize>>8), byte(opt.UDPSize), byte(rcode>>4), 0, 0, 0)
		if opt.DO {
			w.buf[len(w.buf)-2] = 0x80
		}
		w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(len(opt.Options)))
		w.buf = append(w.buf, opt.Options...)
	}
	binary.BigEndian.PutUint16(w.buf[2:], w.flags|uint16(rcode&15))
	for i, n := range w.counts {
		binary.BigEndian.PutUint16(w.buf[6+2*i:], n)
	}
	return w.buf
}

// AppendHeader appends a response to q that is a bare header: ID, opcode and code (and RD for a query).
func AppendHeader(dst []byte, q *Query, rcode Rcode) []byte {
	flags := flagQR | q.flags&(15<<11) | q.flags&flagRD | uint16(rcode&15)
	return append(dst, byte(q.ID>>8), byte(q.ID), byte(flags>>8), byte(flags), 0, 0, 0, 0, 0, 0, 0, 0)
}
