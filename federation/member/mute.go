package member

import (
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
)

// muteAfter is how long a watch may tell nothing. An API server sends a bookmark about once a minute when nothing happens,
// so one that is silent for longer tells nothing of what happens either.
const muteAfter = 90 * time.Second

// overheard passes on what a watch tells, and calls mute once when it has told nothing for too long. A server that has
// never sent a bookmark is not expected to.
type overheard struct {
	watch.Interface
	events chan watch.Event
	ended  chan struct{}
	isDone atomic.Bool
}

// overhear listens in on a watch. bookmarks remembers that this server sends them, beyond the life of one watch.
func overhear(of watch.Interface, clock clock.WithTicker, bookmarks *atomic.Bool, mute func()) watch.Interface {
	o := &overheard{Interface: of, events: make(chan watch.Event), ended: make(chan struct{})}
	go o.pass(clock, bookmarks, mute)
	return o
}

// ResultChan implements watch.Interface.
func (o *overheard) ResultChan() <-chan watch.Event { return o.events }

// Stop implements watch.Interface.
func (o *overheard) Stop() {
	if o.isDone.CompareAndSwap(false, true) {
		close(o.ended)
	}
	o.Interface.Stop()
}

func (o *overheard) pass(clock clock.WithTicker, bookmarks *atomic.Bool, mute func()) {
	defer close(o.events)
	silence := clock.NewTimer(muteAfter)
	defer silence.Stop()
	for {
		select {
		case event, more := <-o.Interface.ResultChan():
			if !more {
				return
			}
			if event.Type == watch.Bookmark {
				bookmarks.Store(true)
			}
			select {
			case o.events <- event:
			case <-o.ended:
				return
			}
			if !silence.Stop() {
				select {
				case <-silence.C():
				default:
				}
			}
		case <-silence.C():
			if bookmarks.Load() {
				mute()
			}
		case <-o.ended:
			return
		}
		silence.Reset(muteAfter)
	}
}
