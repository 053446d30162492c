package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/klog/v2"

	"github.com/hanse-federation/hanse/api/native"
	"github.com/hanse-federation/hanse/api/server"
	"github.com/hanse-federation/hanse/api/storage"
	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// admin is the bearer token of a member of system:masters; "user:NAME" is that of an ordinary user.
const admin = "admin"

// hub is a server on a real listener and a real etcd.
type hub struct {
	server *server.Server
	etcd   *storage.Etcd
	url    string
	ca     []byte       // of the serving certificate
	http   *http.Client // trusts it
	stop   func() error // ends Run and closes etcd; may be called more than once
}

// start runs a hub on dir until the test ends. change may alter its configuration.
func start(t testing.TB, dir string, change func(*server.Config)) *hub {
	t.Helper()
	h, err := startHub(dir, change)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return h
}

func startHub(dir string, change func(*server.Config)) (*hub, error) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	etcd, err := storage.OpenEmbedded(context.Background(), storage.EmbeddedConfig{DataDir: dir, Logger: quiet})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	certificate, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	crds, err := v1alpha1.CustomResourceDefinitions()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	cfg := server.Config{
		Etcd: etcd, Listener: listener, CRDs: crds, Logger: quiet, PublicHealth: true,
		TLS:     &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}},
		Access:  func(loopback *rest.Config) (server.Access, error) { return openAccess(ctx, loopback) },
		Version: version.Info{Major: "1", Minor: "37", GitVersion: "v1.37.2+hanse"},
		Clusters: func(_, _, _, name string) string {
			return map[string]string{"spread": "east=2/2,west=1/1"}[name]
		},
	}
	if change != nil {
		change(&cfg)
	}
	s, err := server.New(cfg)
	if err != nil {
		cancel()
		_ = etcd.Close()
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	h := &hub{server: s, etcd: etcd, url: "https://" + listener.Addr().String(), ca: certificate}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	h.http = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
	}}
	h.stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		if closeErr := etcd.Close(); err == nil {
			err = closeErr
		}
		return err
	})
	return h, nil
}

// openAccess is the hub's access rules with tokens that say who they are.
func openAccess(ctx context.Context, loopback *rest.Config) (server.Access, error) {
	client, err := kubernetes.NewForConfig(loopback)
	if err != nil {
		return server.Access{}, err
	}
	if err := native.SeedRBAC(ctx, client); err != nil {
		return server.Access{}, err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	rbac := native.NewRBAC(factory.Rbac().V1())
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return server.Access{}, err
	}
	accounts, err := native.NewServiceAccountTokens(key, client)
	if err != nil {
		return server.Access{}, err
	}
	authenticate := func(req *http.Request) (*authenticator.Response, bool, error) {
		token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
		if name, ok := strings.CutPrefix(token, "user:"); ok {
			return &authenticator.Response{User: &user.DefaultInfo{Name: name, Groups: []string{user.AllAuthenticated}}}, true, nil
		}
		if token == admin {
			groups := []string{user.SystemPrivilegedGroup, user.AllAuthenticated}
			return &authenticator.Response{User: &user.DefaultInfo{Name: admin, Groups: groups}}, true, nil
		}
		if token == "" {
			return nil, false, nil
		}
		resp, ok, err := accounts.AuthenticateToken(req.Context(), token)
		if ok {
			info := resp.User.(*user.DefaultInfo)
			info.Groups = append(info.Groups, user.AllAuthenticated)
		}
		return resp, ok, err
	}
	return server.Access{
		Authenticator: authenticator.RequestFunc(authenticate), Authorizer: rbac, Tokens: accounts,
		Escalates: func(ctx context.Context, obj, old runtime.Object) error {
			return rbac.CheckEscalation(ctx, authorizer.AuthorizerFunc(rbac.Authorize), obj, old)
		},
	}, nil
}

func (h *hub) config(token string) *rest.Config {
	return &rest.Config{Host: h.url, BearerToken: token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: h.ca}}
}

func (h *hub) client(t testing.TB, token string) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(h.config(token))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (h *hub) dynamic(t testing.TB) dynamic.Interface {
	t.Helper()
	client, err := dynamic.NewForConfig(h.config(admin))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// namespace makes a namespace that only this test uses.
func (h *hub) namespace(t testing.TB) string {
	t.Helper()
	ns, err := h.client(t, admin).CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create namespace: %v", err)
	}
	return ns.Name
}

// eventually waits until check returns "", and otherwise fails with what it said last.
func eventually(t testing.TB, check func() string) {
	t.Helper()
	var last string
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if last = check(); last == "" {
			return
		}
	}
	t.Fatal(last)
}

// common is the hub that most tests share.
var common *hub

func TestMain(m *testing.M) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	dir, err := os.MkdirTemp("", "hub-test-")
	if err != nil {
		panic(err)
	}
	audit := filepath.Join(dir, "audit.log")
	common, err = startHub(dir, func(c *server.Config) { c.Audit.LogFile = audit })
	if err != nil {
		panic(err)
	}
	code := m.Run()
	if err := common.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop:", err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func everything() fields.Selector { return fields.Everything() }
