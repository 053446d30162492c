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
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/names/probescope"
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

var loopback = probescope.Scope{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}

func portOfText(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

func TestAskMember(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	chatty := sayingOnly(t, "SSH-2.0-secret-banner\r\n")
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
			http: &v1alpha1.HTTPProbe{Scheme: "HTTPS", Path: "/"}}, "answers 5xx"},
		{"not well, as expected", probeTask{addresses: []string{here}, host: "web.example.org",
			http: &v1alpha1.HTTPProbe{Scheme: "HTTPS", Path: "/", Expect: []int32{503}}}, ""},
		{"another host", probeTask{addresses: []string{here}, http: &v1alpha1.HTTPProbe{Scheme: "HTTPS"}}, "answers 4xx"},
		{"no TLS there", probeTask{addresses: []string{plain.Listener.Addr().String()},
			http: &v1alpha1.HTTPProbe{Scheme: "HTTPS"}}, "TLS fails"},
		{"no HTTP there", probeTask{addresses: []string{chatty}, http: &v1alpha1.HTTPProbe{}}, chatty + ": no answer"},
		{"no such name", probeTask{addresses: []string{"nowhere.invalid:80"}}, "does not resolve"},
		{"a name of this machine", probeTask{addresses: []string{"localhost:" + portOfText(here)}}, ""},
	} {
		err := askMember(t.Context(), loopback, row.task)
		if (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v, want %q", row.what, err, row.says)
		}
	}
}

// sayingOnly is the address of something that says one thing to everybody.
func sayingOnly(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(text))
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// The hub connects to nothing of its own for somebody else, not even when a name leads there, and not for a member that
// lies. What it does not probe counts as healthy, and says why.
func TestWhatIsNotProbed(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	port := portOfText(server.Listener.Addr().String())
	mine := probescope.Scope{Networks: loopback.Networks,
		Listeners: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:" + port)}}
	for _, scope := range []probescope.Scope{{}, mine} {
		for _, from := range []probescope.Origin{probescope.ByHand, probescope.ByMember} {
			for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
				for _, path := range []*v1alpha1.HTTPProbe{nil, {Path: "/latest/meta-data"}} {
					err := askMember(t.Context(), scope, probeTask{addresses: []string{host + ":" + port}, http: path, from: from})
					var forbidden *notProbedError
					if !errors.As(err, &forbidden) || asked.Load() > 0 {
						t.Errorf("%s (%v), origin %d: %v, asked %d times", host, path, from, err, asked.Load())
					}
					one := &probe{task: probeTask{failures: 1, successes: 1}, verdict: v1alpha1.ProbeStatus{Message: "before"}}
					if isNews := one.judge(err, time.Now()); !isNews || !one.verdict.Healthy ||
						!strings.HasPrefix(one.verdict.Message, "not probed: ") || one.judge(err, time.Now()) {
						t.Errorf("it is judged as %+v", one.verdict)
					}
					if isNews := one.judge(nil, time.Now()); !isNews || one.verdict.Message != "" {
						t.Errorf("when it may be probed it is %+v", one.verdict)
					}
				}
			}
		}
	}
}

// A name that is given by hand does not tell what the hub's resolver knows of private networks, and what was written
// before addresses were checked is not answered.
func TestGivenAddresses(t *testing.T) {
	w := world{resolved: map[string][]netip.Addr{"lb.corp": {
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("203.0.113.1")}}}
	if got := w.standsFor("lb.corp", probescope.ByHand); len(got) != 1 || got[0].String() != "203.0.113.1" {
		t.Errorf("given by hand, it stands for %v", got)
	}
	if got := w.standsFor("lb.corp", probescope.ByMember); len(got) != 3 {
		t.Errorf("of a member, it stands for %v", got)
	}
	given := addresses([]string{"127.0.0.1", "169.254.169.254", "::1", "224.0.0.1", "10.0.0.1", "203.0.113.1"})
	if got := w.answerable(given); len(got) != 2 || answerableName("localhost") != "" || answerableName("lb.corp") == "" {
		t.Errorf("answered are %v", got)
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

// After a failure the next probe comes sooner, so that three failures take two and a half intervals, the time-outs
// included; what is known to be down is asked at the usual pace.
func TestProbesRepeatAFailureSooner(t *testing.T) {
	const interval = 4 * time.Second
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	now := start
	p := newProber(nil, func() {}, func() time.Time { return now })
	p.want([]probeTask{{key: "web", addresses: []string{"192.0.2.1:80"}, interval: interval, failures: 3, successes: 1}})
	var began []time.Duration
	for ; now.Before(start.Add(20 * time.Second)); now = now.Add(100 * time.Millisecond) {
		for _, one := range p.take() {
			began = append(began, now.Sub(start))
			if len(began) == 1 { // well, and lost right after
				p.settle(one, nil)
				continue
			}
			before := now
			now = now.Add(interval / 2) // times out
			p.settle(one, errTimedOut)
			now = before
		}
	}
	want := []time.Duration{0, 4 * time.Second, 6 * time.Second, 8 * time.Second, 12 * time.Second, 16 * time.Second}
	if diff := cmp.Diff(want, began); diff != "" {
		t.Errorf("probes began (-want +got):\n%s", diff)
	}
	if p.verdicts()["web"].Healthy {
		t.Error("the member is not known to be down")
	}
}
