package expose

import (
	"sync"
	"time"
)

// progress knows how far what is published is behind what was heard.
type progress struct {
	mu sync.Mutex
	// waiting and taken are when the oldest news was heard that is not published: of what no snapshot has been begun
	// with, and of what is in the one that is being made. Zero: there is none.
	waiting, taken time.Time
	// isBegun: there is a snapshot of what was heard, and there will be more.
	isBegun bool
}

// hear notes that there is news.
func (p *progress) hear(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting.IsZero() {
		p.waiting = now
	}
}

// begin notes that a snapshot is being made of all that was heard.
func (p *progress) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken, p.waiting = p.waiting, time.Time{}
	if p.taken.IsZero() {
		p.taken = now
	}
}

// end notes what became of it: the news that it was to have waits on if it failed.
func (p *progress) end(isPublished bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !isPublished {
		p.waiting = p.taken
	}
	p.taken = time.Time{}
	p.isBegun = p.isBegun || isPublished
}

// stop notes that nothing is published any more.
func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isBegun = false
}

// asOf is the time up to which everything that was heard is published; zero if nothing is.
func (p *progress) asOf(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.isBegun:
		return time.Time{}
	case !p.taken.IsZero():
		return p.taken
	case !p.waiting.IsZero():
		return p.waiting
	}
	return now
}
