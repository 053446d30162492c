package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/feature"
	encryption "k8s.io/apiserver/pkg/storage/value"
	"k8s.io/utils/clock"
)

// DefaultPrefix is where all keys of a hub begin.
const DefaultPrefix = "/hanse"

// compactEvery is how long etcd keeps old revisions: a watcher that was away for less goes on where it stopped, one
// that was away longer gets 410 Expired and lists again. Kubernetes uses the same time.
const compactEvery = 5 * time.Minute

// Etcd is the one connection of this process to its etcd, embedded or external.
// All its methods may be called from several goroutines.
type Etcd struct {
	client    *kubernetes.Client
	prefix    string
	endpoints []string // as Status wants them; one made-up name when etcd is embedded
	embedded  bool
	quota     int64 // bytes; 0 when unknown (external)
	log       *slog.Logger
	compactor compactor
	hard      int64                  // bytes at which etcd itself refuses writes; 0 when unknown
	size      func() int64           // of the embedded database; nil when external
	inUse     func() int64           // of size
	free      func() (int64, error)  // bytes on the disk of the embedded etcd; nil when external
	commit    func()                 // writes what is pending to the file, so that size and inUse are of now
	reserve   atomic.Pointer[string] // of an external etcd: why nothing new is to be written; nil when not known yet
	room      sync.Mutex             // one MakeRoom at a time
	wasFull   time.Time              // when MakeRoom last found the database Full; guarded by room
	defrag    func() error           // of the embedded server; its in-process client panics there (etcd 3.7)

	// transformers encrypt resources; set by Encrypt before any store is made.
	transformers map[schema.GroupResource]encryption.Transformer

	mu      sync.Mutex
	stores  map[*func()]struct{} // destroy functions of the stores, run before the client closes
	closers []func()             // run in reverse order by Close
	closed  bool
}

// compactor is what etcd3.NewCompactor returns; its own type has no exported name.
type compactor interface {
	etcd3.Compactor
	Stop()
}

// named gives the embedded client an endpoint name. The library learns what an etcd can do by asking each endpoint
// for its version, and the in-process client says it has none, which would switch off WatchList and consistent reads
// from the cache.
type named struct {
	*kubernetes.Client
	endpoints []string
}

func (n named) Endpoints() []string { return n.endpoints }

// newEtcd joins client, compactor and feature check. It owns the client from here on.
func newEtcd(client *clientv3.Client, prefix string, endpoints []string, log *slog.Logger) *Etcd {
	kc := &kubernetes.Client{Client: client}
	kc.Kubernetes = kc
	e := &Etcd{client: kc, prefix: prefix, endpoints: endpoints, log: log}
	feature.DefaultFeatureSupportChecker.CheckClient(client.Ctx(), named{kc, endpoints}, storage.RequestWatchProgress)
	e.compactor = etcd3.NewCompactor(client, compactEvery, clock.RealClock{}, nil)
	return e
}

// Client is the shared etcd client. It must not be closed by the caller.
func (e *Etcd) Client() *clientv3.Client { return e.client.Client }

// Prefix is the beginning of all keys of this hub.
func (e *Etcd) Prefix() string { return e.prefix }

// Embedded says whether etcd runs in this process, so that no other hub can be writing to it.
func (e *Etcd) Embedded() bool { return e.embedded }

// Compact drops all revisions older than now and returns the revision that is the oldest afterwards.
// The running hub compacts by itself every five minutes; this is for making space at once.
func (e *Etcd) Compact(ctx context.Context) (int64, error) {
	resp, err := e.client.KV.Get(ctx, e.prefix, clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("read the present revision of etcd: %w", err)
	}
	revision := resp.Header.Revision
	_, err = e.client.KV.Compact(ctx, revision, clientv3.WithCompactPhysical())
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) { // nothing was written since the last time
		return 0, fmt.Errorf("compact etcd at revision %d: %w", revision, err)
	}
	return revision, nil
}

// Close ends the stores, the compactor, the client and, when embedded, the server, in this order.
func (e *Etcd) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	stores := slices.Collect(maps.Keys(e.stores))
	e.mu.Unlock()

	stopAll(stores)
	e.compactor.Stop()
	err := e.client.Close()
	for i := len(e.closers) - 1; i >= 0; i-- {
		e.closers[i]()
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("close the etcd client: %w", err)
	}
	return nil
}

// stopAll runs the destroy functions side by side: each waits for its watch cache to end.
func stopAll(stops []*func()) {
	var wg sync.WaitGroup
	for _, stop := range stops {
		wg.Go(*stop)
	}
	wg.Wait()
}

// onClose remembers what a store needs done before the client closes. It returns the function that does it now and
// forgets it.
func (e *Etcd) onClose(destroy func()) func() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stores == nil {
		e.stores = map[*func()]struct{}{}
	}
	e.stores[&destroy] = struct{}{}
	return func() {
		e.mu.Lock()
		delete(e.stores, &destroy)
		e.mu.Unlock()
		destroy()
	}
}
