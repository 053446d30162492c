package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// Fault is what a Link does to what goes over it.
type Fault string

// The faults.
const (
	// Healthy passes everything on.
	Healthy Fault = "Healthy"
	// Cut ends all connections and takes no new ones.
	Cut Fault = "Cut"
	// Mute keeps and takes connections, and passes nothing on.
	Mute Fault = "Mute"
	// Reset takes connections and resets them.
	Reset Fault = "Reset"
)

// Link is the way to a member: a TCP proxy whose faults a scenario sets.
type Link struct {
	target   string
	listener net.Listener

	mu      sync.Mutex
	fault   Fault
	delay   time.Duration
	audible chan struct{} // closed while the fault is not Mute
	ways    map[net.Conn]bool
	running sync.WaitGroup
}

// NewLink opens a healthy way to an address.
func NewLink(target string) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{target: target, listener: listener, fault: Healthy, audible: make(chan struct{}), ways: map[net.Conn]bool{}}
	close(l.audible)
	l.running.Go(l.accept)
	return l, nil
}

// Address of the way.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Set makes a fault, or heals the link.
func (l *Link) Set(fault Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case fault != Mute && l.fault == Mute:
		close(l.audible)
	case fault == Mute && l.fault != Mute:
		l.audible = make(chan struct{})
	}
	l.fault = fault
	if fault == Cut || fault == Reset {
		for way := range l.ways {
			sever(way, fault == Reset)
		}
	}
}

// Delay holds up every piece of data for a while, in both directions.
func (l *Link) Delay(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}

// Close ends the link.
func (l *Link) Close() error {
	err := l.listener.Close()
	l.Set(Cut)
	l.running.Wait()
	return err
}

func sever(way net.Conn, hard bool) {
	if tcp, ok := way.(*net.TCPConn); ok && hard {
		_ = tcp.SetLinger(0)
	}
	_ = way.Close()
}

func (l *Link) accept() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.serve(in) })
	}
}

func (l *Link) serve(in net.Conn) {
	defer in.Close()
	if !l.register(in) {
		return
	}
	defer l.forget(in)
	out, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer out.Close()
	if !l.register(out) {
		return
	}
	defer l.forget(out)
	var both sync.WaitGroup
	both.Go(func() { l.pass(out, in) })
	both.Go(func() { l.pass(in, out) })
	both.Wait()
}

// register reports whether a connection may live.
func (l *Link) register(way net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == Cut || l.fault == Reset {
		sever(way, true)
		return false
	}
	l.ways[way] = true
	return true
}

func (l *Link) forget(way net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ways, way)
}

// pass copies until one side ends, which ends the other.
func (l *Link) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.mu.Lock()
		delay, audible := l.delay, l.audible
		l.mu.Unlock()
		<-audible
		time.Sleep(delay)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// JoinOver makes a member join the hub over a new link, which is returned.
func JoinOver(ctx context.Context, hub *Hub, member *Member, flags ...string) (*Link, error) {
	config, err := clientcmd.LoadFromFile(member.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", member.Name(), err)
	}
	server := config.Clusters[config.Contexts[config.CurrentContext].Cluster]
	address, err := url.Parse(server.Server)
	if err != nil {
		return nil, fmt.Errorf("reading the address of %s: %w", member.Name(), err)
	}
	link, err := NewLink(address.Host)
	if err != nil {
		return nil, err
	}
	address.Host = link.Address()
	server.Server = address.String()
	file := filepath.Join(filepath.Dir(member.Kubeconfig()), "linked.kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return nil, errors.Join(err, link.Close())
	}
	defer os.Remove(file)
	arguments := append([]string{"join", member.Name(), "--cluster-kubeconfig", file}, flags...)
	r, err := hub.Hanse(ctx, arguments...)
	if err == nil && r.Code != 0 {
		err = errors.New(r.String())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("joining %s: %w", member.Name(), err), link.Close())
	}
	return link, nil
}
