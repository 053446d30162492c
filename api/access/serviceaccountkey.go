package access

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const serviceAccountFile = "service-accounts.pem"

// ServiceAccountKey returns the key that the hub's ServiceAccount tokens are signed with; it is made at the first call
// and stored beside the authority. Replicas of one hub must share it, as they share the authority.
//
// A file that exists but cannot be used is an error that names it: a new key would end every token at once.
func (p *PKI) ServiceAccountKey() (crypto.Signer, error) {
	path := filepath.Join(p.dir, serviceAccountFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p.makeServiceAccountKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the key for ServiceAccount tokens: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("open the key for ServiceAccount tokens: %s: damaged: no private key found", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("open the key for ServiceAccount tokens: %s: damaged: %w", path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("open the key for ServiceAccount tokens: %s: a %T cannot sign", path, key)
	}
	return signer, nil
}

func (p *PKI) makeServiceAccountKey(path string) (crypto.Signer, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	text, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	if err := writeSecretFile(path, text); err != nil {
		return nil, fmt.Errorf("store the key for ServiceAccount tokens: %w", err)
	}
	return key, nil
}
