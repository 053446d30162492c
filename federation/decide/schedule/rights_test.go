package schedule

import (
	"context"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-federation/hanse/placement"
)

// A right that comes or goes is found, once, and what decisions are told changes with it and not before.
func TestRightsChange(t *testing.T) {
	everywhere, east := true, false
	r := &Rights{May: func(_ context.Context, who user.Info, verb, resource, name string) bool {
		isJoe := who.GetName() == "joe" && verb == "place" && resource == "clusters"
		return isJoe && (everywhere || east && name == "east")
	}}
	clusters := []placement.Cluster{{Name: "east"}, {Name: "west"}}
	refused := func() int { return len(r.NotPermitted(t.Context(), `{"user":"joe"}`, clusters)) }
	for _, step := range []struct {
		what          string
		change        func()
		before, after int
		changed       bool
	}{
		{"at first", func() {}, 0, 0, false},
		{"the right to all ends", func() { everywhere = false }, 0, 2, true},
		{"a right to one comes", func() { east = true }, 2, 1, true},
		{"nothing changes", func() {}, 1, 1, false},
	} {
		step.change()
		if got := refused(); got != step.before {
			t.Errorf("%s: %d clusters are refused before it is found, want %d", step.what, got, step.before)
		}
		if got := r.Changed(t.Context()); got != step.changed {
			t.Errorf("%s: changed %t, want %t", step.what, got, step.changed)
		}
		if got := refused(); got != step.after {
			t.Errorf("%s: %d clusters are refused, want %d", step.what, got, step.after)
		}
	}
	if (&Rights{}).NotPermitted(t.Context(), "", clusters) != nil || (*Rights)(nil).Changed(t.Context()) {
		t.Error("without anybody to ask, something is refused")
	}
	if got := len(r.NotPermitted(t.Context(), "", clusters)); got != 2 {
		t.Errorf("an author who was not recorded is refused %d clusters, want 2", got)
	}
}
