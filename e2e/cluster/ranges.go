package cluster

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
)

// documentationRanges are never routed by anyone (RFC 5737).
var documentationRanges = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
}

// benchmarkNetworks is how many /24 networks 198.18.0.0/15 holds (RFC 2544).
const benchmarkNetworks = 512

// A rangePool gives every cluster of a provider its own address range, the
// documentation ranges first.
type rangePool struct {
	avoid []netip.Prefix // never given

	mu    sync.Mutex
	taken []netip.Prefix
}

// newRangePool returns a pool without the networks that this machine is in:
// an address from them would lead to a neighbour, and a route for them cut
// the machine off.
func newRangePool() (*rangePool, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("finding this machine's networks: %w", err)
	}
	p := &rangePool{}
	for _, address := range addresses {
		if network, err := netip.ParsePrefix(address.String()); err == nil {
			p.avoid = append(p.avoid, network.Masked())
		}
	}
	for _, address := range namedAddresses("/etc/hosts", "/etc/resolv.conf") {
		p.avoid = append(p.avoid, netip.PrefixFrom(address, address.BitLen()))
	}
	return p, nil
}

// namedAddresses are the addresses in the files that tell this machine where others are. Some networks use the
// documentation ranges for their own hosts, and a route for them would cut those off.
func namedAddresses(files ...string) []netip.Addr {
	var all []netip.Addr
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a machine without the file names nobody in it
		}
		for field := range strings.FieldsSeq(string(text)) {
			if address, err := netip.ParseAddr(field); err == nil {
				all = append(all, address)
			}
		}
	}
	return all
}

// take returns the wanted range, or the next free one if none is wanted.
func (p *rangePool) take(wanted netip.Prefix) (netip.Prefix, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if wanted.IsValid() {
		wanted = wanted.Masked()
		if !wanted.Addr().Is4() || wanted.Bits() > 30 {
			return netip.Prefix{}, fmt.Errorf("the load balancer range %s is no IPv4 range with room for addresses", wanted)
		}
		if overlapsAny(wanted, p.avoid) {
			return netip.Prefix{}, fmt.Errorf("the load balancer range %s has addresses of this machine's networks", wanted)
		}
		p.taken = append(p.taken, wanted)
		return wanted, nil
	}
	for i := range len(documentationRanges) + benchmarkNetworks {
		if candidate := rangeNumber(i); !overlapsAny(candidate, p.avoid) && !overlapsAny(candidate, p.taken) {
			p.taken = append(p.taken, candidate)
			return candidate, nil
		}
	}
	return netip.Prefix{}, errors.New("no address range is left for another cluster")
}

// giveBack makes a range free again; one that was not taken is left alone.
func (p *rangePool) giveBack(r netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.taken, r); i >= 0 {
		p.taken = slices.Delete(p.taken, i, i+1)
	}
}

func overlapsAny(candidate netip.Prefix, others []netip.Prefix) bool {
	return slices.ContainsFunc(others, candidate.Overlaps)
}

// rangeNumber is the range of the cluster number i, counted from 0.
func rangeNumber(i int) netip.Prefix {
	if i < len(documentationRanges) {
		return documentationRanges[i]
	}
	i -= len(documentationRanges)
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, byte(18 + i/256), byte(i % 256), 0}), 24)
}
