package membertest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// AdminToken and UserToken are accepted by every APIServer: one may do everything, the other nothing.
const (
	AdminToken = "admin-token"
	UserToken  = "user-token"
)

// APIServer is a kube-apiserver with an etcd of its own and no controllers.
type APIServer struct {
	URL    string
	CA     []byte // PEM
	server *exec.Cmd
}

// Config for the administrator.
func (s *APIServer) Config() *rest.Config {
	return &rest.Config{
		Host: s.URL, BearerToken: AdminToken, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: s.CA},
		WarningHandler: rest.NoWarnings{},
	}
}

// Pause freezes the API server: connections stay open and nothing answers.
func (s *APIServer) Pause(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Resume thaws it.
func (s *APIServer) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *APIServer) signal(t testing.TB, sig syscall.Signal) {
	if err := s.server.Process.Signal(sig); err != nil {
		t.Fatalf("signal %s: %v", sig, err)
	}
}

// StartAPIServer starts one for the test and ends it afterwards. The test is skipped if there are no programs: they are
// taken from KUBEBUILDER_ASSETS, from PATH, or from where `make` puts those of e2e (bin/cluster).
func StartAPIServer(t testing.TB) *APIServer {
	t.Helper()
	etcd, apiServer := program("etcd"), program("kube-apiserver")
	if etcd == "" || apiServer == "" {
		t.Skip("no etcd or kube-apiserver: build those of e2e, or set KUBEBUILDER_ASSETS")
	}
	dir := t.TempDir()
	client, peer := "http://"+freeAddress(t), "http://"+freeAddress(t)
	run(t, dir, etcd, "--data-dir="+filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level=error",
		"--name=default",
		"--listen-client-urls="+client, "--advertise-client-urls="+client, "--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
	write(t, filepath.Join(dir, "tokens.csv"), AdminToken+",admin,1,system:masters\n"+UserToken+",user,2\n")
	writeKey(t, filepath.Join(dir, "sa.key"))
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	cmd := run(t, dir, apiServer, "--etcd-servers="+client, "--bind-address=127.0.0.1", "--secure-port="+port,
		"--cert-dir="+filepath.Join(dir, "pki"), "--token-auth-file="+filepath.Join(dir, "tokens.csv"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+filepath.Join(dir,
			"sa.key"),
		"--service-account-signing-key-file="+filepath.Join(dir, "sa.key"), "--service-cluster-ip-range=10.0.0.0/16",
		"--authorization-mode=RBAC", "--endpoint-reconciler-type=none", "--profiling=false",
		"--disable-admission-plugins=ServiceAccount")
	s := &APIServer{URL: "https://" + address, server: cmd}
	s.waitReady(t, dir)
	return s
}

func (s *APIServer) waitReady(t testing.TB, dir string) {
	t.Helper()
	insecure := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // only to ask whether it is there
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+AdminToken)
		resp, err := insecure.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(dir, "kube-apiserver.log"))
			t.Fatalf("kube-apiserver does not become ready; its log ends with:\n%s", log[max(0, len(log)-3000):])
		case <-time.After(50 * time.Millisecond):
		}
	}
	ca, err := os.ReadFile(filepath.Join(dir, "pki", "apiserver.crt"))
	if err != nil {
		t.Fatal(err)
	}
	s.CA = ca
}

// run starts a program for the length of the test. It dies with the test process, whatever happens.
func run(t testing.TB, dir, path string, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, filepath.Base(path)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the death signal follows the thread that started the child
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		log.Close()
	})
	return cmd
}

// program finds one of the programs.
func program(name string) string {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		if path := filepath.Join(dir, name); isFile(path) {
			return path
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	_, here, _, _ := runtime.Caller(0)
	bin := filepath.Join(filepath.Dir(here), "..", "..", "..", "bin", "cluster")
	for _, pattern := range []string{name, name + "-v*", filepath.Join("v*", name)} {
		if found, _ := filepath.Glob(filepath.Join(bin, pattern)); len(found) > 0 && isFile(found[len(found)-1]) {
			return found[len(found)-1]
		}
	}
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeKey(t testing.TB, path string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	write(t, path, string(raw))
}
