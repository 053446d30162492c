package propagate

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/template"
)

// contention is how often an object in a member had to be brought back of late. Two programs that want the same field
// differently would otherwise write it as fast as they can, for ever.
type contention struct {
	repairs int
	last    time.Time
	fields  string // that were taken back last, with their other managers
}

const (
	// freeRepairs are done at once: people try things.
	freeRepairs = 3
	// firstPause comes before the next repair and doubles with each, up to longestPause.
	firstPause, longestPause = 2 * time.Second, 5 * time.Minute
	// peace is how long nothing must have been repaired for a contention to be over.
	peace = 2 * longestPause
)

// pause is the least time between the last repair and the next.
func (c contention) pause() time.Duration {
	if c.repairs < freeRepairs {
		return 0
	}
	pause := firstPause
	for range min(c.repairs-freeRepairs, 16) {
		pause = min(2*pause, longestPause)
	}
	return pause
}

// wait is how long the next repair has to wait; 0 means that it is due.
func (c contention) wait(now time.Time) time.Duration {
	return max(0, c.pause()-now.Sub(c.last))
}

// repaired is the contention after one more repair.
func (c contention) repaired(now time.Time, fields string) contention {
	if now.Sub(c.last) > peace {
		c = contention{}
	}
	if fields != "" {
		c.fields = fields
	}
	c.repairs, c.last = c.repairs+1, now
	return c
}

// message says who is against whom, and what to do.
func (c contention) message() string {
	what := "somebody in the member changes it back again and again"
	if c.fields != "" {
		what += ": " + c.fields
	}
	return fmt.Sprintf("%s; it is brought back every %s; let the other one be, ignore the fields (ignoreFields), or only "+
		"report drift", what, duration.HumanDuration(c.pause()))
}

// contention is the contention about an object; one that is over is forgotten.
func (mw *memberWorker) contentionOf(ref template.Ref) contention {
	mw.mu.Lock()
	defer mw.mu.Unlock()
	if time.Since(mw.contentions[ref].last) > peace {
		delete(mw.contentions, ref)
	}
	return mw.contentions[ref]
}

// noteRepair remembers that an object was brought back.
func (mw *memberWorker) noteRepair(ref template.Ref, reason string, result apply.Result) {
	if reason != results.ReasonRepaired {
		return
	}
	mw.mu.Lock()
	defer mw.mu.Unlock()
	mw.contentions[ref] = mw.contentions[ref].repaired(time.Now(), result.TakenBack)
}
