package balance

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSelect runs the stories of testdata/select.txt.
func TestSelect(t *testing.T) {
	text, err := os.ReadFile("testdata/select.txt")
	if err != nil {
		t.Fatal(err)
	}
	stories := strings.Split(string(text), "\n== ")[1:]
	if len(stories) < 20 {
		t.Fatalf("only %d stories", len(stories))
	}
	for _, story := range stories {
		title, body, _ := strings.Cut(story, "\n")
		t.Run(title, func(t *testing.T) { tell(t, body) })
	}
}

func tell(t *testing.T, body string) {
	var targets []Target
	var wants []string
	minHealthy := 0
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		switch f := strings.Fields(line); {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "=> "), len(wants) > 0:
			wants = append(wants, line)
		case f[0] == "minHealthy":
			fmt.Sscan(f[1], &minHealthy)
		default:
			target := Target{ID: f[0], Absent: len(f) > 4}
			fmt.Sscan(f[1], &target.Weight)
			fmt.Sscan(f[2], &target.Tier)
			target.State = map[string]State{"healthy": Healthy, "unhealthy": Unhealthy, "unknown": Unknown, "draining": Draining}[f[3]]
			targets = append(targets, target)
		}
	}
	s := Select(targets, minHealthy)
	if diff := cmp.Diff(wants[0], outcome(s, targets)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, want := range wants[1:] {
		id, reason, _ := strings.Cut(want, ": ")
		i := slices.IndexFunc(targets, func(x Target) bool { return x.ID == id })
		if got := string(s.Reasons[i]); got != reason {
			t.Errorf("%s: got %q, want %q", id, got, reason)
		}
	}
}

func outcome(s Selection, targets []Target) string {
	if len(s.Eligible) == 0 {
		return "=> nothing"
	}
	text := fmt.Sprintf("=> tier %d", s.Tier)
	if s.Degraded {
		text += " degraded"
	}
	if s.FailOpen {
		text += " fail-open"
	}
	text += ":"
	for _, i := range s.Eligible {
		text += " " + targets[i].ID
	}
	return text
}

// TestSelectAlwaysAnswers: whenever any target has something to answer, some target is eligible; and what must never be
// is never.
func TestSelectAlwaysAnswers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		targets := randomTargets(rng)
		s := Select(targets, rng.IntN(101))
		present := slices.ContainsFunc(targets, func(x Target) bool { return !x.Absent })
		if present != (len(s.Eligible) > 0) {
			t.Fatalf("%+v: eligible %v", targets, s.Eligible)
		}
		for k, i := range s.Eligible {
			x := targets[i]
			if x.Absent || x.Tier != s.Tier || s.Weights[k] == 0 {
				t.Fatalf("%+v: %+v must not be eligible", targets, x)
			}
			if !s.FailOpen && (x.Weight == 0 || x.State == Unhealthy || x.State == Draining) {
				t.Fatalf("%+v: %+v must not be eligible", targets, x)
			}
		}
	}
}

// TestSelectLosingSight: when every target becomes unknown, exactly those are answered that would be if all were
// healthy.
func TestSelectLosingSight(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		targets := randomTargets(rng)
		for i := range targets {
			if targets[i].State != Draining {
				targets[i].State = Healthy
			}
		}
		minHealthy := rng.IntN(101)
		before := Select(targets, minHealthy)
		for i := range targets {
			if targets[i].State == Healthy {
				targets[i].State = Unknown
			}
		}
		after := Select(targets, minHealthy)
		if !slices.Equal(before.Eligible, after.Eligible) {
			t.Fatalf("%+v: %v, and after losing sight %v", targets, before.Eligible, after.Eligible)
		}
	}
}

func randomTargets(rng *rand.Rand) []Target {
	targets := make([]Target, rng.IntN(7))
	for i := range targets {
		targets[i] = Target{
			ID:     fmt.Sprint("c", i),
			Weight: uint32(rng.IntN(4)) * uint32(rng.IntN(50)),
			Tier:   uint16(rng.IntN(3)),
			State:  State(rng.IntN(4)),
			Absent: rng.IntN(6) == 0,
		}
	}
	return targets
}
