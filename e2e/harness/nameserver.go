package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A Nameserver is a running hanse dns.
type Nameserver struct {
	*Process
	// Address that it answers on.
	Address string
}

// nameserverAnnounced is what a DNS server says when it answers.
var nameserverAnnounced = regexp.MustCompile(`DNS at ([^\s,]+)(.*), for the hub`)

// StartNameserver starts a DNS server away from the hub and waits until it answers; it ends with the test.
func StartNameserver(t testing.TB, kubeconfig, dataDir, listen, name string, flags ...string) *Nameserver {
	t.Helper()
	program, err := Hanse()
	if err != nil {
		t.Fatal(err)
	}
	log := ""
	if logs := os.Getenv("E2E_LOGS"); logs != "" {
		log = filepath.Join(logs, "dns-"+name+".log")
	}
	arguments := append([]string{"dns", "--kubeconfig", kubeconfig, "--data-dir", dataDir, "--listen", listen, "--name", name},
		flags...)
	process, err := StartProcess(log, program, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !process.Ended() {
			_ = process.End(9)
		}
	})
	n := &Nameserver{Process: process}
	Eventually(t, "the DNS server "+name+" answers", func() error {
		found := nameserverAnnounced.FindStringSubmatch(process.Output())
		switch {
		case found != nil:
			n.Address = found[1]
			return nil
		case process.Ended():
			t.Fatalf("the DNS server %s ended; its last words:\n%s", name, process.LastWords())
		}
		return fmt.Errorf("it has said only:\n%s", process.LastWords())
	})
	return n
}

// Also is where it answers over tls or https, as it says.
func (n *Nameserver) Also(how string) string {
	for _, address := range strings.Split(nameserverAnnounced.FindStringSubmatch(n.Output())[2], ", ") {
		if address, ok := strings.CutPrefix(address, how+"://"); ok {
			return address
		}
	}
	return ""
}
