package native_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-federation/hanse/api/access"
	"github.com/hanse-federation/hanse/api/native"
	"github.com/hanse-federation/hanse/api/server"
	"github.com/hanse-federation/hanse/api/storage"
)

// hub is the API with everything of this package joined to it, as the composition root does it.
type hub struct {
	server *server.Server
	url    string
	pki    *access.PKI
	admin  kubernetes.Interface
}

func startHub(t *testing.T) *hub {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	etcd, err := storage.OpenEmbedded(t.Context(), storage.EmbeddedConfig{DataDir: dir, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = etcd.Close() })
	pki, err := access.OpenPKI(filepath.Join(dir, "pki"), access.PKIOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s, err := server.New(server.Config{
		Etcd: etcd, Listener: listener, TLS: pki.ServingTLS(), Logger: log,
		Access: func(loopback *rest.Config) (server.Access, error) { return join(ctx, pki, loopback) },
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	}()
	t.Cleanup(func() { stop(); <-ended })
	h := &hub{server: s, url: "https://" + listener.Addr().String(), pki: pki}
	h.admin = h.client(t, h.kubeconfig(t, dir))
	return h
}

func join(ctx context.Context, pki *access.PKI, loopback *rest.Config) (server.Access, error) {
	client, err := kubernetes.NewForConfig(loopback)
	if err != nil {
		return server.Access{}, err
	}
	if err := native.SeedRBAC(ctx, client); err != nil {
		return server.Access{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return server.Access{}, err
	}
	tokens, err := native.NewServiceAccountTokens(key, client)
	if err != nil {
		return server.Access{}, err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	rbac := native.NewRBAC(factory.Rbac().V1())
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	authenticator, err := access.NewAuthenticator(ctx, access.AuthenticatorOptions{
		ClientCA: pki, ServiceAccounts: tokens, Anonymous: true})
	if err != nil {
		return server.Access{}, err
	}
	authorizer, err := access.NewAuthorizer(access.AuthorizerOptions{RBAC: rbac})
	if err != nil {
		return server.Access{}, err
	}
	return server.Access{
		Authenticator: authenticator, Authorizer: authorizer, Tokens: tokens,
		Escalates: func(ctx context.Context, obj, old runtime.Object) error {
			return rbac.CheckEscalation(ctx, authorizer, obj, old)
		},
	}, nil
}

func (h *hub) kubeconfig(t *testing.T, dir string) *rest.Config {
	t.Helper()
	path := filepath.Join(dir, "admin.kubeconfig")
	if err := h.pki.WriteAdminKubeconfig(path, h.url); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func (h *hub) client(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// as returns a client with a certificate for the user.
func (h *hub) as(t *testing.T, name string, groups ...string) kubernetes.Interface {
	t.Helper()
	cert, key, err := h.pki.IssueClient(name, groups, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return h.client(t, &rest.Config{Host: h.url, TLSClientConfig: rest.TLSClientConfig{
		CAData: h.pki.CABundle(), CertData: cert, KeyData: key}})
}

func (h *hub) withToken(t *testing.T, token string) kubernetes.Interface {
	t.Helper()
	return h.client(t, &rest.Config{Host: h.url, BearerToken: token,
		TLSClientConfig: rest.TLSClientConfig{CAData: h.pki.CABundle()}})
}

// run starts a controller that lasts as long as the test.
func (h *hub) run(t *testing.T, name string, controller func(context.Context, *rest.Config) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := controller(ctx, h.server.Loopback()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}()
	t.Cleanup(func() { stop(); <-ended })
}

// eventually waits until condition says "", which is what is still missing.
func eventually(t *testing.T, condition func() string) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		missing := condition()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s", missing)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// TestHub is one story over one hub, because a start costs more than all its chapters.
func TestHub(t *testing.T) {
	h := startHub(t)
	h.run(t, "namespaces", native.RunNamespaceController)
	h.run(t, "garbage", func(ctx context.Context, c *rest.Config) error { return native.RunGarbageCollector(ctx, c, nil) })
	h.run(t, "aggregation", native.RunClusterRoleAggregation)
	must[*corev1.Namespace](t)(h.admin.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, metav1.CreateOptions{}))
	must[*corev1.ServiceAccount](t)(h.admin.CoreV1().ServiceAccounts("shop").Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "bot"}}, metav1.CreateOptions{}))

	t.Run("view is filled, Hanse's kinds included", h.viewIsFilled)
	t.Run("a user sees what a binding gives", h.bindingGives)
	t.Run("nobody gives what they lack", h.nobodyEscalates)
	t.Run("a ServiceAccount token works until its account goes", h.tokenWorks)
	t.Run("two versions of an autoscaler are one object", h.autoscalerVersions)
	t.Run("two groups of events are one list", h.eventGroups)
	t.Run("what an owner leaves behind is collected", h.garbageIsCollected)
	t.Run("a namespace is emptied and goes", h.namespaceGoes)
	t.Run("no default ServiceAccount is made", h.noDefaultAccount)
}

func (h *hub) viewIsFilled(t *testing.T) {
	eventually(t, func() string {
		view := must[*rbacv1.ClusterRole](t)(h.admin.RbacV1().ClusterRoles().Get(t.Context(), "edit", metav1.GetOptions{}))
		for _, rule := range view.Rules {
			if len(rule.APIGroups) == 1 && rule.APIGroups[0] == "hanse.io" {
				return ""
			}
		}
		return "edit is without Hanse's kinds"
	})
}

func (h *hub) bindingGives(t *testing.T) {
	jane := h.as(t, "jane")
	if _, err := jane.CoreV1().ConfigMaps("shop").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("before the binding: %v", err)
	}
	must[*rbacv1.RoleBinding](t)(h.admin.RbacV1().RoleBindings("shop").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "jane"},
		Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "jane"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
	}, metav1.CreateOptions{}))
	eventually(t, func() string {
		if _, err := jane.CoreV1().ConfigMaps("shop").List(t.Context(), metav1.ListOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	if _, err := jane.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("in another namespace: %v", err)
	}
	who := must[*authenticationv1.SelfSubjectReview](t)(jane.AuthenticationV1().SelfSubjectReviews().Create(t.Context(),
		&authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{}))
	if who.Status.UserInfo.Username != "jane" {
		t.Errorf("jane is %+v", who.Status.UserInfo)
	}
	rules := must[*authorizationv1.SelfSubjectRulesReview](t)(jane.AuthorizationV1().SelfSubjectRulesReviews().Create(
		t.Context(), &authorizationv1.SelfSubjectRulesReview{
			Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "shop"}}, metav1.CreateOptions{}))
	if len(rules.Status.ResourceRules) == 0 || rules.Status.Incomplete {
		t.Errorf("jane's rules: %+v", rules.Status)
	}
}

func (h *hub) nobodyEscalates(t *testing.T) {
	jane := h.as(t, "jane")
	bind := func(role string) error {
		_, err := jane.RbacV1().RoleBindings("shop").Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "friend-" + role},
			Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "friend"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		}, metav1.CreateOptions{})
		return err
	}
	if err := bind("cluster-admin"); !apierrors.IsForbidden(err) {
		t.Errorf("a namespace's admin binds cluster-admin: %v", err)
	}
	if err := bind("view"); err != nil {
		t.Errorf("a namespace's admin binds view: %v", err)
	}
}

func (h *hub) tokenWorks(t *testing.T) {
	answer := must[*authenticationv1.TokenRequest](t)(h.admin.CoreV1().ServiceAccounts("shop").CreateToken(t.Context(),
		"bot", &authenticationv1.TokenRequest{}, metav1.CreateOptions{}))
	bot := h.withToken(t, answer.Status.Token)
	who := must[*authenticationv1.SelfSubjectReview](t)(bot.AuthenticationV1().SelfSubjectReviews().Create(t.Context(),
		&authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{}))
	if who.Status.UserInfo.Username != "system:serviceaccount:shop:bot" {
		t.Errorf("the bot is %+v", who.Status.UserInfo)
	}
	_, err := h.withToken(t, answer.Status.Token+"x").CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsUnauthorized(err) {
		t.Errorf("with a wrong token: %v", err)
	}
	if err := h.admin.CoreV1().ServiceAccounts("shop").Delete(t.Context(), "bot", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string { // a token that convinced is trusted for some seconds more
		_, err := bot.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
		if apierrors.IsUnauthorized(err) {
			return ""
		}
		return "recognised after its account went"
	})
}

func (h *hub) autoscalerVersions(t *testing.T) {
	half := int32(50)
	must[*autoscalingv1.HorizontalPodAutoscaler](t)(h.admin.AutoscalingV1().HorizontalPodAutoscalers("shop").Create(
		t.Context(), &autoscalingv1.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: "web"},
			Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv1.CrossVersionObjectReference{
					APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
				MaxReplicas: 3, TargetCPUUtilizationPercentage: &half,
			},
		}, metav1.CreateOptions{}))
	v2 := h.admin.AutoscalingV2().HorizontalPodAutoscalers("shop")
	found := must[*autoscalingv2.HorizontalPodAutoscaler](t)(v2.Get(t.Context(), "web", metav1.GetOptions{}))
	if len(found.Spec.Metrics) != 1 || *found.Spec.Metrics[0].Resource.Target.AverageUtilization != half {
		t.Errorf("as autoscaling/v2: %+v", found.Spec)
	}
}

func (h *hub) eventGroups(t *testing.T) {
	must[*eventsv1.Event](t)(h.admin.EventsV1().Events("shop").Create(t.Context(), &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e1"}, EventTime: metav1.NowMicro(),
		Regarding: corev1.ObjectReference{Kind: "Deployment", Namespace: "shop", Name: "web"},
		Note:      "scaled", Reason: "Scaled", Action: "Scale", Type: "Normal",
		ReportingController: "hanse.io/test", ReportingInstance: "test-1",
	}, metav1.CreateOptions{}))
	must[*corev1.Event](t)(h.admin.CoreV1().Events("shop").Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: "e2"},
		InvolvedObject: corev1.ObjectReference{Kind: "Deployment", Namespace: "shop", Name: "api"}, Message: "old",
	}, metav1.CreateOptions{}))
	old := must[*corev1.EventList](t)(h.admin.CoreV1().Events("shop").List(t.Context(),
		metav1.ListOptions{FieldSelector: "involvedObject.name=web"}))
	if len(old.Items) != 1 || old.Items[0].Message != "scaled" {
		t.Errorf("as v1: %+v", old.Items)
	}
	current := must[*eventsv1.EventList](t)(h.admin.EventsV1().Events("shop").List(t.Context(),
		metav1.ListOptions{FieldSelector: "regarding.name=api"}))
	if len(current.Items) != 1 || current.Items[0].Note != "old" {
		t.Errorf("as events.k8s.io/v1: %+v", current.Items)
	}
}

func (h *hub) garbageIsCollected(t *testing.T) {
	maps := h.admin.CoreV1().ConfigMaps("shop")
	owner := must[*corev1.ConfigMap](t)(maps.Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{}))
	must[*corev1.ConfigMap](t)(maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: "owned", OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: owner.UID}}}}, metav1.CreateOptions{}))
	must[*corev1.ConfigMap](t)(maps.Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "free"}}, metav1.CreateOptions{}))
	if err := maps.Delete(t.Context(), "owner", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if _, err := maps.Get(t.Context(), "owned", metav1.GetOptions{}); apierrors.IsNotFound(err) {
			return ""
		}
		return "there although its owner is gone"
	})
	if _, err := maps.Get(t.Context(), "free", metav1.GetOptions{}); err != nil {
		t.Errorf("what nobody owns: %v", err)
	}
}

func (h *hub) namespaceGoes(t *testing.T) {
	namespaces := h.admin.CoreV1().Namespaces()
	must[*corev1.Secret](t)(h.admin.CoreV1().Secrets("shop").Create(t.Context(),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}}, metav1.CreateOptions{}))
	if err := namespaces.Delete(t.Context(), "shop", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if _, err := namespaces.Get(t.Context(), "shop", metav1.GetOptions{}); apierrors.IsNotFound(err) {
			return ""
		}
		return "there"
	})
	left := must[*corev1.SecretList](t)(h.admin.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{}))
	for _, secret := range left.Items {
		if secret.Namespace == "shop" {
			t.Errorf("left behind: %s", secret.Name)
		}
	}
}

func (h *hub) noDefaultAccount(t *testing.T) {
	accounts := must[*corev1.ServiceAccountList](t)(h.admin.CoreV1().ServiceAccounts("").List(t.Context(),
		metav1.ListOptions{}))
	if len(accounts.Items) != 0 {
		t.Errorf("ServiceAccounts %v", accounts.Items)
	}
}
