package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// kubectl does on the hub what it does on a cluster. The stories in testdata/kubectl are what people type, and what
// they must see; they are told with the kubectl of the members' release, and with the one on PATH where there is one.
func TestKubectl(t *testing.T) {
	s := onFleet(t)
	programs, err := cluster.FindPrograms(t.Context(), os.Stderr, "")
	s.must(err)
	folders := []string{filepath.Dir(programs.Kubectl)}
	if other, err := exec.LookPath("kubectl"); err == nil && other != programs.Kubectl {
		folders = append(folders, filepath.Dir(other))
	}
	stories, err := filepath.Glob("testdata/kubectl/*.txt")
	s.must(err)
	if len(stories) == 0 {
		t.Fatal("there are no stories")
	}
	for i, folder := range folders {
		for _, file := range stories {
			name := strings.TrimSuffix(filepath.Base(file), ".txt")
			if i > 0 {
				name += "-on-path"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tell(t, s.federation, file, "kubectl-"+name, "PATH="+folder+":"+os.Getenv("PATH"))
			})
		}
	}
}

// A step of a story is a command and what comes of it.
type step struct {
	line          int
	command       string
	fails         bool     // marked "! "
	patient       bool     // marked "~ ": given again until it does as told
	prints, hides []string // what it prints, and must not print
}

// stepPatience bounds one command.
const stepPatience = 2 * time.Minute

// tell gives the commands of a story, one after the other, in a folder with the files beside the story and in a
// namespace of its own. NS is that namespace, EAST, WEST and SOUTH are the members' kubeconfigs.
func tell(t *testing.T, f *federation, file, namespace string, environment ...string) {
	ctx := t.Context()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := f.hub.Client.Create(ctx, object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.hub.Client.Delete(context.Background(), object) })
	home := t.TempDir()
	if err := os.CopyFS(filepath.Join(home, "story"), os.DirFS(filepath.Dir(file))); err != nil {
		t.Fatal(err)
	}
	environment = append(environment, "NS="+namespace, "HOME="+home, "KUBECONFIG="+kubeconfigIn(t, f.hub, home, namespace))
	for _, m := range f.members {
		environment = append(environment, strings.ToUpper(m.Name())+"="+m.Kubeconfig())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	steps := readStory(string(text))
	began := time.Now()
	for _, s := range steps {
		failure := func() error { return s.take(ctx, filepath.Join(home, "story"), namespace, environment) }
		if s.patient {
			harness.Eventually(t, fmt.Sprintf("%s:%d: %s", file, s.line, s.command), failure)
		} else if err := failure(); err != nil {
			t.Errorf("%s:%d: %s: %v", file, s.line, s.command, err)
		}
	}
	t.Logf("%d commands in %.0f s", len(steps), time.Since(began).Seconds())
}

// kubeconfigIn is a copy of the hub's kubeconfig that the story may change, with its namespace.
func kubeconfigIn(t *testing.T, hub *harness.Hub, home, namespace string) string {
	t.Helper()
	path := filepath.Join(home, "config")
	text, err := os.ReadFile(hub.Kubeconfig())
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := harness.RunKubectl(t.Context(), path, "", "config", "set-context", "--current", "--namespace", namespace)
	if err != nil || r.Code != 0 {
		t.Fatalf("naming the namespace: %v %s", err, r)
	}
	return path
}

func readStory(text string) []step {
	var steps []step
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "    "):
			last := &steps[len(steps)-1]
			if hidden, ok := strings.CutPrefix(strings.TrimSpace(line), "not: "); ok {
				last.hides = append(last.hides, hidden)
			} else {
				last.prints = append(last.prints, line)
			}
		default:
			s := step{line: i + 1, command: line}
			if s.command, s.fails = strings.CutPrefix(line, "! "); !s.fails {
				s.command, s.patient = strings.CutPrefix(line, "~ ")
			}
			steps = append(steps, s)
		}
	}
	return steps
}

// take gives the command and says what is not as told.
func (s step) take(ctx context.Context, dir, namespace string, environment []string) error {
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", s.command)
	cmd.Dir, cmd.Env = dir, slices.Concat(os.Environ(), environment)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if (err != nil) != s.fails {
		return fmt.Errorf("it came back with %v and printed:\n%s", err, out.String())
	}
	// Blanks in a table depend on the other rows.
	said := strings.Join(strings.Fields(out.String()), " ")
	told := func(fragment string) bool {
		return strings.Contains(said, strings.Join(strings.Fields(strings.ReplaceAll(fragment, "$NS", namespace)), " "))
	}
	for _, fragment := range s.prints {
		if !told(fragment) {
			return fmt.Errorf("it did not print %q, but:\n%s", strings.TrimSpace(fragment), out.String())
		}
	}
	for _, fragment := range s.hides {
		if told(fragment) {
			return fmt.Errorf("it printed %q:\n%s", fragment, out.String())
		}
	}
	return nil
}
