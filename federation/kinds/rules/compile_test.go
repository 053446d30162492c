package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
)

// A rule that cannot be used is refused with the field and the position.
func TestCompile(t *testing.T) {
	const file = "testdata/compile.txt"
	preface, sections := readSections(t, file)
	for n, s := range sections {
		t.Run(s.name, func(t *testing.T) {
			spec := v1alpha1.KindRuleSpec{Group: "example.org", Kind: "Widget"}
			if err := yaml.UnmarshalStrict([]byte(s.part("")), &spec); err != nil {
				t.Fatal(err)
			}
			got := "fine"
			if _, err := Compile(&spec); err != nil {
				got = err.Error()
			}
			if *update {
				sections[n].parts[1][1] = got
				return
			}
			if diff := cmp.Diff(s.part("says"), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if *update {
		write(t, file, preface, sections)
	}
}

// rule is a widget's.
func rule(t testing.TB, spec string) kinds.Rule {
	t.Helper()
	s := v1alpha1.KindRuleSpec{Group: "example.org", Kind: "Widget"}
	if err := yaml.UnmarshalStrict([]byte(spec), &s); err != nil {
		t.Fatal(err)
	}
	lesson, err := Compile(&s)
	if err != nil {
		t.Fatal(err)
	}
	return kinds.Taught(lesson)
}

// What an expression may cost is bounded, and the health says which one was stopped.
func TestCost(t *testing.T) {
	spec := `health: [{when: "object.spec.l.all(a, object.spec.l.all(b, object.spec.l.all(c, a + b + c >= 0)))", is: Healthy}]`
	obj := object(t, "{apiVersion: example.org/v1, kind: Widget, spec: {l: ["+strings.Repeat("1,", 100)+"1]}}")
	health, message := rule(t, spec).Health(obj)
	if health != kinds.Unknown || !strings.Contains(message, "spec.health[0].when") ||
		!strings.Contains(message, "cost limit exceeded") {
		t.Errorf("%s: %s", health, message)
	}
}

// Replicas that are an expression are read, and written by a merge patch; what cannot be read holds the decision up.
func TestReplicasByExpression(t *testing.T) {
	r := rule(t, `{replicas: {get: "object.spec.workers + 1", set: "{'spec': {'workers': replicas - 1, 'spare': null}}", ready: object.status.ready}}`)
	obj := object(t, "{apiVersion: example.org/v1, kind: Widget, metadata: {name: w}, spec: {workers: 5, spare: 1, size: 2}}")
	if n, has := r.Replicas(obj); n != 6 || !has {
		t.Errorf("%d replicas, %t", n, has)
	}
	if got := r.Mode(obj); got != kinds.Divide {
		t.Errorf("mode %s", got)
	}
	two := int64(2)
	sent, err := r.Render(obj, kinds.Share{Replicas: &two})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"workers": int64(1), "size": int64(2)}
	if diff := cmp.Diff(want, sent.Object["spec"]); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	empty := object(t, "{apiVersion: example.org/v1, kind: Widget, metadata: {name: w}}")
	if err := r.Check(empty); err == nil || !strings.Contains(err.Error(), "spec.replicas.get: no such key: spec") {
		t.Errorf("an object without workers: %v", err)
	}
	wrong := rule(t, `{replicas: {get: "1", set: "{'metadata': {'name': 'x'}}"}}`)
	if _, err := wrong.Render(obj, kinds.Share{Replicas: &two}); err == nil {
		t.Error("a patch renames the object")
	}
}

// What is retained is not sent, in lists and maps as well.
func TestRetain(t *testing.T) {
	r := rule(t, `{retain: [".spec.groups[*].address", ".metadata.annotations['example.org/ip']", .spec.deep.leaf]}`)
	obj := object(t, `
apiVersion: example.org/v1
kind: Widget
metadata: {name: w, annotations: {example.org/ip: 1.2.3.4, example.org/owner: me}}
spec: {groups: [{name: a, address: 1}, {name: b}], deep: {leaf: 1}}`)
	sent, err := r.Render(obj, kinds.Share{})
	if err != nil {
		t.Fatal(err)
	}
	want := object(t, `
apiVersion: example.org/v1
kind: Widget
metadata: {name: w, annotations: {example.org/owner: me}}
spec: {groups: [{name: a}, {name: b}]}`)
	if diff := cmp.Diff(want.Object, sent.Object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The ways in which a field adds up, beside those of the shipped rules.
func TestAggregate(t *testing.T) {
	r := rule(t, `
status:
  aggregate:
  - {field: smallest, how: Min}
  - {field: .status.ok, how: All}
  - {field: warned, how: Any}
  - {field: zones, how: Union}
  - {field: secret, how: Drop}
  - {field: deep.total, how: Sum}
  - {field: share, value: "sum(members.map(m, m.status.size)) * 100 / template.spec.size"}
  - {field: east, value: "members.filter(m, m.cluster == 'east')[0].health"}
  - {field: broken, value: template.spec.nothing}
`)
	template := object(t, "{apiVersion: example.org/v1, kind: Widget, metadata: {generation: 1}, spec: {size: 10}}")
	seen := func(cluster, status string) kinds.MemberStatus {
		obj := object(t, "{apiVersion: example.org/v1, kind: Widget, metadata: {generation: 1}, status: "+status+"}")
		m := r.Observe(cluster, obj)
		m.TemplateGeneration = 1
		return m
	}
	got := r.Aggregate(template, []kinds.MemberStatus{
		seen("west", "{size: 3, smallest: 4, ok: true, warned: true, zones: [c, a], secret: x, deep: {total: 1}, phase: Ready}"),
		seen("east", "{size: 2, smallest: 2, ok: true, zones: [a, b], secret: x, deep: {total: 2}, phase: Ready}"),
	}, noon)
	want := object(t, `
apiVersion: v1
kind: X
status: {smallest: 2, ok: true, warned: true, zones: [a, b, c], deep: {total: 3}, share: 50, east: Healthy, phase: Ready}`)
	if diff := cmp.Diff(want.Object["status"], any(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// What is left out is told, once all have said something: before, it may be for want of that.
	silent := kinds.MemberStatus{Cluster: "south"}
	if err := r.Unsummed(template, []kinds.MemberStatus{seen("west", "{size: 3}"), silent}, noon); err != nil {
		t.Errorf("told too early: %v", err)
	}
	err := r.Unsummed(template, []kinds.MemberStatus{seen("east", "{size: 3}")}, noon)
	if err == nil || err.Error() != "spec.status.aggregate[8].value: no such key: nothing" {
		t.Errorf("told is %v", err)
	}
}
