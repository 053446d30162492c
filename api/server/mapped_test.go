package server

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// TestMappedEndsWhenStopped: a stopped watch ends, though an event waits that nobody takes.
func TestMappedEndsWhenStopped(t *testing.T) {
	source := watch.NewFakeWithChanSize(3, false)
	m := mapEvents(source, func(e watch.Event) watch.Event { e.Type = watch.Modified; return e })
	source.Add(nil)
	source.Add(nil)
	if e := <-m.ResultChan(); e.Type != watch.Modified {
		t.Errorf("the event is %s, want what the change makes of it", e.Type)
	}
	m.Stop()
	m.Stop()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case _, open := <-m.ResultChan():
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("the watch goes on")
		}
	}
}
