package server

import (
	"encoding/binary"
	"net/netip"

	"github.com/hanse-federation/hanse/dns/wire"
)

// examine looks at the EDNS part of the query and prepares the options of the response. A code other than NOERROR is the whole answer.
func (r *responder) examine(from netip.AddrPort, by transport) wire.Rcode {
	r.options = r.options[:0]
	if !r.query.HasEDNS {
		return wire.NoError
	}
	e := &r.query.EDNS
	if e.Version > 0 {
		return wire.BadVers // RFC 6891 section 6.1.3
	}
	if !e.HasOptions() {
		return wire.NoError
	}
	if _, asked := e.Option(wire.OptionNSID); asked && r.identity != "" {
		r.addOption(wire.OptionNSID, []byte(r.identity))
	}
	if _, asked := e.Option(wire.OptionKeepalive); asked && by != overUDP {
		// In units of 100 ms (RFC 7828 section 3.1).
		r.addOption(wire.OptionKeepalive, binary.BigEndian.AppendUint16(nil, uint16(min(r.idle.Milliseconds()/100, 0xffff))))
	}
	return wire.NoError
}

func (r *responder) addOption(code uint16, data []byte) {
	r.options = binary.BigEndian.AppendUint16(r.options, code)
	r.options = binary.BigEndian.AppendUint16(r.options, uint16(len(data)))
	r.options = append(r.options, data...)
}
