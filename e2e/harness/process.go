package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// endPatience is how long a process may take to end when it is asked to.
const endPatience = 30 * time.Second

// A Process is a child of the test. It ends with the test.
type Process struct {
	cmd   *exec.Cmd
	said  *output
	ended chan struct{}
}

// output keeps what a process says, and writes it to a log as well.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	log  io.WriteCloser // may be nil
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.log != nil {
		_, _ = o.log.Write(p)
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// StartProcess starts a program. What it says is kept, and appended to the log file if one is named.
func StartProcess(log, program string, arguments ...string) (*Process, error) {
	said := &output{}
	if log != "" {
		file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("opening the log of %s: %w", program, err)
		}
		said.log = file
	}
	cmd := exec.Command(program, arguments...)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p := &Process{cmd: cmd, said: said, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal comes when the thread that started the child ends, so the thread is kept as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // Code tells how it ended
		if said.log != nil {
			_ = said.log.Close()
		}
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	return p, nil
}

// Output is everything that the process has said.
func (p *Process) Output() string { return p.said.String() }

// LastWords are the last lines of it, for messages.
func (p *Process) LastWords() string {
	const lines = 20
	all := strings.Split(strings.TrimSpace(p.Output()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// PID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended says whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Code is the exit code of a process that has ended; -1 if a signal ended it.
func (p *Process) Code() int {
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal; a process that has ended is left alone.
func (p *Process) Signal(s syscall.Signal) error {
	err := p.cmd.Process.Signal(s)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// End sends the signal (SIGTERM as a shutdown, SIGKILL as a crash) and waits until the process has ended.
func (p *Process) End(s syscall.Signal) error {
	if err := p.Signal(s); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(endPatience):
		_ = p.Signal(syscall.SIGKILL)
		return fmt.Errorf("%s did not end within %s after %s; its last words:\n%s", p.cmd.Path, endPatience, s, p.LastWords())
	}
}
