package sight

import (
	"log/slog"
	"testing"
	"time"
)

// clocks are set by hand.
type clocks struct{ Clock }

func (c *clocks) pass(d time.Duration) { c.Wall, c.Monotonic = c.Wall.Add(d), c.Monotonic+d }

func seen(threshold int) (*Sight, *clocks) {
	c := &clocks{Clock{Wall: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}}
	return newSight(threshold, slog.New(slog.DiscardHandler), func() Clock { return c.Clock }), c
}

func TestOutage(t *testing.T) {
	for _, row := range []struct {
		threshold, members, away int
		want                     Outage
	}{
		{0, 0, 0, None}, {0, 3, 0, None}, {0, 3, 1, None}, {0, 2, 1, None}, {0, 1, 1, Total}, {0, 3, 3, Total},
		{0, 3, 2, Large}, {0, 4, 2, None}, {0, 20, 11, Large}, {0, 20, 10, None}, {80, 3, 2, None}, {100, 3, 3, Total},
		{1, 10, 1, None},
	} {
		s, _ := seen(row.threshold)
		if got := s.outage(row.members, row.away); got != row.want {
			t.Errorf("%d of %d away, threshold %d: %s, want %s", row.away, row.members, row.threshold, got, row.want)
		}
	}
}

// A decision that is taken after a break does not count the time before it, whether the tick has noticed it or not.
func TestBreaks(t *testing.T) {
	for _, row := range []struct {
		what      string
		wall      time.Duration
		monotonic time.Duration
		isBreak   bool
	}{
		{"no break", time.Second, time.Second, false},
		{"a busy machine", 4 * time.Second, 4 * time.Second, false},
		{"a paused process", 40 * time.Second, 40 * time.Second, true},
		{"a clock that is set forward", time.Hour, time.Second, true},
		{"a clock that is set back", -time.Hour, time.Second, true},
		{"a suspended machine", time.Hour, 10 * time.Millisecond, true},
		{"a clock that is slewed", 1100 * time.Millisecond, time.Second, false},
	} {
		s, c := seen(0)
		begin := c.Wall
		c.Wall, c.Monotonic = c.Wall.Add(row.wall), c.Monotonic+row.monotonic
		want := begin
		if row.isBreak {
			want = c.Wall
		}
		if got := s.Look().Since; !got.Equal(want) {
			t.Errorf("%s: a decision counts from %s, want %s", row.what, got, want)
		}
		if changed := s.observe(3, 0, false); changed != row.isBreak {
			t.Errorf("%s: the view changed: %t", row.what, changed)
		}
		if got := s.State().Since; !got.Equal(want) {
			t.Errorf("%s: the view is from %s, want %s", row.what, got, want)
		}
	}
}

// The hub was cut off from all; what is out of reach counts from the last return.
func TestHealing(t *testing.T) {
	s, c := seen(0)
	step := func(away int, heard bool) { c.pass(time.Second); s.observe(3, away, heard) }
	step(1, false)
	if look := s.Look(); look.Blind || look.Steps != nil {
		t.Errorf("one of three away: %+v", look)
	}
	step(3, false)
	if !s.Look().Blind {
		t.Error("all are away, and the hub is not blind")
	}
	step(2, true)
	first := c.Wall
	if look := s.Look(); look.Blind || look.Steps == nil || !look.Since.Equal(first) {
		t.Errorf("the first is back: %+v", look)
	}
	step(2, false)
	if !s.Look().Since.Equal(first) {
		t.Error("the view begins anew without news")
	}
	step(1, true)
	if look := s.Look(); look.Steps != nil || !look.Since.Equal(c.Wall) {
		t.Errorf("the second is back: %+v", look)
	}
	since := c.Wall
	step(0, true)
	if look := s.Look(); !look.Since.Equal(since) {
		t.Errorf("a single member comes back, and the view begins anew: %+v", look)
	}
}
