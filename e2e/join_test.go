package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// theVisitor is a cluster that joins and leaves; between two scenarios it is no member.
var theVisitor = sync.OnceValues(func() (*harness.Member, error) {
	m, err := harness.NewMember(context.Background(), "visitor", cluster.Options{Controllers: true, Nodes: 1})
	if err == nil {
		keep(m.Delete)
	}
	return m, err
})

// hosts gives the scenario the visitor.
func (s *scenario) hosts() *harness.Member {
	s.Helper()
	visitor, err := theVisitor()
	s.must(err)
	return visitor
}

// nothingIn says what of us is in a cluster or on the hub for it; nil if there is nothing.
func (s *scenario) nothingIn(m *harness.Member) error {
	ctx := context.Background()
	for _, list := range []struct {
		what string
		ask  func() error
	}{
		{"ClusterRole hanse-hub", func() error {
			_, err := m.Kube.RbacV1().ClusterRoles().Get(ctx, "hanse-hub", metav1.GetOptions{})
			return err
		}},
		{"ClusterRoleBinding hanse-hub", func() error {
			_, err := m.Kube.RbacV1().ClusterRoleBindings().Get(ctx, "hanse-hub", metav1.GetOptions{})
			return err
		}},
		{"Namespace hanse-system", func() error {
			_, err := m.Kube.CoreV1().Namespaces().Get(ctx, v1alpha1.SystemNamespace, metav1.GetOptions{})
			return err
		}},
		{"Cluster on the hub", func() error {
			return s.hub.Client.Get(ctx, client.ObjectKey{Name: m.Name()}, &v1alpha1.Cluster{})
		}},
		{"Secret on the hub", func() error {
			_, err := s.hub.Kube.CoreV1().Secrets(v1alpha1.SystemNamespace).Get(ctx, m.Name(), metav1.GetOptions{})
			return err
		}},
	} {
		switch err := list.ask(); {
		case err == nil:
			return fmt.Errorf("there is a %s of %s", list.what, m.Name())
		case client.IgnoreNotFound(err) != nil:
			return err
		}
	}
	return nil
}

// hanse runs a command of hanse on the scenario's hub; it must succeed.
func (s *scenario) hanse(arguments ...string) string {
	s.Helper()
	r, err := s.hub.Hanse(s.Context(), arguments...)
	s.must(err)
	if r.Code != 0 {
		s.Fatalf("hanse %s: %s", strings.Join(arguments, " "), r)
	}
	return r.Stdout
}

// A cluster joins, gets work, and leaves without a trace; with --orphan what runs there stays.
func TestJoinAndLeave(t *testing.T) {
	s := onTestbed(t)
	visitor := s.hosts()
	s.federation = &federation{hub: s.hub, members: append(slices.Clone(s.members), visitor)}

	said := s.hanse("join", "visitor", "--cluster-kubeconfig", visitor.Kubeconfig(), "--region", "eu-1", "--label", "env=test")
	if !strings.Contains(said, "visitor joined: Kubernetes v1.") {
		t.Errorf("join says: %s", said)
	}
	if table := s.hanse("clusters"); !strings.Contains(table, "visitor") || !strings.Contains(table, "eu-1") {
		t.Errorf("hanse clusters does not show it:\n%s", table)
	}
	s.apply(deployment("web", 2), placement("web", []string{"Deployment/web"}, []string{"visitor=1", "alpha=1"}))
	s.awaitShares("web", shares{"visitor": 1, "alpha": 1})

	s.hanse("unjoin", "visitor", "--timeout=90s")
	s.eventually("nothing of us is left", func() error { return s.nothingIn(visitor) })
	s.eventually("the namespace of the copies is gone", func() error {
		_, err := visitor.Kube.CoreV1().Namespaces().Get(t.Context(), s.ns, metav1.GetOptions{})
		if err == nil {
			return errors.New("it is there")
		}
		return client.IgnoreNotFound(err)
	})
	s.awaitShares("web", shares{"alpha": 2})

	// Again, and this time what runs is to stay.
	s.must(harness.Join(t.Context(), s.hub, visitor))
	s.apply(configMap("settings", "a", "b"), placement("settings", []string{"ConfigMap/settings"}, []string{"visitor=1"}))
	awaitThere[corev1.ConfigMap](s, "settings", "visitor")
	s.hanse("unjoin", "visitor", "--orphan", "--timeout=90s")
	s.eventually("nothing of us is left", func() error { return s.nothingIn(visitor) })
	c, err := get[corev1.ConfigMap](s, visitor.Client, "settings")
	s.must(err)
	if c == nil || c.Data["a"] != "b" || c.Labels[v1alpha1.HubLabel] != "" {
		t.Errorf("the orphan is not there, or has our mark: %v", c)
	}
	s.in("visitor", "", "delete", "namespace", s.ns)
}

// A join that cannot be says why and what to do, and leaves nothing behind.
func TestJoinFails(t *testing.T) {
	s := onTestbed(t)
	visitor := s.hosts()
	dir := t.TempDir()
	variant := func(name string, change func(*clientcmdapi.Config)) string {
		config, err := clientcmd.LoadFromFile(visitor.Kubeconfig())
		s.must(err)
		change(config)
		file := filepath.Join(dir, name)
		s.must(clientcmd.WriteToFile(*config, file))
		return file
	}
	other, err := clientcmd.LoadFromFile(s.member("alpha").Kubeconfig())
	s.must(err)
	unreachable := variant("unreachable", func(c *clientcmdapi.Config) { clusterOf(c).Server = "https://127.0.0.1:1" })
	wrongCA := variant("wrong-ca", func(c *clientcmdapi.Config) {
		clusterOf(c).CertificateAuthorityData = bytes.Clone(clusterOf(other).CertificateAuthorityData)
	})
	noCredentials := variant("no-credentials", func(c *clientcmdapi.Config) {
		c.AuthInfos[c.Contexts[c.CurrentContext].AuthInfo] = &clientcmdapi.AuthInfo{Token: "nonsense"}
	})
	token := s.powerlessToken(visitor)
	powerless := variant("powerless", func(c *clientcmdapi.Config) {
		c.AuthInfos[c.Contexts[c.CurrentContext].AuthInfo] = &clientcmdapi.AuthInfo{Token: token}
	})

	alpha := s.member("alpha").Kubeconfig()
	for _, row := range []struct {
		name      string
		arguments []string
		code      int
		says      []string
	}{
		{"unreachable", []string{"visitor", "--cluster-kubeconfig", unreachable}, 4,
			[]string{"cannot reach", "127.0.0.1:1", "refused"}},
		{"wrong CA", []string{"visitor", "--cluster-kubeconfig", wrongCA}, 4,
			[]string{"not signed by the CA", "certificate-authority-data"}},
		{"bad credentials", []string{"visitor", "--cluster-kubeconfig", noCredentials}, 4,
			[]string{"does not accept the credentials"}},
		{"no rights", []string{"visitor", "--cluster-kubeconfig", powerless}, 1,
			[]string{"may not", "create clusterroles (rbac.authorization.k8s.io)", "create serviceaccounts/token"}},
		{"already joined", []string{"alpha", "--cluster-kubeconfig", alpha}, 1,
			[]string{"has joined this hub as alpha already", "--renew"}},
		{"joined under another name", []string{"visitor", "--cluster-kubeconfig", alpha}, 1,
			[]string{"has joined this hub under the name alpha already", "hanse unjoin alpha"}},
		{"name taken", []string{"alpha", "--cluster-kubeconfig", visitor.Kubeconfig()}, 1,
			[]string{"another cluster has the name alpha", "Choose another name"}},
		{"the hub itself", []string{"visitor", "--cluster-kubeconfig", s.hub.Kubeconfig()}, 1,
			[]string{"that of the hub itself"}},
		{"no such context", []string{"visitor", "--cluster-kubeconfig", visitor.Kubeconfig(), "--cluster-context", "nope"}, 2,
			[]string{"nope", "--cluster-context"}},
		{"no such file", []string{"visitor", "--cluster-kubeconfig", filepath.Join(dir, "nothing")}, 2,
			[]string{"there is no such file", "--cluster-kubeconfig"}},
		{"bad name", []string{"Visitor_1", "--cluster-kubeconfig", visitor.Kubeconfig()}, 2,
			[]string{"cannot be the name of a cluster", "DNS"}},
		{"no kubeconfig", []string{"visitor"}, 2, []string{"--cluster-kubeconfig is missing"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := s.hub.Hanse(t.Context(), append([]string{"join"}, row.arguments...)...)
			if err != nil {
				t.Fatal(err)
			}
			if r.Code != row.code {
				t.Errorf("exit code %d, want %d: %s", r.Code, row.code, r)
			}
			for _, part := range row.says {
				if !strings.Contains(r.Stderr, part) {
					t.Errorf("the error does not say %q:\n%s", part, r.Stderr)
				}
			}
			if err := s.nothingIn(visitor); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("half-way", func(t *testing.T) { s.failHalfWay(t, visitor) })
	t.Run("member of another hub", func(t *testing.T) { s.joinTwice(t) })
}

// clusterOf is the cluster of a kubeconfig's current context.
func clusterOf(c *clientcmdapi.Config) *clientcmdapi.Cluster {
	return c.Clusters[c.Contexts[c.CurrentContext].Cluster]
}

// powerlessToken belongs to an account that may look and not touch.
func (s *scenario) powerlessToken(m *harness.Member) string {
	s.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "powerless"}}
	s.must(client.IgnoreAlreadyExists(m.Client.Create(s.Context(), account)))
	// It may see everything that join looks at first, so that join gets as far as its list of what is missing.
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "powerless"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "powerless"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
	}
	s.must(client.IgnoreAlreadyExists(m.Client.Create(s.Context(), binding)))
	answer, err := m.Kube.CoreV1().ServiceAccounts("default").CreateToken(s.Context(), "powerless",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	s.must(err)
	return answer.Status.Token
}

// failHalfWay lets a join fail after it has made its account in the member: a Secret of that name is on the hub.
func (s *scenario) failHalfWay(t *testing.T, visitor *harness.Member) {
	secrets := s.hub.Kube.CoreV1().Secrets(v1alpha1.SystemNamespace)
	inTheWay := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: visitor.Name()}, StringData: map[string]string{"own": "theirs"}}
	if _, err := secrets.Create(t.Context(), inTheWay, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := s.hub.Hanse(t.Context(), "join", visitor.Name(), "--cluster-kubeconfig", visitor.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if r.Code != 1 || !strings.Contains(r.Stderr, "not of this membership") {
		t.Errorf("the join did not fail as expected: %s", r)
	}
	left, err := secrets.Get(t.Context(), visitor.Name(), metav1.GetOptions{})
	if err != nil || string(left.Data["own"]) != "theirs" || len(left.Data) != 1 {
		t.Errorf("the Secret of somebody else was changed: %v %v", left, err)
	}
	if err := secrets.Delete(t.Context(), visitor.Name(), metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
	// What the account owned goes with it, by the member's garbage collector.
	harness.Eventually(t, "nothing is left behind", func() error { return s.nothingIn(visitor) })
}

// joinTwice lets a second hub take a member away.
func (s *scenario) joinTwice(t *testing.T) {
	second, err := harness.StartHub(t.Context(), harness.HubOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	r, err := second.Hanse(t.Context(), "join", "alpha", "--cluster-kubeconfig", s.member("alpha").Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if r.Code != 1 || !strings.Contains(r.Stderr, "is a member of the hub "+s.hub.URL) {
		t.Errorf("the second hub was not refused with the name of the first: %s", r)
	}
	s.awaitCluster("alpha", metav1.ConditionTrue)
}

// A member that is gone for good leaves by force, and can come again when it turns out not to be.
func TestLeaveByForce(t *testing.T) {
	s := onTestbed(t)
	visitor := s.hosts()
	s.federation = &federation{hub: s.hub, members: append(slices.Clone(s.members), visitor)}
	s.must(harness.Join(t.Context(), s.hub, visitor))
	s.apply(deployment("web", 2), placement("web", []string{"Deployment/web"}, []string{"alpha=1", "visitor=1"}))
	s.awaitShares("web", shares{"alpha": 1, "visitor": 1})

	s.must(visitor.Kill(cluster.All))
	t.Cleanup(func() { s.must(visitor.Start(cluster.All)) })
	r, err := s.hub.Hanse(t.Context(), "unjoin", "visitor", "--timeout=3s")
	s.must(err)
	if r.Code != 3 || !strings.Contains(r.Stderr, "hanse unjoin visitor --force") {
		t.Errorf("an unjoin that cannot end does not say what to do: %s", r)
	}
	s.hanse("unjoin", "visitor", "--force", "--timeout=30s")
	s.eventually("the Cluster is gone", func() error {
		err := s.hub.Client.Get(t.Context(), client.ObjectKey{Name: "visitor"}, &v1alpha1.Cluster{})
		if err == nil {
			return errors.New("it is there")
		}
		return client.IgnoreNotFound(err)
	})
	s.eventually("the work is in alpha", func() error {
		d, err := s.distribution("deployment.apps-web")
		if err == nil && (len(d.Status.Clusters) != 1 || d.Status.Ready != 2) {
			err = errors.New(d.Status.Summary)
		}
		return err
	})

	s.must(visitor.Start(cluster.All))
	s.must(harness.Join(t.Context(), s.hub, visitor))
	// What runs in alpha is not moved by itself, so what the visitor kept from its first membership is too much.
	s.eventually("there are 2 replicas in all", func() error {
		sum := int32(0)
		for _, name := range []string{"alpha", "visitor"} {
			d, err := get[appsv1.Deployment](s, s.member(name).Client, "web")
			if err != nil {
				return err
			}
			if d != nil {
				sum += *d.Spec.Replicas
			}
		}
		if sum != 2 {
			d, err := s.distribution("deployment.apps-web")
			return fmt.Errorf("there are %d, and the hub says %+v %+v (%w)", sum, d.Spec.Clusters, d.Status.Summary, err)
		}
		return nil
	})
	s.kubectl("", "scale", "deployment/web", "--replicas=4")
	s.awaitShares("web", shares{"alpha": 2, "visitor": 2})
	s.hanse("unjoin", "visitor", "--timeout=90s")
	s.eventually("nothing of us is left", func() error { return s.nothingIn(visitor) })
}
