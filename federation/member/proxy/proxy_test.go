package proxy

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// stored is a hub with one Cluster and its Secret.
type stored struct {
	client.Reader
	mu      sync.Mutex
	cluster v1alpha1.Cluster
	token   string
}

func (s *stored) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o := obj.(type) {
	case *v1alpha1.Cluster:
		if key.Name == s.cluster.Name {
			s.cluster.DeepCopyInto(o)
			return nil
		}
	case *corev1.Secret:
		o.Data = map[string][]byte{"token": []byte(s.token)}
		return nil
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

func (s *stored) change(edit func(*stored)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(s)
}

// stage is a member that answers with a handler, and the proxy in front of it.
func stage(t *testing.T, caller user.Info, handler http.HandlerFunc) (*stored, *httptest.Server) {
	t.Helper()
	hub, _ := storedBehind(t, handler)
	return hub, proxyTo(t, hub, caller)
}

// stageHTTP1 is stage with a member that speaks HTTP/1.1 only, whose handler may say what it likes on the connection.
func stageHTTP1(t *testing.T, handler http.HandlerFunc) (*stored, *httptest.Server) {
	t.Helper()
	behind := httptest.NewTLSServer(handler)
	t.Cleanup(behind.Close)
	hub := storedFor(behind)
	return hub, proxyTo(t, hub, alice)
}

// storedBehind is a hub whose only member answers with a handler, at the URL.
func storedBehind(t testing.TB, handler http.HandlerFunc) (*stored, *url.URL) {
	t.Helper()
	behind := httptest.NewUnstartedServer(handler)
	behind.EnableHTTP2 = true
	behind.StartTLS()
	t.Cleanup(behind.Close)
	at, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	return storedFor(behind), at
}

func storedFor(behind *httptest.Server) *stored {
	hub := &stored{token: "of-the-hub"}
	hub.cluster.Name, hub.cluster.UID = "east", types.UID("1")
	hub.cluster.Spec.Connection.Server = behind.URL
	hub.cluster.Spec.Connection.CABundle = pem.EncodeToMemory(
		&pem.Block{Type: "CERTIFICATE", Bytes: behind.Certificate().Raw})
	hub.cluster.Spec.Connection.Credentials.SecretName = "east"
	return hub
}

func newTestProxy(t testing.TB, hub *stored) *Proxy {
	return New(t.Context(), hub, member.Options{Logger: slog.New(slog.DiscardHandler)}, func() time.Time { return noon })
}

func proxyTo(t *testing.T, hub *stored, caller user.Info) *httptest.Server {
	r := newTestProxy(t, hub)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		name, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/clusters/"), "/")
		prefix := "/clusters/" + name
		req.URL.Path = strings.TrimPrefix(req.URL.Path, prefix)
		ctx := audit.WithAuditContext(req.Context()) // as the hub's own chain does
		audit.WithAuditID(ctx, "of-the-request")
		w.Header().Set("Audit-Id", "of-the-request")
		r.Handler(name, prefix, caller).ServeHTTP(w, req.WithContext(ctx))
	}))
	t.Cleanup(front.Close)
	return front
}

var alice = &user.DefaultInfo{Name: "alice", UID: "17", Groups: []string{"developers", user.AllAuthenticated},
	Extra: map[string][]string{"department": {"ships"}, "authentication.kubernetes.io/credential-id": {"x"}}}

// The member is told who asks, in the hub's words, and gets nothing of what the caller proved itself with.
func TestHeaders(t *testing.T) {
	var seen http.Header
	_, front := stage(t, alice, func(w http.ResponseWriter, req *http.Request) {
		seen = req.Header.Clone()
		seen.Set("Path", req.URL.RequestURI())
		w.Header().Set("Audit-Id", "of-the-member")
	})
	req, _ := http.NewRequest("GET", front.URL+"/clusters/east/api/v1/pods?limit=5", nil)
	for key, value := range map[string]string{
		"Authorization": "Bearer mine", "Cookie": "session=1", "Impersonate-User": "root", "Impersonate-Group": "system:masters",
		"Impersonate-Extra-Scopes": "all", "Impersonate-Uid": "0", "X-Remote-User": "root", "X-Remote-Group": "system:masters",
		"X-Remote-Extra-Scopes": "all", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-User": "root",
		"Proxy-Authorization": "Basic x", "Te": "trailers", "Accept": "application/json", "User-Agent": "kubectl",
		"Sec-Websocket-Protocol": "base64url.bearer.authorization.k8s.io.bWluZQ, v5.channel.k8s.io",
	} {
		req.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if ids := resp.Header.Values("Audit-Id"); !slices.Equal(ids, []string{"of-the-request"}) {
		t.Errorf("the answer has the audit IDs %q", ids)
	}
	var got []string
	for key, values := range seen {
		got = append(got, key+": "+strings.Join(values, ", "))
	}
	slices.Sort(got)
	want := []string{
		"Accept-Encoding: gzip", // of the test's own client
		"Accept: application/json",
		"Audit-Id: of-the-request", // one in the logs of both
		"Authorization: Bearer of-the-hub",
		"Impersonate-Extra-Department: ships",
		"Impersonate-Group: developers",
		"Impersonate-User: alice",
		"Path: /api/v1/pods?limit=5",
		"Sec-Websocket-Protocol: v5.channel.k8s.io",
		"User-Agent: kubectl",
		"X-Forwarded-For: 127.0.0.1",
	}
	got = slices.DeleteFunc(got, func(line string) bool { return line == "Te: trailers" }) // says nothing of anybody
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhoIs(t *testing.T) {
	account := &user.DefaultInfo{Name: "system:serviceaccount:shop:deployer", Groups: []string{
		"system:serviceaccounts", "system:serviceaccounts:shop", user.AllAuthenticated}}
	if who := whoIs(account); len(who.Groups) != 0 || who.UserName != account.Name {
		t.Errorf("a ServiceAccount is sent as %+v; the member knows its groups", who)
	}
	admin := &user.DefaultInfo{Name: "root", Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}}
	if who := whoIs(admin); !slices.Equal(who.Groups, []string{user.SystemPrivilegedGroup}) {
		t.Errorf("an administrator is sent as %+v", who)
	}
}

// What goes wrong says what, since when, and what to do.
func TestRefusals(t *testing.T) {
	forbids := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, text)
		}
	}
	mayNot := `403 {"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the hub may not act as you` +
		` (user \"alice\", group \"developers\") in cluster east. Who administers the cluster can allow it: hanse join east` +
		` --renew --cluster-kubeconfig FILE --impersonate user:alice --impersonate group:developers, beside the flags of the` +
		` first join","reason":"Forbidden","code":403}`
	for _, c := range []struct {
		what, path string
		handler    http.HandlerFunc
		change     func(*stored)
		want       string
	}{
		{"the member's own refusal", "east/api/v1/pods", forbids("pods is forbidden"), nil, "403 pods is forbidden"},
		{"an older member", "east/api/v1/pods", forbids(`{"message":"groups \"developers\" is forbidden: User ` +
			`\"system:serviceaccount:hanse-system:hanse-hub\" cannot impersonate resource \"groups\" in API group \"\""}`), nil, mayNot},
		{"a newer member", "east/api/v1/pods", forbids("k8s\x00\n\x0cpods is forbidden: User \"system:serviceaccount:hanse-system:" +
			"hanse-hub\" cannot impersonate-on:user-info:list resource \"pods\""), nil, mayNot},
		{"no such cluster", "west/api/v1/pods", nil, nil, `404 {"kind":"Status","apiVersion":"v1","metadata":{},` +
			`"status":"Failure","message":"clusters.hanse.io \"west\" not found; hanse clusters lists those that there are",` +
			`"reason":"NotFound","details":{"name":"west","group":"hanse.io","kind":"clusters"},"code":404}`},
		{"no such cluster, for discovery", "west/api", nil, nil,
			"502 clusters.hanse.io \"west\" not found; hanse clusters lists those that there are\n"},
		{"away", "east/apis", nil, func(s *stored) {
			s.cluster.Status.LastSeen = &metav1.Time{Time: noon.Add(-3 * time.Minute)}
			s.cluster.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: "ConnectionRefused",
				Message: "nobody listens at https://east:6443; is the API server running, is the port right?"}}
		}, "502 cluster east is away: it last answered at 2026-11-23 11:57:00 UTC, 3m ago (ConnectionRefused: nobody listens " +
			"at https://east:6443; is the API server running, is the port right?)\n"},
		{"not well, but it answers", "east/version", forbids("sick"), func(s *stored) {
			s.cluster.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: "ReadinessCheckFails"}}
		}, "403 sick"},
		{"gone", "east/version", nil, func(s *stored) {
			s.cluster.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: "Timeout", Message: "no answer"}}
		}, `503 {"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"cluster east is away: it has never` +
			` answered (Timeout: no answer)","reason":"ServiceUnavailable","code":503}`},
		{"a way up", "east/api/v1/../../../secret", nil, nil, `400 {"kind":"Status","apiVersion":"v1","metadata":{},` +
			`"status":"Failure","message":"the path \"/api/v1/../../../secret\" has a \"..\" in it","reason":"BadRequest","code":400}`},
		{"an unusable connection", "east/apis/apps/v1", nil, func(s *stored) { s.cluster.Spec.Connection.Server = "" },
			"502 cluster east cannot be reached: spec.connection.server: is empty; hanse join fills it in\n"},
		{"it does not answer", "east/openapi/v3", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil,
			"502 cluster east does not answer: the connection to ADDRESS broke: stream error: stream ID 1; INTERNAL_ERROR; received from peer\n"},
	} {
		hub, front := stage(t, alice, c.handler)
		if c.change != nil {
			hub.change(c.change)
		}
		conn, err := net.Dial("tcp", front.Listener.Addr().String()) // a client of the library would clean the path
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /clusters/%s HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n", c.path)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		text, _ := io.ReadAll(resp.Body)
		conn.Close()
		got := fmt.Sprint(resp.StatusCode, " ", strings.ReplaceAll(string(text), hub.cluster.Spec.Connection.Server, "ADDRESS"))
		if hub.cluster.Spec.Connection.Server == "" {
			got = fmt.Sprint(resp.StatusCode, " ", string(text))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

// upgraded is a connection to an echo behind the proxy.
func upgraded(t *testing.T, front *httptest.Server, protocol string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /clusters/east/exec HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != protocol {
		t.Fatalf("upgrade to %s: %+v, %v", protocol, resp, err)
	}
	return conn, reader
}

// echo answers an upgrade with a connection that says back each line, with the token that it was opened with.
func echo(w http.ResponseWriter, req *http.Request) {
	token := req.Header.Get("Authorization")
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", req.Header.Get("Upgrade"))
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		fmt.Fprintf(conn, "%s %s\n", token, lines.Text())
	}
}

func say(t *testing.T, conn net.Conn, reader *bufio.Reader, want string) {
	t.Helper()
	fmt.Fprintln(conn, "hello")
	if line, err := reader.ReadString('\n'); err != nil || line != want {
		t.Errorf("got %q, %v, want %q", line, err, want)
	}
}

// New credentials count for what comes; what goes on goes on. A Cluster that leaves takes its streams with it.
func TestStreamsOutliveCredentials(t *testing.T) {
	hub, front := stage(t, alice, echo)
	old, oldReader := upgraded(t, front, "SPDY/3.1")
	say(t, old, oldReader, "Bearer of-the-hub hello\n")
	hub.change(func(s *stored) { s.token = "renewed" })
	fresh, freshReader := upgraded(t, front, "websocket")
	say(t, fresh, freshReader, "Bearer renewed hello\n")
	say(t, old, oldReader, "Bearer of-the-hub hello\n")
	hub.change(func(s *stored) { s.cluster.Name = "gone" })
	resp, err := http.Get(front.URL + "/clusters/east/api/v1/pods")
	if err != nil || resp.StatusCode != http.StatusNotFound {
		t.Fatalf("%+v, %v", resp, err)
	}
	resp.Body.Close()
	for _, reader := range []*bufio.Reader{oldReader, freshReader} {
		if line, err := reader.ReadString('\n'); err == nil {
			t.Errorf("a stream of a Cluster that left says %q", line)
		}
	}
}

// Lines of a log come as they are written, not when the log ends.
func TestLinesComeAtOnce(t *testing.T) {
	written := make(chan string)
	_, front := stage(t, alice, func(w http.ResponseWriter, _ *http.Request) {
		for line := range written {
			_, _ = io.WriteString(w, line)
			_ = http.NewResponseController(w).Flush()
		}
	})
	go func() { written <- "one\n" }()
	resp, err := http.Get(front.URL + "/clusters/east/log")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	reader := bufio.NewReader(resp.Body)
	for _, line := range []string{"one\n", "two\n"} {
		if got, err := reader.ReadString('\n'); err != nil || got != line {
			t.Fatalf("got %q, %v", got, err)
		}
		if line == "one\n" {
			written <- "two\n"
		}
	}
	close(written)
}
