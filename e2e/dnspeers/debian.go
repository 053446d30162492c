package dnspeers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// ErrNoPackages says that the programs cannot be had here: no apt-get, or no package of that name within its reach.
var ErrNoPackages = errors.New("the Debian packages of the peers cannot be had here")

// Programs are unpacked Debian packages.
type Programs struct{ root string }

// Unpack makes the programs of some packages, and the libraries that they need and this machine lacks, ready to run.
// The second time it takes no network.
func Unpack(ctx context.Context, packages ...string) (*Programs, error) {
	_, here, _, _ := runtime.Caller(0)
	store := filepath.Join(filepath.Dir(here), "..", "..", "bin", "dnspeers")
	p := &Programs{root: filepath.Join(store, "root")}
	for _, dir := range []string{p.root, filepath.Join(store, "packages")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("unpacking DNS programs: %w", err)
		}
	}
	unlock, err := lock(filepath.Join(store, "lock"))
	if err != nil {
		return nil, fmt.Errorf("unpacking DNS programs: %w", err)
	}
	defer unlock()
	for _, name := range packages {
		if err := p.unpack(ctx, store, name); err != nil {
			return nil, fmt.Errorf("unpacking %s: %w", name, err)
		}
	}
	return p, nil
}

// lock keeps other processes out of a directory that this one fills.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// unpack unpacks one package with what it depends on; a file with the package's name says that it was done.
func (p *Programs) unpack(ctx context.Context, store, name string) error {
	done := filepath.Join(store, "packages", name)
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	missing, err := dependencies(ctx, name)
	if err != nil {
		return err
	}
	downloads, err := os.MkdirTemp(store, "download.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(downloads)
	// As root, apt downloads as a user of its own, who cannot write here; it says so, and goes on as root.
	if err := run(ctx, downloads, "apt-get", append([]string{"download", "-qq"}, missing...)...); err != nil {
		return fmt.Errorf("%w: %w", ErrNoPackages, err)
	}
	files, err := filepath.Glob(filepath.Join(downloads, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := run(ctx, downloads, "dpkg-deb", "-x", file, p.root); err != nil {
			return err
		}
	}
	return os.WriteFile(done, nil, 0o644)
}

// dependencies are the packages that installing one would install. A package that is installed already is only itself:
// the copy of it is unpacked all the same, so that all programs are in one place.
func dependencies(ctx context.Context, name string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "install", "-s", "-qq", "--no-install-recommends", name).Output()
	if err != nil {
		return nil, fmt.Errorf("%w: apt-get knows no way to install %s (apt-get update may help): %w",
			ErrNoPackages, name, err)
	}
	all := []string{name}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Inst" && f[1] != name {
			all = append(all, f[1])
		}
	}
	return all, nil
}

func run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(output.String()))
	}
	return nil
}

// Command prepares a program to be run.
func (p *Programs) Command(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
	for _, dir := range []string{"usr/sbin", "usr/bin"} {
		path := filepath.Join(p.root, dir, program)
		if _, err := os.Stat(path); err == nil {
			cmd := exec.CommandContext(ctx, path, args...)
			cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(p.libraries(), ":"))
			return cmd, nil
		}
	}
	return nil, fmt.Errorf("%s is in none of the packages that were unpacked", program)
}

// libraries are the directories with shared libraries, which Debian names after the machine.
func (p *Programs) libraries() []string {
	dirs, _ := filepath.Glob(filepath.Join(p.root, "usr", "lib", "*-linux-gnu*"))
	return append(dirs, filepath.Join(p.root, "usr", "lib"))
}
