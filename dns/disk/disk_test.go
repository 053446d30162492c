package disk

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-federation/hanse/dns/zone"
)

func published(t *testing.T, serial uint32, origin string) *zone.Store {
	t.Helper()
	store := zone.NewStore()
	err := store.Set(zone.Config{Serial: serial, Zones: []zone.Zone{{Origin: origin, NameServers: []zone.NameServer{{Name: "ns.elsewhere."}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// TestDiskKeepsTheLast: what was saved last is loaded, with the time at which the hub was heard.
func TestDiskKeepsTheLast(t *testing.T) {
	dir := t.TempDir()
	d := New(dir, slog.New(slog.DiscardHandler))
	if _, ok := d.read(); ok {
		t.Error("an empty directory has a snapshot")
	}
	d.Save(published(t, 7, "one.test").Snapshot())
	heard := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	d.touch(heard)
	d.touch(time.Time{}) // nothing was heard
	next := New(dir, slog.New(slog.DiscardHandler))
	c, ok := next.read()
	if !ok || c.Serial != 7 || c.Zones[0].Origin != "one.test." && c.Zones[0].Origin != "one.test" || !next.heard.Equal(heard) {
		t.Errorf("loaded %v of %s, heard %s", c.Serial, c.Zones[0].Origin, next.heard)
	}
	d.Leave()
	d.Save(published(t, 8, "two.test").Snapshot())
	if c, _ := next.read(); c.Serial != 7 {
		t.Errorf("a process that was taken over from has written serial %d", c.Serial)
	}
}

// TestDiskSetsAside: a file that cannot be used is kept beside, and nothing is answered from it.
func TestDiskSetsAside(t *testing.T) {
	good := filepath.Join(t.TempDir(), snapshotFile)
	New(filepath.Dir(good), slog.New(slog.DiscardHandler)).Save(published(t, 7, "one.test").Snapshot())
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(text)
	flipped[len(flipped)-1] ^= 1
	for name, damaged := range map[string][]byte{
		"empty": {}, "cut": text[:len(text)/2], "a bit": flipped, "something else": []byte("hello\n"), "longer": append(bytes.Clone(text), 0),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, snapshotFile)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			if _, ok := New(dir, slog.New(slog.NewTextHandler(&said, nil))).read(); ok {
				t.Error("it was loaded")
			}
			kept, err := os.ReadFile(filepath.Join(dir, damagedFile))
			if err != nil || !bytes.Equal(kept, damaged) {
				t.Errorf("it was not kept: %v", err)
			}
			if _, err := os.Stat(path); err == nil || !strings.Contains(said.String(), "SERVFAIL is answered until the hub has spoken") {
				t.Errorf("it is still there, or nobody was told: %s", &said)
			}
		})
	}
}

// TestDiskFollows: what is published is on disk soon, and what came last is at the end.
func TestDiskFollows(t *testing.T) {
	dir := t.TempDir()
	store := published(t, 1, "one.test")
	d := New(dir, slog.New(slog.DiscardHandler))
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.Keep(ctx, store, func() time.Time { return time.Time{} }); close(done) }()
	for serial := uint32(2); serial < 20; serial++ {
		c, err := store.Snapshot().Config()
		if err != nil {
			t.Fatal(err)
		}
		c.Serial = serial
		if err := store.Set(c); err != nil {
			t.Fatal(err)
		}
	}
	end()
	<-done
	if c, ok := New(dir, slog.New(slog.DiscardHandler)).read(); !ok || c.Serial != 19 {
		t.Errorf("serial %d is on disk, want 19", c.Serial)
	}
}
