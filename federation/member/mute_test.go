package member

import (
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	testingclock "k8s.io/utils/clock/testing"
)

// A watch that has told nothing for longer than bookmarks are apart is mute, unless this server never sends any.
func TestMuteWatch(t *testing.T) {
	for _, row := range []struct {
		what        string
		hasBookmark bool
		passes      time.Duration
		isMute      bool
	}{
		{"bookmarks have ceased", true, muteAfter, true},
		{"a minute without any", true, time.Minute, false},
		{"a server without bookmarks", false, muteAfter, false},
	} {
		clock := testingclock.NewFakeClock(time.Now())
		inner := watch.NewFake()
		var bookmarks atomic.Bool
		mute := make(chan struct{}, 1)
		w := overhear(inner, clock, &bookmarks, func() { mute <- struct{}{} })
		kind := watch.Added
		if row.hasBookmark {
			kind = watch.Bookmark
		}
		go inner.Action(kind, &corev1.ConfigMap{})
		if event := <-w.ResultChan(); event.Type != kind {
			t.Errorf("%s: %s was passed on as %s", row.what, kind, event.Type)
		}
		// The second event is taken only after the timer has been set again for the first.
		go inner.Action(watch.Modified, &corev1.ConfigMap{})
		<-w.ResultChan()
		go inner.Action(watch.Modified, &corev1.ConfigMap{})
		<-w.ResultChan()
		for begin := time.Now(); !clock.HasWaiters() && time.Since(begin) < 30*time.Second; time.Sleep(time.Millisecond) {
		}
		clock.Step(row.passes)
		select {
		case <-mute:
			if !row.isMute {
				t.Errorf("%s: it counts as mute", row.what)
			}
		case <-time.After(patienceWithMute(row.isMute)):
			if row.isMute {
				t.Errorf("%s: nobody is told", row.what)
			}
		}
		w.Stop()
		if _, more := <-w.ResultChan(); more {
			t.Errorf("%s: it goes on after its end", row.what)
		}
	}
}

// patienceWithMute is generous where something is to come, and short where nothing is.
func patienceWithMute(isMute bool) time.Duration {
	if isMute {
		return 30 * time.Second
	}
	return 50 * time.Millisecond
}
