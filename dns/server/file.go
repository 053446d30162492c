package server

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hanse-federation/hanse/dns/zone"
)

// SaveSnapshot writes what a snapshot amounts to into the file at path, whole or not at all: a reader, also after a
// crash or a power cut, finds the former content or the new one. A server started with LoadSnapshot answers without
// whoever made the configuration.
func SaveSnapshot(path string, s *zone.Snapshot) error {
	c, err := s.Config()
	if err != nil {
		return fmt.Errorf("saving DNS snapshot %d: %w", s.Serial(), err)
	}
	data, err := zone.Marshal(c)
	if err != nil {
		return err
	}
	if err := replaceFile(path, data); err != nil {
		return fmt.Errorf("saving DNS snapshot %d: %w", s.Serial(), err)
	}
	return nil
}

// LoadSnapshot reads the file at path. The error is zone.ErrDamaged or zone.ErrNotASnapshot for a file that
// SaveSnapshot did not write, and fs.ErrNotExist if there is none.
func LoadSnapshot(path string) (zone.Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return zone.Config{}, fmt.Errorf("loading the DNS snapshot: %w", err)
	}
	c, err := zone.Unmarshal(data)
	if err != nil {
		return zone.Config{}, fmt.Errorf("loading the DNS snapshot from %s: %w", path, err)
	}
	return c, nil
}

// replaceFile writes beside path, makes sure that it is on disk, and renames.
func replaceFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
