package kinds

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestMode(t *testing.T) {
	tests := []struct {
		object string
		want   Mode
	}{
		{"{apiVersion: apps/v1, kind: Deployment}", Divide},
		{"{apiVersion: apps/v1, kind: ReplicaSet}", Divide},
		{"{apiVersion: v1, kind: ReplicationController}", Divide},
		{"{apiVersion: apps/v1, kind: StatefulSet}", Divide},
		{"{apiVersion: apps/v1, kind: DaemonSet}", Duplicate},
		{"{apiVersion: batch/v1, kind: Job, spec: {completionMode: NonIndexed}}", Divide},
		{"{apiVersion: batch/v1, kind: Job, spec: {completionMode: Indexed}}", One},
		{"{apiVersion: batch/v1, kind: CronJob}", One},
		{"{apiVersion: v1, kind: Pod}", One},
		{"{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler}", Follows},
		{"{apiVersion: policy/v1, kind: PodDisruptionBudget}", Follows},
		{"{apiVersion: v1, kind: PersistentVolumeClaim}", Follows},
		{"{apiVersion: v1, kind: ResourceQuota}", Divide},
		{"{apiVersion: v1, kind: Service}", Duplicate},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", Duplicate},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt}}", Local},
		{"{apiVersion: v1, kind: Secret}", Duplicate},
		{"{apiVersion: v1, kind: Secret, type: helm.sh/release.v1}", Local},
		{"{apiVersion: v1, kind: Event}", Local},
		{"{apiVersion: hanse.io/v1alpha1, kind: Placement}", Local},
		{"{apiVersion: example.org/v1, kind: Thing}", Duplicate},
		{"{apiVersion: example.org/v1, kind: Deployment}", Duplicate},
	}
	for _, test := range tests {
		obj := object(t, test.object)
		if got := Of(obj).Mode(obj); got != test.want {
			t.Errorf("%s: %s, want %s", test.object, got, test.want)
		}
	}
}

func TestReplicas(t *testing.T) {
	tests := []struct {
		object string
		want   int64
		has    bool
	}{
		{"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 3}}", 3, true},
		{"{apiVersion: apps/v1, kind: Deployment}", 1, true},
		{"{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 0}}", 0, true},
		{"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: -3}}", 0, true},
		{"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: many}}", 1, true},
		{"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 5, completions: 9}}", 5, true},
		{"{apiVersion: batch/v1, kind: Job, spec: {completions: 9}}", 1, true},
		{"{apiVersion: apps/v1, kind: DaemonSet}", 0, false},
		{"{apiVersion: v1, kind: ResourceQuota}", 0, false},
		{"{apiVersion: example.org/v1, kind: Thing, spec: {replicas: 3}}", 0, false},
	}
	for _, test := range tests {
		obj := object(t, test.object)
		if got, has := Of(obj).Replicas(obj); got != test.want || has != test.has {
			t.Errorf("%s: %d %t, want %d %t", test.object, got, has, test.want, test.has)
		}
	}
}

func TestScaleSubresource(t *testing.T) {
	obj := object(t, `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, generation: 1}
spec: {size: {replicas: 5}, template: {spec: {containers: [{name: a, envFrom: [{secretRef: {name: s}}]}]}}}
status: {total: {replicas: 4}}`)
	rule := Of(obj).WithScale(Scale{SpecReplicas: ".spec.size.replicas", StatusReplicas: ".status.total.replicas"})
	if n, has := rule.Replicas(obj); n != 5 || !has || rule.Mode(obj) != Divide {
		t.Errorf("replicas %d %t, mode %s", n, has, rule.Mode(obj))
	}
	two := int64(2)
	rendered, err := rule.Render(obj, Share{Cluster: "east", Replicas: &two})
	if err != nil || intOr(rendered.Object, 0, "spec", "size", "replicas") != 2 {
		t.Errorf("rendered %v %v", rendered, err)
	}
	if ready, desired := rule.Ready(obj); ready != 4 || desired != 5 {
		t.Errorf("ready %d of %d", ready, desired)
	}
	trimmed := obj.DeepCopy()
	rule.Trim(trimmed)
	if ready, desired := rule.Ready(trimmed); ready != 4 || desired != 5 {
		t.Errorf("trimmed: ready %d of %d", ready, desired)
	}
	east, west := rule.Observe("east", obj), rule.Observe("west", obj)
	status := rule.Aggregate(obj, []MemberStatus{east, west}, noon)
	if n := intOr(status, 0, "total", "replicas"); n != 8 {
		t.Errorf("the sum is %d: %v", n, status)
	}
	if refs := rule.Dependencies(obj); len(refs) != 1 || refs[0].Name != "s" {
		t.Errorf("a pod template in a custom resource is overlooked: %v", refs)
	}
	deployment := For(schema.GroupKind{Group: "apps", Kind: "Deployment"})
	if other := deployment.WithScale(Scale{SpecReplicas: ".spec.x"}); !slices.Equal(other.replicas, deployment.replicas) {
		t.Error("a native kind lost its rule")
	}
}

func TestNumbers(t *testing.T) {
	tests := []struct {
		name, object string
		want         []Number
	}{
		{"surge first", "{apiVersion: apps/v1, kind: Deployment, spec: {strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 3}}}}",
			[]Number{{Key: "spec.strategy.rollingUpdate.maxSurge", Value: 2, Floor: 1},
				{Key: "spec.strategy.rollingUpdate.maxUnavailable", Value: 3}}},
		{"no surge", "{apiVersion: apps/v1, kind: Deployment, spec: {strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 3}}}}",
			[]Number{{Key: "spec.strategy.rollingUpdate.maxUnavailable", Value: 3, Floor: 1}}},
		{"a surge of none in percent", "{apiVersion: apps/v1, kind: Deployment, spec: {strategy: {rollingUpdate: {maxSurge: 0%, maxUnavailable: 3}}}}",
			[]Number{{Key: "spec.strategy.rollingUpdate.maxUnavailable", Value: 3, Floor: 1}}},
		{"surge by default", "{apiVersion: apps/v1, kind: Deployment, spec: {strategy: {rollingUpdate: {maxUnavailable: 3}}}}",
			[]Number{{Key: "spec.strategy.rollingUpdate.maxUnavailable", Value: 3}}},
		{"percent", "{apiVersion: apps/v1, kind: Deployment, spec: {strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}}}", nil},
		{"completions", "{apiVersion: batch/v1, kind: Job, spec: {completions: 7}}", []Number{{Key: "spec.completions", Value: 7, Fixed: true}}},
		{"very many", "{apiVersion: batch/v1, kind: Job, spec: {completions: 2000000000}}",
			[]Number{{Key: "spec.completions", Value: 2000000000, Fixed: true}}},
		{"bounds", "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {minReplicas: 2, maxReplicas: 9}}",
			[]Number{{Key: "spec.minReplicas", Value: 2, Floor: 1}, {Key: "spec.maxReplicas", Value: 9, Floor: 1}}},
		{"budget", "{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {minAvailable: 2}}",
			[]Number{{Key: "spec.minAvailable", Value: 2}}},
		{"budget in percent", "{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {minAvailable: 50%}}", nil},
		{"quota", `{apiVersion: v1, kind: ResourceQuota, spec: {hard: {pods: 10, limits.cpu: 1500m, memory: 3Ti, count/jobs: "0", odd: x, configmaps: 3, count/secrets: 4}}}`,
			[]Number{{Key: "spec.hard[limits.cpu]", Value: 1500}, {Key: "spec.hard[memory]", Value: 3072},
				{Key: "spec.hard[pods]", Value: 10}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			obj := object(t, test.object)
			got := Of(obj).Numbers(obj)
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(Number{}, "set"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("numbers (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever the sizes, the shares of a quota add up to no more than the quota and to nearly all of it.
func TestQuotaSharesNeverExceed(t *testing.T) {
	for _, total := range []string{"1", "999m", "1500m", "3", "64Gi", "100Ti", "123456789123", "1E", "7Ei", "1048577"} {
		obj := object(t, fmt.Sprintf("{apiVersion: v1, kind: ResourceQuota, spec: {hard: {memory: %q}}}", total))
		rule := Of(obj)
		number := rule.Numbers(obj)[0]
		if number.Value > maxUnits {
			t.Errorf("%s is counted as %d", total, number.Value)
		}
		want, _ := parseQuantity(total)
		sum, _ := parseQuantity("0")
		for _, part := range []int64{number.Value / 3, number.Value - number.Value/3} {
			rendered, err := rule.Render(obj, Share{Numbers: map[string]int64{number.Key: part}})
			if err != nil {
				t.Fatal(err)
			}
			quantity, is := parseQuantity(stringAt(rendered.Object, "spec", "hard", "memory"))
			if !is {
				t.Fatalf("%s: rendered %v", total, rendered.Object)
			}
			sum.Add(quantity)
		}
		if sum.Cmp(want) > 0 || sum.AsApproximateFloat64() < want.AsApproximateFloat64()*0.999 {
			t.Errorf("the shares of %s are %s", total, sum.String())
		}
	}
}

const heavyPod = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      serviceAccountName: web
      imagePullSecrets: [{name: pull}]
      overhead: {cpu: 10m}
      initContainers:
      - {name: migrate, image: a, resources: {requests: {cpu: "2", memory: 64Mi}}}
      - {name: proxy, image: a, restartPolicy: Always, resources: {requests: {cpu: 100m, memory: 100Mi}}}
      containers:
      - name: web
        image: a
        env:
        - {name: A, valueFrom: {configMapKeyRef: {name: keys, key: a}}}
        - {name: B, valueFrom: {secretKeyRef: {name: password, key: b, optional: true}}}
        - {name: C, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        envFrom: [{configMapRef: {name: env}}, {secretRef: {name: password}}]
        resources: {requests: {cpu: 250m, memory: 256Mi}, limits: {nvidia.com/gpu: 1, memory: 1Gi}}
      - {name: log, image: a, resources: {limits: {cpu: 50m, ephemeral-storage: 1Gi}}}
      volumes:
      - {name: a, configMap: {name: keys}}
      - {name: b, secret: {secretName: tls}}
      - {name: c, persistentVolumeClaim: {claimName: data}}
      - name: d
        projected: {sources: [{configMap: {name: projected}}, {secret: {name: also}}, {serviceAccountToken: {path: t}}, {configMap: {name: kube-root-ca.crt}}]}
      - {name: e, emptyDir: {}}
      - {name: f, csi: {driver: d, nodePublishSecretRef: {name: csi}}}
`

func TestDependencies(t *testing.T) {
	tests := []struct {
		name, object string
		want         []string
	}{
		{"a Deployment", heavyPod, []string{
			"ConfigMap shop/env", "ConfigMap shop/keys", "ConfigMap shop/projected", "PersistentVolumeClaim shop/data",
			"Secret shop/also", "Secret shop/csi", "Secret shop/password", "Secret shop/pull?", "Secret shop/tls",
			"ServiceAccount shop/web"}},
		{"a CronJob", `
apiVersion: batch/v1
kind: CronJob
metadata: {name: c, namespace: shop}
spec: {jobTemplate: {spec: {template: {spec: {serviceAccountName: default, containers: [{name: a, envFrom: [{configMapRef: {name: env, optional: true}}]}]}}}}}`,
			[]string{"ConfigMap shop/env?"}},
		{"a Pod", "{apiVersion: v1, kind: Pod, metadata: {namespace: shop}, spec: {containers: [{name: a}], volumes: [{name: a, secret: {secretName: s}}]}}",
			[]string{"Secret shop/s"}},
		{"an Ingress", `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  defaultBackend: {service: {name: fallback, port: {number: 80}}}
  tls: [{hosts: [web.example.org], secretName: cert}]
  rules: [{host: web.example.org, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}, {path: /static, pathType: Prefix, backend: {resource: {kind: Bucket, name: b}}}]}}]`,
			[]string{"Secret shop/cert?", "Service shop/fallback", "Service shop/web"}},
		{"a RoleBinding", `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: b, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: web, namespace: shop}, {kind: User, name: jane}]`,
			[]string{"ServiceAccount shop/web?", "Role shop/reader"}},
		{"an HTTPRoute", `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec: {parentRefs: [{name: g, namespace: infra}], rules: [{backendRefs: [{name: web, port: 80}]}]}`,
			[]string{"Service shop/web?", "Gateway infra/g?"}},
		{"an HTTPRoute that names kinds of its own", `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{kind: Service, group: "", name: mesh}, {kind: Gateway, group: example.org, name: g}]
  rules:
  - backendRefs: [{kind: Secret, group: "", namespace: bank, name: password}, {kind: Deployment, group: apps, name: web}]
  - backendRefs: [{kind: Service, group: "", name: web}, {kind: 7, name: x}, {namespace: bank, name: api}]`,
			[]string{"Service bank/api?", "Service shop/web?"}},
		{"a RoleBinding with accounts of others", `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: b, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: builder, namespace: bank}, {kind: ServiceAccount, name: none}]`,
			[]string{"ClusterRole /reader?"}},
		{"a ClusterRoleBinding", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: b}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: builder, namespace: bank}]`,
			[]string{"ClusterRole /reader?"}},
		{"a Pod with names that are paths", `
apiVersion: v1
kind: Pod
metadata: {namespace: shop}
spec: {containers: [{name: a, envFrom: [{secretRef: {name: ../bank/password}}]}], volumes: [{name: a, secret: {secretName: bank/password}}]}`,
			nil},
		{"a ConfigMap", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			obj := object(t, test.object)
			var got []string
			for _, ref := range Of(obj).Dependencies(obj) {
				text := ref.Kind + " " + ref.Namespace + "/" + ref.Name
				if ref.Optional {
					text += "?"
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("dependencies (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	obj := object(t, heavyPod)
	// The init container asks for more cpu than all that runs later; the sidecar that starts after it does not add
	// to it.
	want := Requests{
		MilliCPU:         2010,
		Memory:           (256 + 100) << 20,
		EphemeralStorage: 1 << 30,
		Extended:         map[string]int64{"nvidia.com/gpu": 1},
	}
	if diff := cmp.Diff(want, Of(obj).Requests(obj)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	none := object(t, "{apiVersion: v1, kind: ConfigMap}")
	if diff := cmp.Diff(Requests{}, Of(none).Requests(none)); diff != "" {
		t.Error(diff)
	}
}

func TestFollows(t *testing.T) {
	scaler := object(t, `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}`)
	got, follows := Of(scaler).Follows(scaler)
	want := Target{Ref: &Ref{GroupKind: schema.GroupKind{Group: "apps", Kind: "Deployment"}, Namespace: "shop", Name: "web"}}
	if diff := cmp.Diff(want, got); diff != "" || !follows {
		t.Errorf("follows %t (-want +got):\n%s", follows, diff)
	}
	if !Of(scaler).Scales() {
		t.Error("an autoscaler does not scale")
	}
	guard := object(t, "{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {selector: {matchLabels: {app: web}}}}")
	got, follows = Of(guard).Follows(guard)
	want = Target{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}
	if diff := cmp.Diff(want, got); diff != "" || !follows {
		t.Errorf("follows %t (-want +got):\n%s", follows, diff)
	}
	for _, text := range []string{"{apiVersion: policy/v1, kind: PodDisruptionBudget}", "{apiVersion: v1, kind: Service}",
		"{apiVersion: v1, kind: PersistentVolumeClaim}", "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler}"} {
		obj := object(t, text)
		if got, follows := Of(obj).Follows(obj); follows {
			t.Errorf("%s follows %v", text, got)
		}
	}
}

func TestOrder(t *testing.T) {
	want := strings.Fields(`CustomResourceDefinition Namespace StorageClass ResourceQuota ServiceAccount ConfigMap
		PersistentVolumeClaim Service Deployment HorizontalPodAutoscaler Ingress ValidatingWebhookConfiguration Thing`)
	kindOf := map[string]schema.GroupKind{}
	for gk := range rules {
		kindOf[gk.Kind] = gk
	}
	last := -1
	for _, kind := range want {
		order := For(kindOf[kind]).Order()
		if order <= last {
			t.Errorf("%s has order %d, want more than %d", kind, order, last)
		}
		last = order
	}
	for gk, rule := range rules {
		if rule.Order() < 0 {
			t.Errorf("%s has a step that is not in the list", gk)
		}
		if rule.step == custom && rule.mode != Local {
			t.Errorf("%s is native and has no step", gk)
		}
	}
}

// A member may answer garbage. No shape of it may stop the hub, for any kind.
func TestGarbageNeverPanics(t *testing.T) {
	garbage := []any{nil, "x", int64(7), -1.5, true, []any{}, []any{"x", nil, []any{}}, map[string]any{},
		map[string]any{"name": int64(1), "conditions": "x"}, []any{map[string]any{"type": int64(1), "status": []any{}}}}
	for gk, rule := range rules {
		for _, real := range append(realObjects(t, gk), object(t, "{apiVersion: v1, kind: X, metadata: {name: a}}")) {
			for _, path := range pathsOf(real.Object, nil) {
				for _, bad := range garbage {
					broken := real.DeepCopy()
					replaceAt(broken.Object, bad, path)
					exercise(t, rule, broken)
				}
			}
		}
	}
}

func exercise(t *testing.T, rule Rule, obj *unstructured.Unstructured) {
	t.Helper()
	defer func() {
		if problem := recover(); problem != nil {
			t.Fatalf("%v on %v", problem, obj.Object)
		}
	}()
	rule.Mode(obj)
	rule.Replicas(obj)
	rule.Requests(obj)
	rule.Dependencies(obj)
	rule.Follows(obj)
	share := Share{Replicas: new(int64), OrdinalStart: new(int32), Numbers: map[string]int64{}}
	for _, number := range rule.Numbers(obj) {
		share.Numbers[number.Key] = 1
	}
	_, _ = rule.Render(obj, share)
	seen := rule.Observe("east", obj)
	_ = rule.Aggregate(obj, []MemberStatus{seen, {Cluster: "west"}, seen}, noon)
	rule.Trim(obj.DeepCopy())
}

// realObjects are the objects of that kind in the stories.
func realObjects(t *testing.T, gk schema.GroupKind) []*unstructured.Unstructured {
	var objects []*unstructured.Unstructured
	for _, file := range []string{"testdata/judge.txt", "testdata/render.txt", "testdata/aggregate.txt"} {
		for _, s := range readStories(t, file) {
			for _, p := range s.parts {
				if !strings.HasPrefix(strings.TrimLeft(p.content, "{"), "apiVersion:") {
					continue
				}
				if obj := object(t, p.content); obj.GroupVersionKind().GroupKind() == gk {
					objects = append(objects, obj)
				}
			}
		}
	}
	return objects
}

// pathsOf lists every place in an object but the type's own, list elements by index.
func pathsOf(value any, path []any) [][]any {
	var paths [][]any
	step := func(key any, child any) {
		here := append(slices.Clone(path), key)
		if len(path) > 0 || key != "apiVersion" && key != "kind" {
			paths = append(paths, here)
		}
		paths = append(paths, pathsOf(child, here)...)
	}
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			step(key, child)
		}
	case []any:
		for i, child := range v {
			step(i, child)
		}
	}
	return paths
}

func replaceAt(value any, with any, path []any) {
	for i, key := range path {
		isLast := i == len(path)-1
		switch v := value.(type) {
		case map[string]any:
			if isLast {
				v[key.(string)] = with
			}
			value = v[key.(string)]
		case []any:
			if isLast {
				v[key.(int)] = with
			}
			value = v[key.(int)]
		}
	}
}
