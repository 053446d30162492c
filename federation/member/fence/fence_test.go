package fence

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

type clocks struct{ Clock }

func (c *clocks) pass(d time.Duration) { c.Wall, c.Monotonic = c.Wall.Add(d), c.Monotonic+d }

// stored is a Lease as an API server keeps it.
type stored struct {
	resourcelock.Interface
	record resourcelock.LeaderElectionRecord
	err    error
	slow   func()
}

func (s *stored) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record := s.record
	return &record, nil, s.err
}

func (s *stored) Update(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	if s.slow != nil {
		s.slow()
	}
	if s.err == nil {
		s.record = r
	}
	return s.err
}
func (s *stored) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return s.Update(ctx, r)
}
func (s *stored) Identity() string { return "one" }
func (s *stored) Describe() string { return "hanse-system/hanse-controllers" }

func elected() (*Term, resourcelock.Interface, *stored, *clocks) {
	c := &clocks{Clock{Wall: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}}
	term := newTerm(func() Clock { return c.Clock })
	s := &stored{}
	return term, Lock(s, term), s, c
}

func own() resourcelock.LeaderElectionRecord {
	return resourcelock.LeaderElectionRecord{HolderIdentity: "one"}
}

// A hub may write while its Lease surely is its own, by whichever clock has gone further.
func TestValidity(t *testing.T) {
	for _, row := range []struct {
		what            string
		wall, monotonic time.Duration
		may             bool
	}{
		{"just renewed", 0, 0, true},
		{"nearly over", Duration - margin - 1, Duration - margin - 1, true},
		{"over", Duration - margin, Duration - margin, false},
		{"the process was paused", 40 * time.Second, 40 * time.Second, false},
		{"the machine was suspended", 40 * time.Second, 10 * time.Millisecond, false},
		{"the clock was set back", -time.Hour, Duration, false},
		{"the clock was set back just now", -time.Hour, time.Second, true},
	} {
		term, lock, _, c := elected()
		if term.Check() == nil {
			t.Fatal("a hub that has no Lease may write")
		}
		if err := lock.Create(t.Context(), own()); err != nil {
			t.Fatal(err)
		}
		c.Wall, c.Monotonic = c.Wall.Add(row.wall), c.Monotonic+row.monotonic
		if err := term.Check(); (err == nil) != row.may {
			t.Errorf("%s: %v", row.what, err)
		}
	}
}

// The time counts from the begin of the request that renewed the Lease, and not from its answer.
func TestSlowRenewal(t *testing.T) {
	term, lock, s, c := elected()
	s.slow = func() { c.pass(2 * time.Second) }
	if err := lock.Update(t.Context(), own()); err != nil {
		t.Fatal(err)
	}
	c.pass(400 * time.Millisecond)
	if err := term.Check(); err != nil {
		t.Errorf("2.4 s after the begin of the renewal: %v", err)
	}
	c.pass(100 * time.Millisecond)
	if term.Check() == nil {
		t.Error("it may write 2.5 s after the begin of the renewal")
	}
}

// A renewal that fails extends nothing; who reads another's name stops at once, for good, and gives back nothing.
func TestTheLeaseIsAnothers(t *testing.T) {
	term, lock, s, c := elected()
	if err := lock.Update(t.Context(), own()); err != nil {
		t.Fatal(err)
	}
	c.pass(2 * time.Second)
	s.err = errors.New("conflict")
	if lock.Update(t.Context(), own()) == nil {
		t.Fatal("the failure is lost")
	}
	if err := term.Check(); err != nil {
		t.Errorf("it stopped too early: %v", err)
	}
	s.err, s.record.HolderIdentity = nil, "two"
	if _, _, err := lock.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	var refused *NotActing
	if err := term.Check(); !errors.As(err, &refused) {
		t.Errorf("it acts beside another: %v", err)
	}
	select {
	case <-term.Lost():
	default:
		t.Error("nobody is told")
	}
	if lock.Update(t.Context(), resourcelock.LeaderElectionRecord{}) == nil || s.record.HolderIdentity != "two" {
		t.Errorf("the Lease of another was given back: it names %q", s.record.HolderIdentity)
	}
	if lock.Update(t.Context(), own()) != nil || term.Check() == nil {
		t.Error("a term that was lost began again")
	}
}

// Who gives the Lease back has stopped before.
func TestRelease(t *testing.T) {
	term, lock, s, _ := elected()
	if err := lock.Update(t.Context(), own()); err != nil {
		t.Fatal(err)
	}
	s.slow = func() {
		if term.Check() == nil {
			t.Error("it may write while it gives the Lease back")
		}
	}
	if err := lock.Update(t.Context(), resourcelock.LeaderElectionRecord{}); err != nil || s.record.HolderIdentity != "" {
		t.Errorf("the Lease was not given back: %v", err)
	}
}
