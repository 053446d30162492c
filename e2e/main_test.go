// Package e2e has the scenarios: one file for each thing that a user does, on a real hub and real members.
//
// Scenarios that take nothing away share one hub with the members east, west and south (onFleet) and run side by
// side, each in a namespace of its own. Those that kill, pause or break something run one after the other, on a hub
// with the members alpha and beta (onTestbed) or on what they start themselves; each leaves it working.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// federation is a hub with members that have joined.
type federation struct {
	hub     *harness.Hub
	members []*harness.Member
}

// lasting is what TestMain judges, and ends in reverse order.
var lasting struct {
	sync.Mutex
	federations []*federation
	closers     []func() error
}

func keep(closing func() error) {
	lasting.Lock()
	defer lasting.Unlock()
	lasting.closers = append(lasting.closers, closing)
}

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard()) // of the library's clients; what matters comes back as errors
	code := m.Run()
	if code == 0 { // a scenario that failed may have left anything
		for _, f := range lasting.federations {
			if err := harness.Await(harness.Patience, f.isEmpty); err != nil {
				fmt.Fprintf(os.Stderr, "the scenarios passed, and the hub did not clean up after them:\n%v\n", err)
				code = 1
			}
		}
	}
	for _, closing := range slices.Backward(lasting.closers) {
		if err := closing(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// isEmpty tells what scenarios left on the hub: namespaces that are still going, and Distributions.
func (f *federation) isEmpty() error {
	ctx := context.Background()
	var namespaces corev1.NamespaceList
	var distributions v1alpha1.DistributionList
	if err := errors.Join(f.hub.Client.List(ctx, &namespaces), f.hub.Client.List(ctx, &distributions)); err != nil {
		return err
	}
	var left []error
	for _, ns := range namespaces.Items {
		if ns.DeletionTimestamp == nil {
			continue
		}
		left = append(left, fmt.Errorf("namespace %s is still going", ns.Name))
		for _, c := range ns.Status.Conditions {
			if c.Status == corev1.ConditionTrue {
				left = append(left, fmt.Errorf("  %s: %s", c.Type, c.Message))
			}
		}
	}
	for _, d := range distributions.Items {
		left = append(left, fmt.Errorf("Distribution %s/%s leaves %v: %+v", d.Namespace, d.Name, d.Spec.Leaving,
			d.Status.Conditions))
	}
	return errors.Join(left...)
}

// startPatience bounds the start of a whole federation. The first one in a fresh repository builds Kubernetes.
const startPatience = 20 * time.Minute

// newFederation is a hub with members that run pods; they join with the flags.
func newFederation(flags []string, names ...string) (*federation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	f := &federation{}
	var group sync.WaitGroup
	var hubErr, memberErr error
	group.Go(func() {
		if f.hub, hubErr = harness.StartHub(ctx, harness.HubOptions{}); hubErr == nil {
			keep(f.hub.Close)
		}
	})
	group.Go(func() {
		f.members, memberErr = harness.NewMembers(ctx, cluster.Options{Controllers: true, Nodes: 1}, names...)
		for _, m := range f.members {
			keep(m.Delete)
		}
	})
	group.Wait()
	if err := errors.Join(hubErr, memberErr); err != nil {
		return nil, err
	}
	lasting.Lock()
	lasting.federations = append(lasting.federations, f)
	lasting.Unlock()
	return f, harness.JoinAll(ctx, f.hub, f.members, flags...)
}

var (
	theFleet = sync.OnceValues(func() (*federation, error) {
		return newFederation([]string{"--impersonate", "all"}, "east", "west", "south")
	})
	theTestbed = sync.OnceValues(func() (*federation, error) { return newFederation(nil, "alpha", "beta") })
)

// scenario is one test in one namespace of a federation.
type scenario struct {
	*testing.T
	*federation
	ns string
}

// onFleet is a scenario that takes nothing away from others; it runs beside them.
func onFleet(t *testing.T) *scenario {
	t.Helper()
	t.Parallel()
	f, err := theFleet()
	if err != nil {
		t.Fatal(err)
	}
	return newScenario(t, f)
}

// onTestbed is a scenario that breaks something. When it ends, everything works again.
func onTestbed(t *testing.T) *scenario {
	t.Helper()
	f, err := theTestbed()
	if err != nil {
		t.Fatal(err)
	}
	s := newScenario(t, f)
	s.awaitMembers()
	return s
}

func newScenario(t *testing.T, f *federation) *scenario {
	s := &scenario{T: t, federation: f, ns: namespaceOf(t)}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}
	s.must(s.hub.Client.Create(t.Context(), namespace))
	t.Cleanup(func() {
		ctx := context.Background()
		if err := client.IgnoreNotFound(s.hub.Client.Delete(ctx, namespace)); err != nil {
			t.Errorf("deleting namespace %s: %v", s.ns, err)
		}
	})
	return s
}

// namespaceOf makes TestScaleUpAndDown to scale-up-and-down.
func namespaceOf(t *testing.T) string {
	var name strings.Builder
	for i, c := range strings.TrimPrefix(t.Name(), "Test") {
		if c >= 'A' && c <= 'Z' {
			if i > 0 {
				name.WriteByte('-')
			}
			c += 'a' - 'A'
		}
		name.WriteRune(c)
	}
	return name.String()
}

func (s *scenario) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// member by its name.
func (s *scenario) member(name string) *harness.Member {
	s.Helper()
	for _, m := range s.members {
		if m.Name() == name {
			return m
		}
	}
	s.Fatalf("there is no member %s", name)
	return nil
}

// kubectl runs kubectl on the hub, in the scenario's namespace; it must succeed.
func (s *scenario) kubectl(stdin string, arguments ...string) string {
	s.Helper()
	r, err := s.hub.Kubectl(s.Context(), stdin, append([]string{"--namespace", s.ns}, arguments...)...)
	s.must(err)
	if r.Code != 0 {
		s.Fatalf("kubectl %s: %s", strings.Join(arguments, " "), r)
	}
	return r.Stdout
}

// awaitShown runs kubectl on the hub until what it prints has all the words: what is shown is written by several
// controllers, one after the other.
func (s *scenario) awaitShown(words []string, arguments ...string) {
	s.Helper()
	s.eventually("kubectl "+strings.Join(arguments, " ")+" shows it", func() error {
		told := s.kubectl("", arguments...)
		for _, word := range words {
			if !strings.Contains(told, word) {
				return fmt.Errorf("%q is not in\n%s", word, told)
			}
		}
		return nil
	})
}

// refused runs kubectl on the hub; it must be refused, and what it says is returned.
func (s *scenario) refused(stdin string, arguments ...string) string {
	s.Helper()
	r, err := s.hub.Kubectl(s.Context(), stdin, append([]string{"--namespace", s.ns}, arguments...)...)
	s.must(err)
	if r.Code == 0 {
		s.Fatalf("kubectl %s was not refused: %s", strings.Join(arguments, " "), r)
	}
	return r.Stderr
}

// apply applies manifests to the hub.
func (s *scenario) apply(manifests ...string) {
	s.Helper()
	s.kubectl(strings.Join(manifests, "\n---\n"), "apply", "-f", "-")
}

// in runs kubectl in a member, in the scenario's namespace.
func (s *scenario) in(member, stdin string, arguments ...string) string {
	s.Helper()
	r, err := harness.RunKubectl(s.Context(), s.member(member).Kubeconfig(), stdin,
		append([]string{"--namespace", s.ns}, arguments...)...)
	s.must(err)
	if r.Code != 0 {
		s.Fatalf("kubectl %s in %s: %s", strings.Join(arguments, " "), member, r)
	}
	return r.Stdout
}

func (s *scenario) eventually(what string, condition func() error) {
	s.Helper()
	harness.Eventually(s, what, condition)
}

// get reads an object of the scenario's namespace; nil tells that there is none.
func get[T any, P interface {
	*T
	client.Object
}](s *scenario, from client.Client, name string) (P, error) {
	obj := P(new(T))
	err := from.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return obj, err
}

// onKind reports whether the members are kind clusters, with real nodes.
func onKind() bool { return os.Getenv("E2E_PROVIDER") == "kind" }

// apiServer is the part of a member whose loss is the loss of its API: a kind cluster goes only as a whole.
func apiServer() cluster.Part {
	if onKind() {
		return cluster.All
	}
	return cluster.APIServer
}

// awaitMembers waits until the hub sees every member Ready.
func (s *scenario) awaitMembers() {
	s.Helper()
	for _, m := range s.members {
		s.awaitCluster(m.Name(), metav1.ConditionTrue)
	}
}

// awaitCluster waits until the hub says so of a member's readiness, and returns the Cluster.
func (s *scenario) awaitCluster(name string, status metav1.ConditionStatus) *v1alpha1.Cluster {
	s.Helper()
	c := &v1alpha1.Cluster{}
	s.eventually(fmt.Sprintf("Cluster %s Ready=%s", name, status), func() error {
		if err := s.hub.Client.Get(s.Context(), client.ObjectKey{Name: name}, c); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ClusterConditionReady)
		if ready == nil || ready.Status != status {
			return fmt.Errorf("it is %+v", ready)
		}
		return nil
	})
	return c
}

// distribution reads what the hub decided and saw of a template, as kind.group-name.
func (s *scenario) distribution(name string) (*v1alpha1.Distribution, error) {
	d, err := get[v1alpha1.Distribution](s, s.hub.Client, name)
	if err == nil && d == nil {
		err = fmt.Errorf("there is no Distribution %s", name)
	}
	return d, err
}

// outcome is what became of a template in one member.
func (s *scenario) outcome(distribution, member string) (v1alpha1.ClusterOutcome, error) {
	d, err := s.distribution(distribution)
	if err != nil {
		return v1alpha1.ClusterOutcome{}, err
	}
	for _, o := range d.Status.Clusters {
		if o.Name == member {
			return o, nil
		}
	}
	return v1alpha1.ClusterOutcome{}, fmt.Errorf("%s says nothing of %s, only: %s", distribution, member, d.Status.Summary)
}

// verdict waits until the outcome in a member is of that verdict, and returns it.
func (s *scenario) verdict(distribution, member string, wanted ...v1alpha1.Verdict) v1alpha1.ClusterOutcome {
	s.Helper()
	var o v1alpha1.ClusterOutcome
	s.eventually(fmt.Sprintf("%s in %s is %v", distribution, member, wanted), func() (err error) {
		o, err = s.outcome(distribution, member)
		if err == nil && !slices.Contains(wanted, o.Verdict) {
			err = fmt.Errorf("it is %s (%s: %s)", o.Verdict, o.Reason, o.Message)
		}
		return err
	})
	return o
}
