package propagate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
)

const hub = apply.Hub("hub-uid")

var web = template.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	encoded, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(encoded); err != nil {
		t.Fatal(err)
	}
	return obj
}

// deployment is the template on the hub.
func deployment(t testing.TB) *unstructured.Unstructured {
	obj := object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: shop, name: web}, "+
		"spec: {replicas: 6}}")
	obj.SetUID("template-uid")
	obj.SetGeneration(2)
	return obj
}

// copied is what a member holds of it.
func copied(t testing.TB, of types.UID, by apply.Hub) *unstructured.Unstructured {
	obj := deployment(t)
	obj.SetUID("copy-uid")
	obj.SetLabels(map[string]string{v1alpha1.HubLabel: string(by)})
	obj.SetAnnotations(map[string]string{v1alpha1.TemplateAnnotation: string(of)})
	own(obj, `{"f:spec": {"f:replicas": {}}}`)
	return obj
}

// own says which fields of a member's object are ours.
func own(obj *unstructured.Unstructured, fields string) {
	obj.SetManagedFields([]metav1.ManagedFieldsEntry{{
		Manager: v1alpha1.FieldManager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: "apps/v1",
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
	}})
}

// A member is to have the object of the very template that was decided on, and no other of its name.
func TestIsWanted(t *testing.T) {
	decided := &v1alpha1.Distribution{}
	decided.Spec.Template.UID = "template-uid"
	share := &v1alpha1.DistributionCluster{Name: "east"}
	going, again := deployment(t), deployment(t)
	now := metav1.Now()
	going.SetDeletionTimestamp(&now)
	again.SetUID("made-again")
	for _, c := range []struct {
		what  string
		facts facts
		want  bool
	}{
		{"chosen", facts{distribution: decided, share: share, template: deployment(t)}, true},
		{"not chosen", facts{distribution: decided, template: deployment(t)}, false},
		{"gone", facts{distribution: decided, share: share}, false},
		{"being deleted", facts{distribution: decided, share: share, template: going}, false},
		{"deleted and made again, not decided yet", facts{distribution: decided, share: share, template: again}, false},
	} {
		if got := c.facts.isWanted(); got != c.want {
			t.Errorf("%s: wanted %t, want %t", c.what, got, c.want)
		}
	}
}

// A stray is ours, of this template, and named nowhere; nothing else is ever removed for that.
func TestIsStray(t *testing.T) {
	decided := &v1alpha1.Distribution{}
	decided.Spec.Template.UID = "template-uid"
	ours := copied(t, "template-uid", hub)
	for _, c := range []struct {
		what  string
		facts facts
		want  bool
	}{
		{"a copy that nobody decided on", facts{distribution: decided, live: ours}, true},
		{"one that is wanted", facts{distribution: decided, live: ours, share: &v1alpha1.DistributionCluster{}}, false},
		{"one that leaves", facts{distribution: decided, live: ours, isLeaving: true}, false},
		{"none", facts{distribution: decided}, false},
		{"of another template", facts{distribution: decided, live: copied(t, "other", hub)}, false},
		{"of another hub", facts{distribution: decided, live: copied(t, "template-uid", "other")}, false},
		{"nobody's", facts{distribution: decided, live: deployment(t)}, false},
	} {
		if got := c.facts.isStray(hub); got != c.want {
			t.Errorf("%s: stray %t, want %t", c.what, got, c.want)
		}
	}
}

// What the members' controllers write is no drift, what somebody else writes into our fields is.
func TestIsAsApplied(t *testing.T) {
	live := copied(t, "template-uid", hub)
	applied := results.Entry{Fingerprint: apply.Fingerprint(live)}
	if applied.Fingerprint == "" {
		t.Fatal("no fingerprint")
	}
	now := metav1.Now()
	for _, c := range []struct {
		what   string
		change func(*unstructured.Unstructured)
		want   bool
	}{
		{"as it was", func(*unstructured.Unstructured) {}, true},
		{"a status", func(o *unstructured.Unstructured) { o.Object["status"] = map[string]any{"replicas": int64(6)} }, true},
		{"a field that somebody took from us", func(o *unstructured.Unstructured) { own(o, `{"f:spec": {}}`) }, false},
		{"made again", func(o *unstructured.Unstructured) { o.SetUID("another") }, false},
		{"as the cache holds it", apply.Seal, true},
		{"going", func(o *unstructured.Unstructured) { o.SetDeletionTimestamp(&now) }, false},
	} {
		changed := live.DeepCopy()
		c.change(changed)
		if got := isAsApplied(facts{live: changed, entry: applied}); got != c.want {
			t.Errorf("%s: as applied %t, want %t", c.what, got, c.want)
		}
	}
	if isAsApplied(facts{entry: applied}) {
		t.Error("what is not there is as applied")
	}
	if isAsApplied(facts{live: live}) || isAsApplied(facts{live: live, entry: results.Entry{Fingerprint: "other"}}) {
		t.Error("what was never applied so is as applied")
	}
}

// The revision tells contents apart, whatever the order in which they were built.
func TestRevisionOf(t *testing.T) {
	a := object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {x: '1', y: '2'}}, "+
		"data: {b: '1', a: '2'}}")
	b := object(t, "{kind: ConfigMap, data: {a: '2', b: '1'}, "+
		"metadata: {labels: {y: '2', x: '1'}, name: a}, apiVersion: v1}")
	if revisionOf(a) != revisionOf(b) || revisionOf(a) == "" {
		t.Errorf("the same object has the revisions %q and %q", revisionOf(a), revisionOf(b))
	}
	if want := "foapaIY9jEnsRU4U"; revisionOf(a) != want {
		t.Errorf("the revision is %q; with another one than %q a new hub applies everything once more", revisionOf(a), want)
	}
	b.SetLabels(map[string]string{"x": "1"})
	if revisionOf(a) == revisionOf(b) {
		t.Error("a label less is the same revision")
	}
}

// Each failure in a row doubles the delay, up to two minutes; every piece of work counts for itself.
func TestBackoff(t *testing.T) {
	mw := &memberWorker{failures: newFailures()}
	fails := func(first time.Duration, grows bool) time.Duration {
		return mw.again(web, apply.Result{RetryAfter: first, Backoff: grows}).RequeueAfter
	}
	var waits []time.Duration
	for range 9 {
		waits = append(waits, fails(5*time.Second, true))
	}
	want := []time.Duration{5, 5, 5, 8, 16, 32, 64, 120, 120}
	for i := range want {
		want[i] *= time.Second
	}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	before := mw.failures.NumRequeues(work{ref: web})
	if got := fails(5*time.Second, false); got != 5*time.Second {
		t.Errorf("a fixed interval waits %s", got)
	}
	if now := mw.failures.NumRequeues(work{ref: web}); now != before {
		t.Errorf("a fixed interval counts as a failure: %d after %d", now, before)
	}
	if got := mw.failures.NumRequeues(work{namespace: "shop"}); got != 0 {
		t.Errorf("other work has %d failures", got)
	}
	if got := mw.again(web, apply.Result{Verdict: apply.Configured}).RequeueAfter; got != 0 {
		t.Errorf("a success is repeated after %s", got)
	}
	if got := fails(time.Second, true); got != time.Second {
		t.Errorf("the first failure after a success waits %s", got)
	}
}

func TestIsSent(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*unstructured.Unstructured)
		sent   bool
	}{
		{"nothing", func(*unstructured.Unstructured) {}, false},
		{"a status", func(o *unstructured.Unstructured) { o.Object["status"] = map[string]any{"replicas": int64(1)} }, false},
		{"a finalizer", func(o *unstructured.Unstructured) { o.SetFinalizers([]string{"a"}) }, false},
		{"a spec", func(o *unstructured.Unstructured) { o.SetGeneration(3) }, true},
		{"a label", func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"a": "b"}) }, true},
		{"an annotation", func(o *unstructured.Unstructured) { o.SetAnnotations(map[string]string{"a": "b"}) }, true},
		{"a kind without generation", func(o *unstructured.Unstructured) { o.SetGeneration(0) }, true},
	} {
		now := deployment(t)
		c.change(now)
		if got := isSent(deployment(t), now); got != c.sent {
			t.Errorf("%s: sent %t, want %t", c.what, got, c.sent)
		}
	}
}

// What is held up keeps what is known of the copy, so that nothing is applied twice when it goes on.
func TestHeld(t *testing.T) {
	mw := &memberWorker{}
	before := results.Entry{Verdict: "Created", Revision: "r", Fingerprint: "f"}
	before.TemplateGeneration, before.Generation, before.Decision = 2, 3, 4
	want := before
	want.Verdict, want.Reason, want.Message = "Pending", "MemberNotReady", "lost"
	if diff := cmp.Diff(want, mw.held(facts{entry: before}, "Pending", "MemberNotReady", "lost")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A member's object is the template with the member's share, and the overrides of the placement that won.
func TestRender(t *testing.T) {
	ix := match.NewIndex(nil)
	p := &v1alpha1.Placement{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	p.Spec.Overrides = []v1alpha1.Override{
		{Clusters: []v1alpha1.ClusterMatch{{Name: "east"}}, Labels: map[string]string{"where": "east"}},
		{Clusters: []v1alpha1.ClusterMatch{{Name: "west"}}, Labels: map[string]string{"where": "west"}},
	}
	if err := ix.SetPlacement(p); err != nil {
		t.Fatal(err)
	}
	mw := &memberWorker{Propagator: &Propagator{Claims: ix}}
	f := facts{
		ref: web, template: deployment(t), distribution: &v1alpha1.Distribution{}, cluster: &v1alpha1.Cluster{},
		share: &v1alpha1.DistributionCluster{Name: "east", Replicas: ptr.To(int64(4))},
	}
	f.cluster.Name = "east"
	f.distribution.Spec.Template.Namespace = "shop"
	for kind, label := range map[string]string{"Placement": "east", "ClusterPlacement": "", "Annotation": ""} {
		f.distribution.Spec.Placement = v1alpha1.PlacementReference{Kind: kind, Name: "web"}
		got, err := mw.render(f)
		if err != nil {
			t.Fatal(err)
		}
		replicas, _, _ := unstructured.NestedInt64(got.Object, "spec", "replicas")
		if replicas != 4 || got.GetLabels()["where"] != label {
			t.Errorf("%s: %d replicas, label %q, want 4 and %q", kind, replicas, got.GetLabels()["where"], label)
		}
	}
}

// The replicas that an autoscaler runs in the member are given back as they are; without one they are the share.
func TestRenderAutoscaled(t *testing.T) {
	live := deployment(t)
	if err := unstructured.SetNestedField(live.Object, int64(9), "spec", "replicas"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what       string
		live       *unstructured.Unstructured
		autoscaled bool
		want       int64
	}{
		{"first made", nil, true, 4}, {"scaled", live, true, 9}, {"changed by hand", live, false, 4},
	} {
		got, err := Render(Piece{
			Ref: web, Template: deployment(t), Share: v1alpha1.DistributionCluster{Name: "east", Replicas: ptr.To(int64(4))},
			Cluster: &v1alpha1.Cluster{}, Live: c.live, Autoscaled: c.autoscaled,
		})
		if err != nil {
			t.Fatal(err)
		}
		if replicas, _, _ := unstructured.NestedInt64(got.Object, "spec", "replicas"); replicas != c.want {
			t.Errorf("%s: %d replicas, want %d", c.what, replicas, c.want)
		}
	}
}

// A namespace stays as long as a copy is there, or is to come.
func TestNeedsNamespace(t *testing.T) {
	chosen := &v1alpha1.DistributionSpec{Clusters: []v1alpha1.DistributionCluster{{Name: "east"}}}
	left := &v1alpha1.DistributionSpec{Leaving: []string{"east"}}
	for _, c := range []struct {
		what  string
		spec  *v1alpha1.DistributionSpec
		entry results.Entry
		want  bool
	}{
		{"a copy is there", chosen, results.Entry{Verdict: "Created"}, true},
		{"a copy is to come", chosen, results.Entry{}, true},
		{"it is left, and not yet done", left, results.Entry{Verdict: "Pending"}, true},
		{"it is left, and gone", left, results.Entry{Verdict: "Deleted"}, false},
		{"gone with its template, before the decision knows", chosen, results.Entry{Verdict: "Deleted"}, false},
		{"another member's", &v1alpha1.DistributionSpec{}, results.Entry{}, false},
	} {
		if got := needsNamespace(c.spec, "east", c.entry); got != c.want {
			t.Errorf("%s: %t, want %t", c.what, got, c.want)
		}
	}
}

// A namespace that empties itself is looked at for long, one with something foreign a few times, a foreign one once.
func TestTriesAfter(t *testing.T) {
	for _, row := range []struct {
		result apply.Result
		want   int
	}{
		{apply.Result{Verdict: apply.Pending, Reason: apply.ReasonNotEmpty}, endingTries},
		{apply.Result{Verdict: apply.Failed}, endingTries},
		{apply.Result{Verdict: apply.Skipped, Reason: apply.ReasonNotEmpty}, foreignTries},
		{apply.Result{Verdict: apply.Skipped, Reason: apply.ReasonOtherTemplate}, 0},
	} {
		if got := triesAfter(row.result); got != row.want {
			t.Errorf("after %s %s it is looked at %d times, want %d", row.result.Verdict, row.result.Reason, got, row.want)
		}
	}
}

// While a member cannot be asked, the verdict that was the last one stands if it is about what is wanted now.
func TestStands(t *testing.T) {
	conflict := results.Entry{Verdict: "Conflict", Reason: "ForeignObject", Decision: 4}
	tried := func(e results.Entry, revision string) results.Entry { e.Tried = revision; return e }
	applied := results.Entry{Verdict: "Created", Revision: "old", Decision: 4}
	for _, c := range []struct {
		what  string
		entry results.Entry
		want  bool
	}{
		{"nothing is known", results.Entry{}, false},
		{"as it was stored", conflict, true},
		{"of the present template", tried(conflict, "now"), true},
		{"of another template", tried(conflict, "old"), false},
		{"of an older decision", results.Entry{Verdict: "Conflict", Decision: 3}, false},
		{"an apply of something else", applied, false},
		{"waiting for the member", results.Entry{Verdict: "Pending", Reason: "MemberNotReady", Decision: 4}, true},
		{"a pause that is over", results.Entry{Verdict: "Skipped", Reason: results.ReasonPaused, Decision: 4}, false},
	} {
		f := facts{distribution: &v1alpha1.Distribution{}, entry: c.entry, hasEntry: c.entry != results.Entry{}}
		f.distribution.Generation = 4
		if got := f.isCurrent(wanted{revision: "now"}); got != c.want {
			t.Errorf("%s: isCurrent %t, want %t", c.what, got, c.want)
		}
	}
}

// So does that of a removal; the verdict of the apply before it does not.
func TestRemovalStands(t *testing.T) {
	for _, c := range []struct {
		entry results.Entry
		want  bool
	}{
		{results.Entry{Verdict: "Failed", Reason: "AdmissionDenied", Decision: 4}, true},
		{results.Entry{Verdict: "Pending", Reason: "MemberNotReady", Decision: 4}, true},
		{results.Entry{Verdict: "Failed", Reason: "AdmissionDenied", Decision: 3}, false},
		{results.Entry{Verdict: "Created", Decision: 4}, false},
		{results.Entry{Verdict: "Conflict", Decision: 4}, false},
		{results.Entry{Verdict: "Pending", Reason: results.ReasonPaused, Decision: 4}, false},
	} {
		f := facts{distribution: &v1alpha1.Distribution{}, entry: c.entry, hasEntry: true}
		f.distribution.Generation = 4
		if got := f.isRemovalCurrent(); got != c.want {
			t.Errorf("%s %s of decision %d: isCurrent %t, want %t", c.entry.Verdict, c.entry.Reason, c.entry.Decision, got, c.want)
		}
	}
}

// What was applied is told by its revision, or, as long as an autoscaler's replicas are not known, by the template's
// generation: what it scaled must not look as if it were to be applied.
func TestIsApplied(t *testing.T) {
	created := results.Entry{Verdict: "Created", Revision: "r", TemplateGeneration: 2}
	refused := created
	refused.Verdict = "Failed"
	for _, c := range []struct {
		what  string
		facts facts
		w     wanted
		want  bool
	}{
		{"never", facts{}, wanted{}, false},
		{"the same", facts{entry: created, hasEntry: true}, wanted{revision: "r"}, true},
		{"another", facts{entry: created, hasEntry: true}, wanted{revision: "s"}, false},
		{"refused since", facts{entry: refused, hasEntry: true}, wanted{revision: "r"}, false},
		{"scaled", facts{entry: created, hasEntry: true}, wanted{revision: "s", awaitsReplicas: true}, true},
		{"scaled, and the template changed", facts{entry: results.Entry{Verdict: "Created", Revision: "r",
			TemplateGeneration: 1}, hasEntry: true}, wanted{revision: "s", awaitsReplicas: true}, false},
	} {
		c.facts.template = deployment(t)
		if got := c.facts.isApplied(c.w); got != c.want {
			t.Errorf("%s: applied %t, want %t", c.what, got, c.want)
		}
	}
}
