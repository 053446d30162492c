package fence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// The times of the Lease of the acting hub. A hub that is killed holds it for Duration after its last renewal, and the
// others look every RetryPeriod (and a fifth more): the next one has it after four seconds at most. A term ends margin
// before the others may take the Lease.
const (
	Duration      = 3 * time.Second
	RenewDeadline = 2500 * time.Millisecond
	RetryPeriod   = 400 * time.Millisecond

	margin = 500 * time.Millisecond
)

// lock feeds a term with what happens to the Lease.
type lock struct {
	resourcelock.Interface
	term *Term

	mu     sync.Mutex
	holder string // as last read or written
}

// Lock returns the lock with which a manager elects, which keeps the term: it begins and goes on with each write of the
// Lease, and ends as soon as the Lease names another hub.
func Lock(inner resourcelock.Interface, term *Term) resourcelock.Interface {
	return &lock{Interface: inner, term: term}
}

// Get implements resourcelock.Interface.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	if err != nil {
		return record, raw, err
	}
	l.hold(record.HolderIdentity)
	if record.HolderIdentity != l.Identity() {
		l.term.lose(fmt.Sprintf("the Lease %s names %q", l.Describe(), record.HolderIdentity))
	}
	return record, raw, nil
}

// Create implements resourcelock.Interface.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(record, func() error { return l.Interface.Create(ctx, record) })
}

// Update implements resourcelock.Interface. It does not release a Lease that is another's: an elector that is told to end
// reads the Lease first, and would overwrite what it has just read.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity == "" && l.holds() != l.Identity() {
		return errors.New("the Lease is not this hub's to release")
	}
	return l.write(record, func() error { return l.Interface.Update(ctx, record) })
}

func (l *lock) write(record resourcelock.LeaderElectionRecord, send func() error) error {
	if record.HolderIdentity == "" {
		l.term.lose("it has given the Lease back")
	}
	began := l.term.now()
	if err := send(); err != nil {
		return err
	}
	l.hold(record.HolderIdentity)
	if record.HolderIdentity != "" {
		l.term.renew(began, Duration-margin)
	}
	return nil
}

func (l *lock) hold(holder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holder = holder
}

func (l *lock) holds() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holder
}
