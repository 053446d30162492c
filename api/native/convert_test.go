package native

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

func convert(t *testing.T, in runtime.Object, to schema.GroupVersion) runtime.Object {
	t.Helper()
	out, err := Scheme().ConvertToVersion(in, to)
	if err != nil {
		t.Fatalf("convert %T to %s: %v", in, to, err)
	}
	return out
}

func TestAutoscalerVersions(t *testing.T) {
	half := int32(50)
	v1 := &autoscalingv1.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"},
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
			MaxReplicas: 3, TargetCPUUtilizationPercentage: &half,
			ScaleTargetRef: autoscalingv1.CrossVersionObjectReference{Kind: "Deployment", Name: "web"},
		},
	}
	v2 := convert(t, v1, autoscalingv2.SchemeGroupVersion).(*autoscalingv2.HorizontalPodAutoscaler)
	if v2.APIVersion != "autoscaling/v2" || len(v2.Spec.Metrics) != 1 ||
		*v2.Spec.Metrics[0].Resource.Target.AverageUtilization != half {
		t.Errorf("autoscaling/v2 is %+v", v2)
	}
	back := convert(t, v2, autoscalingv1.SchemeGroupVersion).(*autoscalingv1.HorizontalPodAutoscaler)
	v1.TypeMeta = metav1.TypeMeta{APIVersion: "autoscaling/v1", Kind: "HorizontalPodAutoscaler"}
	if diff := cmp.Diff(v1, back); diff != "" {
		t.Errorf("there and back (-want +got):\n%s", diff)
	}

	// What v1 cannot say is kept for the way back.
	v2.Spec.Metrics = append(v2.Spec.Metrics, autoscalingv2.MetricSpec{
		Type: autoscalingv2.ExternalMetricSourceType,
		External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: "queue"},
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType},
		},
	})
	again := convert(t, convert(t, v2, autoscalingv1.SchemeGroupVersion), autoscalingv2.SchemeGroupVersion)
	if got := again.(*autoscalingv2.HorizontalPodAutoscaler).Spec.Metrics; len(got) != 2 {
		t.Errorf("metrics after a way through v1: %+v", got)
	}
	list := &autoscalingv2.HorizontalPodAutoscalerList{Items: []autoscalingv2.HorizontalPodAutoscaler{*v2}}
	if got := convert(t, list, autoscalingv1.SchemeGroupVersion).(*autoscalingv1.HorizontalPodAutoscalerList); len(
		got.Items) != 1 || got.Items[0].Name != "web" {
		t.Errorf("list %+v", got)
	}
}

func TestEventGroups(t *testing.T) {
	stored := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: "e", Namespace: "shop"},
		InvolvedObject: corev1.ObjectReference{Kind: "Deployment", Name: "web"},
		Message:        "scaled", Reason: "Scaled", Type: "Normal", Count: 3,
		FirstTimestamp: metav1.NewTime(time.Unix(1, 0)),
		Source:         corev1.EventSource{Component: "hub"},
	}
	shown := convert(t, stored, eventsv1.SchemeGroupVersion).(*eventsv1.Event)
	if shown.Regarding.Name != "web" || shown.Note != "scaled" || shown.DeprecatedCount != 3 ||
		shown.APIVersion != "events.k8s.io/v1" || shown.DeprecatedSource.Component != "hub" {
		t.Errorf("events.k8s.io/v1 is %+v", shown)
	}
	back := convert(t, shown, corev1.SchemeGroupVersion).(*corev1.Event)
	stored.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}
	if diff := cmp.Diff(stored, back); diff != "" {
		t.Errorf("there and back (-want +got):\n%s", diff)
	}
	list := convert(t, &corev1.EventList{Items: []corev1.Event{*stored}}, eventsv1.SchemeGroupVersion)
	if got := list.(*eventsv1.EventList); len(got.Items) != 1 || got.Items[0].Note != "scaled" {
		t.Errorf("list %+v", got)
	}
	kinds, _, err := Scheme().ObjectKinds(&corev1.Event{})
	if err != nil || kinds[0] != corev1.SchemeGroupVersion.WithKind("Event") {
		t.Errorf("an Event is first of all %v, %v", kinds, err)
	}
}

// TestEventsThroughCodecs is the way of a request to events.k8s.io/v1 over a core/v1 storage, in JSON and protobuf.
func TestEventsThroughCodecs(t *testing.T) {
	codecs := serializer.NewCodecFactory(Scheme())
	for _, info := range codecs.SupportedMediaTypes() {
		t.Run(info.MediaType, func(t *testing.T) {
			sent := &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Note: "hello"}
			encoder := codecs.EncoderForVersion(info.Serializer, eventsv1.SchemeGroupVersion)
			body, err := runtime.Encode(encoder, sent)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := runtime.Decode(codecs.DecoderToVersion(info.Serializer, corev1.SchemeGroupVersion), body)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := decoded.(*corev1.Event); !ok || got.Message != "hello" {
				t.Fatalf("decoded as %+v", decoded)
			}
			answer, err := runtime.Encode(encoder, decoded)
			if err != nil {
				t.Fatal(err)
			}
			got, err := runtime.Decode(codecs.DecoderToVersion(info.Serializer, eventsv1.SchemeGroupVersion), answer)
			if err != nil || got.(*eventsv1.Event).Note != "hello" {
				t.Errorf("answered %+v, %v", got, err)
			}
		})
	}
}

func TestStringDataIsMerged(t *testing.T) {
	secret := decode(t, `{apiVersion: v1, kind: Secret, metadata: {name: a},
 data: {a: b2xk, b: a2VwdA==}, stringData: {a: new}}`).(*corev1.Secret)
	want := map[string][]byte{"a": []byte("new"), "b": []byte("kept")}
	if diff := cmp.Diff(want, secret.Data); diff != "" || secret.StringData != nil {
		t.Errorf("data (-want +got):\n%s stringData %v", diff, secret.StringData)
	}
}

func TestObjectsAreNotDefaulted(t *testing.T) {
	for gvk, goType := range Scheme().AllKnownTypes() {
		if gvk.Group == "apiextensions.k8s.io" || gvk.Version == runtime.APIVersionInternal {
			continue
		}
		obj, ok := reflect.New(goType).Interface().(runtime.Object)
		if !ok {
			continue
		}
		want := obj.DeepCopyObject()
		if Scheme().Default(obj); !reflect.DeepEqual(want, obj) {
			t.Errorf("%s is defaulted to %+v", gvk, obj)
		}
	}
}

func TestFieldSelectors(t *testing.T) {
	tests := []struct {
		object   runtime.Object
		gv       string
		selector string
		matches  bool
	}{
		{&corev1.Pod{Spec: corev1.PodSpec{NodeName: "n1"}}, "v1", "spec.nodeName=n1,status.phase!=Running", true},
		{&corev1.Pod{}, "v1", "spec.nodeName=n1", false},
		{&corev1.Secret{}, "v1", "type=Opaque", true},
		{&corev1.Secret{Type: "a/b"}, "v1", "type=a/b", true},
		{&corev1.Service{}, "v1", "spec.type=ClusterIP", true},
		{&corev1.Namespace{Status: corev1.NamespaceStatus{Phase: "Active"}}, "v1", "status.phase=Active", true},
		{&corev1.Node{}, "v1", "spec.unschedulable=false", true},
		{&corev1.ReplicationController{}, "v1", "status.replicas=0", true},
		{&batchv1.Job{Status: batchv1.JobStatus{Succeeded: 2}}, "batch/v1", "status.successful=2", true},
		{&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "b"}}, "v1",
			"metadata.name=a,metadata.namespace=b", true},
		{&corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "a"}, Type: "Warning", Reason: "R",
			ReportingController: "c"}, "v1",
			"involvedObject.kind=Pod,involvedObject.name=a,type=Warning,reason=R,source=c,reportingComponent=c", true},
		{&corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "a"}}, "events.k8s.io/v1",
			"regarding.kind=Pod,regarding.name=a", true},
	}
	for _, test := range tests {
		gvk, err := kindOf(test.object)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(gvk.Kind+" "+test.selector, func(t *testing.T) {
			selector, err := fields.ParseSelector(test.selector)
			if err != nil {
				t.Fatal(err)
			}
			asked := schema.FromAPIVersionAndKind(test.gv, gvk.Kind)
			selector, err = selector.Transform(func(label, value string) (string, string, error) {
				return Scheme().ConvertFieldLabel(asked, label, value)
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := selector.Matches(FieldsOf(test.object)); got != test.matches {
				t.Errorf("%s matches: %v, fields %v", selector, got, FieldsOf(test.object))
			}
		})
	}
	if _, _, err := Scheme().ConvertFieldLabel(corev1.SchemeGroupVersion.WithKind("Pod"), "spec.color", "x"); err == nil {
		t.Errorf("a label that pods do not have was taken")
	}
	if _, _, err := Scheme().ConvertFieldLabel(corev1.SchemeGroupVersion.WithKind("ConfigMap"), "data", "x"); err == nil {
		t.Errorf("a label that config maps do not have was taken")
	}
}
