package collect

import (
	"time"

	"github.com/hanse-federation/hanse/federation/template"
)

const (
	// quiet is the least time between two status writes of one object.
	quiet = 100 * time.Millisecond
	// patience is how long a status waits for applies that are under way.
	patience = 500 * time.Millisecond
)

// pace spreads the status writes of one template.
type pace struct {
	lastWrite time.Time
	// waitingSince is when applies under way were first waited for.
	waitingSince time.Time
}

// wait tells how long to wait before the status is written; 0 means now.
func (p *pace) wait(now time.Time, v view) time.Duration {
	if since := now.Sub(p.lastWrite); since >= 0 && since < quiet {
		return quiet - since
	}
	if !v.isUnderWay() {
		p.waitingSince = time.Time{}
		return 0
	}
	if p.waitingSince.IsZero() || p.waitingSince.After(now) {
		p.waitingSince = now
	}
	return max(0, patience-now.Sub(p.waitingSince))
}

func (p *pace) wrote(now time.Time) { p.lastWrite = now }

func (r *Reconciler) paceOf(ref template.Ref) *pace {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.paces == nil {
		r.paces = map[template.Ref]*pace{}
	}
	if r.paces[ref] == nil {
		r.paces[ref] = &pace{}
	}
	return r.paces[ref]
}

// reported reports whether the template's status may be of our making.
func (r *Reconciler) reported(ref template.Ref) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paces[ref] != nil
}

func (r *Reconciler) forget(ref template.Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.paces, ref)
}
