package nameserver

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/client-go/rest"
)

func jwt(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func accountToken(issued, expires time.Time) string {
	return jwt(fmt.Sprintf(`{"sub":"system:serviceaccount:hanse-dns:edge","iat":%d,"exp":%d}`, issued.Unix(), expires.Unix()))
}

func TestReadToken(t *testing.T) {
	issued := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	got, err := readToken(accountToken(issued, issued.Add(time.Hour)))
	if err != nil || got.namespace != "hanse-dns" || got.name != "edge" || !got.due().Equal(issued.Add(30*time.Minute)) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"empty": "", "static": "secret", "two parts": "a.b", "no base64": "a.!.c", "no JSON": "a.YQ.c",
		"a person":       jwt(`{"sub":"jane","iat":1,"exp":2}`),
		"no name":        jwt(`{"sub":"system:serviceaccount:ns:","iat":1,"exp":2}`),
		"no namespace":   jwt(`{"sub":"system:serviceaccount:name","iat":1,"exp":2}`),
		"no end":         jwt(`{"sub":"system:serviceaccount:ns:name","iat":1}`),
		"an end before":  jwt(`{"sub":"system:serviceaccount:ns:name","iat":3,"exp":2}`),
		"a text as time": jwt(`{"sub":"system:serviceaccount:ns:name","iat":"1","exp":2}`),
	} {
		if got, err := readToken(text); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// issuer gives tokens of the account, if asked with the one it gave last.
type issuer struct {
	t       *testing.T
	now     func() time.Time
	last    atomic.Pointer[string]
	given   atomic.Int64
	refuses atomic.Bool
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var asked authenticationv1.TokenRequest
	switch {
	case i.refuses.Load():
		http.Error(w, "no", http.StatusForbidden)
		return
	case req.URL.Path != "/api/v1/namespaces/hanse-dns/serviceaccounts/edge/token" || json.Unmarshal(body, &asked) != nil:
		i.t.Errorf("asked for %s: %s", req.URL, body)
	case req.Header.Get("Authorization") != "Bearer "+*i.last.Load():
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	case *asked.Spec.ExpirationSeconds != 3600:
		i.t.Errorf("asked for %d seconds, want as many as before", *asked.Spec.ExpirationSeconds)
	}
	i.given.Add(1)
	next := accountToken(i.now().Add(time.Duration(i.given.Load())*time.Second), i.now().Add(time.Hour+time.Duration(i.given.Load())*time.Second))
	i.last.Store(&next)
	asked.Status.Token = next
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(asked)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// TestCredential: the token of the kubeconfig is replaced at once, the new one outlives the process, and one that has
// half of its life behind it is replaced again.
func TestCredential(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).UnixNano())
	now := func() time.Time { return time.Unix(0, clock.Load()) }
	hub := &issuer{t: t, now: now}
	web := httptest.NewServer(hub)
	defer web.Close()
	dir := t.TempDir()
	kubeconfig := accountToken(now(), now().Add(time.Hour))
	hub.last.Store(&kubeconfig)
	begin := func(token string) *credential {
		t.Helper()
		own, c := newCredential(&rest.Config{Host: web.URL, BearerToken: token}, dir, now, slog.New(slog.DiscardHandler))
		if c == nil || own.BearerToken != "" {
			t.Fatal("the token is not taken over")
		}
		client, err := rest.HTTPClientFor(own)
		if err != nil {
			t.Fatal(err)
		}
		base, _, err := rest.DefaultServerUrlFor(own)
		if err != nil {
			t.Fatal(err)
		}
		c.speakThrough(base, client)
		return c
	}
	run := func(c *credential) (end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.keep(ctx); close(done) }()
		return func() { cancel(); <-done }
	}

	c := begin(kubeconfig)
	end := run(c)
	eventually(t, "the token of the kubeconfig is replaced", func() bool { return hub.given.Load() == 1 && c.load() != nil })
	end()
	if info, err := os.Stat(filepath.Join(dir, tokenFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %v", info.Mode(), err)
	}

	c = begin(kubeconfig) // the next process
	if c.token.Load().text != *hub.last.Load() {
		t.Error("the next process does not go on with the token that was renewed")
	}
	clock.Add(int64(40 * time.Minute))
	end = run(c)
	eventually(t, "the token is replaced after half of its life", func() bool { return hub.given.Load() == 2 })
	eventually(t, "the new one is shown", func() bool { return c.token.Load().text == *hub.last.Load() })
	end()

	hub.refuses.Store(true)
	if err := c.renew(t.Context()); err == nil || !strings.Contains(err.Error(), "hanse dns kubeconfig edge gives it the right") {
		t.Errorf("refused: %v", err)
	}
	another := accountToken(now(), now().Add(time.Hour))
	if c = begin(another); c.token.Load().text != another {
		t.Error("another kubeconfig does not count")
	}
	if err := os.WriteFile(filepath.Join(dir, tokenFile), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c = begin(kubeconfig); c.token.Load().text != kubeconfig {
		t.Error("a damaged file keeps the token of the kubeconfig from being shown")
	}
}

// TestAClockThatIsAhead: a server for which every token that it gets is old asks for no more of them than others.
func TestAClockThatIsAhead(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	hub := &issuer{t: t, now: func() time.Time { return noon }}
	web := httptest.NewServer(hub)
	defer web.Close()
	kubeconfig := accountToken(noon, noon.Add(time.Hour))
	hub.last.Store(&kubeconfig)
	ahead := func() time.Time { return noon.Add(45 * time.Minute) }
	own, c := newCredential(&rest.Config{Host: web.URL, BearerToken: kubeconfig}, t.TempDir(), ahead, slog.New(slog.DiscardHandler))
	client, err := rest.HTTPClientFor(own)
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.speakThrough(base, client)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	c.keep(ctx)
	if n := hub.given.Load(); n != 1 {
		t.Errorf("it got %d tokens at once", n)
	}
}

// TestOtherCredentials: what is not the token of a ServiceAccount is left as it is, and those who rely on it are told.
func TestOtherCredentials(t *testing.T) {
	var said bytes.Buffer
	for name, config := range map[string]*rest.Config{
		"a certificate": {TLSClientConfig: rest.TLSClientConfig{CertData: []byte("c")}},
		"a file":        {BearerToken: accountToken(time.Unix(0, 0), time.Unix(9, 0)), BearerTokenFile: "/token"},
		"another token": {BearerToken: "static"},
	} {
		own, c := newCredential(config, t.TempDir(), time.Now, slog.New(slog.NewTextHandler(&said, nil)))
		if own != config || c != nil {
			t.Errorf("%s was changed", name)
		}
		c.speakThrough(nil, nil)
		c.keep(t.Context())
	}
	if strings.Count(said.String(), "is not renewed by this server") != 1 {
		t.Errorf("said:\n%s", &said)
	}
}
