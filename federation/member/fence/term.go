package fence

import (
	"fmt"
	"sync"
	"time"
)

// Clock is both clocks at one moment: the monotonic one cannot jump, but stands still in a suspended machine.
type Clock struct {
	Wall      time.Time
	Monotonic time.Duration
}

// clock returns the clocks of this process.
func clock() func() Clock {
	begin := time.Now()
	return func() Clock {
		now := time.Now()
		return Clock{Wall: now.Round(0), Monotonic: now.Sub(begin)}
	}
}

// NotActing is the error of a write that this hub must not make.
type NotActing struct{ Why string }

func (e *NotActing) Error() string { return "this hub must not write to members: " + e.Why }

// Term is the time in which one hub acts. The zero value has not begun; Always never ends.
type Term struct {
	now func() Clock

	mu       sync.Mutex
	isAlways bool
	isLost   bool
	why      string
	renewed  Clock // begin of the last request that extended the term
	lasts    time.Duration
	lost     chan struct{}
}

// NewTerm returns a term that begins with its first renewal.
func NewTerm() *Term { return newTerm(clock()) }

func newTerm(now func() Clock) *Term {
	return &Term{now: now, why: "another hub acts, or none does yet", lost: make(chan struct{})}
}

// Always returns a term that never ends: that of a hub that is the only one, since its data is its own.
func Always() *Term { return &Term{isAlways: true, lost: make(chan struct{})} }

// Lost is closed when the term has ended before its time: the Lease names another hub.
func (t *Term) Lost() <-chan struct{} { return t.lost }

// Check returns an error unless this hub may write to members at this very moment.
func (t *Term) Check() error {
	if t == nil || t.isAlways {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isLost || t.lasts == 0 {
		return &NotActing{t.why}
	}
	now := t.now()
	passed := max(now.Monotonic-t.renewed.Monotonic, now.Wall.Sub(t.renewed.Wall))
	if passed >= t.lasts {
		return &NotActing{fmt.Sprintf("its Lease was renewed %s ago and may be another's by now",
			passed.Round(time.Millisecond))}
	}
	return nil
}

// renew extends the term: a request that began at a moment has written the Lease.
func (t *Term) renew(began Clock, lasts time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.isLost {
		t.renewed, t.lasts = began, lasts
	}
}

// lose ends the term for good. It does nothing to a term that has not begun.
func (t *Term) lose(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isLost || t.lasts == 0 {
		return
	}
	t.isLost, t.why = true, why
	close(t.lost)
}
