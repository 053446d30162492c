package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// A webhook in a member that changes what it is sent is not fought: what it makes of the object stays, and so does
// what we set beside it.
func TestAMemberMutates(t *testing.T) {
	s := onTestbed(t)
	manifest := mutator(t, s.ns)
	s.in("beta", manifest, "apply", "-f", "-")
	remove := func() {
		_, _ = harness.RunKubectl(context.Background(), s.member("beta").Kubeconfig(), manifest, "delete",
			"--ignore-not-found", "-f", "-")
	}
	t.Cleanup(remove)
	s.eventually("the webhook is in force", func() error {
		r, err := harness.RunKubectl(t.Context(), s.member("beta").Kubeconfig(), configMap("mutated", "a", "b"),
			"create", "--dry-run=server", "-n", "default", "-o", "yaml", "-f", "-")
		if err == nil && !strings.Contains(r.Stdout, "a: theirs") {
			err = errors.New(r.String())
		}
		return err
	})
	s.apply(configMap("mutated", "a", "ours"), placement("mutated", []string{"ConfigMap/mutated"}, both))
	s.eventually("beta has what the webhook made of it", s.hasData("beta", "mutated", "theirs"))
	s.verdict("configmap-mutated", "beta", "Created", "Configured", "Unchanged")
	version := func() string {
		c, err := get[corev1.ConfigMap](s, s.member("beta").Client, "mutated")
		s.must(err)
		return c.ResourceVersion
	}
	before := version()
	s.apply(configMap("other", "a", "b"), placement("other", []string{"ConfigMap/other"}, both))
	awaitThere[corev1.ConfigMap](s, "other", "beta")
	harness.Throughout(t, "the object is left alone", func() error {
		if now := version(); now != before {
			return fmt.Errorf("it was written: %s, now %s", before, now)
		}
		return nil
	}, func() { time.Sleep(3 * time.Second) }) // an observation: nothing may happen meanwhile
	s.apply(strings.ReplaceAll(configMap("mutated", "a", "ours"), "{a:", "{more: new, a:"))
	s.eventually("a new template goes through the webhook as well", func() error {
		c, err := get[corev1.ConfigMap](s, s.member("beta").Client, "mutated")
		if err == nil && (c.Data["more"] != "new" || c.Data["a"] != "theirs") {
			err = fmt.Errorf("data %v", c.Data)
		}
		return err
	})
	remove()
}

// mutator starts a webhook on this machine that gives ConfigMaps named mutated a label and another value under a.
func mutator(t *testing.T, ns string) string {
	patch := []byte(`[{"op": "add", "path": "/data/a", "value": "theirs"},
		{"op": "add", "path": "/metadata/labels", "value": {"injected": "yes"}}]`)
	url, ca := reviewer(t, func(asked *admissionv1.AdmissionRequest, answer *admissionv1.AdmissionResponse) {
		if asked.Name != "mutated" {
			return
		}
		kind, merged := admissionv1.PatchTypeJSONPatch, bytes.Clone(patch)
		var object struct{ Metadata metav1.ObjectMeta }
		if json.Unmarshal(asked.Object.Raw, &object) == nil && len(object.Metadata.Labels) > 0 {
			merged = bytes.ReplaceAll(merged, []byte(`/metadata/labels", "value": {"injected": "yes"}`),
				[]byte(`/metadata/labels/injected", "value": "yes"`))
		}
		answer.Patch, answer.PatchType = merged, &kind
	})
	return reviewedBy("MutatingWebhookConfiguration", ns, url, ca)
}

// A quota in a member that is used up refuses, in its own words, and what was refused is applied when there is room.
func TestAQuotaRefuses(t *testing.T) {
	s := onTestbed(t)
	s.in("beta", "", "create", "namespace", s.ns)
	t.Cleanup(func() {
		_ = s.member("beta").Kube.CoreV1().Namespaces().Delete(context.Background(), s.ns, metav1.DeleteOptions{})
	})
	s.in("beta", "", "create", "quota", "tight", "--hard=configmaps=1")
	s.eventually("the quota counts", func() error {
		q, err := get[corev1.ResourceQuota](s, s.member("beta").Client, "tight")
		if err == nil && len(q.Status.Used) == 0 {
			err = errors.New("it does not")
		}
		return err
	})
	s.apply(configMap("settings", "a", "b"), placement("settings", []string{"ConfigMap/settings"}, both,
		"progressDeadline: 3s"))
	awaitThere[corev1.ConfigMap](s, "settings", "alpha")
	o := s.verdict("configmap-settings", "beta", "Failed")
	if o.Reason != "QuotaExceeded" || !strings.Contains(o.Message, "exceeded quota: tight") {
		t.Errorf("the quota's words do not reach the user: %+v", o)
	}
	s.awaitEvent("ConfigMap", "settings", "ApplyFailed", "exceeded quota: tight")
	s.awaitCondition("configmap-settings", "Progressing", metav1.ConditionFalse, "DeadlineExceeded")
	s.awaitEvent("ConfigMap", "settings", "DeadlineExceeded", "ConfigMap settings: no progress for 3s: beta: Failed")
	s.awaitShown([]string{"exceeded quota: tight"}, "describe", "configmap", "settings")
	s.awaitShown([]string{"DeadlineExceeded", "exceeded quota: tight"}, "get", "placement", "settings", "-o", "wide")
	s.in("beta", "", "delete", "quota", "tight")
	awaitThere[corev1.ConfigMap](s, "settings", "beta")
	s.awaitEvent("ConfigMap", "settings", "Applied", "beta: applied, after QuotaExceeded")
	s.awaitCondition("configmap-settings", "Progressing", metav1.ConditionTrue, "Complete")
}

// A namespace of a member that does not end holds up what is to go into it, and nothing else; both are told.
func TestANamespaceIsStuck(t *testing.T) {
	s := onTestbed(t)
	beta := s.member("beta")
	s.in("beta", "", "create", "namespace", s.ns)
	s.in("beta", configMap("holder", "a", "b"), "apply", "-f", "-")
	s.in("beta", "", "patch", "configmap", "holder", "--type=merge", "-p", `{"metadata":{"finalizers":["example.org/hold"]}}`)
	letGo := func() {
		_, _ = harness.RunKubectl(context.Background(), beta.Kubeconfig(), "", "--namespace", s.ns, "patch", "configmap",
			"holder", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	}
	t.Cleanup(letGo)
	s.in("beta", "", "delete", "namespace", s.ns, "--wait=false")
	s.apply(configMap("settings", "a", "b"), placement("settings", []string{"ConfigMap/settings"}, both))
	awaitThere[corev1.ConfigMap](s, "settings", "alpha")
	o := s.verdict("configmap-settings", "beta", "Pending")
	if o.Reason != "NamespaceEnding" || !strings.Contains(o.Message, s.ns) {
		t.Errorf("it is not told what it waits for: %+v", o)
	}
	letGo()
	awaitThere[corev1.ConfigMap](s, "settings", "beta")
}

// What was deleted while a member was away is carried out when it returns, also when the hub was started again meanwhile.
func TestDeleteWhileAway(t *testing.T) {
	s := onTestbed(t)
	s.apply(configMap("doomed", "a", "b"), configMap("kept", "a", "b"),
		placement("all", []string{"ConfigMap/doomed", "ConfigMap/kept"}, both))
	awaitThere[corev1.ConfigMap](s, "doomed", "alpha", "beta")
	awaitThere[corev1.ConfigMap](s, "kept", "alpha", "beta")
	s.in("beta", configMap("foreign", "a", "b"), "apply", "-f", "-")
	s.must(s.member("beta").Kill(cluster.All))
	t.Cleanup(func() { s.must(s.member("beta").Start(cluster.All)) })
	s.awaitCluster("beta", metav1.ConditionFalse)
	s.kubectl("", "delete", "configmap", "doomed", "--wait=false")
	s.kubectl("", "delete", "placement", "all")
	awaitGone[corev1.ConfigMap](s, "doomed", "alpha")
	awaitGone[corev1.ConfigMap](s, "kept", "alpha")
	s.verdict("configmap-doomed", "beta", "Pending")
	s.must(s.hub.Stop())
	s.must(s.hub.Start(t.Context()))
	s.awaitCluster("alpha", metav1.ConditionTrue)
	s.must(s.member("beta").Start(cluster.All))
	s.awaitCluster("beta", metav1.ConditionTrue)
	awaitGone[corev1.ConfigMap](s, "doomed", "beta")
	awaitGone[corev1.ConfigMap](s, "kept", "beta")
	awaitThere[corev1.ConfigMap](s, "foreign", "beta")
	s.eventually("the deleted template is gone", func() error {
		c, err := get[corev1.ConfigMap](s, s.hub.Client, "doomed")
		if err == nil && c != nil {
			err = fmt.Errorf("it has the finalizers %v", c.Finalizers)
		}
		return err
	})
	s.in("beta", "", "delete", "configmap", "foreign")
}

// What leaves by onDelete: Orphan stays in the members, without our marks, and is not touched any more.
func TestOrphan(t *testing.T) {
	s := onTestbed(t)
	s.apply(configMap("settings", "a", "b"), placement("all", []string{"ConfigMap/settings"}, both, "onDelete: Orphan"))
	awaitThere[corev1.ConfigMap](s, "settings", "alpha", "beta")
	s.apply(placement("all", []string{"ConfigMap/settings"}, []string{"alpha=1"}, "onDelete: Orphan"))
	free := func(member string) {
		t.Helper()
		s.eventually("the copy in "+member+" is nobody's", func() error {
			c, err := get[corev1.ConfigMap](s, s.member(member).Client, "settings")
			if err == nil && (c == nil || c.Labels[v1alpha1.HubLabel] != "" || c.Annotations[v1alpha1.TemplateAnnotation] != "") {
				err = fmt.Errorf("it is %v", c)
			}
			return err
		})
	}
	free("beta")
	s.kubectl("", "delete", "configmap", "settings", "--timeout=60s")
	free("alpha")
	for _, member := range []string{"alpha", "beta"} {
		s.in(member, "", "delete", "namespace", s.ns, "--wait=false")
	}
}

// A template that nothing places any more says that it runs nowhere, and nothing of members; one that is placed nowhere is
// neither applied nor ready, and says why.
func TestUnplace(t *testing.T) {
	s := onTestbed(t)
	s.apply(deployment("web", 2), placement("web", []string{"Deployment/web"}, both))
	s.awaitShares("web", shares{"alpha": 1, "beta": 1})
	s.eventually("the template has the sum", s.readyOnHub("web", 2))
	s.kubectl("", "delete", "placement", "web")
	awaitGone[appsv1.Deployment](s, "web", "alpha", "beta")
	s.eventually("the sum is gone", s.readyOnHub("web", 0))
	s.awaitUnplaced("web", "NotPlaced", "no placement selects it")
	s.awaitEvent("Deployment", "web", "Unplaced", "alpha, beta")
	s.apply(placement("web", []string{"Deployment/web"}, []string{"mars=1"}))
	s.awaitCondition("deployment.apps-web", "Applied", metav1.ConditionFalse, "NoClusters")
	s.awaitCondition("deployment.apps-web", "Ready", metav1.ConditionUnknown, "NoClusters")
	s.awaitEvent("Deployment", "web", "NoClusters", "mars")
	s.awaitUnplaced("web", "Unplaced", "there is no cluster mars")
	s.apply(placement("web", []string{"Deployment/web"}, both))
	s.awaitShares("web", shares{"alpha": 1, "beta": 1})
}

func (s *scenario) readyOnHub(name string, ready int32) func() error {
	return func() error {
		d, err := get[appsv1.Deployment](s, s.hub.Client, name)
		if err == nil && (d.Status.ReadyReplicas != ready || ready == 0 && d.Status.Replicas > 0) {
			err = fmt.Errorf("its status is %+v", d.Status)
		}
		return err
	}
}

// awaitUnplaced waits until a Deployment on the hub says why it runs nowhere.
func (s *scenario) awaitUnplaced(name, reason, text string) {
	s.Helper()
	s.eventually("the template says why it runs nowhere", func() error {
		d, err := get[appsv1.Deployment](s, s.hub.Client, name)
		if err != nil {
			return err
		}
		for _, c := range d.Status.Conditions {
			if c.Type == appsv1.DeploymentAvailable && c.Status == corev1.ConditionFalse && c.Reason == reason &&
				strings.Contains(c.Message, text) {
				return nil
			}
		}
		return fmt.Errorf("its conditions are %+v", d.Status.Conditions)
	})
}

// A second hub that is pointed at a member is told whose object it is, and does not fight.
func TestTwoHubs(t *testing.T) {
	s := onTestbed(t)
	s.apply(configMap("settings", "a", "first"), placement("settings", []string{"ConfigMap/settings"}, both))
	awaitThere[corev1.ConfigMap](s, "settings", "alpha", "beta")
	second, err := harness.StartHub(t.Context(), harness.HubOptions{})
	s.must(err)
	t.Cleanup(func() { _ = second.Close() })
	other := &scenario{T: t, federation: &federation{hub: second, members: s.members}, ns: s.ns}
	config, err := clientcmd.BuildConfigFromFlags("", s.member("beta").Kubeconfig())
	s.must(err)
	s.must(rest.LoadTLSFiles(config))
	other.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}})
	other.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.SystemNamespace, Name: "beta"},
		Data: map[string][]byte{corev1.TLSCertKey: config.CertData, corev1.TLSPrivateKeyKey: config.KeyData}})
	other.apply(fmt.Sprintf(`
apiVersion: hanse.io/v1alpha1
kind: Cluster
metadata: {name: beta}
spec: {connection: {server: %q, caBundle: %s, credentials: {secretName: beta}}}`, config.Host, base64.StdEncoding.EncodeToString(config.CAData)))
	other.awaitCluster("beta", metav1.ConditionTrue)
	uid, err := s.hub.Kube.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	s.must(err)
	other.apply(configMap("settings", "a", "second"), placement("settings", []string{"ConfigMap/settings"}, []string{"beta=1"},
		"onConflict: Adopt"))
	o := other.verdict("configmap-settings", "beta", "Conflict")
	if o.Reason != "OtherHub" || !strings.Contains(o.Message, string(uid.UID)) || !strings.Contains(o.Message, ".data.a") ||
		strings.Contains(o.Message, "first") {
		t.Errorf("it is not told whose object it is and where it differs, or what is in it: %+v", o)
	}
	s.must(s.hasData("beta", "settings", "first")())
	other.kubectl("", "delete", "configmap", "settings", "--timeout=60s")
	s.must(s.hasData("beta", "settings", "first")())
}

// An object as big as a cluster takes is placed and changed as any other.
func TestABigObject(t *testing.T) {
	s := onTestbed(t)
	c := annotated(s.ns, "big", "alpha=1,beta=1")
	c.Data["ballast"] = strings.Repeat("ballast ", 120<<10) // with all else just below the 1 MiB of a ConfigMap
	s.create(c)
	awaitThere[corev1.ConfigMap](s, "big", "alpha", "beta")
	change := client.RawPatch("application/merge-patch+json", []byte(`{"data":{"a":"changed"}}`))
	s.must(s.hub.Client.Patch(t.Context(), c, change))
	s.eventually("the change is there", s.hasData("beta", "big", "changed"))
	s.must(s.hub.Client.Delete(t.Context(), c))
	awaitGone[corev1.ConfigMap](s, "big", "alpha", "beta")
}
