package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/access"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// Somebody with the role edit in one namespace may place there, and that is all.
func TestEditInOneNamespace(t *testing.T) {
	s := onFleet(t)
	r, err := s.hub.Hanse(t.Context(), "token", "deployer", "-n", s.ns, "--create", "--role", "edit", "--as-kubeconfig")
	s.must(err)
	if r.Code != 0 {
		t.Fatal(r)
	}
	byToken, err := clientcmd.RESTConfigFromKubeConfig([]byte(r.Stdout))
	s.must(err)
	byCertificate := s.certificateOf("eve")
	s.must(s.hub.Client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "eve-edits"},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: "eve"}},
	}))
	for _, user := range []struct {
		name   string
		config *rest.Config
		member string
	}{
		{"account", byToken, "east"},
		{"eve", byCertificate, "west"},
	} {
		clients, err := harness.NewClients(user.config)
		s.must(err)
		s.awaitEdit(clients)
		s.placeAs(clients, user.name, user.member)
		s.mustBeRefused(clients, user.name)
	}
}

// certificateOf is a client with a certificate of the hub's authority for a user in no group.
func (s *scenario) certificateOf(user string) *rest.Config {
	s.Helper()
	authority, err := access.OpenPKI(filepath.Join(s.hub.DataDir(), "pki"), access.PKIOptions{})
	s.must(err)
	certificate, key, err := authority.IssueClient(user, nil, time.Hour)
	s.must(err)
	return &rest.Config{Host: s.hub.URL, TLSClientConfig: rest.TLSClientConfig{
		CAData: authority.CABundle(), CertData: certificate, KeyData: key,
	}}
}

// awaitEdit waits until a new binding counts.
func (s *scenario) awaitEdit(c harness.Clients) {
	s.Helper()
	s.eventually("the role counts", func() error {
		return c.Client.List(s.Context(), &v1alpha1.PlacementList{}, client.InNamespace(s.ns))
	})
}

// placeAs places a ConfigMap as the user, sees it arrive and takes it back.
func (s *scenario) placeAs(c harness.Clients, name, member string) {
	s.Helper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}}
	s.must(c.Client.Create(s.Context(), object))
	p := s.placementOf(s.ns, name, member)
	s.must(c.Client.Create(s.Context(), p))
	awaitThere[corev1.ConfigMap](s, name, member)
	s.eventually("the user sees what became of it", func() error {
		key := client.ObjectKey{Namespace: s.ns, Name: "configmap-" + name}
		return c.Client.Get(s.Context(), key, &v1alpha1.Distribution{})
	})
	s.must(c.Client.Delete(s.Context(), p))
	awaitGone[corev1.ConfigMap](s, name, member)
}

func (s *scenario) placementOf(namespace, name, member string) *v1alpha1.Placement {
	p := &v1alpha1.Placement{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	p.Spec.Resources = []v1alpha1.ResourceSelector{{Kind: "ConfigMap", Name: name}}
	p.Spec.Clusters = []v1alpha1.ClusterTerm{{Name: member}}
	return p
}

// mustBeRefused tries what an editor of one namespace may not do.
func (s *scenario) mustBeRefused(c harness.Clients, user string) {
	s.Helper()
	ctx := s.Context()
	reader := func(name string) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}}
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "admin-" + user},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: user}},
	}
	distribution := &v1alpha1.Distribution{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "configmap-" + user + "s"}}
	for what, try := range map[string]func() error{
		"place in another namespace": func() error { return c.Client.Create(ctx, s.placementOf("default", user, "east")) },
		"place for all namespaces": func() error {
			p := &v1alpha1.ClusterPlacement{ObjectMeta: metav1.ObjectMeta{Name: user}}
			p.Spec.Resources = []v1alpha1.ResourceSelector{{Kind: "Namespace", Name: s.ns}}
			return c.Client.Create(ctx, p)
		},
		"list the placements of all": func() error { return c.Client.List(ctx, &v1alpha1.PlacementList{}) },
		"read the members' credentials": func() error {
			return c.Client.List(ctx, &corev1.SecretList{}, client.InNamespace("hanse-system"))
		},
		"read one of them": func() error {
			return c.Client.Get(ctx, client.ObjectKey{Namespace: "hanse-system", Name: "east"}, &corev1.Secret{})
		},
		"make a member": func() error {
			return c.Client.Create(ctx, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "of-" + user}})
		},
		"remove a member": func() error {
			return c.Client.Delete(ctx, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "east"}})
		},
		"forge a decision":   func() error { return c.Client.Create(ctx, distribution) },
		"make a role":        func() error { return c.Client.Create(ctx, reader("all-"+user)) },
		"bind cluster-admin": func() error { return c.Client.Create(ctx, binding) },
		"make a namespace": func() error {
			return c.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: user}})
		},
		"read /metrics":         func() error { return read(ctx, c, "/metrics") },
		"delete the own kinds":  func() error { return s.deleteDefinition(ctx, c) },
		"act as somebody else":  func() error { return s.actAs(ctx, c, "admin", "system:masters") },
		"reach into the member": func() error { return read(ctx, c, "/clusters/east/api/v1/secrets") },
	} {
		if err := try(); !apierrors.IsForbidden(err) {
			s.Errorf("%s may %s: %v", user, what, err)
		}
	}
}

func read(ctx context.Context, c harness.Clients, path string) error {
	return c.Kube.Discovery().RESTClient().Get().AbsPath(path).Do(ctx).Error()
}

func (s *scenario) deleteDefinition(ctx context.Context, c harness.Clients) error {
	return c.Dynamic.Resource(definitions).Delete(ctx, "placements.hanse.io", metav1.DeleteOptions{})
}

// actAs tries to read as another user.
func (s *scenario) actAs(ctx context.Context, c harness.Clients, user string, groups ...string) error {
	config := rest.CopyConfig(c.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	other, err := harness.NewClients(config)
	s.must(err)
	return other.Client.List(ctx, &corev1.SecretList{}, client.InNamespace("hanse-system"))
}

// An administrator of one namespace may give what they have there, and nothing more.
func TestAdminCannotEscalate(t *testing.T) {
	s := onFleet(t)
	s.kubectl("", "create", "rolebinding", "adam", "--clusterrole=admin", "--user=adam")
	clients, err := harness.NewClients(s.certificateOf("adam"))
	s.must(err)
	s.awaitEdit(clients)
	role := func(name string, rule rbacv1.PolicyRule) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}, Rules: []rbacv1.PolicyRule{rule}}
	}
	s.must(clients.Client.Create(t.Context(), role("placer", rbacv1.PolicyRule{
		APIGroups: []string{"hanse.io"}, Resources: []string{"placements"}, Verbs: []string{"get", "create"}})))
	err = clients.Client.Create(t.Context(), role("forger", rbacv1.PolicyRule{
		APIGroups: []string{"hanse.io"}, Resources: []string{"distributions/status"}, Verbs: []string{"*"}}))
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "attempting to grant") {
		t.Errorf("a role beyond one's own: %v", err)
	}
	err = clients.Client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "all"},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: "adam"}},
	})
	if !apierrors.IsForbidden(err) {
		t.Errorf("a binding beyond one's own: %v", err)
	}
}

// Who shows no credentials, or wrong ones, gets nothing, and no certificate of another authority counts.
func TestStrangersGetNothing(t *testing.T) {
	s := onFleet(t)
	strange, err := access.OpenPKI(t.TempDir(), access.PKIOptions{})
	s.must(err)
	certificate, key, err := strange.IssueClient("admin", []string{"system:masters"}, time.Hour)
	s.must(err)
	trust := rest.TLSClientConfig{CAData: s.hub.Config.CAData}
	withCertificate := trust
	withCertificate.CertData, withCertificate.KeyData = certificate, key
	asProxy := func(next http.RoundTripper) http.RoundTripper {
		return headers{next, http.Header{"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}}}
	}
	const unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."
	for name, config := range map[string]*rest.Config{
		"anonymous":           {Host: s.hub.URL, TLSClientConfig: trust},
		"a wrong token":       {Host: s.hub.URL, TLSClientConfig: trust, BearerToken: "wrong"},
		"a forged token":      {Host: s.hub.URL, TLSClientConfig: trust, BearerToken: unsigned},
		"a wrong password":    {Host: s.hub.URL, TLSClientConfig: trust, Username: "admin", Password: "admin"},
		"a strange authority": {Host: s.hub.URL, TLSClientConfig: withCertificate},
		"a proxy's header":    {Host: s.hub.URL, TLSClientConfig: trust, WrapTransport: asProxy},
	} {
		httpClient, err := rest.HTTPClientFor(config)
		s.must(err)
		for _, path := range []string{"/api/v1/namespaces", "/apis/hanse.io/v1alpha1/clusters", "/metrics", "/healthz",
			"/readyz", "/livez", "/version", "/openapi/v2", "/api/v1/namespaces/hanse-system/secrets",
			"/clusters/east/version"} {
			answer, err := httpClient.Get(s.hub.URL + path)
			s.must(err)
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s gets %d from %s: %.200s", name, answer.StatusCode, path, body)
			}
		}
	}
}

// headers adds headers to all requests.
type headers struct {
	next http.RoundTripper
	more http.Header
}

// RoundTrip implements http.RoundTripper.
func (h headers) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	for name, values := range h.more {
		request.Header[name] = values
	}
	return h.next.RoundTrip(request)
}

// A Plan has no namespace, and an editor of one namespace can ask for one all the same: what it plans takes the rights of
// the writes that it plans.
func TestEditorsPlan(t *testing.T) {
	s := onFleet(t)
	config := s.certificateOf("paula")
	s.must(s.hub.Client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "paula-edits"},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: "paula"}},
	}))
	paula, err := harness.NewClients(config)
	s.must(err)
	s.awaitEdit(paula)
	plan := func(namespace string) v1alpha1.PlannedObject {
		t.Helper()
		object := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":%q,"name":"planned"}}`, namespace)
		p := &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{Clusters: "east", Objects: []runtime.RawExtension{{Raw: []byte(object)}}}}
		s.must(paula.Client.Create(t.Context(), p))
		if len(p.Status.Objects) != 1 {
			t.Fatalf("the plan is about %d objects", len(p.Status.Objects))
		}
		return p.Status.Objects[0]
	}
	if mine := plan(s.ns); mine.Error != "" || len(mine.Clusters) != 1 || mine.Clusters[0].Verdict != "Created" {
		t.Errorf("in the own namespace: %+v", mine)
	}
	if other := plan("default"); !strings.Contains(other.Error, "forbidden") || len(other.Clusters) != 0 {
		t.Errorf("in another namespace: %+v", other)
	}
	for _, field := range []string{"plan", "plan.spec.clusters", "plan.status.objects.clusters.verdict"} {
		if out := s.kubectl("", "explain", field); !strings.Contains(out, "hanse.io") {
			t.Errorf("explain %s: %s", field, out)
		}
	}
}
