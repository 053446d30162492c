package access

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(by)
}

func openPKI(t *testing.T, dir string, c *clock, sans ...string) *PKI {
	t.Helper()
	p, err := OpenPKI(dir, PKIOptions{SANs: sans, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shown returns the certificate that a client which trusts the hub's authority gets, verified at the clock's time.
func shown(t *testing.T, p *PKI, c *clock, name string) *x509.Certificate {
	t.Helper()
	cert, err := p.ServingTLS().GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(p.CABundle()) {
		t.Fatal("the CA bundle holds no certificate")
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: c.now()}); err != nil {
		t.Fatalf("a client would refuse the hub: %v", err)
	}
	return cert.Leaf
}

func TestServingCertificateIsKeptThenRenewed(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	p := openPKI(t, dir, c, "hub.example.com", "192.0.2.1")
	first := shown(t, p, c, "hub.example.com")
	for _, name := range []string{"localhost", "127.0.0.1", "192.0.2.1"} {
		shown(t, p, c, name)
	}

	c.move(59 * 24 * time.Hour)
	if again := shown(t, p, c, "localhost"); !again.Equal(first) {
		t.Errorf("renewed after 59 of 90 days")
	}
	if again := shown(t, openPKI(t, dir, c, "hub.example.com", "192.0.2.1"), c, "localhost"); !again.Equal(first) {
		t.Errorf("a restart made a new certificate")
	}

	c.move(2 * 24 * time.Hour) // day 61: the last third
	second := shown(t, p, c, "hub.example.com")
	if second.Equal(first) {
		t.Fatalf("not renewed in the last third of its life")
	}
	if again := shown(t, openPKI(t, dir, c, "hub.example.com"), c, "localhost"); !again.Equal(second) {
		t.Errorf("the renewed certificate was not stored")
	}

	c.move(-200 * 24 * time.Hour / 10 * 3) // 60 days back: a clock that moved before the certificate's begin
	if third := shown(t, p, c, "localhost"); third.Equal(second) {
		t.Errorf("a certificate that is not valid yet was shown")
	}

	c.move(400 * 24 * time.Hour)
	shown(t, p, c, "localhost")
}

func TestNewNameMakesNewCertificate(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	first := shown(t, openPKI(t, dir, c), c, "localhost")
	second := shown(t, openPKI(t, dir, c, "hub.example.com"), c, "hub.example.com")
	if second.Equal(first) {
		t.Errorf("the same certificate for other names")
	}
}

func TestRenewalSurvivesFullDisk(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	p := openPKI(t, dir, c)
	p.dir = filepath.Join(dir, "gone") // nothing can be written there
	c.move(80 * 24 * time.Hour)
	first := shown(t, p, c, "localhost")
	if again := shown(t, p, c, "localhost"); !again.Equal(first) {
		t.Errorf("a new certificate for each connection")
	}
}

func TestAuthorityEnds(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	openPKI(t, dir, c)
	c.move(caLife - 24*time.Hour)
	last := shown(t, openPKI(t, dir, c), c, "localhost")
	if end := c.now().Add(25 * time.Hour); last.NotAfter.After(end) {
		t.Errorf("the serving certificate outlives its authority")
	}
	c.move(48 * time.Hour)
	wantError(t, dir, c, "ca.pem is valid from 2030-01-01T11:00:00Z to 2039-12-30T12:00:00Z",
		"the clock says 2039-12-31T12:00:00Z")
}

func TestClockBeforeAuthority(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	openPKI(t, dir, c)
	c.move(-48 * time.Hour)
	wantError(t, dir, c, "ca.pem", "the clock says 2029-12-30T12:00:00Z")
}

func wantError(t *testing.T, dir string, c *clock, parts ...string) {
	t.Helper()
	_, err := OpenPKI(dir, PKIOptions{Now: c.now})
	if err == nil {
		t.Fatalf("opened, want an error with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

func TestDamagedFiles(t *testing.T) {
	certOnly := func(text string) string {
		block, _ := pem.Decode([]byte(text))
		return string(pem.EncodeToMemory(block))
	}
	other := t.TempDir()
	openPKI(t, other, newClock())
	foreign, err := os.ReadFile(filepath.Join(other, caFile))
	if err != nil {
		t.Fatal(err)
	}
	foreignKey := string(foreign)[strings.Index(string(foreign), "-----BEGIN PRIVATE"):]

	tests := []struct {
		name   string
		file   string
		damage func(string) string
		want   string
	}{
		{"empty authority", caFile, func(string) string { return "" }, "ca.pem: damaged: no certificate found"},
		{"half an authority", caFile, func(s string) string { return s[:len(s)/2] }, "ca.pem"},
		{"no key", caFile, certOnly, "ca.pem: damaged: no private key found"},
		{"another's key", caFile, func(s string) string { return certOnly(s) + foreignKey },
			"ca.pem: the private key is not that of the certificate"},
		{"garbage in the certificate", caFile, func(s string) string {
			return strings.Replace(s, "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nAAAA", 1)
		}, "ca.pem"},
		{"garbage serving", servingFile, func(string) string { return "hello" }, "serving.pem: damaged"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, c := t.TempDir(), newClock()
			openPKI(t, dir, c)
			path := filepath.Join(dir, test.file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := test.damage(string(text))
			if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
				t.Fatal(err)
			}
			wantError(t, dir, c, test.want, path)
			if left, _ := os.ReadFile(path); string(left) != damaged {
				t.Errorf("the damaged file was changed")
			}
		})
	}
	t.Run("authority lost", func(t *testing.T) {
		dir, c := t.TempDir(), newClock()
		openPKI(t, dir, c)
		if err := os.Remove(filepath.Join(dir, caFile)); err != nil {
			t.Fatal(err)
		}
		wantError(t, dir, c, "ca.pem is missing although serving.pem exists")
	})
	t.Run("bad name", func(t *testing.T) {
		if _, err := OpenPKI(t.TempDir(), PKIOptions{SANs: []string{"https://hub"}}); err == nil {
			t.Errorf("a URL was taken as a host name")
		}
	})
}

func TestFilesAreSecret(t *testing.T) {
	dir, c := filepath.Join(t.TempDir(), "pki"), newClock()
	p := openPKI(t, dir, c)
	kubeconfig := filepath.Join(dir, "admin.kubeconfig")
	if err := p.WriteAdminKubeconfig(kubeconfig, "https://127.0.0.1:7443"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 {
		t.Errorf("files %v, want ca, serving, kubeconfig and nothing left over", entries)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", entry.Name(), info.Mode(), err)
		}
	}
}

func TestAdminKubeconfigIsKeptWhileItServes(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	p := openPKI(t, dir, c)
	path := filepath.Join(dir, "admin.kubeconfig")
	write := func(url string) string {
		t.Helper()
		if err := p.WriteAdminKubeconfig(path, url); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := write("https://127.0.0.1:7443")
	config, err := clientcmd.Load([]byte(first))
	if err != nil {
		t.Fatal(err)
	}
	if config.CurrentContext != "hanse" || config.Clusters["hanse"].Server != "https://127.0.0.1:7443" {
		t.Errorf("context %q, clusters %v", config.CurrentContext, config.Clusters)
	}
	if write("https://127.0.0.1:7443") != first {
		t.Errorf("written anew although it serves")
	}
	moved := write("https://127.0.0.1:8443")
	if moved == first {
		t.Errorf("not written for the new address")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	write("https://127.0.0.1:8443")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode stays %v", info.Mode())
	}
	before := write("https://127.0.0.1:8443")
	c.move(300 * 24 * time.Hour)
	if write("https://127.0.0.1:8443") == before {
		t.Errorf("not renewed near its end")
	}
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	write("https://127.0.0.1:8443")
}

// TestHandshake serves for real, with clients as kubectl makes them.
func TestHandshake(t *testing.T) {
	p, err := OpenPKI(t.TempDir(), PKIOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
		ErrorLog:  log.New(io.Discard, "", 0),
		TLSConfig: p.ServingTLS(),
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	defer func() { _ = server.Close() }()
	url := "https://" + listener.Addr().String()

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.CABundle())
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
	}}
	defer client.CloseIdleConnections()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.ProtoMajor != 2 {
		t.Errorf("spoke %s, want HTTP/2", response.Proto)
	}
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}}
	if _, err := stranger.Get(url); err == nil {
		t.Errorf("a client that does not trust the authority connected")
	}
}

// kept is a store that several hubs share.
type kept struct {
	mu   sync.Mutex
	text []byte
}

func (k *kept) keep(text []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.text == nil && len(text) > 0 {
		k.text = text
	}
	return k.text, nil
}

func TestAuthorityIsThatOfTheStore(t *testing.T) {
	store := &kept{}
	open := func(dir string) (*PKI, error) { return OpenPKI(dir, PKIOptions{Keep: store.keep}) }
	first, err := open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // of another replica, or after a restore
	for range 2 {
		other, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if string(other.CABundle()) != string(first.CABundle()) {
			t.Error("two data directories with one store have two authorities")
		}
	}
	foreign := t.TempDir()
	if _, err := OpenPKI(foreign, PKIOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := open(foreign); err == nil || !strings.Contains(err.Error(), "data directory of another hub?") {
		t.Errorf("the directory of another hub: %v", err)
	}
	// A hub from before there was a store brings its authority along.
	alone := t.TempDir()
	before, err := OpenPKI(alone, PKIOptions{})
	if err != nil {
		t.Fatal(err)
	}
	store.text = nil
	after, err := open(alone)
	if err != nil || string(after.CABundle()) != string(before.CABundle()) || store.text == nil {
		t.Errorf("the first start with a store: %v", err)
	}
}
