package server

import (
	"sync/atomic"

	"github.com/hanse-federation/hanse/dns/wire"
)

// counters are what one worker counts. Only its worker writes them, so they are on cache lines of their own.
type counters struct {
	_       [64]byte
	queries [transports][typeSlots][rcodeSlots]atomic.Uint64
	dropped atomic.Uint64
	panics  atomic.Uint64
	// limited counts responses over the rate.
	limited atomic.Uint64
	// overflowed counts packets that the kernel had no room for.
	overflowed atomic.Uint64
	_          [64]byte
}

// countedTypes have a label of their own; slot 0 is every other type.
var countedTypes = [...]wire.Type{
	0, wire.TypeA, wire.TypeAAAA, wire.TypeCNAME, wire.TypeTXT, wire.TypeSRV, wire.TypeSOA, wire.TypeNS, wire.TypePTR, wire.TypeMX,
	wire.TypeCAA, wire.TypeHTTPS, wire.TypeANY,
}

const (
	typeSlots  = len(countedTypes)
	rcodeSlots = 8
)

// countedRcodes have a label of their own; slot 0 is NOERROR and the last every other code.
var countedRcodes = [rcodeSlots]wire.Rcode{
	wire.NoError, wire.FormErr, wire.ServFail, wire.NXDomain, wire.NotImp, wire.Refused, wire.BadVers, wire.BadCookie,
}

func (c *counters) count(by transport, t wire.Type, rcode wire.Rcode) {
	c.queries[by][typeSlot(t)][rcodeSlot(rcode)].Add(1)
}

func typeSlot(t wire.Type) int {
	for i := 1; i < len(countedTypes); i++ {
		if countedTypes[i] == t {
			return i
		}
	}
	return 0
}

func rcodeSlot(r wire.Rcode) int {
	for i, c := range countedRcodes {
		if c == r {
			return i
		}
	}
	return rcodeSlots - 1
}
