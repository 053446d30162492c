package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// requestWith is a request as it arrives on a connection with a client certificate.
func requestWith(t *testing.T, p *PKI, name string, ttl time.Duration, groups ...string) *http.Request {
	t.Helper()
	certPEM, keyPEM, err := p.IssueClient(name, groups, ttl)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/api", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	return r
}

func bearer(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func TestClientCertificates(t *testing.T) {
	c := newClock()
	p, stranger := openPKI(t, t.TempDir(), c), openPKI(t, t.TempDir(), c)
	auth, err := NewAuthenticator(context.Background(), AuthenticatorOptions{ClientCA: p, Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	good := requestWith(t, p, "jane", time.Hour, "dev", "ops")
	long := requestWith(t, p, "long", 48*time.Hour)
	foreign := requestWith(t, stranger, "jane", time.Hour)
	serving := httptest.NewRequest(http.MethodGet, "/api", nil)
	serving.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{p.serving.cert}}

	tests := []struct {
		name    string
		request *http.Request
		after   time.Duration
		user    string
		groups  []string
		refused string
	}{
		{name: "ours", request: good, user: "jane", groups: []string{"dev", "ops", user.AllAuthenticated}},
		{name: "no credentials", request: bearer(""), user: user.Anonymous, groups: []string{user.AllUnauthenticated}},
		{name: "another authority", request: foreign, refused: "unknown authority"},
		{name: "serving certificate as client", request: serving, refused: "incompatible key usage"},
		{name: "expired", request: good, after: 2 * time.Hour, refused: "expired"},
		{name: "one that lives longer", request: long, user: "long", groups: []string{user.AllAuthenticated}},
		{name: "unknown token", request: bearer("nonsense"), refused: "invalid bearer token"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c.move(test.after)
			defer c.move(-test.after)
			response, ok, err := auth.AuthenticateRequest(test.request)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Fatalf("got %v %v %v, want an error with %q", response, ok, err, test.refused)
				}
				return
			}
			if err != nil || !ok {
				t.Fatalf("refused: %v", err)
			}
			wantUser(t, response, test.user, test.groups)
		})
	}
}

func wantUser(t *testing.T, response *authenticator.Response, name string, groups []string) {
	t.Helper()
	if response.User.GetName() != name {
		t.Errorf("user %q, want %q", response.User.GetName(), name)
	}
	got := slices.Clone(response.User.GetGroups())
	slices.Sort(got)
	want := slices.Clone(groups)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestIssueClientRefuses(t *testing.T) {
	p := openPKI(t, t.TempDir(), newClock())
	for _, test := range []struct {
		user   string
		groups []string
		ttl    time.Duration
	}{
		{"", nil, time.Hour}, {"a", []string{""}, time.Hour}, {"a", nil, 0}, {"a", nil, -1}, {"a", nil, 400 * 24 * time.Hour},
	} {
		if _, _, err := p.IssueClient(test.user, test.groups, test.ttl); err == nil {
			t.Errorf("issued for %+v", test)
		}
	}
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(path, []byte("s3cret,bob,1,\"dev,ops\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	auth, err := NewAuthenticator(context.Background(), AuthenticatorOptions{TokenFile: path, Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	response, ok, err := auth.AuthenticateRequest(bearer("s3cret"))
	if err != nil || !ok {
		t.Fatalf("refused: %v", err)
	}
	wantUser(t, response, "bob", []string{"dev", "ops", user.AllAuthenticated})
	if response, ok, err := auth.AuthenticateRequest(bearer("s3cret2")); err == nil {
		t.Errorf("a wrong token gave %v %v", response, ok)
	}
	if _, err := NewAuthenticator(context.Background(), AuthenticatorOptions{TokenFile: path + ".gone"}); err == nil ||
		!strings.Contains(err.Error(), path+".gone") {
		t.Errorf("error %v does not name the missing file", err)
	}
}
