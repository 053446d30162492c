package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// parentMode makes this test program start one process and wait for its own end.
const parentMode = "CLUSTER_TEST_PARENT"

func TestMain(m *testing.M) {
	if log := os.Getenv(parentMode); log != "" {
		p := sleeper(log)
		if err := p.start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.running())
		select {}
	}
	os.Exit(m.Run())
}

func sleeper(log string) *process {
	return &process{name: "sleeper", args: []string{"/bin/sleep", "600"}, log: log}
}

// TestChildDiesWithParent kills the process that started a child.
func TestChildDiesWithParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentMode+"="+filepath.Join(t.TempDir(), "log"))
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the parent says %q", line)
	}
	if err := syscall.Kill(child, 0); err != nil {
		t.Fatalf("the child is not there: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for end := time.Now().Add(10 * time.Second); lives(child); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			_ = syscall.Kill(child, syscall.SIGKILL)
			t.Fatal("the child outlived its parent")
		}
	}
}

// lives says whether a process is there and more than a zombie that nobody
// has waited for.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func TestProcess(t *testing.T) {
	// It handles SIGTERM, as our programs do: the kernel itself would end a
	// paused process that does not.
	p := &process{
		name: "polite",
		args: []string{"/bin/sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do /bin/sleep 0.02; done"},
		log:  filepath.Join(t.TempDir(), "log"),
	}
	t.Cleanup(func() { _ = p.kill() })
	for _, idle := range []func() error{p.stop, p.kill} {
		if err := idle(); err != nil {
			t.Errorf("ending what never ran: %v", err)
		}
	}
	start := func() int {
		t.Helper()
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		return p.running()
	}
	first := start()
	if again := start(); again != first {
		t.Errorf("a running process was started again: %d after %d", again, first)
	}
	eventually(t, func(context.Context) (bool, error) { return p.lastWords() == "ready", nil })
	if err := p.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took >= stopPatience {
		t.Errorf("a paused process was not thawed to end: it took %v", took)
	}
	if err := syscall.Kill(first, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the stopped process is still there: %v", err)
	}
	if second := start(); second == first || second == 0 {
		t.Errorf("it was not started anew: %d after %d", second, first)
	}
}
