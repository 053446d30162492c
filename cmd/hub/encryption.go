package hub

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"sigs.k8s.io/yaml"
)

// EncryptionFile is the file in the data directory that holds the key for Secrets. It lies outside the database, so
// that a copy of the database, or a backup, is useless without it.
const EncryptionFile = "encryption-config.yaml"

// generatedEncryption is what a hub with an embedded etcd starts with: Secrets are encrypted with a key of its own, and
// Secrets of an older data directory, in plain text, can be read.
const generatedEncryption = `# The key that encrypts the Secrets in this hub's database. A backup does not contain it: keep a copy of this file
# apart from the backups. Without it, the Secrets and the hub's certificate authority cannot be read.
# To rotate: put a new key in front of the old one and restart the hub; when it has logged "re-encrypted", remove the
# old key and restart again.
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - secretbox:
      keys:
      - name: %s
        secret: %s
  - identity: {}
`

// openEncryption reads how Secrets are encrypted, and makes the key at the first start on an embedded etcd.
func (h *Hub) openEncryption(ctx context.Context) error {
	path := h.config.EncryptionProviderConfig
	if path == "" {
		if !h.etcd.Embedded() {
			return h.refuseEncrypted(ctx, "name the file with --encryption-provider-config")
		}
		path = filepath.Join(h.config.DataDir, EncryptionFile)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if err := h.refuseEncrypted(ctx, "restore "+path+" from your copy of it"); err != nil {
				return err
			}
			if err := makeEncryption(path); err != nil {
				return err
			}
			h.log.Info("made the key that encrypts Secrets; backups do not contain it, so keep a copy of it", "file", path)
		} else if err != nil {
			return fmt.Errorf("reading the encryption configuration: %w", err)
		}
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("the encryption configuration %s has mode %04o, and everybody may read its keys: chmod 600 it",
			path, info.Mode().Perm())
	}
	// The context outlives the start: it ends the connections to a KMS.
	loaded, err := encryptionconfig.LoadEncryptionConfig(h.ctx, path, false, "hanse-hub")
	if err != nil {
		return fmt.Errorf("reading the encryption configuration %s: %w", path, err)
	}
	h.etcd.Encrypt(loaded.Transformers)
	if len(loaded.HealthChecks) > 0 {
		h.encryptionHealth, err = kmsHealth(path, loaded.HealthChecks)
	}
	return err
}

// refuseEncrypted is an error when Secrets are encrypted and nobody has said how.
func (h *Hub) refuseEncrypted(ctx context.Context, next string) error {
	ctx, cancel := context.WithTimeout(ctx, etcdPatience)
	defer cancel()
	has, err := h.etcd.HasEncrypted(ctx)
	if err != nil {
		return fmt.Errorf("looking for encrypted Secrets: %w", err)
	}
	if has {
		return fmt.Errorf("the database holds Secrets that are encrypted, and their key is not there: %s", next)
	}
	return nil
}

// makeEncryption writes a configuration with a new key. The file is there whole, or not at all.
func makeEncryption(path string) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("making the key for Secrets: %w", err)
	}
	text := fmt.Sprintf(generatedEncryption, "made-"+time.Now().UTC().Format("20060102-150405"),
		base64.StdEncoding.EncodeToString(key))
	part, err := os.CreateTemp(filepath.Dir(path), ".encryption-") // mode 0600
	if err != nil {
		return fmt.Errorf("making the key for Secrets: %w", err)
	}
	defer func() { _ = os.Remove(part.Name()) }()
	_, err = part.WriteString(text)
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return fmt.Errorf("writing the key for Secrets: %w", err)
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return fmt.Errorf("writing the key for Secrets: %w", err)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing the key for Secrets: %w", err)
	}
	// The key must be on disk before anything is encrypted with it.
	return errors.Join(folder.Sync(), folder.Close())
}

// kmsHealth gives the checks of the KMS plugins names that say which plugin is meant.
func kmsHealth(path string, checks []healthz.HealthChecker) ([]healthz.HealthChecker, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the encryption configuration: %w", err)
	}
	var config apiserverv1.EncryptionConfiguration
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("reading the encryption configuration %s: %w", path, err)
	}
	var names []string
	for _, resource := range config.Resources {
		for _, provider := range resource.Providers {
			if provider.KMS != nil {
				names = append(names, provider.KMS.Name)
			}
		}
	}
	var named []healthz.HealthChecker
	for _, check := range checks {
		named = append(named, healthz.NamedCheck("kms-"+strings.Join(names, "-"), check.Check))
	}
	return named, nil
}

// reencrypt brings what was stored in plain text, or with an older key, to the present key. It tries until it is done.
func (h *Hub) reencrypt(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		count, err := h.etcd.Reencrypt(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if count > 0 {
				h.log.Info("re-encrypted what was stored in plain text or with an older key", "values", count)
			}
			return
		}
		h.log.Warn("re-encrypting stored values", "error", err, "retryIn", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
