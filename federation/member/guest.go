package member

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"k8s.io/client-go/transport"
)

// headerPatience is how long the answer to an upgrade may take: the member must first reach its node.
const headerPatience = 45 * time.Second

// Guest is a way to a member for what people ask of it through the hub. Its connections are its own: a download that
// somebody reads slowly takes nothing from the hub's own work, and nothing bounds its time or its size. It does not
// probe; the caller knows from elsewhere whether the member is there.
//
// A request with an Upgrade header goes over a connection of its own in HTTP/1.1, as it must; the body of the answer
// 101 is that connection.
type Guest struct {
	line     *line
	plain    http.RoundTripper
	upgrades http.RoundTripper
	pools    []*http.Transport
}

// NewGuest prepares a way; nothing is connected yet. A Config that cannot be used is the error of every request. The
// connections end with the context.
func NewGuest(ctx context.Context, c Config, o Options) *Guest {
	g := &Guest{line: newLine(ctx, c, o.withDefaults())}
	if g.line.broken == nil {
		if err := g.setUp(); err != nil {
			g.line.broken = &errConfig{why: err.Error()}
		}
	}
	context.AfterFunc(ctx, g.line.close)
	return g
}

func (g *Guest) setUp() (err error) {
	plain := g.line.pool
	plain.DisableCompression = true // what the client wants packed it asks for
	upgrades := plain.Clone()
	upgrades.Protocols = &http.Protocols{}
	upgrades.Protocols.SetHTTP1(true)
	upgrades.TLSClientConfig.NextProtos = []string{"http/1.1"} // a copy has what the original offers
	upgrades.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	upgrades.ResponseHeaderTimeout = headerPatience
	g.pools = []*http.Transport{plain, upgrades}
	if g.plain, err = transport.HTTPWrappersForConfig(g.line.settings, plain); err != nil {
		return err
	}
	g.upgrades, err = transport.HTTPWrappersForConfig(g.line.settings, upgrades)
	return err
}

// RoundTrip sends the request to the member's address, whatever address it names, with the hub's credentials unless it
// has some.
func (g *Guest) RoundTrip(req *http.Request) (*http.Response, error) {
	if g.line.broken != nil {
		closeBody(req)
		return nil, g.line.broken
	}
	if req.Header.Get("Upgrade") != "" {
		return g.upgrades.RoundTrip(g.line.address(req))
	}
	return g.plain.RoundTrip(g.line.address(req))
}

// Same reports whether a Config is the one that the way was made with.
func (g *Guest) Same(c Config) bool { return g.line.same(c) }

// Retire lets what is under way go on to its own end, however long that is; there must be no further requests.
func (g *Guest) Retire() {
	for _, pool := range g.pools {
		pool.CloseIdleConnections()
	}
}

// Close ends everything now.
func (g *Guest) Close() { g.line.close() }

// Explain says what an error of RoundTrip means, and what can be done about it.
func (g *Guest) Explain(err error) (Reason, string) {
	o := ofError(err, g.line.config.Server)
	return o.reason, o.message
}

// IsAway reports whether a member that is not Ready for this reason answers nothing at all. One that answers, and be it
// that it is not well, can be asked; and so can one that nobody has asked yet.
func (r Reason) IsAway() bool {
	switch r {
	case ReasonConnecting, ReasonReady, ReasonUnauthorized, ReasonForbidden, ReasonBusy, ReasonServerError, ReasonFailingCheck:
		return false
	}
	return true
}
