package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// webPod is a pod that answers commands, as a user has one in a member.
const webPod = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers: [{name: web, image: ` + cluster.WebImage + `}]
`

// through are the arguments by which kubectl uses a member through the hub.
func (s *scenario) through(member string, arguments ...string) []string {
	return append([]string{"--server", s.hub.URL + "/clusters/" + member}, arguments...)
}

// podIn makes the pod in a member, past the hub, and waits until it runs.
func (s *scenario) podIn(member string) {
	s.Helper()
	s.must(client.IgnoreAlreadyExists(s.member(member).Client.Create(s.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}})))
	s.Cleanup(func() {
		_ = s.member(member).Client.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}})
	})
	s.eventually("the pod can be made in "+member, func() error { // its ServiceAccount may take a moment
		r, err := harness.RunKubectl(s.Context(), s.member(member).Kubeconfig(), webPod, "-n", s.ns, "apply", "-f", "-")
		if err == nil && r.Code != 0 {
			err = fmt.Errorf("%s", r)
		}
		return err
	})
	s.in(member, "", "wait", "pod/web", "--for=condition=Ready", "--timeout=60s")
}

// kubectl works in a member through the hub as it does in the member itself.
func TestKubectlThroughTheHub(t *testing.T) {
	s := onFleet(t)
	s.podIn("east")
	kubectl := func(stdin string, arguments ...string) string {
		t.Helper()
		return s.kubectl(stdin, s.through("east", arguments...)...)
	}
	if out := kubectl("", "get", "pods", "-o", "name"); out != "pod/web\n" {
		t.Errorf("get pods: %q", out)
	}
	if out := kubectl("", "get", "nodes"); !strings.Contains(out, "east") { // the hub has none
		t.Errorf("get nodes: %q", out)
	}
	if out := kubectl("", "api-resources"); !strings.Contains(out, "daemonsets") {
		t.Errorf("api-resources: %q", out)
	}
	kubectl("", "explain", "pod.spec")
	kubectl(`{apiVersion: v1, kind: ConfigMap, metadata: {name: made-through-the-hub}, data: {a: b}}`, "apply", "-f", "-")
	if out := s.in("east", "", "get", "configmap/made-through-the-hub", "-o", "jsonpath={.data.a}"); out != "b" {
		t.Errorf("the ConfigMap in east has %q", out)
	}
	kubectl("", "delete", "configmap/made-through-the-hub")
	if out := kubectl("", "logs", "web"); !strings.HasPrefix(out, "web of ") {
		t.Errorf("logs: %q", out)
	}
	if out := kubectl("", "exec", "web", "--", "./web", "say", "hello", "there"); out != "hello there\n" {
		t.Errorf("exec: %q", out)
	}
	if out := kubectl("from stdin\n", "exec", "-i", "web", "--", "./web", "echo"); out != "from stdin\n" {
		t.Errorf("exec -i: %q", out)
	}
	// A real kubelet gives the command's own exit code.
	failing := append([]string{"-n", s.ns}, s.through("east", "exec", "web", "--", "./web", "fail", "7")...)
	r, err := s.hub.Kubectl(t.Context(), "", failing...)
	s.must(err)
	if r.Code == 0 || !strings.Contains(r.Stderr, "failing as asked") {
		t.Errorf("a command that fails: %s", r)
	}
	if out := s.refused("", s.through("east", "get", "pod/nobody")...); !strings.Contains(out, `pods "nobody" not found`) {
		t.Errorf("the member's own error: %q", out)
	}
	if out := s.refused("", s.through("nowhere", "get", "pods")...); !strings.Contains(out, "not found; hanse clusters lists those that there are") {
		t.Errorf("a cluster that is none: %q", out)
	}
}

// The old way of kubectl (SPDY) passes as well as the new one (WebSocket).
func TestUpgradesThroughTheHub(t *testing.T) {
	s := onFleet(t)
	s.podIn("west")
	for _, websockets := range []string{"true", "false"} {
		env := []string{"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=" + websockets, "KUBECTL_PORT_FORWARD_WEBSOCKETS=" + websockets}
		run := s.kubectlCommand(env, s.through("west", "exec", "-i", "web", "--", "./web", "echo")...)
		run.Stdin = strings.NewReader("one\ntwo\n")
		if out, err := run.CombinedOutput(); err != nil || string(out) != "one\n" {
			t.Errorf("exec with WebSockets %s: %q, %v", websockets, out, err)
		}
		s.forward(env, "west", "web")
	}
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+)`)

// forward asks a pod over a forwarded port.
func (s *scenario) forward(env []string, member, pod string) {
	s.Helper()
	cmd, lines := s.startKubectl(env, s.through(member, "port-forward", "pod/"+pod, "--address", "127.0.0.1", ":8080")...)
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var address string
	for line := range lines {
		if found := forwarding.FindStringSubmatch(line); found != nil {
			address = found[1]
			break
		}
	}
	if address == "" {
		s.Fatal("kubectl port-forward ended")
	}
	answer, err := http.Get("http://" + address)
	s.must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	s.must(err)
	if !strings.HasSuffix(string(text), "version 1\n") {
		s.Errorf("over the forwarded port: %q", text)
	}
}

// kubectlCommand is kubectl on the hub, in the scenario's namespace, not yet started.
func (s *scenario) kubectlCommand(env []string, arguments ...string) *exec.Cmd {
	s.Helper()
	program, err := harness.Kubectl()
	s.must(err)
	arguments = append([]string{"--kubeconfig", s.hub.Kubeconfig(), "-n", s.ns}, arguments...)
	cmd := exec.CommandContext(s.Context(), program, arguments...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// startKubectl starts it; its lines come as it writes them.
func (s *scenario) startKubectl(env []string, arguments ...string) (*exec.Cmd, <-chan string) {
	s.Helper()
	cmd := s.kubectlCommand(env, arguments...)
	return cmd, s.linesOf(cmd)
}

// linesOf starts a command; what it prints comes line by line.
func (s *scenario) linesOf(cmd *exec.Cmd) <-chan string {
	s.Helper()
	out, err := cmd.StdoutPipe()
	s.must(err)
	cmd.Stderr = cmd.Stdout
	s.must(cmd.Start())
	return linesIn(out)
}

// linesIn reads line by line until there are no more.
func linesIn(from io.Reader) <-chan string {
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(from); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines
}

// Streams go on: a watch sees what comes, logs that follow stay open.
func TestStreamsThroughTheHub(t *testing.T) {
	s := onFleet(t)
	s.podIn("south")
	config := rest.CopyConfig(s.hub.Config)
	config.Host = s.hub.URL + "/clusters/south"
	config.ContentType = "application/vnd.kubernetes.protobuf"
	kube, err := kubernetes.NewForConfig(config)
	s.must(err)
	watch, err := kube.CoreV1().ConfigMaps(s.ns).Watch(t.Context(), metav1.ListOptions{})
	s.must(err)
	defer watch.Stop()
	for i := range 3 {
		name := fmt.Sprintf("seen-%d", i)
		s.must(s.member("south").Client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}}))
		for seen := ""; seen != name; {
			select {
			case event, ok := <-watch.ResultChan():
				if !ok {
					t.Fatal("the watch ended")
				}
				seen = event.Object.(*corev1.ConfigMap).Name
			case <-time.After(harness.Patience):
				t.Fatalf("the watch does not see %s", name)
			}
		}
	}
	logs, err := kube.CoreV1().Pods(s.ns).GetLogs("web", &corev1.PodLogOptions{Follow: true}).Stream(t.Context())
	s.must(err)
	defer logs.Close()
	line, err := bufio.NewReader(logs).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "web of ") {
		t.Errorf("logs -f: %q, %v", line, err)
	}
	for name, connect := range map[string]func(*rest.Config, string, *url.URL) (remotecommand.Executor, error){
		"WebSocket": func(c *rest.Config, _ string, u *url.URL) (remotecommand.Executor, error) {
			return remotecommand.NewWebSocketExecutor(c, http.MethodGet, u.String())
		},
		"SPDY": remotecommand.NewSPDYExecutor,
	} {
		pod := kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(s.ns).Name("web")
		attach, err := connect(config, http.MethodPost, pod.SubResource("attach").
			VersionedParams(&corev1.PodAttachOptions{Stdout: true}, scheme.ParameterCodec).URL())
		s.must(err)
		s.attaches(name, "south", attach)
		pod = kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(s.ns).Name("web")
		command, err := connect(config, http.MethodPost, pod.SubResource("exec").VersionedParams(&corev1.PodExecOptions{
			Command: []string{"./web", "sizes"}, Stdin: true, Stdout: true, TTY: true}, scheme.ParameterCodec).URL())
		s.must(err)
		s.resizes(name, command)
	}
}

// attaches joins a container's output: it sees nothing of what was printed before.
func (s *scenario) attaches(by, member string, to remotecommand.Executor) {
	s.Helper()
	output := s.stream(to, remotecommand.StreamOptions{})
	words := "to those attached by " + by
	s.eventually("what the container prints is seen by "+by, func() error {
		s.in(member, "", "exec", "web", "--", "./web", "print", words)
		select {
		case line, ok := <-output.lines:
			if !ok {
				s.Fatalf("attach by %s ended: %v", by, output.end())
			}
			if line != words {
				return fmt.Errorf("it saw %q", line)
			}
			return nil
		case <-time.After(time.Second):
			return errors.New("it saw nothing")
		}
	})
}

// resizes runs a command in a terminal that becomes larger.
func (s *scenario) resizes(by string, command remotecommand.Executor) {
	s.Helper()
	stdin, keys := io.Pipe()
	defer keys.Close()
	sizes := make(terminal, 1)
	defer close(sizes)
	output := s.stream(command, remotecommand.StreamOptions{Stdin: stdin, Tty: true, TerminalSizeQueue: sizes})
	for _, size := range []remotecommand.TerminalSize{{Height: 24, Width: 80}, {Height: 50, Width: 132}} {
		sizes <- size
		want := fmt.Sprintf("terminal of %d %d", size.Height, size.Width)
		patience := time.After(harness.Patience)
		for seen := ""; seen != want; {
			select {
			case line, ok := <-output.lines:
				if !ok {
					s.Fatalf("exec -t by %s ended before it had a %s: %v", by, want, output.end())
				}
				seen = strings.TrimSpace(line)
			case <-patience:
				s.Fatalf("exec -t by %s has no %s after %s; the last it had was %q", by, want, harness.Patience, seen)
			}
		}
	}
}

// A stream is what a command or an attached container prints.
type stream struct {
	lines <-chan string // closed when it ends
	end   func() error  // ends it, if it has not ended, and returns how it did
}

// stream starts one, which ends with the test at the latest. Nobody who waits for its lines can count on them, or on its
// end: a way through which nothing comes is one of the faults that tests look for.
func (s *scenario) stream(of remotecommand.Executor, options remotecommand.StreamOptions) stream {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	read, write := io.Pipe()
	options.Stdout = write
	ended := make(chan error, 1)
	go func() {
		ended <- of.StreamWithContext(ctx, options)
		_ = write.Close()
	}()
	end := sync.OnceValue(func() error {
		cancel()
		_ = read.Close()
		return <-ended
	})
	s.Cleanup(func() { _ = end() })
	return stream{lines: linesIn(read), end: end}
}

// terminal tells the sizes that it gets.
type terminal chan remotecommand.TerminalSize

// Next implements remotecommand.TerminalSizeQueue.
func (t terminal) Next() *remotecommand.TerminalSize {
	size, ok := <-t
	if !ok {
		return nil
	}
	return &size
}

// Logs that are followed are those of pods that come later, too: in another cluster, or in place of one that has gone.
func TestFollowLogs(t *testing.T) {
	s := onFleet(t)
	s.apply(deployment("web", 1), placement("web", []string{"Deployment/web"}, []string{"east=1"}))
	s.awaitShares("web", shares{"east": 1})
	program, err := harness.Hanse()
	s.must(err)
	cmd := exec.CommandContext(t.Context(), program, "logs", "deployment/web", "-f", "-n", s.ns)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.hub.Kubeconfig())
	lines := s.linesOf(cmd)
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	next := func(member string) (pod string) {
		t.Helper()
		patience := time.After(harness.Patience)
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					t.Fatalf("it ended before a pod in %s wrote", member)
				}
				if from, text, _ := strings.Cut(line, "] "); strings.HasPrefix(from, "["+member+"/") && strings.HasPrefix(text, "web of") {
					return strings.TrimPrefix(from, "["+member+"/")
				}
			case <-patience:
				t.Fatalf("nothing of a pod in %s", member)
			}
		}
	}
	next("east")
	s.apply(deployment("web", 2), placement("web", []string{"Deployment/web"}, []string{"east=1", "west=1"}))
	next("west")
	s.awaitShares("web", shares{"east": 1, "west": 1})
	before := strings.TrimPrefix(strings.TrimSpace(s.in("east", "", "get", "pods", "-o", "name")), "pod/")
	s.in("east", "", "delete", "pod", before, "--wait=false")
	s.eventually("the pod in its place is read", func() error {
		if pod := next("east"); pod == before {
			return fmt.Errorf("%s is read", pod)
		}
		return nil
	})
}

// Two locks: the hub's RBAC says who may use which member, the member's RBAC what they may do there.
func TestRightsThroughTheHub(t *testing.T) {
	s := onFleet(t)
	s.podIn("east")
	anna := s.certificateOf("anna")
	through := func(member string) kubernetes.Interface {
		config := rest.CopyConfig(anna)
		config.Host = s.hub.URL + "/clusters/" + member
		kube, err := kubernetes.NewForConfig(config)
		s.must(err)
		return kube
	}
	list := func(member string) error {
		_, err := through(member).CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := list("east"); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `"clusters/proxy" in API group "hanse.io"`) {
		t.Fatalf("without any right: %v", err)
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "use-east"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"hanse.io"}, Resources: []string{"clusters/proxy"}, ResourceNames: []string{"east"}, Verbs: []string{"get"}}}}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "anna-uses-east"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "anna"}}}
	for _, obj := range []client.Object{role, binding} {
		s.must(s.hub.Client.Create(t.Context(), obj))
		t.Cleanup(func() { _ = s.hub.Client.Delete(context.Background(), obj) })
	}
	s.eventually("the member decides", func() error {
		err := list("east")
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `User "anna" cannot list resource "pods"`) {
			return fmt.Errorf("it says: %w", err)
		}
		return nil
	})
	s.must(s.member("east").Client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "anna"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"}, Subjects: binding.Subjects}))
	s.eventually("anna may list pods in east", func() error { return list("east") })
	if err := list("west"); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "clusters/proxy") {
		t.Errorf("another member: %v", err)
	}
	// Reading is all that the hub allows, although the member allows more; a command is no reading.
	err := through("east").CoreV1().Pods(s.ns).Delete(t.Context(), "web", metav1.DeleteOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `cannot delete resource "clusters/proxy"`) {
		t.Errorf("deleting: %v", err)
	}
	asAnna := rest.CopyConfig(anna)
	asAnna.Host = s.hub.URL + "/clusters/east"
	asAnna.Impersonate.UserName = "admin"
	kube, err := kubernetes.NewForConfig(asAnna)
	s.must(err)
	if _, err := kube.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("anna acts as another: %v", err)
	}
}

// A hub that may not act as its users says what would allow it, and a member that is away says so at once.
func TestThroughTheHubInTrouble(t *testing.T) {
	s := onTestbed(t)
	out := s.refused("", s.through("alpha", "get", "pods")...)
	for _, part := range []string{"the hub may not act as", "hanse join alpha --renew", "--impersonate"} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is not in: %s", part, out)
		}
	}
	s.must(harness.Join(t.Context(), s.hub, s.member("alpha"), "--renew", "--impersonate", "all"))
	s.eventually("the new right counts", func() error {
		r, err := s.hub.Kubectl(t.Context(), "", s.through("alpha", "get", "nodes")...)
		if err == nil && r.Code != 0 {
			err = fmt.Errorf("%s", r)
		}
		return err
	})
	alpha := s.member("alpha")
	s.must(alpha.Kill(apiServer()))
	defer func() { s.must(alpha.Start(apiServer())) }()
	s.awaitCluster("alpha", metav1.ConditionFalse)
	begin := time.Now()
	answer := s.getThrough("alpha", "/api/v1/namespaces")
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	r, err := s.hub.Hanse(t.Context(), "get", "nodes", "--cluster", "alpha")
	s.must(err)
	if r.Code != 1 || !strings.Contains(r.Stderr, "alpha: cluster alpha is away") {
		t.Errorf("hanse get of a dead member: %s", r)
	}
	if !apierrors.IsServiceUnavailable(answer) || !strings.Contains(answer.Error(), "cluster alpha is away: it last answered at ") {
		t.Errorf("a dead member: %v", answer)
	}
}

// getThrough asks one question as the administrator and returns the error.
func (s *scenario) getThrough(member, path string) error {
	kube, err := kubernetes.NewForConfig(s.hub.Config)
	s.must(err)
	return kube.CoreV1().RESTClient().Get().AbsPath("/clusters/" + member + path).Do(s.Context()).Error()
}

// The commands of hanse look into all members at once.
func TestInsideAllMembers(t *testing.T) {
	s := onFleet(t)
	s.podIn("east")
	s.podIn("west")
	hanse := func(wanted int, arguments ...string) harness.Result {
		t.Helper()
		r, err := s.hub.Hanse(t.Context(), append(arguments[:1:1], append([]string{"-n", s.ns}, arguments[1:]...)...)...)
		s.must(err)
		if r.Code != wanted {
			t.Errorf("hanse %s: %s", strings.Join(arguments, " "), r)
		}
		return r
	}
	table := strings.Fields(hanse(0, "get", "pods").Stdout)
	if len(table) != 18 || table[0] != "CLUSTER" || table[6] != "east" || table[7] != "web" || table[12] != "west" {
		t.Errorf("get pods: %q", table)
	}
	if out := hanse(0, "get", "nodes").Stdout; strings.Count(out, "Ready") < 3 {
		t.Errorf("get nodes: %s", out)
	}
	if out := hanse(0, "get", "pods", "web", "--cluster", "west", "-o", "json").Stdout; !strings.Contains(out, `"hanse.io/cluster": "west"`) {
		t.Errorf("get -o json: %s", out)
	}
	if out := hanse(0, "logs", "pod/web").Stdout; !regexp.MustCompile(`^\[east/web\] web of .*\n\[west/web\] web of .*\n$`).MatchString(out) {
		t.Errorf("logs: %q", out)
	}
	if out := hanse(0, "exec", "pod/web", "--all", "--", "./web", "say", "hi").Stdout; out != "[east/web] hi\n[west/web] hi\n" {
		t.Errorf("exec --all: %q", out)
	}
	if out := hanse(0, "exec", "pod/web", "--cluster", "west", "--", "./web", "say", "hi").Stdout; out != "hi\n" {
		t.Errorf("exec: %q", out)
	}
	if out := hanse(2, "exec", "pod/web", "--", "./web", "say", "hi").Stderr; !strings.Contains(out, "choose with --cluster, or take --all") {
		t.Errorf("exec in two: %q", out)
	}
	file := filepath.Join(t.TempDir(), "fleet.kubeconfig")
	s.must(os.WriteFile(file, []byte(hanse(0, "kubeconfig").Stdout), 0o600))
	r, err := harness.RunKubectl(t.Context(), file, "", "--context", "west", "get", "pod/web", "-o", "name")
	s.must(err)
	if r.Stdout != "pod/web\n" {
		t.Errorf("with the fleet's kubeconfig: %s", r)
	}
}
