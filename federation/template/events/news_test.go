package events

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

func distribution(t *testing.T, text string) *v1alpha1.Distribution {
	t.Helper()
	if text == "" {
		return nil
	}
	d := &v1alpha1.Distribution{}
	if err := yaml.UnmarshalStrict([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	if d.Spec.Template.UID == "" {
		d.Spec.Template.UID = "uid"
	}
	return d
}

// What people are told when a Distribution changes from one state into another.
func TestNews(t *testing.T) {
	const two = "{spec: {clusters: [{name: east, replicas: 4}, {name: west, replicas: 2}]}}"
	for _, c := range []struct {
		what          string
		before, after string
		isGoing       bool
		want          []string
	}{
		{what: "a first decision", after: two},
		{what: "copies become ready", before: two,
			after: "{spec: {clusters: [{name: east, replicas: 4}, {name: west, replicas: 2}]}, " +
				"status: {clusters: [{name: east, verdict: Created, health: Healthy}, {name: west, verdict: Pending, reason: NotApplied}]}}"},
		{what: "other shares", before: two,
			after: "{spec: {clusters: [{name: east, replicas: 3}, {name: west, replicas: 3}], lastChange: {time: null, " +
				"moves: [{name: east, reason: Weight, message: the weights say 1 of 2}, {name: west, reason: Weight}]}}}",
			want: []string{"Normal Rescheduled: east 4 -> 3 (the weights say 1 of 2); west 2 -> 3 (Weight)"}},
		{what: "another member", before: two,
			after: "{spec: {clusters: [{name: east, replicas: 4}, {name: south, replicas: 2}], leaving: [west]}}",
			want:  []string{"Normal Rescheduled: south 0 -> 2; west 2 -> 0"}},
		{what: "a kind that counts nothing", before: "{spec: {clusters: [{name: east}, {name: west}]}}",
			after: "{spec: {clusters: [{name: east}, {name: south}], leaving: [west]}}",
			want:  []string{"Normal Rescheduled: south is new; west leaves"}},
		{what: "nothing claims it any more", before: two, after: "{spec: {leaving: [east, west]}}",
			want: []string{"Normal Unplaced: it is removed from east, west"}},
		{what: "it is deleted", before: two, after: "{spec: {leaving: [east, west]}}", isGoing: true},
		{what: "nowhere to go",
			after: "{spec: {notes: [there is no cluster mars], rejected: [{name: east, reason: Cordoned, message: is cordoned}]}}",
			want:  []string{"Warning NoClusters: no cluster is chosen: there is no cluster mars; east: is cordoned"}},
		{what: "still nowhere to go", before: "{spec: {notes: [there is no cluster mars]}}",
			after: "{spec: {notes: [there is no cluster venus]}}"},
		{what: "claimed again before its copies are gone, with nowhere to go", before: "{spec: {leaving: [east]}}",
			after: "{spec: {leaving: [east], notes: [there is no cluster mars]}}",
			want:  []string{"Warning NoClusters: no cluster is chosen: there is no cluster mars"}},
		{what: "no room", after: "{spec: {replicas: 9, unplaced: 3, unplacedReason: every member is full, " +
			"clusters: [{name: east, replicas: 6}]}}",
			want: []string{"Warning NoRoom: 3 of 9 replicas have no place: every member is full"}},
		{what: "a second claim", before: two,
			after: "{spec: {placement: {kind: Placement, name: old}, clusters: [{name: east, replicas: 4}, " +
				"{name: west, replicas: 2}], contested: [{kind: Placement, name: new}]}}",
			want: []string{"Warning Contested: Placement new claims it as well and is ignored, since Placement old is older"}},
		{what: "a refusal", before: two,
			after: "{spec: {clusters: [{name: east, replicas: 4}, {name: west, replicas: 2}]}, " +
				"status: {clusters: [{name: east, verdict: Failed, reason: AdmissionDenied, message: no blue on Fridays}]}}",
			want: []string{"Warning ApplyFailed: east: AdmissionDenied: no blue on Fridays"}},
		{what: "a retry that is refused alike",
			before: "{status: {clusters: [{name: east, verdict: Failed, reason: AdmissionDenied, message: no blue on Fridays}]}}",
			after: "{status: {observedGeneration: 2, clusters: [{name: east, verdict: Failed, reason: AdmissionDenied, " +
				"message: no blue on Fridays}]}}"},
		{what: "refused for another reason",
			before: "{status: {clusters: [{name: east, verdict: Failed, reason: AdmissionDenied, message: no blue on Fridays}]}}",
			after:  "{status: {clusters: [{name: east, verdict: Failed, reason: QuotaExceeded, message: too much}]}}",
			want:   []string{"Warning ApplyFailed: east: QuotaExceeded: too much"}},
		{what: "a foreign object",
			before: "{status: {clusters: [{name: east, verdict: Pending, reason: NotApplied}]}}",
			after:  "{status: {clusters: [{name: east, verdict: Conflict, reason: ForeignObject, message: is not ours}]}}",
			want:   []string{"Warning Conflict: east: ForeignObject: is not ours"}},
		{what: "a member that does not answer",
			before: "{status: {clusters: [{name: east, verdict: Created}]}}",
			after:  "{status: {clusters: [{name: east, verdict: Failed, reason: Timeout, message: no answer within 10s}]}}"},
		{what: "accepted at last",
			before: "{status: {clusters: [{name: east, verdict: Failed, reason: AdmissionDenied, message: no}]}}",
			after:  "{status: {clusters: [{name: east, verdict: Created}]}}",
			want:   []string{"Normal Applied: east: applied, after AdmissionDenied"}},
		{what: "removed at last",
			before: "{status: {clusters: [{name: east, verdict: Failed, reason: Forbidden, message: no}]}}",
			after:  "{status: {clusters: [{name: east, verdict: Deleted}]}}",
			want:   []string{"Normal Removed: east: removed, after Forbidden"}},
		{what: "drift that is reported",
			before: "{status: {clusters: [{name: east, verdict: Created}]}}",
			after:  "{status: {clusters: [{name: east, verdict: Skipped, reason: Drifted, message: somebody}]}}",
			want:   []string{"Warning Drifted: east: somebody"}},
		{what: "drift that was undone",
			before: "{status: {clusters: [{name: east, verdict: Created}]}}",
			after:  "{status: {clusters: [{name: east, verdict: Configured, reason: DriftRepaired, message: brought back}]}}",
			want:   []string{"Normal Repaired: east: brought back"}},
		{what: "a field that is somebody else's was dropped",
			before: "{status: {clusters: [{name: east, verdict: Created}]}}",
			after:  "{status: {clusters: [{name: east, verdict: Configured, reason: FieldsCeded, message: .data.a stays}]}}",
			want:   []string{"Warning FieldsCeded: east: .data.a stays"}},
		{what: "an expression of a KindRule fails",
			after: "{spec: {clusters: [{name: east}]}, status: {conditions: [{type: Summed, status: 'False', reason: KindRuleFails, " +
				"message: 'left out of the status: spec.status.aggregate[0].value: no such key: size'}]}}",
			want: []string{"Warning KindRuleFails: left out of the status: spec.status.aggregate[0].value: no such key: size"}},
		{what: "and fails alike again",
			before: "{status: {conditions: [{type: Summed, status: 'False', reason: KindRuleFails, message: size}]}}",
			after: "{status: {observedGeneration: 2, conditions: [{type: Summed, status: 'False', reason: KindRuleFails, " +
				"message: size}]}}"},
		{what: "a deadline",
			before: "{status: {conditions: [{type: Progressing, status: 'True', reason: Progressing, message: '', lastTransitionTime: null}]}}",
			after: "{status: {conditions: [{type: Progressing, status: 'False', reason: DeadlineExceeded, " +
				"message: 'Deployment web: no progress for 10m: east: Failed', lastTransitionTime: null}]}}",
			want: []string{"Warning DeadlineExceeded: Deployment web: no progress for 10m: east: Failed"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			var got []string
			for _, n := range news(distribution(t, c.before), distribution(t, c.after), c.isGoing) {
				got = append(got, n.kind+" "+n.reason+": "+n.message)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An Event's message has a limit, and is cut at a rune's boundary.
func TestCut(t *testing.T) {
	if got := cut("short"); got != "short" {
		t.Errorf("a short message became %q", got)
	}
	got := cut(strings.Repeat("ü", maxMessage))
	if len(got) > maxMessage || !strings.HasSuffix(got, "ü …") {
		t.Errorf("%d bytes, ending %q", len(got), got[len(got)-10:])
	}
}
