package server

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/hanse-federation/hanse/dns/balance"
	"github.com/hanse-federation/hanse/dns/wire"
)

// limiter bounds how many like responses one client network gets in a second (response rate limiting), so that this
// server is of little use for reflection. It is a fixed table of token buckets without locks; two that meet in one slot
// share it.
//
// A bucket is kept as the time until which its tokens are spent (the generic cell rate algorithm); a second's worth may
// be spent at once.
type limiter struct {
	interval int64 // nanoseconds between responses
	seed     uint64
	slots    [limiterSlots]atomic.Int64
}

const limiterSlots = 1 << 17

// newLimiter allows perSecond like responses; nil, for 0, allows any number.
func newLimiter(perSecond int, seed uint64) *limiter {
	if perSecond <= 0 {
		return nil
	}
	return &limiter{interval: int64(time.Second) / int64(perSecond), seed: seed}
}

// allow takes a token from the bucket of a key.
func (l *limiter) allow(key uint64, now int64) bool {
	slot := &l.slots[balance.Mix(key^l.seed)%limiterSlots]
	for {
		spent := slot.Load()
		next := max(spent, now) + l.interval
		if next-now > int64(time.Second) {
			return false
		}
		if slot.CompareAndSwap(spent, next) {
			return true
		}
	}
}

// likeness is the key of the bucket for a response: of positive answers and NODATA the name counts (that of the wildcard,
// if one made the answer), of NXDOMAIN and errors only the zone, because those are asked for under ever new names.
func likeness(from netip.Addr, rcode wire.Rcode, name []byte, t wire.Type, zone wire.Name) uint64 {
	key := networkOf(from)
	if rcode == wire.NoError {
		for _, c := range name {
			key = (key ^ uint64(c)) * 0x100000001b3
		}
		return balance.Combine(key, uint64(t))
	}
	for i := range len(zone) {
		key = (key ^ uint64(zone[i])) * 0x100000001b3
	}
	return balance.Combine(key, 1<<32|uint64(rcode))
}

// networkOf hashes the /24 or /56 of an address, the usual size of what one customer has.
func networkOf(addr netip.Addr) uint64 {
	addr = addr.Unmap()
	if addr.Is4() {
		a := addr.As4()
		return balance.Mix(uint64(a[0])<<16 | uint64(a[1])<<8 | uint64(a[2]))
	}
	a := addr.As16()
	key := uint64(1)
	for _, c := range a[:7] {
		key = key<<8 | uint64(c)
	}
	return balance.Mix(key)
}
