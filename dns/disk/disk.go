package disk

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hanse-federation/hanse/dns/server"
	"github.com/hanse-federation/hanse/dns/zone"
)

// The snapshot on disk, and where a damaged one goes.
const (
	snapshotFile = "snapshot"
	damagedFile  = "snapshot.damaged"
)

const (
	// saveEvery is the least time between two saves, which cost as much as the whole is large.
	saveEvery = 2 * time.Second
	// touchEvery is how often the file's time is brought up to when the hub was heard last.
	touchEvery = 30 * time.Second
)

// Disk is the file with the last snapshot.
type Disk struct {
	path  string
	log   *slog.Logger
	heard time.Time

	mu    sync.Mutex
	saved *zone.Snapshot
	// isFailed: the last save failed, and that was logged.
	isFailed bool
	// isLeft: the file is another process's now.
	isLeft bool
}

// New returns the Disk of a data directory.
func New(dir string, log *slog.Logger) *Disk {
	return &Disk{path: filepath.Join(dir, snapshotFile), log: log}
}

// Load publishes the snapshot in the file, and reports whether there is a good one. A damaged file is set aside.
func (d *Disk) Load(store *zone.Store) bool {
	c, ok := d.read()
	if !ok {
		return false
	}
	if err := store.Set(c); err != nil {
		d.setAside(err)
		return false
	}
	d.saved = store.Snapshot()
	return true
}

// Heard is when the hub last knew that the snapshot in the file held; zero if none was loaded.
func (d *Disk) Heard() time.Time { return d.heard }

func (d *Disk) read() (zone.Config, bool) {
	c, err := server.LoadSnapshot(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.log.Info("there is no snapshot on disk yet; waiting for the hub", "file", d.path)
		return c, false
	case err != nil:
		d.setAside(err)
		return c, false
	}
	if info, err := os.Stat(d.path); err == nil {
		d.heard = info.ModTime()
	}
	return c, true
}

// setAside keeps a file that cannot be used for whoever wants to know why, and says so.
func (d *Disk) setAside(why error) {
	aside := filepath.Join(filepath.Dir(d.path), damagedFile)
	d.log.Error("the snapshot on disk cannot be used and is set aside; SERVFAIL is answered until the hub has spoken",
		"error", why, "kept as", aside)
	if err := os.Rename(d.path, aside); err != nil {
		d.log.Error("setting the snapshot aside", "error", err)
	}
}

// Keep saves what is published, until the context ends, and then once more.
func (d *Disk) Keep(ctx context.Context, store *zone.Store, heard func() time.Time) {
	touch := time.NewTicker(touchEvery)
	defer touch.Stop()
	for {
		changed := store.Changed()
		d.Save(store.Snapshot())
		select {
		case <-ctx.Done():
		case <-time.After(saveEvery):
		}
		select {
		case <-ctx.Done():
			d.Save(store.Snapshot())
			return
		case <-changed:
		case <-touch.C:
			d.touch(heard())
		}
	}
}

// touch gives the file the time of the hub's last word. Its age is for people to see, nothing depends on it.
func (d *Disk) touch(heard time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !heard.IsZero() && d.saved != nil && !d.isLeft {
		_ = os.Chtimes(d.path, heard, heard)
	}
}

// Leave saves nothing from then on.
func (d *Disk) Leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.isLeft = true
}

// Save writes a snapshot that is not the one on disk.
func (d *Disk) Save(s *zone.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s == nil || s == d.saved || d.isLeft {
		return
	}
	if err := server.SaveSnapshot(d.path, s); err != nil {
		if !d.isFailed {
			d.log.Error("saving; a restart without the hub would answer from an older snapshot", "error", err)
		}
		d.isFailed = true
		return
	}
	d.saved, d.isFailed = s, false
}
