package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func open(t *testing.T, dir string, quota int64) *Etcd {
	t.Helper()
	e, err := OpenEmbedded(t.Context(), EmbeddedConfig{DataDir: dir, QuotaBytes: quota, Logger: quiet()})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func put(t *testing.T, e *Etcd, key, value string) {
	t.Helper()
	if _, err := e.Client().Put(t.Context(), key, value); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

func value(t *testing.T, e *Etcd, key string) string {
	t.Helper()
	resp, err := e.Client().Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if len(resp.Kvs) == 0 {
		return ""
	}
	return string(resp.Kvs[0].Value)
}

func TestDataSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, 0)
	put(t, e, "/hanse/a", "1")
	if err := e.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if got := value(t, open(t, dir, 0), "/hanse/a"); got != "1" {
		t.Errorf("after the restart a is %q, want 1", got)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, 0)
	_, err := OpenEmbedded(t.Context(), EmbeddedConfig{DataDir: dir, Logger: quiet()})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("second open: %v, want ErrInUse", err)
	}
	if pid := fmt.Sprint(os.Getpid()); !strings.Contains(err.Error(), pid) {
		t.Errorf("the error does not name the process %s: %v", pid, err)
	}
}

func TestOtherLayoutIsRefused(t *testing.T) {
	for _, test := range []struct{ name, file, content string }{
		{"newer version", filepath.Join(etcdFolder, layoutFile), "hanse-etcd-99\n"},
		{"somebody else's etcd", filepath.Join(etcdFolder, "member", "snap", "db"), "x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, test.file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := OpenEmbedded(t.Context(), EmbeddedConfig{DataDir: dir, Logger: quiet()})
			if !errors.Is(err, ErrLayout) {
				t.Fatalf("open: %v, want ErrLayout", err)
			}
			if got, _ := os.ReadFile(path); string(got) != test.content {
				t.Errorf("the refused file was changed to %q", got)
			}
		})
	}
}

func TestSocketFolderIsPrivate(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, 0)
	for _, deep := range []bool{false, true} {
		folder, remove, err := socketFolder(filepath.Join(t.TempDir(), strings.Repeat("x", map[bool]int{true: 100}[deep])))
		if deep {
			if err != nil {
				t.Fatalf("a long path: %v", err)
			}
			defer remove()
			if len(folder) > longestSocket-len("/client.sock") {
				t.Errorf("socket folder %s is too long for an address", folder)
			}
			checkMode(t, folder)
		}
	}
	checkMode(t, filepath.Join(dir, etcdFolder))
}

func checkMode(t *testing.T, folder string) {
	t.Helper()
	info, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("%s has mode %v, want 0700", folder, info.Mode().Perm())
	}
}

func TestSnapshotAndRestore(t *testing.T) {
	e := open(t, t.TempDir(), 0)
	put(t, e, "/hanse/kept", "1")
	file := filepath.Join(t.TempDir(), "backup")
	var buf bytes.Buffer
	if _, err := e.Snapshot(t.Context(), &buf); err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, e, "/hanse/later", "1")
	before, err := e.Client().Get(t.Context(), "/hanse/later")
	if err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Restore(file, dir); err != nil {
		t.Fatalf("restore: %v", err)
	}
	if err := Restore(file, dir); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("second restore: %v, want ErrNotEmpty", err)
	}
	r := open(t, dir, 0)
	if value(t, r, "/hanse/kept") != "1" || value(t, r, "/hanse/later") != "" {
		t.Errorf("restored kept=%q later=%q, want 1 and nothing", value(t, r, "/hanse/kept"), value(t, r, "/hanse/later"))
	}
	after, err := r.Client().Get(t.Context(), "/hanse/kept")
	if err != nil {
		t.Fatal(err)
	}
	if after.Header.Revision <= before.Header.Revision {
		t.Errorf("revision went from %d to %d", before.Header.Revision, after.Header.Revision)
	}
}

func TestDamagedSnapshotIsRefused(t *testing.T) {
	e := open(t, t.TempDir(), 0)
	put(t, e, "/hanse/a", strings.Repeat("x", 5000))
	var buf bytes.Buffer
	if _, err := e.Snapshot(t.Context(), &buf); err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	whole := buf.Bytes()
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{
		"empty": nil, "cut short": whole[:len(whole)-100], "a page short": whole[:len(whole)-4096], "one bit": flipped,
	} {
		t.Run(name, func(t *testing.T) {
			file, dir := filepath.Join(t.TempDir(), "backup"), t.TempDir()
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := Restore(file, dir); !errors.Is(err, ErrDamaged) {
				t.Errorf("restore: %v, want ErrDamaged", err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("the refused restore left %v", left)
			}
		})
	}
}

func TestFullDatabaseRecovers(t *testing.T) {
	e := open(t, t.TempDir(), 8<<20)
	fill := strings.Repeat("x", 512<<10)
	var full error
	for i := 0; full == nil && i < 100; i++ {
		_, full = e.Client().Put(t.Context(), fmt.Sprintf("/hanse/fill/%d", i), fill)
	}
	if full == nil {
		t.Fatal("50 MiB went into a quota of 8")
	}
	var problem error
	for _, check := range e.Checks() {
		if check.Name == "etcd-space" {
			problem = check.Run(t.Context())
		}
	}
	if problem == nil || !strings.Contains(problem.Error(), "quota") {
		t.Errorf("readiness says %v, want the quota named", problem)
	}
	if value(t, e, "/hanse/fill/0") == "" {
		t.Error("reads fail while the database is full")
	}
	if err := e.MakeSpace(t.Context()); err == nil {
		t.Error("space was made although nothing was deleted")
	}
	if _, err := e.Client().Delete(t.Context(), "/hanse/fill/", clientv3.WithPrefix()); err != nil {
		t.Fatalf("delete while full: %v", err)
	}
	for range 2 { // the second time there is nothing to compact, which is no error
		if err := e.MakeSpace(t.Context()); err != nil {
			t.Fatalf("make space: %v", err)
		}
	}
	put(t, e, "/hanse/after", "1")
	health, err := e.Health(t.Context())
	if err != nil || health.NoSpace || health.Quota != 8<<20 || health.Size >= 8<<20 {
		t.Errorf("health after making space: %+v, %v", health, err)
	}
}

// Everything in a full database can be deleted, also what is written once more before it goes.
func TestFullDatabaseCanBeEmptied(t *testing.T) {
	e := open(t, t.TempDir(), 8<<20)
	fill := strings.Repeat("x", 512<<10)
	count := 0
	for ; e.Full() == ""; count++ {
		put(t, e, fmt.Sprintf("/hanse/fill/%d", count), fill)
		e.commit() // the size is known then; the whole reserve of so small a database fits between two commits
	}
	for i := range count {
		e.MakeRoom(t.Context())
		key := fmt.Sprintf("/hanse/fill/%d", i)
		put(t, e, key, fill+"deleted")
		put(t, e, key+"/what became of it", fill) // what the hub writes of it
		put(t, e, key+"/what became of it", fill+"gone")
		if _, err := e.Client().Delete(t.Context(), key, clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.MakeSpace(t.Context()); err != nil || e.Full() != "" {
		t.Errorf("it is still full: %v", err)
	}
}

func TestExternalUnreachableIsAnError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := OpenExternal(ctx, ExternalConfig{Endpoints: []string{"http://127.0.0.1:1"}, Logger: quiet()})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("open: %v, want an error that names the endpoint", err)
	}
}

func TestExternalSharesWhatEmbeddedServes(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, 0)
	put(t, e, "/hanse/a", "1")
	socket := filepath.Join(dir, etcdFolder, "run", "client.sock")
	if _, err := os.Stat(socket); err != nil {
		t.Skipf("the path of this test is too long for a socket: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	external, err := OpenExternal(ctx, ExternalConfig{Endpoints: []string{"unix://" + socket}, Logger: quiet()})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer func() { _ = external.Close() }()
	if got := value(t, external, "/hanse/a"); got != "1" {
		t.Errorf("a is %q through the second client, want 1", got)
	}
	if external.Embedded() {
		t.Error("an external etcd says it is embedded")
	}
}

// Of an external etcd's quota the last twentieth is kept for deletions, which go on; when they have made space, writes do.
func TestTheReserveOfAnExternalEtcd(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, 8<<20)
	socket := filepath.Join(dir, etcdFolder, "run", "client.sock")
	if _, err := os.Stat(socket); err != nil {
		t.Skipf("the path of this test is too long for a socket: %v", err)
	}
	external, err := OpenExternal(t.Context(), ExternalConfig{Endpoints: []string{"unix://" + socket}, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = external.Close() }()
	fill := strings.Repeat("x", 32<<10) // larger ones leave gaps that the next does not fit into: of so small a quota too many
	for i := 0; external.Full() == ""; i++ {
		if i == 800 {
			t.Fatal("it is never full")
		}
		put(t, external, fmt.Sprintf("/hanse/fill/%d", i), fill)
		e.commit() // the size is known then
		external.lookAtReserve(t.Context())
	}
	if why := external.Full(); !strings.Contains(why, "the rest is kept for deletions") {
		t.Errorf("it says %q", why)
	}
	if err := external.checkSpace(t.Context()); err == nil {
		t.Error("readiness says nothing")
	}
	if _, err := external.Client().Delete(t.Context(), "/hanse/fill/", clientv3.WithPrefix()); err != nil {
		t.Fatalf("deleting: %v", err)
	}
	if _, err := external.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.commit()
	external.lookAtReserve(t.Context())
	if why := external.Full(); why != "" {
		t.Errorf("after deletions it is full: %s", why)
	}
}

// The first value stays, over restarts as well, and looking is no write.
func TestKeepKeepsTheFirst(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, 0)
	for _, step := range []struct{ give, want string }{{"", ""}, {"one", "one"}, {"two", "one"}, {"", "one"}} {
		got, err := e.Keep(t.Context(), "authority", []byte(step.give))
		if err != nil || string(got) != step.want {
			t.Errorf("given %q it keeps %q, %v; want %q", step.give, got, err, step.want)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, dir, 0)
	if got, err := e.Keep(t.Context(), "authority", []byte("three")); err != nil || string(got) != "one" {
		t.Errorf("after a restart it keeps %q, %v", got, err)
	}
}

// While the disk is short nothing new is taken; while it is all but full nothing is written, and reads go on.
func TestAShortDisk(t *testing.T) {
	e := open(t, t.TempDir(), 0)
	put(t, e, "/hanse/before", "1")
	if why := e.Full(); why != "" {
		t.Fatalf("the disk of the tests has not enough space: %s", why)
	}
	for _, step := range []struct {
		name                string
		free                int64
		isRefused, takesNew bool
	}{
		{"plenty", diskLow, false, true},
		{"short", diskLow - 1, false, false},
		{"the last for what is underway", diskOut, false, false},
		{"all but full", diskOut - 1, true, false},
		{"full", 0, true, false},
		{"and space again", diskLow, false, true},
	} {
		e.free = func() (int64, error) { return step.free, nil }
		if why := e.Full(); (why == "") != step.takesNew {
			t.Errorf("%s: takes new things: %q", step.name, why)
		}
		var readiness error
		for _, check := range e.Checks() {
			readiness = errors.Join(readiness, check.Run(t.Context()))
		}
		if (readiness == nil) != step.takesNew {
			t.Errorf("%s: readiness says %v", step.name, readiness)
		}
		_, putErr := e.Client().Put(t.Context(), "/hanse/later", step.name)
		_, deleteErr := e.Client().Delete(t.Context(), "/hanse/nothing")
		_, txnErr := e.Client().Txn(t.Context()).If(clientv3.Compare(clientv3.Version("/hanse/none"), "=", 0)).
			Then(clientv3.OpPut("/hanse/txn", step.name)).Else(clientv3.OpGet("/hanse/txn")).Commit()
		_, kubeErr := e.client.OptimisticPut(t.Context(), "/hanse/kube-"+step.name, nil, 0, kubernetes.PutOptions{})
		for name, err := range map[string]error{"put": putErr, "delete": deleteErr, "txn": txnErr, "kubernetes": kubeErr} {
			if (apierrors.ReasonForError(err) == ReasonNoSpace) != step.isRefused || err != nil && !step.isRefused {
				t.Errorf("%s: %s answers %v", step.name, name, err)
			}
		}
		if value(t, e, "/hanse/before") != "1" {
			t.Errorf("%s: reads do not go on", step.name)
		}
	}
	if _, err := e.Compact(t.Context()); err != nil {
		t.Errorf("compact: %v", err)
	}
}

// What is worth stopping the database for: space that is enough for a while.
func TestWhenDefragmentingIsWorthIt(t *testing.T) {
	e := &Etcd{quota: 1000 << 20, hard: 1100 << 20}
	for _, c := range []struct {
		name string
		h    Health
		want bool
	}{
		{"half of the quota is in use", Health{NoSpace: true, Size: 1000 << 20, InUse: 500 << 20, Quota: e.quota}, true},
		{"nearly all is in use", Health{NoSpace: true, Size: 1000 << 20, InUse: 950 << 20, Quota: e.quota}, false},
		{"as before, and deletions cannot be written",
			Health{NoSpace: true, Refuses: true, Size: 1100 << 20, InUse: 1040 << 20, Quota: e.quota}, true},
		{"gaps make up for the disk", Health{DiskShort: true, DiskFree: 200 << 20, Size: 300 << 20, InUse: 100 << 20}, true},
		{"gaps do not make up for it", Health{DiskShort: true, DiskFree: 100 << 20, Size: 110 << 20, InUse: 80 << 20}, false},
		{"the copy does not fit", Health{DiskShort: true, DiskFree: 100 << 20, Size: 900 << 20, InUse: 300 << 20}, false},
	} {
		if got := e.isWorthIt(c.h); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
