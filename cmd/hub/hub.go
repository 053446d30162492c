package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hanse-federation/hanse/api/access"
	"github.com/hanse-federation/hanse/api/server"
	"github.com/hanse-federation/hanse/api/storage"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/disk"
	"github.com/hanse-federation/hanse/dns/geography"
	"github.com/hanse-federation/hanse/dns/querylog"
	dnsserver "github.com/hanse-federation/hanse/dns/server"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation"
	"github.com/hanse-federation/hanse/federation/names/acks"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/admission"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// Hub is a hub that is ready to run.
type Hub struct {
	config Config
	url    string
	// apiAddr is where the API listens.
	apiAddr net.Addr
	log     *slog.Logger

	etcd  *storage.Etcd
	pki   *access.PKI
	api   *server.Server
	zones *zone.Store
	dns   *dnsserver.Server
	disk  *disk.Disk
	// dnsCertificate is what DNS over TLS is served with, from when there is one.
	dnsCertificate atomic.Pointer[tls.Config]
	// queries are those of DNS, for whoever watches.
	queries querylog.Ring
	// places is nil without a geographic database.
	places zone.Geography
	// updates takes what others write into zones, when the API is there.
	updates dnsUpdates
	// zonesHeld is when what DNS serves was last known to be what the hub's store says, in Unix nanoseconds; 0: never.
	zonesHeld atomic.Int64
	// These are built anew when the Lease was lost, see keepFederation.
	federation    atomic.Pointer[federation.Federation]
	doors         *doors
	claims        atomic.Pointer[match.Index]
	endFederation context.CancelFunc

	// encryptionHealth checks the KMS plugins that encrypt Secrets.
	encryptionHealth []healthz.HealthChecker

	// isStopping is set as soon as Run is told to end; see libraryHandler.
	isStopping atomic.Bool

	ctx     context.Context // of parts that New starts
	closers []func() error
}

// etcdPatience is how long etcd is given to serve at the start.
const etcdPatience = time.Minute

// New builds a hub. The context is that of the start alone.
func New(ctx context.Context, c Config) (*Hub, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	h := &Hub{config: c, log: c.Logger}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	h.ctx = life
	h.closers = append(h.closers, func() error { end(); return nil })
	h.speakThrough(c.Logger)
	if err := h.build(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// build makes all parts. Each needs those above it.
func (h *Hub) build(ctx context.Context) error {
	h.zones = zone.NewStore()
	var listener net.Listener
	steps := []struct {
		name string
		do   func() error
	}{
		{"data directory", h.openDataDir},
		{"DNS", h.buildDNS}, // first, since it can answer from what it has on disk
		{"etcd", func() error { return h.openEtcd(ctx) }},
		{"encryption", func() error { return h.openEncryption(ctx) }}, // before anything secret is stored
		{"certificates", func() error { return h.openPKI(ctx) }},
		{"port", func() (err error) { listener, err = h.listen(ctx); return err }},
		{"API", func() error { return h.buildAPI(listener) }},
		{"federation", func() error { return h.buildFederation(ctx) }},
		{"kubeconfig", func() error { return h.pki.WriteAdminKubeconfig(h.config.KubeconfigOut, h.url) }},
	}
	for _, step := range steps {
		begin := time.Now()
		if err := step.do(); err != nil {
			return err
		}
		h.log.Debug("start", "step", step.name, "took", time.Since(begin))
	}
	return nil
}

func (h *Hub) openDataDir() error {
	if err := os.MkdirAll(h.config.DataDir, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if err := h.closeDataDir(); err != nil {
		return err
	}
	probe, err := os.CreateTemp(h.config.DataDir, ".writable-")
	if err != nil {
		return fmt.Errorf("writing to the data directory: %w", err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// closeDataDir takes the access of groups and others from the data directory. A volume that belongs to somebody else,
// as Kubernetes mounts them, stays as it is: what is in it has modes of its own.
func (h *Hub) closeDataDir() error {
	info, err := os.Stat(h.config.DataDir)
	if err != nil {
		return fmt.Errorf("reading the mode of the data directory: %w", err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	err = os.Chmod(h.config.DataDir, 0o700)
	switch {
	case errors.Is(err, os.ErrPermission):
		h.log.Warn("others may use the data directory, and it belongs to another user: chmod 700 it",
			"directory", h.config.DataDir, "mode", info.Mode().Perm().String())
	case err != nil:
		return fmt.Errorf("closing the data directory to others: %w", err)
	default:
		h.log.Warn("others could use the data directory; it has mode 0700 now", "directory", h.config.DataDir,
			"mode", info.Mode().Perm().String())
	}
	return nil
}

func (h *Hub) openEtcd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, etcdPatience)
	defer cancel()
	var err error
	c := h.config.Etcd
	if len(c.Endpoints) > 0 {
		h.etcd, err = storage.OpenExternal(ctx, storage.ExternalConfig{
			Endpoints: c.Endpoints, CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile,
			Prefix: c.Prefix, Logger: h.log,
		})
	} else {
		h.etcd, err = storage.OpenEmbedded(ctx, storage.EmbeddedConfig{
			DataDir: h.config.DataDir, QuotaBytes: c.QuotaBytes, Prefix: c.Prefix, Logger: h.log,
		})
	}
	if err != nil {
		return err
	}
	h.closers = append(h.closers, h.etcd.Close)
	return nil
}

func (h *Hub) openPKI(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, etcdPatience)
	defer cancel()
	sans := slices.Clone(h.config.SANs)
	if host, _, err := net.SplitHostPort(h.config.Listen); err == nil && host != "" {
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
			sans = append(sans, host)
		}
	}
	pki, err := access.OpenPKI(filepath.Join(h.config.DataDir, "pki"), access.PKIOptions{
		SANs: sans,
		Keep: func(text []byte) ([]byte, error) { return h.etcd.Keep(ctx, "authority", text) },
	})
	if err != nil {
		return err
	}
	h.pki = pki
	overTLS := pki.ServingTLS().Clone()
	overTLS.NextProtos = []string{"dot"} // RFC 7858
	overTLS.ClientAuth = tls.NoClientCert
	h.dnsCertificate.Store(overTLS)
	return nil
}

func (h *Hub) listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", h.config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for the API on %s: %w", h.config.Listen, err)
	}
	h.closers = append(h.closers, func() error { _ = listener.Close(); return nil })
	h.apiAddr = listener.Addr()
	h.url = h.config.AdvertiseURL
	if h.url == "" {
		h.url = "https://" + reachable(listener.Addr())
	}
	return listener, nil
}

// reachable is an address as a client on this machine can use it.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
}

func (h *Hub) buildDNS() error {
	dir := filepath.Join(h.config.DataDir, "dns")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of the DNS snapshot: %w", err)
	}
	h.disk = disk.New(dir, h.log)
	if h.disk.Load(h.zones) {
		h.log.Debug("DNS answers from the snapshot on disk until the store is read",
			"serial", h.zonesSerial(), "heard", h.disk.Heard())
	}
	var err error
	if h.places, err = geography.OpenOptional(h.config.GeoDatabase); err != nil {
		return err
	}
	h.dns, err = dnsserver.New(dnsserver.Config{
		Geography: h.places,
		Listen:    h.config.DNSListen, Snapshot: h.zones, Registerer: &hubRegistry{Registerer: ctrlmetrics.Registry}, Logger: h.log,
		ListenTLS: h.config.DNSListenTLS, TLS: h.dnsTLS(), Updater: &h.updates,
		Identity: h.config.DNSIdentity, Queries: &h.queries, ResponsesPerSecond: h.config.DNSResponsesPerSecond,
		Heard: h.zonesHeldAt,
	})
	if err != nil {
		return fmt.Errorf("preparing DNS: %w", err)
	}
	h.closers = append(h.closers, h.dns.Close)
	if err := h.dns.Start(); err != nil {
		return fmt.Errorf("listening for DNS on %s: %w", strings.Join(h.config.DNSListen, ", "), err)
	}
	return h.measureDNS()
}

func (h *Hub) buildAPI(listener net.Listener) error {
	h.claims.Store(match.NewIndex(h.namespaceLabels))
	h.doors = newDoors(h.ctx, h.config, h.pki)
	crds, err := v1alpha1.CustomResourceDefinitions()
	if err != nil {
		return err
	}
	reviews, err := h.reviews()
	if err != nil {
		return err
	}
	readiness := append([]healthz.HealthChecker{healthz.NamedCheck("federation", h.federationReady)},
		h.encryptionHealth...)
	h.api, err = server.New(server.Config{
		Etcd:          h.etcd,
		Listener:      listener,
		TLS:           h.pki.ServingTLS(),
		Access:        h.doors.open,
		CRDs:          crds,
		Namespaces:    []string{v1alpha1.SystemNamespace, acks.Namespace},
		Public:        h.publicRoutes(),
		Protected:     h.protectedRoutes(),
		Admission:     h.admission(),
		Clusters:      h.clusters,
		Members:       h.members,
		Reviews:       reviews,
		Metrics:       ownMetrics{},
		PublicHealth:  h.config.PublicHealth,
		PublicMetrics: h.config.PublicMetrics,
		Audit:         h.config.Audit,
		Readiness:     readiness,
		Version:       Version(),
		Logger:        h.log,
	})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, func() error { h.api.Close(); return nil })
	return h.updates.open(h.api.Loopback(), h.zones)
}

func (h *Hub) buildFederation(ctx context.Context) error {
	loopback := h.api.Loopback()
	kube, err := kubernetes.NewForConfig(loopback)
	if err != nil {
		return fmt.Errorf("preparing a client of the hub: %w", err)
	}
	system, err := kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the hub's identity: %w", err)
	}
	seed := fnv.New64a()
	_, _ = seed.Write([]byte(system.UID))
	secret, err := dnsSecret(ctx, kube)
	if err != nil {
		return err
	}
	claims := match.NewIndex(h.namespaceLabels)
	life, end := context.WithCancel(h.ctx)
	var built *federation.Federation
	followed := func(r schema.GroupVersionResource) cache.SharedIndexInformer { return built.Informer(r) }
	built, err = federation.New(life, federation.Config{
		Hub:        h.api.StoredLoopback(),
		Records:    h.api.Records(),
		HubUID:     string(system.UID),
		Claims:     claims,
		Zones:      h.zones,
		DNSSeed:    seed.Sum64(),
		DNSSecret:  secret,
		DNSServers: dnsServers(h.dns.Addr().Addr()),
		Scope:      h.probeScope,
		Elect:      !h.etcd.Embedded(),
		Identity:   identity(h.config.Listen),

		LargeOutageThreshold: h.config.LargeOutageThreshold,
		Sweep:                h.config.SweepInterval,

		AllowExec: h.config.AllowExec,
		May:       h.doors.may,
		Leading:   nativeControllers(loopback, followed, h.pki.CABundle()),
		Logger:    h.log,
	})
	if err != nil {
		end()
		return err
	}
	h.claims.Store(claims)
	h.federation.Store(built)
	h.endFederation = end
	return nil
}

// identity names this replica of the hub, and this start of it, in the Lease: two hubs that run with the same process id
// in two containers, or after a restart, are not the same.
func identity(listen string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s_%d_%s_%s", host, os.Getpid(), listen, rand.String(6))
}

// rebuildPause is between two tries to build the federation anew.
const rebuildPause = time.Second

// keepFederation runs the reconcilers until the context ends. With an etcd cluster they run where a Lease is held, and
// whoever cannot renew it, since etcd is away or this process was stopped for a while, must not go on: they end, and a
// new set waits for the Lease. API and DNS serve on meanwhile.
func (h *Hub) keepFederation(ctx context.Context) error {
	for {
		err := h.federation.Load().Run(ctx)
		h.endFederation()
		if ctx.Err() != nil || h.etcd.Embedded() {
			return err
		}
		h.log.Warn("the reconcilers have ended and start again", "error", err)
		for {
			if err := h.buildFederation(ctx); err == nil {
				break
			} else if ctx.Err() == nil {
				h.log.Warn("starting the reconcilers again", "error", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(rebuildPause):
			}
		}
	}
}

// Run serves until the context ends, or until a part that the hub cannot do without has ended. The reconcilers stop
// first: they give back the Lease and end their last writes through the API, which drains after them.
func (h *Hub) Run(ctx context.Context) error {
	h.log.Info("hub is running", "url", h.url, "dns", h.DNSAddr(), "data", h.config.DataDir,
		"kubeconfig", h.config.KubeconfigOut)
	ctx, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(ctx, func() { h.isStopping.Store(true) })()
	serving, endServing := context.WithCancel(context.WithoutCancel(ctx))
	defer endServing()
	var group errgroup.Group
	group.Go(func() error {
		defer end()
		return named("the API", h.api.Run(serving))
	})
	group.Go(func() error { h.etcd.KeepSpace(serving); return nil })
	group.Go(func() error { h.reencrypt(ctx); return nil })
	group.Go(func() error { return h.reportDNS(ctx) })
	group.Go(func() error { h.confirmZones(serving); return nil })
	group.Go(func() error { h.disk.Keep(serving, h.zones, h.zonesHeldAt); return nil })
	group.Go(func() error {
		defer endServing()
		defer end()
		return named("the federation", h.keepFederation(ctx))
	})
	err := group.Wait()
	h.log.Info("hub has stopped")
	return err
}

func named(part string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("%s ended: %w", part, err)
}

// Close gives back what New took, in reverse order. It may be called more than once.
func (h *Hub) Close() error {
	var failures []error
	for _, closing := range slices.Backward(h.closers) {
		failures = append(failures, closing())
	}
	h.closers = nil
	return errors.Join(failures...)
}

// URL of the API.
func (h *Hub) URL() string { return h.url }

// Kubeconfig is the path of the administrator's kubeconfig.
func (h *Hub) Kubeconfig() string { return h.config.KubeconfigOut }

// DNSAddr is the first address that DNS is served on.
func (h *Hub) DNSAddr() string { return h.dns.Addr().String() }

func (h *Hub) namespaceLabels(name string) labels.Set {
	f := h.federation.Load()
	if f == nil {
		return nil
	}
	return f.NamespaceLabels(name)
}

// members is server.Members. A federation is there before the API's port answers.
func (h *Hub) members(name, prefix string, caller user.Info) http.Handler {
	return h.federation.Load().Member(name, prefix, caller)
}

// clusterFacts are what decisions know of the clusters; false until they are read.
func (h *Hub) clusterFacts() ([]placement.Cluster, bool) {
	f := h.federation.Load()
	if f == nil {
		return nil, false
	}
	return f.ClusterFacts()
}

// zonesNow are the Zones of the present; false until they are read.
func (h *Hub) zonesNow() ([]v1alpha1.Zone, bool) {
	f := h.federation.Load()
	if f == nil {
		return nil, false
	}
	return f.Zones()
}

// namespace looks up the labels of a namespace of the hub.
func (h *Hub) namespace(name string) (labels.Set, bool) {
	f := h.federation.Load()
	if f == nil {
		return nil, false
	}
	found, exists := f.Templates().Get(template.Ref{Kind: "Namespace", Name: name})
	if !exists {
		return nil, false
	}
	return found.GetLabels(), true
}

// templates are what admission counts; nil until they are read.
func (h *Hub) templates() admission.Templates {
	f := h.federation.Load()
	if f == nil {
		return nil
	}
	return f.Templates()
}

func (h *Hub) joined() (map[string]bool, bool) {
	f := h.federation.Load()
	if f == nil {
		return nil, false
	}
	return f.Joined()
}

func (h *Hub) clusters(group, kind, namespace, name string) string {
	f := h.federation.Load()
	if f == nil {
		return ""
	}
	return f.Clusters(group, kind, namespace, name)
}
