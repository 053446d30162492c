package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/hanse-federation/hanse/e2e/cluster"
)

// Programs that scenarios run.
var (
	// hanseProgram is bin/hanse, built from this repository unless E2E_HANSE names one.
	hanseProgram = sync.OnceValues(func() (string, error) {
		if named := os.Getenv("E2E_HANSE"); named != "" {
			return named, nil
		}
		root := repository()
		program := filepath.Join(root, "bin", "hanse")
		build := exec.Command("go", "build", "-o", program, "./cmd/hanse")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building bin/hanse: %w\n%s", err, out)
		}
		return program, nil
	})

	// parts are the programs that bare clusters are made of; kubectl and etcd are among them.
	parts = sync.OnceValues(func() (cluster.Programs, error) {
		return cluster.FindPrograms(context.Background(), os.Stderr, "")
	})
)

func repository() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Hanse is the path of the program hanse.
func Hanse() (string, error) { return hanseProgram() }

// Etcd is the path of the program etcd.
func Etcd() (string, error) {
	p, err := parts()
	return p.Etcd, err
}

// Kubectl is the path of the program kubectl.
func Kubectl() (string, error) {
	p, err := parts()
	return p.Kubectl, err
}

// Result is what a command came back with.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// String is both outputs, for messages.
func (r Result) String() string {
	return fmt.Sprintf("exit code %d\nstdout: %s\nstderr: %s", r.Code, r.Stdout, r.Stderr)
}

// RunHanse runs one command of hanse to its end. An exit code other than 0 is no error.
func RunHanse(ctx context.Context, kubeconfig string, arguments ...string) (Result, error) {
	program, err := Hanse()
	if err != nil {
		return Result{}, err
	}
	return run(ctx, kubeconfig, "", program, arguments...)
}

// RunKubectl runs one command of kubectl to its end, with the text as its standard input. An exit code other than 0 is
// no error.
func RunKubectl(ctx context.Context, kubeconfig, stdin string, arguments ...string) (Result, error) {
	p, err := parts()
	if err != nil {
		return Result{}, err
	}
	return run(ctx, kubeconfig, stdin, p.Kubectl, arguments...)
}

func run(ctx context.Context, kubeconfig, stdin, program string, arguments ...string) (Result, error) {
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	cmd.Stdin = bytes.NewBufferString(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("running %s %v: %w\n%s", filepath.Base(program), arguments, errors.Join(err, ctx.Err()), r)
	}
	return r, nil
}
