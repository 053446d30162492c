package member

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/encoding/protowire"
)

// What decoding makes of an answer is many times its length: {} is two bytes and becomes a map, two bytes of protobuf
// become a whole Pod. So the meter adds up what will come of what it sees, while it passes by.
const (
	costOfObject = 400  // of a JSON object as a map
	costOfTyped  = 1280 // of one as a struct; the largest is a Pod
	costOfArray  = 48
	costOfComma  = 48
	// costOfMessage is that of a message of protobuf with something in it. An empty one is charged as a Pod: only those
	// that are made up come in numbers.
	costOfMessage = 512
)

// meter bounds one answer, or each event of a watch.
type meter struct {
	isStream bool
	most     int64 // bytes
	mostCost int64
	perBrace int64

	length, cost      int64 // of the answer, or of the event
	depth             int
	inString, escaped bool
}

// see counts what passes by. ended: an event came to its end in it.
func (m *meter) see(p []byte) (ended bool, err error) {
	for _, c := range p {
		m.length++
		if m.inString {
			switch {
			case m.escaped:
				m.escaped = false
			case c == '\\':
				m.escaped = true
			case c == '"':
				m.inString = false
			}
			continue
		}
		switch c {
		case '"':
			m.inString = true
		case '{':
			m.depth++
			m.cost += m.perBrace
		case '[':
			m.depth++
			m.cost += costOfArray
		case ',':
			m.cost += costOfComma
		case '}', ']':
			if m.depth--; m.depth <= 0 && m.isStream {
				ended = true
				m.length, m.cost, m.depth = 0, 0, 0
			}
		}
		if m.cost > m.mostCost {
			break
		}
	}
	return ended, m.check()
}

func (m *meter) check() error {
	what := "an answer"
	if m.isStream {
		what = "an event"
	}
	switch {
	case m.length > m.most:
		return fmt.Errorf("%w: %s is longer than %d MiB", ErrTooLarge, what, m.most/mebi)
	case m.total() > m.mostCost:
		return fmt.Errorf("%w: %s would take more than %d MiB of memory", ErrTooLarge, what, m.mostCost/mebi)
	}
	return nil
}

// total is what the answer comes to: itself, and what is made of it.
func (m *meter) total() int64 { return m.length + m.cost }

// seeProto counts a whole message of protobuf.
func (m *meter) seeProto(message []byte) error {
	m.length, m.cost = int64(len(message)), 0
	if m.length <= m.most {
		m.cost, _ = protoCost(bytes.TrimPrefix(message, []byte("k8s\x00")), m.mostCost, maxProtoDepth)
	}
	return m.check()
}

const maxProtoDepth = 24

// protoCost is what a message comes to. Whatever can be a message in it is taken for one: its schema is not known here.
// It is false if this cannot be a message. It stops when most is passed.
func protoCost(b []byte, most int64, depth int) (cost int64, ok bool) {
	for len(b) > 0 && cost <= most {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || number <= 0 || kind == protowire.StartGroupType || kind == protowire.EndGroupType {
			return cost, false
		}
		b = b[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return cost, false
			}
			cost += 8
			b = b[n:]
			continue
		}
		inner, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return cost, false
		}
		b = b[n:]
		switch {
		case len(inner) == 0:
			cost += costOfTyped
		case depth == 0:
			cost += costOfMessage
		default:
			if below, isMessage := protoCost(inner, most-cost, depth-1); isMessage {
				cost += costOfMessage + below
			} else {
				cost += 48 // a text, or bytes, whose length is counted already
			}
		}
	}
	return cost, true
}

// metered is the body of an answer under a meter. What is too much ends it with an error and tells the lease.
type metered struct {
	from    io.Reader
	meter   meter
	lease   *lease
	limiter *rate.Limiter
	ctx     context.Context // of the request
	isProto bool

	whole   []byte // of protobuf: what was read and is not given yet
	err     error
	isEnded bool // an event has been given to its end: at the next call it is decoded
}

// Read implements io.Reader.
func (m *metered) Read(p []byte) (int, error) {
	if m.isEnded {
		m.isEnded = false
		m.lease.release()
	}
	if m.isProto {
		return m.readProto(p)
	}
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.from.Read(p[:min(len(p), pace)])
	ended, trouble := m.meter.see(p[:n])
	m.isEnded = ended
	if errors.Is(err, ErrTooLarge) {
		trouble = err
	}
	if trouble = m.settle(n, trouble); trouble != nil {
		return 0, trouble
	}
	return n, err
}

// pace is how much is read at a time.
const pace = 64 << 10

// settle waits for room and time for n more bytes, and ends the answer if it is too much.
func (m *metered) settle(n int, trouble error) error {
	if trouble == nil && n > 0 {
		if trouble = m.lease.grow(m.ctx, m.meter.total()); trouble == nil {
			trouble = m.limiter.WaitN(m.ctx, n)
		}
	}
	if trouble == nil {
		return nil
	}
	m.err = trouble
	if errors.Is(trouble, ErrTooLarge) {
		m.lease.fault(&TooMuchError{What: trouble.Error()})
	}
	return trouble
}

// readProto gives a message once it is whole: only then it is known what it comes to.
func (m *metered) readProto(p []byte) (int, error) {
	for len(m.whole) == 0 {
		if m.err != nil {
			return 0, m.err
		}
		m.nextMessage()
	}
	n := copy(p, m.whole)
	m.whole = m.whole[n:]
	m.isEnded = m.meter.isStream && len(m.whole) == 0
	return n, nil
}

// nextMessage reads the whole answer, or one frame of a watch: its length in four bytes, then the message.
func (m *metered) nextMessage() {
	length, head := m.meter.most+1, []byte(nil)
	if m.meter.isStream {
		head = make([]byte, 4)
		if _, m.err = io.ReadFull(m.from, head); m.err != nil {
			return
		}
		if length = int64(binary.BigEndian.Uint32(head)); length > m.meter.most {
			m.meter.length = length
			_ = m.settle(0, m.meter.check())
			return
		}
	}
	whole := bytes.NewBuffer(head)
	_, err := io.Copy(paced{whole, m}, io.LimitReader(m.from, length))
	switch {
	case m.err != nil:
		return
	case err == nil && m.meter.isStream && int64(whole.Len()) < length+4:
		err = io.ErrUnexpectedEOF
	case err == nil && !m.meter.isStream:
		m.err = io.EOF // after what has come
	}
	if err != nil {
		_ = m.settle(0, err)
		return
	}
	message := whole.Bytes()[len(head):]
	if m.settle(len(head), m.meter.seeProto(message)) == nil {
		m.whole = whole.Bytes()
	}
}

// paced writes what has been read, as fast as the member may send.
type paced struct {
	to *bytes.Buffer
	of *metered
}

// Write implements io.Writer.
func (w paced) Write(p []byte) (int, error) {
	w.of.meter.length, w.of.meter.cost = int64(w.to.Len()+len(p)), 0
	for rest := len(p); rest > 0; rest -= pace {
		if err := w.of.settle(min(rest, pace), nil); err != nil {
			return 0, err
		}
	}
	return w.to.Write(p)
}

// unpacked is a compressed body, which must not become longer than ratio times what came.
type unpacked struct {
	from  io.ReadCloser
	ratio int64

	packed, plain int64
	gzip          *gzip.Reader
}

// wantPacked asks for a compressed answer, as the standard library's transport does, unless the caller asks for another.
func wantPacked(req *http.Request) {
	if req.Header.Get("Accept-Encoding") == "" && req.Header.Get("Range") == "" && req.Method != http.MethodHead &&
		req.Header.Get("Upgrade") == "" {
		req.Header.Set("Accept-Encoding", "gzip")
	}
}

// unpack takes the compression off an answer.
func unpack(resp *http.Response, ratio int64) {
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength, resp.Uncompressed = -1, true
	resp.Body = &unpacked{from: resp.Body, ratio: ratio}
}

// freely is how long an answer may be whatever its ratio: small ones of many like objects pack well.
const freely = mebi

// Read implements io.Reader.
func (u *unpacked) Read(p []byte) (int, error) {
	if u.gzip == nil {
		var err error
		if u.gzip, err = gzip.NewReader(packedReader{u}); err != nil {
			return 0, err
		}
	}
	n, err := u.gzip.Read(p)
	u.plain += int64(n)
	if u.plain > freely && u.plain > u.ratio*u.packed {
		return 0, fmt.Errorf("%w: it is compressed more than %d times", ErrTooLarge, u.ratio)
	}
	return n, err
}

// Close implements io.Closer.
func (u *unpacked) Close() error { return u.from.Close() }

// packedReader counts what comes.
type packedReader struct{ *unpacked }

// Read implements io.Reader.
func (r packedReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.packed += int64(n)
	return n, err
}
