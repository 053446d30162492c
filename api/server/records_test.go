package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/yaml"
)

// rich are objects with every sort of field that has a form of its own in JSON.
const rich = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}, annotations: {note: "ü \"quoted\""}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 1}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        env: [{name: EMPTY, value: ""}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        resources: {requests: {cpu: 1500m, memory: 64Mi}, limits: {cpu: "2"}}
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 3}
        ports: [{name: http, containerPort: 8080}]
      volumes: [{name: scratch, emptyDir: {sizeLimit: 1Gi}}]
---
apiVersion: v1
kind: Secret
metadata: {name: key}
data: {key: AAECAw==}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick}
spec:
  schedule: "*/5 * * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: c:1}]}}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics: [{type: Pods, pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: 1500m}}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: some}
spec: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}
`

var richKinds = map[string]schema.GroupVersionResource{
	"Deployment":              {Group: "apps", Version: "v1", Resource: "deployments"},
	"Secret":                  {Version: "v1", Resource: "secrets"},
	"Service":                 {Version: "v1", Resource: "services"},
	"CronJob":                 {Group: "batch", Version: "v1", Resource: "cronjobs"},
	"HorizontalPodAutoscaler": {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	"NetworkPolicy":           {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
}

// What Records reads is what a client of the API reads that asks for objects as they are stored, to the last field: lists
// and watches alike.
func TestRecordsReadWhatTheAPIReads(t *testing.T) {
	ns := common.namespace(t)
	for _, text := range strings.Split(rich, "---\n") {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), obj); err != nil {
			t.Fatal(err)
		}
		obj.SetNamespace(ns)
		gvr := richKinds[obj.GetKind()]
		records := cache.ToListerWatcherWithContext(common.server.Records().ListWatch(gvr))
		before, err := records.ListWithContext(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			t.Fatal(err)
		}
		events, err := records.WatchWithContext(t.Context(), metav1.ListOptions{
			ResourceVersion: before.(metav1.ListInterface).GetResourceVersion(),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer events.Stop()
		api, err := dynamic.NewForConfig(common.server.StoredLoopback())
		if err != nil {
			t.Fatal(err)
		}
		want, err := api.Resource(gvr).Namespace(ns).Create(t.Context(), obj, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Object, next(t, events, watch.Added).Object); diff != "" {
			t.Errorf("%s watched, the API's is -, ours +:\n%s", obj.GetKind(), diff)
		}
		found, err := records.ListWithContext(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		seen := false
		for _, item := range found.(*unstructured.UnstructuredList).Items {
			if item.GetNamespace() == ns && item.GetName() == want.GetName() {
				seen = true
				if diff := cmp.Diff(want.Object, item.Object); diff != "" {
					t.Errorf("%s listed, the API's is -, ours +:\n%s", obj.GetKind(), diff)
				}
			}
		}
		if !seen {
			t.Errorf("%s is not listed", obj.GetKind())
		}
	}
}

func next(t *testing.T, events watch.Interface, want watch.EventType) *unstructured.Unstructured {
	t.Helper()
	for {
		select {
		case e, open := <-events.ResultChan():
			if !open || e.Type == watch.Error {
				t.Fatalf("the watch ended: %v", e.Object)
			}
			if e.Type == want {
				return e.Object.(*unstructured.Unstructured)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no %s in ten seconds", want)
		}
	}
}

var distributions = schema.GroupVersionResource{Group: "hanse.io", Version: "v1alpha1", Resource: "distributions"}

func distribution(ns, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.io/v1alpha1", "kind": "Distribution",
		"metadata": map[string]any{"namespace": ns, "name": name, "finalizers": []any{"hanse.io/copies"}},
		"spec": map[string]any{
			"template":  map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"},
			"placement": map[string]any{"kind": "Placement", "name": "p"},
			"clusters":  []any{map[string]any{"name": "east", "replicas": int64(2)}},
		},
	}}
}

// Writes through Records have the effects that those of the API have.
func TestRecordsWrite(t *testing.T) {
	ns, records, ctx := common.namespace(t), common.server.Records(), t.Context()
	api := common.dynamic(t).Resource(distributions).Namespace(ns)
	made, err := records.Create(ctx, distributions, distribution(ns, "d"))
	if err != nil {
		t.Fatal(err)
	}
	if made.GetUID() == "" || made.GetGeneration() != 1 || made.GetResourceVersion() == "" {
		t.Errorf("created with metadata %v", made.Object["metadata"])
	}
	if _, err := records.Create(ctx, distributions, distribution(ns, "d")); !apierrors.IsAlreadyExists(err) {
		t.Errorf("created twice: %v", err)
	}
	wrong := distribution(ns, "wrong")
	wrong.Object["spec"].(map[string]any)["clusters"] = "east"
	if _, err := records.Create(ctx, distributions, wrong); !apierrors.IsInvalid(err) {
		t.Errorf("created against the schema: %v", err)
	}

	told := made.DeepCopy()
	told.Object["status"] = map[string]any{"summary": "east=2/2"}
	told.Object["spec"].(map[string]any)["clusters"] = []any{} // is not taken
	now, err := records.UpdateStatus(ctx, distributions, told)
	if err != nil {
		t.Fatal(err)
	}
	got, err := api.Get(ctx, "d", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(now.Object, got.Object); diff != "" {
		t.Errorf("returned is -, stored +:\n%s", diff)
	}
	clusters, _, _ := unstructured.NestedSlice(got.Object, "spec", "clusters")
	summary, _, _ := unstructured.NestedString(got.Object, "status", "summary")
	if len(clusters) != 1 || summary != "east=2/2" || got.GetGeneration() != 1 || got.GetUID() != made.GetUID() {
		t.Errorf("after a write of the status: %v", got.Object)
	}
	if _, err := records.UpdateStatus(ctx, distributions, told); !apierrors.IsConflict(err) {
		t.Errorf("a status was written on an old version: %v", err)
	}

	if err := api.Delete(ctx, "d", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	last, err := api.Get(ctx, "d", metav1.GetOptions{})
	if err != nil || last.GetDeletionTimestamp() == nil {
		t.Fatalf("the finalizer did not hold it: %v, %v", last, err)
	}
	last.SetFinalizers(nil)
	if _, err := records.Update(ctx, distributions, last); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Get(ctx, "d", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there without a finalizer: %v", err)
	}
	if _, err := records.UpdateStatus(ctx, distributions, told); !apierrors.IsNotFound(err) {
		t.Errorf("a status was written on what is gone: %v", err)
	}
}

// Kinds of users go through the API: they can have versions, and schemas that a status must keep to.
func TestRecordsLeaveKindsOfUsersAlone(t *testing.T) {
	if lw := common.server.Records().ListWatch(schema.GroupVersionResource{
		Group: "example.com", Version: "v1", Resource: "widgets",
	}); lw != nil {
		t.Error("a kind that is not the hub's is read past the API")
	}
}
