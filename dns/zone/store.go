package zone

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hanse-federation/hanse/dns/wire"
)

// Store publishes snapshots. Readers never wait; writers take turns.
type Store struct {
	current atomic.Pointer[Snapshot]
	writing sync.Mutex
	history map[wire.Name][]*Tree // of each zone, the last versions before the current, the oldest first; guarded by writing

	waiting sync.Mutex
	changed chan struct{} // closed and made anew by publish; nil while nobody waits
}

// historySize is how many versions of a zone are kept for those who ask what has changed since. They share what has not.
const historySize = 64

// NewStore is a store without a snapshot: servers answer SERVFAIL until the first Set.
func NewStore() *Store { return &Store{} }

// Snapshot is the one published last, or nil.
func (s *Store) Snapshot() *Snapshot { return s.current.Load() }

// Changed is closed when another snapshot is published. Who takes it before Snapshot misses none.
func (s *Store) Changed() <-chan struct{} {
	s.waiting.Lock()
	defer s.waiting.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// publish must be called with the right to write.
func (s *Store) publish(next *Snapshot) {
	if previous := s.current.Load(); previous != nil {
		s.remember(previous, next)
	}
	s.current.Store(next)
	s.waiting.Lock()
	defer s.waiting.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// remember keeps the former versions of the zones that change, and forgets zones that end.
func (s *Store) remember(previous, next *Snapshot) {
	for origin, tree := range previous.trees {
		now := next.trees[origin]
		switch {
		case now == nil:
			delete(s.history, origin)
		case now != tree:
			if s.history == nil {
				s.history = map[wire.Name][]*Tree{}
			}
			kept := append(s.history[origin], tree)
			s.history[origin] = kept[max(0, len(kept)-historySize):]
		}
	}
}

// Set builds and publishes a whole configuration, whose records and services must not be changed afterwards. A zone
// whose data are in the same memory as before is not looked at; otherwise names that stay the same are compared, not
// compiled again. A zone that has not changed is the same Tree afterwards and keeps its serial. On an
// error the snapshot stays what it was. A serial lower than the published one (RFC 1982) is refused with ErrSerial;
// secondaries would never take it.
func (s *Store) Set(c Config) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	previous := s.current.Load()
	if previous != nil && isBefore(c.Serial, previous.serial) {
		return fmt.Errorf("publishing serial %d after %d: %w", c.Serial, previous.serial, ErrSerial)
	}
	var next *Snapshot
	if previous != nil {
		next = previous.rebuild(c)
	}
	if next == nil {
		var err error
		if next, err = Build(c); err != nil {
			return fmt.Errorf("building serial %d: %w", c.Serial, err)
		}
	}
	s.publish(next)
	return nil
}

// Update publishes the current snapshot with some names changed: the cost is that of the changed names, not of the
// zone. All changes are made, or, on an error, none.
func (s *Store) Update(serial uint32, changes ...Change) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	previous := s.current.Load()
	if previous == nil {
		return fmt.Errorf("publishing serial %d: %w", serial, errNothingToUpdate)
	}
	if isBefore(serial, previous.serial) {
		return fmt.Errorf("publishing serial %d after %d: %w", serial, previous.serial, ErrSerial)
	}
	next, err := previous.Update(serial, changes...)
	if err != nil {
		return fmt.Errorf("building serial %d: %w", serial, err)
	}
	s.publish(next)
	return nil
}

// Before is the zone with this origin as it was under an earlier serial, or nil if that is no longer known.
func (s *Store) Before(origin wire.Name, serial uint32) *Tree {
	s.writing.Lock()
	defer s.writing.Unlock()
	for _, t := range slices.Backward(s.history[origin]) {
		if t.Serial() == serial {
			return t
		}
	}
	return nil
}

var errNothingToUpdate = errors.New("nothing has been published yet")

// isBefore compares serials by RFC 1982 section 3.2.
func isBefore(a, b uint32) bool { return int32(a-b) < 0 }
