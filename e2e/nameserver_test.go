package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/hanse-federation/hanse/e2e/harness"
)

// away is a zone with one name, and a hub of its own to take away.
const away = `
apiVersion: hanse.io/v1alpha1
kind: Zone
metadata: {name: away.example}
spec: {default: true}
---
apiVersion: hanse.io/v1alpha1
kind: GlobalService
metadata: {name: web, namespace: default}
spec:
  answer: Sticky
  addresses: [{cluster: a, ips: [10.0.0.1]}, {cluster: b, ips: [10.0.0.2]}, {cluster: c, ips: [10.0.0.3]}]`

// hubForNameservers is a hub that serves away, with the kubeconfig of an account for DNS servers.
func hubForNameservers(t *testing.T) (hub *harness.Hub, kubeconfig string) {
	t.Helper()
	hub, err := harness.StartHub(t.Context(), harness.HubOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := hub.Close(); err != nil {
			t.Error(err)
		}
	})
	if r, err := hub.Kubectl(t.Context(), away, "apply", "-f", "-"); err != nil || r.Code != 0 {
		t.Fatal(err, r)
	}
	r, err := hub.Hanse(t.Context(), "dns", "kubeconfig", "edge")
	if err != nil || r.Code != 0 {
		t.Fatal(err, r)
	}
	kubeconfig = filepath.Join(t.TempDir(), "dns.kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(r.Stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	return hub, kubeconfig
}

// answers waits until a server answers a name with these addresses.
func answers(t *testing.T, server, name string, wanted ...string) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("%s answers %s with %v", server, name, wanted), func() error {
		answer, err := harness.Ask(server, name, dns.TypeA)
		if err != nil {
			return err
		}
		var got []string
		for _, a := range harness.Addresses(answer) {
			got = append(got, a.String())
		}
		if !slices.Equal(got, wanted) {
			return fmt.Errorf("%s %v", dns.RcodeToString[answer.Rcode], got)
		}
		return nil
	})
}

func fixed(address string) string {
	return `
apiVersion: hanse.io/v1alpha1
kind: GlobalService
metadata: {name: fixed, namespace: default}
spec: {addresses: [{cluster: a, ips: [` + address + `]}]}`
}

// DNS servers away from the hub answer alike, follow it, and go on without it: also those that start meanwhile.
func TestNameserversOutliveTheHub(t *testing.T) {
	hub, kubeconfig := hubForNameservers(t)
	data := t.TempDir()
	one := harness.StartNameserver(t, kubeconfig, data, "127.0.0.1:0", "one")
	two := harness.StartNameserver(t, kubeconfig, t.TempDir(), "127.0.0.1:0", "two")
	apply := func(manifest string) {
		t.Helper()
		if r, err := hub.Kubectl(t.Context(), manifest, "apply", "-f", "-"); err != nil || r.Code != 0 {
			t.Fatal(err, r)
		}
	}
	apply(fixed("10.0.1.1"))
	for _, server := range []string{hub.DNS, one.Address, two.Address} {
		answers(t, server, "fixed.default.away.example", "10.0.1.1")
	}
	apply(fixed("10.0.1.2"))
	for _, server := range []string{hub.DNS, one.Address, two.Address} {
		answers(t, server, "fixed.default.away.example", "10.0.1.2")
	}
	// Sticky answers follow from the client and the seed: every server gives the same.
	choices := map[string][]string{}
	for _, server := range []string{hub.DNS, one.Address, two.Address} {
		answer, err := harness.Ask(server, "web.default.away.example", dns.TypeA)
		if err != nil {
			t.Fatal(err)
		}
		choice := fmt.Sprint(harness.Addresses(answer))
		choices[choice] = append(choices[choice], server)
	}
	if len(choices) != 1 {
		t.Errorf("servers of one hub answer a client differently: %v", choices)
	}
	harness.Eventually(t, "hanse dns servers shows all at one serial", func() error {
		r, err := hub.Hanse(t.Context(), "dns", "servers")
		if err != nil || r.Code != 0 {
			return fmt.Errorf("%v %s", err, r)
		}
		serials := map[string]bool{}
		lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")[1:]
		for _, line := range lines {
			if fields := strings.Fields(line); fields[1] == "Running" {
				serials[fields[2]] = true
			}
		}
		if len(lines) != 3 || len(serials) != 1 {
			return errors.New("\n" + r.Stdout)
		}
		return nil
	})
	mayDoNothingElse(t, hub, kubeconfig)

	if err := hub.Kill(); err != nil {
		t.Fatal(err)
	}
	answers(t, one.Address, "fixed.default.away.example", "10.0.1.2")
	if err := one.End(syscall.SIGKILL); err != nil { // no last words to the disk
		t.Fatal(err)
	}
	one = harness.StartNameserver(t, kubeconfig, data, one.Address, "one")
	answers(t, one.Address, "fixed.default.away.example", "10.0.1.2")

	// A damaged file is refused and kept; what is not known is not denied.
	if err := one.End(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	damage(t, filepath.Join(data, "snapshot"))
	one = harness.StartNameserver(t, kubeconfig, data, one.Address, "one")
	answer, err := harness.Ask(one.Address, "fixed.default.away.example", dns.TypeA)
	if err != nil || answer.Rcode != dns.RcodeServerFailure {
		t.Errorf("without a snapshot: %v %v, want SERVFAIL", answer, err)
	}
	if !strings.Contains(one.Output(), "checksum does not fit") {
		t.Errorf("it does not say what is wrong:\n%s", one.LastWords())
	}
	if _, err := os.Stat(filepath.Join(data, "snapshot.damaged")); err != nil {
		t.Error("the damaged file was not kept:", err)
	}

	if err := hub.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	answers(t, one.Address, "fixed.default.away.example", "10.0.1.2")
	apply(fixed("10.0.1.3"))
	for _, server := range []string{hub.DNS, one.Address, two.Address} {
		answers(t, server, "fixed.default.away.example", "10.0.1.3")
	}
}

// damage turns one bit in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		data[len(data)/2] ^= 1
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// mayDoNothingElse tries what the account of a DNS server must not do.
func mayDoNothingElse(t *testing.T, hub *harness.Hub, kubeconfig string) {
	t.Helper()
	for _, arguments := range []string{
		"get zones", "get globalservices -A", "get secrets -A", "get leases -n hanse-system", "get services -A",
		"delete lease two -n hanse-dns", "get --raw /metrics",
	} {
		r, err := harness.RunKubectl(t.Context(), kubeconfig, "", strings.Fields(arguments)...)
		if err != nil {
			t.Fatal(err)
		}
		if r.Code == 0 || !strings.Contains(r.Stderr, "orbidden") {
			t.Errorf("the account of a DNS server may kubectl %s: %s", arguments, r)
		}
	}
	var leases coordinationv1.LeaseList
	if err := hub.Client.List(t.Context(), &leases); err == nil && len(leases.Items) == 0 {
		t.Error("there are no leases to protect")
	}
}

// queriesPerSecond is the rate at which queries flow while processes replace one another.
const queriesPerSecond = 2000

// A process that takes over from another loses no query.
func TestReplaceANameserverWithoutALostQuery(t *testing.T) {
	_, kubeconfig := hubForNameservers(t)
	data := t.TempDir()
	now := harness.StartNameserver(t, kubeconfig, data, "127.0.0.1:0", "one")
	answers(t, now.Address, "ns1.away.example", "127.0.0.1")
	listen := "127.0.0.1:0" // as it was told: the port is inherited
	var sent, received atomic.Int64
	stop := steadyQueries(t, now.Address, &sent, &received)
	for i := range 5 {
		before := sent.Load()
		harness.Eventually(t, "queries flow", func() error {
			if n := sent.Load(); n < before+queriesPerSecond/4 {
				return fmt.Errorf("%d since the last replacement", n-before)
			}
			return nil
		})
		next := harness.StartNameserver(t, kubeconfig, data, listen, "one")
		if next.Address != now.Address {
			t.Fatalf("the process that took over answers on %s, not on %s", next.Address, now.Address)
		}
		harness.Eventually(t, fmt.Sprintf("the former process has ended (%d)", i), func() error {
			if !now.Ended() {
				return errors.New("it runs")
			}
			return nil
		})
		if code := now.Code(); code != 0 {
			t.Errorf("the former process ended with exit code %d:\n%s", code, now.LastWords())
		}
		now = next
	}
	stop()
	t.Logf("%d queries during 5 replacements, %d lost", sent.Load(), sent.Load()-received.Load())
	if sent.Load() != received.Load() {
		t.Errorf("%d of %d queries were lost", sent.Load()-received.Load(), sent.Load())
	}
	// Another address on the same data is a mistake, and takes nothing away.
	program, err := harness.Hanse()
	if err != nil {
		t.Fatal(err)
	}
	stray, err := harness.StartProcess("", program, "dns", "--kubeconfig", kubeconfig, "--data-dir", data,
		"--listen", "127.0.0.1:1053")
	if err != nil {
		t.Fatal(err)
	}
	if stray.Code() != 1 || !strings.Contains(stray.Output(), "name another --data-dir") {
		t.Errorf("exit code %d:\n%s", stray.Code(), stray.Output())
	}
	answers(t, now.Address, "ns1.away.example", "127.0.0.1")
}

// steadyQueries asks at a steady rate from sockets of their own; what is called at the end waits for the last answers.
func steadyQueries(t *testing.T, server string, sent, received *atomic.Int64) (stop func()) {
	t.Helper()
	const clients = 8
	question, err := new(dns.Msg).SetQuestion("ns1.away.example.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	var conns []net.Conn
	for range clients {
		conn, err := net.Dial("udp", server)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		writers.Go(func() {
			tick := time.NewTicker(time.Second * clients / queriesPerSecond)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
					if _, err := conn.Write(question); err == nil {
						sent.Add(1)
					} else {
						t.Error(err)
					}
				}
			}
		})
		readers.Go(func() {
			buffer := make([]byte, 512)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					if errors.Is(err, syscall.ECONNREFUSED) {
						continue // counted as lost
					}
					return
				}
				if n > 12 && buffer[3]&0xf == 0 {
					received.Add(1)
				}
			}
		})
	}
	return func() {
		close(done)
		writers.Wait()
		for end := time.Now().Add(5 * time.Second); received.Load() < sent.Load() && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		for _, conn := range conns {
			conn.Close()
		}
		readers.Wait()
	}
}
