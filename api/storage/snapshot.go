package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
)

// ErrNotEmpty reports that Restore would have to overwrite something.
var ErrNotEmpty = errors.New("data directory is not empty")

// ErrDamaged reports that a file is no whole snapshot.
var ErrDamaged = errors.New("snapshot is damaged")

// Snapshot writes the whole database, as it is at one moment, to w and returns how many bytes that were. The last 32
// bytes are the SHA-256 of all before, so that Restore can tell a whole snapshot from a part of one.
func (e *Etcd) Snapshot(ctx context.Context, w io.Writer) (int64, error) {
	stream, err := e.client.SnapshotWithVersion(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask etcd for a snapshot: %w", err)
	}
	defer func() { _ = stream.Snapshot.Close() }()
	n, err := io.Copy(w, stream.Snapshot)
	if err != nil {
		return n, fmt.Errorf("read the snapshot after %d bytes: %w", n, err)
	}
	return n, nil
}

// Restore makes the etcd of a new data directory out of a snapshot file. The hub must not be running there.
//
// The file is checked first: its hash, then the database in it. A directory that has anything in its folder "etcd" is
// refused with ErrNotEmpty, a file that is not whole with ErrDamaged; then nothing was written. Clients that watched the
// old hub are told to list again: revisions go on far above the last one of the snapshot.
func Restore(file, dataDir string) error {
	if err := checkSnapshot(file); err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	target := filepath.Join(dataDir, etcdFolder)
	entries, err := os.ReadDir(target)
	switch {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("restore into %s: %w", target, ErrNotEmpty)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("restore into %s: %w", target, err)
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fmt.Errorf("restore into %s: %w", dataDir, err)
	}
	// Beside the target and renamed at the end, so that a restore that was cut short leaves no half a database.
	work, err := os.MkdirTemp(dataDir, "restore-")
	if err != nil {
		return fmt.Errorf("restore into %s: %w", dataDir, err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	made := filepath.Join(work, etcdFolder)
	err = snapshot.NewV3(zapTo(slog.Default())).Restore(snapshot.RestoreConfig{
		SnapshotPath:        file,
		Name:                memberName,
		OutputDataDir:       made,
		PeerURLs:            []string{"http://" + peerHost},
		InitialCluster:      memberName + "=http://" + peerHost,
		InitialClusterToken: "hanse",
		RevisionBump:        revisionBump,
		MarkCompacted:       true,
	})
	if err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	if err := os.WriteFile(filepath.Join(made, layoutFile), []byte(layoutVersion+"\n"), 0o600); err != nil {
		return fmt.Errorf("restore into %s: %w", target, err)
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("restore into %s: %w", target, err)
	}
	if err := os.Rename(made, target); err != nil {
		return fmt.Errorf("restore into %s: %w", target, err)
	}
	return nil
}

// revisionBump is more than a hub can have written since the snapshot was taken: a revision seen by a client before
// the restore must never come again with other content.
const revisionBump = 1_000_000_000

// checkSnapshot compares the file with the SHA-256 at its end.
func checkSnapshot(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	// A database file is made of whole pages; a hash stands behind the last one.
	if info.Size() < 512 || info.Size()%512 != sha256.Size {
		return fmt.Errorf("%w: %d bytes is no length of a snapshot", ErrDamaged, info.Size())
	}
	hash := sha256.New()
	if _, err := io.CopyN(hash, file, info.Size()-sha256.Size); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(file, want); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if string(hash.Sum(nil)) != string(want) {
		return fmt.Errorf("%w: its content does not match its SHA-256", ErrDamaged)
	}
	return nil
}
