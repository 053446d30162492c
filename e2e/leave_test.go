package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-federation/hanse/e2e/harness"
)

// A member that is left goes on running what clients may still be led to, until no answer that somebody keeps names it.
func TestClientsAreLedAwayBeforeAMemberIsLeft(t *testing.T) {
	s := onFleet(t)
	s.apply(`
apiVersion: hanse.io/v1alpha1
kind: Zone
metadata: {name: leave.example}
spec: {}`, deployment("web", 4), loadBalancer("web"), `
apiVersion: hanse.io/v1alpha1
kind: GlobalService
metadata: {name: web}
spec: {service: web, hostnames: [web.leave.example], ttl: 1}`,
		placement("web", []string{"Deployment/web", "Service/web"}, []string{"east=1", "west=1"}))
	t.Cleanup(func() {
		_, _ = s.hub.Kubectl(t.Context(), "", "delete", "zone", "leave.example")
	})
	s.awaitShares("web", shares{"east": 2, "west": 2})
	east, west := s.address("east", "web"), s.address("west", "web")
	s.awaitAnswer("web.leave.example", east, west)

	s.apply(placement("web", []string{"Deployment/web", "Service/web"}, []string{"west=1"}))
	s.awaitAnswer("web.leave.example", west)
	left := time.Now()
	s.eventually("the decision waits in east", func() error {
		o, err := s.outcome("deployment.apps-web", "east")
		if err == nil && (o.Reason != "StillAnswered" || !strings.Contains(o.Message, "GlobalService web")) {
			err = fmt.Errorf("%s %s: %s", o.Verdict, o.Reason, o.Message)
		}
		return err
	})
	// Where pods take their time the last of them are left, the others having moved one by one with their weight.
	running := int32(1)
	for time.Since(left) < 9*time.Second { // the TTL and the margin are 11 s
		d, err := get[appsv1.Deployment](s, s.member("east").Client, "web")
		s.must(err)
		svc, err := get[corev1.Service](s, s.member("east").Client, "web")
		s.must(err)
		if d == nil || svc == nil || *d.Spec.Replicas < running {
			t.Fatalf("%s after the answers left east, its copies are %v %v", time.Since(left), d, svc)
		}
		running = *d.Spec.Replicas
		time.Sleep(250 * time.Millisecond)
	}
	s.eventually("the copies have left east", func() error {
		d, err := get[appsv1.Deployment](s, s.member("east").Client, "web")
		if err == nil && d != nil {
			err = fmt.Errorf("the Deployment has %d replicas", *d.Spec.Replicas)
		}
		return err
	})
	answered, err := harness.Shares(s.hub.DNS, "web.leave.example", 50)
	s.must(err)
	if len(answered) != 1 || answered[west] == 0 || answered[netip.Addr{}] != 0 {
		t.Errorf("answered: %v", answered)
	}
}
