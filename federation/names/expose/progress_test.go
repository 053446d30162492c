package expose

import (
	"testing"
	"time"
)

// TestProgress: what is published is as old as the oldest news that it lacks, and as young as now if it lacks none.
func TestProgress(t *testing.T) {
	var p progress
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	for _, step := range []struct {
		now  int64
		what string
		do   func(now time.Time)
		want int64 // 0: never
	}{
		{1, "news before the first snapshot", p.hear, 0},
		{2, "the first is begun", p.begin, 0},
		{3, "it failed", func(time.Time) { p.end(false) }, 0},
		{4, "tried again", p.begin, 0},
		{5, "published", func(time.Time) { p.end(true) }, 5},
		{90, "a quiet time", func(time.Time) {}, 90},
		{91, "news", p.hear, 91},
		{92, "more of it", p.hear, 91},
		{93, "being made", p.begin, 91},
		{94, "news meanwhile", p.hear, 91},
		{95, "published", func(time.Time) { p.end(true) }, 94},
		{96, "being made", p.begin, 94},
		{97, "it failed", func(time.Time) { p.end(false) }, 94},
		{98, "news does not make it younger", p.hear, 94},
		{99, "being made, and takes long", p.begin, 94},
		{200, "and longer", func(time.Time) {}, 94},
		{201, "published", func(time.Time) { p.end(true) }, 201},
		{202, "looked at by the clock alone", p.begin, 202},
		{203, "published", func(time.Time) { p.end(true) }, 203},
		{204, "the end", func(time.Time) { p.stop() }, 0},
	} {
		step.do(at(step.now))
		got := p.asOf(at(step.now))
		if got.IsZero() != (step.want == 0) || step.want != 0 && !got.Equal(at(step.want)) {
			t.Errorf("second %d, %s: as of %d, want %d", step.now, step.what, got.Unix(), step.want)
		}
	}
}
