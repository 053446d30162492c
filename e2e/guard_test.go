package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// guards are what guards a namespace, as its owner writes it.
const guards = `
apiVersion: v1
kind: LimitRange
metadata: {name: limits, annotations: {example.org/reason: "no giants"}}
spec: {limits: [{type: Container, max: {memory: 2Gi}, defaultRequest: {cpu: 10m}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quiet, labels: {team: shop}}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: budget}
spec: {hard: {pods: "9", count/secrets: "1"}}`

const strictPod = `
apiVersion: v1
kind: Pod
metadata: {name: strict}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: c
    image: none.example.org/strict
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}`

// What guards a namespace travels unchanged, but for what is overridden; a quota is one limit for all clusters.
func TestGuardANamespace(t *testing.T) {
	s := onFleet(t)
	s.kubectl("", "label", "namespace", s.ns, "pod-security.kubernetes.io/enforce=restricted")
	all := &v1alpha1.ClusterPlacement{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}
	t.Cleanup(func() { _ = s.hub.Client.Delete(context.Background(), all) })
	s.apply(guards, strings.Replace(placement(s.ns, []string{"Namespace/" + s.ns}, []string{"east=2", "west=1"}),
		"kind: Placement", "kind: ClusterPlacement", 1),
		placement("guards", []string{"LimitRange/limits", "NetworkPolicy/quiet", "ResourceQuota/budget", "Pod/strict"},
			[]string{"east=2", "west=1"}, `overrides:
  - clusters: [{name: west}]
    resources: [{kind: LimitRange}]
    patch: [{op: replace, path: /spec/limits/0/max/memory, value: 1Gi}]
  - clusters: [{name: west}]
    resources: [{kind: NetworkPolicy}]
    merge: {spec: {ingress: []}}`))
	for member, want := range map[string]string{
		"east": "restricted 2Gi no giants 1 shop 6",
		"west": "restricted 1Gi no giants 0 shop 3",
	} {
		s.eventually(member+" is guarded", func() error {
			m := s.member(member).Client
			namespace := &corev1.Namespace{}
			err := m.Get(t.Context(), client.ObjectKey{Name: s.ns}, namespace)
			if err != nil {
				return err
			}
			limits, err := get[corev1.LimitRange](s, m, "limits")
			policy, err2 := get[networkingv1.NetworkPolicy](s, m, "quiet")
			quota, err3 := get[corev1.ResourceQuota](s, m, "budget")
			if err != nil || err2 != nil || err3 != nil || limits == nil || policy == nil || quota == nil {
				return fmt.Errorf("not all is there: %v %v %v", err, err2, err3)
			}
			if len(quota.Status.Used) == 0 {
				return errors.New("the quota does not count yet: what comes before is not counted for minutes")
			}
			got := fmt.Sprintf("%s %s %s %d %s %s", namespace.Labels["pod-security.kubernetes.io/enforce"],
				limits.Spec.Limits[0].Max.Memory(), limits.Annotations["example.org/reason"], len(policy.Spec.Ingress),
				policy.Labels["team"], quota.Spec.Hard.Pods())
			if got != want {
				return fmt.Errorf("it has %q, want %q", got, want)
			}
			return nil
		})
	}
	s.apply(strictPod)
	s.eventually("the pod runs as it is written", func() error {
		for _, member := range []string{"east", "west"} {
			pod, err := get[corev1.Pod](s, s.member(member).Client, "strict")
			if err != nil {
				return err
			}
			if pod != nil && *pod.Spec.SecurityContext.RunAsUser == 1000 && *pod.Spec.SecurityContext.RunAsNonRoot &&
				pod.Spec.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault &&
				!*pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation {
				return nil // a pod is in one cluster
			}
		}
		return fmt.Errorf("it is in none, or otherwise")
	})
	s.kubectl("", "create", "secret", "generic", "first")
	s.eventually("one more than the quota allows is refused at the hub", func() error {
		r, err := s.hub.Kubectl(t.Context(), "", "-n", s.ns, "create", "secret", "generic", "second", "--dry-run=server")
		if err == nil && (r.Code == 0 || !strings.Contains(r.Stderr, "exceeded quota: budget, requested: count/secrets=1, used: "+
			"count/secrets=1, limited: count/secrets=1")) {
			err = fmt.Errorf("%s", r)
		}
		return err
	})
	s.eventually("what is used is the sum", func() error {
		quota, err := get[corev1.ResourceQuota](s, s.hub.Client, "budget")
		if err == nil && quota.Status.Used.Pods().Value() != 1 {
			err = fmt.Errorf("it is %v", quota.Status.Used)
		}
		return err
	})
	s.must(s.hub.Client.Delete(t.Context(), all)) // the namespace leaves with the scenario
}
