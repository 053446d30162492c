package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/e2e/harness"
)

const widgetDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.shop.e2e.example}
spec:
  group: shop.e2e.example
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer}}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}`

const widget = `
apiVersion: shop.e2e.example/v1
kind: Widget
metadata: {name: one}
spec: {size: 3}`

var (
	widgets     = schema.GroupVersionResource{Group: "shop.e2e.example", Version: "v1", Resource: "widgets"}
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1",
		Resource: "customresourcedefinitions"}
)

// A custom resource takes its definition along. A member in which nobody permitted us to write it says so and is
// served after the permission is given; a definition that disappears in a member comes back with its objects.
func TestPlaceACustomResource(t *testing.T) {
	s := onFleet(t)
	t.Cleanup(func() {
		ctx, name := context.Background(), "widgets.shop.e2e.example"
		_ = s.hub.Dynamic.Resource(definitions).Delete(ctx, name, metav1.DeleteOptions{})
	})
	s.apply(widgetDefinition)
	s.kubectl("", "wait", "--for=condition=Established", "crd/widgets.shop.e2e.example", "--timeout=30s")
	s.permit("east", "widgets")
	s.apply(widget, placement("one", []string{"Widget/one"}, []string{"east=1", "west=1"}))
	s.awaitWidget("east", 3)

	// west has the definition, and not the permission.
	s.eventually("west says what it does not permit", func() error {
		o, err := s.outcome("widget.shop.e2e.example-one", "west")
		if err == nil && (o.Verdict != "Failed" || !strings.Contains(o.Message, "forbidden") ||
			!strings.Contains(o.Message, "widgets") || !strings.Contains(o.Message, "permission")) {
			err = fmt.Errorf("%s: %s", o.Verdict, o.Message)
		}
		return err
	})
	if d := s.definitionIn("west"); d == nil {
		t.Error("the definition did not go ahead to west")
	}
	if d := s.definitionIn("south"); d != nil {
		t.Error("the definition went to south, where no object of it is")
	}
	s.permit("west", "widgets")
	// Permissions are tried again every minute, a change of the template at once.
	s.kubectl("", "patch", "widget", "one", "--type=merge", "-p", `{"spec":{"size":4}}`)
	s.awaitWidget("west", 4)
	s.awaitWidget("east", 4)

	// What a controller in a member says of the object is to be seen on the hub.
	s.in("east", "", "patch", "widget", "one", "--subresource=status", "--type=merge", "-p",
		`{"status":{"conditions":[
		{"type":"Ready","status":"False","reason":"Broken","message":"the spring is broken",
		"lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`)
	s.eventually("the hub says what is wrong in east", func() error {
		o, err := s.outcome("widget.shop.e2e.example-one", "east")
		if err == nil && !strings.Contains(o.HealthMessage, "the spring is broken") {
			err = fmt.Errorf("%s: %s", o.Health, o.HealthMessage)
		}
		return err
	})

	// Without its definition it cannot go to a cluster that does not serve it.
	s.apply(strings.ReplaceAll(widget, "name: one", "name: two"),
		placement("two", []string{"Widget/two"}, []string{"east=1", "south=1"}, "dependencies: Ignore"))
	s.eventually("south is rejected", func() error {
		d, err := s.distribution("widget.shop.e2e.example-two")
		if err == nil && (len(d.Spec.Rejected) != 1 || d.Spec.Rejected[0].Name != "south" ||
			d.Spec.Rejected[0].Message != "it does not serve Widget in shop.e2e.example/v1") {
			err = fmt.Errorf("rejected are %+v", d.Spec.Rejected)
		}
		return err
	})
	s.kubectl("", "delete", "widget", "two", "--timeout=60s")

	before := s.definitionIn("east")
	s.in("east", "", "delete", "crd", "widgets.shop.e2e.example")
	s.eventually("the definition is back in east", func() error {
		if d := s.definitionIn("east"); d == nil || d.GetUID() == before.GetUID() {
			return fmt.Errorf("it is not there, or still the old one")
		}
		return nil
	})
	s.awaitWidget("east", 4)

	s.kubectl("", "delete", "widget", "one", "--timeout=60s")
	s.eventually("the definition leaves with the last object", func() error {
		for _, member := range []string{"east", "west"} {
			if s.definitionIn(member) != nil {
				return fmt.Errorf("%s has it", member)
			}
		}
		return nil
	})
	_, err := s.hub.Dynamic.Resource(definitions).Get(t.Context(), "widgets.shop.e2e.example", metav1.GetOptions{})
	if err != nil {
		t.Errorf("the definition left the hub as well: %v", err)
	}
}

// verticalDefinition is what Hanse reads of the Vertical Pod Autoscaler's own definition.
const verticalDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: verticalpodautoscalers.autoscaling.k8s.io
  annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes/kubernetes/pull/63797"}
spec:
  group: autoscaling.k8s.io
  scope: Namespaced
  names: {plural: verticalpodautoscalers, singular: verticalpodautoscaler, kind: VerticalPodAutoscaler, shortNames: [vpa],
    listKind: VerticalPodAutoscalerList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}`

// A Vertical Pod Autoscaler goes, with its definition, where the workload is that it is about, and nowhere else; what
// the members' recommenders say of it is on the hub.
func TestRecommendResources(t *testing.T) {
	s := onFleet(t)
	vertical := schema.GroupVersionResource{Group: "autoscaling.k8s.io", Version: "v1", Resource: "verticalpodautoscalers"}
	t.Cleanup(func() {
		ctx := context.Background()
		_ = s.hub.Dynamic.Resource(vertical).Namespace(s.ns).Delete(ctx, "web", metav1.DeleteOptions{})
		_ = s.hub.Dynamic.Resource(definitions).Delete(ctx, vertical.GroupResource().String(), metav1.DeleteOptions{})
	})
	s.apply(verticalDefinition)
	s.kubectl("", "wait", "--for=condition=Established", "crd/"+vertical.GroupResource().String(), "--timeout=30s")
	for _, member := range []string{"east", "west"} {
		s.permitIn(member, vertical)
	}
	s.apply(deployment("web", 2), placement("web", []string{"Deployment/web"}, []string{"east=1"}), `
apiVersion: autoscaling.k8s.io/v1
kind: VerticalPodAutoscaler
metadata: {name: web}
spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, updatePolicy: {updateMode: Initial}}`)
	in := func(member string) error {
		_, err := s.member(member).Dynamic.Resource(vertical).Namespace(s.ns).Get(t.Context(), "web", metav1.GetOptions{})
		return err
	}
	s.eventually("it is in east", func() error { return in("east") })
	if err := in("west"); !apierrors.IsNotFound(err) {
		t.Errorf("it is in west, where its workload is not: %v", err)
	}

	// As the recommender of east would.
	s.in("east", "", "patch", "vpa", "web", "--subresource=status", "--type=merge", "-p", `{"status": {"conditions": [
		{"type": "RecommendationProvided", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
		"recommendation": {"containerRecommendations": [{"containerName": "web", "target": {"cpu": "250m"}}]}}}`)
	s.eventually("the hub says that there is a recommendation", func() error {
		o, err := s.outcome("verticalpodautoscaler.autoscaling.k8s.io-web", "east")
		if err != nil {
			return err
		}
		found, err := s.hub.Dynamic.Resource(vertical).Namespace(s.ns).Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && (o.Health != "Healthy" || !strings.Contains(fmt.Sprint(found.Object["status"]), "RecommendationProvided")) {
			err = fmt.Errorf("it says %s, %v", o.Health, found.Object["status"])
		}
		return err
	})

	s.apply(placement("web", []string{"Deployment/web"}, []string{"west=1"}))
	s.eventually("it goes to west with its workload", func() error { return in("west") })
	s.eventually("and leaves east", func() error {
		if err := in("east"); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there: %w", err)
		}
		return nil
	})
}

// permit gives the hub's account in a member the objects of a resource of ours, as the member's administrator would.
func (s *scenario) permit(member, resource string) {
	s.Helper()
	s.permitIn(member, schema.GroupVersionResource{Group: "shop.e2e.example", Version: "v1", Resource: resource})
}

// permitIn is permit for a resource of any group.
func (s *scenario) permitIn(member string, kind schema.GroupVersionResource) {
	s.Helper()
	m, resource := s.member(member), kind.Resource
	s.in(member, strings.NewReplacer("GROUP", kind.Group, "RESOURCE", resource).Replace(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: RESOURCE}
rules: [{apiGroups: [GROUP], resources: [RESOURCE], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: RESOURCE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: RESOURCE}
subjects: [{kind: ServiceAccount, namespace: hanse-system, name: hanse-hub}]`), "apply", "-f", "-")
	s.Cleanup(func() {
		ctx := context.Background()
		s.withdraw(kind)
		_ = m.Kube.RbacV1().ClusterRoleBindings().Delete(ctx, resource, metav1.DeleteOptions{})
		_ = m.Kube.RbacV1().ClusterRoles().Delete(ctx, resource, metav1.DeleteOptions{})
	})
}

// withdraw deletes the objects of a kind, and waits until the hub has removed their copies: without the permission it
// could not, and would rightly keep them.
func (s *scenario) withdraw(kind schema.GroupVersionResource) {
	ctx := context.Background()
	objects := s.hub.Dynamic.Resource(kind).Namespace(s.ns)
	err := objects.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return
	}
	err = errors.Join(err, harness.Await(harness.Patience, func() error {
		left, err := objects.List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) || err == nil && len(left.Items) == 0 {
			return nil
		}
		return errors.Join(err, fmt.Errorf("%s are still there", kind.Resource))
	}))
	if err != nil {
		s.Errorf("removing the %s: %v", kind.Resource, err)
	}
}

func (s *scenario) definitionIn(member string) *unstructured.Unstructured {
	s.Helper()
	client := s.member(member).Dynamic.Resource(definitions)
	found, err := client.Get(s.Context(), "widgets.shop.e2e.example", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	s.must(err)
	return found
}

func (s *scenario) awaitWidget(member string, size int64) {
	s.Helper()
	s.eventually(fmt.Sprintf("the widget in %s has size %d", member, size), func() error {
		found, err := s.member(member).Dynamic.Resource(widgets).Namespace(s.ns).Get(s.Context(), "one", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if is, _, _ := unstructured.NestedInt64(found.Object, "spec", "size"); is != size {
			return fmt.Errorf("it is %d", is)
		}
		return nil
	})
}
