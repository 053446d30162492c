package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"golang.org/x/sys/unix"
)

const (
	// layoutVersion changes when a hub could not read what an older one wrote.
	layoutVersion = "hanse-etcd-1"
	layoutFile    = "LAYOUT"
	lockFile      = "LOCK"
	etcdFolder    = "etcd"

	// DefaultQuotaBytes is the size of the database at which nothing new is taken (2 GiB, etcd's own default).
	DefaultQuotaBytes = 2 << 30

	// minReserve and maxReserve bound what is kept above the quota for making space: the deletion of an object that waits
	// for its copies is a write, too.
	minReserve, maxReserve = 8 << 20, 256 << 20

	// maxRequestBytes bounds one etcd request. An API body may have 3 MiB; stored as protobuf it is smaller.
	maxRequestBytes = 3 << 20

	// memberName is the name of the only member of an embedded etcd.
	memberName = "hub"

	// longestSocket is what a unix socket address can hold (sun_path on Linux, less the closing zero).
	longestSocket = 107
)

// ErrInUse reports that another process has the data directory open.
var ErrInUse = errors.New("data directory is in use by another process")

// ErrLayout reports that the data directory was written by another version, or is not one of ours.
var ErrLayout = errors.New("data directory has another layout")

// EmbeddedConfig says where and how large an embedded etcd may be.
type EmbeddedConfig struct {
	// DataDir is the hub's data directory. etcd lives in its folder "etcd"; other files beside it are left alone.
	// It is made (0700) when missing.
	DataDir string
	// QuotaBytes is the size of the database from which on it is Full. etcd itself refuses writes an eighth above it (at
	// least 8 MiB, at most 256 MiB). 0 means DefaultQuotaBytes.
	QuotaBytes int64
	// Prefix is the beginning of all keys. Empty means DefaultPrefix.
	Prefix string
	// Logger gets etcd's warnings and errors. nil means slog.Default().
	Logger *slog.Logger
}

// OpenEmbedded starts an etcd of one member under cfg.DataDir and waits until it serves or ctx ends.
// It returns ErrInUse or ErrLayout (wrapped) when the directory must not be touched.
func OpenEmbedded(ctx context.Context, cfg EmbeddedConfig) (*Etcd, error) {
	if cfg.DataDir == "" {
		return nil, errors.New("open embedded etcd: no data directory given")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.QuotaBytes == 0 {
		cfg.QuotaBytes = DefaultQuotaBytes
	}
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}

	dir := filepath.Join(cfg.DataDir, etcdFolder)
	unlock, err := claim(dir)
	if err != nil {
		return nil, fmt.Errorf("open embedded etcd in %s: %w", cfg.DataDir, err)
	}
	sockets, removeSockets, err := socketFolder(dir)
	if err != nil {
		unlock()
		return nil, fmt.Errorf("open embedded etcd in %s: %w", cfg.DataDir, err)
	}
	undo := func() { removeSockets(); unlock() }

	if free, err := freeOn(dir); err == nil && free < diskStart {
		undo()
		return nil, fmt.Errorf("start embedded etcd in %s: only %d KiB are left on its disk; make space there", dir, free>>10)
	}
	server, err := embed.StartEtcd(embedConfig(dir, sockets, cfg))
	if err != nil {
		undo()
		return nil, fmt.Errorf("start embedded etcd in %s: %w", dir, err)
	}
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		server.Close()
		undo()
		return nil, fmt.Errorf("start embedded etcd in %s: %w", dir, err)
	case <-ctx.Done():
		server.Close()
		undo()
		return nil, fmt.Errorf("wait for embedded etcd in %s: %w", dir, ctx.Err())
	}

	e := newEtcd(v3client.New(server.Server), cfg.Prefix, []string{"embedded"}, cfg.Logger)
	e.embedded, e.quota = true, cfg.QuotaBytes
	e.hard = hardQuota(cfg.QuotaBytes)
	e.size, e.inUse = server.Server.Backend().Size, server.Server.Backend().SizeInUse
	e.free = func() (int64, error) { return freeOn(dir) }
	e.client.KV = guarded{e.client.KV, e}
	e.commit, e.defrag = server.Server.Backend().ForceCommit, server.Server.Backend().Defrag
	e.closers = []func(){undo, server.Close}
	return e, nil
}

// embedConfig is the whole setting of the embedded server.
func embedConfig(dir, sockets string, cfg EmbeddedConfig) *embed.Config {
	c := embed.NewConfig()
	c.Name = memberName
	c.Dir = dir
	c.QuotaBackendBytes = hardQuota(cfg.QuotaBytes)
	c.MaxRequestBytes = maxRequestBytes
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapTo(cfg.Logger))

	// A cluster of one elects itself. Short times make the start quick and cannot lose an election.
	c.TickMs, c.ElectionMs = 50, 250
	// The hub compacts (etcd3.Compactor), so that watch caches know how far.
	c.AutoCompactionRetention = "0"
	c.EnableGRPCGateway = false
	// Entries kept in memory beside the log: a cluster of one has no follower that could need them.
	c.SnapshotCount, c.SnapshotCatchUpEntries = 1000, 100

	// etcd puts host and path of a unix URL together, so the host stays empty; advertised URLs must have a host,
	// and nobody dials them.
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(sockets, "client.sock")}}
	c.ListenPeerUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(sockets, "peer.sock")}}
	c.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "localhost:2379"}}
	c.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: peerHost}}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	return c
}

// hardQuota is the quota and the reserve above it.
func hardQuota(quota int64) int64 { return quota + min(max(quota/8, minReserve), maxReserve) }

// peerHost is the advertised peer address of the only member; Restore writes the same one.
const peerHost = "localhost:2380"

// claim makes the folder, takes its lock and checks its layout. The lock ends with the process, however it ends.
func claim(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	unlock = func() { _ = lock.Close() }
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := readHolder(lock)
		unlock()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w%s", ErrInUse, holder)
		}
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := checkLayout(dir); err != nil {
		unlock()
		return nil, err
	}
	// Only for the message above: who holds it.
	if err := lock.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(lock, "%d\n", os.Getpid())
	}
	return unlock, nil
}

// readHolder says which process wrote its number into the lock, for the error message.
func readHolder(lock *os.File) string {
	buf := make([]byte, 32)
	n, _ := lock.ReadAt(buf, 0)
	if pid := strings.TrimSpace(string(buf[:n])); pid != "" {
		return " (pid " + pid + ")"
	}
	return ""
}

// checkLayout refuses a folder that another version wrote and marks a new one.
func checkLayout(dir string) error {
	path := filepath.Join(dir, layoutFile)
	found, err := os.ReadFile(path)
	switch {
	case err == nil:
		if got := strings.TrimSpace(string(found)); got != layoutVersion {
			return fmt.Errorf("%w: it says %q, this program reads %q; use the program version that wrote it, "+
				"or its backup", ErrLayout, got, layoutVersion)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read layout: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "member")); err == nil {
		return fmt.Errorf("%w: %s has etcd data but no file %s", ErrLayout, dir, layoutFile)
	}
	if err := os.WriteFile(path, []byte(layoutVersion+"\n"), 0o600); err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	return nil
}

// socketFolder is a folder of mode 0700 for the sockets: in the data directory, or, when that path is longer than a
// socket address can be, a temporary one.
func socketFolder(dir string) (folder string, remove func(), err error) {
	folder = filepath.Join(dir, "run")
	if len(filepath.Join(folder, "client.sock")) > longestSocket {
		folder, err = os.MkdirTemp("", "hanse-etcd-")
		if err != nil {
			return "", nil, fmt.Errorf("make socket folder: %w", err)
		}
		return folder, func() { _ = os.RemoveAll(folder) }, nil
	}
	// What a killed process left behind would be "address already in use"; the lock says nobody listens there.
	if err := os.RemoveAll(folder); err != nil {
		return "", nil, fmt.Errorf("remove old sockets: %w", err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", nil, fmt.Errorf("make socket folder: %w", err)
	}
	return folder, func() { _ = os.RemoveAll(folder) }, nil
}
