package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/e2e/harness"
)

// big is a Deployment of which three replicas fit on a node of 32 cores.
func big(name string, replicas int) string {
	return strings.ReplaceAll(deployment(name, replicas), "ports:", "resources: {requests: {cpu: 10}}, ports:")
}

// needsLargeNodes skips where nodes are what this machine is.
func needsLargeNodes(t *testing.T) {
	if onKind() {
		t.Skip("counts on nodes of 32 cores, and adds one; those of kind are as large as this machine")
	}
}

// addNode gives a member one more node like its first.
func (s *scenario) addNode(member *harness.Member) {
	s.Helper()
	var nodes corev1.NodeList
	s.must(member.Client.List(s.Context(), &nodes))
	first := nodes.Items[0]
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "one-more", Labels: first.Labels, Annotations: first.Annotations},
		Status: corev1.NodeStatus{
			Capacity: first.Status.Capacity, Allocatable: first.Status.Allocatable, NodeInfo: first.Status.NodeInfo,
		},
	}
	s.must(member.Client.Create(s.Context(), node))
	s.Cleanup(func() {
		if err := member.Client.Delete(context.Background(), node); client.IgnoreNotFound(err) != nil {
			s.Error(err)
		}
	})
}

// gone deletes a Deployment and waits until its pods have given their room back.
func (s *scenario) gone(name string) {
	s.Helper()
	s.kubectl("", "delete", "deployment", name)
	awaitGone[appsv1.Deployment](s, name, "alpha", "beta")
	s.eventually("the pods of "+name+" are gone", func() error {
		for _, m := range s.members {
			var pods corev1.PodList
			if err := m.Client.List(s.Context(), &pods, client.InNamespace(s.ns)); err != nil || len(pods.Items) > 0 {
				return errors.Join(err, fmt.Errorf("%d in %s", len(pods.Items), m.Name()))
			}
		}
		return nil
	})
	s.awaitRoom()
}

// awaitRoom waits until the hub knows that the members' nodes are empty.
func (s *scenario) awaitRoom() {
	s.Helper()
	cores := shares{}
	for _, m := range s.members {
		var nodes corev1.NodeList
		s.must(m.Client.List(s.Context(), &nodes))
		cores[m.Name()] = 32 * int32(len(nodes.Items))
	}
	s.awaitFree(cores)
}

// awaitFree waits until the hub knows that members have so many cores free, or up to one less. What it knows of room is
// up to a second old: a decision in that second may promise what was just used.
func (s *scenario) awaitFree(cores shares) {
	s.Helper()
	s.eventually("the hub knows what room there is", func() error {
		for name, want := range cores {
			c := s.awaitCluster(name, metav1.ConditionTrue)
			if c.Status.Resources == nil {
				return fmt.Errorf("it knows nothing of %s yet", name)
			}
			if free := c.Status.Resources.Available.Cpu().Value(); free < int64(want)-1 || free > int64(want) {
				return fmt.Errorf("%s has %d cores free, not %d", name, free, want)
			}
		}
		return nil
	})
}

// tiered is a placement on alpha, and on beta when alpha is full.
const tiered = `
apiVersion: hanse.io/v1alpha1
kind: Placement
metadata: {name: web}
spec:
  resources: [{kind: Deployment, name: web}]
  clusters: [{name: alpha}, {name: beta, tier: 1}]`

// What fits nowhere is said, and placed as soon as there is room; free room decides where things go.
func TestRoom(t *testing.T) {
	needsLargeNodes(t)
	s := onTestbed(t)
	s.awaitRoom()

	// Tier 1 takes what tier 0 cannot hold.
	s.apply(big("web", 5), tiered)
	s.awaitShares("web", shares{"alpha": 3, "beta": 2})

	// Eight do not fit.
	s.awaitFree(shares{"alpha": 2, "beta": 12})
	s.kubectl("", "scale", "deployment/web", "--replicas=8")
	s.awaitShares("web", shares{"alpha": 3, "beta": 3})
	d, err := s.distribution("deployment.apps-web")
	s.must(err)
	if d.Spec.Unplaced != 2 || d.Spec.UnplacedReason == "" {
		t.Errorf("%d are unplaced: %q", d.Spec.Unplaced, d.Spec.UnplacedReason)
	}
	says(t, "the explanation", s.hanse("explain", "-n", s.ns, "deployment/web"), "2 of the replicas in no cluster", "full", "no room")

	// A node more, and they do.
	s.awaitFree(shares{"alpha": 2, "beta": 2})
	s.addNode(s.member("beta"))
	s.awaitShares("web", shares{"alpha": 3, "beta": 5})
	s.gone("web")

	// By capacity: beta has twice the room.
	s.apply(big("even", 6), placement("even", []string{"Deployment/even"}, []string{"alpha=1", "beta=1"}, "by: Capacity"))
	s.awaitShares("even", shares{"alpha": 2, "beta": 4})
	s.gone("even")

	// As few members as possible.
	s.apply(big("few", 4), placement("few", []string{"Deployment/few"}, []string{"alpha=1", "beta=1"}, "pack: Fill"))
	s.awaitShares("few", shares{"beta": 4})
}

// A member whose scheduler finds no node for what it was given loses it to one that can run it, although its figures
// promise room.
func TestRoomThatIsNone(t *testing.T) {
	needsLargeNodes(t)
	s := onTestbed(t)
	s.awaitRoom()
	s.in("alpha", "", "taint", "nodes", "--all", "closed=yes:NoSchedule")
	t.Cleanup(func() {
		_, err := harness.RunKubectl(context.Background(), s.member("alpha").Kubeconfig(), "",
			"taint", "nodes", "--all", "closed-")
		if err != nil {
			t.Error(err)
		}
	})
	s.apply(deployment("web", 4), placement("web", []string{"Deployment/web"}, []string{"alpha=1", "beta=1"}))
	s.eventually("alpha gets its share", func() error {
		d, err := get[appsv1.Deployment](s, s.member("alpha").Client, "web")
		if err == nil && (d == nil || *d.Spec.Replicas != 2) {
			err = fmt.Errorf("it is %v", d)
		}
		return err
	})
	harness.EventuallyWithin(t, 2*harness.Patience, "beta has what alpha cannot run", func() error {
		d, err := get[appsv1.Deployment](s, s.hub.Client, "web")
		if err == nil && d.Status.ReadyReplicas != 4 {
			err = fmt.Errorf("%d of 4 are ready", d.Status.ReadyReplicas)
		}
		return err
	})
	says(t, "the explanation", s.hanse("explain", "-n", s.ns, "deployment/web"), "alpha 2 -> none", "it cannot run 2 replicas")
}
