// Command bench measures the hub against the floor: the same work done by a bare client-go loop that server-side-applies
// the members' objects directly, with the same concurrency, against the same members, in the same run. The members
// have no controllers and no pods, so that what is measured is the hub and not they.
//
//	go run ./cmd/bench                    everything
//	go run ./cmd/bench -only wave -n 100  one part, smaller
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

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

func main() {
	only := flag.String("only", "", "parts to run, with commas between: start, latency, wave, restart (default: all)")
	n := flag.Int("n", 1000, "ConfigMaps of the wave; there are half as many Deployments")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrllog.SetLogger(logr.Discard())
	if err := run(ctx, *only, *n); err != nil {
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

func run(ctx context.Context, only string, n int) (err error) {
	b := &bench{size: n}
	defer func() { err = errors.Join(err, b.end()) }()
	fmt.Fprintln(os.Stderr, "bench: bringing up three members without controllers")
	if b.members, err = harness.NewMembers(ctx, cluster.Options{}, "east", "west", "south"); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"start", b.start}, // always: the others need a hub with members
		{"latency", b.latency},
		{"wave", b.wave},
		{"restart", b.restart},
	} {
		if only != "" && part.name != "start" && !slices.Contains(strings.Split(only, ","), part.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench: "+part.name)
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return b.print()
}

func (b *bench) print() error {
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("%d CPUs, %s, load %s\n\n", runtime.NumCPU(), runtime.Version(), strings.Join(strings.Fields(string(load))[:3], " "))
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
