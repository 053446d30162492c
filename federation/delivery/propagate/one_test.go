package propagate

import (
	"testing"

	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/member"
)

// What runs in one cluster at a time comes to the next when the last one has let go, or cannot be reached.
func TestFirstHolder(t *testing.T) {
	reachable := func(name string) bool { return name != "lost" }
	for _, c := range []struct {
		what    string
		leaving []string
		entries map[member.Name]results.Entry
		want    string
	}{
		{"nothing leaves", nil, nil, ""},
		{"not looked at yet", []string{"east"}, nil, "east"},
		{"is there as the last decision had it", []string{"east"},
			map[member.Name]results.Entry{"east": {Verdict: "Created", Decision: 1}}, "east"},
		{"ends", []string{"east"}, map[member.Name]results.Entry{"east": {Verdict: "Pending", Decision: 2}}, "east"},
		{"was deleted before it came back", []string{"east"},
			map[member.Name]results.Entry{"east": {Verdict: "Deleted", Decision: 1}}, "east"},
		{"is gone", []string{"east"}, map[member.Name]results.Entry{"east": {Verdict: "Deleted", Decision: 2}}, ""},
		{"cannot be reached", []string{"lost"}, nil, ""},
		{"one is gone, one is not", []string{"east", "west"},
			map[member.Name]results.Entry{"east": {Verdict: "Deleted", Decision: 2}}, "west"},
	} {
		if got := firstHolder(c.leaving, c.entries, 2, reachable); got != c.want {
			t.Errorf("%s: waits for %q, want %q", c.what, got, c.want)
		}
	}
}
