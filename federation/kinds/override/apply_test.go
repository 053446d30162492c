package override

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
)

var east = ClusterFacts{
	Name: "east", Region: "eu-west-1", Provider: "aws", Zones: []string{"a", "b"},
	Labels: map[string]string{"env": "prod", "example.org/tier": "gold"},
}

// story is one file of testdata: overrides, and an object before and after them, or the error.
type story struct {
	name, overrides, before, after, failure string
}

// readStories reads "## name" headings, and below each the parts "overrides:", "before:" and "after:" or "error:",
// every part begun by its name on a line of its own after "--- ".
func readStories(t *testing.T, file string) []story {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var stories []story
	for _, chunk := range strings.Split("\n"+string(text), "\n## ")[1:] {
		name, body, _ := strings.Cut(chunk, "\n")
		s := story{name: name}
		for _, part := range strings.Split("\n"+body, "\n--- ")[1:] {
			title, content, _ := strings.Cut(part, "\n")
			switch title {
			case "overrides":
				s.overrides = content
			case "before":
				s.before = content
			case "after":
				s.after = content
			case "error":
				s.failure = strings.TrimSpace(content)
			default:
				t.Fatalf("%s: unknown part %q", name, title)
			}
		}
		stories = append(stories, s)
	}
	if len(stories) == 0 {
		t.Fatalf("%s holds no story", file)
	}
	return stories
}

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

func rulesOf(t testing.TB, text string) []Rule {
	t.Helper()
	var rules []Rule
	if err := yaml.UnmarshalStrict([]byte(text), &rules); err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestStories(t *testing.T) {
	for _, s := range readStories(t, "testdata/stories.txt") {
		t.Run(s.name, func(t *testing.T) {
			before, rules := object(t, s.before), rulesOf(t, s.overrides)
			untouched := before.DeepCopy()
			got, err := Apply(before, kinds.Of(before), rules, east)
			if diff := cmp.Diff(untouched.Object, before.Object); diff != "" {
				t.Errorf("the input was changed (-want +got):\n%s", diff)
			}
			if s.failure != "" {
				if err == nil || !strings.HasPrefix(err.Error(), s.failure) {
					t.Fatalf("error %v, want one that begins with %q", err, s.failure)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, s.after).Object, got.Object); diff != "" {
				t.Errorf("after the overrides (-want +got):\n%s", diff)
			}
			if errs := Validate(rules, field.NewPath("spec", "overrides")); len(errs) > 0 {
				t.Errorf("works, and is refused: %v", errs)
			}
		})
	}
}

func TestValidateNamesTheField(t *testing.T) {
	tests := []struct{ name, overrides, want string }{
		{"the name", `[{patch: [{op: replace, path: /metadata/name, value: x}]}]`,
			"spec.overrides[0].patch[0].path: Forbidden: metadata.name cannot be overridden"},
		{"the name moved away", `[{patch: [{op: move, from: /metadata/name, path: /spec/x}]}]`,
			"spec.overrides[0].patch[0].from: Forbidden"},
		{"the kind", `[{patch: [{op: add, path: /kind, value: Pod}]}]`, "kind cannot be overridden"},
		{"everything", `[{patch: [{op: replace, path: "", value: {}}]}]`, "the whole object cannot be replaced"},
		{"status", `[{patch: [{op: add, path: /status/x, value: 1}]}]`, "status cannot be overridden"},
		{"owners", `[{patch: [{op: add, path: /metadata/ownerReferences, value: []}]}]`, "only labels and annotations"},
		{"our label by pointer", `[{patch: [{op: add, path: /metadata/labels/hanse.io~1hub, value: x}]}]`,
			`"hanse.io/hub" is the hub's own`},
		{"our label in a map", `[{patch: [{op: add, path: /metadata/labels, value: {hanse.io/hub: x}}]}]`,
			`patch[0].value[hanse.io/hub]: Forbidden`},
		{"our label", `[{labels: {hanse.io/hub: x}}]`, "spec.overrides[0].labels[hanse.io/hub]: Forbidden"},
		{"our annotation by merge", `[{merge: {metadata: {annotations: {hanse.io/template: x}}}}]`,
			"spec.overrides[0].merge.metadata.annotations.hanse.io/template: Forbidden"},
		{"name by merge", `[{merge: {metadata: {name: x}}}]`, "spec.overrides[0].merge.metadata.name: Forbidden"},
		{"metadata removed by merge", `[{merge: {metadata: null}}]`, "spec.overrides[0].merge.metadata: Forbidden"},
		{"replaced by merge", `[{merge: {$patch: replace, spec: {}}}]`, "spec.overrides[0].merge.$patch: Forbidden"},
		{"merge is no object", `[{merge: [1]}]`, "must be an object"},
		{"no pointer", `[{patch: [{op: remove, path: spec.replicas}]}]`, "is not a JSON pointer"},
		{"half an escape", `[{patch: [{op: remove, path: /spec/a~b}]}]`, "write ~ as ~0"},
		{"no value", `[{patch: [{op: add, path: /spec/x}]}]`, "patch[0].value: Required"},
		{"no from", `[{patch: [{op: copy, path: /spec/x}]}]`, "patch[0].from: Invalid"},
		{"no such operation", `[{patch: [{op: put, path: /spec/x, value: 1}]}]`, "patch[0].op: Unsupported value"},
		{"unknown fact", `[{env: [{name: A, value: "${cluster.colour}"}]}]`,
			`spec.overrides[0].env[0].value: Invalid value: "${cluster.colour}": ${cluster.colour} is not known`},
		{"open reference", `[{args: {value: [ok, "${cluster.name"]}}]`, "args.value[1]: Invalid"},
		{"deep in a patch", `[{patch: [{op: add, path: /spec/x, value: {a: ["${cluster.x}"]}}]}]`, "/a/0: ${cluster.x} is not known"},
		{"tag", `[{image: {tag: "a b"}}]`, "spec.overrides[0].image.tag: Invalid"},
		{"digest", `[{image: {digest: "sha256:12"}}]`, "spec.overrides[0].image.digest: Invalid"},
		{"registry with scheme", `[{image: {registry: "https://r.example.org"}}]`, "image.registry: Invalid"},
		{"empty image", `[{image: {container: a}}]`, "spec.overrides[0].image: Required"},
		{"variable", `[{env: [{name: "A=B"}]}]`, "env[0].name: Invalid"},
		{"label value", `[{labels: {a: "no spaces here"}}]`, "labels[a]: Invalid"},
		{"label key", `[{labels: {"a b": x}}]`, "labels: Invalid"},
		{"selector", `[{clusters: [{selector: {matchExpressions: [{key: a, operator: Near}]}}]}]`,
			"spec.overrides[0].clusters[0].selector.matchExpressions[0].operator"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			errs := Validate(rulesOf(t, test.overrides), field.NewPath("spec", "overrides"))
			if len(errs) == 0 || !strings.Contains(errs.ToAggregate().Error(), test.want) {
				t.Errorf("got %v, want %q", errs, test.want)
			}
		})
	}
}

// What Validate refuses, Apply must refuse too: a rule may come from a store that an older hub wrote.
func TestApplyRefusesAnotherIdentity(t *testing.T) {
	before := object(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {hanse.io/hub: h}}
spec: {}`)
	for _, overrides := range []string{
		`[{patch: [{op: replace, path: /metadata/name, value: x}]}]`,
		`[{patch: [{op: remove, path: /metadata/namespace}]}]`,
		`[{patch: [{op: move, from: /metadata/name, path: /spec/x}]}]`,
		`[{patch: [{op: replace, path: "", value: {kind: Pod}}]}]`,
		`[{patch: [{op: replace, path: /metadata/labels, value: {}}]}]`,
		`[{patch: [{op: add, path: /metadata/finalizers, value: [a]}]}]`,
		`[{merge: {kind: StatefulSet}}]`,
		`[{merge: {metadata: {uid: x}}}]`,
		`[{merge: {metadata: null}}]`,
		`[{merge: {$patch: replace}}]`,
		`[{labels: {hanse.io/hub: ""}}]`,
	} {
		if got, err := Apply(before, kinds.Of(before), rulesOf(t, overrides), east); err == nil {
			encoded, _ := json.Marshal(got.Object)
			t.Errorf("%s was applied: %s", overrides, encoded)
		}
	}
}

func TestNoRuleNoCopy(t *testing.T) {
	obj := object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")
	rules := []Rule{{Clusters: []v1alpha1.ClusterMatch{{Name: "west"}}, Labels: map[string]string{"a": "b"}},
		{Clusters: []v1alpha1.ClusterMatch{{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"env": "dev"}}}},
			Labels: map[string]string{"a": "b"}}}
	got, err := Apply(obj, kinds.Of(obj), rules, east)
	if err != nil || got != obj {
		t.Errorf("got %v %v, want the object itself", got, err)
	}
}

func TestCopiesAreBounded(t *testing.T) {
	obj := object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: [xxxxxxxxxxxxxxxx]}")
	rule := Rule{}
	for range 40 {
		rule.Patch = append(rule.Patch, v1alpha1.PatchOperation{Op: "copy", From: "/data", Path: "/data/-"})
	}
	_, err := Apply(obj, kinds.Of(obj), []Rule{rule}, east)
	if err == nil || !strings.Contains(err.Error(), "grows by more than") {
		t.Errorf("a patch that doubles the object forty times: %v", err)
	}
}

// The short forms reach every pod specification that a rule for the kind names.
func TestApplyToATaughtKind(t *testing.T) {
	pods, err := kinds.ParsePath(".spec.groups[*].template.spec")
	if err != nil {
		t.Fatal(err)
	}
	obj := object(t, `{apiVersion: example.org/v1, kind: Ring, metadata: {name: r}, spec: {groups: [
		{template: {spec: {containers: [{name: head, image: a:1}]}}},
		{template: {spec: {containers: [{name: worker, image: b:1}], initContainers: [{name: prepare, image: c:1}]}}}]}}`)
	rules := rulesOf(t, "[{image: {registry: mirror.example.org}, env: [{name: REGION, value: '${cluster.region}', container: worker}]}]")
	got, err := Apply(obj, kinds.Taught(kinds.Lesson{Pods: []kinds.LessonPods{{Path: pods}}}), rules, east)
	if err != nil {
		t.Fatal(err)
	}
	want := object(t, `{apiVersion: example.org/v1, kind: Ring, metadata: {name: r}, spec: {groups: [
		{template: {spec: {containers: [{name: head, image: mirror.example.org/a:1}]}}},
		{template: {spec: {containers: [{name: worker, image: mirror.example.org/b:1, env: [{name: REGION, value: eu-west-1}]}],
			initContainers: [{name: prepare, image: mirror.example.org/c:1}]}}}]}}`)
	if diff := cmp.Diff(want.Object, got.Object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
