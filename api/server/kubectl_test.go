package server_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-federation/hanse/api/native"
)

// TestKubectl runs the commands people use against the hub. Each line of testdata/kubectl.txt is a command; lines
// below it, indented, must be found in what it prints, "! " marks a command that must fail.
func TestKubectl(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("no kubectl on PATH")
	}
	raw, err := os.ReadFile("testdata/kubectl.txt")
	if err != nil {
		t.Fatal(err)
	}
	home, ns := t.TempDir(), common.namespace(t)
	config := filepath.Join(home, "config")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: h, cluster: {server: %q, certificate-authority-data: %s}}]\n"+
		"users: [{name: u, user: {token: %s}}]\ncontexts: [{name: h, context: {cluster: h, user: u, namespace: %s}}]\n"+
		"current-context: h\n", common.url,
		base64.StdEncoding.EncodeToString(common.ca), admin, ns)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	controllers, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { _ = native.RunGarbageCollector(controllers, common.server.Loopback(), nil) }()
	go func() { _ = native.RunNamespaceController(controllers, common.server.Loopback()) }()
	for _, step := range parseSteps(string(raw)) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		cmd := exec.CommandContext(ctx, "sh", "-c", "exec 2>&1; "+step.command)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+config, "HOME="+home, "NS="+ns, "EDITOR=true")
		cmd.Dir = "testdata"
		cmd.WaitDelay = time.Second
		begin := time.Now()
		out, err := cmd.CombinedOutput()
		cancel()
		t.Logf("%5dms %s", time.Since(begin).Milliseconds(), step.command)
		if (err != nil) != step.fails {
			t.Errorf("%s\n%v\n%s", step.command, err, out)
			continue
		}
		for _, want := range step.prints {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s\nprints no %q:\n%.2000s", step.command, want, out)
			}
		}
	}
}

type kubectlStep struct {
	command string
	fails   bool
	prints  []string
}

func parseSteps(text string) []kubectlStep {
	var steps []kubectlStep
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "    "):
			last := &steps[len(steps)-1]
			last.prints = append(last.prints, strings.TrimSpace(line))
		default:
			command, fails := strings.CutPrefix(line, "! ")
			steps = append(steps, kubectlStep{command: command, fails: fails})
		}
	}
	return steps
}
