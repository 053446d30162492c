package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/update"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// Updater stores what others write into zones (RFC 2136).
type Updater interface {
	// Update replaces the records stored for a zone by what change makes of them, and returns when they are safe. It may
	// call change more than once; an error of change is returned as it is.
	Update(ctx context.Context, origin string, change func([]zone.Record) ([]zone.Record, error)) error
}

// Forwarder takes updates to a server that can store them (RFC 2136 section 6).
type Forwarder interface {
	// Forward takes a message there as it is, signature and all, and brings the response.
	Forward(ctx context.Context, message []byte) ([]byte, error)
}

const (
	// updatesAtOnce bounds those that are being stored. What comes beyond that is not answered: clients try again.
	updatesAtOnce = 16
	// updateTimeout bounds the time for one.
	updateTimeout = 10 * time.Second
)

// pendingUpdate is an UPDATE message whose signature has been checked.
type pendingUpdate struct {
	message   *dns.Msg
	signature signature
	tree      *zone.Tree
	packet    []byte // as it came
}

// examineUpdate looks at an UPDATE message. It gives the response that refuses it, or else sets r.pending: then the
// response is that of store, which may take a while.
//
// Only messages with a signature are carried out. That is looked at before anything else is said, but for the zone,
// since it tells which keys there are.
func (r *responder) examineUpdate(packet []byte, by transport) []byte {
	var m dns.Msg
	r.query.Type = wire.TypeSOA // for the statistics
	refuse := func(rcode wire.Rcode) []byte {
		r.count(by, 0, rcode, nil)
		return wire.AppendHeader(nil, &r.query, rcode)
	}
	if m.Unpack(packet) != nil || len(m.Question) != 1 || m.Question[0].Qtype != dns.TypeSOA {
		return refuse(wire.FormErr)
	}
	snapshot := r.store.Snapshot()
	name, err := wire.ParseName(m.Question[0].Name, wire.Root)
	if err != nil || snapshot == nil {
		return refuse(wire.ServFail)
	}
	tree := snapshot.Tree(name)
	switch {
	case tree == nil || m.Question[0].Qclass != dns.ClassINET:
		return refuse(wire.NotAuth) // RFC 2136 section 3.1.2
	case m.IsTsig() == nil:
		return refuse(wire.Refused)
	}
	whole := slices.Clone(packet) // the check takes the signature off
	s, code := checkSignature(&m, packet, tree)
	if code != dns.RcodeSuccess {
		return r.refuseSignature(&m, s, code, by)
	}
	r.pending = &pendingUpdate{message: &m, signature: s, tree: tree, packet: whole}
	return nil
}

// carryOut stores an update, or has it stored elsewhere, and makes the response.
func (s *Server) carryOut(p *pendingUpdate, counts *counters, by transport) []byte {
	ctx, cancel := context.WithTimeout(context.Background(), updateTimeout)
	defer cancel()
	go func() {
		select {
		case <-s.ended: // the server closes
			cancel()
		case <-ctx.Done():
		}
	}()
	if s.config.Updater == nil {
		return s.forward(ctx, p, counts, by)
	}
	err := s.config.Updater.Update(ctx, p.tree.Origin.String(), func(records []zone.Record) ([]zone.Record, error) {
		return update.Apply(p.tree, p.signature.name, p.message, records)
	})
	rcode := wire.NoError
	var refusal update.Refusal
	switch {
	case errors.As(err, &refusal):
		rcode = wire.Rcode(refusal)
	case err != nil:
		rcode = wire.ServFail
		s.log.Error("storing a DNS update failed", "zone", p.tree.Origin.String(), "key", p.signature.name, "error", err)
	}
	s.log.Info("DNS update", "zone", p.tree.Origin.String(), "key", p.signature.name,
		"changes", len(p.message.Ns), "rcode", rcode.String())
	return s.acknowledge(p, rcode, counts, by)
}

// forward has an update stored by another server, whose response it is then: the client shares its key with both.
func (s *Server) forward(ctx context.Context, p *pendingUpdate, counts *counters, by transport) []byte {
	out, err := s.config.Forwarder.Forward(ctx, p.packet)
	if err == nil && (len(out) < wire.HeaderSize || !bytes.Equal(out[:2], p.packet[:2])) {
		err = errors.New("the response is that of another message")
	}
	if err != nil {
		s.log.Error("forwarding a DNS update failed", "zone", p.tree.Origin.String(), "key", p.signature.name, "error", err)
		return s.acknowledge(p, wire.ServFail, counts, by)
	}
	counts.of(p.tree.Origin).add(by, 0, wire.Rcode(out[3]&15))
	return out
}

// acknowledge is the response to an update, with a signature.
func (s *Server) acknowledge(p *pendingUpdate, rcode wire.Rcode, counts *counters, by transport) []byte {
	counts.of(p.tree.Origin).add(by, 0, rcode)
	var reply dns.Msg
	reply.SetRcode(p.message, int(rcode))
	reply.SetTsig(p.signature.name, p.signature.algorithm, tsigFudge, s.now().Unix())
	out, _, err := dns.TsigGenerate(&reply, p.signature.secret, p.signature.mac, false)
	if err != nil {
		s.log.Error("signing a DNS response failed", "key", p.signature.name, "error", err)
		return nil
	}
	return out
}

// carryOutLater does it beside the worker, which must not wait, and sends the response.
func (s *Server) carryOutLater(p *pendingUpdate, counts *counters, send func([]byte)) {
	select {
	case s.updating <- struct{}{}:
	default:
		counts.dropped.Add(1)
		return
	}
	s.running.Go(func() {
		defer func() { <-s.updating }()
		defer func() {
			if p := recover(); p != nil {
				counts.panics.Add(1)
				s.reportPanic(p)
			}
		}()
		if out := s.carryOut(p, counts, overUDP); len(out) > 0 {
			send(out)
		}
	})
}

// Updates takes update messages over HTTP, for servers that forward them: the body of a POST is the message, that of the
// response the response. A message needs its signature here as anywhere.
func (s *Server) Updates() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost || req.Header.Get("Content-Type") != dnsMessage {
			http.Error(w, "only POST of "+dnsMessage+" is served here", http.StatusMethodNotAllowed)
			return
		}
		packet, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxTCPSize))
		if err != nil {
			http.Error(w, "reading the message: "+err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case s.updating <- struct{}{}:
			defer func() { <-s.updating }()
		default:
			http.Error(w, "too many updates are under way", http.StatusServiceUnavailable)
			return
		}
		r := newResponder(s.settings, s.overHTTPS)
		r.tick(s.now())
		if verdict, _ := wire.Parse(packet, &r.query); verdict != wire.Update || !r.takesUpdates {
			http.Error(w, "the message is no DNS update", http.StatusBadRequest)
			return
		}
		response := r.examineUpdate(packet, overHTTPS)
		if r.pending != nil {
			response = s.carryOut(r.pending, s.overHTTPS, overHTTPS)
		}
		w.Header().Set("Content-Type", dnsMessage)
		_, _ = w.Write(response) // whoever does not wait for the answer need not have it
	})
}

// checkSignature checks the TSIG of a message about a zone (RFC 8945 section 5.2). The code is that of the TSIG error.
func checkSignature(m *dns.Msg, packet []byte, tree *zone.Tree) (signature, uint16) {
	tsig := m.IsTsig()
	s := signature{name: dns.CanonicalName(tsig.Hdr.Name), algorithm: dns.CanonicalName(tsig.Algorithm), mac: tsig.MAC}
	var key *zone.TSIGKey
	if tree != nil {
		key = tree.Key(s.name)
	}
	if key == nil || !key.FitsAlgorithm(s.algorithm) {
		return s, dns.RcodeBadKey
	}
	s.secret = key.Secret
	switch err := dns.TsigVerify(packet, s.secret, "", false); {
	case errors.Is(err, dns.ErrTime):
		return s, dns.RcodeBadTime
	case err != nil:
		return s, dns.RcodeBadSig
	}
	return s, dns.RcodeSuccess
}
