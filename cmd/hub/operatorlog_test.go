package hub_test

import (
	"bufio"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/hanse-federation/hanse/cmd/hub"
)

// logTestDir is the data directory of a hub that this test binary runs as a process of its own: libraries log to one
// place a process, and what ends late of other tests' hubs must not be read as the word of this one.
const logTestDir = "HANSE_TEST_LOG_DIR"

// A first start, and a stop, fit on a screen: an operator sees what the hub does, and nothing that looks like trouble.
func TestTheLogIsForOperators(t *testing.T) {
	if dir := os.Getenv(logTestDir); dir != "" {
		runLogged(t, dir)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheLogIsForOperators$")
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil { // a directory that others may use is a warning
		t.Fatal(err)
	}
	child.Env = append(os.Environ(), logTestDir+"="+dir)
	stderr, err := child.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for words := bufio.NewScanner(stderr); words.Scan(); {
		line := words.Text()
		if strings.Contains(line, "this hub acts") {
			if err := child.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
		// etcd says so of a slow disk or processor.
		if !strings.Contains(line, "took too long") && !strings.Contains(line, "slow fdatasync") {
			lines = append(lines, line)
		}
	}
	if err := child.Wait(); err != nil {
		t.Errorf("the hub ended with %v", err)
	}
	text := strings.Join(lines, "\n")
	if len(lines) > 10 || len(lines) < 3 {
		t.Errorf("a start and a stop log %d lines, want 3 to 10:\n%s", len(lines), text)
	}
	if strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") {
		t.Errorf("a clean start and stop logs trouble:\n%s", text)
	}
}

// runLogged runs a hub until the process is told to end.
func runLogged(t *testing.T, dir string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	h, err := hub.New(ctx, hub.Config{
		DataDir: dir, Listen: "127.0.0.1:0", DNSListen: []string{"127.0.0.1:0"},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(ctx); err != nil {
		t.Errorf("running: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}
