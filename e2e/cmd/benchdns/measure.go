package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-federation/hanse/e2e/dnspeers"
)

// shape of a load.
type shape struct {
	mode    string // udp, tcp, dot
	clients int    // sockets or connections
	pending int    // queries under way at once
	perSec  int    // most queries a second; 0: as many as go
	dnssec  bool   // ask for signatures
	verbose bool   // note the time that each query took
	threads int    // of the load; 0 is one
}

// figures of one measurement.
type figures struct {
	cpu       float64 // microseconds of the server for each query
	loadCPU   float64 // microseconds of the load for each query
	perSecond float64
	sent      int
	lost      int
	rss       int64
	latencies []float64 // seconds, sorted; only of a verbose shape
}

// mix is what is asked for.
type mix string

const (
	// usual: addresses of names at random, a tenth of them names that do not exist.
	usual mix = "usual"
	// mixed has other types, too.
	mixed mix = "mixed"
	// existing: addresses of names that exist.
	existing mix = "existing"
)

// queries writes what dnsperf asks for.
func (b *bench) queries(names int, m mix) (string, error) {
	path := filepath.Join(b.dir, fmt.Sprintf("queries-%d-%s", names, m))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	w := bufio.NewWriter(f)
	for range 200000 {
		name, kind := nameOf(rng.IntN(names)), "A"
		switch r := rng.IntN(10); {
		case r == 0 && m != existing:
			name = fmt.Sprintf("none%d", rng.IntN(1e6))
		case m == mixed && r < 4:
			kind = "AAAA"
		case m == mixed && r == 4:
			name, kind = "", "SOA"
		}
		fmt.Fprintf(w, "%s %s\n", strings.TrimPrefix(name+"."+origin, "."), kind)
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return path, f.Close()
}

var (
	completedLine = regexp.MustCompile(`Queries completed:\s+(\d+)`)
	lostLine      = regexp.MustCompile(`Queries lost:\s+(\d+)`)
	rateLine      = regexp.MustCompile(`Queries per second:\s+([0-9.]+)`)
	verboseLine   = regexp.MustCompile(`^> \S+ \S+ \S+ ([0-9.]+)`)
)

// measure puts a load on a server.
func (b *bench) measure(ctx context.Context, c *contender, s shape, queries string) (f figures, err error) {
	addr := c.Addr
	if s.mode == "dot" {
		addr = c.tls
	}
	seconds := strconv.FormatFloat(b.length.Seconds(), 'f', -1, 64)
	args := []string{
		"-s", addr.Addr().String(), "-p", strconv.Itoa(int(addr.Port())), "-m", s.mode, "-d", queries, "-e",
		"-c", strconv.Itoa(s.clients), "-T", strconv.Itoa(max(s.threads, 1)), "-q", strconv.Itoa(s.pending), "-l", seconds, "-t", "2",
	}
	if s.perSec > 0 {
		args = append(args, "-Q", strconv.Itoa(s.perSec))
	}
	if s.dnssec {
		args = append(args, "-D")
	}
	if s.verbose {
		args = append(args, "-v")
	}
	cmd, err := b.programs.Command(ctx, "dnsperf", args...)
	if err != nil {
		return f, err
	}
	cmd = dnspeers.Through(cmd, b.onClient...)
	before, err := c.Usage()
	if err != nil {
		return f, err
	}
	output, err := b.outputOf(cmd)
	if err != nil {
		return f, fmt.Errorf("dnsperf against %s: %w: %s", c.Name, err, output)
	}
	after, err := c.Usage()
	if err != nil {
		return f, err
	}
	number := func(r *regexp.Regexp) float64 {
		if m := r.FindSubmatch(output); m != nil {
			v, _ := strconv.ParseFloat(string(m[1]), 64)
			return v
		}
		return 0
	}
	f.sent, f.lost, f.perSecond, f.rss = int(number(completedLine)), int(number(lostLine)), number(rateLine), after.RSS
	if f.sent == 0 {
		return f, fmt.Errorf("%s answered nothing: %s", c.Name, output)
	}
	f.cpu = float64((after.CPU - before.CPU).Nanoseconds()) / 1000 / float64(f.sent)
	spent := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	f.loadCPU = float64(spent.Nanoseconds()) / 1000 / float64(f.sent)
	if s.verbose {
		for line := range strings.Lines(string(output)) {
			if m := verboseLine.FindStringSubmatch(line); m != nil {
				v, _ := strconv.ParseFloat(m[1], 64)
				f.latencies = append(f.latencies, v)
			}
		}
		slices.Sort(f.latencies)
	}
	return f, nil
}

// outputOf runs a program that writes into a file: a pipe would have this program run, too, while it measures.
func (b *bench) outputOf(cmd *exec.Cmd) ([]byte, error) {
	file, err := os.CreateTemp(b.dir, "output.")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	failure := cmd.Run()
	output, err := os.ReadFile(file.Name())
	return output, errors.Join(failure, err)
}

// measureAll measures all servers in turn, several times over.
func (b *bench) measureAll(
	ctx context.Context, all []*contender, s shape, queries string,
) (map[string][]figures, error) {
	out := map[string][]figures{}
	for range b.rounds {
		for _, c := range all {
			f, err := b.measure(ctx, c, s, queries)
			if err != nil {
				return nil, err
			}
			out[c.Name] = append(out[c.Name], f)
			time.Sleep(100 * time.Millisecond) // what is left over in one server is not the next one's
		}
	}
	return out, nil
}

// median of one of the figures.
func median(all []figures, of func(figures) float64) float64 {
	values := make([]float64, len(all))
	for i, f := range all {
		values[i] = of(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func cpuOf(f figures) float64     { return f.cpu }
func loadCPUOf(f figures) float64 { return f.loadCPU }
func rateOf(f figures) float64    { return f.perSecond }
func lostOf(f figures) float64    { return float64(f.lost) }

// latencyOf is a quantile of the latencies, in microseconds.
func latencyOf(q float64) func(figures) float64 {
	return func(f figures) float64 { return 1e6 * quantile(f.latencies, q) }
}

// quantile of sorted values.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
