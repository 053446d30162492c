package access

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

// FuzzParseIdentity: whatever a damaged file holds, the answer is an identity that can sign for its certificate, or an
// error; never a panic.
func FuzzParseIdentity(f *testing.F) {
	dir := f.TempDir()
	if _, err := OpenPKI(dir, PKIOptions{Now: newClock().now}); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{caFile, servingFile} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(text[:len(text)/2])
		f.Add(text[len(text)/2:])
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		id, err := parseIdentity("file", text)
		if err != nil {
			return
		}
		template := &x509.Certificate{NotBefore: id.cert.NotBefore, NotAfter: id.cert.NotAfter}
		if _, err := sign(template, id.key.Public(), id.cert, id.key); err != nil {
			t.Errorf("an identity that cannot sign: %v", err)
		}
	})
}
