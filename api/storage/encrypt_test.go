package storage

import (
	"bytes"
	"crypto/aes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	encryption "k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
)

// withKeys encrypts Secrets with the first key and reads what any of them, or none, has encrypted.
func withKeys(t *testing.T, e *Etcd, keys ...byte) {
	t.Helper()
	var providers []encryption.PrefixTransformer
	for _, key := range keys {
		block, err := aes.NewCipher(bytes.Repeat([]byte{key}, 32))
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := aestransformer.NewGCMTransformer(block)
		if err != nil {
			t.Fatal(err)
		}
		providers = append(providers, encryption.PrefixTransformer{
			Prefix: []byte("k8s:enc:aesgcm:v1:" + string('a'+key) + ":"), Transformer: gcm,
		})
	}
	providers = append(providers, encryption.PrefixTransformer{Transformer: identity.NewEncryptCheckTransformer()})
	e.Encrypt(map[schema.GroupResource]encryption.Transformer{
		secrets: encryption.NewPrefixTransformers(errors.New("no key"), providers...),
	})
}

// A data directory from before is read, and is encrypted afterwards; a rotated key takes over what the older one wrote,
// and no old value stays in the database file.
func TestReencrypt(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, 0)
	const secret = "the-very-secret-text"
	for range pageSize + 1 {
		put(t, e, "/hanse/secrets/default/a", secret)
	}
	put(t, e, "/hanse/secrets/default/b", secret)
	put(t, e, "/hanse/configmaps/default/c", "the-open-text")
	if _, err := e.Keep(t.Context(), "authority", []byte(secret)); err != nil {
		t.Fatal(err)
	}
	if has, err := e.HasEncrypted(t.Context()); err != nil || has {
		t.Fatalf("nothing is encrypted, and it says %v, %v", has, err)
	}
	for _, step := range []struct {
		name string
		keys []byte
		want int
	}{
		{"plain text", []byte{1}, 3}, {"again", []byte{1}, 0}, {"a new key", []byte{2, 1}, 3}, {"the new key alone", []byte{2}, 0},
	} {
		withKeys(t, e, step.keys...)
		if got, err := e.Reencrypt(t.Context()); err != nil || got != step.want {
			t.Fatalf("%s: it rewrote %d values, %v; want %d", step.name, got, err, step.want)
		}
		if kept, err := e.Keep(t.Context(), "authority", nil); err != nil || string(kept) != secret {
			t.Fatalf("%s: it keeps %q, %v", step.name, kept, err)
		}
		if raw := value(t, e, "/hanse/secrets/default/b"); !bytes.HasPrefix([]byte(raw), encryptedPrefix) {
			t.Errorf("%s: etcd has %q", step.name, raw)
		}
	}
	if raw := value(t, e, "/hanse/configmaps/default/c"); raw != "the-open-text" {
		t.Errorf("a ConfigMap became %q", raw)
	}
	if has, err := e.HasEncrypted(t.Context()); err != nil || !has {
		t.Errorf("all is encrypted, and it says %v, %v", has, err)
	}
	e.commit()
	file, err := os.ReadFile(filepath.Join(dir, etcdFolder, "member", "snap", "db"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, []byte(secret)) {
		t.Error("the database file still has the secret in plain text")
	}
	withKeys(t, e)
	if kept, err := e.Keep(t.Context(), "authority", nil); err == nil {
		t.Errorf("without a key it gives %q", kept)
	}
}
