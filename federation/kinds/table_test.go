package kinds

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// promised is the table of what each native kind means on a hub, row by row: what is done with the number of replicas,
// what else is divided, what is not sent since it is the member's, whether the hub's status is made of the members',
// and in which of the golden stories (render, judge, aggregate) the kind must be seen with an object as a cluster
// returns it.
var promised = []struct {
	object  string
	mode    Mode
	divided []string
	member  []string // dotted paths in the object that are not sent
	sums    bool
	stories string
}{
	{"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 4, strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 2}}}, " +
		"metadata: {annotations: {deployment.kubernetes.io/revision: '3'}}}", Divide,
		[]string{"spec.strategy.rollingUpdate.maxSurge", "spec.strategy.rollingUpdate.maxUnavailable"},
		[]string{"metadata.annotations.deployment.kubernetes.io/revision"}, true, "render judge aggregate"},
	{"{apiVersion: apps/v1, kind: ReplicaSet, spec: {replicas: 4}}", Divide, nil, nil, true, "judge"},
	{"{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 4}}", Divide, nil, nil, true, "render judge aggregate"},
	{"{apiVersion: apps/v1, kind: DaemonSet}", Duplicate, nil, nil, true, "judge aggregate"},
	{"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 4, completions: 8, selector: {matchLabels: {controller-uid: x}}}}",
		Divide, []string{"spec.completions"}, []string{"spec.selector"}, true, "render judge aggregate"},
	{"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 4, completions: 8, completionMode: Indexed}}", One,
		[]string{"spec.completions"}, nil, true, ""}, // the whole of it goes to one,
	{"{apiVersion: batch/v1, kind: CronJob}", One, nil, nil, true, "aggregate"},
	{"{apiVersion: v1, kind: Pod, spec: {nodeName: n1, containers: [{name: c}]}}", One, nil, nil, true,
		"render judge aggregate"},
	{"{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {minReplicas: 2, maxReplicas: 8}}", Follows,
		[]string{"spec.minReplicas", "spec.maxReplicas"}, nil, true, "render judge aggregate"},
	{"{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {minAvailable: 4}}", Follows, []string{"spec.minAvailable"}, nil,
		true, "render judge aggregate"},
	{"{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {maxUnavailable: 10%}}", Follows, nil, nil, true, ""},
	{"{apiVersion: v1, kind: ResourceQuota, spec: {hard: {pods: '8', count/secrets: '3'}}}", Divide, []string{"spec.hard[pods]"},
		nil, true, "render aggregate"},
	{"{apiVersion: v1, kind: LimitRange}", Duplicate, nil, nil, false, ""},
	{"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy}", Duplicate, nil, nil, false, ""},
	{"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole}", Duplicate, nil, nil, false, ""},
	{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", Duplicate, nil, nil, false, "judge aggregate"},
	{"{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, data: {token: eA==, namespace: eA==}}", Duplicate,
		nil, []string{"data.token"}, false, "render"},
	{"{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, secrets: [{name: a-token-x}]}", Duplicate, nil,
		[]string{"secrets"}, false, "render"},
	{"{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass}", Duplicate, nil, nil, false, ""},
	{"{apiVersion: storage.k8s.io/v1, kind: StorageClass}", Duplicate, nil, nil, false, ""},
	{"{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {annotations: " +
		"{cert-manager.io/inject-ca-from: a/b}}, webhooks: [{name: w, clientConfig: {caBundle: eA==}}]}", Duplicate, nil,
		[]string{"webhooks[0].clientConfig.caBundle"}, false, "render"},
	{"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {annotations: {volume.kubernetes.io/selected-node: n}}, " +
		"spec: {volumeName: v}}", Follows, nil,
		[]string{"metadata.annotations.volume.kubernetes.io/selected-node"}, true, "render judge aggregate"},
	{"{apiVersion: v1, kind: Service, spec: {type: LoadBalancer, clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], healthCheckNodePort: " +
		"31000}}", Duplicate, nil, // addresses and ports in a template are the user's wish: the hub allocates none
		nil, true, "render judge aggregate"},
	{"{apiVersion: networking.k8s.io/v1, kind: Ingress}", Duplicate, nil, nil, true, "aggregate"},
	{"{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway}", Duplicate, nil, nil, true, "aggregate"},
	{"{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute}", Duplicate, nil, nil, true, "judge aggregate"},
	{"{apiVersion: v1, kind: Namespace}", Duplicate, nil, nil, false, "render"},
	{"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {annotations: " +
		"{cert-manager.io/inject-ca-from: a/b}}, spec: {conversion: {webhook: {clientConfig: {caBundle: eA==}}}}}", Duplicate, nil,
		[]string{"spec.conversion.webhook.clientConfig.caBundle"}, true, "judge aggregate"},
	{"{apiVersion: autoscaling.k8s.io/v1, kind: VerticalPodAutoscaler, spec: {targetRef: {kind: Deployment, name: web}}}", Duplicate,
		nil, nil, true, ""},
	{"{apiVersion: example.org/v1, kind: Thing}", Duplicate, nil, nil, true, "render judge aggregate"},
}

// Every row is so.
func TestTheTable(t *testing.T) {
	stories := map[string]string{}
	for _, file := range []string{"render", "judge", "aggregate"} {
		text, err := os.ReadFile("testdata/" + file + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		stories[file] = string(text)
	}
	for _, row := range promised {
		obj := object(t, row.object)
		rule, kind := Of(obj), obj.GetKind()
		if got := rule.Mode(obj); got != row.mode {
			t.Errorf("%s: %s, want %s", kind, got, row.mode)
		}
		var divided []string
		for _, n := range rule.Numbers(obj) {
			divided = append(divided, n.Key)
		}
		if !slices.Equal(divided, row.divided) {
			t.Errorf("%s: divided are %v, want %v", kind, divided, row.divided)
		}
		if got := rule.Sums(); got != row.sums {
			t.Errorf("%s: its status is the members': %t", kind, got)
		}
		sent, err := rule.Render(obj, Share{Cluster: "east"})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range row.member {
			if leadsSomewhere(t, sent.Object, path) || !leadsSomewhere(t, obj.Object, path) {
				t.Errorf("%s: %s is sent, or the row is wrong", kind, path)
			}
		}
		for file := range strings.FieldsSeq(row.stories) {
			if !strings.Contains(stories[file], "kind: "+kind) {
				t.Errorf("%s: no story of testdata/%s.txt is about it", kind, file)
			}
		}
	}
}

// leadsSomewhere follows a path whose last part may have dots of its own, as annotations do.
func leadsSomewhere(t *testing.T, obj map[string]any, path string) bool {
	t.Helper()
	if key, isAnnotation := strings.CutPrefix(path, "metadata.annotations."); isAnnotation {
		_, there := mapAt(obj, "metadata", "annotations")[key]
		return there
	}
	p, err := ParsePath("." + strings.ReplaceAll(path, "[0]", "[*]"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(p.all(obj), func(value any) bool { return value != nil })
}
