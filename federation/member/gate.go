package member

import (
	"context"
	"sync"
)

// gate keeps lists and watches from a member that does not answer, so that they neither load it nor grow a backoff, and
// lets all of them go on in the moment it answers again.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed while the gate is open
	next chan struct{} // closed when it opens the next time
	is   bool
}

func newGate() *gate { return &gate{open: make(chan struct{}), next: make(chan struct{})} }

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case open && !g.is:
		close(g.open)
		close(g.next)
		g.next = make(chan struct{})
	case !open && g.is:
		g.open = make(chan struct{})
	}
	g.is = open
}

func (g *gate) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.is
}

// reopened is closed when the gate opens the next time.
func (g *gate) reopened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.next
}

// wait returns nil when the gate is open, or the context's error.
func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-open:
		return ctx.Err()
	}
}
