package member

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-federation/hanse/federation/member/membertest"
)

// quick makes tests short; the logic does not depend on the lengths.
var quick = Probe{Interval: 100 * time.Millisecond, FailingInterval: 20 * time.Millisecond, Timeout: 300 * time.Millisecond}

func answers(code int, contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

func configFor(f *membertest.Faulty) Config {
	return Config{Server: f.URL, CABundle: f.CA, Credentials: Credentials{Token: "secret-token"}}
}

// TestReasons connects to one thing after another that is no usable member, and reads what is said of it.
func TestReasons(t *testing.T) {
	ok := answers(200, "text/plain", "ok")
	at := func(h http.HandlerFunc) func(*testing.T) Config {
		return func(t *testing.T) Config { return configFor(membertest.Serving(t, h)) }
	}
	as := func(f func(testing.TB) *membertest.Faulty) func(*testing.T) Config {
		return func(t *testing.T) Config { return configFor(f(t)) }
	}
	fixed := func(c Config) func(*testing.T) Config { return func(*testing.T) Config { return c } }
	until := func(name string, d time.Duration) func(*testing.T) Config {
		return func(t *testing.T) Config {
			return configFor(membertest.ServingAs(t, membertest.Certificate{Name: name, Until: time.Now().Add(d)}, ok))
		}
	}
	for _, c := range []struct {
		name   string
		config func(*testing.T) Config
		phase  Phase
		reason Reason
		says   string
	}{
		{"well", at(ok), Ready, ReasonReady, "ready"},
		{"hangs", as(membertest.Hanging), Unreachable, ReasonTimeout, "in time"},
		{"resets", as(membertest.Resetting), Unreachable, ReasonReset, "broke"},
		{"plain HTTP", as(membertest.Plain), Unreachable, ReasonTLS, "does not speak TLS"},
		{"nobody listens", func(t *testing.T) Config {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			return Config{Server: "https://" + l.Addr().String()}
		}, Unreachable, ReasonRefused, "nobody listens"},
		{"no such name", fixed(Config{Server: "https://nowhere.example", Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "nowhere.example", IsNotFound: true}}
		}}), Unreachable, ReasonDNS, `"nowhere.example" does not resolve`},
		{"another CA", func(t *testing.T) Config {
			c := configFor(membertest.Serving(t, ok))
			c.CABundle = membertest.Serving(t, ok).CA
			return c
		}, Unreachable, ReasonAuthority, "CA bundle"},
		{"expired", until("127.0.0.1", -time.Hour), Unreachable, ReasonExpired, "expired"},
		{"another name", until("elsewhere.example", time.Hour), Unreachable, ReasonHostname, "another name"},
		{"a web page", at(answers(200, "text/html", "<html>Welcome")), Unreachable, ReasonNotAnAPI, "not as a Kubernetes API"},
		{"a web page with 404", at(answers(404, "text/html", "<html>")), Unreachable, ReasonNotAnAPI, "web page"},
		{"nothing there", at(answers(404, "text/plain", "404 page not found")), Unreachable, ReasonNotAnAPI, "404"},
		{"other text", at(answers(200, "text/plain", "hello")), Unreachable, ReasonNotAnAPI, "not as a Kubernetes API"},
		{"redirects", at(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://login.example/", http.StatusFound)
		}), Unreachable, ReasonNotAnAPI, "login.example"},
		{"never ends", at(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}), Unreachable, ReasonNotAnAPI, "endless"},
		{"401", at(answers(401, "application/json", `{"kind":"Status"}`)), NotReady, ReasonUnauthorized, "credentials"},
		{"403", at(answers(403, "application/json", `forbidden: no`)), NotReady, ReasonForbidden, "forbidden: no"},
		{"429", at(answers(429, "text/plain", "later")), Unknown, ReasonBusy, "429"},
		{"500", at(answers(500, "text/plain", "oops")), NotReady, ReasonServerError, "500: oops"},
		{"a failing check", at(answers(500, "text/plain", "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed")),
			NotReady, ReasonFailingCheck, "failing checks: etcd"},
		{"only /healthz", at(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/healthz" {
				ok(w, r)
				return
			}
			answers(404, "text/plain", "no")(w, r)
		}), Ready, ReasonReady, "ready"},
		{"a proxy that refuses", func(t *testing.T) Config {
			c := configFor(membertest.Serving(t, ok))
			c.ProxyURL = strings.Replace(membertest.Plain(t).URL, "https", "http", 1)
			return c
		}, Unreachable, ReasonProxy, "400 Bad Request"},
		{"no URL", fixed(Config{Server: "127.0.0.1:6443"}), Unreachable, ReasonConfig, "https://"},
		{"no certificate", fixed(Config{Server: "https://x", CABundle: []byte("x")}), Unreachable, ReasonConfig, "CA bundle"},
		{"two credentials", fixed(Config{Server: "https://x", Credentials: Credentials{Token: "t", ClientCert: []byte("c")}}),
			Unreachable, ReasonConfig, "more than one"},
		{"a broken key", fixed(Config{Server: "https://x", Credentials: Credentials{ClientKey: []byte("c")}}),
			Unreachable, ReasonConfig, "client certificate"},
		{"a command", fixed(Config{Server: "https://x", Credentials: Credentials{Exec: &clientcmdapi.ExecConfig{Command: "true"}}}),
			Unreachable, ReasonConfig, "not allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := connect(t, Spec{Name: "m", Config: c.config(t), Probe: quick}, Options{})
			state := waitState(t, m, func(s State) bool {
				return s.Phase == c.phase && s.Reason == c.reason && strings.Contains(s.Message, c.says)
			})
			if strings.Contains(state.Message, "secret-token") {
				t.Errorf("the message has the credentials: %s", state.Message)
			}
			if (c.phase == Ready || c.phase == NotReady || c.reason == ReasonBusy) == state.LastSeen.IsZero() {
				t.Errorf("last seen %v in phase %s", state.LastSeen, state.Phase)
			}
		})
	}
}

func TestOurCertificateRefused(t *testing.T) {
	err := fmt.Errorf("write: %w", errors.New("remote error: tls: certificate required"))
	if got := ofError(err, "https://x"); got.reason != ReasonClientCert {
		t.Errorf("got %+v", got)
	}
}

// connect makes a member that ends with the test, and sees to it that nothing of it is left.
func connect(t *testing.T, spec Spec, o Options) *Member {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m := Connect(ctx, spec, o)
	t.Cleanup(func() {
		cancel()
		select {
		case <-m.Done():
		case <-time.After(10 * time.Second):
			t.Errorf("member %s does not end", m.Name())
		}
	})
	return m
}

func waitState(t *testing.T, m *Member, good func(State) bool) State {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		state := m.State()
		if good(state) {
			return state
		}
		if time.Now().After(deadline) {
			t.Fatalf("state stays %+v", state)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
