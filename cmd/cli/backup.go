package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/hanse-federation/hanse/api/storage"
	"github.com/hanse-federation/hanse/cmd/hub"
)

// source is the etcd to save.
type source struct {
	dataDir string
	storage.ExternalConfig
}

func newBackup() *cobra.Command {
	var from source
	c := &cobra.Command{
		Use:   "backup FILE (--data-dir DIR | --etcd-endpoints URL)",
		Short: "Save all that a hub knows into a file, also while it runs",
		Long: `Save all that a hub knows into a file: a snapshot of its etcd at one moment, with a checksum.

It runs on the machine of the hub, or reaches its etcd with --etcd-endpoints, and does not disturb a running hub. Only
the file's owner may read it. Secrets and the hub's certificate authority are encrypted in it, and the key is not in it:
keep a copy of encryption-config.yaml of the data directory (or of the file of --encryption-provider-config) apart from
the backups. Without the key, a backup is useless, to a thief and to you.`,
		Example: `  hanse backup hub.snapshot --data-dir /var/lib/hanse`,
		Args:    oneArg("the FILE to write"),
		RunE: func(c *cobra.Command, args []string) error {
			if (from.dataDir == "") == (len(from.Endpoints) == 0) {
				return usagef("name either --data-dir or --etcd-endpoints")
			}
			return runBackup(c, from, args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&from.dataDir, "data-dir", "", "data directory of the hub")
	f.StringSliceVar(&from.Endpoints, "etcd-endpoints", nil, "URLs of the hub's etcd cluster")
	f.StringVar(&from.CAFile, "etcd-cafile", "", "CA of the etcd cluster (PEM)")
	f.StringVar(&from.CertFile, "etcd-certfile", "", "client certificate for it (PEM)")
	f.StringVar(&from.KeyFile, "etcd-keyfile", "", "key of the client certificate (PEM)")
	_ = c.MarkFlagDirname("data-dir")
	return c
}

func runBackup(c *cobra.Command, from source, file string) (err error) {
	if _, err := os.Stat(file); err == nil {
		return failure("Choose another name, or remove it first.", "%s is there already", file)
	}
	p := startProgress(c.ErrOrStderr())
	defer p.stop()
	p.say("opening the hub's etcd")
	etcd, err := from.open(c.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, etcd.Close()) }()
	p.say("saving it to " + file)
	written, err := saveWhole(c.Context(), etcd, file)
	if err != nil {
		return err
	}
	p.stop()
	if key := filepath.Join(from.dataDir, hub.EncryptionFile); from.dataDir != "" && isFile(key) {
		_, _ = fmt.Fprintf(c.ErrOrStderr(), "the key of its Secrets is not in it; keep a copy of %s elsewhere\n", key)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d bytes\n", file, written)
	return err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// saveWhole writes beside the file and renames at the end: a file of that name is always a whole backup, on disk.
func saveWhole(ctx context.Context, etcd *storage.Etcd, file string) (written int64, err error) {
	part, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".part-")
	if err != nil {
		return 0, fmt.Errorf("making the backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	written, err = etcd.Snapshot(ctx, part)
	err = errors.Join(err, part.Sync(), part.Close())
	if err != nil {
		return written, fmt.Errorf("making the backup %s: %w", file, err)
	}
	if err := os.Rename(part.Name(), file); err != nil {
		return written, fmt.Errorf("making the backup: %w", err)
	}
	return written, nil
}

// open reaches the etcd: through the socket of the hub that runs on the data directory, or by running it here.
func (s source) open(ctx context.Context) (*storage.Etcd, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil)) // what matters comes back as errors
	s.Logger = logger
	if s.dataDir == "" {
		etcd, err := storage.OpenExternal(ctx, s.ExternalConfig)
		if err != nil {
			return nil, failure("Check the URLs and certificates; the hub's own flags have the same names.", "%v", err)
		}
		return etcd, nil
	}
	dir, err := filepath.Abs(s.dataDir)
	if err != nil {
		return nil, fmt.Errorf("finding the data directory: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "etcd", "member")); err != nil {
		return nil, failure("Name the --data-dir of the hub; a hub with --etcd-endpoints is saved with the same flags here.",
			"%s is no data directory with a database in it", dir)
	}
	etcd, err := storage.OpenEmbedded(ctx, storage.EmbeddedConfig{DataDir: dir, Logger: logger})
	if !errors.Is(err, storage.ErrInUse) {
		return etcd, err
	}
	s.Endpoints = []string{"unix://" + filepath.Join(dir, "etcd", "run", "client.sock")}
	if etcd, err = storage.OpenExternal(ctx, s.ExternalConfig); err != nil {
		return nil, failure("Run it as the user of the hub. If the path of the directory is very long, stop the hub first.",
			"the hub that runs on %s does not let us in: %v", dir, err)
	}
	return etcd, nil
}

func newRestore() *cobra.Command {
	var dataDir, key string
	c := &cobra.Command{
		Use:   "restore FILE --data-dir DIR",
		Short: "Make the data directory of a hub out of a backup",
		Long: `Make the data directory of a hub out of a backup. The file is checked first; a directory that has a database
already is refused. Then start a hub on it: it brings the members to what the backup says.

A backup does not contain the key of its Secrets. Name your copy of encryption-config.yaml with --encryption-key-file,
or put it into the data directory before the hub starts.`,
		Example: `  hanse restore hub.snapshot --data-dir /var/lib/hanse-restored --encryption-key-file encryption-config.yaml`,
		Args:    oneArg("the FILE of the backup"),
		RunE: func(c *cobra.Command, args []string) error {
			p := startProgress(c.ErrOrStderr())
			defer p.stop()
			var text []byte
			if key != "" {
				var err error
				if text, err = os.ReadFile(key); err != nil {
					return fmt.Errorf("reading the key: %w", err)
				}
			}
			p.say("restoring " + args[0])
			if err := storage.Restore(args[0], dataDir); err != nil {
				return restoreProblem(err)
			}
			if key != "" {
				if err := os.WriteFile(filepath.Join(dataDir, hub.EncryptionFile), text, 0o600); err != nil {
					return fmt.Errorf("writing the key: %w", err)
				}
			}
			p.stop()
			_, err := fmt.Fprintf(c.OutOrStdout(), "restored; now: hanse hub --data-dir %s\n", dataDir)
			return err
		},
	}
	c.Flags().StringVar(&dataDir, "data-dir", "", "data directory to make")
	c.Flags().StringVar(&key, "encryption-key-file", "", "copy of the encryption-config.yaml of the hub that was saved")
	_ = c.MarkFlagRequired("data-dir")
	_ = c.MarkFlagDirname("data-dir")
	return c
}

func restoreProblem(err error) error {
	switch {
	case errors.Is(err, storage.ErrNotEmpty):
		return failure("Name a directory that is empty or not there yet; nothing was changed.", "%v", err)
	case errors.Is(err, storage.ErrDamaged):
		return failure("Take another backup; nothing was changed.", "%v", err)
	case errors.Is(err, os.ErrNotExist):
		return failure("Name the file that hanse backup wrote.", "%v", err)
	}
	return err
}
