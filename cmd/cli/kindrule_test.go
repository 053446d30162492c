package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const widgetRule = `apiVersion: hanse.io/v1alpha1
kind: KindRule
metadata: {name: widget.example.org}
spec:
  group: example.org
  kind: Widget
  replicas: {path: .spec.size, ready: object.status.ready}
  dependencies: [{kind: Secret, names: "[object.spec.key]"}]
  health: [{when: object.status.ready == object.spec.size, is: Healthy}, {is: Progressing, message: "'not all are there'"}]
`

const widgetObject = `
---
apiVersion: example.org/v1
kind: Widget
metadata: {name: one, generation: 1}
spec: {size: 3, key: secret}
status: {ready: 2}
`

// A rule is tried without a hub.
func TestKindRuleTest(t *testing.T) {
	code, out, errs := hanse(t, widgetRule+widgetObject, "kindrule", "test", "-f", "-")
	want := `Widget/one
  rule      of the files
  mode      Divide
  replicas  3, 2 ready
  needs     Secret/secret
  health    Progressing: not all are there
  status on the hub
    ready: 2
  sent to a member
    apiVersion: example.org/v1
    kind: Widget
    metadata:
      name: one
    spec:
      key: secret
      size: 2
`
	if diff := cmp.Diff(want, out); diff != "" || code != exitDone {
		t.Errorf("exit %d, %s\n(-want +got):\n%s", code, errs, diff)
	}

	code, out, _ = hanse(t, widgetRule+strings.Replace(widgetObject, ", key: secret", "", 1), "kindrule", "test", "-f", "-")
	if code != exitNotAsAsked || !strings.Contains(out, "ERROR     spec.dependencies[0].names: no such key: key") {
		t.Errorf("an object that the rule does not understand: exit %d\n%s", code, out)
	}

	code, _, errs = hanse(t, strings.Replace(widgetRule, "when: object", "when: objekt", 1), "kindrule", "test", "-f", "-")
	if code != exitFailed || !strings.Contains(errs, "spec.health[0].when: at character 1: undeclared reference to 'objekt'") {
		t.Errorf("a rule that does not compile: exit %d\n%s", code, errs)
	}

	code, _, errs = hanse(t, strings.Replace(widgetRule, "replicas:", "replica:", 1), "kindrule", "test", "-f", "-")
	if code != exitFailed || !strings.Contains(errs, `unknown field "spec.replica"`) {
		t.Errorf("a rule with a misspelt field: exit %d\n%s", code, errs)
	}
}

// What is shipped can be printed, changed and used.
func TestKindRuleShipped(t *testing.T) {
	code, out, errs := hanse(t, "", "kindrule", "shipped", "rollout.argoproj.io")
	if code != exitDone || !strings.Contains(out, "kind: Rollout") {
		t.Fatalf("exit %d, %s\n%s", code, errs, out)
	}
	code, out, errs = hanse(t, out, "kindrule", "test", "-f", "-")
	if code != exitDone || out != "1 rules can be used; there is no object in the files to try them on\n" {
		t.Errorf("exit %d, %s\n%s", code, errs, out)
	}
}
