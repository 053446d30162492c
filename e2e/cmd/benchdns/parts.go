package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hanse-federation/hanse/dns/server"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/e2e/dnspeers"
)

// everybody, the fastest first.
var everybody = []string{ours, dnspeers.Gdnsd.Name, dnspeers.Knot.Name, dnspeers.NSD.Name, dnspeers.BIND.Name, plain}

func (b *bench) udp(ctx context.Context) error {
	return b.compare(ctx, "UDP, static names", load{names: b.names}, shape{mode: "udp", clients: 4, pending: 200},
		usual, everybody...)
}

func (b *bench) weighted(ctx context.Context) error {
	return b.compare(ctx, "UDP, weighted over three targets", load{names: b.names, isWeighted: true},
		shape{mode: "udp", clients: 4, pending: 200}, usual, ours, dnspeers.Gdnsd.Name)
}

func (b *bench) mixed(ctx context.Context) error {
	return b.compare(ctx, "UDP, 64 clients, A, AAAA (no data) and SOA", load{names: b.names},
		shape{mode: "udp", clients: 64, pending: 64}, mixed, everybody...)
}

func (b *bench) tcp(ctx context.Context) error {
	return b.compare(ctx, "TCP, persistent connections", load{names: b.names},
		shape{mode: "tcp", clients: 10, pending: 200}, usual, everybody...)
}

func (b *bench) dot(ctx context.Context) error {
	return b.compare(ctx, "TLS, persistent connections", load{names: b.names, useTLS: true},
		shape{mode: "dot", clients: 10, pending: 200}, usual, ours, dnspeers.NSD.Name, dnspeers.BIND.Name)
}

// compare prints one table: everybody's figures, and what part of ours that is.
func (b *bench) compare(ctx context.Context, title string, l load, s shape, m mix, names ...string) error {
	all, err := b.bring(ctx, l, names...)
	if err != nil {
		return err
	}
	defer end(all)
	queries, err := b.queries(l.names, m)
	if err != nil {
		return err
	}
	found, err := b.measureAll(ctx, all, s, queries)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s: %d names, %d rounds of %s, median\n", title, l.names, b.rounds, b.length)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "server\tCPU us/query\tours is\tqueries/s\tlost\tRSS MiB\t")
	mine := median(found[ours], cpuOf)
	for _, c := range all {
		f := found[c.Name]
		cpu := median(f, cpuOf)
		fmt.Fprintf(w, "%s\t%.2f\t%.2fx\t%.0f\t%.0f\t%d\t\n", c.Name, cpu, mine/cpu, median(f, rateOf),
			median(f, lostOf), f[len(f)-1].rss>>20)
	}
	return w.Flush()
}

// latency is how long answers take at half of the most that is possible.
func (b *bench) latency(ctx context.Context) error {
	all, err := b.bring(ctx, load{names: b.names}, ours, dnspeers.Gdnsd.Name, dnspeers.Knot.Name)
	if err != nil {
		return err
	}
	defer end(all)
	queries, err := b.queries(b.names, usual)
	if err != nil {
		return err
	}
	full, err := b.measure(ctx, all[0], shape{mode: "udp", clients: 16, pending: 200}, queries)
	if err != nil {
		return err
	}
	s := shape{mode: "udp", clients: 16, pending: 200, perSec: int(full.perSecond / 2), verbose: true}
	fmt.Printf("\nUDP at half load, %d queries/s\n", s.perSec)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "server\tp50 us\tp99 us\tp99.9 us\tlost\tCPU us/query\t")
	for _, c := range all {
		f, err := b.measure(ctx, c, s, queries)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%d\t%.2f\t\n", c.Name, 1e6*quantile(f.latencies, 0.5),
			1e6*quantile(f.latencies, 0.99), 1e6*quantile(f.latencies, 0.999), f.lost, f.cpu)
	}
	return w.Flush()
}

// changes is what a hundred changes a second cost a large zone.
func (b *bench) changes(ctx context.Context) error {
	l := load{names: b.many, isWeighted: true}
	still, err := b.bring(ctx, l, ours)
	if err != nil {
		return err
	}
	defer end(still)
	l.changes = 100
	busy, err := b.bring(ctx, l, ours)
	if err != nil {
		return err
	}
	defer end(busy)
	busy[0].Name = ours + ", changing"
	queries, err := b.queries(l.names, usual)
	if err != nil {
		return err
	}
	found, err := b.measureAll(ctx, append(still, busy...), shape{mode: "udp", clients: 4, pending: 200}, queries)
	if err != nil {
		return err
	}
	told, err := busy[0].control.ask()
	if err != nil {
		return err
	}
	fmt.Printf("\n%d weighted names, %d changes made at 100 a second meanwhile\n", l.names, told.Changes)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tstill\tchanging\tratio\t")
	for _, row := range []struct {
		what string
		of   func(figures) float64
	}{{"queries/s", rateOf}, {"CPU us/query", cpuOf}, {"lost", lostOf}} {
		a, c := median(found[ours], row.of), median(found[busy[0].Name], row.of)
		ratio := "-"
		if a > 0 {
			ratio = fmt.Sprintf("%.3f", c/a)
		}
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%s\t\n", row.what, a, c, ratio)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("longest change %.2f ms; longest stop of all goroutines %.3f ms\n",
		1e3*told.LongestChange, 1e3*told.LongestStop)
	return nil
}

// signedNames is how many names the signed zone has: few, so that all answers have been signed before it is measured.
const signedNames = 1000

// dnssec is what signatures cost where they have been made before.
func (b *bench) dnssec(ctx context.Context) error {
	l := load{names: signedNames, isWeighted: true}
	unsigned, err := b.bring(ctx, l, ours)
	if err != nil {
		return err
	}
	defer end(unsigned)
	l.isSigned = true
	signed, err := b.bring(ctx, l, ours)
	if err != nil {
		return err
	}
	defer end(signed)
	signed[0].Name = ours + ", signed"
	queries, err := b.queries(l.names, existing)
	if err != nil {
		return err
	}
	s := shape{mode: "udp", clients: 4, pending: 200, dnssec: true}
	if _, err := b.measure(ctx, signed[0], s, queries); err != nil { // here all answers are signed
		return err
	}
	found, err := b.measureAll(ctx, append(unsigned, signed...), s, queries)
	if err != nil {
		return err
	}
	plainCPU, signedCPU := median(found[ours], cpuOf), median(found[signed[0].Name], cpuOf)
	fmt.Printf("\nDNSSEC, %d weighted names, DO set: %.2f us a query unsigned, %.2f signed: %.2fx of the throughput\n",
		l.names, plainCPU, signedCPU, plainCPU/signedCPU)
	return nil
}

// memory is what a name takes.
func (b *bench) memory(ctx context.Context) error {
	fmt.Printf("\nMemory, %d names\n", b.many)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tlive heap, octets a name\tRSS above that of an empty server, octets a name\t")
	empty, err := b.rssOf(ctx, load{names: 1})
	if err != nil {
		return err
	}
	for _, l := range []load{{names: b.many}, {names: b.many, isWeighted: true}} {
		all, err := b.bring(ctx, l, ours)
		if err != nil {
			return err
		}
		told, err := all[0].control.ask()
		if err != nil {
			end(all)
			return err
		}
		u, err := all[0].Usage()
		end(all)
		if err != nil {
			return err
		}
		what := map[bool]string{false: "two addresses", true: "three weighted targets"}[l.isWeighted]
		fmt.Fprintf(w, "%s\t%d\t%d\t\n", what, told.LiveHeap/int64(b.many), (u.RSS-empty)/int64(b.many))
	}
	return w.Flush()
}

func (b *bench) rssOf(ctx context.Context, l load) (int64, error) {
	all, err := b.bring(ctx, l, ours)
	if err != nil {
		return 0, err
	}
	defer end(all)
	u, err := all[0].Usage()
	return u.RSS, err
}

// start is the time from the start of the process to its first answer, with a large zone in a file.
func (b *bench) start(ctx context.Context) error {
	file := filepath.Join(b.dir, "snapshot")
	for _, isWeighted := range []bool{false, true} {
		snapshot, err := zone.Build(zoneOf(b.many, isWeighted))
		if err != nil {
			return err
		}
		if err := server.SaveSnapshot(file, snapshot); err != nil {
			return err
		}
		var took []string
		for range b.rounds {
			addr, err := dnspeers.FreeAddr()
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			cmd := exec.CommandContext(ctx, self, "serve", "-listen", addr.String(), "-snapshot", file)
			cmd.Env = os.Environ()
			if _, err := newControl(cmd); err != nil {
				return err
			}
			begun := time.Now()
			p, err := dnspeers.Start(ctx, ours, cmd, addr, b.dir, origin)
			if err != nil {
				return err
			}
			wall := time.Since(begun)
			u, err := p.Usage()
			p.Stop()
			if err != nil {
				return err
			}
			took = append(took, fmt.Sprintf("%.2f s (%.2f s of processors)", wall.Seconds(), u.CPU.Seconds()))
		}
		fmt.Printf("\nStart from a file with %d names (weighted: %t) to the first answer: %s\n", b.many, isWeighted,
			strings.Join(took, ", "))
	}
	return nil
}
