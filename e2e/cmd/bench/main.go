// Command bench measures the hub against the floor: the same work done by a bare client-go loop that writes the
// members' objects directly, with the same concurrency, against the same members, in the same run. The members have no
// controllers and no pods, so that what is measured is the hub and not they.
//
//	go run ./cmd/bench                            everything, six minutes on two cores
//	go run ./cmd/bench -only wave,update -n 100   some parts, smaller
//
// What is to be trusted is the ratios: times depend on the machine and on what else it does.
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
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

func main() {
	only := flag.String("only", "", "parts to run, with commas between, and what they need: "+
		strings.Join(names(parts), ", ")+" (default: all)")
	n := flag.Int("n", 1000, "ConfigMaps of the wave; there are half as many Deployments")
	flag.Parse()
	chosen, err := choose(*only)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrllog.SetLogger(logr.Discard())
	if err := run(ctx, chosen, *n); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		stop()
		os.Exit(1)
	}
}

// workers is the concurrency of the floor, and of the client that writes to the hub.
const workers = 16

// bench is what is measured on, and what came out.
type bench struct {
	size    int
	hub     *harness.Hub
	members []*harness.Member
	rows    []row
}

// row is one line of the table.
type row struct{ what, floor, hub, ratio, target string }

func (b *bench) add(what, floor, hub, ratio, target string) {
	b.rows = append(b.rows, row{what, floor, hub, ratio, target})
}

// part is one thing to measure.
type part struct {
	name  string
	needs []string // parts whose objects it goes on with
	do    func(*bench, context.Context) error
}

// parts in the order in which they run: each leaves the objects of the wave as the next ones need them.
var parts = []part{
	{"start", nil, (*bench).start},
	{"latency", []string{"start"}, (*bench).latency},
	{"wave", []string{"start"}, (*bench).wave},
	{"update", []string{"wave"}, (*bench).update},
	{"weights", []string{"wave"}, (*bench).weights},
	{"restart", []string{"wave"}, (*bench).restart},
	{"delete", []string{"wave"}, (*bench).remove},
	{"reconnect", []string{"start"}, (*bench).reconnect}, // after the wave, which the hub would move to other members
	{"slow", []string{"start"}, (*bench).slow},           // the last one: it brings up seven members more
}

func names(parts []part) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p.name)
	}
	return all
}

// choose finds the named parts and those that they need; all of them if none is named.
func choose(only string) ([]part, error) {
	if only == "" {
		return parts, nil
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		if !slices.Contains(names(parts), name) {
			return nil, fmt.Errorf("-only: there is no part %q, there are %s", name, strings.Join(names(parts), ", "))
		}
		wanted[name] = true
	}
	var chosen []part
	for _, p := range slices.Backward(parts) { // a part needs only earlier ones
		if !wanted[p.name] {
			continue
		}
		for _, name := range p.needs {
			wanted[name] = true
		}
		chosen = append(chosen, p)
	}
	slices.Reverse(chosen)
	return chosen, nil
}

func run(ctx context.Context, chosen []part, n int) (err error) {
	b := &bench{size: n}
	defer func() { err = errors.Join(err, b.end()) }()
	fmt.Fprintln(os.Stderr, "bench: bringing up three members without controllers")
	if b.members, err = harness.NewMembers(ctx, cluster.Options{}, "east", "west", "south"); err != nil {
		return err
	}
	for _, p := range chosen {
		begin := time.Now()
		if err := p.do(b, ctx); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", p.name, err), b.print()) // what is measured already is told
		}
		fmt.Fprintf(os.Stderr, "bench: %s took %.0f s\n", p.name, time.Since(begin).Seconds())
	}
	return b.print()
}

func (b *bench) print() error {
	load, _ := os.ReadFile("/proc/loadavg")
	average := strings.Join(strings.Fields(string(load))[:3], " ")
	fmt.Printf("%d CPUs, %s, load %s\n\n", runtime.NumCPU(), runtime.Version(), average)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "WHAT\tFLOOR\tHUB\tRATIO\tTARGET")
	for _, r := range b.rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.what, r.floor, r.hub, r.ratio, r.target)
	}
	return table.Flush()
}

func (b *bench) end() error {
	var failures []error
	if b.hub != nil {
		failures = append(failures, b.hub.Close())
	}
	for _, m := range b.members {
		failures = append(failures, m.Delete())
	}
	return errors.Join(failures...)
}
