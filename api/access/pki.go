package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	caFile      = "ca.pem"
	servingFile = "serving.pem"

	caLife      = 10 * 365 * 24 * time.Hour
	servingLife = 90 * 24 * time.Hour
	// backdate is how long before now a certificate begins, for clients whose clock is behind.
	backdate = time.Hour
	// maxClientLife bounds what IssueClient gives: a client certificate cannot be taken back.
	maxClientLife = 366 * 24 * time.Hour

	adminLife = 365 * 24 * time.Hour
)

// PKIOptions says how the hub's certificates are made.
type PKIOptions struct {
	// SANs are host names and IP addresses for the serving certificate, besides localhost, 127.0.0.1, ::1 and the
	// machine's host name.
	SANs []string
	// Keep stores the authority where all replicas of the hub and its backups find it, unless one is stored there
	// already, and returns what is stored; for an empty text it only reads. nil means that the directory is all there is.
	Keep func(text []byte) ([]byte, error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// PKI is the hub's own certificate authority with its serving certificate. Its methods may be called at any time from
// any goroutine.
type PKI struct {
	dir  string
	sans []string
	keep func([]byte) ([]byte, error)
	now  func() time.Time

	ca identity

	mu      sync.Mutex // guards serving; not held while connections are served
	serving *identity
}

// identity is a certificate with its private key.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// OpenPKI opens the authority in dir, or makes one there when dir holds none. The directory is made with mode 0700.
//
// Where opts.Keep is given, the authority that is stored there is the one: a directory without any gets it, one with
// another is refused.
//
// A file that exists but cannot be read, parsed or used is an error that names the file; nothing is replaced then.
// The serving certificate alone is made anew when it is near its end, not valid now, or lacks one of the SANs.
func OpenPKI(dir string, opts PKIOptions) (*PKI, error) {
	p := &PKI{dir: dir, keep: opts.Keep, now: opts.Now}
	if p.keep == nil {
		p.keep = func(text []byte) ([]byte, error) { return text, nil }
	}
	if p.now == nil {
		p.now = time.Now
	}
	sans, err := servingNames(opts.SANs)
	if err != nil {
		return nil, err
	}
	p.sans = sans
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory for certificates: %w", err)
	}
	if err := p.openCA(); err != nil {
		return nil, err
	}
	if err := p.openServing(); err != nil {
		return nil, err
	}
	return p, nil
}

// servingNames returns every name the serving certificate is valid for, sorted and without doubles.
func servingNames(extra []string) ([]string, error) {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && host != "" {
		names = append(names, strings.ToLower(host))
	}
	for _, name := range extra {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" || strings.ContainsAny(name, " /:@") && net.ParseIP(name) == nil {
			return nil, fmt.Errorf("%q is neither a host name nor an IP address", name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (p *PKI) openCA() error {
	path := filepath.Join(p.dir, caFile)
	text, err := os.ReadFile(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	if isNew {
		text, err = p.obtainCA(path)
	}
	if err != nil {
		return fmt.Errorf("open the hub's certificate authority: %w", err)
	}
	ca, err := parseIdentity(path, text)
	switch {
	case err != nil:
		return fmt.Errorf("open the hub's certificate authority: %w", err)
	case !ca.cert.IsCA:
		return fmt.Errorf("open the hub's certificate authority: %s holds no CA certificate", path)
	}
	if now := p.now(); now.Before(ca.cert.NotBefore) || now.After(ca.cert.NotAfter) {
		return fmt.Errorf("open the hub's certificate authority: %s is valid from %s to %s, but the clock says %s",
			path, stamp(ca.cert.NotBefore), stamp(ca.cert.NotAfter), stamp(now))
	}
	if isNew {
		if err := writeSecretFile(path, text); err != nil {
			return fmt.Errorf("store the hub's certificate authority: %w", err)
		}
	}
	p.ca = *ca
	return p.confirmCA(path, text)
}

// obtainCA reads the stored authority, or makes one.
func (p *PKI) obtainCA(path string) ([]byte, error) {
	if stored, err := p.keep(nil); err != nil || len(stored) > 0 {
		return stored, err
	}
	if _, err := os.Stat(filepath.Join(p.dir, servingFile)); err == nil {
		return nil, fmt.Errorf("%s is missing although %s exists: restore it, or remove the whole directory to start "+
			"with a new authority (every kubeconfig issued so far then stops working)", path, servingFile)
	}
	made, err := p.makeCA()
	if err != nil {
		return nil, err
	}
	return p.keep(made) // another replica may have been faster
}

// confirmCA makes sure that the authority of the directory is the stored one.
func (p *PKI) confirmCA(path string, text []byte) error {
	stored, err := p.keep(text)
	if err != nil {
		return fmt.Errorf("open the hub's certificate authority: %w", err)
	}
	kept, err := parseIdentity("the stored authority", stored)
	if err != nil {
		return fmt.Errorf("open the hub's certificate authority: %w", err)
	}
	if !kept.cert.Equal(p.ca.cert) {
		return fmt.Errorf("open the hub's certificate authority: the one in %s is not the one that this hub has stored in "+
			"etcd: is this the data directory of another hub? Move %s away to take the stored one", path, p.dir)
	}
	return nil
}

// makeCA makes an authority and returns it as it is stored.
func (p *PKI) makeCA() ([]byte, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "hanse-hub-ca"},
		NotBefore:             p.now().Add(-backdate),
		NotAfter:              p.now().Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	cert, err := sign(template, key.Public(), template, key)
	if err != nil {
		return nil, fmt.Errorf("make the hub's certificate authority: %w", err)
	}
	return encodeIdentity(identity{cert: cert, key: key})
}

func (p *PKI) openServing() error {
	path := filepath.Join(p.dir, servingFile)
	serving, err := readIdentity(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open the hub's serving certificate (remove the file to have it created again): %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serving = serving; serving != nil && p.fits(serving.cert) && !aged(serving.cert, p.now()) {
		return nil
	}
	return p.renewServing()
}

// fits reports whether the certificate is ours and holds every name asked for.
func (p *PKI) fits(cert *x509.Certificate) bool {
	if cert.CheckSignatureFrom(p.ca.cert) != nil {
		return false
	}
	return !slices.ContainsFunc(p.sans, func(name string) bool { return cert.VerifyHostname(name) != nil })
}

// aged reports whether the certificate is to be replaced: it is in the last third of its life, or, the clock having
// moved, has not begun.
func aged(cert *x509.Certificate, now time.Time) bool {
	return now.Before(cert.NotBefore) || now.After(cert.NotAfter.Add(-servingLife/3))
}

// renewServing makes a new serving certificate, uses it from now on, and stores it for the next start. The caller
// holds mu.
func (p *PKI) renewServing() error {
	key, err := newKey()
	if err != nil {
		return err
	}
	now := p.now()
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "hanse-hub"},
		NotBefore:   latest(now.Add(-backdate), p.ca.cert.NotBefore),
		NotAfter:    earliest(now.Add(servingLife), p.ca.cert.NotAfter),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range p.sans {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	cert, err := sign(template, key.Public(), p.ca.cert, p.ca.key)
	if err != nil {
		return fmt.Errorf("make the hub's serving certificate: %w", err)
	}
	p.serving = &identity{cert: cert, key: key}
	if err := writeIdentity(filepath.Join(p.dir, servingFile), *p.serving); err != nil {
		return fmt.Errorf("store the hub's serving certificate: %w", err)
	}
	return nil
}

// servingCertificate returns the certificate to show now, renewed if it must be. That the new one could not be stored
// (a full disk) does not matter to those who connect; the next start makes another and reports it.
func (p *PKI) servingCertificate() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before := p.serving; aged(before.cert, p.now()) {
		if err := p.renewServing(); err != nil && p.serving == before {
			return nil, err
		}
	}
	return &tls.Certificate{
		Certificate: [][]byte{p.serving.cert.Raw, p.ca.cert.Raw},
		PrivateKey:  p.serving.key,
		Leaf:        p.serving.cert,
	}, nil
}

// ServingTLS returns the configuration of the hub's listener: TLS 1.2 or newer, HTTP/2 first, client certificates
// asked for but not demanded. They are verified by the authenticator, which can say what is wrong with them; a
// verification during the handshake could only close the connection.
func (p *PKI) ServingTLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   authenticatedCiphers,
		NextProtos:     []string{"h2", "http/1.1"},
		ClientAuth:     tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.servingCertificate() },
	}
}

// authenticatedCiphers are the suites of TLS 1.2 with forward secrecy and authenticated encryption (AEAD). Those of
// TLS 1.3 all are, and cannot be chosen.
var authenticatedCiphers = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// CABundle returns the authority's certificate in PEM: what a client must trust to speak with the hub.
func (p *PKI) CABundle() []byte { return encodeCertificate(p.ca.cert.Raw) }

// Name says where the authority comes from, for log lines of the x509 authenticator.
func (p *PKI) Name() string { return filepath.Join(p.dir, caFile) }

// CurrentCABundleContent is CABundle under the name that k8s.io/apiserver's dynamic providers use.
func (p *PKI) CurrentCABundleContent() []byte { return p.CABundle() }

// VerifyOptions says what a client certificate must be: signed by this authority, for client use, valid now.
func (p *PKI) VerifyOptions() (x509.VerifyOptions, bool) {
	roots := x509.NewCertPool()
	roots.AddCert(p.ca.cert)
	return x509.VerifyOptions{
		Roots:       roots,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		CurrentTime: p.now(),
	}, true
}

// IssueClient makes a client certificate for a user in groups, valid for ttl (above zero, at most 366 days, and never
// longer than the authority). Certificate and key are returned in PEM and stored nowhere.
//
// A certificate cannot be taken back before its end: give short lives to whom you may want to part from.
func (p *PKI) IssueClient(user string, groups []string, ttl time.Duration) (certPEM, keyPEM []byte, err error) {
	switch {
	case user == "":
		return nil, nil, errors.New("issue a client certificate: the user's name is empty")
	case slices.Contains(groups, ""):
		return nil, nil, fmt.Errorf("issue a client certificate for %s: one of its groups is empty", user)
	case ttl <= 0 || ttl > maxClientLife:
		return nil, nil, fmt.Errorf("issue a client certificate for %s: its life of %s is not between 0 and %s",
			user, ttl, maxClientLife)
	}
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	now := p.now()
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		NotBefore:   latest(now.Add(-backdate), p.ca.cert.NotBefore),
		NotAfter:    earliest(now.Add(ttl), p.ca.cert.NotAfter),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	cert, err := sign(template, key.Public(), p.ca.cert, p.ca.key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a client certificate for %s: %w", user, err)
	}
	keyPEM, err = encodeKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a client certificate for %s: %w", user, err)
	}
	return encodeCertificate(cert.Raw), keyPEM, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a private key: %w", err)
	}
	return key, nil
}

// sign completes the template with a serial number and key identifier, and signs it.
func sign(template *x509.Certificate, public crypto.PublicKey, parent *x509.Certificate, by crypto.Signer) (
	*x509.Certificate, error,
) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1)) // RFC 5280 4.1.2.2: positive
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	id := sha256.Sum256(der)
	template.SubjectKeyId = id[:20]
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return x509.ParseCertificate(raw)
}

// readIdentity reads a PEM file with one certificate and its private key. Errors name the file, except that a missing
// file is fs.ErrNotExist.
func readIdentity(path string) (*identity, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseIdentity(path, text)
}

func parseIdentity(path string, text []byte) (*identity, error) {
	var id identity
	var err error
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			if id.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
				return nil, fmt.Errorf("%s: the certificate is damaged: %w", path, err)
			}
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("%s: the private key is damaged: %w", path, err)
			}
			signer, ok := key.(crypto.Signer)
			if !ok {
				return nil, fmt.Errorf("%s: the private key is a %T, which cannot sign", path, key)
			}
			id.key = signer
		}
	}
	switch {
	case id.cert == nil:
		return nil, fmt.Errorf("%s: damaged: no certificate found", path)
	case id.key == nil:
		return nil, fmt.Errorf("%s: damaged: no private key found", path)
	}
	if public, ok := id.key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(id.cert.PublicKey) {
		return nil, fmt.Errorf("%s: the private key is not that of the certificate", path)
	}
	return &id, nil
}

func writeIdentity(path string, id identity) error {
	text, err := encodeIdentity(id)
	if err != nil {
		return err
	}
	return writeSecretFile(path, text)
}

func encodeIdentity(id identity) ([]byte, error) {
	key, err := encodeKey(id.key)
	if err != nil {
		return nil, err
	}
	return slices.Concat(encodeCertificate(id.cert.Raw), key), nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
