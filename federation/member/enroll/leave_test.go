package enroll

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// joined is a hub with one member.
func joined(t *testing.T) (hub, member *apiServer) {
	t.Helper()
	hub, member = newServer(t, "hub-uid"), newServer(t, "east-uid")
	if err := join1(t, hub.admin(), member.admin(), Request{Name: "east"}); err != nil {
		t.Fatal(err)
	}
	return hub, member
}

// setFinalizer does what the hub does when it sees a new Cluster.
func (s *apiServer) setFinalizer(name string, finalizers ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[clusterPath+name]["metadata"].(map[string]any)["finalizers"] = finalizers
}

func TestUnjoinWaitsForTheHub(t *testing.T) {
	hub, _ := joined(t)
	hub.setFinalizer("east", v1alpha1.MembershipFinalizer)
	said := make(chan string, 10)
	done := make(chan error)
	go func() {
		done <- Unjoin(t.Context(), hub.admin(), LeaveRequest{Name: "east", Orphan: true, Poll: time.Millisecond},
			func(step string) { said <- step })
	}()
	if got := <-said; !strings.Contains(got, "waiting for the hub") {
		t.Errorf("said %q", got)
	}
	cluster := hub.object(clusterPath + "east")
	if got := annotation(cluster, v1alpha1.OnDeleteAnnotation); got != "Orphan" {
		t.Errorf("the hub is not told to leave the copies: %q", got)
	}
	hub.mu.Lock()
	delete(hub.objects, clusterPath+"east")
	hub.mu.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/api/v1/namespaces/hanse-system"}, hub.paths()); diff != "" {
		t.Errorf("left on the hub (-want,+got):\n%s", diff)
	}
}

func TestUnjoinThatTakesTooLong(t *testing.T) {
	hub, _ := joined(t)
	hub.setFinalizer("east", v1alpha1.MembershipFinalizer)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := Unjoin(ctx, hub.admin(), LeaveRequest{Name: "east", Poll: time.Millisecond}, quiet)
	if ReasonOf(err) != WaitEnded {
		t.Errorf("got %v", err)
	}
}

func TestUnjoinByForce(t *testing.T) {
	hub, member := joined(t)
	hub.setFinalizer("east", v1alpha1.MembershipFinalizer)
	req := LeaveRequest{Name: "east", Force: true, Member: member.admin()}
	if err := Unjoin(t.Context(), hub.admin(), req, quiet); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/api/v1/namespaces/hanse-system"}, hub.paths()); diff != "" {
		t.Errorf("left on the hub (-want,+got):\n%s", diff)
	}
	if member.object(rolePath) != nil {
		t.Error("the account's role is still in the member")
	}
}

// A finalizer that is not ours is somebody's reason to wait: force does not remove it.
func TestForceKeepsForeignFinalizers(t *testing.T) {
	hub, _ := joined(t)
	hub.setFinalizer("east", v1alpha1.MembershipFinalizer, "example.org/keep")
	if err := Unjoin(t.Context(), hub.admin(), LeaveRequest{Name: "east", Force: true}, quiet); err != nil {
		t.Fatal(err)
	}
	left := hub.object(clusterPath + "east")["metadata"].(map[string]any)["finalizers"]
	if diff := cmp.Diff([]any{"example.org/keep"}, left); diff != "" {
		t.Errorf("(-want,+got):\n%s", diff)
	}
}

func TestUnjoinOfNobody(t *testing.T) {
	hub := newServer(t, "hub-uid")
	if err := Unjoin(t.Context(), hub.admin(), LeaveRequest{Name: "east"}, quiet); ReasonOf(err) != NotFound {
		t.Errorf("got %v", err)
	}
}

func TestWithdrawTouchesOnlyItsOwnMembership(t *testing.T) {
	_, member := joined(t)
	c, err := NewClient(member.admin())
	if err != nil {
		t.Fatal(err)
	}
	if err := Withdraw(t.Context(), c, "another-hub"); err != nil {
		t.Fatal(err)
	}
	if member.object(rolePath) == nil {
		t.Fatal("another hub took our account away")
	}
	for range 2 { // twice: the second finds nothing
		if err := Withdraw(t.Context(), c, "hub-uid"); err != nil {
			t.Fatal(err)
		}
	}
	if member.object(rolePath) != nil {
		t.Error("the role is still there")
	}
}

func TestRotateToken(t *testing.T) {
	hub, member := joined(t)
	member.tokenLife = 24 * time.Hour // what a cloud gives, whatever is asked
	h, err := NewClient(hub.admin())
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewClient(member.admin())
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	now := time.Now()
	next, err := RotateToken(t.Context(), h, m, "east", now)
	if err != nil || next.Sub(now) < 182*day || next.Sub(now) > 183*day {
		t.Fatalf("a new token is to be renewed at %s (%v)", next, err)
	}
	if member.tokens != 1 {
		t.Fatalf("%d tokens were made too early", member.tokens-1)
	}
	later := now.Add(183 * day)
	next, err = RotateToken(t.Context(), h, m, "east", later)
	if err != nil {
		t.Fatal(err)
	}
	if member.tokens != 2 {
		t.Errorf("%d tokens were made", member.tokens)
	}
	secret := hub.object("/api/v1/namespaces/hanse-system/secrets/east")
	if secret["data"].(map[string]any)["token"] != "dG9rZW4tMg==" {
		t.Errorf("the Secret has %v", secret["data"])
	}
	// The stand-in counts from its own clock, so the 24 hours have ended for "later": renew at once.
	if next.After(later) {
		t.Errorf("next is %s", next)
	}
}

func TestRotateTokenKeepsTheOldOneWhenItFails(t *testing.T) {
	hub, member := joined(t)
	h, _ := NewClient(hub.admin())
	m, _ := NewClient(member.admin())
	member.fail = func(_, path string) (int, string) {
		if strings.HasSuffix(path, "/token") {
			return 403, "no"
		}
		return 0, ""
	}
	if _, err := RotateToken(t.Context(), h, m, "east", time.Now().Add(300*24*time.Hour)); err == nil {
		t.Fatal("no error")
	}
	secret := hub.object("/api/v1/namespaces/hanse-system/secrets/east")
	if secret["data"].(map[string]any)["token"] != "dG9rZW4tMQ==" {
		t.Errorf("the Secret has %v", secret["data"])
	}
}

// clientCertificate of an administrator.
func clientCertificate(t *testing.T, notAfter time.Time) (cert, key []byte) {
	t.Helper()
	pair, _ := certificate(t, notAfter, "admin")
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// htmlServer is a login page with a good certificate.
func htmlServer(t *testing.T, config *rest.Config) string {
	t.Helper()
	cert, ca := certificate(t, time.Now().Add(time.Hour), "127.0.0.1")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html>log in</html>"))
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	config.CAData = ca
	return s.URL
}
