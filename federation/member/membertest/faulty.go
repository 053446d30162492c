package membertest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Faulty is something at a member's address that is not (always) a member.
type Faulty struct {
	URL string
	CA  []byte // PEM; nil where there is no TLS
	// Requests that came in, or connections where nothing is ever read.
	Requests atomic.Int64

	hangUp func()
}

// CloseConnections breaks all connections that there are. New ones are accepted.
func (f *Faulty) CloseConnections() { f.hangUp() }

// Hanging accepts connections and never says a word.
func Hanging(t testing.TB) *Faulty {
	return raw(t, func(conn net.Conn, ended <-chan struct{}) { <-ended })
}

// Resetting closes every connection at once, with a reset.
func Resetting(t testing.TB) *Faulty {
	return raw(t, func(conn net.Conn, _ <-chan struct{}) { _ = conn.(*net.TCPConn).SetLinger(0) })
}

// Plain speaks HTTP where TLS is expected.
func Plain(t testing.TB) *Faulty {
	return raw(t, func(conn net.Conn, _ <-chan struct{}) {
		_, _ = bufio.NewReader(conn).ReadByte()
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
	})
}

func raw(t testing.TB, serve func(net.Conn, <-chan struct{})) *Faulty {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Faulty{URL: "https://" + listener.Addr().String()}
	ended := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.Requests.Add(1)
			all.Go(func() {
				defer conn.Close()
				serve(conn, ended)
			})
		}
	})
	t.Cleanup(func() {
		close(ended)
		listener.Close()
		all.Wait()
	})
	return f
}

// Serving answers over TLS and HTTP/2 as the handler says.
func Serving(t testing.TB, handler http.HandlerFunc) *Faulty {
	t.Helper()
	return ServingAs(t, Certificate{Name: "127.0.0.1", Until: time.Now().Add(time.Hour)}, handler)
}

// Certificate of a server.
type Certificate struct {
	Name  string
	Until time.Time
}

// ServingAs is Serving with a certificate of the test's choice.
func ServingAs(t testing.TB, c Certificate, handler http.HandlerFunc) *Faulty {
	t.Helper()
	f := &Faulty{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.Requests.Add(1)
		handler(w, r)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	pair, ca := selfSigned(t, c)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	f.URL, f.CA, f.hangUp = server.URL, ca, server.CloseClientConnections
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return f
}

func selfSigned(t testing.TB, c Certificate) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: c.Name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: c.Until.Add(-48 * time.Hour), NotAfter: c.Until,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(c.Name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{c.Name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
