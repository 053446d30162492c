package harness

import (
	"bufio"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers each line with the line.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			way, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer way.Close()
				for lines := bufio.NewReader(way); ; {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					_, _ = way.Write([]byte(line))
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func TestLink(t *testing.T) {
	link, err := NewLink(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	dial := func() net.Conn {
		way, err := net.Dial("tcp", link.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = way.Close() })
		return way
	}
	say := func(way net.Conn, patience time.Duration) error {
		_ = way.SetDeadline(time.Now().Add(patience))
		if _, err := way.Write([]byte("hello\n")); err != nil {
			return err
		}
		_, err := bufio.NewReader(way).ReadString('\n')
		return err
	}
	way := dial()
	if err := say(way, 10*time.Second); err != nil {
		t.Fatalf("healthy: %v", err)
	}
	link.Set(Mute)
	if err := say(way, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("mute: %v", err)
	}
	link.Set(Healthy)
	if err := say(way, 10*time.Second); err != nil {
		t.Errorf("heard again: %v", err)
	}
	link.Set(Cut)
	if err := say(way, 10*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("cut: %v", err)
	}
	if err := say(dial(), 10*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a new connection over a cut link: %v", err)
	}
	link.Set(Healthy)
	if err := say(dial(), 10*time.Second); err != nil {
		t.Errorf("healed: %v", err)
	}
	link.Set(Mute)
	dial()
	if err := link.Close(); err != nil {
		t.Error(err)
	}
}
