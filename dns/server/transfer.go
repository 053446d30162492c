package server

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

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
		r.count(by, r.query.Type, wire.FormErr, nil)
		return wire.AppendHeader(dst[:0], &r.query, wire.FormErr)
	}
	s, code := checkSignature(&m, packet, r.treeOf(r.query.Name()))
	if code != dns.RcodeSuccess {
		return r.refuseSignature(&m, s, code, by)
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

// treeOf is the zone that a name lies in, or nil.
func (r *responder) treeOf(name []byte) *zone.Tree {
	if snapshot := r.store.Snapshot(); snapshot != nil {
		return snapshot.Find(name)
	}
	return nil
}

func (r *responder) refuseSignature(m *dns.Msg, s signature, code uint16, by transport) []byte {
	var reply dns.Msg
	reply.SetRcode(m, dns.RcodeNotAuth)
	reply.CheckingDisabled = false // it copies the flag, which is for resolvers
	reply.SetTsig(s.name, s.algorithm, tsigFudge, r.now().Unix())
	tsig := reply.IsTsig()
	tsig.Error, tsig.OrigId = code, m.Id
	r.count(by, r.query.Type, wire.NotAuth, nil)
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

// sendZone answers a query for AXFR or IXFR on its connection. IXFR is answered with the differences (RFC 1995) if the
// client's serial is one that is still known, and they are less than the zone; with just the SOA if it has nothing to
// fetch; and else like AXFR. The differences of a signed zone have signatures, also those that only time has renewed.
func (r *responder) sendZone(client netip.AddrPort, by transport, send func([]byte) error) error {
	r.response.Reset()
	r.options = r.options[:0]
	tree, rcode := r.transferable(client.Addr())
	r.count(by, r.query.Type, rcode, tree)
	z := &zoneWriter{responder: r, send: send}
	z.begin()
	if rcode != wire.NoError {
		return z.flush(rcode)
	}
	z.writer.Authoritative()
	z.append(tree.Origin, &tree.SOA)
	isIXFR := r.query.Type == wire.TypeIXFR
	if isIXFR && int32(r.query.IXFRSerial-tree.Serial()) >= 0 {
		return z.flush(wire.NoError)
	}
	at := int64(r.seconds)
	if tree.Signer() != nil {
		at = r.sent.timeFor(client.Addr(), tree, at)
		c := r.signedCopy(tree, at)
		has := r.sent.findSigned(client.Addr(), tree.Origin, r.query.IXFRSerial)
		if !isIXFR || !z.appendSignedDifference(c, has) {
			z.appendSigned(c)
		}
	} else if !isIXFR || !z.appendDifference(tree) {
		z.appendAll(tree)
	}
	z.append(tree.Origin, &tree.SOA)
	if err := z.flush(wire.NoError); err != nil {
		return err
	}
	r.sent.remember(client.Addr(), tree, at)
	return nil
}

// appendAll writes a zone.
func (z *zoneWriter) appendAll(tree *zone.Tree) {
	for name, node := range tree.Names {
		for _, set := range node.Copied() {
			z.append(name, set)
		}
		if z.err != nil {
			return
		}
	}
}

// appendDifference writes what has changed since the client's serial: one step, however many there were (RFC 1995
// section 5). It reports false, and has written nothing, if the whole zone must be sent.
func (z *zoneWriter) appendDifference(tree *zone.Tree) bool {
	old := z.sent.find(tree.Origin, z.query.IXFRSerial)
	if old == nil {
		old = z.store.Before(tree.Origin, z.query.IXFRSerial)
	}
	if old == nil || old.Signer() != nil || tree.Signer() != nil {
		return false
	}
	removed, added := tree.Difference(old)
	if len(removed)+len(added) > tree.Len() {
		return false
	}
	z.append(tree.Origin, &old.SOA)
	for i := range removed {
		z.append(removed[i].Owner, &removed[i].RRset)
	}
	z.append(tree.Origin, &tree.SOA)
	for i := range added {
		z.append(added[i].Owner, &added[i].RRset)
	}
	return true
}

// tellSerial answers a query for IXFR over UDP: with the SOA alone, which sends a client that has an older one to TCP (RFC
// 1995 section 2).
func (r *responder) tellSerial(client netip.Addr) wire.Rcode {
	tree, rcode := r.transferable(client)
	if rcode == wire.NoError {
		r.writer.Authoritative()
		r.writer.Append(wire.AnswerSection, "", &tree.SOA, 0)
	}
	return rcode
}

// transferable is the zone asked for, or why it is not given.
func (r *responder) transferable(client netip.Addr) (*zone.Tree, wire.Rcode) {
	if r.query.Class != wire.ClassIN {
		return nil, wire.Refused
	}
	snapshot := r.store.Snapshot()
	if snapshot == nil {
		return nil, wire.ServFail
	}
	tree := snapshot.Tree(wire.Name(r.query.Name()))
	switch {
	case tree == nil:
		return nil, wire.NotAuth // RFC 5936 section 2.2.1
	case !tree.MayTransfer(client, r.signature.name):
		return nil, wire.Refused
	}
	return tree, wire.NoError
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
	z.writer.Authoritative()
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
				for _, to := range tree.Transfer().Notify {
					sending.Go(func() { s.notifyOne(tree, to) })
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
func (s *Server) notifyOne(tree *zone.Tree, to string) {
	client := dns.Client{Timeout: 2 * time.Second}
	var key *zone.TSIGKey
	if keys := tree.Transfer().Keys; len(keys) > 0 {
		key = &keys[0]
		client.TsigSecret = map[string]string{dns.CanonicalName(key.Name): key.Secret}
	}
	wait := time.Second
	for range notifyAttempts {
		var m dns.Msg
		m.SetNotify(tree.Origin.String())
		if key != nil {
			m.SetTsig(dns.CanonicalName(key.Name), key.SigningAlgorithm(), tsigFudge, s.now().Unix())
		}
		if _, _, err := client.Exchange(&m, to); err == nil {
			return
		}
		select {
		case <-s.ended:
			return
		case <-time.After(wait):
			wait *= 2
		}
		if now := s.store.Snapshot().Tree(tree.Origin); now == nil || now.Serial() != tree.Serial() {
			return
		}
	}
	s.log.Warn("a secondary does not answer NOTIFY",
		"zone", tree.Origin.String(), "secondary", to, "serial", tree.Serial())
}

// framedSender writes messages with their length before them.
func framedSender(c net.Conn) func([]byte) error {
	return func(message []byte) error {
		c.SetWriteDeadline(time.Now().Add(queryTimeout))
		_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
		return err
	}
}
