package server

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/hanse-federation/hanse/dns/answer"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// transport is how a query came.
type transport uint8

const (
	overUDP transport = iota
	overTCP
	overTLS
	transports
)

var transportNames = [transports]string{"udp", "tcp", "tls"}

// maxTCPSize is the most a message over TCP can be, in octets (RFC 1035 section 4.2.2).
const maxTCPSize = 65535

// responder answers packets, one at a time. A worker has its own.
type responder struct {
	*settings
	counts *counters
	random *rand.Rand
	// window is the current zone.Client.Window; tick sets it.
	window uint64

	query    wire.Query
	writer   wire.Writer
	response answer.Response
	client   zone.Client
	options  []byte
	opt      wire.OPT
}

func newResponder(s *settings, counts *counters) *responder {
	return &responder{
		settings: s,
		counts:   counts,
		random:   rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
}

// tick tells the responder what time it is; loops call it once for a batch.
func (r *responder) tick(now time.Time) { r.window = uint64(now.Unix()) / zone.WindowSeconds }

// respond answers one packet into dst[:0]. An empty result means that nothing must be sent.
//
// A panic here would be a defect of ours; it costs the one query and is counted and logged, so that no packet can stop the server.
func (r *responder) respond(dst, packet []byte, from netip.AddrPort, by transport) (out []byte) {
	defer func() {
		if p := recover(); p != nil {
			out = nil
			r.counts.panics.Add(1)
			r.reportPanic(p)
		}
	}()
	if by == overUDP && from.Port() == 0 {
		r.counts.dropped.Add(1) // nobody can be listening there
		return nil
	}
	q := &r.query
	switch verdict, rcode := wire.Parse(packet, q); verdict {
	case wire.Drop:
		r.counts.dropped.Add(1)
		return nil
	case wire.RefuseHeader:
		r.counts.count(by, 0, rcode)
		return wire.AppendHeader(dst[:0], q, rcode)
	case wire.CookieOnly:
		return r.respondWithoutQuestion(dst, by)
	}
	r.response.Zone = nil
	rcode := r.examine(from, by)
	limit := r.limit(by)
	r.writer.Begin(dst, q, limit-r.optSize())
	if rcode == wire.NoError {
		rcode = r.resolve(from)
	}
	out = r.finish(rcode)
	r.counts.count(by, q.Type, rcode)
	return out
}

// respondWithoutQuestion answers an OPT record alone (RFC 7873 section 5.4).
func (r *responder) respondWithoutQuestion(dst []byte, by transport) []byte {
	r.options = r.options[:0]
	r.writer.Begin(dst, &r.query, r.limit(by))
	rcode := wire.NoError
	switch _, ok := r.query.EDNS.Option(wire.OptionCookie); {
	case r.query.EDNS.Version > 0:
		rcode = wire.BadVers
	case !ok:
		rcode = wire.FormErr
	}
	r.counts.count(by, 0, rcode)
	return r.finish(rcode)
}

func (r *responder) resolve(from netip.AddrPort) wire.Rcode {
	r.client = zone.Client{Addr: from.Addr(), Random: r.random.Uint64(), Window: r.window}
	r.response.Resolve(r.store.Snapshot(), &r.query, &r.client)
	r.response.Write(&r.writer)
	return r.response.Rcode
}

// limit is the most octets the response may have (RFC 6891 section 6.2.3, RFC 9715).
func (r *responder) limit(by transport) int {
	switch {
	case by != overUDP:
		return maxTCPSize
	case !r.query.HasEDNS:
		return minUDPSize
	}
	return min(max(int(r.query.EDNS.UDPSize), minUDPSize), r.udpSize)
}

func (r *responder) optSize() int {
	if !r.query.HasEDNS {
		return 0
	}
	return wire.OPTSize(len(r.options))
}

func (r *responder) finish(rcode wire.Rcode) []byte {
	if !r.query.HasEDNS {
		return r.writer.Finish(rcode, nil)
	}
	r.opt = wire.OPT{UDPSize: uint16(r.udpSize), DO: r.query.EDNS.DO, Options: r.options}
	return r.writer.Finish(rcode, &r.opt)
}
