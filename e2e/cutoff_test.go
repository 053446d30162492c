package e2e

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// runsPods is a member with nodes.
var runsPods = cluster.Options{Controllers: true, Nodes: 1}

var three = []string{"alpha=3", "beta=2", "gamma=1"}

// A hub whose own uplink is cut has seen every member go. When the links heal, one before the others, it takes nothing
// away from members to which nothing has happened.
func TestTheHubIsCutOff(t *testing.T) {
	s, links := linked(t, "alpha", "beta", "gamma")
	s.apply(startsSlowly("web", 12, 5*time.Second),
		placement("web", []string{"Deployment/web"}, three, "failover: {after: 10s}"))
	s.awaitShares("web", shares{"alpha": 6, "beta": 4, "gamma": 2})
	end := s.judgeReady("web", 12)
	defer end()

	for _, comeBack := range []bool{false, true} {
		s.apply(placement("web", []string{"Deployment/web"}, three, fmt.Sprintf("failover: {after: 10s, comeBack: %t}", comeBack)))
		for _, link := range links {
			link.Set(harness.Cut)
		}
		for name := range links {
			s.awaitCluster(name, metav1.ConditionFalse)
		}
		s.stays("web", 12*time.Second, shares{"alpha": 6, "beta": 4, "gamma": 2})
		links["alpha"].Set(harness.Healthy)
		s.awaitCluster("alpha", metav1.ConditionTrue)
		s.stays("web", 4*time.Second, shares{"alpha": 6, "beta": 4, "gamma": 2})
		links["beta"].Set(harness.Healthy)
		links["gamma"].Set(harness.Healthy)
		s.awaitMembers()
		s.stays("web", 4*time.Second, shares{"alpha": 6, "beta": 4, "gamma": 2})
	}
}

// A member that was cut off and counts as lost runs on. When it is back, what it runs stays until its successors are
// ready; with comeBack it is not even made anew.
func TestALostMemberReturns(t *testing.T) {
	s, links := linked(t, "alpha", "beta", "gamma")
	s.apply(startsSlowly("web", 12, 8*time.Second), configMap("settings", "a", "b"),
		placement("web", []string{"Deployment/web"}, three, "failover: {after: 2s}"),
		startsSlowly("home", 12, 8*time.Second),
		placement("home", []string{"Deployment/home"}, three, "failover: {after: 2s, comeBack: true}"))
	for _, name := range []string{"web", "home"} {
		s.awaitShares(name, shares{"alpha": 6, "beta": 4, "gamma": 2})
		defer s.judgeReady(name, 12)()
	}
	links["beta"].Set(harness.Cut)
	s.eventually("beta's replicas are decided elsewhere", func() error {
		d, err := s.distribution("deployment.apps-web")
		if err == nil && len(d.Spec.Clusters) != 2 {
			err = fmt.Errorf("they are in %v", d.Spec.Clusters)
		}
		return err
	})
	links["beta"].Set(harness.Healthy)
	s.awaitShares("web", shares{"alpha": 9, "gamma": 3})
	s.awaitShares("home", shares{"alpha": 6, "beta": 4, "gamma": 2})
}

// stays asserts that the decision about a Deployment is the same for a while.
func (s *scenario) stays(name string, while time.Duration, wanted shares) {
	s.Helper()
	for begin := time.Now(); time.Since(begin) < while; time.Sleep(lookPause) {
		d, err := s.distribution("deployment.apps-" + name)
		s.must(err)
		decided := shares{}
		for _, c := range d.Spec.Clusters {
			decided[c.Name] = int32(*c.Replicas)
		}
		if decided.String() != wanted.String() {
			s.Fatalf("after %s the decision is %s, want %s", time.Since(begin).Round(time.Millisecond), decided, wanted)
		}
	}
}
