package nameserver

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/hanse-federation/hanse/dns/querylog"
)

// logFile is the socket in the data directory that gives the log of queries: to this user and to nobody else, for it
// says who asks for what.
const logFile = "log.sock"

// serveLog serves until the context ends. A server without it answers all the same.
func (n *Nameserver) serveLog(ctx context.Context) {
	listener, err := listenUnix(filepath.Join(n.config.DataDir, logFile), "unix")
	if err != nil {
		n.config.Logger.Warn("nobody will be able to watch the queries", "error", err)
		return
	}
	web := &http.Server{Handler: querylog.Serve(&n.queries), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { web.Close() })
	defer stop()
	_ = web.Serve(listener) // ends with the context
}

// LogClient asks the server that runs on a data directory for its log, whatever the URL's host is.
func LogClient(dataDir string) *http.Client {
	var dialer net.Dialer
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", filepath.Join(dataDir, logFile))
		},
	}}
}
