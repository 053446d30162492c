package storage

import (
	"context"
	"fmt"
	"net/http"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// diskLow is the free space on the disk of an embedded etcd, in bytes, under which nothing new is taken. etcd makes
	// its log in files of 64 MiB, the next one before it is needed, and ends the process when it cannot.
	diskLow = 256 << 20
	// diskOut is that under which nothing at all is written, so that the hub goes on to serve what it has: one more file
	// of the log may be on its way.
	diskOut = 96 << 20
	// diskStart is that under which an embedded etcd is not even started: it would end in the middle.
	diskStart = 8 << 20
)

// freeOn is the space on a folder's disk that is left to us, in bytes.
func freeOn(folder string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return 0, fmt.Errorf("ask how much space is left on the disk of %s: %w", folder, err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil // their types differ from system to system
}

// diskShort reports whether less than so many bytes are left on the disk of the embedded etcd, and how many. A disk
// that cannot be asked is not short.
func (e *Etcd) diskShort(of int64) (free int64, short bool) {
	if e.free == nil {
		return 0, false
	}
	free, err := e.free()
	return free, err == nil && free < of
}

// diskRefusal says that the disk is short, for people.
func (e *Etcd) diskRefusal(free int64) string {
	return fmt.Sprintf("only %d MiB are left on the disk of the hub's data directory; make space there", free>>20)
}

// guarded writes nothing to a disk that is all but full.
type guarded struct {
	clientv3.KV
	etcd *Etcd
}

// refusal is the answer to every write while the disk is all but full, nil otherwise.
func (g guarded) refusal() error {
	free, short := g.etcd.diskShort(diskOut)
	if !short {
		return nil
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusInsufficientStorage,
		Reason:  ReasonNoSpace,
		Message: "nothing is written: " + g.etcd.diskRefusal(free),
	}}
}

// Put implements clientv3.KV.
func (g guarded) Put(ctx context.Context, key, value string, o ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	if err := g.refusal(); err != nil {
		return nil, err
	}
	return g.KV.Put(ctx, key, value, o...)
}

// Delete implements clientv3.KV.
func (g guarded) Delete(ctx context.Context, key string, o ...clientv3.OpOption) (*clientv3.DeleteResponse, error) {
	if err := g.refusal(); err != nil {
		return nil, err
	}
	return g.KV.Delete(ctx, key, o...)
}

// Txn implements clientv3.KV.
func (g guarded) Txn(ctx context.Context) clientv3.Txn { return guardedTxn{g.KV.Txn(ctx), g} }

// guardedTxn is a transaction that asks before it is committed. All that is made here writes.
type guardedTxn struct {
	clientv3.Txn
	kv guarded
}

// If implements clientv3.Txn.
func (t guardedTxn) If(conditions ...clientv3.Cmp) clientv3.Txn {
	return guardedTxn{t.Txn.If(conditions...), t.kv}
}

// Then implements clientv3.Txn.
func (t guardedTxn) Then(operations ...clientv3.Op) clientv3.Txn {
	return guardedTxn{t.Txn.Then(operations...), t.kv}
}

// Else implements clientv3.Txn.
func (t guardedTxn) Else(operations ...clientv3.Op) clientv3.Txn {
	return guardedTxn{t.Txn.Else(operations...), t.kv}
}

// Commit implements clientv3.Txn.
func (t guardedTxn) Commit() (*clientv3.TxnResponse, error) {
	if err := t.kv.refusal(); err != nil {
		return nil, err
	}
	return t.Txn.Commit()
}
