package cluster

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
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

// A rangePool gives every cluster of a provider its own address range. The
// zero value gives the documentation ranges first.
type rangePool struct {
	mu    sync.Mutex
	taken []netip.Prefix
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
		p.taken = append(p.taken, wanted)
		return wanted, nil
	}
	for i := range len(documentationRanges) + benchmarkNetworks {
		if candidate := rangeNumber(i); !p.overlaps(candidate) {
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

func (p *rangePool) overlaps(candidate netip.Prefix) bool {
	for _, taken := range p.taken {
		if taken.Overlaps(candidate) {
			return true
		}
	}
	return false
}

// rangeNumber is the range of the cluster number i, counted from 0.
func rangeNumber(i int) netip.Prefix {
	if i < len(documentationRanges) {
		return documentationRanges[i]
	}
	i -= len(documentationRanges)
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, byte(18 + i/256), byte(i % 256), 0}), 24)
}
