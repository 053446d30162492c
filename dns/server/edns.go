package server

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/hanse-federation/hanse/dns/answer"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// exchange is what the options of one query mean for its response.
type exchange struct {
	// hasCookie: the client sent a cookie, so it will look at ours. isKnown: it sent one of ours back, so its address
	// is not forged.
	hasCookie, isKnown bool
	// subnet is the EDNS Client Subnet of the query; not valid if there is none.
	subnet netip.Prefix
	// wantsPadding: the query was padded, over an encrypted transport (RFC 7830 section 4).
	wantsPadding bool
	// wantsVersion: the client asks for the version of the zone (RFC 9660).
	wantsVersion bool
	// subnetAt is where the subnet option stands in the options of the response.
	subnetAt int
}

// examine looks at the EDNS part of the query and prepares the options of the response. A code other than NOERROR is
// the whole answer.
func (r *responder) examine(from netip.AddrPort, by transport) wire.Rcode {
	r.options = r.options[:0]
	r.exchange = exchange{}
	if !r.query.HasEDNS {
		return wire.NoError
	}
	e := &r.query.EDNS
	if e.Version > 0 {
		return wire.BadVers // RFC 6891 section 6.1.3
	}
	if r.staleFor > 0 {
		r.tellAge()
	}
	if !e.HasOptions() {
		return wire.NoError
	}
	if data, ok := e.Option(wire.OptionCookie); ok && !r.examineCookie(data, from.Addr()) {
		return wire.FormErr // RFC 7873 section 5.2.2
	}
	if data, ok := e.Option(wire.OptionECS); ok && !r.examineSubnet(data) {
		return wire.FormErr // RFC 7871 section 7.1.2
	}
	if _, isPadded := e.Option(wire.OptionPadding); isPadded && (by == overTLS || by == overHTTPS) {
		r.exchange.wantsPadding = true
	}
	if data, asked := e.Option(wire.OptionVersion); asked {
		r.exchange.wantsVersion = len(data) == 0
	}
	if _, asked := e.Option(wire.OptionNSID); asked && r.identity != "" {
		r.openOption(wire.OptionNSID, len(r.identity))
		r.options = append(r.options, r.identity...)
	}
	if _, asked := e.Option(wire.OptionKeepalive); asked && by.isStream() {
		r.openOption(wire.OptionKeepalive, 2)
		tenths := uint16(min(r.idle.Milliseconds()/100, 0xffff)) // RFC 7828 section 3.1
		r.options = binary.BigEndian.AppendUint16(r.options, tenths)
	}
	return wire.NoError
}

// staleAfter is how old the word of whoever makes the zones may be until clients are told.
const staleAfter = time.Minute

// tellAge says how old that word is, for people who look at an answer that they find odd (RFC 8914).
func (r *responder) tellAge() {
	text := fmt.Sprintf("hub state %d s old", int64(r.staleFor/time.Second))
	r.openOption(wire.OptionEDE, 2+len(text))
	r.options = append(binary.BigEndian.AppendUint16(r.options, answer.OtherError), text...)
}

// versionSize is the length of the option with the version of a zone.
const versionSize = 10

// tellVersion adds the serial that the answer comes from (RFC 9660): with the number of labels of the zone.
func (r *responder) tellVersion(tree *zone.Tree) {
	labels := byte(0)
	for name := tree.Origin; name != wire.Root; name = name.Parent() {
		labels++
	}
	r.openOption(wire.OptionVersion, versionSize-4)
	r.options = append(r.options, labels, 0) // 0: the version is an SOA serial
	r.options = binary.BigEndian.AppendUint32(r.options, tree.Serial())
}

// openOption starts an option; its data must follow.
func (r *responder) openOption(code uint16, length int) {
	r.options = binary.BigEndian.AppendUint16(r.options, code)
	r.options = binary.BigEndian.AppendUint16(r.options, uint16(length))
}

// examineCookie answers a cookie with one of ours: the same while it is young, a fresh one otherwise. A server cookie
// that is not ours is no reason to refuse (RFC 7873 section 5.2.3); who it comes from is just not known.
func (r *responder) examineCookie(data []byte, from netip.Addr) bool {
	if !isCookie(data) {
		return false
	}
	r.exchange.hasCookie = true
	secret := r.cookieSecret()
	age, ok := checkCookie(secret, data, from, r.seconds)
	r.exchange.isKnown = ok
	r.openOption(wire.OptionCookie, clientCookieSize+serverCookieSize)
	if ok && age < cookieRenewal {
		r.options = append(r.options, data...)
		return true
	}
	r.options = appendCookie(r.options, secret, data, from, r.seconds)
	return true
}

// cookieSecret is the one that all replicas share, or else our own.
func (r *responder) cookieSecret() [2]uint64 {
	if s := r.store.Snapshot(); s != nil && len(s.Secret()) >= 16 {
		return sipKey([16]byte(s.Secret()))
	}
	return r.secret
}

// examineSubnet reads EDNS Client Subnet (RFC 7871 section 6): family, source and scope length, and as many octets of
// the address as the source length needs, with the bits after it zero. It prepares the option of the response, which is
// the same with a scope.
func (r *responder) examineSubnet(data []byte) bool {
	if len(data) < 4 {
		return false
	}
	family, source, scope, rest := binary.BigEndian.Uint16(data), int(data[2]), data[3], data[4:]
	size := addressSize(family)
	if size == 0 || source > 8*size || scope != 0 || len(rest) != (source+7)/8 {
		return false
	}
	var octets [16]byte
	copy(octets[:], rest)
	addr := netip.AddrFrom16(octets)
	if size == 4 {
		addr = netip.AddrFrom4([4]byte(octets[:4]))
	}
	prefix := netip.PrefixFrom(addr, source)
	if prefix.Masked() != prefix {
		return false
	}
	r.exchange.subnet, r.exchange.subnetAt = prefix, len(r.options)
	r.openOption(wire.OptionECS, len(data))
	r.options = append(r.options, data...)
	return true
}

// addressSize is the size of an address of a family (IANA address family numbers), in octets, or 0.
func addressSize(family uint16) int {
	switch family {
	case 1:
		return 4
	case 2:
		return 16
	}
	return 0
}

// closeOptions completes the options once the answer is known.
func (r *responder) closeOptions() {
	if !r.query.HasEDNS {
		return
	}
	if x := &r.exchange; x.subnet.IsValid() {
		start := x.subnetAt
		end := start + 4 + int(binary.BigEndian.Uint16(r.options[start+2:]))
		if tree := r.response.Zone; tree == nil || !tree.ClientSubnet {
			r.options = append(r.options[:start], r.options[end:]...) // not in use here (RFC 7871 section 7.2.2)
		} else if x.subnet.Bits() > 0 {
			r.options[start+7] = r.response.Scope
		}
	}
	if tree := r.response.Zone; r.exchange.wantsVersion && tree != nil && r.response.Authoritative {
		r.tellVersion(tree)
	}
	if r.response.ExtendedError != answer.NoExtendedError {
		r.openOption(wire.OptionEDE, 2) // RFC 8914; errors have no records, so there is room
		r.options = binary.BigEndian.AppendUint16(r.options, r.response.ExtendedError)
	}
}
