package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/cmd/nameserver"
	"github.com/hanse-federation/hanse/dns/querylog"
	"github.com/hanse-federation/hanse/federation/member/enroll"
)

func newDNSLog(hub *access) *cobra.Command {
	var dataDir string
	c := &cobra.Command{
		Use:   "log",
		Short: "Watch the queries that a DNS server answers",
		Long: `Show every query that the hub's DNS server gets, and what it answered, until it is interrupted: time, client,
transport, type, name, flags of the query (rd, do), response code, size, time taken and the member that came first in the
answer. "-" as the code says that there was no response.

The server keeps no log unless somebody watches. A busy one shows a part of its queries, and says how many it left out.
On the hub it takes the permission to get ` + querylog.Path + `. With --data-dir it is the server that runs on that
data directory on this machine (hanse dns), as the user that it runs as.`,
		Example: `  hanse dns log
  hanse dns log --data-dir /var/lib/hanse-dns | grep SERVFAIL
  hanse dns log -o json | jq .client`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&dataDir, "data-dir", "", "data directory of a DNS server away from the hub (default: the hub's own)")
	_ = c.MarkFlagDirname("data-dir")
	output := formatFlag(c, asJSON)
	c.RunE = func(c *cobra.Command, _ []string) error {
		var err error
		url, web := "http://localhost"+querylog.Path, nameserver.LogClient(dataDir)
		if dataDir == "" {
			if url, web, err = hubLog(hub); err != nil {
				return err
			}
		}
		begun := func() { _, _ = fmt.Fprintln(c.ErrOrStderr(), "watching; interrupt to end") }
		err = querylog.Read(c.Context(), web, url, begun, func(l querylog.Line) error { return printQuery(c.OutOrStdout(), l, *output) })
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case dataDir != "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)):
			return failure("Name the --data-dir of one that runs on this machine; without it the hub's is watched.",
				"no DNS server runs on %s", dataDir)
		case dataDir != "" && errors.Is(err, fs.ErrPermission):
			return failure("Run this as the user that the server runs as.", "watching the queries: %v", err)
		case dataDir != "":
			return failure("The server's own log says more. If it has ended, watch the next one.", "watching the queries: %v", err)
		}
		return failure("The hub's own log says more; its DNS server is watched with the permission to get "+querylog.Path+".",
			"watching the queries: %v", err)
	}
	return c
}

func hubLog(hub *access) (url string, web *http.Client, err error) {
	config, err := hub.config()
	if err != nil {
		return "", nil, err
	}
	config = rest.CopyConfig(config)
	config.Timeout = 0
	if web, err = rest.HTTPClientFor(config); err != nil {
		return "", nil, fmt.Errorf("making a client for the hub: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return "", nil, enroll.Diagnose(config.Host, err)
	}
	return base.JoinPath(querylog.Path).String(), web, nil
}

func printQuery(out io.Writer, l querylog.Line, output format) error {
	if output == asJSON {
		return json.NewEncoder(out).Encode(l)
	}
	at := l.Time.Local().Format("15:04:05.000")
	if l.Missed > 0 {
		_, err := fmt.Fprintf(out, "%s %d queries are not shown, there are too many\n", at, l.Missed)
		return err
	}
	orDash := func(text string) string {
		if text == "" {
			return "-"
		}
		return text
	}
	_, err := fmt.Fprintf(out, "%s %-21s %-5s %-5s %s %s %s %dB %.0fus %s\n", at, l.Client, l.Transport, orDash(l.Type), orDash(l.Name),
		orDash(strings.Join(l.Flags, ",")), orDash(l.Rcode), l.Size, l.Micros, orDash(l.Target))
	return err
}
