package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	found, err := b.measureAll(ctx, all, s, queries)
	if err != nil {
		return err
	}
	fmt.Printf("\nUDP at half load, %d queries/s, %d rounds of %s, median\n", s.perSec, b.rounds, b.length)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "server\tp50 us\tp99 us\tp99.9 us\tlost\tCPU us/query\t")
	for _, c := range all {
		f := found[c.Name]
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.2f\t\n", c.Name, median(f, latencyOf(0.5)),
			median(f, latencyOf(0.99)), median(f, latencyOf(0.999)), median(f, lostOf), median(f, cpuOf))
	}
	return w.Flush()
}

// cores is what a second processor brings. Server and load share the processors in either case, so that both have one
// or both have two, and the load's part is the same: twice the queries is all there can be.
func (b *bench) cores(ctx context.Context) error {
	if runtime.NumCPU() < 2 {
		return nil
	}
	fmt.Printf("\nUDP, server and load together on one processor and on two, %d rounds of %s, median\n", b.rounds, b.length)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "processors\tqueries/s\tratio\tCPU us/query\tload's CPU us/query\tlost\t")
	one := 0.0
	for n, processors := range []string{"0", "0,1"} {
		there := *b
		there.onServer, there.onClient = b.on(processors), b.on(processors)
		f, err := there.measureCores(ctx, n+1)
		if err != nil {
			return err
		}
		if n == 0 {
			one = median(f, rateOf)
		}
		fmt.Fprintf(w, "%d\t%.0f\t%.2fx\t%.2f\t%.2f\t%.0f\t\n", n+1, median(f, rateOf), median(f, rateOf)/one,
			median(f, cpuOf), median(f, loadCPUOf), median(f, lostOf))
	}
	return w.Flush()
}

func (b *bench) measureCores(ctx context.Context, n int) ([]figures, error) {
	all, err := b.bring(ctx, load{names: b.names, workers: n}, ours)
	if err != nil {
		return nil, err
	}
	defer end(all)
	queries, err := b.queries(b.names, usual)
	if err != nil {
		return nil, err
	}
	// Many clients, because the kernel spreads them over sockets by their ports.
	found, err := b.measureAll(ctx, all, shape{mode: "udp", clients: 64 * n, pending: 100 * n, threads: n}, queries)
	return found[ours], err
}

// changes is what changes cost a large zone, made a hundred and a thousand times a second.
func (b *bench) changes(ctx context.Context) error {
	queries, err := b.queries(b.many, usual)
	if err != nil {
		return err
	}
	for _, perSecond := range []int{100, 1000} {
		if err := b.changing(ctx, perSecond, queries); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) changing(ctx context.Context, perSecond int, queries string) error {
	l := load{names: b.many, isWeighted: true}
	still, err := b.bring(ctx, l, ours)
	if err != nil {
		return err
	}
	defer end(still)
	l.changes = perSecond
	busy, err := b.bring(ctx, l, ours)
	if err != nil {
		return err
	}
	defer end(busy)
	busy[0].Name = ours + ", changing"
	begun := time.Now()
	before, err := busy[0].control.ask()
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
	made := float64(told.Changes-before.Changes) / time.Since(begun).Seconds()
	fmt.Printf("\n%d weighted names, %.0f changes a second meanwhile (%d asked for)\n", l.names, made, perSecond)
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
