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
	current atomic.Pointer[slots]

	mu       sync.Mutex
	watchers int // guarded by mu
}

// slots are those of a ring from when it is switched on until it is off. A worker that has begun to record by then ends
// in these, and not in those of who watches next.
type slots struct {
	last atomic.Uint64 // number that was given to a query, from 1
	of   [ringSize]slot
}

type slot struct {
	mu     sync.Mutex
	number uint64 // of the query
	query  Query
}

// IsOn reports whether somebody watches.
func (r *Ring) IsOn() bool { return r != nil && r.current.Load() != nil }

// Record keeps a query, if somebody watches.
func (r *Ring) Record(q *Query) {
	if current := r.current.Load(); current != nil {
		current.record(q)
	}
}

func (s *slots) record(q *Query) {
	number := s.last.Add(1)
	at := &s.of[number%ringSize]
	at.mu.Lock()
	if number > at.number {
		at.number, at.query = number, *q
	}
	at.mu.Unlock()
}

// Watch switches the ring on. The watcher sees what comes from now on, and must be closed.
func (r *Ring) Watch() *Watcher {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watchers == 0 {
		r.current.Store(new(slots))
	}
	r.watchers++
	current := r.current.Load()
	return &Watcher{ring: r, slots: current, seen: current.last.Load()}
}

// Watcher reads a ring. It is for one goroutine.
type Watcher struct {
	ring  *Ring
	slots *slots
	seen  uint64
}

// Next appends to dst what has come since the last call. What was overwritten before it could be read is counted.
func (w *Watcher) Next(dst []Query) (queries []Query, missed uint64) {
	last := w.slots.last.Load()
	if last-w.seen > ringSize {
		missed = last - w.seen - ringSize
	}
	for number := w.seen + missed + 1; number <= last; number++ {
		s := &w.slots.of[number%ringSize]
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
		w.ring.current.Store(nil)
	}
}
