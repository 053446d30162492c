package propagate

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/hanse-federation/hanse/federation/apply"
	"github.com/hanse-federation/hanse/federation/ledger"
	"github.com/hanse-federation/hanse/federation/template"
)

// contest is how often an object in a member had to be brought back of late. Two programs that want the same field
// differently would otherwise write it as fast as they can, for ever.
type contest struct {
	repairs int
	last    time.Time
	fields  string // that were taken back last, with their other managers
}

const (
	// freeRepairs are done at once: people try things.
	freeRepairs = 3
	// firstPause comes before the next repair and doubles with each, up to longestPause.
	firstPause, longestPause = 2 * time.Second, 5 * time.Minute
	// peace is how long nothing must have been repaired for a contest to be over.
	peace = 2 * longestPause
)

// pause is the least time between the last repair and the next.
func (c contest) pause() time.Duration {
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
func (c contest) wait(now time.Time) time.Duration {
	return max(0, c.pause()-now.Sub(c.last))
}

// repaired is the contest after one more repair.
func (c contest) repaired(now time.Time, fields string) contest {
	if now.Sub(c.last) > peace {
		c = contest{}
	}
	if fields != "" {
		c.fields = fields
	}
	c.repairs, c.last = c.repairs+1, now
	return c
}

// message says who is against whom, and what to do.
func (c contest) message() string {
	what := "somebody in the member changes it back again and again"
	if c.fields != "" {
		what += ": " + c.fields
	}
	return fmt.Sprintf("%s; it is brought back every %s; let the other one be, ignore the fields (ignoreFields), or only "+
		"report drift", what, duration.HumanDuration(c.pause()))
}

// contention is the contest about an object; one that is over is forgotten.
func (l *lane) contention(ref template.Ref) contest {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.contests[ref].last) > peace {
		delete(l.contests, ref)
	}
	return l.contests[ref]
}

// noteRepair remembers that an object was brought back.
func (l *lane) noteRepair(ref template.Ref, reason string, result apply.Result) {
	if reason != ledger.ReasonRepaired {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.contests[ref] = l.contests[ref].repaired(time.Now(), result.TakenBack)
}
