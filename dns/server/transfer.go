package server

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// Transfer says who may copy whole zones (AXFR, RFC 5936), and who is told when they change (NOTIFY, RFC 1996).
//
// A copy is a static view: of a balanced name it has the largest set of targets that is answered. That keeps names
// resolvable by servers of another make when no server of ours is left, without weights.
type Transfer struct {
	// Keys are TSIG keys (RFC 8945): names, and secrets in base64. Whoever signs with one may copy every zone.
	Keys map[string]string
	// Allow are networks that may copy without a signature.
	Allow []netip.Prefix
	// Notify has the addresses of secondaries, and NotifyKey the name of the key that messages to them are signed with,
	// if any.
	Notify    []netip.AddrPort
	NotifyKey string
}

// transfers is a Transfer made ready.
type transfers struct {
	keys   map[string]string // by canonical name
	allow  []netip.Prefix
	notify []netip.AddrPort
	key    string
}

func newTransfers(t Transfer) (*transfers, error) {
	out := &transfers{keys: map[string]string{}, allow: t.Allow, notify: t.Notify, key: dns.CanonicalName(t.NotifyKey)}
	for name, secret := range t.Keys {
		if _, err := base64.StdEncoding.DecodeString(secret); err != nil || secret == "" {
			return nil, fmt.Errorf("Transfer.Keys[%q]: the secret is not base64", name)
		}
		if _, err := wire.ParseName(name, wire.Root); err != nil {
			return nil, fmt.Errorf("Transfer.Keys[%q]: %w", name, err)
		}
		out.keys[dns.CanonicalName(name)] = secret
	}
	if t.NotifyKey != "" && out.keys[out.key] == "" {
		return nil, fmt.Errorf("Transfer.NotifyKey: no key %q", t.NotifyKey)
	}
	return out, nil
}

// signature is what must be known of a query's TSIG to sign the response. The zero signature means none.
type signature struct {
	name, algorithm, secret string
	// mac of the message that the next one continues, in hexadecimal.
	mac string
}

// tsigFudge is the difference between clocks that is let pass, in seconds (RFC 8945 section 10).
const tsigFudge = 300

// tsigRoom is what a TSIG record of ours takes at most, in octets.
const tsigRoom = 400

// respondSigned answers a query with a TSIG record: one that verifies gets a signed response, any other is told why not
// (RFC 8945 section 5.2).
func (r *responder) respondSigned(dst, packet []byte, from netip.AddrPort, by transport) []byte {
	var m dns.Msg
	if err := m.Unpack(packet); err != nil || m.IsTsig() == nil {
		r.counts.count(by, r.query.Type, wire.FormErr)
		return wire.AppendHeader(dst[:0], &r.query, wire.FormErr)
	}
	tsig := m.IsTsig()
	s := signature{name: dns.CanonicalName(tsig.Hdr.Name), algorithm: dns.CanonicalName(tsig.Algorithm), mac: tsig.MAC}
	s.secret = r.transfers.keys[s.name]
	if s.secret == "" || !isStrong(s.algorithm) {
		return r.refuseSignature(&m, s, dns.RcodeBadKey, by)
	}
	switch err := dns.TsigVerify(packet, s.secret, "", false); {
	case errors.Is(err, dns.ErrTime):
		return r.refuseSignature(&m, s, dns.RcodeBadTime, by)
	case err != nil:
		return r.refuseSignature(&m, s, dns.RcodeBadSig, by)
	}
	m.Extra = m.Extra[:len(m.Extra)-1]
	plain, err := m.Pack()
	if err != nil {
		return wire.AppendHeader(dst[:0], &r.query, wire.FormErr)
	}
	r.signature = s
	response := r.answerPacket(dst, plain, from, by)
	if len(response) == 0 {
		return nil
	}
	signed, err := r.sign(response, false)
	if err == nil && by == overUDP && len(signed) > max(minUDPSize, r.limit(by)) {
		signed, err = r.signTruncated(response)
	}
	if err != nil {
		r.log.Error("signing a DNS response failed", "key", s.name, "error", err)
		return wire.AppendHeader(dst[:0], &r.query, wire.ServFail)
	}
	return signed
}

// isStrong reports whether an algorithm is one that RFC 8945 section 6 does not advise against.
func isStrong(algorithm string) bool {
	return algorithm == dns.HmacSHA256 || algorithm == dns.HmacSHA384 || algorithm == dns.HmacSHA512
}

func (r *responder) refuseSignature(m *dns.Msg, s signature, code uint16, by transport) []byte {
	var reply dns.Msg
	reply.SetRcode(m, dns.RcodeNotAuth)
	reply.SetTsig(s.name, s.algorithm, tsigFudge, r.now().Unix())
	tsig := reply.IsTsig()
	tsig.Error, tsig.OrigId = code, m.Id
	r.counts.count(by, r.query.Type, wire.NotAuth)
	var out []byte
	var err error
	if code == dns.RcodeBadTime { // signed, with our time, so that the other side can tell (RFC 8945 section 5.2.3)
		tsig.TimeSigned = m.IsTsig().TimeSigned
		tsig.OtherLen, tsig.OtherData = 6, fmt.Sprintf("%012x", r.now().Unix())
		out, _, err = dns.TsigGenerate(&reply, s.secret, s.mac, false)
	} else {
		out, err = reply.Pack()
	}
	if err != nil {
		return wire.AppendHeader(nil, &r.query, wire.NotAuth)
	}
	return out
}

// sign adds a TSIG to a response, and remembers its MAC for the message after it. It goes through the other codec.
func (r *responder) sign(response []byte, isContinued bool) ([]byte, error) {
	var m dns.Msg
	if err := m.Unpack(response); err != nil {
		return nil, err
	}
	m.Compress = true
	m.SetTsig(r.signature.name, r.signature.algorithm, tsigFudge, r.now().Unix())
	out, mac, err := dns.TsigGenerate(&m, r.signature.secret, r.signature.mac, isContinued)
	if err != nil {
		return nil, err
	}
	r.signature.mac = mac
	return out, nil
}

func (r *responder) signTruncated(response []byte) ([]byte, error) {
	var m dns.Msg
	if err := m.Unpack(response); err != nil {
		return nil, err
	}
	m.Answer, m.Ns, m.Truncated = nil, nil, true
	short, err := m.Pack()
	if err != nil {
		return nil, err
	}
	return r.sign(short, false)
}

// transferSize is the length from which on a message of a transfer is sent, in octets: as long as compression reaches.
const transferSize = 16000

// sendZone answers a query for AXFR or IXFR on its connection. There are no differences kept, so that IXFR gets the
// whole zone, or, when it has the current serial, just that (RFC 1995 section 4).
func (r *responder) sendZone(client netip.AddrPort, send func([]byte) error) error {
	r.response.Reset()
	r.options = r.options[:0]
	tree, rcode := r.transferable(client.Addr())
	r.counts.count(overTCP, r.query.Type, rcode)
	z := &zoneWriter{responder: r, send: send}
	z.begin()
	if rcode != wire.NoError {
		return z.flush(rcode)
	}
	z.append(tree.Origin, &tree.SOA)
	if r.query.Type == wire.TypeIXFR && int32(r.query.IXFRSerial-tree.Serial()) >= 0 {
		return z.flush(wire.NoError)
	}
	for name, node := range tree.Names {
		for i := range node.RRsets() {
			z.append(name, &node.RRsets()[i])
		}
		if b := node.Balanced(); b != nil {
			for _, set := range b.Static() {
				z.append(name, set)
			}
		}
		if z.err != nil {
			return z.err
		}
	}
	z.append(tree.Origin, &tree.SOA)
	return z.flush(wire.NoError)
}

// transferable is the zone asked for, or why it is not given.
func (r *responder) transferable(client netip.Addr) (*zone.Tree, wire.Rcode) {
	isAllowed := slices.ContainsFunc(r.transfers.allow, func(p netip.Prefix) bool { return p.Contains(client) })
	if r.signature.name == "" && !isAllowed || r.query.Class != wire.ClassIN {
		return nil, wire.Refused
	}
	snapshot := r.store.Snapshot()
	if snapshot == nil {
		return nil, wire.ServFail
	}
	if tree := snapshot.Tree(wire.Name(r.query.Name())); tree != nil {
		return tree, wire.NoError
	}
	return nil, wire.NotAuth // RFC 5936 section 2.2.1
}

// zoneWriter spreads records over as many messages as they need.
type zoneWriter struct {
	*responder
	send        func([]byte) error
	buf         []byte
	isContinued bool
	err         error
}

func (z *zoneWriter) begin() {
	z.writer.Begin(z.buf, &z.query, maxTCPSize-tsigRoom-z.optSize())
	z.writer.Authoritative()
}

func (z *zoneWriter) append(owner wire.Name, set *wire.RRset) {
	for range 2 {
		if z.err != nil || z.writer.Append(wire.AnswerSection, owner, set, 0) {
			break
		}
		z.err = z.flush(wire.NoError)
	}
	if z.err == nil && z.writer.Len() > transferSize {
		z.err = z.flush(wire.NoError)
	}
}

// flush sends what has been gathered and starts a new message.
func (z *zoneWriter) flush(rcode wire.Rcode) error {
	if z.err != nil {
		return z.err
	}
	z.buf = z.finish(rcode)
	message := z.buf
	if z.signature.name != "" {
		signed, err := z.sign(message, z.isContinued)
		if err != nil {
			return fmt.Errorf("signing a zone transfer: %w", err)
		}
		message = signed
	}
	z.isContinued = true
	if err := z.send(message); err != nil {
		return err
	}
	z.begin()
	return nil
}

// Pace of NOTIFY: how often serials are looked at, which bounds the messages about fast changes, and how often one is
// sent again.
const (
	notifyEvery    = time.Second
	notifyAttempts = 5
)

// notify tells the secondaries about every new serial until the server ends.
func (s *Server) notify() {
	told := map[wire.Name]uint32{}
	ticker := time.NewTicker(notifyEvery)
	defer ticker.Stop()
	var sending sync.WaitGroup
	defer sending.Wait()
	for {
		if snapshot := s.store.Snapshot(); snapshot != nil {
			for _, tree := range snapshot.Trees() {
				if serial, ok := told[tree.Origin]; ok && serial == tree.Serial() {
					continue
				}
				told[tree.Origin] = tree.Serial()
				for _, to := range s.transfers.notify {
					sending.Go(func() { s.notifyOne(tree.Origin, tree.Serial(), to) })
				}
			}
		}
		select {
		case <-s.ended:
			return
		case <-s.retired:
			return
		case <-ticker.C:
		}
	}
}

// notifyOne tells one secondary, until it has heard, there is something newer to tell, or it is no use.
func (s *Server) notifyOne(origin wire.Name, serial uint32, to netip.AddrPort) {
	client := dns.Client{Timeout: 2 * time.Second, TsigSecret: s.transfers.keys}
	wait := time.Second
	for range notifyAttempts {
		var m dns.Msg
		m.SetNotify(origin.String())
		if s.transfers.keys[s.transfers.key] != "" {
			m.SetTsig(s.transfers.key, dns.HmacSHA256, tsigFudge, s.now().Unix())
		}
		if _, _, err := client.Exchange(&m, to.String()); err == nil {
			return
		}
		select {
		case <-s.ended:
			return
		case <-time.After(wait):
			wait *= 2
		}
		if snapshot := s.store.Snapshot(); snapshot.Tree(origin) == nil || snapshot.Tree(origin).Serial() != serial {
			return
		}
	}
	s.log.Warn("a secondary does not answer NOTIFY",
		"zone", origin.String(), "secondary", to.String(), "serial", serial)
}

// framedSender writes messages with their length before them.
func framedSender(c net.Conn) func([]byte) error {
	return func(message []byte) error {
		c.SetWriteDeadline(time.Now().Add(queryTimeout))
		_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
		return err
	}
}
