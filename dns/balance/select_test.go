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
	var floor Floor
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		switch f := strings.Fields(line); {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "=> "), len(wants) > 0:
			wants = append(wants, line)
		case f[0] == "minHealthy":
			fmt.Sscan(f[1], &floor.Percent)
			floor.AddAll = len(f) > 2
		default:
			target := Target{ID: f[0], Absent: len(f) == 5}
			fmt.Sscan(f[1], &target.Weight)
			fmt.Sscan(f[2], &target.Tier)
			target.State = map[string]State{"healthy": Healthy, "unhealthy": Unhealthy, "unknown": Unknown, "draining": Draining}[f[3]]
			if len(f) > 5 {
				fmt.Sscan(f[5], &target.Capacity)
			}
			targets = append(targets, target)
		}
	}
	s := Select(targets, floor)
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
	if s.Overflow {
		text += " overflow"
	}
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

// TestSelectTwin compares with the rules read slowly: whoever is worse than another is not answered while that one is.
func TestSelectTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50000 {
		targets, floor := randomTargets(rng), randomFloor(rng)
		s := Select(targets, floor)
		best := len(classes)
		for i := range targets {
			best = min(best, classOf(&targets[i]))
		}
		if (best == len(classes)) != (len(s.Eligible) == 0) {
			t.Fatalf("%+v: eligible %v", targets, s.Eligible)
		}
		for k, i := range s.Eligible {
			x := &targets[i]
			class := classOf(x)
			isFiller := class == classUnknown && best == classHealthy && floor.Percent > 0
			if class != best && !isFiller || s.Weights[k] == 0 || s.Weights[k] != uint64(max(1, x.Weight)) {
				t.Fatalf("%+v floor %+v: %+v must not be eligible; a target of class %s exists", targets, floor, x, classes[best])
			}
			if x.Tier < s.Tier || x.Tier > s.Tier && !s.Overflow {
				t.Fatalf("%+v: tier %d is used, and %+v is eligible", targets, s.Tier, x)
			}
		}
		if s.FailOpen != (best > classReserve && best < len(classes)) {
			t.Fatalf("%+v: fail open is %t", targets, s.FailOpen)
		}
		if best < len(classes) {
			checkTiers(t, targets, s, best, floor)
		}
	}
}

// The classes of targets, the best first.
const (
	classHealthy = iota
	classUnknown
	classReserve
	classDown
	classDownWithoutWeight
	classDraining
)

var classes = [...]string{"healthy", "unknown", "reserve", "down", "down, weight 0", "draining"}

func classOf(x *Target) int {
	switch {
	case x.Absent:
		return len(classes)
	case x.State == Draining:
		return classDraining
	case x.Weight == 0 && x.State == Healthy:
		return classReserve
	case x.Weight == 0:
		return classDownWithoutWeight
	}
	return map[State]int{Healthy: classHealthy, Unknown: classUnknown, Unhealthy: classDown}[x.State]
}

// checkTiers checks that the best targets of the tiers in use are all eligible, and that no tier too many or too few is.
func checkTiers(t *testing.T, targets []Target, s Selection, best int, floor Floor) {
	t.Helper()
	isOpen := true // the next tier with a target of the best class is to be used
	for tier := range uint16(3) {
		var all, healthy, unknown float64
		isThere := false
		for i := range targets {
			x := &targets[i]
			if x.Tier != tier {
				continue
			}
			if x.State != Draining && x.Weight > 0 {
				all += float64(max(x.Weight, x.Capacity))
			}
			switch classOf(x) {
			case best:
				isThere = true
				healthy += float64(x.Weight)
			case classUnknown:
				unknown += float64(x.Weight)
			}
			if used := slices.Contains(s.Eligible, i); classOf(x) == best && used != isOpen {
				t.Fatalf("%+v floor %+v: %+v eligible: %t, want %t", targets, floor, x, used, isOpen)
			}
		}
		switch {
		case !isThere || !isOpen:
		case best > classUnknown:
			isOpen = false
		case floor.AddAll && s.Tier != tier: // below the floor before: all are added
		default:
			isOpen = (healthy+unknown)*100 < all*float64(floor.Percent)
		}
	}
}

func randomFloor(rng *rand.Rand) Floor {
	return Floor{Percent: rng.IntN(2) * rng.IntN(101), AddAll: rng.IntN(2) == 0}
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
		floor := randomFloor(rng)
		before := Select(targets, floor)
		for i := range targets {
			if targets[i].State == Healthy {
				targets[i].State = Unknown
			}
		}
		after := Select(targets, floor)
		if !slices.Equal(before.Eligible, after.Eligible) {
			t.Fatalf("%+v: %v, and after losing sight %v", targets, before.Eligible, after.Eligible)
		}
	}
}

func randomTargets(rng *rand.Rand) []Target {
	targets := make([]Target, rng.IntN(7))
	for i := range targets {
		targets[i] = Target{
			ID:       fmt.Sprint("c", i),
			Weight:   uint32(rng.IntN(4)) * uint32(rng.IntN(50)),
			Capacity: uint32(rng.IntN(2) * rng.IntN(200)),
			Tier:     uint16(rng.IntN(3)),
			State:    State(rng.IntN(4)),
			Absent:   rng.IntN(6) == 0,
		}
	}
	return targets
}
