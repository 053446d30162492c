package member

import (
	"context"
	"fmt"
	"sync"
)

// Bounds are what one member can take of the hub's memory and time. Zero values are the defaults.
type Bounds struct {
	// Page is the longest answer in bytes, after decompression; 16 MiB. Lists that are longer are read in smaller pages.
	Page int64
	// Event is the longest event of a watch in bytes; 8 MiB.
	Event int64
	// Decoded is what the answers under way may come to when they are decoded, in bytes; 64 MiB.
	Decoded int64
	// Ratio is how often an answer may be longer than it was on its way; 256.
	Ratio int64
	// Rate is how many bytes a second are read in the long run, and Burst how many at once; 24 MiB and 64 MiB.
	Rate, Burst int64
	// Objects and Bytes bound what is kept of the member: our objects, its nodes and pods; 250,000 and 96 MiB.
	Objects, Bytes int64
}

const mebi = 1 << 20

func (b Bounds) withDefaults() Bounds {
	setIfZero(&b.Page, 16*mebi)
	setIfZero(&b.Event, 8*mebi)
	setIfZero(&b.Decoded, 64*mebi)
	setIfZero(&b.Ratio, 256)
	setIfZero(&b.Rate, 24*mebi)
	setIfZero(&b.Burst, 64*mebi)
	setIfZero(&b.Objects, 250_000)
	setIfZero(&b.Bytes, 96*mebi)
	return b
}

// TooMuchError is a member that sends more than the hub takes from one.
type TooMuchError struct{ What string }

// Error implements error.
func (e *TooMuchError) Error() string { return e.What }

// of is the same about a kind, such as "configmaps".
func (e *TooMuchError) of(kind string) *TooMuchError {
	return &TooMuchError{What: kind + ": " + e.What}
}

// budget is what answers of one member may come to while they are decoded. Small answers go freely, since the hub asks a
// member only so many questions at a time; of large ones there is one at a time. So a member that sends large answers
// waits for itself and for nobody else.
type budget struct {
	small int64
	large chan struct{} // has room for one
}

func newBudget(b Bounds) *budget {
	return &budget{small: b.Decoded / 64, large: make(chan struct{}, 1)}
}

// most is what one large answer may come to: the rest is for the small ones beside it.
func (b Bounds) most() int64 { return b.Decoded * 3 / 4 }

// lease is the share of the budget that one reader holds: from the first byte until what it read is decoded and made
// small. It is safe for use by several goroutines.
type lease struct {
	budget *budget
	// fault hears that a member sent too much.
	fault func(*TooMuchError)

	mu      sync.Mutex
	isLarge bool
}

type leaseKey struct{}

// withLease gives a context whose requests charge the lease, which is the caller's to release.
func withLease(ctx context.Context, l *lease) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// leaseOf is the lease of a request, or a new one.
func leaseOf(ctx context.Context, b *budget) (of *lease, isCallers bool) {
	if of, ok := ctx.Value(leaseKey{}).(*lease); ok {
		return of, true
	}
	return &lease{budget: b, fault: func(*TooMuchError) {}}, false
}

// grow waits until there is room for an answer that comes to so much by now.
func (l *lease) grow(ctx context.Context, cost int64) error {
	if cost <= l.budget.small {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isLarge {
		return nil
	}
	select {
	case l.budget.large <- struct{}{}:
		l.isLarge = true
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for other large answers of the member: %w", context.Cause(ctx))
	}
}

// release gives the share back.
func (l *lease) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isLarge {
		l.isLarge = false
		<-l.budget.large
	}
}

// tally is a number of objects and what they come to in memory.
type tally struct{ objects, bytes int64 }

func (t tally) plus(o tally) tally { return tally{t.objects + o.objects, t.bytes + o.bytes} }

// holding adds up what is kept of one member.
type holding struct {
	most tally

	mu    sync.Mutex
	kinds map[string]tally
}

func newHolding(b Bounds) *holding {
	return &holding{most: tally{b.Objects, b.Bytes}, kinds: map[string]tally{}}
}

// set says what is kept of a kind, or would be; an error if it is too much. Then what was said before stays.
func (h *holding) set(kind string, t tally) *TooMuchError {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum, largest := t, kind
	for other, o := range h.kinds {
		if other != kind {
			sum = sum.plus(o)
			if o.bytes > max(t.bytes, h.kinds[largest].bytes) {
				largest = other
			}
		}
	}
	if sum.objects <= h.most.objects && sum.bytes <= h.most.bytes {
		h.kinds[kind] = t
		return nil
	}
	what := fmt.Sprintf("the member has more than the hub keeps of one (%d objects, %d MiB)",
		h.most.objects, h.most.bytes/mebi)
	if largest != kind {
		what += ", most of it " + largest
	}
	return &TooMuchError{What: what}
}

// sizeOf is about what a decoded JSON value takes in memory.
func sizeOf(value any) int64 {
	switch v := value.(type) {
	case string:
		return 16 + int64(len(v))
	case map[string]any:
		n := int64(48)
		if len(v) > 0 {
			n += 200
		}
		for key, inner := range v {
			n += 32 + int64(len(key)) + sizeOf(inner)
		}
		return n
	case []any:
		n := int64(40)
		for _, inner := range v {
			n += 16 + sizeOf(inner)
		}
		return n
	}
	return 16
}
