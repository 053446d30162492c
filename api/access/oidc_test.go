package access

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// issuer is an OpenID Connect issuer with one RSA key, over TLS.
type issuer struct {
	server *httptest.Server
	key    *rsa.PrivateKey
	caFile string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, caFile: filepath.Join(t.TempDir(), "ca.pem")}
	i.server = httptest.NewTLSServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw})
	if err := os.WriteFile(i.caFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.server.URL, "jwks_uri": i.server.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	case "/keys":
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(i.key.E)).Bytes()),
		}}})
	default:
		http.NotFound(w, r)
	}
}

// token signs claims (RFC 7515, RS256) on top of good ones; a nil claim is left out.
func (i *issuer) token(t *testing.T, key *rsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	all := map[string]any{
		"iss": i.server.URL, "aud": "hanse", "sub": "1234", "email": "jane@example.com", "email_verified": true,
		"groups": []string{"dev", "ops"}, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
	}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"RS256","kid":"1"}`)) + "." + encode(body)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(signature)
}

// ready waits until the verifier has fetched the issuer's keys: until then every token is refused.
func ready(t *testing.T, auth authenticator.Request, token string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, ok, err := auth.AuthenticateRequest(bearer(token))
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the issuer's tokens are still refused: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestOIDC(t *testing.T) {
	i := newIssuer(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := NewAuthenticator(t.Context(), AuthenticatorOptions{
		Anonymous: true,
		OIDC: &OIDCOptions{
			IssuerURL: i.server.URL, ClientID: "hanse", CAFile: i.caFile,
			UsernameClaim: "email", GroupsClaim: "groups", UsernamePrefix: "oidc:", GroupsPrefix: "corp:",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ready(t, auth, i.token(t, i.key, nil))

	tests := []struct {
		name    string
		claims  map[string]any
		key     *rsa.PrivateKey
		user    string
		groups  []string
		refused string
	}{
		{name: "good", user: "oidc:jane@example.com", groups: []string{"corp:dev", "corp:ops", user.AllAuthenticated}},
		{name: "one group as text", claims: map[string]any{"groups": "system:masters"},
			user: "oidc:jane@example.com", groups: []string{"corp:system:masters", user.AllAuthenticated}},
		{name: "no groups", claims: map[string]any{"groups": nil},
			user: "oidc:jane@example.com", groups: []string{user.AllAuthenticated}},
		{name: "expired", claims: map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, refused: "expired"},
		{name: "for another audience", claims: map[string]any{"aud": "other"}, refused: "audience"},
		{name: "another issuer", claims: map[string]any{"iss": "https://other.example.com"}, refused: "invalid bearer token"},
		{name: "another key", key: stranger, refused: "failed to verify signature"},
		{name: "mail not verified", claims: map[string]any{"email_verified": false}, refused: "email not verified"},
		{name: "no name", claims: map[string]any{"email": nil}, refused: "email"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			key := i.key
			if test.key != nil {
				key = test.key
			}
			response, ok, err := auth.AuthenticateRequest(bearer(i.token(t, key, test.claims)))
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

func TestOIDCNames(t *testing.T) {
	tests := []struct {
		options        OIDCOptions
		claim, user, g string
	}{
		{OIDCOptions{IssuerURL: "https://i"}, "sub", "https://i#", ""},
		{OIDCOptions{IssuerURL: "https://i", UsernameClaim: "email"}, "email", "", ""},
		{OIDCOptions{UsernamePrefix: "-", GroupsPrefix: "-"}, "sub", "", ""},
		{OIDCOptions{UsernamePrefix: "a:", GroupsPrefix: "b:"}, "sub", "a:", "b:"},
	}
	for _, test := range tests {
		o := test.options
		if o.usernameClaim() != test.claim || o.usernamePrefix() != test.user || o.groupsPrefix() != test.g {
			t.Errorf("%+v: claim %q, prefixes %q and %q", o, o.usernameClaim(), o.usernamePrefix(), o.groupsPrefix())
		}
	}
}

func TestOIDCOptionsAreChecked(t *testing.T) {
	i := newIssuer(t)
	tests := []struct {
		options OIDCOptions
		want    string
	}{
		{OIDCOptions{IssuerURL: "http://issuer", ClientID: "hanse"}, "https"},
		{OIDCOptions{IssuerURL: "", ClientID: "hanse"}, "issuer.url"},
		{OIDCOptions{IssuerURL: i.server.URL}, "audiences"},
		{OIDCOptions{IssuerURL: i.server.URL, ClientID: "hanse", CAFile: i.caFile + ".gone"}, i.caFile + ".gone"},
	}
	for _, test := range tests {
		_, err := NewAuthenticator(context.Background(), AuthenticatorOptions{OIDC: &test.options})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want one with %q", test.options, err, test.want)
		}
	}
}
