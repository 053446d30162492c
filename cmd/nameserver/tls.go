package nameserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// openCertificate reads the certificate for the first time.
func (n *Nameserver) openCertificate() error {
	if n.config.CertFile == "" {
		return nil
	}
	log.SetLogger(logr.FromSlogHandler(n.config.Logger.Handler())) // of what watches the files; a process has one
	var err error
	if n.certificate, err = certwatcher.New(n.config.CertFile, n.config.KeyFile); err != nil {
		return fmt.Errorf("reading the certificate %s and its key %s: %w", n.config.CertFile, n.config.KeyFile, err)
	}
	return nil
}

// watchCertificate reads it again whenever it changes, until the context ends. One that cannot be read leaves the former
// in use.
func (n *Nameserver) watchCertificate(ctx context.Context) {
	if n.certificate == nil {
		return
	}
	if err := n.certificate.Start(ctx); err != nil && ctx.Err() == nil {
		n.config.Logger.Error("watching the certificate; a new one is not taken up", "error", err)
	}
}

// tls is nil without a certificate.
func (n *Nameserver) tls() *tls.Config {
	if n.certificate == nil {
		return nil
	}
	return &tls.Config{GetCertificate: n.certificate.GetCertificate, MinVersion: tls.VersionTLS12}
}

// dnsOverHTTPS is where DNS is answered over HTTPS (RFC 8484).
const dnsOverHTTPS = "/dns-query"

// web serves DNS over HTTPS. nil serves nothing.
type web struct {
	server  *http.Server
	running sync.WaitGroup
	open    []webSocket
}

type webSocket struct {
	listen   string
	listener net.Listener
}

// idleHTTPS is how long a client may keep a connection that it does not use.
const idleHTTPS = 30 * time.Second

// startWeb serves DNS over HTTPS, on sockets of a former process where it had some.
func (n *Nameserver) startWeb(former *inheritance) error {
	if len(n.config.ListenHTTPS) == 0 {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle(dnsOverHTTPS, n.dns.HTTPS())
	n.web = &web{server: &http.Server{
		Handler: mux, TLSConfig: n.tls(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: idleHTTPS,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // what strangers send
	}}
	for _, address := range n.config.ListenHTTPS {
		listener := former.takeHTTPS(address)
		if listener == nil {
			var err error
			if listener, err = net.Listen("tcp", address); err != nil {
				return fmt.Errorf("starting DNS over HTTPS on %s: %w", address, err)
			}
		}
		n.web.open = append(n.web.open, webSocket{address, listener})
		n.web.running.Go(func() { _ = n.web.server.ServeTLS(listener, "", "") }) // ends with the server
	}
	return nil
}

func (w *web) sockets() []openSocket {
	if w == nil {
		return nil
	}
	var out []openSocket
	for _, s := range w.open {
		if raw, ok := s.listener.(syscall.Conn); ok {
			out = append(out, openSocket{handedSocket{s.listen, overHTTPS}, raw})
		}
	}
	return out
}

// retire answers what has been asked, and closes.
func (w *web) retire(patience time.Duration) {
	if w == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = w.server.Shutdown(ctx)
}

func (w *web) close() {
	if w == nil {
		return
	}
	_ = w.server.Close()
	w.running.Wait()
}

// Addresses are all that are answered on, each with how, unless by UDP and TCP.
func (n *Nameserver) Addresses() []string {
	addresses := []string{n.dns.Addr().String()}
	for _, s := range n.dns.Sockets() {
		if s.IsTLS {
			addresses = append(addresses, overTLS+"://"+s.TCP.Addr().String())
		}
	}
	if n.web != nil {
		for _, s := range n.web.open {
			addresses = append(addresses, overHTTPS+"://"+s.listener.Addr().String()+dnsOverHTTPS)
		}
	}
	return addresses
}
