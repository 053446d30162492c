// Command benchdns measures our DNS server against others on the same machine with the same zone: gdnsd, Knot, NSD and
// BIND from Debian, and a plain server made with miekg/dns. dnsperf makes the load.
//
//	go run ./cmd/benchdns                     everything
//	go run ./cmd/benchdns -only udp,memory    some parts
//	go run ./cmd/benchdns -rounds 1 -l 2s     quicker, coarser
//
// The figure to trust is the processor time of the server for each query: it hardly depends on what else the machine
// does, as queries per second do. Each server has one thread for UDP; with two processors or more it has one of them
// for itself, and the load comes from another. Rounds go through all servers in turn, and the median counts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hanse-federation/hanse/e2e/dnspeers"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serve(os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "benchdns serve: %v\n", err)
			os.Exit(1)
		}
		return
	}
	var b bench
	only := flag.String("only", "", "parts to run, with commas between (default: all): "+strings.Join(partNames(), ", "))
	against := flag.String("against", "", "servers to measure, with commas between (default: all)")
	flag.IntVar(&b.rounds, "rounds", 5, "how often each server is measured")
	flag.DurationVar(&b.length, "l", 4*time.Second, "how long each measurement takes")
	flag.IntVar(&b.names, "names", 10000, "names in the zone")
	flag.IntVar(&b.many, "many", 100000, "names in the zone of the parts changes, memory and start")
	flag.BoolVar(&b.isAlone, "alone", false,
		"give server and load precedence over all else on this machine (chrt, needs root), for latencies on a busy one")
	flag.Parse()
	b.against = *against
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx, *only); err != nil {
		fmt.Fprintf(os.Stderr, "benchdns: %v\n", err)
		stop()
		os.Exit(1)
	}
}

// bench is what is measured with.
type bench struct {
	names, many int
	rounds      int
	length      time.Duration
	isAlone     bool
	against     string

	programs *dnspeers.Programs
	dir      string
	// onServer and onClient put a program on a processor of its own.
	onServer, onClient []string
}

// parts in their order: the comparisons first, then what only we have figures for.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"udp", (*bench).udp},
	{"weighted", (*bench).weighted},
	{"mixed", (*bench).mixed},
	{"tcp", (*bench).tcp},
	{"dot", (*bench).dot},
	{"dnssec", (*bench).dnssec},
	{"latency", (*bench).latency},
	{"cores", (*bench).cores},
	{"changes", (*bench).changes},
	{"memory", (*bench).memory},
	{"start", (*bench).start},
}

// on is what puts a program on some processors.
func (b *bench) on(processors string) []string {
	prefix := []string{"taskset", "-c", processors}
	if b.isAlone {
		prefix = append([]string{"chrt", "--rr", "5"}, prefix...)
	}
	return prefix
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func (b *bench) run(ctx context.Context, only string) (err error) {
	wanted := partNames()
	if only != "" {
		wanted = strings.Split(only, ",")
	}
	for _, w := range wanted {
		if !slices.Contains(partNames(), w) {
			return fmt.Errorf("there is no part %q; there are %s", w, strings.Join(partNames(), ", "))
		}
	}
	fmt.Fprintln(os.Stderr, "benchdns: unpacking the peers")
	if b.programs, err = dnspeers.Unpack(ctx, slices.Concat([]string{"dnsperf"}, dnspeers.Gdnsd.Packages,
		dnspeers.Knot.Packages, dnspeers.NSD.Packages, dnspeers.BIND.Packages)...); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "benchdns."); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if runtime.NumCPU() > 1 {
		b.onServer, b.onClient = b.on("0"), b.on("1")
	}
	for _, p := range parts {
		if !slices.Contains(wanted, p.name) {
			continue
		}
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("part %s: %w", p.name, err)
		}
	}
	return nil
}
