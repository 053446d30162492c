package propagate

import (
	"testing"

	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/delivery/results"
)

// What a placement that only reports says of an apply that was tried.
func TestWouldBe(t *testing.T) {
	changes := []apply.Change{{Op: apply.Alter, Path: ".spec.replicas", From: "3", To: "5"}}
	for _, c := range []struct {
		changes []apply.Change
		result  apply.Result
		want    string
	}{
		{nil, apply.Result{Verdict: apply.Created, Reason: apply.ReasonDryRun}, "would be created"},
		{nil, apply.Result{Verdict: apply.Pending, Reason: apply.ReasonNamespaceMissing},
			"would be created, with its namespace shop"},
		{changes, apply.Result{Verdict: apply.Configured, Reason: apply.ReasonDryRun},
			"would be changed: ~ .spec.replicas: 3 -> 5"},
		{nil, apply.Result{Verdict: apply.Configured, Reason: apply.ReasonDryRun}, "would be left as it is"},
		{nil, apply.Result{Verdict: apply.Unchanged, Reason: apply.ReasonDryRun}, "would be left as it is"},
		{nil, apply.Result{Verdict: apply.Configured, Message: "Deployment shop/web would be deleted and recreated: no"},
			"Deployment shop/web would be deleted and recreated: no"},
		{nil, apply.Result{Verdict: apply.Conflict, Reason: apply.ReasonForeign, Message: "it is not ours"},
			"would not be applied: Conflict (ForeignObject): it is not ours"},
	} {
		if got := wouldBe(facts{ref: web}, c.changes, c.result); got != c.want {
			t.Errorf("%s: %q, want %q", c.result, got, c.want)
		}
	}
}

// Only an apply that undid something is a repair.
func TestRepaired(t *testing.T) {
	live := copied(t, "template-uid", hub)
	for _, c := range []struct {
		what   string
		facts  facts
		result apply.Result
		reason string
	}{
		{"it was changed", facts{live: live}, apply.Result{Verdict: apply.Configured}, results.ReasonRepaired},
		{"it was deleted", facts{}, apply.Result{Verdict: apply.Created}, results.ReasonRepaired},
		{"the cache was behind", facts{}, apply.Result{Verdict: apply.Unchanged}, ""},
		{"the member refuses", facts{live: live}, apply.Result{Verdict: apply.Failed, Reason: apply.ReasonDenied},
			string(apply.ReasonDenied)},
		{"it had to be made anew", facts{live: live},
			apply.Result{Verdict: apply.Created, Reason: apply.ReasonRecreated}, string(apply.ReasonRecreated)},
	} {
		if got, _ := repaired(c.facts, c.result); got != c.reason {
			t.Errorf("%s: %q, want %q", c.what, got, c.reason)
		}
	}
}

// Drift that was told is over when the object is as it was applied, and not when that cannot be seen.
func TestStillApplied(t *testing.T) {
	drifted := results.Entry{Verdict: "Skipped", Reason: results.ReasonDrifted, Message: "somebody", Seen: "x", Revision: "r"}
	f := facts{template: deployment(t), entry: drifted, isCacheReady: true}
	if got := stillApplied(f); got.Verdict != "Unchanged" || got.Reason != "" || got.Seen != "" || got.Revision != "r" {
		t.Errorf("seen: %+v", got)
	}
	f.isCacheReady = false
	if got := stillApplied(f); got.Verdict != "Skipped" || got.Reason != results.ReasonDrifted {
		t.Errorf("not seen: %+v", got)
	}
}

// A drifted object is asked about once for each state of its specification, not for each change of its status.
func TestSightOf(t *testing.T) {
	live := copied(t, "template-uid", hub)
	live.SetResourceVersion("1")
	before := sightOf(live)
	live.SetResourceVersion("2")
	if sightOf(live) != before {
		t.Error("a new status is a new sight")
	}
	live.SetGeneration(9)
	if sightOf(live) == before {
		t.Error("a new specification is no new sight")
	}
	live.SetGeneration(0)
	before = sightOf(live)
	live.SetResourceVersion("3")
	if sightOf(live) == before {
		t.Error("a change of what has no generation is no new sight")
	}
}
