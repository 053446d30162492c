package hub

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hanse-federation/hanse/api/server"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/feed"
	"github.com/hanse-federation/hanse/dns/querylog"
	"github.com/hanse-federation/hanse/dns/update"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/member/enroll"
	"github.com/hanse-federation/hanse/federation/names/acks"
	"github.com/hanse-federation/hanse/federation/names/dynamicupdates"
)

// reportDNS tells what the hub's own DNS server answers from, as those away from it do. A hub that is its only DNS
// server has nobody to compare it with, and keeps its store quiet.
func (h *Hub) reportDNS(ctx context.Context) error {
	kube, err := kubernetes.NewForConfig(h.api.Loopback())
	if err != nil {
		return fmt.Errorf("preparing a client of the hub: %w", err)
	}
	leases := kube.CoordinationV1().Leases(acks.Namespace)
	if h.etcd.Embedded() && !awaitOthers(ctx, leases, h.dnsName()) {
		return nil
	}
	reporter := &acks.Reporter{
		Leases:    leases,
		Name:      h.dnsName(),
		Addresses: []string{h.DNSAddr()},
		Version:   Version().GitVersion,
		Serial:    h.zonesSerial,
		Changed:   h.zones.Changed,
		Logger:    h.log,
		Now:       time.Now,
	}
	reporter.Run(ctx)
	return nil
}

// lookForOthers is how often a hub that is its only DNS server looks whether it still is.
const lookForOthers = 5 * time.Second

// awaitOthers waits until a DNS server of another name has told of itself, or tells that the context has ended.
func awaitOthers(ctx context.Context, leases coordination.LeaseInterface, own string) bool {
	for {
		found, err := leases.List(ctx, metav1.ListOptions{ResourceVersion: "0"}) // from memory
		if err == nil && slices.ContainsFunc(found.Items, func(l coordinationv1.Lease) bool { return l.Name != own }) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(lookForOthers):
		}
	}
}

// dnsName tells the DNS servers of the replicas of a hub apart, and stays over a restart.
func (h *Hub) dnsName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("hub-%s-%d", strings.ToLower(host), h.dns.Addr().Port())
}

// confirmBeat is how often the hub makes sure that what DNS serves still holds, and how long the database may take then.
const confirmBeat = 2 * time.Second

// confirmZones notes again and again that what DNS serves holds: the database answers, so that the hub hears of what
// changes there, and all that it has heard is published.
func (h *Hub) confirmZones(ctx context.Context) {
	beat := time.NewTicker(confirmBeat)
	defer beat.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, confirmBeat)
		err := h.etcd.Answers(within)
		cancel()
		if at := h.federation.Load().ZonesAsOf(); err == nil && !at.IsZero() {
			h.zonesHeld.Store(at.UnixNano())
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
	}
}

// zonesHeldAt is when what DNS serves was last known to hold, by this hub or by the one that ran before; zero if it never
// was.
func (h *Hub) zonesHeldAt() time.Time {
	if at := h.zonesHeld.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return h.disk.Heard()
}

// hubRegistry registers the metrics of one hub. Of two hubs in one process the first one is counted, and the second one
// takes nothing of it away.
type hubRegistry struct {
	prometheus.Registerer
	mine []prometheus.Collector
}

// Register implements prometheus.Registerer.
func (m *hubRegistry) Register(c prometheus.Collector) error {
	err := m.Registerer.Register(c)
	if already := (prometheus.AlreadyRegisteredError{}); errors.As(err, &already) {
		return nil
	}
	if err == nil {
		m.mine = append(m.mine, c)
	}
	return err
}

// Unregister implements prometheus.Registerer.
func (m *hubRegistry) Unregister(c prometheus.Collector) bool {
	return slices.Contains(m.mine, c) && m.Registerer.Unregister(c)
}

// measureDNS registers the metric that a server away from the hub has, too, for one to be compared with the other.
func (h *Hub) measureDNS() error {
	serial := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hanse_dns_hub_serial", Help: "Serial of the hub that is answered from; 0 before there is one.",
	}, func() float64 { return float64(h.zonesSerial()) })
	registry := &hubRegistry{Registerer: ctrlmetrics.Registry}
	if err := registry.Register(serial); err != nil {
		return fmt.Errorf("registering the metrics of DNS: %w", err)
	}
	h.closers = append(h.closers, func() error { registry.Unregister(serial); return nil })
	return nil
}

// zonesSerial is the serial of what DNS serves; 0 while that is nothing.
func (h *Hub) zonesSerial() uint32 {
	if s := h.zones.Snapshot(); s != nil {
		return s.Serial()
	}
	return 0
}

// dnsOverHTTPS is where DNS is answered over HTTPS (RFC 8484).
const dnsOverHTTPS = "/dns-query"

// publicRoutes are those of other parts that anybody may use.
func (h *Hub) publicRoutes() []server.Route {
	if !h.config.PublicDNS {
		return nil
	}
	return []server.Route{{Path: dnsOverHTTPS, Handler: h.dns.HTTPS()}}
}

// protectedRoutes are those that need credentials which allow them.
func (h *Hub) protectedRoutes() []server.Route {
	routes := []server.Route{
		{Path: feed.Path, Handler: feed.Serve(h.zones, h.zonesHeldAt), LongRunning: true},
		{Path: querylog.Path, Handler: querylog.Serve(&h.queries), LongRunning: true},
		{Path: update.Path, Handler: h.dns.Updates()},
		{Path: explainPath, Handler: http.HandlerFunc(h.explainDNS)},
	}
	if !h.config.PublicDNS {
		routes = append(routes, server.Route{Path: dnsOverHTTPS, Handler: h.dns.HTTPS()})
	}
	return routes
}

// dnsTLS is the API's certificate, for clients that speak DNS. The DNS server listens before there is one.
func (h *Hub) dnsTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if c := h.dnsCertificate.Load(); c != nil {
			return c, nil
		}
		return nil, errStarting
	}}
}

// dnsUpdates is the way of DNS updates into the hub's store. The DNS server listens before there is one.
type dnsUpdates struct {
	store atomic.Pointer[dynamicupdates.Store]
}

func (u *dnsUpdates) open(loopback *rest.Config, served *zone.Store) error {
	c, err := enroll.NewClient(loopback)
	if err != nil {
		return err
	}
	u.store.Store(&dynamicupdates.Store{Client: c, Served: served})
	return nil
}

var errStarting = errors.New("the hub is starting")

// Update implements dns/server.Updater.
func (u *dnsUpdates) Update(
	ctx context.Context, origin string, change func([]zone.Record) ([]zone.Record, error),
) error {
	store := u.store.Load()
	if store == nil {
		return errStarting
	}
	return store.Update(ctx, origin, change)
}

// dnsSecret is a secret that all replicas of the hub share, and nobody else has: it follows from the key that signs
// tokens.
func dnsSecret(ctx context.Context, kube kubernetes.Interface) ([]byte, error) {
	stored, err := kube.CoreV1().Secrets(v1alpha1.SystemNamespace).Get(ctx, accountKeySecret, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the secret that replicas share: %w", err)
	}
	mac := hmac.New(sha256.New, stored.Data[accountKeyField])
	mac.Write([]byte("DNS cookies"))
	return mac.Sum(nil)[:16], nil
}
