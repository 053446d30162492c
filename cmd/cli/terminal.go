package cli

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
	"k8s.io/client-go/tools/remotecommand"
)

// terminalSize tells the size of our terminal, at first and whenever it changes.
type terminalSize struct {
	of      *os.File
	changed chan os.Signal
	told    bool
}

// watchSize begins to watch; stop ends it.
func watchSize(of *os.File) (sizes remotecommand.TerminalSizeQueue, stop func()) {
	s := &terminalSize{of: of, changed: make(chan os.Signal, 1)}
	signal.Notify(s.changed, syscall.SIGWINCH)
	return s, func() { signal.Stop(s.changed); close(s.changed) }
}

// Next implements remotecommand.TerminalSizeQueue; nil is the end.
func (s *terminalSize) Next() *remotecommand.TerminalSize {
	if s.told {
		if _, ok := <-s.changed; !ok {
			return nil
		}
	}
	s.told = true
	width, height, err := term.GetSize(int(s.of.Fd()))
	if err != nil {
		return nil
	}
	return &remotecommand.TerminalSize{Width: uint16(width), Height: uint16(height)}
}
