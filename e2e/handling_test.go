package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/e2e/cluster"
)

// Drift that a placement only reports stays, is told by its path and by an Event, and ends with the next change of the
// template; by default it is undone, and that is told as well.
func TestReportDrift(t *testing.T) {
	s := onTestbed(t)
	settings := []string{"ConfigMap/settings", "ConfigMap/kept", "ConfigMap/ceded"}
	s.apply(configMap("settings", "a", "first"), configMap("kept", "a", "first"), configMap("ceded", "a", "first"),
		placement("all", settings, both, "drift: Report"))
	awaitThere[corev1.ConfigMap](s, "settings", "alpha", "beta")
	awaitThere[corev1.ConfigMap](s, "kept", "alpha", "beta")

	s.in("alpha", "", "patch", "configmap", "settings", "--type=merge", "-p", `{"data":{"a":"theirs"}}`)
	s.in("beta", "", "delete", "configmap", "kept")
	o := s.verdict("configmap-settings", "alpha", "Skipped")
	if o.Reason != "Drifted" || !strings.Contains(o.Message, `.data.a: "theirs" -> "first"`) {
		t.Errorf("the drift is not told: %+v", o)
	}
	if gone := s.verdict("configmap-kept", "beta", "Skipped"); !strings.Contains(gone.Message, "is gone") {
		t.Errorf("that it is gone is not told: %+v", gone)
	}
	s.must(s.hasData("alpha", "settings", "theirs")())
	s.awaitEvent("ConfigMap", "settings", "Drifted", "alpha: somebody changed it")
	s.awaitCondition("configmap-settings", "Applied", metav1.ConditionFalse, "Drifted")
	s.awaitShown([]string{"alpha(Drifted),beta"}, "get", "distribution", "configmap-settings")

	s.apply(configMap("settings", "a", "second"))
	s.eventually("a new template ends it", s.hasData("alpha", "settings", "second"))
	s.verdict("configmap-settings", "alpha", "Configured")

	awaitThere[corev1.ConfigMap](s, "ceded", "alpha", "beta")
	s.in("alpha", "", "patch", "configmap", "ceded", "--type=merge", "-p", `{"data":{"a":"theirs"}}`)
	s.verdict("configmap-ceded", "alpha", "Skipped")
	s.kubectl(configMap("ceded", "b", "new"), "replace", "-f", "-")
	s.awaitEvent("ConfigMap", "ceded", "FieldsCeded", `alpha: the template does not set them any more, and they stay: .data.a`)
	s.must(s.hasData("alpha", "ceded", "theirs")())
	s.eventually("it is gone where nobody changed it", s.hasData("beta", "ceded", ""))
	s.awaitCondition("configmap-ceded", "Applied", metav1.ConditionTrue, "Applied")

	s.apply(placement("all", settings, both))
	awaitThere[corev1.ConfigMap](s, "kept", "beta")
	s.in("beta", "", "patch", "configmap", "settings", "--type=merge", "-p", `{"data":{"a":"theirs"}}`)
	s.eventually("by default it is undone", s.hasData("beta", "settings", "second"))
	s.awaitEvent("ConfigMap", "settings", "Repaired", "beta: somebody changed it")
	s.kubectl(configMap("settings", "b", "third"), "replace", "-f", "-")
	s.eventually("what was undone is the template's to drop", s.hasData("beta", "settings", ""))
	s.awaitEvent("ConfigMap", "kept", "Repaired", "beta: somebody deleted it")
}

// Who undoes in a member what the hub does is not fought: the hub waits longer each time, says whom it is up against, and
// has the last word when they stop.
func TestContend(t *testing.T) {
	s := onTestbed(t)
	s.apply(configMap("settings", "a", "ours"), placement("all", []string{"ConfigMap/settings"}, both))
	awaitThere[corev1.ConfigMap](s, "settings", "alpha", "beta")
	beta := s.member("beta").Client
	theirs := client.RawPatch("application/merge-patch+json", []byte(`{"data":{"a":"theirs"}}`))
	undone := 0
	undo := func() {
		c, err := get[corev1.ConfigMap](s, beta, "settings")
		s.must(err)
		if c.Data["a"] == "ours" {
			s.must(beta.Patch(t.Context(), c, theirs, client.FieldOwner("rival")))
			undone++
		}
	}
	s.eventually("it is a contest", func() error {
		undo()
		o, err := s.outcome("configmap-settings", "beta")
		if err == nil && (o.Reason != "Contended" || !strings.Contains(o.Message, `.data.a is owned by "rival"`)) {
			err = fmt.Errorf("it is %s (%s: %s) after %d times", o.Verdict, o.Reason, o.Message, undone)
		}
		return err
	})
	if undone > 5 {
		t.Errorf("the hub was answered %d times before it waited", undone)
	}
	s.awaitEvent("ConfigMap", "settings", "Contended", `.data.a is owned by "rival"`)
	s.awaitCondition("configmap-settings", "Applied", metav1.ConditionFalse, "Contended")
	s.eventually("the hub has the last word", s.hasData("beta", "settings", "ours"))
	s.awaitCondition("configmap-settings", "Applied", metav1.ConditionTrue, "Applied")
}

// A field that is ignored is made as the template has it and is the member's from then on; the rest is kept.
func TestIgnoreFields(t *testing.T) {
	s := onTestbed(t)
	s.apply(deployment("web", 4), configMap("settings", "theirs", "first"),
		placement("all", []string{"Deployment/web", "ConfigMap/settings"}, both,
			"ignoreFields: [/spec/replicas, /data/theirs]"))
	s.awaitShares("web", shares{"alpha": 2, "beta": 2})
	awaitThere[corev1.ConfigMap](s, "settings", "alpha", "beta")

	s.in("alpha", "", "scale", "deployment/web", "--replicas=3")
	s.in("alpha", "", "patch", "configmap", "settings", "--type=merge", "-p", `{"data":{"theirs":"changed","own":"x"}}`)
	s.apply(strings.ReplaceAll(configMap("settings", "theirs", "second"), "{theirs:", "{ours: new, theirs:"))
	s.kubectl("", "set", "image", "deployment/web", "web="+cluster.WebImageNext)
	for member, want := range map[string]map[string]string{
		"alpha": {"ours": "new", "theirs": "changed", "own": "x"},
		"beta":  {"ours": "new", "theirs": "first"},
	} {
		s.eventually("what is not ignored reaches "+member, func() error {
			c, err := get[corev1.ConfigMap](s, s.member(member).Client, "settings")
			if err != nil {
				return err
			}
			if diff := cmp.Diff(want, c.Data); diff != "" {
				return errors.New("data (-want, +got): " + diff)
			}
			return nil
		})
	}
	s.eventually("the image goes to alpha, the replicas stay", func() error {
		d, err := get[appsv1.Deployment](s, s.member("alpha").Client, "web")
		if err != nil {
			return err
		}
		if image := d.Spec.Template.Spec.Containers[0].Image; image != cluster.WebImageNext || *d.Spec.Replicas != 3 {
			return fmt.Errorf("%d replicas of %s", *d.Spec.Replicas, image)
		}
		return nil
	})
	if said := s.refused(placement("bad", []string{"ConfigMap/x"}, both, "ignoreFields: [data.theirs]"),
		"apply", "-f", "-"); !strings.Contains(said, "spec.ignoreFields") {
		t.Errorf("a path that is none is not refused by its field:\n%s", said)
	}
}

// A placement that only reports says what it would do and writes nothing; neither does one that is paused.
func TestReportOnly(t *testing.T) {
	s := onTestbed(t)
	s.in("alpha", "", "create", "namespace", s.ns)
	s.in("alpha", configMap("settings", "a", "theirs"), "apply", "-f", "-")
	t.Cleanup(func() {
		_ = s.member("alpha").Kube.CoreV1().Namespaces().Delete(context.Background(), s.ns, metav1.DeleteOptions{})
	})
	resources := []string{"ConfigMap/settings", "ConfigMap/other"}
	s.apply(configMap("settings", "a", "first"), configMap("other", "a", "first"),
		placement("all", resources, both, "reportOnly: true"))
	o := s.verdict("configmap-other", "beta", "Skipped")
	if o.Reason != "ReportOnly" || !strings.Contains(o.Message, "would be created, with its namespace") {
		t.Errorf("it is not told what would be done: %+v", o)
	}
	o = s.verdict("configmap-settings", "alpha", "Skipped")
	if !strings.Contains(o.Message, "would not be applied") || !strings.Contains(o.Message, ".data.a") ||
		strings.Contains(o.Message, "theirs") {
		t.Errorf("the conflict is not told by its path, or tells a foreign value: %+v", o)
	}
	s.awaitCondition("configmap-other", "Applied", metav1.ConditionFalse, "ReportOnly")
	s.awaitCondition("configmap-other", "Progressing", metav1.ConditionUnknown, "ReportOnly")
	s.nothing("other", "alpha", "beta")

	s.apply(placement("all", resources, both))
	awaitThere[corev1.ConfigMap](s, "other", "alpha", "beta")
	s.awaitCondition("configmap-other", "Progressing", metav1.ConditionTrue, "Complete")
	s.apply(placement("all", resources, both, "reportOnly: true"))
	s.eventually("the decision says so", func() error {
		d, err := s.distribution("configmap-other")
		if err == nil && !d.Spec.ReportOnly {
			err = errors.New("it does not")
		}
		return err
	})
	s.apply(configMap("other", "a", "second"))
	s.eventually("the change is told", func() error {
		o, err := s.outcome("configmap-other", "beta")
		if err == nil && !strings.Contains(o.Message, `would be changed: ~ .data.a: "first" -> "second"`) {
			err = fmt.Errorf("%+v", o)
		}
		return err
	})
	s.must(s.hasData("beta", "other", "first")())

	// Neither is anything removed, until the placement lets it.
	s.kubectl("", "delete", "configmap", "other", "--wait=false")
	o = s.verdict("configmap-other", "beta", "Pending")
	if !strings.Contains(o.Message, "would be removed") {
		t.Errorf("it is not told that it would be removed: %+v", o)
	}
	s.must(s.hasData("beta", "other", "first")())
	s.apply(placement("all", resources, []string{"alpha=1"}, "paused: true"))
	if o = s.verdict("configmap-other", "beta", "Pending"); !strings.Contains(o.Message, "placement") {
		t.Errorf("it is not told that the placement is paused: %+v", o)
	}
	s.must(s.hasData("beta", "other", "first")())
	s.apply(placement("all", resources, both))
	awaitGone[corev1.ConfigMap](s, "other", "alpha", "beta")
}

// A change that the member cannot make is told with what to do, and is made by a new object where the placement says so.
func TestRecreate(t *testing.T) {
	s := onTestbed(t)
	// The selector that a member gets is what an override makes of it.
	relabel := func(value string) string {
		return fmt.Sprintf("overrides: [{patch: [{op: add, path: /spec/selector/matchLabels/side, value: %[1]s}, "+
			"{op: add, path: /spec/template/metadata/labels/side, value: %[1]s}]}]", value)
	}
	s.apply(placement("web", []string{"Deployment/web"}, both, relabel("a")), deployment("web", 2))
	s.awaitShares("web", shares{"alpha": 1, "beta": 1})
	first, err := get[appsv1.Deployment](s, s.member("alpha").Client, "web")
	s.must(err)
	s.apply(placement("web", []string{"Deployment/web"}, both, relabel("b")))
	o := s.verdict("deployment.apps-web", "alpha", "Failed")
	if o.Reason != "ImmutableField" || !strings.Contains(o.Message, "onImmutable: Recreate") {
		t.Errorf("it is not told what to do: %+v", o)
	}
	s.awaitEvent("Deployment", "web", "ApplyFailed", "ImmutableField")
	s.apply(placement("web", []string{"Deployment/web"}, both, relabel("b"), "onImmutable: Recreate"))
	s.awaitShares("web", shares{"alpha": 1, "beta": 1})
	s.eventually("it was made anew", func() error {
		d, err := get[appsv1.Deployment](s, s.member("alpha").Client, "web")
		switch {
		case err != nil:
			return err
		case d == nil:
			return errors.New("it is deleted, and not there again yet")
		case d.UID == first.UID || d.Spec.Selector.MatchLabels["side"] != "b":
			return fmt.Errorf("the selector is %v", d.Spec.Selector)
		}
		return nil
	})
	s.awaitEvent("Deployment", "web", "Recreated", "deleted and recreated")
}

// Overrides make another object for each member; one that cannot be read is refused, one that does not fit is told for
// the member that it does not fit, with its path, and holds up no other.
func TestOverride(t *testing.T) {
	s := onTestbed(t)
	s.kubectl("", "label", "cluster", "alpha", "tier=gold", "--overwrite")
	t.Cleanup(func() {
		_, err := s.hub.Kubectl(context.Background(), "", "label", "cluster", "alpha", "tier-")
		s.must(err)
	})
	s.apply(deployment("web", 2), placement("web", []string{"Deployment/web"}, both, `overrides:
  - {labels: {where: "${cluster.name}"}, env: [{name: TIER, value: "none"}]}
  - clusters: [{selector: {matchLabels: {tier: gold}}}]
    env: [{name: TIER, value: "${cluster.labels['tier']}"}]
    merge: {spec: {minReadySeconds: 1}}
    patch: [{op: add, path: /metadata/annotations, value: {at: "${cluster.name}"}}]
  - clusters: [{name: beta}]
    args: {container: web, value: []}`))
	s.awaitShares("web", shares{"alpha": 1, "beta": 1})
	for member, want := range map[string]string{"alpha": "alpha gold 1 alpha", "beta": "beta none 0 "} {
		d, err := get[appsv1.Deployment](s, s.member(member).Client, "web")
		s.must(err)
		env := d.Spec.Template.Spec.Containers[0].Env
		got := fmt.Sprintf("%s %s %d %s", d.Labels["where"], env[0].Value, d.Spec.MinReadySeconds, d.Annotations["at"])
		if got != want {
			t.Errorf("%s has %q, want %q", member, got, want)
		}
	}
	for _, bad := range []struct{ override, says string }{
		{"{patch: [{op: replace, path: /metadata/name, value: x}]}", "spec.overrides[0].patch[0].path"},
		{"{labels: {where: '${cluster.moon}'}}", "spec.overrides[0].labels"},
		{"{clusters: [{selector: {matchExpressions: [{key: a, operator: Is}]}}]}", "spec.overrides[0].clusters[0]"},
	} {
		manifest := placement("bad", []string{"ConfigMap/x"}, both, "overrides: ["+bad.override+"]")
		if said := s.refused(manifest, "apply", "-f", "-"); !strings.Contains(said, bad.says) {
			t.Errorf("the refusal of %s does not name %s:\n%s", bad.override, bad.says, said)
		}
	}
	s.apply(configMap("settings", "a", "b"), placement("settings", []string{"ConfigMap/settings"}, both,
		"overrides: [{clusters: [{name: beta}], patch: [{op: replace, path: /data/missing, value: x}]}]"))
	awaitThere[corev1.ConfigMap](s, "settings", "alpha")
	o := s.verdict("configmap-settings", "beta", "Failed")
	if !strings.Contains(o.Message, "spec.overrides[0].patch[0]") || !strings.Contains(o.Message, "/data/missing") {
		t.Errorf("the path is not told: %+v", o)
	}
	s.awaitEvent("ConfigMap", "settings", "ApplyFailed", "spec.overrides[0].patch[0]")
}

// nothing checks that no member has the ConfigMap.
func (s *scenario) nothing(name string, members ...string) {
	s.Helper()
	for _, member := range members {
		if c, err := get[corev1.ConfigMap](s, s.member(member).Client, name); err != nil || c != nil {
			s.Errorf("%s has %s: %v", member, name, err)
		}
	}
}

// awaitEvent waits until the template has an Event with the reason and the words.
func (s *scenario) awaitEvent(kind, name, reason, words string) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s %s has the Event %s: …%s…", kind, name, reason, words), func() error {
		var all corev1.EventList
		if err := s.hub.Client.List(s.Context(), &all, client.InNamespace(s.ns)); err != nil {
			return err
		}
		var told []string
		for _, e := range all.Items {
			if e.InvolvedObject.Kind != kind || e.InvolvedObject.Name != name {
				continue
			}
			if e.Reason == reason && strings.Contains(e.Message, words) {
				return nil
			}
			told = append(told, e.Reason+": "+e.Message)
		}
		return errors.New(strings.Join(told, "\n"))
	})
}

// awaitCondition waits until a Distribution has the condition.
func (s *scenario) awaitCondition(distribution, condition string, status metav1.ConditionStatus, reason string) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s is %s=%s, %s", distribution, condition, status, reason), func() error {
		d, err := s.distribution(distribution)
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(d.Status.Conditions, condition)
		if c == nil || c.Status != status || c.Reason != reason {
			return fmt.Errorf("it is %+v", c)
		}
		return nil
	})
}
