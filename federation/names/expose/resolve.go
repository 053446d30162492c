package expose

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// resolveEvery is how often the names of load balancers are looked up; their TTLs are about that long.
	resolveEvery   = 30 * time.Second
	resolveTimeout = 5 * time.Second
)

// resolver looks up the names of load balancers, on the replica that leads. What a name stood for last stays when a
// look-up fails: somebody else's DNS being away must not take a name of ours down.
type resolver struct {
	changed func()
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)

	mu    sync.Mutex
	hosts []string
	known map[string][]netip.Addr
	kick  chan struct{}
}

func newResolver(changed func()) *resolver {
	return &resolver{changed: changed, lookup: net.DefaultResolver.LookupNetIP, known: map[string][]netip.Addr{},
		kick: make(chan struct{}, 1)}
}

// want says which names are to be looked up from now on.
func (r *resolver) want(hosts []string) {
	r.mu.Lock()
	isNew := slices.ContainsFunc(hosts, func(h string) bool { return !slices.Contains(r.hosts, h) })
	r.hosts = hosts
	r.mu.Unlock()
	if isNew {
		select {
		case r.kick <- struct{}{}:
		default:
		}
	}
}

// addresses are those that have been found.
func (r *resolver) addresses() map[string][]netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.known)
}

// run looks names up until the context ends.
func (r *resolver) run(ctx context.Context) {
	again := time.NewTicker(resolveEvery)
	defer again.Stop()
	for {
		r.mu.Lock()
		hosts := r.hosts
		r.mu.Unlock()
		for _, host := range hosts {
			r.resolve(ctx, host)
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		case <-r.kick:
		}
	}
}

func (r *resolver) resolve(ctx context.Context, host string) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	found, err := r.lookup(ctx, "ip", host)
	if err != nil || len(found) == 0 {
		return
	}
	for i := range found {
		found[i] = found[i].Unmap().WithZone("")
	}
	slices.SortFunc(found, netip.Addr.Compare)
	found = slices.Compact(found)
	r.mu.Lock()
	isNews := !slices.Equal(r.known[host], found)
	r.known[host] = found
	r.mu.Unlock()
	if isNews {
		r.changed()
	}
}
