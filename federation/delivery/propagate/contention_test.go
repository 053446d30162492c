package propagate

import (
	"strings"
	"testing"
	"time"
)

// Who is always answered gets answers ever more seldom; who tries something now and then gets one at once.
func TestContest(t *testing.T) {
	now := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	var c contention
	var waits []time.Duration
	for range 14 {
		wait := c.wait(now)
		waits = append(waits, wait)
		now = now.Add(wait)
		c = c.repaired(now, `.spec.replicas is owned by "vpa"`)
	}
	want := []time.Duration{0, 0, 0, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second,
		64 * time.Second, 128 * time.Second, 256 * time.Second, longestPause, longestPause, longestPause}
	for i := range want {
		if waits[i] != want[i] {
			t.Fatalf("waits %v, want %v", waits, want)
		}
	}
	if m := c.message(); !strings.Contains(m, `.spec.replicas is owned by "vpa"; it is brought back every 5m`) {
		t.Errorf("the message is %q", m)
	}
	now = now.Add(peace + time.Second)
	if c.wait(now) != 0 {
		t.Error("after a long time the next repair still has to wait")
	}
	if c = c.repaired(now, ""); c.repairs != 1 || c.fields != "" || c.wait(now) != 0 {
		t.Errorf("after a long time it is no new contention: %+v", c)
	}
}
