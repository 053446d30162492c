package expose

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// So many outcomes in a row turn a verdict, and one that agrees starts the count over.
func TestProbesCountInARow(t *testing.T) {
	one := &probe{task: probeTask{failures: 3, successes: 2}, verdict: v1alpha1.ProbeStatus{Healthy: true}}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		outcome rune // o: well, x: not
		healthy bool
	}{
		{'x', true}, {'x', true}, {'o', true}, {'x', true}, {'x', true}, {'x', false}, {'x', false}, {'o', false},
		{'x', false}, {'o', false}, {'o', true}, {'o', true},
	} {
		before := one.verdict.Healthy
		var err error
		if step.outcome == 'x' {
			err = errors.New("refused")
		}
		isNews := one.judge(err, now)
		if one.verdict.Healthy != step.healthy || isNews != (before != step.healthy) {
			t.Errorf("step %d: healthy %t (news %t), want %t", i, one.verdict.Healthy, isNews, step.healthy)
		}
		if !one.verdict.Healthy && one.verdict.Message != "refused" {
			t.Errorf("step %d: does not say why: %q", i, one.verdict.Message)
		}
	}
}

func TestAskMember(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.Host != "web.example.org":
			w.WriteHeader(http.StatusMisdirectedRequest)
		case req.URL.Path == "/moved":
			http.Redirect(w, req, "/away", http.StatusFound)
		case req.URL.Path != "/healthz":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	here, away := server.Listener.Addr().String(), gone.Addr().String()
	for _, row := range []struct {
		what string
		task probeTask
		says string
	}{
		{"TCP", probeTask{addresses: []string{here}}, ""},
		{"TCP, refused", probeTask{addresses: []string{away}}, "refused"},
		{"one of two", probeTask{addresses: []string{here, away}}, away},
		{"HTTP", probeTask{addresses: []string{here}, host: "web.example.org",
			http: &v1alpha1.HTTPProbe{Scheme: "HTTPS", Path: "healthz"}}, ""},
		{"a redirect is not followed", probeTask{addresses: []string{here}, host: "web.example.org",
			http: &v1alpha1.HTTPProbe{Scheme: "HTTPS", Path: "/moved"}}, ""},
		{"not well", probeTask{addresses: []string{here}, host: "web.example.org",
			http: &v1alpha1.HTTPProbe{Scheme: "HTTPS", Path: "/"}}, "503"},
		{"not well, as expected", probeTask{addresses: []string{here}, host: "web.example.org",
			http: &v1alpha1.HTTPProbe{Scheme: "HTTPS", Path: "/", Expect: []int32{503}}}, ""},
		{"another host", probeTask{addresses: []string{here}, http: &v1alpha1.HTTPProbe{Scheme: "HTTPS"}}, "421"},
	} {
		err := askMember(t.Context(), row.task)
		if (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v, want %q", row.what, err, row.says)
		}
	}
}

// What a name stood for last stays when nobody can tell.
func TestResolverKeepsWhatItFound(t *testing.T) {
	news := 0
	r := newResolver(func() { news++ })
	answers := []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("::ffff:192.0.2.1")}
	r.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return answers, nil }
	r.resolve(t.Context(), "lb.example")
	r.resolve(t.Context(), "lb.example")
	r.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("nobody answers") }
	r.resolve(t.Context(), "lb.example")
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	if got := r.addresses()["lb.example"]; !slices.Equal(want, got) || news != 1 {
		t.Errorf("%v (%d times news), want %v once", got, news, want)
	}
}
