package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/hanse-federation/hanse/api/printable"
)

// patience is how long a command may be silent.
const patience = time.Second

// progress shows on standard error what a command waits for, once it has taken longer than patience. On a terminal the
// line is rewritten with the seconds; elsewhere each step is one line.
type progress struct {
	w        io.Writer
	terminal bool
	done     chan struct{}
	ended    sync.WaitGroup

	mu    sync.Mutex
	step  string
	since time.Time // of the command
	shown string    // the step that is on the screen
}

// startProgress begins to watch the time; stop ends it.
func startProgress(w io.Writer) *progress {
	w = rawOf(w) // of the terminal itself; steps are escaped below
	p := &progress{w: w, terminal: isTerminal(w), done: make(chan struct{}), since: time.Now()}
	p.ended.Go(p.run)
	return p
}

// say names the step that begins. What begins with "note:" is shown at once and stays.
func (p *progress) say(step string) {
	step = printable.Text(step)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(step) > 5 && step[:5] == "note:" {
		p.clear()
		_, _ = fmt.Fprintln(p.w, step)
		return
	}
	p.step = step
	p.show()
}

// stop takes the line off a terminal. It can be called twice.
func (p *progress) stop() {
	p.mu.Lock()
	select {
	case <-p.done:
		p.mu.Unlock()
		return
	default:
	}
	close(p.done)
	p.clear()
	p.mu.Unlock()
	p.ended.Wait()
}

func (p *progress) run() {
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.mu.Lock()
			p.show()
			p.mu.Unlock()
		case <-p.done:
			return
		}
	}
}

// show needs mu.
func (p *progress) show() {
	took := time.Since(p.since)
	if p.step == "" || took < patience {
		return
	}
	if p.terminal {
		p.clear()
		_, _ = fmt.Fprintf(p.w, "%s ... (%ds)", p.step, int(took.Seconds()))
		p.shown = p.step
		return
	}
	if p.step != p.shown {
		_, _ = fmt.Fprintf(p.w, "%s ...\n", p.step)
		p.shown = p.step
	}
}

// clear needs mu.
func (p *progress) clear() {
	if p.terminal && p.shown != "" {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = ""
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
