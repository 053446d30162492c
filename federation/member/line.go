package member

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

const (
	dialTimeout = 5 * time.Second
	// A connection over which nothing came for pingAfter is asked, and given up if it does not answer for pingTimeout.
	pingAfter   = 5 * time.Second
	pingTimeout = 5 * time.Second
)

// line is one way to a member: an address, credentials, and the connections made with them.
type line struct {
	config    Config
	base      *url.URL
	transport http.RoundTripper
	pool      *http.Transport
	settings  *transport.Config // of the wrappers that add our credentials
	broken    error             // the Config cannot be used

	ctx    context.Context // ends when the line is replaced or the member ends
	cancel context.CancelFunc

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// errConfig marks what is wrong with a Spec itself.
type errConfig struct{ why string }

func (e *errConfig) Error() string { return e.why }

func newLine(ctx context.Context, c Config, o Options) *line {
	l := &line{config: c, conns: map[net.Conn]struct{}{}}
	l.ctx, l.cancel = context.WithCancel(ctx)
	if err := l.setUp(c, o); err != nil {
		l.broken = &errConfig{why: err.Error()}
	}
	return l
}

func (l *line) setUp(c Config, o Options) error {
	var err error
	if l.base, err = url.Parse(c.Server); err != nil || (l.base.Scheme != "https" && l.base.Scheme != "http") ||
		l.base.Host == "" {
		return fmt.Errorf("the server %q must be a URL such as https://host:6443", c.Server)
	}
	credentials, err := c.restConfig(o)
	if err != nil {
		return err
	}
	settings, err := credentials.TransportConfig()
	if err != nil {
		return fmt.Errorf("the credentials cannot be used: %w", err)
	}
	security, err := transport.TLSConfigFor(settings)
	if err != nil {
		return fmt.Errorf("the certificates cannot be used: %w", err)
	}
	if security == nil {
		security = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	proxy := http.ProxyFromEnvironment
	if c.Dial != nil {
		proxy = nil
	}
	if c.ProxyURL != "" {
		address, err := url.Parse(c.ProxyURL)
		if err != nil || address.Host == "" {
			return fmt.Errorf("the proxy URL %q cannot be read", c.ProxyURL)
		}
		proxy = http.ProxyURL(address)
	}
	l.pool = &http.Transport{
		Proxy:               proxy,
		DialContext:         l.dial,
		TLSClientConfig:     security,
		TLSHandshakeTimeout: dialTimeout,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxIdleConnsPerHost: 32, // matters for HTTP/1.1 only
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // the wire unpacks, since that needs a bound
		// An honest API server sends a few hundred bytes of headers.
		MaxResponseHeaderBytes: 64 << 10,
		OnProxyConnectResponse: proxyAnswer,
	}
	l.settings = settings
	l.transport, err = transport.HTTPWrappersForConfig(settings, l.pool)
	return err
}

// proxyAnswer gives a proxy's refusal a name; net/http would return its status text alone.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("proxyconnect: the proxy answers %s", answer.Status)
	}
	return nil
}

// restConfig is the client-go form of trust and credentials.
func (c Config) restConfig(o Options) (*rest.Config, error) {
	kinds := 0
	for _, given := range []bool{
		c.Credentials.Token != "", len(c.Credentials.ClientCert) > 0 || len(c.Credentials.ClientKey) > 0,
		c.Credentials.Exec != nil,
	} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return nil, errors.New("more than one kind of credentials is given: token, client certificate, exec")
	case c.Credentials.Exec != nil && !o.AllowExec:
		return nil,
			errors.New("credentials that run a command are not allowed on this hub; use a token or a client certificate")
	case len(c.CABundle) > 0 && !x509.NewCertPool().AppendCertsFromPEM(c.CABundle):
		return nil, errors.New("the CA bundle has no PEM certificate")
	}
	if len(c.Credentials.ClientCert) > 0 || len(c.Credentials.ClientKey) > 0 {
		if _, err := tls.X509KeyPair(c.Credentials.ClientCert, c.Credentials.ClientKey); err != nil {
			return nil, fmt.Errorf("the client certificate and its key cannot be used: %w", err)
		}
	}
	out := &rest.Config{
		Host:        c.Server,
		BearerToken: c.Credentials.Token,
		UserAgent:   o.UserAgent,
		TLSClientConfig: rest.TLSClientConfig{
			Insecure: c.InsecureSkipTLSVerify, ServerName: c.ServerName,
			CertData: c.Credentials.ClientCert, KeyData: c.Credentials.ClientKey,
		},
	}
	if !c.InsecureSkipTLSVerify {
		out.CAData = c.CABundle
	}
	if c.Credentials.Exec != nil {
		out.ExecProvider = c.Credentials.Exec.DeepCopy()
		out.ExecProvider.InteractiveMode = "Never"
	}
	return out, nil
}

// same reports whether a Config is this line's. With a Dial of its own it never is, as functions cannot be compared.
func (l *line) same(c Config) bool {
	if c.Dial != nil || l.config.Dial != nil {
		return false
	}
	a, b := l.config, c
	sameCA := bytes.Equal(a.CABundle, b.CABundle)
	a.CABundle, b.CABundle = nil, nil
	return sameCA && reflect.DeepEqual(a, b)
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dial := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	if l.config.Dial != nil {
		dial = l.config.Dial
	}
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{Conn: conn, line: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		conn.Close()
		return nil, errors.New("the connection's settings were replaced")
	}
	l.conns[tracked] = struct{}{}
	return tracked, nil
}

// trackedConn is forgotten when it is closed.
type trackedConn struct {
	net.Conn
	line *line
}

func (c *trackedConn) Close() error {
	c.line.mu.Lock()
	delete(c.line.conns, c)
	c.line.mu.Unlock()
	return c.Conn.Close()
}

// hangUp breaks all connections, so that nobody goes on waiting on a dead one. New ones can be made.
func (l *line) hangUp() {
	for _, conn := range l.takeConns(map[net.Conn]struct{}{}) {
		conn.Close()
	}
}

// retire ends the line: streams now, other requests after the grace at the latest.
func (l *line) retire(grace time.Duration) {
	l.cancel()
	if l.pool != nil {
		l.pool.CloseIdleConnections()
	}
	time.AfterFunc(grace, l.close)
}

// close ends the line for good.
func (l *line) close() {
	l.cancel()
	for _, conn := range l.takeConns(nil) {
		conn.Close()
	}
	if l.pool != nil {
		l.pool.CloseIdleConnections()
	}
}

func (l *line) takeConns(leave map[net.Conn]struct{}) []net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []net.Conn
	for conn := range l.conns {
		out = append(out, conn)
	}
	if l.conns != nil {
		l.conns = leave
	}
	return out
}
