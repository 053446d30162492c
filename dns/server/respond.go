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
	overHTTPS
	transports
)

var transportNames = [transports]string{"udp", "tcp", "tls", "https"}

// isStream reports whether a response may be several messages.
func (t transport) isStream() bool { return t == overTCP || t == overTLS }

// maxTCPSize is the most a message over TCP can be, in octets (RFC 1035 section 4.2.2).
const maxTCPSize = 65535

// responder answers packets, one at a time. A worker has its own.
type responder struct {
	*settings
	counts  *counters
	counted *zoneCounters // of the zone counted last
	random  *rand.Rand
	// What time it is: nanoseconds, seconds, and zone.Client.Window; tick sets them.
	nanos   int64
	seconds uint32
	window  uint64
	// staleFor is how long ago the zones were last said to be as they are, if that is long; else 0.
	staleFor time.Duration

	query    wire.Query
	writer   wire.Writer
	response answer.Response
	client   zone.Client
	exchange exchange
	// signature is there while a signed query is answered. wantsZone says that the query must be answered by sendZone.
	signature signature
	wantsZone bool
	// told is the code of the response, and target what its answer began with, if it was drawn.
	told   wire.Rcode
	target string
	// pending is an update that is to be carried out, and answered then.
	pending *pendingUpdate
	options []byte
	opt     wire.OPT
	// denial is the NSEC set of the response, and owner memory for a name.
	denial wire.RRset
	owner  []byte
}

func newResponder(s *settings, counts *counters) *responder {
	return &responder{
		settings: s,
		counts:   counts,
		random:   rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
}

// tick tells the responder what time it is; loops call it once for a batch.
func (r *responder) tick(now time.Time) {
	r.nanos = now.UnixNano()
	r.seconds = uint32(now.Unix())
	r.window = uint64(now.Unix()) / zone.WindowSeconds
	r.staleFor = 0
	if r.heard != nil {
		heard := r.heard()
		if age := now.Sub(heard); !heard.IsZero() && age > staleAfter {
			r.staleFor = age
		}
	}
}

// respond answers one packet into dst[:0]. An empty result means that nothing must be sent.
//
// A panic here would be a defect of ours; it costs the one query and is counted and logged, so that no packet can stop
// the server.
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
	r.signature, r.wantsZone, r.pending, r.target = signature{}, false, nil, ""
	r.query.Question = nil
	out = r.answerPacket(dst, packet, from, by)
	if r.queries.IsOn() {
		r.record(out, from, by)
	}
	return out
}

func (r *responder) answerPacket(dst, packet []byte, from netip.AddrPort, by transport) (out []byte) {
	q := &r.query
	switch verdict, rcode := wire.Parse(packet, q); verdict {
	case wire.Drop:
		r.counts.dropped.Add(1)
		return nil
	case wire.RefuseHeader:
		r.count(by, 0, rcode, nil)
		return wire.AppendHeader(dst[:0], q, rcode)
	case wire.Update:
		if !r.takesUpdates || by == overHTTPS {
			r.count(by, 0, rcode, nil)
			return wire.AppendHeader(dst[:0], q, rcode)
		}
		return r.examineUpdate(packet, by)
	case wire.CookieOnly:
		return r.respondWithoutQuestion(dst, from, by)
	}
	if q.HasTSIG {
		return r.respondSigned(dst, packet, from, by)
	}
	if by.isStream() && (q.Type == wire.TypeAXFR || q.Type == wire.TypeIXFR) {
		r.wantsZone = true
		return nil
	}
	r.response.Reset()
	rcode := r.examine(from, by)
	r.writer.Begin(dst, q, r.limit(by)-r.optSize())
	if rcode == wire.NoError {
		rcode = r.resolve(from, by)
	}
	r.closeOptions()
	if by == overUDP && r.limiter != nil && !r.exchange.isKnown && !r.withinRate(from.Addr(), rcode) {
		r.counts.limited.Add(1)
		if r.random.Uint64()&1 == 0 {
			return nil
		}
		// Whoever is real can ask again, over TCP or with the cookie; a forged address gets nothing larger than what
		// was sent for it.
		r.writer.Truncate()
		if rcode = wire.NoError; r.exchange.hasCookie {
			rcode = wire.BadCookie
		}
	} else {
		r.countTarget()
	}
	r.count(by, q.Type, rcode, r.response.Zone)
	return r.finish(rcode)
}

// withinRate reports whether this client network may have one more response like this one.
func (r *responder) withinRate(from netip.Addr, rcode wire.Rcode) bool {
	var origin wire.Name
	if r.response.Zone != nil {
		origin = r.response.Zone.Origin
	}
	if d := &r.response.Denied; d.Is && d.Node == nil {
		rcode = wire.NXDomain // whatever the code says in a signed zone
	}
	name, kind := r.likely()
	return r.limiter.allow(likeness(from, rcode, name, kind, origin), r.nanos)
}

// likely is what a response has in common with all that say the same. Who asks cannot make up more of them: a wildcard
// and a delegation answer any number of names, an alias and a name without data any type.
func (r *responder) likely() ([]byte, wire.Type) {
	x := &r.response
	name, kind := r.query.Name(), r.query.Type
	if x.Wildcard != nil {
		name = []byte(x.Wildcard.Name())
	}
	switch {
	case x.Denied.Is:
		kind = 0
	case len(x.Answer) > 0:
		kind = x.Answer[0].RRset.Type
	case len(x.Authority) > 0: // a referral
		kind = wire.TypeNS
		if owner := x.Authority[0].Owner; owner != "" {
			name = []byte(owner)
		}
	}
	return name, kind
}

// respondWithoutQuestion answers an OPT record alone, a question for a cookie (RFC 7873 section 5.4).
func (r *responder) respondWithoutQuestion(dst []byte, from netip.AddrPort, by transport) []byte {
	r.response.Reset()
	rcode := r.examine(from, by)
	if rcode == wire.NoError && !r.exchange.hasCookie {
		rcode = wire.FormErr
	}
	r.closeOptions()
	r.writer.Begin(dst, &r.query, r.limit(by))
	r.count(by, 0, rcode, nil)
	return r.finish(rcode)
}

func (r *responder) resolve(from netip.AddrPort, by transport) wire.Rcode {
	switch {
	case r.query.Class == wire.ClassCH:
		return r.resolveChaos()
	case r.query.Type == wire.TypeIXFR && by == overUDP:
		return r.tellSerial(from.Addr())
	}
	r.client = zone.Client{Addr: from.Addr(), Subnet: r.exchange.subnet, Random: r.random.Uint64(), Window: r.window,
		Geography: r.geography}
	r.response.Resolve(r.store.Snapshot(), &r.query, &r.client)
	if tree := r.response.Zone; tree != nil && tree.Signer() != nil && r.wantsProof() && !r.secure(by) {
		return r.withholdProof(by)
	}
	r.response.Write(&r.writer)
	return r.response.Rcode
}

// wantsProof tells whether the client asks for DNSSEC records (RFC 3225).
func (r *responder) wantsProof() bool {
	return r.query.HasEDNS && r.query.EDNS.DO && r.query.Class == wire.ClassIN
}

// withholdProof answers when no more signatures may be made at the moment: a client that can prove its address may ask
// again by TCP, any other gets nothing of use for a flood.
func (r *responder) withholdProof(by transport) wire.Rcode {
	r.response.Reset()
	if by == overUDP && !r.exchange.isKnown {
		r.writer.Truncate()
		return wire.NoError
	}
	return wire.ServFail
}

// The names that class CHAOS knows, in wire form: version.bind and version.server, id.server and hostname.bind (RFC
// 4892).
const (
	chaosVersionBind   = "\x07version\x04bind\x00"
	chaosVersionServer = "\x07version\x06server\x00"
	chaosIDServer      = "\x02id\x06server\x00"
	chaosHostnameBind  = "\x08hostname\x04bind\x00"
)

// resolveChaos tells about this server itself, where that is configured.
func (r *responder) resolveChaos() wire.Rcode {
	text := ""
	switch string(r.query.Name()) {
	case chaosVersionBind, chaosVersionServer:
		text = r.version
	case chaosIDServer, chaosHostnameBind:
		text = r.identity
	}
	if text == "" || r.query.Type != wire.TypeTXT && r.query.Type != wire.TypeANY {
		return wire.Refused
	}
	text = text[:min(len(text), 255)]
	set := wire.NewRRset(wire.TypeTXT, 0, append([]byte{byte(len(text))}, text...))
	set.Records[5] = byte(wire.ClassCH)
	r.writer.Append(wire.AnswerSection, "", &set, 0)
	return wire.NoError
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
	size := wire.OPTSize(len(r.options))
	if r.exchange.wantsVersion {
		size += versionSize
	}
	return size
}

func (r *responder) finish(rcode wire.Rcode) []byte {
	if !r.query.HasEDNS {
		return r.writer.Finish(rcode, nil)
	}
	if r.exchange.wantsPadding {
		r.pad()
	}
	r.opt = wire.OPT{UDPSize: uint16(r.udpSize), DO: r.query.EDNS.DO, Options: r.options}
	return r.writer.Finish(rcode, &r.opt)
}

// paddingBlock is what responses over encrypted transports are padded to a multiple of, in octets (RFC 8467 section 4.1).
const paddingBlock = 468

// pad adds the padding option (RFC 7830), so that the length of the message tells little of what is in it.
func (r *responder) pad() {
	length := r.writer.Len() + wire.OPTSize(len(r.options)) + 4
	padding := (paddingBlock - length%paddingBlock) % paddingBlock
	if length+padding > maxTCPSize-tsigRoom {
		return
	}
	r.openOption(wire.OptionPadding, padding)
	r.options = append(r.options, make([]byte, padding)...)
}
