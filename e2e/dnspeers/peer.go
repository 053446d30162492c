package dnspeers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// Peer is a running DNS server.
type Peer struct {
	// Name of the make.
	Name string
	// Addr takes UDP and TCP.
	Addr netip.AddrPort

	cmd   *exec.Cmd
	ended chan struct{}
	log   string // the file with its output
}

// Start runs a server and waits until it answers a question for the SOA of origin. cmd must listen on addr, stay in the
// foreground and write its log to standard output or error, which go to a file in dir.
func Start(ctx context.Context, name string, cmd *exec.Cmd, addr netip.AddrPort, dir, origin string) (*Peer, error) {
	p := &Peer{Name: name, Addr: addr, cmd: cmd, ended: make(chan struct{}), log: filepath.Join(dir, name+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		// The kernel sends the death signal when the thread that started the child ends: keep it.
		runtime.LockOSThread()
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	if err := p.waitForAnswer(ctx, origin); err != nil {
		p.Stop()
		return nil, fmt.Errorf("starting %s: %w; its log ends with\n%s", name, err, p.lastOfLog())
	}
	return p, nil
}

// startPatience is how long a server may take to load its zone.
const startPatience = 60 * time.Second

func (p *Peer) waitForAnswer(ctx context.Context, origin string) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	client := dns.Client{Timeout: time.Second}
	var question dns.Msg
	question.SetQuestion(dns.Fqdn(origin), dns.TypeSOA)
	for {
		answer, _, err := client.Exchange(&question, p.Addr.String())
		if err == nil && len(answer.Answer) > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not answer for %s at %s: %w", origin, p.Addr, ctx.Err())
		case <-p.ended:
			return fmt.Errorf("it ended at once")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *Peer) lastOfLog() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// Stop ends the server and its children.
func (p *Peer) Stop() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// Usage is what a server and its children have used.
type Usage struct {
	// CPU is the time in user and kernel mode of all its processes.
	CPU time.Duration
	// RSS is the resident memory of all its processes, in octets; pages that several share count once for each.
	RSS int64
}

// clockTick is the unit of times in /proc (USER_HZ), the same on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// Usage reads what the kernel has counted so far.
func (p *Peer) Usage() (Usage, error) {
	var u Usage
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return u, err
	}
	found := false
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// After the name, which is in parentheses and may contain anything: state, ppid, pgrp, ...
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(f) < 22 || f[2] != strconv.Itoa(p.cmd.Process.Pid) {
			continue
		}
		found = true
		for _, field := range []string{f[11], f[12]} {
			ticks, _ := strconv.ParseInt(field, 10, 64)
			u.CPU += time.Duration(ticks) * clockTick
		}
		pages, _ := strconv.ParseInt(f[21], 10, 64)
		u.RSS += pages * int64(os.Getpagesize())
	}
	if !found {
		return u, fmt.Errorf("%s does not run", p.Name)
	}
	return u, nil
}

// FreeAddr is an address of the loopback interface whose port is free for both UDP and TCP.
func FreeAddr() (netip.AddrPort, error) {
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return netip.AddrPort{}, err
		}
		addr := l.Addr().(*net.TCPAddr).AddrPort()
		u, err := net.ListenPacket("udp", addr.String())
		l.Close()
		if err == nil {
			u.Close()
			return addr, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("no port of 127.0.0.1 is free for both UDP and TCP")
}

// Through is cmd run by another command line, such as taskset.
func Through(cmd *exec.Cmd, before ...string) *exec.Cmd {
	if len(before) == 0 {
		return cmd
	}
	path, err := exec.LookPath(before[0])
	if err != nil {
		return cmd // the start of what is not there fails with a good message
	}
	cmd.Args = append(append([]string{}, before...), append([]string{cmd.Path}, cmd.Args[1:]...)...)
	cmd.Path = path
	return cmd
}
