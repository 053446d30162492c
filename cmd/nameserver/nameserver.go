package nameserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"github.com/hanse-federation/hanse/dns/disk"
	"github.com/hanse-federation/hanse/dns/feed"
	"github.com/hanse-federation/hanse/dns/geography"
	"github.com/hanse-federation/hanse/dns/querylog"
	"github.com/hanse-federation/hanse/dns/server"
	"github.com/hanse-federation/hanse/dns/update"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/names/acks"
)

// Nameserver is a DNS server that answers already. Make one with New.
type Nameserver struct {
	config   Config
	store    *zone.Store
	dns      *server.Server
	follower *feed.Follower
	reporter *acks.Reporter
	disk     *disk.Disk
	registry *prometheus.Registry
	handover *handover
	queries  querylog.Ring
	// certificate is nil without DNS over TLS and HTTPS.
	certificate *certwatcher.CertWatcher
	web         *web
	credential  *credential // nil: it is not renewed here
	forwarder   *forwarder
	// geography is nil without a database.
	geography zone.Geography
}

// retirePatience is how long connections that are in use may keep a process that was taken over from.
const retirePatience = 5 * time.Second

// New starts to answer. The context is that of the start alone.
func New(ctx context.Context, c Config) (*Nameserver, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	n := &Nameserver{config: c, store: zone.NewStore(), registry: prometheus.NewRegistry()}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if n.geography, err = geography.OpenOptional(c.GeoDatabase); err != nil {
		return nil, err
	}
	if err := n.openCertificate(); err != nil {
		return nil, err
	}
	if err := n.connect(); err != nil {
		return nil, err
	}
	// The former process saves what it serves before it gives its sockets, so they come first.
	former, err := takeOver(ctx, c.DataDir, c.listens())
	if err != nil {
		return nil, err
	}
	defer former.close()
	n.load()
	if err := n.serve(former); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// connect prepares what speaks to the hub; it asks nobody.
func (n *Nameserver) connect() error {
	var hub *rest.Config
	hub, n.credential = newCredential(n.config.Hub, n.config.DataDir, n.config.Now, n.config.Logger)
	client, err := rest.HTTPClientFor(hub)
	if err != nil {
		return fmt.Errorf("preparing a client of the hub: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(hub)
	if err != nil {
		return fmt.Errorf("reading the address of the hub: %w", err)
	}
	leases, err := coordination.NewForConfig(hub)
	if err != nil {
		return fmt.Errorf("preparing a client of the hub: %w", err)
	}
	n.follower = &feed.Follower{
		URL: base.JoinPath(feed.Path).String(), Client: client, Store: n.store, Now: n.config.Now,
	}
	n.forwarder = &forwarder{url: base.JoinPath(update.Path).String(), client: client}
	n.credential.speakThrough(base, client)
	n.reporter = &acks.Reporter{
		Leases: leases.Leases(acks.Namespace), Name: n.config.Name, Version: n.config.Version,
		Serial: n.follower.Serial, Changed: n.store.Changed, Logger: n.config.Logger, Now: n.config.Now,
	}
	return nil
}

// load publishes the snapshot on disk, if there is a good one.
func (n *Nameserver) load() {
	n.disk = disk.New(n.config.DataDir, n.config.Logger)
	if n.disk.Load(n.store) {
		n.config.Logger.Info("answering from the snapshot on disk until the hub has spoken",
			"serial", n.store.Snapshot().Serial(), "heard", n.disk.Heard())
	}
}

// serve opens the sockets, or goes on with those of a former process.
func (n *Nameserver) serve(former *inheritance) error {
	inherited := former.take()
	var err error
	n.dns, err = server.New(server.Config{
		Geography: n.geography,
		ListenTLS: n.config.ListenTLS, TLS: n.tls(), Forwarder: n.forwarder,
		Listen: n.config.Listen, Inherited: slices.Clone(inherited), Snapshot: n.store,
		ResponsesPerSecond: n.config.ResponsesPerSecond, Registerer: n.registry, Logger: n.config.Logger,
		Heard: n.asOf, Now: n.config.Now, Identity: n.config.Identity, Queries: &n.queries,
	})
	if err != nil {
		return fmt.Errorf("preparing DNS: %w", err)
	}
	if err := n.dns.Start(); err != nil {
		return err
	}
	if err := n.startWeb(former); err != nil {
		return err
	}
	for _, s := range n.dns.Sockets() {
		if s.UDP != nil && !slices.Contains(n.reporter.Addresses, s.UDP.LocalAddr().String()) {
			n.reporter.Addresses = append(n.reporter.Addresses, s.UDP.LocalAddr().String())
		}
	}
	if len(inherited) > 0 {
		if err := former.retire(); err != nil {
			n.config.Logger.Warn("the former process was taken over from, but has not said that it ended", "error", err)
		} else {
			n.config.Logger.Info("took over from the former process")
		}
	}
	n.register()
	n.handover = listenForSuccessor(n.config.DataDir, n.config.listens(), n.sockets, n.config.Logger)
	return nil
}

// asOf is when the hub last knew that what is answered holds, as it told this process or the one that wrote the snapshot;
// zero if neither.
func (n *Nameserver) asOf() time.Time {
	if at := n.follower.AsOf(); !at.IsZero() {
		return at
	}
	return n.disk.Heard()
}

// sockets are all that a process that takes over needs.
func (n *Nameserver) sockets() []openSocket {
	return append(dnsSockets(n.dns.Sockets()), n.web.sockets()...)
}

// Addr is the first address that is answered on.
func (n *Nameserver) Addr() netip.AddrPort { return n.dns.Addr() }

// Serial of the hub that is answered from; 0: none of it yet.
func (n *Nameserver) Serial() uint32 { return n.follower.Serial() }

// Run serves until the context ends or another process has taken over.
func (n *Nameserver) Run(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var group errgroup.Group
	group.Go(func() error { n.follow(ctx); return nil })
	group.Go(func() error { n.reporter.Run(ctx); return nil })
	group.Go(func() error { n.disk.Keep(ctx, n.store, n.follower.AsOf); return nil })
	group.Go(func() error {
		defer end(nil)
		return n.serveMetrics(ctx)
	})
	group.Go(func() error { n.serveLog(ctx); return nil })
	group.Go(func() error { n.watchCertificate(ctx); return nil })
	group.Go(func() error { n.credential.keep(ctx); return nil })
	group.Go(func() error {
		if !n.handover.run(ctx, func() { n.disk.Save(n.store.Snapshot()) }) {
			return nil
		}
		n.disk.Leave()
		end(acks.ErrSucceeded)
		n.config.Logger.Info("another process has taken over")
		n.web.retire(retirePatience)
		n.dns.Retire(retirePatience)
		n.handover.confirm()
		return nil
	})
	return group.Wait()
}

// Pauses between two tries to reach the hub; they double.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// follow keeps the store as the hub says.
func (n *Nameserver) follow(ctx context.Context) {
	pause := firstPause
	isAway := false
	for ctx.Err() == nil {
		before := n.follower.Heard()
		ended := make(chan error, 1)
		go func() { ended <- n.follower.Follow(ctx) }()
		err := n.await(ended, before, &isAway)
		if ctx.Err() != nil {
			return
		}
		if n.follower.Heard() != before {
			pause = firstPause
		}
		if !isAway {
			n.config.Logger.Warn("the hub is away; what it said last is answered until it is back", "error", err)
			isAway = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)): // so that many servers do not come back at once
		}
		pause = min(2*pause, longestPause)
	}
}

// await waits until a feed has ended, and says meanwhile that the hub is back.
func (n *Nameserver) await(ended <-chan error, before time.Time, isAway *bool) error {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for isTold := false; ; {
		select {
		case err := <-ended:
			return err
		case <-look.C:
			if !isTold && n.follower.Heard() != before {
				isTold = true
				n.config.Logger.Info("following the hub", "serial", n.follower.Serial(), "was away", *isAway)
				*isAway = false
			}
		}
	}
}

// Close stops answering. It may be called more than once.
func (n *Nameserver) Close() error {
	if n.handover != nil {
		n.handover.close()
	}
	n.web.close()
	if n.dns == nil {
		return nil
	}
	return n.dns.Close()
}
