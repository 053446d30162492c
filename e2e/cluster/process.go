package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopPatience is how long a process may take to end after SIGTERM before it
// is killed. An API server waits for its requests, but not for its watches.
const stopPatience = 20 * time.Second

// A process is one child of ours that can be started many times. It dies with us.
type process struct {
	name string
	args []string // the program and its arguments
	env  []string // in addition to our own
	log  string   // the file that its output is appended to

	mu      sync.Mutex
	current *exec.Cmd     // nil if it was never started
	ended   chan struct{} // closed when current has ended
}

// start runs the program unless it runs already.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs() {
		return nil
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // a Ctrl-C on the terminal is for us alone: we end our children in order
	}
	ended := make(chan struct{})
	started := make(chan error)
	go func() {
		// The kernel sends the death signal when the thread that started the
		// child ends, not the process: keep the thread until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.current, p.ended = cmd, ended
	return nil
}

// runs says whether the process is there; p.mu must be held.
func (p *process) runs() bool {
	if p.current == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// running returns the process id, or 0 if the process is not there.
func (p *process) running() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runs() {
		return 0
	}
	return p.current.Process.Pid
}

// stop asks the process to end, and kills it if it does not. A paused process
// is thawed, or it could not hear the question.
func (p *process) stop() error {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGCONT} {
		if err := p.signal(s); err != nil {
			return err
		}
	}
	if p.waitUntilEnded(stopPatience) {
		return nil
	}
	return p.kill()
}

// kill ends the process as a crash would.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !p.waitUntilEnded(stopPatience) {
		return fmt.Errorf("%s does not end after SIGKILL", p.name)
	}
	return nil
}

// signal sends a signal to the process if it runs.
func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runs() {
		return nil
	}
	// Process.Signal knows whether the child was waited for already, so no
	// foreign process that got its id is ever meant.
	if err := p.current.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %s to %s: %w", s, p.name, err)
	}
	return nil
}

// waitUntilEnded says whether the process ended in time.
func (p *process) waitUntilEnded(patience time.Duration) bool {
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	if ended == nil {
		return true
	}
	select {
	case <-ended:
		return true
	case <-time.After(patience):
		return false
	}
}

// lastWords are the last lines of the process's log.
func (p *process) lastWords() string {
	const lines = 15
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
