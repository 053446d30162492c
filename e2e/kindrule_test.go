package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// gadgetDefinition is a custom kind with a scale subresource, of which the hub has never heard.
const gadgetDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.shop.e2e.example}
spec:
  group: shop.e2e.example
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {size: {type: integer}, spare: {type: integer}, key: {type: string}, address: {type: string}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}`

const gadget = `
apiVersion: shop.e2e.example/v1
kind: Gadget
metadata: {name: one}
spec: {size: 6, spare: 3, key: gadget-key, address: 10.0.0.1}`

const gadgetRule = `
apiVersion: hanse.io/v1alpha1
kind: KindRule
metadata: {name: gadget.shop.e2e.example}
spec:
  group: shop.e2e.example
  kind: Gadget
  replicas: {path: .spec.size, ready: object.status.working}
  numbers: [{path: .spec.spare}]
  dependencies: [{kind: Secret, names: "[object.spec.key]"}]
  retain: [.spec.address]
  health:
  - {when: object.status.broken > 0, is: Degraded, message: "string(object.status.broken) + ' gadgets are broken'"}
  - {when: object.status.working == object.spec.size, is: Healthy}
  - {is: Progressing, message: "'gadgets are being made'"}
  status:
    aggregate:
    - {field: working, how: Sum}
    - {field: phase, how: Worst, order: [Broken, Making, Done]}
    - {field: percent, value: "sum(members.map(m, m.status.working)) * 100 / template.spec.size"}`

var gadgets = schema.GroupVersionResource{Group: "shop.e2e.example", Version: "v1", Resource: "gadgets"}

// A custom kind with a scale subresource is divided by it. A KindRule teaches the hub the rest, at once and without a
// restart; when it is deleted, the generic rule is back.
func TestTeachAKind(t *testing.T) {
	s := onFleet(t)
	t.Cleanup(func() {
		ctx := context.Background()
		_ = s.hub.Dynamic.Resource(kindRules).Delete(ctx, "gadget.shop.e2e.example", metav1.DeleteOptions{})
		_ = s.hub.Dynamic.Resource(definitions).Delete(ctx, "gadgets.shop.e2e.example", metav1.DeleteOptions{})
	})
	s.apply(gadgetDefinition)
	s.kubectl("", "wait", "--for=condition=Established", "crd/gadgets.shop.e2e.example", "--timeout=30s")
	for _, member := range []string{"east", "west"} {
		s.permit(member, "gadgets")
	}
	s.apply(gadget, placement("one", []string{"Gadget/one"}, []string{"east=2", "west=1"}), `
apiVersion: v1
kind: Secret
metadata: {name: gadget-key}
stringData: {a: b}`)

	// By the scale subresource alone.
	s.awaitGadget("east", map[string]any{"size": int64(4), "spare": int64(3), "address": "10.0.0.1", "key": "gadget-key"})
	s.awaitGadget("west", map[string]any{"size": int64(2), "spare": int64(3), "address": "10.0.0.1", "key": "gadget-key"})
	s.gadgetStatus("east", `{"size": 4, "working": 4, "broken": 0, "phase": "Done"}`)
	s.gadgetStatus("west", `{"size": 2, "working": 1, "broken": 1, "phase": "Broken"}`)
	s.awaitGadgetOnHub("the sum of the scale", func(status map[string]any) error {
		if status["size"] != int64(6) {
			return fmt.Errorf("size is %v", status["size"])
		}
		return nil
	})

	// A rule that cannot be used is refused with the field and the position.
	refused := s.refused(strings.Replace(gadgetRule, "object.status.broken > 0", "objekt.status.broken > 0", 1), "apply", "-f", "-")
	if !strings.Contains(refused, "spec.health[0].when: at character 1: undeclared reference to 'objekt'") {
		t.Fatalf("a rule that does not compile is refused with: %s", refused)
	}

	s.apply(gadgetRule)
	s.kubectl("", "wait", "--for=condition=InForce", "kindrule/gadget.shop.e2e.example", "--timeout=30s")
	s.awaitGadget("east", map[string]any{"size": int64(4), "spare": int64(2), "key": "gadget-key"})
	s.awaitGadget("west", map[string]any{"size": int64(2), "spare": int64(1), "key": "gadget-key"})
	s.awaitGadgetOnHub("what the rule adds up", func(status map[string]any) error {
		if status["working"] != int64(5) || status["phase"] != "Broken" || status["percent"] != int64(83) {
			return fmt.Errorf("it is %v", status)
		}
		return nil
	})
	s.awaitHealth("west", "Degraded", "1 gadgets are broken")
	s.awaitHealth("east", "Healthy", "")
	s.eventually("the Secret that the rule names is in east", func() error {
		_, err := s.member("east").Kube.CoreV1().Secrets(s.ns).Get(t.Context(), "gadget-key", metav1.GetOptions{})
		return err
	})
	s.gadgetStatus("west", `{"size": 2, "working": 2, "broken": 0, "phase": "Done"}`)
	s.awaitHealth("west", "Healthy", "")

	// Another rule is another judgement, at once.
	s.kubectl("", "patch", "kindrule", "gadget.shop.e2e.example", "--type=merge", "-p",
		`{"spec": {"health": [{"is": "Progressing", "message": "'always later'"}]}}`)
	s.awaitHealth("east", "Progressing", "always later")

	s.kubectl("", "delete", "kindrule", "gadget.shop.e2e.example")
	s.awaitGadget("east", map[string]any{"size": int64(4), "spare": int64(3), "address": "10.0.0.1", "key": "gadget-key"})
	s.kubectl("", "scale", "gadget/one", "--replicas=9")
	s.awaitGadget("east", map[string]any{"size": int64(6), "spare": int64(3), "address": "10.0.0.1", "key": "gadget-key"})
}

var kindRules = schema.GroupVersionResource{Group: "hanse.io", Version: "v1alpha1", Resource: "kindrules"}

// gadgetStatus writes what the kind's controller in a member would.
func (s *scenario) gadgetStatus(member, status string) {
	s.Helper()
	s.in(member, "", "patch", "gadget", "one", "--subresource=status", "--type=merge", "-p", `{"status": `+status+`}`)
}

func (s *scenario) awaitGadget(member string, spec map[string]any) {
	s.Helper()
	s.eventually(fmt.Sprintf("the gadget in %s is %v", member, spec), func() error {
		found, err := s.member(member).Dynamic.Resource(gadgets).Namespace(s.ns).Get(s.Context(), "one", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got := fmt.Sprint(found.Object["spec"]); got != fmt.Sprint(spec) {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}

func (s *scenario) awaitGadgetOnHub(what string, good func(status map[string]any) error) {
	s.Helper()
	s.eventually(what+" is on the hub", func() error {
		found, err := s.hub.Dynamic.Resource(gadgets).Namespace(s.ns).Get(s.Context(), "one", metav1.GetOptions{})
		if err != nil {
			return err
		}
		status, _, _ := unstructured.NestedMap(found.Object, "status")
		return good(status)
	})
}

func (s *scenario) awaitHealth(member, health, message string) {
	s.Helper()
	s.eventually(fmt.Sprintf("the gadget in %s is %s: %s", member, health, message), func() error {
		o, err := s.outcome("gadget.shop.e2e.example-one", member)
		if err == nil && (string(o.Health) != health || o.HealthMessage != message) {
			err = fmt.Errorf("it is %s: %s (%s)", o.Health, o.HealthMessage, o.Message)
		}
		return err
	})
}
