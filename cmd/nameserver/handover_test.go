package nameserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// startOn is a server on a data directory whose hub is away.
func startOn(t *testing.T, dir string, listen ...string) (*Nameserver, error) {
	t.Helper()
	n, err := New(t.Context(), Config{
		Hub: &rest.Config{Host: "https://127.0.0.1:1"}, DataDir: dir, Listen: listen, Name: "test",
	})
	if err == nil {
		t.Cleanup(func() {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return n, err
}

// TestTakeOver: the next process has the address, and the former has ended by itself; one that is to listen elsewhere
// takes nothing away.
func TestTakeOver(t *testing.T) {
	dir := t.TempDir()
	one, err := startOn(t, dir, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- one.Run(t.Context()) }()
	if _, err := startOn(t, dir, "127.0.0.1:5353"); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "listens on 127.0.0.1:0") {
		t.Errorf("elsewhere: %v", err)
	}
	two, err := startOn(t, dir, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if two.Addr() != one.Addr() {
		t.Errorf("on %s, not on %s", two.Addr(), one.Addr())
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the former process goes on")
	}
}

// TestStrangersAtTheSocket: what is no process of ours costs nothing but a line in the log.
func TestStrangersAtTheSocket(t *testing.T) {
	dir := t.TempDir()
	n, err := startOn(t, dir, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	for _, said := range []string{"", "hello", "{}", `{"listen":["127.0.0.1:0"]}`, strings.Repeat("x", 1000)} {
		conn, err := net.Dial("unixpacket", filepath.Join(dir, handoverFile))
		if err != nil {
			t.Fatal(err)
		}
		if said != "" {
			if _, err := conn.Write([]byte(said)); err != nil {
				t.Error(err)
			}
		}
		conn.Close()
	}
	next, err := startOn(t, dir, "127.0.0.1:0")
	if err != nil || next.Addr() != n.Addr() {
		t.Fatalf("after them nobody can take over: %v", err)
	}
	end()
	<-ended
}

// TestBadStarts: each says what is wrong.
func TestBadStarts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := func() Config {
		return Config{Hub: &rest.Config{Host: "https://127.0.0.1:1"}, DataDir: t.TempDir(), Listen: []string{"127.0.0.1:0"}, Name: "test",
			Logger: slog.New(slog.DiscardHandler)}
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"a file as the data directory", func(c *Config) { c.DataDir = file }, "making the data directory"},
		{"no database", func(c *Config) { c.GeoDatabase = file + ".mmdb" }, "file.mmdb"},
		{"no certificate", func(c *Config) {
			c.ListenTLS, c.CertFile, c.KeyFile = []string{"127.0.0.1:0"}, file, file
		}, "reading the certificate " + file},
		{"an address of another machine", func(c *Config) { c.Listen = []string{"192.0.2.1:5353"} }, "192.0.2.1:5353"},
		{"a hub that is no URL", func(c *Config) { c.Hub.Host = "https://%" }, "hub"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good()
			tt.change(&c)
			n, err := New(t.Context(), c)
			if err == nil {
				n.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
