package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// address waits for the load balancer's address of a Service in a member.
func (s *scenario) address(member, service string) netip.Addr {
	s.Helper()
	var addr netip.Addr
	s.eventually(fmt.Sprintf("Service %s has an address in %s", service, member), func() error {
		svc, err := get[corev1.Service](s, s.member(member).Client, service)
		if err != nil {
			return err
		}
		if svc == nil || len(svc.Status.LoadBalancer.Ingress) == 0 {
			return errors.New("it has none")
		}
		addr, err = netip.ParseAddr(svc.Status.LoadBalancer.Ingress[0].IP)
		return err
	})
	return addr
}

// awaitAnswer waits until all these addresses are answered, and no others.
func (s *scenario) awaitAnswer(name string, wanted ...netip.Addr) {
	s.Helper()
	slices.SortFunc(wanted, netip.Addr.Compare)
	s.eventually(fmt.Sprintf("%s is %v", name, wanted), func() error {
		got, err := harness.Shares(s.hub.DNS, name, 20)
		if err != nil {
			return err
		}
		var addresses []netip.Addr
		for addr := range got {
			addresses = append(addresses, addr)
		}
		slices.SortFunc(addresses, netip.Addr.Compare)
		if !slices.Equal(addresses, wanted) {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	})
}

// answersLeadToPods asks the addresses that DNS answers over HTTP, where pods are real: pods behind it reply.
func (s *scenario) answersLeadToPods(name string, members map[netip.Addr]string) {
	s.Helper()
	if !onKind() {
		return // simulated pods reply to nobody
	}
	answered, err := harness.Shares(s.hub.DNS, name, 60)
	s.must(err)
	browser := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}} // no proxy of the environment
	for address := range answered {
		s.eventually(fmt.Sprintf("a pod of %s replies at %s", members[address], address), func() error {
			response, err := browser.Get("http://" + address.String() + "/")
			if err != nil {
				return err
			}
			defer response.Body.Close()
			reply, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
			if err != nil {
				return err
			}
			if !strings.Contains(string(reply), "version 1") {
				return fmt.Errorf("it replies %q", reply)
			}
			return nil
		})
	}
	if len(answered) != len(members) {
		s.Errorf("%d of %d addresses were answered", len(answered), len(members))
	}
}

// The clients of one name divide over the members as the ready replicas do, and follow a change of the weights.
func TestAnswerByWeight(t *testing.T) {
	s := onFleet(t)
	s.apply(deployment("web", 12), loadBalancer("web"), `
apiVersion: hanse.io/v1alpha1
kind: Zone
metadata: {name: weight.example}
spec: {}`, `
apiVersion: hanse.io/v1alpha1
kind: GlobalService
metadata: {name: web}
spec: {service: web, hostnames: [web.weight.example], ttl: 30}`,
		placement("web", []string{"Deployment/web", "Service/web"}, []string{"east=3", "west=2", "south=1"}))
	t.Cleanup(func() {
		_ = s.hub.Client.Delete(context.Background(), &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: "weight.example"}})
	})
	s.awaitShares("web", shares{"east": 6, "west": 4, "south": 2})
	east, west, south := s.address("east", "web"), s.address("west", "web"), s.address("south", "web")

	s.eventually("the GlobalService says the shares", func() error {
		g, err := get[v1alpha1.GlobalService](s, s.hub.Client, "web")
		if err == nil && g.Status.Summary != "east=50%,south=17%,west=33%" {
			err = errors.New(g.Status.Summary)
		}
		return err
	})
	s.sharesAre("web.weight.example", map[netip.Addr]float64{east: 3. / 6, west: 2. / 6, south: 1. / 6})
	s.answersLeadToPods("web.weight.example", map[netip.Addr]string{east: "east", west: "west", south: "south"})
	s.apply(placement("web", []string{"Deployment/web", "Service/web"}, []string{"east=1", "west=1", "south=1"}))
	s.awaitShares("web", shares{"east": 4, "west": 4, "south": 4})
	s.eventually("the GlobalService says the new shares", func() error {
		g, err := get[v1alpha1.GlobalService](s, s.hub.Client, "web")
		if err == nil && g.Status.Summary != "east=33%,south=33%,west=33%" {
			err = errors.New(g.Status.Summary)
		}
		return err
	})
	s.sharesAre("web.weight.example", map[netip.Addr]float64{east: 1. / 3, west: 1. / 3, south: 1. / 3})

	for _, row := range []struct {
		name  string
		kind  uint16
		rcode int
		count int
		says  string
	}{
		{"web.weight.example", dns.TypeAAAA, dns.RcodeSuccess, 0, ""}, // the name exists
		{"nothing.weight.example", dns.TypeA, dns.RcodeNameError, 0, ""},
		{"weight.example", dns.TypeSOA, dns.RcodeSuccess, 1, "weight.example."},
		{"weight.example", dns.TypeNS, dns.RcodeSuccess, 1, "ns1.weight.example."},
		{"_http._tcp.web.weight.example", dns.TypeSRV, dns.RcodeSuccess, -1, " 80 "},
		{"example.com", dns.TypeA, dns.RcodeRefused, 0, ""},
	} {
		answer, err := harness.Ask(s.hub.DNS, row.name, row.kind)
		s.must(err)
		if answer.Rcode != row.rcode || row.count >= 0 && len(answer.Answer) != row.count ||
			!strings.Contains(fmt.Sprint(answer.Answer), row.says) {
			t.Errorf("%s %s: %s", row.name, dns.TypeToString[row.kind], answer)
		}
	}
	weightsOfExternalDNS(s)
}

// weightsOfExternalDNS: annotations give each member the weight that its copy has there, also by an override.
func weightsOfExternalDNS(s *scenario) {
	s.Helper()
	const prefix = "external-dns.alpha.kubernetes.io/"
	s.apply(loadBalancer("shop"))
	s.kubectl("", "annotate", "service", "shop", prefix+"hostname=shop.weight.example",
		prefix+"set-identifier=all", prefix+"aws-weight=10")
	place := func(more ...string) string {
		return placement("shop", []string{"Service/shop"}, []string{"east=1", "west=1"}, more...)
	}
	summary := func(wanted string) {
		s.Helper()
		s.eventually("the GlobalService of shop says "+wanted, func() error {
			g, err := get[v1alpha1.GlobalService](s, s.hub.Client, "shop")
			switch {
			case err != nil:
				return err
			case g == nil:
				return errors.New("there is none")
			case g.Status.Summary != wanted:
				return errors.New(g.Status.Summary)
			}
			return nil
		})
	}
	s.apply(place())
	summary("east=50%,west=50%")
	s.apply(place(`overrides: [{clusters: [{name: west}], annotations: {` + prefix + `aws-weight: "30"}}]`))
	summary("east=25%,west=75%")
	s.sharesAre("shop.weight.example", map[netip.Addr]float64{
		s.address("east", "shop"): 1. / 4, s.address("west", "shop"): 3. / 4,
	})
	s.kubectl("", "annotate", "service", "shop", prefix+"aws-weight=some", "--overwrite")
	s.awaitShown([]string{`aws-weight is "some" in east, and not a number`}, "get", "globalservice", "shop",
		"-o", `jsonpath={.status.conditions[?(@.type=="AnnotationsFollowed")].message}`)
	summary("east=25%,west=75%")
}

// sharesAre asks so often that a true share is missed by chance once in some million runs.
func (s *scenario) sharesAre(name string, wanted map[netip.Addr]float64) {
	s.Helper()
	const times = 1200
	got, err := harness.Shares(s.hub.DNS, name, times)
	s.must(err)
	for addr, share := range wanted {
		tolerance := 5 * math.Sqrt(share*(1-share)/times)
		if math.Abs(got[addr]-share) > tolerance {
			s.Errorf("%s got %.3f of the clients of %s, want %.3f within %.3f", addr, got[addr], name, share, tolerance)
		}
	}
	if len(got) != len(wanted) {
		s.Errorf("%s is answered with %v, want %v", name, got, wanted)
	}
}
