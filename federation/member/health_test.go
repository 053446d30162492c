package member

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHealthStories reads probes from left to right: + healthy, b busy, u useless answer, - no answer. Beside each
// story is the phase after each probe: K unknown, R ready, N not ready, X unreachable.
func TestHealthStories(t *testing.T) {
	letters := map[Phase]string{Unknown: "K", Ready: "R", NotReady: "N", Unreachable: "X"}
	for _, c := range []struct{ probes, phases, why string }{
		{"+", "R", "one success is enough"},
		{"---", "KKX", "a new member is unknown until three probes failed"},
		{"+--+--+", "RRRRRRR", "two failures in a row are a hiccup"},
		{"+---+", "RRRXR", "three are a loss, one success is the return"},
		{"+uuu+", "RRRNR", "an answer of no use is not unreachable"},
		{"+--u", "RRRN", "the last of the three says which"},
		{"+---u-", "RRRXNX", "a lost member's state follows what is found"},
		{"+--b-", "RRRRX", "a busy answer is neither failure nor success"},
		{"+bbbb", "RRRRR", "a busy member is not lost"},
		{"bbb", "KKK", "nor known to be well"},
	} {
		h := newHealth(time.Unix(0, 0))
		var got strings.Builder
		for i, probe := range c.probes {
			h = h.next(time.Unix(int64(i+1), 0), outcomeOf(probe), Probe{}.withDefaults())
			got.WriteString(letters[h.phase])
		}
		if got.String() != c.phases {
			t.Errorf("%s: after %s: got %s, want %s", c.why, c.probes, &got, c.phases)
		}
	}
}

func outcomeOf(probe rune) outcome {
	o := outcome{reason: Reason(probe), message: string(probe)}
	o.verdict = map[rune]probeVerdict{'+': healthy, 'b': busy, 'u': useless, '-': noAnswer}[probe]
	return o
}

func TestHealthTimes(t *testing.T) {
	p := Probe{}.withDefaults()
	h := newHealth(time.Unix(0, 0))
	at := func(second int64, probe rune) {
		h = h.next(time.Unix(second, 0), outcomeOf(probe), p)
	}
	expect := func(since, seen int64, wait time.Duration) {
		t.Helper()
		got := fmt.Sprint(h.since.Unix(), h.lastSeen.Unix(), h.wait(p))
		if want := fmt.Sprint(since, seen, wait); got != want {
			t.Errorf("since, last seen, wait: got %s, want %s", got, want)
		}
	}
	at(1, '+')
	expect(1, 1, p.Interval)
	at(11, '-')
	expect(1, 1, p.FailingInterval)
	at(12, 'u')
	expect(1, 12, p.FailingInterval)
	at(13, '-')
	expect(13, 12, p.FailingInterval)
	if h.passes() {
		t.Error("lists go on although nobody answers")
	}
	at(14, '+')
	expect(14, 14, p.Interval)
}

func TestHealthTellsTheLatestTrouble(t *testing.T) {
	h := newHealth(time.Unix(0, 0)).next(time.Unix(1, 0), outcomeOf('-'), Probe{}.withDefaults())
	if h.phase != Unknown || h.reason != "-" {
		t.Errorf("the first trouble of a new member is not told: %+v", h)
	}
	h = h.next(time.Unix(2, 0), outcomeOf('+'), Probe{}.withDefaults()).next(time.Unix(3, 0), outcomeOf('-'), Probe{}.withDefaults())
	if h.reason != "+" {
		t.Errorf("a ready member has the reason of a hiccup: %+v", h)
	}
}
