package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	jose "gopkg.in/go-jose/go-jose.v2"
	"gopkg.in/go-jose/go-jose.v2/jwt"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/native"
	"github.com/hanse-federation/hanse/api/server"
)

func TestSystemNamespaces(t *testing.T) {
	namespaces := common.client(t, admin).CoreV1().Namespaces()
	for _, name := range []string{"default", "kube-system", "kube-public", "hanse-system"} {
		ns, err := namespaces.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || ns.Labels[corev1.LabelMetadataName] != name || ns.Status.Phase != corev1.NamespaceActive {
			t.Errorf("%s: %+v, %v", name, ns, err)
		}
		if err := namespaces.Delete(t.Context(), name, metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("delete of %s: %v, want forbidden", name, err)
		}
	}
}

// A deleted namespace takes nothing new, is emptied, and then goes.
func TestNamespaceEnds(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	if _, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("c", "1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	widget := object("hanse.io", "Placement", "p", map[string]any{"resources": []any{map[string]any{"kind": "Deployment", "name": "d"}}})
	widget.SetAPIVersion("hanse.io/v1alpha1")
	if _, err := common.dynamic(t).Resource(placements).Namespace(ns).Create(t.Context(), widget, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := client.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{})
	if err != nil || got.Status.Phase != corev1.NamespaceTerminating {
		t.Fatalf("after the delete: %+v, %v", got, err)
	}
	_, err = client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("late", "1"), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		t.Errorf("create in an ending namespace: %v, want forbidden for that cause", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = native.RunNamespaceController(ctx, common.server.Loopback()) }()
	eventually(t, func() string {
		if _, err := client.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("the namespace is still there: %v", err)
		}
		return ""
	})
	left, err := common.etcd.Client().Get(t.Context(), common.etcd.Prefix()+"/configmaps/"+ns+"/c")
	if err != nil || left.Count != 0 {
		t.Errorf("%d objects left in etcd, %v", left.Count, err)
	}
}

func TestWhoAndWhat(t *testing.T) {
	for _, test := range []struct {
		token, resource string
		allowed         bool
	}{{admin, "secrets", true}, {"user:eve", "secrets", false}} {
		client := common.client(t, test.token)
		self, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(),
			&authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if want := strings.TrimPrefix(test.token, "user:"); err != nil || self.Status.UserInfo.Username != want {
			t.Errorf("%s is told to be %+v, %v", test.token, self, err)
		}
		review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(),
			&authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: test.resource, Namespace: "default"},
			}}, metav1.CreateOptions{})
		if err != nil || review.Status.Allowed != test.allowed {
			t.Errorf("%s may get %s: %+v, %v", test.token, test.resource, review, err)
		}
		_, err = client.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
		if apierrors.IsForbidden(err) == test.allowed {
			t.Errorf("%s lists secrets: %v", test.token, err)
		}
	}
	review, err := common.client(t, admin).AuthorizationV1().SubjectAccessReviews().Create(t.Context(),
		&authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "eve",
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets"}}}, metav1.CreateOptions{})
	if err != nil || review.Status.Allowed {
		t.Errorf("eve may get secrets: %+v, %v", review, err)
	}
	if _, err := common.client(t, "").CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("nobody lists secrets: %v, want 401", err)
	}
}

// A role can be given only by who has what is in it.
func TestNoEscalation(t *testing.T) {
	ns, root := common.namespace(t), common.client(t, admin)
	rules := []rbacv1.PolicyRule{{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles", "rolebindings"},
		Verbs: []string{"*"}}, {APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}}}
	if _, err := root.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "delegate"}, Rules: rules[:]}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	rules[0].Verbs = []string{"create", "get", "update", "patch"}
	if _, err := root.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "plain"}, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := root.RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "mallory"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "plain"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "mallory"}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	mallory := common.client(t, "user:mallory")
	role := func(name, resource string) error {
		_, err := mallory.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name},
			Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{"get"}}}}, metav1.CreateOptions{})
		return err
	}
	eventually(t, func() string { // until the binding is known
		if err := role("mine", "configmaps"); err != nil && !apierrors.IsAlreadyExists(err) {
			return "what mallory has: " + err.Error()
		}
		return ""
	})
	if err := role("more", "secrets"); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "not currently held") {
		t.Errorf("what mallory does not have: %v, want forbidden", err)
	}
}

func TestServiceAccountToken(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	if _, err := client.CoreV1().ServiceAccounts(ns).Create(t.Context(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	request, err := client.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), "robot", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil || request.Status.Token == "" {
		t.Fatalf("token: %v", err)
	}
	for token, want := range map[string]string{request.Status.Token: "system:serviceaccount:" + ns + ":robot",
		"wrong": "", "user:eve": "eve"} {
		review, err := client.AuthenticationV1().TokenReviews().Create(t.Context(),
			&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
		if err != nil || review.Status.User.Username != want || review.Status.Authenticated != (want != "") {
			t.Errorf("review of %.8s: %+v, %v, want %q", token, review, err, want)
		}
	}
	review, err := client.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: request.Status.Token, Audiences: []string{"others"}}}, metav1.CreateOptions{})
	if err != nil || review.Status.Authenticated {
		t.Errorf("review for an audience that the token is not for: %+v, %v", review, err)
	}
	if _, err := common.client(t, "user:eve").AuthenticationV1().TokenReviews().Create(t.Context(),
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: admin}}, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a stranger asks whose a token is: %v, want forbidden", err)
	}
	self, err := common.client(t, request.Status.Token).AuthenticationV1().SelfSubjectReviews().Create(t.Context(),
		&authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if want := "system:serviceaccount:" + ns + ":robot"; err != nil || self.Status.UserInfo.Username != want {
		t.Errorf("the token says %+v, %v, want %s", self, err, want)
	}
}

// TestTokensCanBeVerified: the key that the hub publishes is the one that its tokens are signed with.
func TestTokensCanBeVerified(t *testing.T) {
	ns, client := common.namespace(t), common.client(t, admin)
	if _, err := client.CoreV1().ServiceAccounts(ns).Create(t.Context(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	request, err := client.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), "robot",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var configuration struct {
		Issuer string
		Keys   string   `json:"jwks_uri"`
		Algs   []string `json:"id_token_signing_alg_values_supported"`
	}
	get(t, "/.well-known/openid-configuration", &configuration)
	if configuration.Keys != common.url+"/openid/v1/jwks" || len(configuration.Algs) != 1 {
		t.Errorf("the configuration is %+v", configuration)
	}
	var keys jose.JSONWebKeySet
	get(t, "/openid/v1/jwks", &keys)
	token, err := jwt.ParseSigned(request.Status.Token)
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := token.Claims(&keys, &claims); err != nil {
		t.Fatalf("the published keys do not verify the token: %v", err)
	}
	if claims.Issuer != configuration.Issuer || claims.Subject != "system:serviceaccount:"+ns+":robot" {
		t.Errorf("the token says %+v", claims)
	}
}

func TestImpersonation(t *testing.T) {
	config := common.config(admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: "eve"}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("as eve: %v, want forbidden", err)
	}
	loopback := common.server.Loopback()
	loopback.Impersonate = rest.ImpersonationConfig{UserName: "eve"}
	if client, err = kubernetes.NewForConfig(loopback); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("as eve over loopback: %v, want forbidden", err)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	get := func(path, token string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", common.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := common.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var text strings.Builder
		_, _ = bufio.NewReader(resp.Body).WriteTo(&text)
		return resp.StatusCode, text.String()
	}
	for _, test := range []struct {
		path, token string
		code        int
		says        string
	}{
		{"/livez", "", 200, "ok"},
		{"/readyz?verbose", "", 200, "[+]etcd ok"},
		{"/readyz/etcd-space", "", 200, "ok"},
		{"/healthz", "", 200, "ok"},
		{"/readyz/none", "", 404, ""},
		{"/metrics", "", 401, ""},
		{"/metrics", "user:eve", 403, ""},
		{"/metrics", admin, 200, "apiserver_request_total"},
		{"/version", "user:eve", 200, "v1.37.2+hanse"},
	} {
		code, body := get(test.path, test.token)
		if code != test.code || !strings.Contains(body, test.says) {
			t.Errorf("%s as %q: %d %.200s, want %d and %q", test.path, test.token, code, body, test.code, test.says)
		}
	}
}

func TestAuditSaysWho(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.log")
	h := start(t, filepath.Join(dir, "data"), func(c *server.Config) { c.Audit.LogFile = file })
	_, err := h.client(t, "user:eve").CoreV1().Secrets("default").Get(t.Context(), "s", metav1.GetOptions{})
	if !apierrors.IsForbidden(err) {
		t.Fatal(err)
	}
	eventually(t, func() string {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(string(raw)) {
			var event struct {
				User           struct{ Username string }
				Verb           string
				ObjectRef      struct{ Resource string }
				ResponseStatus struct{ Code int }
			}
			if json.Unmarshal([]byte(line), &event) == nil && event.User.Username == "eve" && event.Verb == "get" &&
				event.ObjectRef.Resource == "secrets" && event.ResponseStatus.Code == 403 {
				return ""
			}
		}
		return "no line about eve's try"
	})
}

// Whoever watches Secrets reads them all, so a watch leaves a line, and the file is closed to others.
func TestAuditSaysWhoWatches(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.log")
	h := start(t, filepath.Join(dir, "data"), func(c *server.Config) { c.Audit.LogFile = file })
	for _, user := range []string{"user:eve", admin} {
		w, err := h.client(t, user).CoreV1().Secrets("").Watch(t.Context(), metav1.ListOptions{})
		if err == nil {
			w.Stop()
		}
	}
	eventually(t, func() string {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err.Error()
		}
		codes := map[string]bool{}
		for line := range strings.Lines(string(raw)) {
			if strings.Contains(line, `"verb":"watch"`) && strings.Contains(line, `"resource":"secrets"`) {
				codes[strings.Split(strings.Split(line, `"code":`)[1], "}")[0]] = true
			}
			if strings.Contains(line, server.HubUser) && strings.Contains(line, `"verb":"watch"`) {
				t.Fatalf("the hub's own reads are recorded: %s", line)
			}
		}
		if !codes["403"] || !codes["200"] {
			return fmt.Sprint("watches of Secrets that are recorded: ", codes)
		}
		return ""
	})
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the audit log has mode %v, %v", info.Mode(), err)
	}
}

// refuser admits nothing named "no" and labels all else.
type refuser struct{}

func (refuser) Handles(admission.Operation) bool { return true }

func (refuser) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if accessor, ok := a.GetObject().(metav1.Object); ok && a.GetOperation() == admission.Create {
		accessor.SetLabels(map[string]string{"seen": "yes"})
	}
	return nil
}

func (refuser) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if accessor, ok := a.GetObject().(metav1.Object); ok && accessor.GetName() == "no" {
		return admission.NewForbidden(a, errors.New("spec.clusters: says no"))
	}
	return nil
}

func TestAdmissionSeesAllKinds(t *testing.T) {
	h := start(t, t.TempDir(), func(c *server.Config) { c.Admission = refuser{} })
	native := h.client(t, admin).CoreV1().ConfigMaps("default")
	if _, err := native.Create(t.Context(), configMap("no", "1"), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("native: %v, want forbidden", err)
	}
	c, err := native.Create(t.Context(), configMap("yes", "1"), metav1.CreateOptions{})
	if err != nil || c.Labels["seen"] != "yes" {
		t.Errorf("native: %+v, %v", c, err)
	}
	own := h.dynamic(t).Resource(placements).Namespace("default")
	for _, name := range []string{"no", "yes"} {
		p := object("hanse.io", "Placement", name, map[string]any{"resources": []any{map[string]any{"kind": "Deployment", "name": "d"}}})
		p.SetAPIVersion("hanse.io/v1alpha1")
		made, err := own.Create(t.Context(), p, metav1.CreateOptions{})
		switch {
		case name == "no" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "spec.clusters: says no")):
			t.Errorf("own kind: %v, want forbidden", err)
		case name == "yes" && (err != nil || made.GetLabels()["seen"] != "yes"):
			t.Errorf("own kind: %+v, %v", made, err)
		}
	}
}

// Everything acknowledged is there after a restart, with its versions, and watches go on from where they were.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	h := start(t, dir, nil)
	c, err := h.client(t, admin).CoreV1().ConfigMaps("default").Create(t.Context(), configMap("c", "1"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	h = start(t, dir, nil)
	again, err := h.client(t, admin).CoreV1().ConfigMaps("default").Get(t.Context(), "c", metav1.GetOptions{})
	if err != nil || again.ResourceVersion != c.ResourceVersion || again.UID != c.UID {
		t.Errorf("after the restart: %+v, %v, want %s", again, err, c.ResourceVersion)
	}
}

// A stop ends watches, lets requests finish, closes the port, and is quick.
func TestDrain(t *testing.T) {
	h := start(t, t.TempDir(), nil)
	w, err := h.client(t, admin).CoreV1().ConfigMaps("").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := h.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the stop took %s", took)
	}
	for event := range w.ResultChan() {
		_ = event // the rest of the stream
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "https://")); err == nil {
		_ = conn.Close()
		t.Error("the port is still open")
	}
	client, err := kubernetes.NewForConfig(h.server.Loopback())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("loopback still answers")
	}
}

func TestRoutesOfOthers(t *testing.T) {
	h := start(t, t.TempDir(), func(c *server.Config) {
		say := func(text string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, text, r.URL.Path) })
		}
		c.Public = []server.Route{{Path: "/ui/*path", Handler: say("public ")}}
		c.Protected = []server.Route{{Path: "/parts/:name/*path", Handler: say("protected "), LongRunning: true}}
	})
	resp, err := h.http.Get(h.url + "/ui/index")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("public: %v, %v", resp, err)
	}
	resp, err = h.http.Get(h.url + "/parts/east/api")
	if err != nil || resp.StatusCode != 401 {
		t.Errorf("protected without credentials: %v, %v", resp, err)
	}
	if code, body, _ := h.send(t, "GET", "/parts/east/api", "", ""); code != 200 || body != "protected /parts/east/api" {
		t.Errorf("protected: %d %s", code, body)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*server.Config){
		"Etcd":   func(c *server.Config) { c.Etcd = nil },
		"Access": func(c *server.Config) { c.Access = nil },
		"refused by access": func(c *server.Config) {
			c.Access = func(*rest.Config) (server.Access, error) { return server.Access{}, errors.New("refused by access") }
		},
	} {
		cfg := server.Config{Etcd: common.etcd, Access: func(*rest.Config) (server.Access, error) { return server.Access{}, nil }}
		change(&cfg)
		if _, err := server.New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// depth notes how deep in the stack admission was called last.
type depth struct{ frames atomic.Int64 }

func (*depth) Handles(admission.Operation) bool { return true }

func (d *depth) Admit(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	d.frames.Store(int64(runtime.Callers(0, make([]uintptr, 10000))))
	return nil
}

// The thousandth request must go the same way as the first: the library's handlers wrap admission again on each call.
func TestRequestsLeaveNothingBehind(t *testing.T) {
	deep := &depth{}
	h := start(t, t.TempDir(), func(c *server.Config) { c.Admission = deep })
	maps := h.client(t, admin).CoreV1().ConfigMaps("default")
	var first int64
	for i := range 30 {
		if _, err := maps.Create(t.Context(), configMap(fmt.Sprint("c", i), "1"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = deep.frames.Load()
		}
	}
	if last := deep.frames.Load(); last > first+10 {
		t.Errorf("request 30 is %d frames deep, the first %d", last, first)
	}
}

// TestNamespacesAreFurnished: each namespace has the account and the certificates that every cluster has in it, and has
// them again when somebody deletes them.
func TestNamespacesAreFurnished(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- native.RunNamespaceFurnishing(ctx, common.server.Loopback(), []byte("certificates")) }()
	ns, client := common.namespace(t), common.client(t, admin)
	for range 2 {
		for _, namespace := range []string{ns, "default"} {
			eventually(t, func() string {
				if _, err := client.CoreV1().ServiceAccounts(namespace).Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
					return err.Error()
				}
				bundle, err := client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
				if err != nil || bundle.Data["ca.crt"] != "certificates" {
					return fmt.Sprintf("the certificates are %+v, %v", bundle, err)
				}
				return ""
			})
		}
		if err := client.CoreV1().ServiceAccounts(ns).Delete(t.Context(), "default", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := client.CoreV1().ConfigMaps(ns).Delete(t.Context(), "kube-root-ca.crt", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
