package harness

import (
	"testing"
	"time"
)

// Patience is how long Eventually waits: far more than anything takes on an idle machine.
const Patience = 60 * time.Second

// Eventually waits until the condition returns nil. After Patience the test ends with what the condition last said.
func Eventually(t testing.TB, what string, condition func() error) {
	t.Helper()
	EventuallyWithin(t, Patience, what, condition)
}

// EventuallyWithin is Eventually with a patience of its own.
func EventuallyWithin(t testing.TB, patience time.Duration, what string, condition func() error) {
	t.Helper()
	begin := time.Now()
	if err := Await(patience, condition); err != nil {
		t.Fatalf("%s: not within %s; last: %v", what, patience, err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Logf("%s: took %.1f s", what, took.Seconds())
	}
}

// Await asks until the condition returns nil. After the patience it returns what the condition last said.
func Await(patience time.Duration, condition func() error) error {
	begin := time.Now()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		err := condition()
		if err == nil || time.Since(begin) > patience {
			return err
		}
		time.Sleep(pause)
	}
}

// Throughout checks that the condition returns nil again and again for as long as it takes until the other is done.
func Throughout(t testing.TB, what string, condition func() error, until func()) {
	t.Helper()
	done := make(chan struct{})
	failed := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if err := condition(); err != nil {
				failed <- err
				return
			}
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	until()
	close(done)
	<-ended
	select {
	case err := <-failed:
		t.Fatalf("%s: %v", what, err)
	default:
	}
}
