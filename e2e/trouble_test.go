package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

var both = []string{"alpha=1", "beta=1"}

// A member that is lost is unknown, not empty: its figures stay with the time they are from, the others go on, and
// what was asked for meanwhile is done when it returns.
func TestLoseAMember(t *testing.T) {
	s := onTestbed(t)
	s.apply(deployment("web", 4), loadBalancer("web"), configMap("doomed", "a", "b"),
		placement("web", []string{"Deployment/web", "Service/web"}, both),
		placement("doomed", []string{"ConfigMap/doomed"}, both),
		placement("late", []string{"ConfigMap/late"}, both), `
apiVersion: hanse.io/v1alpha1
kind: Zone
metadata: {name: lose.example}
spec: {}`, `
apiVersion: hanse.io/v1alpha1
kind: GlobalService
metadata: {name: web}
spec: {service: web, hostnames: [web.lose.example], staleAfter: 2s}`)
	t.Cleanup(func() {
		_ = s.hub.Client.Delete(context.Background(), &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: "lose.example"}})
	})
	s.awaitShares("web", shares{"alpha": 2, "beta": 2})
	s.placeNightly("beta=1")
	awaitThere[batchv1.CronJob](s, "nightly", "beta")
	s.placeNightly("alpha=1", "beta=1") // it stays where it is
	awaitThere[corev1.ConfigMap](s, "doomed", "alpha", "beta")
	alpha, beta := s.address("alpha", "web"), s.address("beta", "web")
	s.awaitAnswer("web.lose.example", alpha, beta)

	s.must(s.member("beta").Kill(cluster.All))
	t.Cleanup(func() { s.must(s.member("beta").Start(cluster.All)) })
	lost := s.awaitCluster("beta", metav1.ConditionFalse)
	if lost.Status.LastSeen == nil || lost.Status.KubernetesVersion == "" {
		t.Errorf("the Cluster forgot what was known of it: %+v", lost.Status)
	}
	s.eventually("the figures of beta stay, as unknown", func() error {
		o, err := s.outcome("deployment.apps-web", "beta")
		if err == nil && (!o.Unknown || o.Health != "Unknown" || o.LastSeen == nil || o.Ready == nil || *o.Ready != 2) {
			err = fmt.Errorf("it is %+v", o)
		}
		return err
	})
	d, err := get[appsv1.Deployment](s, s.hub.Client, "web")
	s.must(err)
	if d.Status.ReadyReplicas != 4 {
		t.Errorf("the hub says %d ready replicas, want the last known 4", d.Status.ReadyReplicas)
	}
	s.awaitShown([]string{"beta=2/2(Unknown)"}, "get", "deployment", "web")
	awaitThere[batchv1.CronJob](s, "nightly", "alpha")
	s.awaitAnswer("web.lose.example", alpha)

	s.apply(configMap("late", "a", "b"))
	awaitThere[corev1.ConfigMap](s, "late", "alpha")
	s.kubectl("", "delete", "configmap", "doomed", "--wait=false")
	awaitGone[corev1.ConfigMap](s, "doomed", "alpha")
	o := s.verdict("configmap-doomed", "beta", "Pending")
	if !strings.Contains(o.Message, "when the member can be reached again") {
		t.Errorf("the deletion does not say what it waits for: %+v", o)
	}

	s.must(s.member("beta").Start(cluster.All))
	s.awaitCluster("beta", metav1.ConditionTrue)
	awaitGone[batchv1.CronJob](s, "nightly", "beta") // it has moved, and is not in two
	awaitThere[batchv1.CronJob](s, "nightly", "alpha")
	awaitGone[corev1.ConfigMap](s, "doomed", "beta")
	awaitThere[corev1.ConfigMap](s, "late", "beta")
	s.eventually("the deleted template is gone", func() error {
		c, err := get[corev1.ConfigMap](s, s.hub.Client, "doomed")
		if err == nil && c != nil {
			err = fmt.Errorf("it has the finalizers %v", c.Finalizers)
		}
		return err
	})
	s.awaitShares("web", shares{"alpha": 2, "beta": 2})
	s.awaitAnswer("web.lose.example", alpha, beta)
}

// placeNightly places a CronJob that leaves a lost cluster soon.
func (s *scenario) placeNightly(clusters ...string) {
	s.Helper()
	s.apply(`
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: once, image: "`+cluster.WebImage+`", args: [once]}]}}}}`,
		placement("nightly", []string{"CronJob/nightly"}, clusters, "failover: {after: 2s}"))
}

// A member whose connections stay open and never answer holds nobody up.
func TestAMemberHangs(t *testing.T) {
	s := onTestbed(t)
	s.must(s.member("beta").Pause(cluster.All))
	t.Cleanup(func() { s.must(s.member("beta").Resume(cluster.All)) })
	var names []string
	for i := range 20 {
		name := fmt.Sprintf("settings-%d", i)
		names = append(names, name)
		s.create(annotated(s.ns, name, "alpha=1,beta=1"))
	}
	begin := time.Now()
	for _, name := range names {
		awaitThere[corev1.ConfigMap](s, name, "alpha")
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("a hanging member held up another one: 20 objects took %s", took)
	}
	s.awaitCluster("beta", metav1.ConditionFalse)
	s.must(s.member("beta").Resume(cluster.All))
	for _, name := range names {
		awaitThere[corev1.ConfigMap](s, name, "beta")
	}
}

// A paused member keeps what it has, and catches up when it is no longer paused.
func TestPauseAMember(t *testing.T) {
	s := onTestbed(t)
	s.apply(configMap("settings", "a", "first"), configMap("doomed", "a", "b"),
		placement("all", []string{"ConfigMap/settings", "ConfigMap/doomed"}, both))
	awaitThere[corev1.ConfigMap](s, "settings", "alpha", "beta")
	awaitThere[corev1.ConfigMap](s, "doomed", "alpha", "beta")
	s.kubectl("", "patch", "cluster", "beta", "--type=merge", "-p", `{"spec":{"paused":true}}`)
	resume := func() { s.pause("beta", false) }
	t.Cleanup(resume)

	s.apply(configMap("settings", "a", "second"))
	s.kubectl("", "delete", "configmap", "doomed", "--wait=false")
	s.eventually("alpha has the change", s.hasData("alpha", "settings", "second"))
	awaitGone[corev1.ConfigMap](s, "doomed", "alpha")
	o := s.verdict("configmap-settings", "beta", "Skipped")
	if o.Reason != "Paused" {
		t.Errorf("the reason is not told: %+v", o)
	}
	s.in("beta", "", "label", "configmap", "settings", "team=red")
	s.must(s.hasData("beta", "settings", "first")())
	awaitThere[corev1.ConfigMap](s, "doomed", "beta")

	resume()
	s.eventually("beta catches up", s.hasData("beta", "settings", "second"))
	awaitGone[corev1.ConfigMap](s, "doomed", "beta")
}

// When one kind is forbidden in a member, the others go on, and the message says who forbids what.
func TestOneKindIsForbidden(t *testing.T) {
	s := onTestbed(t)
	beta := s.member("beta")
	role := &rbacv1.ClusterRole{}
	s.must(beta.Client.Get(t.Context(), client.ObjectKey{Name: "hanse-hub"}, role))
	complete := slices.Clone(role.Rules)
	for i := range role.Rules {
		role.Rules[i].Resources = slices.DeleteFunc(slices.Clone(role.Rules[i].Resources),
			func(r string) bool { return r == "configmaps" })
	}
	role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool {
		return len(r.NonResourceURLs) == 0 && (len(r.Resources) == 0 || slices.Contains(r.Resources, "*") && r.APIGroups[0] == "*")
	})
	s.must(beta.Client.Update(t.Context(), role))
	restore := func() {
		fresh := &rbacv1.ClusterRole{}
		s.must(beta.Client.Get(context.Background(), client.ObjectKey{Name: "hanse-hub"}, fresh))
		fresh.Rules = complete
		s.must(beta.Client.Update(context.Background(), fresh))
	}
	t.Cleanup(restore)

	s.apply(deployment("web", 2), configMap("settings", "a", "b"),
		placement("all", []string{"Deployment/web", "ConfigMap/settings"}, both))
	s.awaitShares("web", shares{"alpha": 1, "beta": 1})
	awaitThere[corev1.ConfigMap](s, "settings", "alpha")
	o := s.verdict("configmap-settings", "beta", "Failed")
	if !strings.Contains(o.Message, "forbidden") || !strings.Contains(o.Message, "configmaps") {
		t.Errorf("the message does not say what is forbidden: %s", o.Message)
	}
	s.awaitCluster("beta", metav1.ConditionTrue)
	s.kubectl("", "scale", "deployment/web", "--replicas=4")
	s.awaitShares("web", shares{"alpha": 2, "beta": 2})

	restore()
	s.kubectl("", "annotate", "configmap", "settings", "touched=yes")
	awaitThere[corev1.ConfigMap](s, "settings", "beta")
}

// What a policy or a webhook in a member says reaches the user, word for word.
func TestAMemberRefuses(t *testing.T) {
	s := onTestbed(t)
	beta := s.member("beta")
	for _, refusal := range []struct {
		name    string
		install func(t *testing.T) (manifest, remove string)
	}{
		{"policy", func(*testing.T) (string, string) { return policy(s.ns), "validatingadmissionpolicy" }},
		{"webhook", func(t *testing.T) (string, string) { return webhook(t, s.ns), "validatingwebhookconfiguration" }},
	} {
		t.Run(refusal.name, func(t *testing.T) {
			s := &scenario{T: t, federation: s.federation, ns: s.ns}
			manifest, _ := refusal.install(t)
			s.in("beta", manifest, "apply", "-f", "-")
			remove := func() {
				_, _ = harness.RunKubectl(context.Background(), beta.Kubeconfig(), manifest, "delete", "--ignore-not-found", "-f", "-")
			}
			t.Cleanup(remove)
			s.eventually("the refusal is in force", func() error {
				r, err := harness.RunKubectl(t.Context(), beta.Kubeconfig(), configMap("picky", "a", "b"),
					"create", "--dry-run=server", "-n", "default", "-f", "-")
				if err == nil && !strings.Contains(r.Stderr, "no blue on Fridays") {
					err = errors.New(r.String())
				}
				return err
			})
			name := "picky"
			s.apply(configMap(name, "a", "b"), placement(name, []string{"ConfigMap/" + name}, both))
			awaitThere[corev1.ConfigMap](s, name, "alpha")
			o := s.verdict("configmap-"+name, "beta", "Failed")
			if !strings.Contains(o.Message, "no blue on Fridays") {
				t.Errorf("the member's words do not reach the user: %s", o.Message)
			}
			s.eventually("the Placement says it as well", func() error {
				p, err := get[v1alpha1.Placement](s, s.hub.Client, name)
				if err != nil {
					return err
				}
				c := meta.FindStatusCondition(p.Status.Conditions, "Applied")
				if c == nil || c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "no blue on Fridays") {
					return fmt.Errorf("it says %+v", c)
				}
				return nil
			})
			remove()
			s.kubectl("", "annotate", "configmap", name, "touched=yes")
			awaitThere[corev1.ConfigMap](s, name, "beta")
			s.kubectl("", "delete", "configmap", name)
			awaitGone[corev1.ConfigMap](s, name, "alpha", "beta")
		})
	}
}

// policy refuses ConfigMaps named picky.
func policy(ns string) string {
	return fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]
  validations: [{expression: "object.metadata.name != 'picky'", message: no blue on Fridays}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s, validationActions: [Deny]}`, ns)
}

// webhook starts a webhook on this machine that refuses ConfigMaps named picky.
func webhook(t *testing.T, ns string) string {
	url, ca := reviewer(t, func(asked *admissionv1.AdmissionRequest, answer *admissionv1.AdmissionResponse) {
		if answer.Allowed = asked.Name != "picky"; !answer.Allowed {
			answer.Result = &metav1.Status{Message: "no blue on Fridays", Code: http.StatusForbidden}
		}
	})
	return reviewedBy("ValidatingWebhookConfiguration", ns, url, ca)
}

// reviewedBy has ConfigMaps reviewed by a webhook.
func reviewedBy(kind, name, url string, ca []byte) string {
	return fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: %s
metadata: {name: %s}
webhooks:
- name: review.e2e.hanse.io
  clientConfig: {url: %q, caBundle: %s}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]
  sideEffects: None
  admissionReviewVersions: [v1]`, kind, name, url, ca)
}

// reviewer starts an admission webhook on this machine and returns its URL and, as JSON, the CA to trust. Requests are
// allowed, unless judge says otherwise.
func reviewer(
	t *testing.T, judge func(*admissionv1.AdmissionRequest, *admissionv1.AdmissionResponse),
) (url string, ca []byte) {
	t.Helper()
	if onKind() {
		t.Skip("the API server of a kind cluster does not reach a webhook on this machine's loopback")
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, "not a review", http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		judge(review.Request, review.Response)
		review.Request = nil
		_ = json.NewEncoder(w).Encode(review)
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca, err := json.Marshal(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	if err != nil {
		t.Fatal(err)
	}
	return server.URL, ca
}

// A token that was revoked is told with what to do, and a renewed membership goes on where it stopped.
func TestTheTokenIsRevoked(t *testing.T) {
	s := onTestbed(t)
	beta := s.member("beta")
	s.must(beta.Kube.CoreV1().ServiceAccounts(v1alpha1.SystemNamespace).Delete(t.Context(), "hanse-hub", metav1.DeleteOptions{}))
	renew := func() error {
		return harness.Join(context.Background(), s.hub, beta, "--renew")
	}
	t.Cleanup(func() { s.must(renew()) })
	refused := s.awaitCluster("beta", metav1.ConditionFalse)
	ready := meta.FindStatusCondition(refused.Status.Conditions, v1alpha1.ClusterConditionReady)
	if ready.Reason != "Unauthorized" || !strings.Contains(ready.Message, "hanse join") {
		t.Errorf("the Cluster does not say what to do: %+v", ready)
	}
	s.apply(configMap("settings", "a", "b"), placement("settings", []string{"ConfigMap/settings"}, both))
	awaitThere[corev1.ConfigMap](s, "settings", "alpha")
	s.must(renew())
	s.awaitCluster("beta", metav1.ConditionTrue)
	awaitThere[corev1.ConfigMap](s, "settings", "beta")
}

// annotated is a ConfigMap that is placed in one line.
func annotated(ns, name, clusters string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Annotations: map[string]string{v1alpha1.ClustersAnnotation: clusters}},
		Data:       map[string]string{"name": name},
	}
}

func (s *scenario) create(obj client.Object) {
	s.Helper()
	s.must(s.hub.Client.Create(s.Context(), obj))
}

// hasData says whether a ConfigMap in a member has the value under the key a.
func (s *scenario) hasData(member, name, value string) func() error {
	return func() error {
		c, err := get[corev1.ConfigMap](s, s.member(member).Client, name)
		if err == nil && (c == nil || c.Data["a"] != value) {
			err = fmt.Errorf("it is %v", c)
		}
		return err
	}
}

func (s *scenario) pause(member string, paused bool) {
	s.Helper()
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: member}}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"paused":%t}}`, paused))
	s.must(s.hub.Client.Patch(context.Background(), c, patch))
}
