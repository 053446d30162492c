package hub_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/cmd/hub"
)

// Nothing under the folder of etcd has a Secret in it, in the log of etcd neither, and without its key a hub does not
// start, nor does it make another key.
func TestSecretsAreEncryptedAtRest(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const secret = "nobody-may-find-this-text"
	t.Run("running", func(t *testing.T) {
		h := startIn(t, dir)
		object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "default"},
			StringData: map[string]string{"password": secret}}
		if err := h.Create(context.Background(), object); err != nil {
			t.Fatal(err)
		}
	})
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory has mode %v, %v", info.Mode(), err)
	}
	err := filepath.WalkDir(filepath.Join(dir, "etcd"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(secret)) || bytes.Contains(content, []byte("PRIVATE KEY")) {
			t.Errorf("%s has a secret in plain text", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, hub.EncryptionFile)
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key's file has mode %v, %v", info.Mode(), err)
	}
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := newHub(t, dir, "127.0.0.1:0", "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), hub.EncryptionFile) {
		t.Errorf("without its key the hub says %v", err)
	}
	if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it made another key: %v", err)
	}
}
