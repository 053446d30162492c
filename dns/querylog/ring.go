package querylog

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-federation/hanse/dns/wire"
)

// Query is a query and what became of it.
type Query struct {
	// At is when it was answered, in nanoseconds since 1970, and Took how long that took since it was read.
	At   int64
	Took time.Duration
	// Client that asked, and Transport, "udp" for example, that it asked over.
	Client    netip.AddrPort
	Transport string
	// Type of the question, RD and DO as asked.
	Type   wire.Type
	RD, DO bool
	// Rcode of the response, of Size octets. 0 octets: there was none.
	Rcode wire.Rcode
	Size  int
	// Target that came first in an answer of a balanced name.
	Target string

	name   [wire.MaxName]byte
	length uint8
}

// SetName notes the name asked for, in wire form; empty: there was none.
func (q *Query) SetName(name []byte) { q.length = uint8(copy(q.name[:], name)) }

// Name is the name asked for, as text; empty: there was none.
func (q *Query) Name() string {
	if q.length == 0 {
		return ""
	}
	return wire.Name(q.name[:q.length]).String()
}

// ringSize is the number of queries that are kept.
const ringSize = 1024

// Ring has the last queries while somebody watches. The zero value is ready; nil is a ring that nobody can watch.
type Ring struct {
	slots atomic.Pointer[[ringSize]slot]
	next  atomic.Uint64

	mu       sync.Mutex
	watchers int // guarded by mu
}

type slot struct {
	mu     sync.Mutex
	number uint64 // of the query, from 1
	query  Query
}

// IsOn tells that somebody watches.
func (r *Ring) IsOn() bool { return r != nil && r.slots.Load() != nil }

// Record keeps a query, if somebody watches.
func (r *Ring) Record(q *Query) {
	slots := r.slots.Load()
	if slots == nil {
		return
	}
	number := r.next.Add(1)
	s := &slots[number%ringSize]
	s.mu.Lock()
	if number > s.number {
		s.number, s.query = number, *q
	}
	s.mu.Unlock()
}

// Watch switches the ring on. The watcher sees what comes from now on, and must be closed.
func (r *Ring) Watch() *Watcher {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watchers == 0 {
		r.slots.Store(new([ringSize]slot))
	}
	r.watchers++
	return &Watcher{ring: r, slots: r.slots.Load(), seen: r.next.Load()}
}

// Watcher reads a ring. It is for one goroutine.
type Watcher struct {
	ring  *Ring
	slots *[ringSize]slot
	seen  uint64
}

// Next appends to dst what has come since the last call. What was overwritten before it could be read is counted.
func (w *Watcher) Next(dst []Query) (queries []Query, missed uint64) {
	last := w.ring.next.Load()
	if last-w.seen > ringSize {
		missed = last - w.seen - ringSize
	}
	for number := w.seen + missed + 1; number <= last; number++ {
		s := &w.slots[number%ringSize]
		s.mu.Lock()
		switch {
		case s.number == number:
			dst = append(dst, s.query)
		case s.number > number:
			missed++
		default: // its worker is about to write it
			s.mu.Unlock()
			w.seen = number - 1
			return dst, missed
		}
		s.mu.Unlock()
	}
	w.seen = last
	return dst, missed
}

// Close switches the ring off, if nobody else watches.
func (w *Watcher) Close() {
	w.ring.mu.Lock()
	defer w.ring.mu.Unlock()
	if w.ring.watchers--; w.ring.watchers == 0 {
		w.ring.slots.Store(nil)
	}
}
