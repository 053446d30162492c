package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"key": value}}
}

func deployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
			},
		},
	}
}

func createDeployment(t *testing.T, client kubernetes.Interface, ns string, d *appsv1.Deployment) *appsv1.Deployment {
	t.Helper()
	out, err := client.AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create deployment: %v", err)
	}
	return out
}

// A template is stored as it was sent, whatever the encoding it came in.
func TestStoredAsSent(t *testing.T) {
	ns := common.namespace(t)
	for _, contentType := range []string{"application/vnd.kubernetes.protobuf", "application/json", "application/yaml"} {
		t.Run(contentType, func(t *testing.T) {
			config := common.config(admin)
			config.ContentType, config.AcceptContentTypes = contentType, contentType
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			sent := deployment("d-"+strings.ToLower(contentType[len(contentType)-4:]), 2)
			createDeployment(t, client, ns, sent)
			stored, err := kubernetes.NewForConfig(common.server.StoredLoopback())
			if err != nil {
				t.Fatal(err)
			}
			got, err := stored.AppsV1().Deployments(ns).Get(t.Context(), sent.Name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sent.Spec, got.Spec); diff != "" {
				t.Errorf("spec (-sent,+stored):\n%s", diff)
			}
		})
	}
}

func TestGenerationCountsSpecChanges(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	deployments := client.AppsV1().Deployments(ns)
	d := deployment("d", 2)
	d.Status.ReadyReplicas = 9
	d = createDeployment(t, client, ns, d)
	if d.Status.ReadyReplicas != 0 {
		t.Errorf("a create set the status: %+v", d.Status)
	}
	type step struct {
		name   string
		change func(*appsv1.Deployment)
		status bool
		want   int64
	}
	for _, s := range []step{
		{"label", func(d *appsv1.Deployment) { d.Labels = map[string]string{"a": "b"} }, false, 1},
		{"replicas", func(d *appsv1.Deployment) { *d.Spec.Replicas = 3 }, false, 2},
		{"status through spec", func(d *appsv1.Deployment) { d.Status.ReadyReplicas = 3 }, false, 2},
		{"status", func(d *appsv1.Deployment) { d.Status.ReadyReplicas = 3; *d.Spec.Replicas = 7 }, true, 2},
		{"nothing", func(*appsv1.Deployment) {}, false, 2},
	} {
		s.change(d)
		update := deployments.Update
		if s.status {
			update = deployments.UpdateStatus
		}
		var err error
		if d, err = update(t.Context(), d, metav1.UpdateOptions{}); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if d.Generation != s.want {
			t.Errorf("%s: generation %d, want %d", s.name, d.Generation, s.want)
		}
	}
	if *d.Spec.Replicas != 3 || d.Status.ReadyReplicas != 3 {
		t.Errorf("in the end replicas %d, ready %d, want 3 and 3", *d.Spec.Replicas, d.Status.ReadyReplicas)
	}
}

func TestNothingChangedIsNotWritten(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	d := createDeployment(t, client, ns, deployment("d", 2))
	again, err := client.AppsV1().Deployments(ns).Update(t.Context(), d, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if again.ResourceVersion != d.ResourceVersion {
		t.Errorf("an update without a change went from %s to %s", d.ResourceVersion, again.ResourceVersion)
	}
}

func TestPatches(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	createDeployment(t, client, ns, deployment("d", 2))
	for _, test := range []struct {
		kind  types.PatchType
		patch string
		want  string
	}{
		{types.JSONPatchType, `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"web:2"}]`, "web:2"},
		{types.MergePatchType, `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"web:3"}]}}}}`, "web:3"},
		{types.StrategicMergePatchType, `{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s"},
			{"name":"web","image":"web:4"}]}}}}`, "s web:4"},
	} {
		d, err := client.AppsV1().Deployments(ns).Patch(t.Context(), "d", test.kind, []byte(test.patch), metav1.PatchOptions{})
		if err != nil {
			t.Fatalf("%s: %v", test.kind, err)
		}
		var images []string
		for _, c := range d.Spec.Template.Spec.Containers {
			images = append(images, c.Image)
		}
		if got := strings.Join(images, " "); got != test.want {
			t.Errorf("%s: images %q, want %q", test.kind, got, test.want)
		}
	}
}

func TestServerSideApply(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	maps := client.CoreV1().ConfigMaps(ns)
	apply := func(manager, value string, force bool) (*corev1.ConfigMap, error) {
		return maps.Apply(t.Context(), coreapply.ConfigMap("c", ns).WithData(map[string]string{"key": value}),
			metav1.ApplyOptions{FieldManager: manager, Force: force})
	}
	if _, err := apply("a", "1", false); err != nil {
		t.Fatalf("create: %v", err)
	}
	if _, err := apply("b", "2", false); !apierrors.IsConflict(err) {
		t.Errorf("another manager: %v, want a conflict", err)
	}
	got, err := apply("b", "2", true)
	if err != nil || got.Data["key"] != "2" {
		t.Errorf("forced: %v, %v", got.Data, err)
	}
	if _, err := apply("a", "1", false); !apierrors.IsConflict(err) {
		t.Errorf("the first manager after that: %v, want a conflict", err)
	}
	// A status applied by one manager and a spec by another do not meet.
	createDeployment(t, client, ns, deployment("d", 2))
	_, err = client.AppsV1().Deployments(ns).ApplyStatus(t.Context(), appsapply.Deployment("d", ns).WithStatus(
		appsapply.DeploymentStatus().WithReadyReplicas(2)), metav1.ApplyOptions{FieldManager: "hub"})
	if err != nil {
		t.Errorf("apply status: %v", err)
	}
	d, err := client.AppsV1().Deployments(ns).Get(t.Context(), "d", metav1.GetOptions{})
	if err != nil || d.Status.ReadyReplicas != 2 || *d.Spec.Replicas != 2 {
		t.Errorf("after apply of the status: %+v, %v", d.Status, err)
	}
}

func TestScale(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	deployments := client.AppsV1().Deployments(ns)
	createDeployment(t, client, ns, deployment("d", 2))
	scale, err := deployments.GetScale(t.Context(), "d", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if scale.Spec.Replicas != 2 || scale.Status.Selector != "app=d" {
		t.Errorf("scale is %+v", scale)
	}
	scale.Spec.Replicas = 5
	if scale, err = deployments.UpdateScale(t.Context(), "d", scale, metav1.UpdateOptions{}); err != nil || scale.Spec.Replicas != 5 {
		t.Errorf("update: %+v, %v", scale, err)
	}
	scale.ResourceVersion = "1"
	if _, err := deployments.UpdateScale(t.Context(), "d", scale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("stale: %v, want a conflict", err)
	}
	scale.ResourceVersion, scale.Spec.Replicas = "", -1
	if _, err := deployments.UpdateScale(t.Context(), "d", scale, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("below zero: %v, want invalid", err)
	}
	d, err := deployments.Get(t.Context(), "d", metav1.GetOptions{})
	if err != nil || *d.Spec.Replicas != 5 || d.Generation != 2 {
		t.Errorf("deployment has %d replicas, generation %d, want 5 and 2", *d.Spec.Replicas, d.Generation)
	}
	if _, err := deployments.GetScale(t.Context(), "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("scale of nothing: %v, want not found", err)
	}
}

func TestWatchSeesEveryChangeInOrder(t *testing.T) {
	ns, maps := common.namespace(t), common.client(t, admin).CoreV1()
	list, err := maps.ConfigMaps(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := maps.ConfigMaps(ns).Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	c, err := maps.ConfigMaps(ns).Create(t.Context(), configMap("c", "1"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.Data["key"] = "2"
	if _, err = maps.ConfigMaps(ns).Update(t.Context(), c, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err = maps.ConfigMaps(ns).Delete(t.Context(), "c", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < 3 {
		select {
		case event := <-w.ResultChan():
			got = append(got, fmt.Sprintf("%s %s", event.Type, event.Object.(*corev1.ConfigMap).Data["key"]))
		case <-time.After(10 * time.Second):
			t.Fatalf("only %v", got)
		}
	}
	if diff := cmp.Diff([]string{"ADDED 1", "MODIFIED 2", "DELETED 2"}, got); diff != "" {
		t.Errorf("events (-want,+got):\n%s", diff)
	}
}

// A client may ask for the present state as the beginning of its watch; a bookmark says where it ends.
func TestWatchList(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	for i := range 3 {
		if _, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap(fmt.Sprint("c", i), "1"),
			metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	yes := true
	w, err := client.CoreV1().ConfigMaps(ns).Watch(t.Context(), metav1.ListOptions{
		SendInitialEvents: &yes, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	added := 0
	_, err = watchtools.UntilWithoutRetry(ctx, w, func(event watch.Event) (bool, error) {
		switch event.Type {
		case watch.Added:
			added++
		case watch.Bookmark:
			accessor, err := meta.Accessor(event.Object)
			return accessor.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true", err
		}
		return false, nil
	})
	if err != nil || added != 3 {
		t.Errorf("%d objects before the bookmark, %v, want 3", added, err)
	}
}

func TestPagesHoldOneMoment(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	for i := range 5 {
		if _, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap(fmt.Sprint("c", i), "1"),
			metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	first, err := client.CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{Limit: 2})
	if err != nil || len(first.Items) != 2 || first.Continue == "" || *first.RemainingItemCount != 3 {
		t.Fatalf("first page: %+v, %v", first.ListMeta, err)
	}
	if err := client.CoreV1().ConfigMaps(ns).Delete(t.Context(), "c4", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	rest, err := client.CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{Continue: first.Continue})
	if err != nil || len(rest.Items) != 3 || rest.ResourceVersion != first.ResourceVersion {
		t.Errorf("rest: %d items at %s, %v, want 3 at %s", len(rest.Items), rest.ResourceVersion, err, first.ResourceVersion)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	all := []string{metav1.DryRunAll}
	if _, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("c", "1"),
		metav1.CreateOptions{DryRun: all}); err != nil {
		t.Errorf("create: %v", err)
	}
	if _, err := client.CoreV1().ConfigMaps(ns).Get(t.Context(), "c", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after a dry create: %v, want not found", err)
	}
	bad := deployment("d", 1)
	bad.Spec.Selector.MatchLabels = map[string]string{"other": "x"}
	if _, err := client.AppsV1().Deployments(ns).Create(t.Context(), bad, metav1.CreateOptions{DryRun: all}); !apierrors.IsInvalid(err) {
		t.Errorf("dry create of something invalid: %v, want invalid", err)
	}
}

func TestDeleteCollectionBySelector(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	for i := range 4 {
		c := configMap(fmt.Sprint("c", i), "1")
		c.Labels = map[string]string{"odd": fmt.Sprint(i%2 == 1)}
		if _, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), c, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	err := client.CoreV1().ConfigMaps(ns).DeleteCollection(t.Context(), metav1.DeleteOptions{},
		metav1.ListOptions{LabelSelector: "odd=true"})
	if err != nil {
		t.Fatal(err)
	}
	left, err := client.CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) != 2 {
		t.Errorf("%d left, %v, want 2", len(left.Items), err)
	}
}

func TestDeletePreconditions(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	c, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("c", "1"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other := types.UID("00000000-0000-0000-0000-000000000000")
	del := func(p *metav1.Preconditions) error {
		return client.CoreV1().ConfigMaps(ns).Delete(t.Context(), "c", metav1.DeleteOptions{Preconditions: p})
	}
	if err := del(&metav1.Preconditions{UID: &other}); !apierrors.IsConflict(err) {
		t.Errorf("wrong UID: %v, want a conflict", err)
	}
	if err := del(&metav1.Preconditions{UID: &c.UID}); err != nil {
		t.Errorf("right UID: %v", err)
	}
}

func TestSecretStringData(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	s, err := client.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"a": "1"}}, metav1.CreateOptions{})
	if err != nil || string(s.Data["a"]) != "1" || s.StringData != nil {
		t.Fatalf("created: %v %v, %v", s.Data, s.StringData, err)
	}
	s, err = client.CoreV1().Secrets(ns).Patch(t.Context(), "s", types.MergePatchType,
		[]byte(`{"stringData":{"b":"2"}}`), metav1.PatchOptions{})
	if err != nil || string(s.Data["a"]) != "1" || string(s.Data["b"]) != "2" {
		t.Errorf("patched: %v, %v", s.Data, err)
	}
}

func TestFieldSelectors(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	for name, kind := range map[string]corev1.SecretType{"a": corev1.SecretTypeOpaque, "b": "example.org/x"} {
		_, err := client.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	for selector, want := range map[string]int{
		"metadata.name=a": 1, "type=example.org/x": 1, "type!=example.org/x": 1, "metadata.namespace=" + ns: 2,
	} {
		list, err := client.CoreV1().Secrets(ns).List(t.Context(), metav1.ListOptions{FieldSelector: selector})
		if err != nil || len(list.Items) != want {
			t.Errorf("%s: %d, %v, want %d", selector, len(list.Items), err, want)
		}
	}
	_, err := client.CoreV1().Secrets(ns).List(t.Context(), metav1.ListOptions{FieldSelector: "data=x"})
	if !apierrors.IsBadRequest(err) {
		t.Errorf("unknown field: %v, want bad request", err)
	}
}

// Two versions of a kind are two views of the same objects.
func TestTwoVersionsOneObject(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	cpu := int32(70)
	_, err := client.AutoscalingV1().HorizontalPodAutoscalers(ns).Create(t.Context(), &autoscalingv1.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "h"},
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{MaxReplicas: 4, TargetCPUUtilizationPercentage: &cpu,
			ScaleTargetRef: autoscalingv1.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create v1: %v", err)
	}
	h, err := client.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(t.Context(), "h", metav1.GetOptions{})
	if err != nil || len(h.Spec.Metrics) != 1 || *h.Spec.Metrics[0].Resource.Target.AverageUtilization != cpu {
		t.Errorf("as v2: %+v, %v", h, err)
	}
	w, err := client.AutoscalingV1().HorizontalPodAutoscalers(ns).Watch(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	select {
	case event := <-w.ResultChan():
		if v1, ok := event.Object.(*autoscalingv1.HorizontalPodAutoscaler); !ok || *v1.Spec.TargetCPUUtilizationPercentage != cpu {
			t.Errorf("watched as v1: %T %+v", event.Object, event.Object)
		}
	case <-time.After(10 * time.Second):
		t.Error("no event")
	}

	_, err = client.EventsV1().Events(ns).Create(t.Context(), &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e"}, EventTime: metav1.NowMicro(), ReportingController: "test/x",
		ReportingInstance: "1", Action: "Try", Reason: "Tried", Type: "Normal", Note: "hello",
		Regarding: corev1.ObjectReference{Kind: "ConfigMap", Name: "c", Namespace: ns},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create events.k8s.io: %v", err)
	}
	list, err := client.CoreV1().Events(ns).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=c"})
	if err != nil || len(list.Items) != 1 || list.Items[0].Message != "hello" {
		t.Errorf("as core events: %+v, %v", list.Items, err)
	}
	resp, err := common.etcd.Client().Get(t.Context(), common.etcd.Prefix()+"/events/"+ns+"/e")
	if err != nil || len(resp.Kvs) != 1 || resp.Kvs[0].Lease == 0 {
		t.Errorf("the event has no lease in etcd and would stay for ever (%d keys, %v)", len(resp.Kvs), err)
	}
}

func TestNames(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	long := strings.Repeat("a", 254)
	for _, test := range []struct {
		name   string
		create func(string) error
		good   []string
		bad    []string
	}{
		{"ConfigMap", func(n string) error {
			_, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap(n, ""), metav1.CreateOptions{})
			return err
		}, []string{"a", "a.b", "1"}, []string{"A", "a_b", "-a", "a..b", long}},
		{"Namespace", func(n string) error {
			_, err := client.CoreV1().Namespaces().Create(t.Context(),
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}}, metav1.CreateOptions{})
			return err
		}, []string{"names-" + ns}, []string{"a.b", "A", long}},
		{"Service", func(n string) error {
			_, err := client.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Name: n},
				Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
			return err
		}, []string{"web"}, []string{"a.b", "A_"}},
	} {
		for _, name := range test.good {
			if err := test.create(name); err != nil {
				t.Errorf("%s %q: %v", test.name, name, err)
			}
		}
		for _, name := range test.bad {
			err := test.create(name)
			var status apierrors.APIStatus
			if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details.Causes[0].Field != "metadata.name" {
				t.Errorf("%s %q: %v, want metadata.name to be invalid", test.name, name, err)
			}
		}
	}
}

func TestLease(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	leases := client.CoordinationV1().Leases(ns)
	holder := "a"
	lease, err := leases.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "l"},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lease.ResourceVersion = ""
	if _, err := leases.Update(t.Context(), lease, metav1.UpdateOptions{}); err == nil {
		t.Error("a lease was taken over without its resourceVersion")
	}
}

func TestMetadataInformer(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	c := configMap("c", "1")
	c.Labels = map[string]string{"a": "b"}
	if _, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), c, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	metadataClient, err := metadata.NewForConfig(common.config(admin))
	if err != nil {
		t.Fatal(err)
	}
	list, err := metadataClient.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(ns).
		List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Labels["a"] != "b" {
		t.Errorf("metadata: %+v, %v", list, err)
	}
}

func TestInformerOverLoopback(t *testing.T) {
	ns := common.namespace(t)
	client, err := kubernetes.NewForConfig(common.server.Loopback())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	informer := cache.NewSharedIndexInformer(cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "configmaps", ns,
		everything()), &corev1.ConfigMap{}, 0, nil)
	go informer.RunWithContext(ctx)
	if _, err := client.CoreV1().ConfigMaps(ns).Create(ctx, configMap("c", "1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if n := len(informer.GetStore().List()); n != 1 {
			return fmt.Sprintf("%d objects in the informer", n)
		}
		return ""
	})
}

func TestDeploymentTable(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	createDeployment(t, client, ns, deployment("spread", 3))
	raw, err := client.AppsV1().RESTClient().Get().Namespace(ns).Resource("deployments").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, column := range table.ColumnDefinitions {
		if column.Priority == 0 {
			names = append(names, column.Name)
		}
	}
	if diff := cmp.Diff([]string{"Name", "Ready", "Up-to-date", "Available", "Clusters", "Age"}, names); diff != "" {
		t.Errorf("columns (-want,+got):\n%s", diff)
	}
	if got := fmt.Sprint(table.Rows[0].Cells[1], " ", table.Rows[0].Cells[4]); got != "0/3 east=2/2,west=1/1" {
		t.Errorf("row says %q", got)
	}
}

// TestOneNameInAllNamespaces: a field selector by name looks into all namespaces, as one by anything else.
func TestOneNameInAllNamespaces(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	if _, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("alone-"+ns, "1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	options := metav1.ListOptions{FieldSelector: "metadata.name=alone-" + ns}
	list, err := client.CoreV1().ConfigMaps("").List(t.Context(), options)
	if err != nil || len(list.Items) != 1 {
		t.Errorf("list: %v, %v", list, err)
	}
	events, err := client.CoreV1().ConfigMaps("").Watch(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	if e := <-events.ResultChan(); e.Type != watch.Added {
		t.Errorf("the watch says %s: %v", e.Type, e.Object)
	}
	for _, path := range []string{"/api/v1/configmaps/x", "/api/v1/configmaps/x?watch=true"} {
		if status, body := ask(t, path); status != 404 {
			t.Errorf("%s: %d %.100s, want 404", path, status, body)
		}
	}
}
