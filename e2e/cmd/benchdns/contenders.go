package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/e2e/dnspeers"
)

// origin of the zone that everybody serves.
const origin = "bench.test"

// contender is a server under measurement.
type contender struct {
	*dnspeers.Peer
	// tls takes DNS over TLS, of those that have it.
	tls netip.AddrPort
	// control talks to servers that are this program; nil for others.
	control *control
}

// ours and plain are the names of the servers that are this program.
const ours, plain = "hanse", "miekg/dns"

// zoneOf has n names with two addresses each, in the form of our configuration: h0, h1, ... If it is weighted, they
// have three targets instead, weighted 3:2:1.
func zoneOf(n int, isWeighted bool) zone.Config {
	z := zone.Zone{
		Origin: origin, TTL: 300,
		NameServers: []zone.NameServer{{Name: "ns1", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}},
	}
	for i := range n {
		if isWeighted {
			s := service(i, 1)
			z.Services = append(z.Services, *s)
			continue
		}
		for j := range 2 {
			z.Records = append(z.Records, zone.Record{Name: nameOf(i), Type: "A", Data: address(j, i).String()})
		}
	}
	return zone.Config{Serial: 1, Seed: 1, Zones: []zone.Zone{z}}
}

func nameOf(i int) string { return "h" + strconv.Itoa(i) }

func address(cluster, i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(cluster<<4 | i>>16), byte(i >> 8), byte(i)})
}

// service has three targets; the lightest has the given weight, the others one and two more.
func service(i int, lightest uint32) *zone.Service {
	s := &zone.Service{Name: nameOf(i)}
	for c, cluster := range []string{"north", "south", "east"} {
		s.Targets = append(s.Targets, zone.Target{
			Cluster: cluster, Weight: lightest + 2 - uint32(c), Addresses: []netip.Addr{address(c, i)},
		})
	}
	return s
}

// zoneFile writes the same zone as zoneOf as text, and for gdnsd, if it is weighted, in its way.
func (b *bench) zoneFile(n int, isWeighted bool) (string, error) {
	path := filepath.Join(b.dir, fmt.Sprintf("%d-%t.zone", n, isWeighted))
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "$TTL 300\n@ 3600 SOA ns1.%[1]s. hostmaster.%[1]s. 1 900 300 604800 30\n", origin)
	fmt.Fprintf(w, "@ NS ns1.%s.\nns1 A 127.0.0.1\n", origin)
	for i := range n {
		if isWeighted {
			fmt.Fprintf(w, "%[1]s DYNA weighted!%[1]s\n", nameOf(i))
			continue
		}
		for j := range 2 {
			fmt.Fprintf(w, "%s A %s\n", nameOf(i), address(j, i))
		}
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return path, f.Close()
}

// resources are what gdnsd is to know besides the zone file: every name has targets of its own there, too, because one
// that all names share would never leave the processor's cache.
func resources(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "    %s => {", nameOf(i))
		for _, t := range service(i, 1).Targets {
			fmt.Fprintf(&b, " %s => [ %s, %d ]", t.Cluster, t.Addresses[0], t.Weight)
		}
		b.WriteString(" }\n")
	}
	return b.String()
}

// load is what a contender is to be started with.
type load struct {
	names      int
	isWeighted bool
	isSigned   bool // of servers that are this program
	useTLS     bool
	// changes a second, made by servers that are this program; workers of theirs, 0 is one.
	changes, workers int
}

// bring starts the named servers on one zone.
func (b *bench) bring(ctx context.Context, l load, names ...string) (all []*contender, err error) {
	file, err := b.zoneFile(l.names, l.isWeighted)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if b.against != "" && name != ours && !slices.Contains(strings.Split(b.against, ","), name) {
			continue
		}
		dir, err := os.MkdirTemp(b.dir, "peer.")
		if err != nil {
			return all, err
		}
		c, err := b.bringOne(ctx, dir, name, file, l)
		if err != nil {
			end(all)
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (b *bench) bringOne(ctx context.Context, dir, name, file string, l load) (*contender, error) {
	z := dnspeers.Zone{Origin: origin, File: file}
	if l.isWeighted {
		z.Resources = resources(l.names)
	}
	for _, m := range []*dnspeers.Make{&dnspeers.Gdnsd, &dnspeers.Knot, &dnspeers.NSD, &dnspeers.BIND} {
		if m.Name != name {
			continue
		}
		c := &contender{}
		if l.useTLS {
			cert, err := writeCertificate(dir)
			if err != nil {
				return nil, err
			}
			if c.tls, err = dnspeers.FreeAddr(); err != nil {
				return nil, err
			}
			z.TLS, z.Certificate, z.Key = c.tls, cert+".crt", cert+".key"
		}
		peer, err := m.Start(ctx, b.programs, dir, z, b.onServer...)
		if err != nil {
			return nil, err
		}
		c.Peer = peer
		return c, nil
	}
	return b.bringSelf(ctx, dir, name, l)
}

// bringSelf starts this program as a server.
func (b *bench) bringSelf(ctx context.Context, dir, name string, l load) (*contender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &contender{}
	addr, err := dnspeers.FreeAddr()
	if err != nil {
		return nil, err
	}
	args := []string{
		"serve", "-listen", addr.String(), "-names", strconv.Itoa(l.names), "-changes", strconv.Itoa(l.changes),
		fmt.Sprintf("-weighted=%t", l.isWeighted), fmt.Sprintf("-signed=%t", l.isSigned),
		fmt.Sprintf("-plain=%t", name == plain), "-workers", strconv.Itoa(max(l.workers, 1)),
	}
	if l.useTLS {
		if c.tls, err = dnspeers.FreeAddr(); err != nil {
			return nil, err
		}
		args = append(args, "-tls", c.tls.String())
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = os.Environ()
	if c.control, err = newControl(cmd); err != nil {
		return nil, err
	}
	cmd = dnspeers.Through(cmd, b.onServer...)
	c.Peer, err = dnspeers.Start(ctx, strings.ReplaceAll(name, "/", "-"), cmd, addr, dir, origin)
	if err != nil {
		return nil, err
	}
	c.Name = name
	return c, nil
}

func end(all []*contender) {
	for _, c := range all {
		c.Stop()
	}
}

// control asks a server that is this program about itself: a line to its standard input, a line of JSON back over a
// pipe that it inherits as descriptor 3.
type control struct {
	to   io.Writer
	from *bufio.Reader
}

func newControl(cmd *exec.Cmd) (*control, error) {
	to, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{w}
	return &control{to, bufio.NewReader(r)}, nil
}

// self is what a server tells about itself.
type self struct {
	// LiveHeap in octets, after a collection, above what there was before the zone was built.
	LiveHeap int64
	// Changes made so far, and the longest time one took.
	Changes       int
	LongestChange float64 // seconds
	// LongestStop of all goroutines so far, in seconds: the upper bound of the runtime's bucket.
	LongestStop float64
}

func (c *control) ask() (s self, err error) {
	if _, err := fmt.Fprintln(c.to, "?"); err != nil {
		return s, err
	}
	line, err := c.from.ReadBytes('\n')
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(line, &s)
}
