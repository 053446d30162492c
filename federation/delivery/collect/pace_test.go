package collect

import (
	"testing"
	"time"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/member"
)

// A status is written at once when it has been quiet, at most every 100 ms, and waits for applies at most 500 ms.
func TestPace(t *testing.T) {
	done := view{distribution: &v1alpha1.Distribution{}}
	done.members = []memberView{{
		state: member.State{Phase: member.Ready}, hasEntry: true, entry: results.Entry{Verdict: "Created"},
	}}
	underWay := done
	underWay.members = []memberView{{state: member.State{Phase: member.Ready}}}
	var p pace
	for _, step := range []struct {
		at    int // ms
		view  view
		wait  int // ms
		wrote bool
	}{
		{0, done, 0, true},
		{30, done, 70, false},
		{100, done, 0, true},
		{150, underWay, 50, false},
		{200, underWay, 500, false},
		{300, underWay, 400, false},
		{700, underWay, 0, true}, // patience is at its end
		{800, underWay, 0, true}, // and stays so, until the applies have ended
		{1000, done, 0, true},
		{1100, underWay, 500, false},
		{900, underWay, 500, false}, // the clock was set back: it begins anew and does not wait for ever
	} {
		now := noon.Add(time.Duration(step.at) * time.Millisecond)
		if got := p.wait(now, step.view); got != time.Duration(step.wait)*time.Millisecond {
			t.Errorf("at %d ms: waits %s, want %d ms", step.at, got, step.wait)
		}
		if step.wrote {
			p.wrote(now)
		}
	}
}

func TestIsUnderWay(t *testing.T) {
	d := &v1alpha1.Distribution{}
	d.Generation = 2
	w := newWorld()
	if err := w.template("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, generation: 5}}"); err != nil {
		t.Fatal(err)
	}
	good := results.Entry{Verdict: "Unchanged", Decision: 2, TemplateGeneration: 5}
	ready := member.State{Phase: member.Ready}
	for _, c := range []struct {
		what string
		m    memberView
		want bool
	}{
		{"done", memberView{state: ready, hasEntry: true, entry: good}, false},
		{"not begun", memberView{state: ready}, true},
		{"an older decision", memberView{state: ready, hasEntry: true,
			entry: results.Entry{Verdict: "Unchanged", Decision: 1}}, true},
		{"an older template", memberView{state: ready, hasEntry: true,
			entry: results.Entry{Verdict: "Unchanged", Decision: 2, TemplateGeneration: 4}}, true},
		{"it failed", memberView{state: ready, hasEntry: true,
			entry: results.Entry{Verdict: "Failed", Decision: 2, TemplateGeneration: 4}}, false},
		{"it is left", memberView{state: ready, isLeaving: true, hasEntry: true,
			entry: results.Entry{Verdict: "Deleted", Decision: 2}}, false},
		{"nobody answers", memberView{state: member.State{Phase: member.Unreachable}}, false},
		{"it was not asked yet", memberView{}, false},
	} {
		v := view{distribution: d, template: w.v.template, members: []memberView{c.m}}
		if got := v.isUnderWay(); got != c.want {
			t.Errorf("%s: under way %t, want %t", c.what, got, c.want)
		}
	}
}

func TestSameJSON(t *testing.T) {
	a := map[string]any{"replicas": int64(1)}
	if b := map[string]any{"replicas": int32(1)}; !sameJSON(a, b) {
		t.Error("a number of another Go type is another status")
	}
	if b := map[string]any{"replicas": int64(2)}; sameJSON(a, b) {
		t.Error("another number is the same status")
	}
}
