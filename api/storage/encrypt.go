package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"
	encryption "k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
)

// encryptedPrefix is how a value begins that one of the providers of k8s.io/apiserver has encrypted.
var encryptedPrefix = []byte("k8s:enc:")

// secrets is the resource whose encryption also protects what Keep stores.
var secrets = schema.GroupResource{Resource: "secrets"}

// Encrypt sets how the objects of some resources are encrypted in etcd. Call it before any store is made.
func (e *Etcd) Encrypt(transformers map[schema.GroupResource]encryption.Transformer) {
	e.transformers = transformers
}

// Encrypts reports whether Secrets are encrypted in etcd.
func (e *Etcd) Encrypts() bool { return e.transformers[secrets] != nil }

// transformer is how a resource is stored: in plain text unless Encrypt says otherwise. A value that is encrypted
// although no key is known is an error, never an object.
func (e *Etcd) transformer(resource schema.GroupResource) encryption.Transformer {
	if t := e.transformers[resource]; t != nil {
		return t
	}
	return identity.NewEncryptCheckTransformer()
}

// HasEncrypted reports whether etcd holds a Secret, or something of the hub itself, that is encrypted.
func (e *Etcd) HasEncrypted(ctx context.Context) (bool, error) {
	found := errors.New("found")
	for _, prefix := range []string{e.folder(secrets), path.Join(e.prefix, "kept") + "/"} {
		err := e.each(ctx, prefix, func(_ []byte, text []byte, _ int64) error {
			if bytes.HasPrefix(text, encryptedPrefix) {
				return found
			}
			return nil
		})
		if errors.Is(err, found) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// Reencrypt writes anew what is stored in plain text or with an older key, and returns how many values that were.
// Objects keep their content; a write that happens meanwhile wins. Afterwards it takes the old values out of the
// history and, when etcd is embedded, out of the file.
func (e *Etcd) Reencrypt(ctx context.Context) (int, error) {
	rewritten := 0
	rewrite := func(t encryption.Transformer) func(key, text []byte, revision int64) error {
		return func(key, text []byte, revision int64) error {
			about := encryption.DefaultContext(key)
			plain, stale, err := t.TransformFromStorage(ctx, text, about)
			if err != nil {
				return fmt.Errorf("decrypt %s: %w", key, err)
			}
			if !stale {
				return nil
			}
			encrypted, err := t.TransformToStorage(ctx, plain, about)
			if err != nil {
				return fmt.Errorf("encrypt %s: %w", key, err)
			}
			answer, err := e.client.Txn(ctx).
				If(clientv3.Compare(clientv3.ModRevision(string(key)), "=", revision)).
				Then(clientv3.OpPut(string(key), string(encrypted), clientv3.WithIgnoreLease())).Commit()
			if err != nil {
				return fmt.Errorf("write %s: %w", key, err)
			}
			if answer.Succeeded {
				rewritten++
			}
			return nil
		}
	}
	for resource, t := range e.transformers {
		if err := e.each(ctx, e.folder(resource), rewrite(t)); err != nil {
			return rewritten, fmt.Errorf("re-encrypt %s: %w", resource, err)
		}
	}
	if e.Encrypts() {
		if err := e.each(ctx, path.Join(e.prefix, "kept")+"/", rewrite(e.transformer(secrets))); err != nil {
			return rewritten, fmt.Errorf("re-encrypt what the hub keeps: %w", err)
		}
	}
	if rewritten == 0 {
		return 0, nil
	}
	if _, err := e.Compact(ctx); err != nil {
		return rewritten, err
	}
	if e.defrag != nil {
		if err := e.defrag(); err != nil {
			return rewritten, fmt.Errorf("take old values out of the database file: %w", err)
		}
	}
	return rewritten, nil
}

// folder is the beginning of the keys of a resource.
func (e *Etcd) folder(resource schema.GroupResource) string {
	return path.Join("/", e.prefix, resource.Group, resource.Resource) + "/"
}

// pageSize is how many values are read from etcd at once.
const pageSize = 200

// each calls do for all keys below a prefix, as they are at one revision.
func (e *Etcd) each(ctx context.Context, prefix string, do func(key, text []byte, revision int64) error) error {
	end, from, revision := clientv3.GetPrefixRangeEnd(prefix), prefix, int64(0)
	for {
		page, err := e.client.KV.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize),
			clientv3.WithRev(revision))
		if err != nil {
			return fmt.Errorf("read %s: %w", prefix, err)
		}
		revision = page.Header.Revision
		for _, kv := range page.Kvs {
			if err := do(kv.Key, kv.Value, kv.ModRevision); err != nil {
				return err
			}
		}
		if !page.More || len(page.Kvs) == 0 {
			return nil
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}
