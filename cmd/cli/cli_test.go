package cli

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// hanse runs a command line with no hub to be found but by its flags.
func hanse(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("KUBECONFIG", "")
	t.Setenv("HOME", t.TempDir())
	var out, errs bytes.Buffer
	code = Run(t.Context(), append([]string{"hanse"}, args...),
		Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	return code, out.String(), errs.String()
}

func TestWrongCommandLines(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.kubeconfig")
	if err := os.WriteFile(broken, []byte("{{{"), 0o600); err != nil {
		t.Fatal(err)
	}
	away := filepath.Join(dir, "away.kubeconfig")
	if err := os.WriteFile(away, []byte(kubeconfigTo(t, closedAddress(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		args string
		code int
		says string
	}{
		{"frobnicate", exitUsage, "unknown command"},
		{"hub", exitUsage, `"data-dir" not set`},
		{"hub --data-dir " + dir + " --etcd-quota much", exitUsage, `"much" is not a size`},
		{"hub --data-dir " + dir + " --listen nowhere", exitFailed, `"nowhere" is no address`},
		{"join", exitUsage, "the NAME of the cluster is missing"},
		{"join a b", exitUsage, "one the NAME of the cluster, not 2"},
		{"join east", exitUsage, "--cluster-kubeconfig is missing"},
		{"join east --cluster-kubeconfig /no/such/file", exitUsage, "there is no such file"},
		{"join east --cluster-kubeconfig " + broken, exitUsage, "cannot be used"},
		{"join east --cluster-kubeconfig " + away + " --cluster-context nope", exitUsage, `"nope"`},
		{"join East --cluster-kubeconfig " + away + " --kubeconfig " + away, exitUsage, "DNS names"},
		{"join east --label novalue --cluster-kubeconfig " + away, exitUsage, "is not key=value"},
		{"join east --cluster-kubeconfig " + away + " --kubeconfig " + away, exitUnreachable, "cannot reach the hub"},
		{"join east --impersonate bob --cluster-kubeconfig " + away + " --kubeconfig " + away, exitUsage, "user:NAME, group:NAME, or all"},
		{"get", exitUsage, "at least 1 arg"},
		{"logs", exitUsage, "KIND/NAME is missing"},
		{"logs deployment/web -c a --all-containers", exitUsage, "--all-containers excludes --container"},
		{"exec deployment/web ls", exitUsage, "write -- between KIND/NAME and the command"},
		{"exec deployment/web --all -it -- sh", exitUsage, "--all excludes"},
		{"get pods --kubeconfig " + away, exitUnreachable, "cannot reach the hub"},
		{"kubeconfig --kubeconfig " + away, exitUnreachable, "cannot reach the hub"},
		{"unjoin east --cluster-kubeconfig " + away, exitUsage, "for --force only"},
		{"clusters", exitUsage, "the hub's kubeconfig cannot be used"},
		{"clusters -o pdf", exitUsage, "there are wide, json, yaml, name"},
		{"clusters --kubeconfig " + away, exitUnreachable, "cannot reach the hub"},
		{"place", exitUsage, "either KIND/NAME or -f"},
		{"place deployment/web", exitUsage, "--to is missing"},
		{"place deployment/web --to east=1 --clear", exitUsage, "--clear"},
		{"place web --to east=1 --kubeconfig " + away, exitUsage, "is not KIND/NAME"},
		{"place -f /no/such/file --to east=1 --kubeconfig " + away, exitUsage, "no such file"},
		{"plan", exitUsage, "-f FILE is missing"},
		{"plan -f /no/such/file --kubeconfig " + away, exitUsage, "no such file"},
		{"plan -f x -o name", exitUsage, "there are json, yaml"},
		{"kindrule test", exitUsage, "-f FILE is missing"},
		{"kindrule test -f /no/such/file", exitUsage, "no such file"},
		{"kindrule shipped deployment.apps", exitUsage, "no rule \"deployment.apps\" is shipped"},
		{"status --wait 1s", exitUsage, "--wait needs KIND/NAME"},
		{"dns lookup a.example --server 127.0.0.1:1 --type X", exitUsage, "no type of DNS record"},
		{"dns lookup a.example --server 127.0.0.1:1 --from x", exitUsage, "neither an address nor a network"},
		{"token a --role edit", exitUsage, "--role goes with --create"},
		{"backup f", exitUsage, "either --data-dir or --etcd-endpoints"},
		{"backup " + filepath.Join(dir, "f") + " --data-dir " + dir, exitFailed, "no data directory"},
		{"backup " + broken + " --data-dir " + dir, exitFailed, "is there already"},
		{"restore " + broken + " --data-dir " + filepath.Join(dir, "new"), exitFailed, "damaged"},
		{"restore f", exitUsage, `"data-dir" not set`},
	}
	for _, c := range cases {
		t.Run(c.args, func(t *testing.T) {
			code, stdout, stderr := hanse(t, "", strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(stderr, c.says) {
				t.Errorf("exit code %d, want %d; it says %q, want %q in it", code, c.code, stderr, c.says)
			}
			if stdout != "" {
				t.Errorf("an error on standard output: %q", stdout)
			}
			if first, next, _ := strings.Cut(stderr, "\n"); !strings.HasPrefix(first, "Error: ") || next == "" {
				t.Errorf("%q does not say what to do next", stderr)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("a restore of a damaged file left a directory")
	}
}

// closedAddress is one where nothing listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func kubeconfigTo(t *testing.T, address string) string {
	t.Helper()
	return `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: "https://` + address + `"}}], users: [{name: u, user: {token: t}}]}`
}

// The stories in testdata are Distributions, and what explain tells of them.
func TestExplain(t *testing.T) {
	playTold(t, "testdata/explain_*.txt", func(w io.Writer, d *v1alpha1.Distribution) error { return explain(w, d, nil) })
}

// playTold holds what is told of an object, in YAML ahead of "----" in each file, to the text below it.
func playTold[T any](t *testing.T, pattern string, tell func(io.Writer, *T) error) {
	t.Helper()
	stories, err := filepath.Glob(pattern)
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range stories {
		t.Run(filepath.Base(path), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(raw), "----\n")
			obj := new(T)
			if err := yaml.UnmarshalStrict([]byte(input), obj); err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := tell(&got, obj); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("(-want,+got):\n%s", diff)
			}
		})
	}
}

func TestLookupCountsFirstPlaces(t *testing.T) {
	asked := 0
	server := startDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		addresses := []string{"192.0.2.1", "192.0.2.2"}
		if asked++; asked%3 == 0 {
			addresses = []string{"192.0.2.2", "192.0.2.1"}
		}
		m := new(dns.Msg).SetReply(q)
		for _, a := range addresses {
			rr, _ := dns.NewRR(q.Question[0].Name + " 30 IN A " + a)
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})
	code, stdout, stderr := hanse(t, "", "dns", "lookup", "web.example", "--server", server, "--count", "9")
	want := "VALUE       FIRST   SHARE\n192.0.2.1   6       66.7%\n192.0.2.2   3       33.3%\n"
	if diff := cmp.Diff(want, stdout); diff != "" || code != exitDone {
		t.Errorf("exit code %d, %s (-want,+got):\n%s", code, stderr, diff)
	}
}

func TestLookupSaysWhy(t *testing.T) {
	server := startDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeRefused))
	})
	code, _, stderr := hanse(t, "", "dns", "lookup", "web.example", "--server", server)
	if code != exitFailed || !strings.Contains(stderr, "REFUSED") || !strings.Contains(stderr, "no zone of the hub") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestLookupAsksForANetwork(t *testing.T) {
	got := make(chan string, 1)
	server := startDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		for _, o := range q.IsEdns0().Option {
			got <- o.String()
		}
		_ = w.WriteMsg(new(dns.Msg).SetReply(q))
	})
	code, _, stderr := hanse(t, "", "dns", "lookup", "web.example", "--server", server, "--from", "203.0.113.77/24")
	if code != exitDone || !strings.Contains(stderr, "has no A record") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if option := <-got; option != "203.0.113.0/24/0" {
		t.Errorf("asked for %s", option)
	}
}

func startDNS(t *testing.T, handle dns.HandlerFunc) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	server := &dns.Server{PacketConn: conn, Handler: handle, NotifyStartedFunc: func() { close(ready) }}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	<-ready
	return conn.LocalAddr().String()
}

func TestManifestsAreReadWhole(t *testing.T) {
	cases := []struct{ name, in, want, says string }{
		{"two", "apiVersion: v1\nkind: A\nmetadata: {name: x}\n---\n---\n" +
			"apiVersion: v1\nkind: B\nmetadata: {name: web}\n", "A/x B/web", ""},
		{"list", `{"apiVersion":"v1","kind":"List","items":[
{"apiVersion":"v1","kind":"A","metadata":{"name":"x"}}]}`, "A/x", ""},
		{"empty", "---\n", "", "no object"},
		{"no kind", "apiVersion: v1\nmetadata: {name: x}\n", "", "kind is missing"},
		{"no name", "apiVersion: v1\nkind: A\n", "", "metadata.name is missing"},
		{"name is a truth value",
			"apiVersion: v1\nkind: A\nmetadata: {name: y}\n", "", "metadata.name is missing or no text"},
		{"second broken", "apiVersion: v1\nkind: A\nmetadata: {name: x}\n---\n: :\n", "", "document 2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			objects, err := readManifests(strings.NewReader(c.in), "-")
			var got []string
			for _, o := range objects {
				got = append(got, o.GetKind()+"/"+o.GetName())
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
			if (err != nil) != (c.says != "") || (err != nil && !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func FuzzManifests(f *testing.F) {
	f.Add("apiVersion: v1\nkind: A\nmetadata: {name: x}\n")
	f.Add(`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[1]}]}`)
	f.Fuzz(func(t *testing.T, in string) {
		objects, err := readManifests(strings.NewReader(in), "-")
		if err == nil && len(objects) == 0 {
			t.Error("neither objects nor an error")
		}
		for _, o := range objects {
			if o.GetName() == "" || o.GetKind() == "" {
				t.Errorf("an object without name or kind: %v", o)
			}
		}
	})
}

// The stories in testdata are Plans, and what is told of them.
func TestPlan(t *testing.T) {
	playTold(t, "testdata/plan_*.txt", func(w io.Writer, p *v1alpha1.Plan) error {
		if isPlanGood(p) {
			t.Error("all of it would go well")
		}
		return tellPlan(w, p)
	})
}
