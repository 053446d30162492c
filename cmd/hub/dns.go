package hub

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/hanse-federation/hanse/federation/convergence"
)

// reportDNS tells what the hub's own DNS server answers from, as those away from it do.
func (h *Hub) reportDNS(ctx context.Context) error {
	kube, err := kubernetes.NewForConfig(h.api.Loopback())
	if err != nil {
		return fmt.Errorf("preparing a client of the hub: %w", err)
	}
	reporter := &convergence.Reporter{
		Leases:    kube.CoordinationV1().Leases(convergence.Namespace),
		Name:      h.dnsName(),
		Addresses: []string{h.DNSAddr()},
		Version:   Version().GitVersion,
		Serial: func() uint32 {
			if s := h.zones.Snapshot(); s != nil {
				return s.Serial()
			}
			return 0
		},
		Changed: h.zones.Changed,
		Logger:  h.log,
		Now:     time.Now,
	}
	reporter.Run(ctx)
	return nil
}

// dnsName tells the DNS servers of the replicas of a hub apart, and stays over a restart.
func (h *Hub) dnsName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("hub-%s-%d", strings.ToLower(host), h.dns.Addr().Port())
}
