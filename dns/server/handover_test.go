package server

import (
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// copySocket is what another process gets when it is handed a socket.
func copySocket(t *testing.T, s Socket) Socket {
	t.Helper()
	var file *os.File
	var err error
	if s.UDP != nil {
		file, err = s.UDP.File()
	} else {
		file, err = s.TCP.File()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := Socket{Listen: s.Listen}
	if s.UDP != nil {
		c, err := net.FilePacketConn(file)
		if err != nil {
			t.Fatal(err)
		}
		out.UDP = c.(*net.UDPConn)
		return out
	}
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	out.TCP = l.(*net.TCPListener)
	return out
}

// Servers that take over from one another lose no query, neither over UDP nor over connections that come and go.
func TestServersReplaceOneAnotherWithoutALostQuery(t *testing.T) {
	store := storeOf(t, probeZone(t))
	now := start(t, Config{Snapshot: store, Workers: 2})
	to := now.Addr().String()
	var asked, lost atomic.Int64
	done := make(chan struct{})
	var clients sync.WaitGroup
	for i, network := range []string{"udp", "udp", "udp", "udp", "tcp"} {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
				}
				asked.Add(1)
				client := dns.Client{Net: network, Timeout: 2 * time.Second} // a new port each time
				m := new(dns.Msg).SetQuestion("c.test.", dns.TypeSOA)
				if answer, _, err := client.Exchange(m, to); err != nil || answer.Rcode != dns.RcodeSuccess {
					lost.Add(1)
					t.Errorf("client %d over %s: %v", i, network, err)
				}
			}
		})
	}
	for range 20 {
		before := asked.Load()
		for asked.Load() < before+20 {
			time.Sleep(time.Millisecond)
		}
		var handed []Socket
		for _, s := range now.Sockets() {
			handed = append(handed, copySocket(t, s))
		}
		next := start(t, Config{Snapshot: store, Workers: 2, Inherited: handed})
		now.Retire(5 * time.Second)
		now = next
	}
	close(done)
	clients.Wait()
	if now.Addr().String() != to {
		t.Errorf("serves on %s, want %s", now.Addr(), to)
	}
	t.Logf("%d queries during 20 replacements, %d lost", asked.Load(), lost.Load())
}

func TestSocketsOfOtherAddressesAreClosed(t *testing.T) {
	store := storeOf(t, probeZone(t))
	former := start(t, Config{Snapshot: store, Workers: 1})
	var handed []Socket
	for _, s := range former.Sockets() {
		s = copySocket(t, s)
		s.Listen = "127.0.0.2:0"
		handed = append(handed, s)
	}
	next := start(t, Config{Snapshot: store, Workers: 1, Inherited: append([]Socket(nil), handed...)})
	if next.Addr() == former.Addr() {
		t.Error("serves an address that it was not told to")
	}
	for _, s := range handed {
		if err := s.Close(); err == nil {
			t.Error(fmt.Sprint("not closed: ", s))
		}
	}
}
