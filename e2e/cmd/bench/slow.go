package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

const (
	// lag is how much later every request reaches the slow member.
	lag = 500 * time.Millisecond
	// rounds of the comparison, in turn, so that what else the machine does meets both.
	rounds = 3
)

// slow asks what one slow member of ten costs the other nine: nothing.
func (b *bench) slow(ctx context.Context) error {
	nine := slices.Clone(b.members)
	more, err := harness.NewMembers(ctx, cluster.Options{}, "north", "alps", "coast", "delta", "fjord", "grove", "tenth")
	if err != nil {
		return err
	}
	b.members = append(b.members, more...) // end removes them
	tenth := more[len(more)-1]
	nine = append(nine, more[:len(more)-1]...)
	if err := harness.JoinAll(ctx, b.hub, more[:len(more)-1]); err != nil {
		return err
	}
	way, err := joinThroughDetour(ctx, b.hub, tenth)
	if err != nil {
		return err
	}
	defer way.Close()

	count := max(1, b.size/4)
	all := append(slices.Clone(nine), tenth)
	var floor, alone, beside []time.Duration
	for round := range rounds {
		for _, run := range []struct {
			took    *[]time.Duration
			name    string
			members []*harness.Member // that the hub places in; nil: the floor
			lag     time.Duration
		}{
			{&floor, "floor-nine", nil, 0},
			{&alone, "hub-nine", nine, 0},
			{&beside, "hub-ten", all, lag},
		} {
			namespace := fmt.Sprintf("%s-%d", run.name, round)
			way.lag.Store(int64(run.lag))
			took, err := b.toNine(ctx, namespace, count, nine, run.members)
			way.lag.Store(0)
			if err != nil {
				return err
			}
			*run.took = append(*run.took, took)
			if run.lag > 0 { // what the slow one is behind with must not be in the way of the next round
				goals := []goal{{gvr: configMaps, isRight: anyObject, count: count}}
				if _, err := timed(ctx, []*harness.Member{tenth}, namespace, goals, nothing); err != nil {
					return fmt.Errorf("the slow member: %w", err)
				}
			}
			if _, _, err := quiet(ctx, b.hub.DataDir()); err != nil {
				return err
			}
		}
	}
	b.add(fmt.Sprintf("nine members, %d ConfigMaps, p50 of %d", count, rounds), seconds(percentile(floor, 50)),
		seconds(percentile(alone, 50)), over(alone, floor, 50), "2")
	b.add(fmt.Sprintf("  the nine beside a tenth with %s a request, against without", lag), seconds(percentile(alone, 50)),
		seconds(percentile(beside, 50)), over(beside, alone, 50), "1.1")
	return nil
}

// toNine measures until nine members have so many ConfigMaps: those of the hub, or those of the floor if the hub is not
// given members to place them in.
func (b *bench) toNine(
	ctx context.Context, namespace string, count int, nine, placed []*harness.Member,
) (time.Duration, error) {
	var items []item
	for i := range count {
		items = append(items, configMap(namespace, i, first))
	}
	goals := []goal{{gvr: configMaps, isRight: anyObject, count: count}}
	if placed == nil {
		if err := atOnce(ctx, nine, func(ctx context.Context, m *harness.Member) error {
			return makeNamespace(ctx, m.Kube, namespace)
		}); err != nil {
			return 0, err
		}
		return timed(ctx, nine, namespace, goals, func(ctx context.Context) error { return applyAll(ctx, nine, items) })
	}
	if err := makeNamespace(ctx, b.hub.Kube, namespace); err != nil {
		return 0, err
	}
	if err := create(ctx, b.hub.Clients, []item{placement(namespace, evenly(placed))}); err != nil {
		return 0, err
	}
	return timed(ctx, nine, namespace, goals, func(ctx context.Context) error { return create(ctx, b.hub.Clients, items) })
}

// joinThroughDetour makes a member join whose requests all take a detour.
func joinThroughDetour(ctx context.Context, hub *harness.Hub, m *harness.Member) (*detour, error) {
	config, err := clientcmd.LoadFromFile(m.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", m.Name(), err)
	}
	server, err := url.Parse(m.Clients.Config.Host)
	if err != nil {
		return nil, fmt.Errorf("the address of %s: %w", m.Name(), err)
	}
	way, err := newDetour(server.Host)
	if err != nil {
		return nil, err
	}
	for _, c := range config.Clusters {
		c.Server = "https://" + way.Addr().String()
	}
	dir, err := os.MkdirTemp("", "detour-")
	if err != nil {
		return nil, errors.Join(err, way.Close())
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return nil, errors.Join(err, way.Close())
	}
	r, err := hub.Hanse(ctx, "join", m.Name(), "--cluster-kubeconfig", file)
	if err == nil && r.Code != 0 {
		err = errors.New(r.String())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("joining %s: %w", m.Name(), err), way.Close())
	}
	return way, nil
}

// detour is a way to a server on which all that clients send comes later. What the server says is not delayed, so
// that a request takes the lag once.
type detour struct {
	net.Listener
	to  string
	lag atomic.Int64 // time.Duration
}

func newDetour(to string) (*detour, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for a detour: %w", err)
	}
	d := &detour{Listener: listener, to: to}
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go d.lead(from)
		}
	}()
	return d, nil
}

// lead copies one connection both ways until either end is closed.
func (d *detour) lead(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", d.to)
	if err != nil {
		return
	}
	defer to.Close()
	type parcel struct {
		text []byte
		due  time.Time
	}
	parcels := make(chan parcel, 1024)
	go func() {
		defer close(parcels)
		for {
			text := make([]byte, 16<<10)
			n, err := from.Read(text)
			if n > 0 {
				parcels <- parcel{text[:n], time.Now().Add(time.Duration(d.lag.Load()))}
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		defer from.Close()
		_, _ = io.Copy(from, to)
	}()
	for p := range parcels {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.text); err != nil {
			from.Close() // ends the parcels
		}
	}
}
