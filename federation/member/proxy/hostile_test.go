package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/hanse-federation/hanse/api/printable"
)

// rawAnswer hijacks a connection and says what net/http would not.
func rawAnswer(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, strings.Join(lines, "\r\n"))
	}
}

// ask sends a request line and headers to the hub and reads all that comes back.
func ask(t *testing.T, front *httptest.Server, lines ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\nHost: hub\r\nConnection: close\r\n\r\n", strings.Join(lines, "\r\n"))
	text, _ := io.ReadAll(conn)
	return string(text)
}

// Nobody is led away by a member: neither the caller's credentials nor a request that was meant for it.
func TestRedirectsEndHere(t *testing.T) {
	for _, to := range []string{
		"http://thief.example/", "https://thief.example/api", "//thief.example/", "/api/v1/namespaces/prod", "../../api", "",
		"/\\thief.example", "https://hub/api/v1/namespaces/prod", "javascript:alert(1)", "\x1b[2J/x",
	} {
		for _, code := range []int{300, 301, 302, 303, 305, 306, 307, 308, 399} {
			_, front := stage(t, alice, func(w http.ResponseWriter, _ *http.Request) {
				if to != "" {
					w.Header().Set("Location", to)
				}
				w.WriteHeader(code)
			})
			got := ask(t, front, "DELETE /clusters/east/api/v1/namespaces/a HTTP/1.0")
			if !strings.HasPrefix(got, "HTTP/1.0 502 ") || strings.Contains(got, "\nLocation") ||
				!strings.Contains(got, `"code":502`) || !strings.Contains(got, "cluster east answers with a redirect") {
				t.Errorf("%d to %q is passed on:\n%s", code, to, got)
			}
			if printable.Text(strings.ReplaceAll(got, "\r", "")) != strings.ReplaceAll(got, "\r", "") {
				t.Errorf("%d to %q: %q is not safe to show", code, to, got)
			}
		}
	}
}

// "Not modified" is no redirect.
func TestNotModifiedPasses(t *testing.T) {
	_, front := stage(t, alice, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.WriteHeader(http.StatusNotModified)
	})
	if got := ask(t, front, "GET /clusters/east/openapi/v3 HTTP/1.0"); !strings.HasPrefix(got, "HTTP/1.0 304 ") ||
		!strings.Contains(got, `Etag: "1"`) {
		t.Errorf("%s", got)
	}
}

func TestUpgradesThatNobodyAskedFor(t *testing.T) {
	for _, c := range []struct{ what, asked, given string }{
		{"no upgrade, no protocol", "", ""},
		{"no upgrade, a protocol", "", "websocket"},
		{"another protocol", "SPDY/3.1", "websocket"},
		{"none of the protocols", "websocket", ""},
	} {
		answer := []string{"HTTP/1.1 101 Switching Protocols", "Connection: Upgrade"}
		if c.given != "" {
			answer = append(answer, "Upgrade: "+c.given)
		}
		_, front := stageHTTP1(t, rawAnswer(append(answer, "", "SMUGGLED")...))
		lines := []string{"GET /clusters/east/api/v1/pods HTTP/1.1"}
		if c.asked != "" {
			lines = append(lines, "Connection: Upgrade", "Upgrade: "+c.asked)
		}
		if got := ask(t, front, lines...); !strings.HasPrefix(got, "HTTP/1.1 502 ") || strings.Contains(got, "SMUGGLED") {
			t.Errorf("%s: %s", c.what, got)
		}
	}
}

// Before and after its answer a member says nothing.
func TestOnlyTheAnswerPasses(t *testing.T) {
	_, front := stageHTTP1(t, rawAnswer("HTTP/1.1 103 Early Hints", "Set-Cookie: a=1", "Link: </x>; rel=preload", "",
		"HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: Set-Cookie", "Connection: close", "",
		"2", "ok", "0", "Set-Cookie: b=2", "", ""))
	got := ask(t, front, "GET /clusters/east/api/v1/pods HTTP/1.1")
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") || strings.Contains(got, "Cookie") || strings.Contains(got, "Link") ||
		!strings.Contains(got, "ok") || !strings.Contains(got, "Audit-Id: of-the-request") {
		t.Errorf("%s", got)
	}
}

// What acts on the caller beyond the answer itself is taken off; what describes the answer stays.
func TestHeadersOfAnswers(t *testing.T) {
	_, front := stage(t, alice, func(w http.ResponseWriter, _ *http.Request) {
		for _, key := range leading {
			w.Header().Set(strings.TrimSuffix(key, "-")+map[bool]string{true: "-Any"}[strings.HasSuffix(key, "-")], "evil")
		}
		w.Header()["set-cookie"] = []string{"in=lower-case"}
		for key, value := range map[string]string{
			"Content-Type": "application/json", "Warning": `299 - "deprecated"`, "Retry-After": "1", "Etag": `"1"`,
			"X-Kubernetes-Pf-Flowschema-Uid": "1", "X-Total-Count": "3", "Location": "/api/v1/pods/a",
		} {
			w.Header().Set(key, value)
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	got := ask(t, front, "GET /clusters/east/api/v1/pods HTTP/1.0")
	if strings.Contains(got, "evil") || strings.Contains(got, "lower-case") {
		t.Errorf("%s", got)
	}
	for _, want := range []string{"HTTP/1.0 401 ", "Content-Type: application/json", "Warning: ", "Retry-After: 1", "Etag: ",
		"X-Kubernetes-Pf-Flowschema-Uid: 1", "X-Total-Count: 3", "Location: /clusters/east/api/v1/pods/a",
		"Content-Security-Policy: sandbox", "X-Content-Type-Options: nosniff"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestLocationsStayInTheMember(t *testing.T) {
	for to, want := range map[string]string{
		"/api/v1/pods/a":     "/clusters/east/api/v1/pods/a",
		"/api?x=/..":         "/clusters/east/api?x=/..",
		"/../../api":         "",
		"/%2e%2e/api":        "",
		"//thief.example":    "",
		"/\\thief.example":   "",
		"https://thief":      "",
		"api/v1":             "",
		"javascript:alert()": "",
	} {
		header := http.Header{"Location": {to}}
		disarm(header, "/clusters/east")
		if got := header.Get("Location"); got != want {
			t.Errorf("%q becomes %q, want %q", to, got, want)
		}
	}
}

// Whatever somebody sends to the hub, a member hears of nobody but the caller, in the hub's words, and nothing of how the
// caller proved itself; and the request stays below the member's address.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET /api/v1/pods HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer mine\r\n\r\n",
		"POST /x HTTP/1.1\r\nHost: hub\r\nImpersonate-User: root\r\nimpersonate-group: system:masters\r\nContent-Length: 2\r\n\r\nok",
		"GET /a/../../b HTTP/1.1\r\nHost: hub\r\nConnection: Authorization, X-Remote-User\r\nX-Remote-User: root\r\n\r\n",
		"GET /%2e%2e/b HTTP/1.1\r\nHost: hub\r\n\r\n",
		"GET http://thief.example/x HTTP/1.1\r\nHost: hub\r\nCookie: a=1\r\n\r\n",
		"GET /ws HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.bWluZQ, v5.channel.k8s.io\r\n\r\n",
		"GET /x HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /y HTTP/1.1\r\n\r\n",
		"CONNECT thief:443 HTTP/1.1\r\nHost: thief:443\r\n\r\n",
		"GET /x HTTP/1.1\r\nHost: hub\r\nSec_Websocket_Protocol: x\r\nX-Forwarded-For: 1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	seen := make(chan *http.Request, 16)
	hub, behind := storedBehind(f, func(w http.ResponseWriter, req *http.Request) {
		seen <- req.Clone(f.Context())
		_, _ = io.Copy(io.Discard, req.Body)
	})
	p := newTestProxy(f, hub)
	f.Fuzz(func(t *testing.T, raw []byte) {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil || req.URL.Path == "" || req.ContentLength > 1<<20 {
			return
		}
		req.RemoteAddr = "127.0.0.1:1"
		p.Handler("east", "/clusters/east", alice).ServeHTTP(httptest.NewRecorder(), req)
		for {
			select {
			case got := <-seen:
				checkSeen(t, got, behind)
				continue
			default:
			}
			return
		}
	})
}

func checkSeen(t *testing.T, got *http.Request, behind *url.URL) {
	for key, values := range got.Header {
		canonical := textproto.CanonicalMIMEHeaderKey(key)
		switch {
		case canonical == "Authorization":
			if len(values) != 1 || values[0] != "Bearer of-the-hub" {
				t.Errorf("the member is shown %q", values)
			}
		case canonical == "Impersonate-User":
			if len(values) != 1 || values[0] != "alice" {
				t.Errorf("the member is to act as %q", values)
			}
		case canonical == "Impersonate-Group", canonical == "Impersonate-Extra-Department", canonical == "X-Forwarded-For":
			if len(values) != 1 || values[0] != "developers" && values[0] != "ships" && values[0] != "127.0.0.1" {
				t.Errorf("%s: %q", key, values)
			}
		case strings.HasPrefix(canonical, "Impersonate-"), strings.HasPrefix(canonical, "X-Remote-"),
			strings.HasPrefix(canonical, "X-Forwarded-"), canonical == "Cookie", canonical == "Proxy-Authorization":
			t.Errorf("the member sees %s: %q", key, values)
		case strings.Contains(strings.Join(values, ","), bearer):
			t.Errorf("the member sees a token in %s: %q", key, values)
		}
	}
	for segment := range strings.SplitSeq(got.URL.Path, "/") {
		if segment == ".." || segment == "." {
			t.Errorf("the member is asked for %q", got.URL.Path)
		}
	}
	if got.Host != behind.Host {
		t.Errorf("the member is asked as %q", got.Host)
	}
}
