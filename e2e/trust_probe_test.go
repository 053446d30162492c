package e2e

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-federation/hanse/e2e/harness"
)

// A tenant does not get the hub to connect to itself, to its machine or to the networks around it, and is told why.
func TestTrustTheHubIsNoPortScanner(t *testing.T) {
	t.Parallel()
	hub, apply := hubForNames(t)
	apply("{apiVersion: hanse.io/v1alpha1, kind: Zone, metadata: {name: scan.example}, spec: {default: true}}")
	var asked atomic.Int64
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue // no IPv6 here
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				asked.Add(1)
				conn.Close()
			}
		}()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		_, api, _ := net.SplitHostPort(strings.TrimPrefix(hub.URL, "https://"))
		for i, row := range []struct{ spec, says string }{
			{`addresses: [{cluster: x, ips: ["127.0.0.1"]}], probe: {interval: 1s, tcp: {port: PORT}}`, "loopback"},
			{`addresses: [{cluster: x, ips: ["::1"]}], probe: {interval: 1s, http: {port: PORT}}`, "loopback"},
			{`addresses: [{cluster: x, ips: ["::ffff:127.0.0.1"]}], probe: {interval: 1s, tcp: {port: PORT}}`, "loopback"},
			{`addresses: [{cluster: x, ips: ["127.0.0.1"]}], probe: {interval: 1s, http: {port: ` + api + `}}`, "loopback"},
			{`addresses: [{cluster: x, ips: ["169.254.169.254"]}]`, "link-local"},
			{`addresses: [{cluster: x, ips: ["10.0.0.1"]}], probe: {interval: 1s, tcp: {port: 443}}`, "--probe-networks"},
			{`addresses: [{cluster: x, hostname: localhost}], probe: {interval: 1s, tcp: {port: PORT}}`, "looks it up"},
		} {
			manifest := fmt.Sprintf("{apiVersion: hanse.io/v1alpha1, kind: GlobalService, metadata: {name: scan-%d, namespace: default}, "+
				"spec: {%s}}", i, strings.ReplaceAll(row.spec, "PORT", port))
			r, err := hub.Kubectl(t.Context(), manifest, "apply", "-f", "-")
			if err == nil && r.Code == 0 || !strings.Contains(fmt.Sprint(err, r), row.says) {
				t.Errorf("%s: %v %s, want a refusal with %q", row.spec, err, r, row.says)
			}
		}
	}
	apply("{apiVersion: hanse.io/v1alpha1, kind: GlobalService, metadata: {name: fine, namespace: default}, " +
		"spec: {addresses: [{cluster: x, ips: [10.0.0.1]}]}}")
	harness.Eventually(t, "an honest one is served", func() error {
		r, err := hub.Kubectl(t.Context(), "", "get", "globalservice", "fine", "-o", "jsonpath={.status.conditions[0].reason}")
		if err != nil || !strings.Contains(r.Stdout, "Served") {
			return fmt.Errorf("%w %s", err, r)
		}
		return nil
	})
	select {
	case <-t.Context().Done():
	case <-time.After(3 * time.Second): // more than two probes
	}
	if asked.Load() > 0 {
		t.Errorf("the hub came by %d times", asked.Load())
	}
}
