package nameserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// credential is the token of a ServiceAccount of the hub that this server shows there. It is replaced by a new one long
// before it ends, so that a server that is in touch with the hub never loses it. The new one is in the data directory,
// as secret as the rest of what is there.
//
// nil is a credential that is not renewed here: a certificate, or a token from a file that others renew.
type credential struct {
	path string
	log  *slog.Logger
	now  func() time.Time
	// given is the digest of the token in the kubeconfig: another one there takes the place of what grew from this.
	given string
	token atomic.Pointer[token]

	url    string
	client *http.Client
}

// tokenFile is in the data directory.
const tokenFile = "token"

// storedToken is what the file has.
type storedToken struct {
	Given string `json:"given"`
	Token string `json:"token"`
}

// token is a JWT and what it says of itself.
type token struct {
	text            string
	issued, expires time.Time
	namespace, name string // of the ServiceAccount
}

// errNoAccount is for a token that is not that of a ServiceAccount.
var errNoAccount = errors.New("is not the token of a ServiceAccount with an end")

// readToken reads what a token says of itself. Whether that is true only the hub can tell.
func readToken(text string) (*token, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, errNoAccount
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAccount, err)
	}
	var claims struct {
		Subject string `json:"sub"`
		Issued  int64  `json:"iat"`
		Expires int64  `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAccount, err)
	}
	account, isAccount := strings.CutPrefix(claims.Subject, "system:serviceaccount:")
	namespace, name, isWhole := strings.Cut(account, ":")
	if !isAccount || !isWhole || namespace == "" || name == "" || claims.Expires <= claims.Issued {
		return nil, errNoAccount
	}
	return &token{
		text: text, issued: time.Unix(claims.Issued, 0), expires: time.Unix(claims.Expires, 0), namespace: namespace, name: name,
	}, nil
}

// due is when a token is to be replaced: after half of its life, which leaves the other half for a hub that is away.
func (t *token) due() time.Time { return t.issued.Add(t.expires.Sub(t.issued) / 2) }

// newCredential takes the token out of a configuration, or what grew from it, and gives a configuration that shows what
// is the newest at any time. Without such a token both are as they were.
func newCredential(hub *rest.Config, dir string, now func() time.Time, log *slog.Logger) (*rest.Config, *credential) {
	if hub.BearerToken == "" || hub.BearerTokenFile != "" {
		return hub, nil
	}
	given, err := readToken(hub.BearerToken)
	if err != nil {
		log.Warn("the token for the hub is not renewed by this server; when it ends the names stay as they are then",
			"reason", err)
		return hub, nil
	}
	sum := sha256.Sum256([]byte(hub.BearerToken))
	c := &credential{
		path: filepath.Join(dir, tokenFile), log: log, now: now, given: base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	c.token.Store(given)
	if grown := c.load(); grown != nil && !grown.expires.Before(given.expires) {
		c.token.Store(grown)
	}
	own := rest.CopyConfig(hub)
	own.BearerToken = ""
	own.Wrap(func(next http.RoundTripper) http.RoundTripper { return shows{c, next} })
	return own, c
}

// shows sends the token with every request.
type shows struct {
	credential *credential
	next       http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s shows) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+s.credential.token.Load().text)
	return s.next.RoundTrip(req)
}

// load reads the token that grew from the one given; nil: there is none of use.
func (c *credential) load() *token {
	data, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var stored storedToken
	if err == nil {
		err = json.Unmarshal(data, &stored)
	}
	var grown *token
	if err == nil && stored.Given == c.given {
		grown, err = readToken(stored.Token)
	}
	if err != nil {
		c.log.Warn("the renewed token for the hub cannot be used; that of the kubeconfig is shown", "file", c.path, "error", err)
		return nil
	}
	return grown
}

// save writes the token whole or not at all.
func (c *credential) save(t *token) error {
	data, err := json.Marshal(storedToken{c.given, t.text})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.path), tokenFile+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), c.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// speakThrough says where the hub is asked for new tokens, and by which client.
func (c *credential) speakThrough(hub *url.URL, client *http.Client) {
	if c == nil {
		return
	}
	t := c.token.Load()
	c.url = hub.JoinPath("api/v1/namespaces", t.namespace, "serviceaccounts", t.name, "token").String()
	c.client = client
}

const (
	// firstTry and longestTry come between a try to get a new token that failed and the next; they double.
	firstTry   = 5 * time.Second
	longestTry = 10 * time.Minute
	// leastLife is how long a new token is kept, even if the clock here, which may be wrong, says that it is over. The
	// hub gives none for less than 10 minutes.
	leastLife   = 5 * time.Minute
	tryPatience = 30 * time.Second
)

// keep renews the token until the context ends. The one of the kubeconfig is replaced at once: that shows at the start,
// and not after half a year, whether the account may do that.
func (c *credential) keep(ctx context.Context) {
	if c == nil {
		return
	}
	pause, isFailed := time.Duration(0), false
	for {
		wait := c.token.Load().due().Sub(c.now())
		if c.load() == nil {
			wait = 0
		}
		wait = max(wait, pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(wait, time.Hour)): // clocks are put right
		}
		if wait > time.Hour {
			continue
		}
		err := c.renew(ctx)
		switch {
		case err == nil:
			pause, isFailed = leastLife, false
			c.log.Info("the token for the hub is renewed", "until", c.token.Load().expires)
		case isFailed:
			pause = min(2*pause, longestTry)
		case ctx.Err() == nil:
			pause, isFailed = firstTry, true
			c.log.Warn("renewing the token for the hub; it is tried again", "until", c.token.Load().expires, "error", err)
		}
	}
}

// renew gets a token with as long a life as the one there is, and keeps it.
func (c *credential) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryPatience)
	defer cancel()
	now := c.token.Load()
	life := int64(now.expires.Sub(now.issued) / time.Second)
	body, err := json.Marshal(&authenticationv1.TokenRequest{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenRequest"},
		Spec:     authenticationv1.TokenRequestSpec{ExpirationSeconds: &life},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	response, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusForbidden:
		return fmt.Errorf("the hub does not let the account %s/%s do that; hanse dns kubeconfig %s gives it the right",
			now.namespace, now.name, now.name)
	case response.StatusCode/100 != 2:
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(said)))
	}
	var answer authenticationv1.TokenRequest
	if err := json.Unmarshal(said, &answer); err != nil {
		return err
	}
	next, err := readToken(answer.Status.Token)
	if err != nil {
		return fmt.Errorf("what the hub gave: %w", err)
	}
	if err := c.save(next); err != nil {
		return fmt.Errorf("keeping it: %w", err)
	}
	c.token.Store(next)
	return nil
}
