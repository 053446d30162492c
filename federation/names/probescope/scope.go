package probescope

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Origin says who named an address.
type Origin int

const (
	// ByHand is an address in spec.addresses of a GlobalService.
	ByHand Origin = iota
	// ByMember is an address in the status that a member gave an object.
	ByMember
)

// Scope is what the hub may connect to for others. The zero value allows public addresses, and for addresses of members
// also private ones.
type Scope struct {
	// Networks are allowed beside the public ones, whoever names an address in them.
	Networks []netip.Prefix
	// Listeners are the hub's own. An unspecified address stands for every address of the machine.
	Listeners []netip.AddrPort
	// Host are the addresses of the machine that the hub runs on.
	Host []netip.Addr
}

// RefusesAnswer says why an address that is given by hand is not answered in DNS; empty if it is.
func (s Scope) RefusesAnswer(addr netip.Addr) string {
	for _, addr := range meanings(addr) {
		if what := special(addr); what != "" && !s.isNamed(addr) {
			return fmt.Sprintf("%s is %s", addr, what)
		}
	}
	return ""
}

// RefusesProbe says why the hub does not connect to an address; empty if it may. Port 0 is one that is not known yet.
func (s Scope) RefusesProbe(to netip.AddrPort, from Origin) string {
	for _, addr := range meanings(to.Addr()) {
		if s.isListener(netip.AddrPortFrom(addr, to.Port())) {
			return fmt.Sprintf("%s is an address of the hub itself", netip.AddrPortFrom(addr, to.Port()))
		}
		if addr.IsUnspecified() || addr.IsMulticast() || addr == broadcast {
			return fmt.Sprintf("%s is %s", addr, special(addr))
		}
		if s.isNamed(addr) {
			continue
		}
		switch what := special(addr); {
		case what != "":
			return fmt.Sprintf("%s is %s; %s", addr, what, advice)
		case from == ByMember:
		case slices.Contains(s.Host, addr):
			return fmt.Sprintf("%s is an address of the machine that the hub runs on; %s", addr, advice)
		case isIn(private, addr):
			return fmt.Sprintf("%s is in a private network; %s", addr, advice)
		}
	}
	return ""
}

const advice = "the administrator of the hub can allow the network with --probe-networks"

// RefusesName says why a host name that is given by hand is neither answered nor probed; empty if it may be. What it
// stands for is checked when it has been resolved.
func RefusesName(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "localhost.localdomain" {
		return fmt.Sprintf("%q stands for the machine that looks it up", host)
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return fmt.Sprintf("%q is an address; it belongs into ips", host)
	}
	if last := host[strings.LastIndex(host, ".")+1:]; last != "" && strings.Trim(last, "0123456789") == "" ||
		strings.HasPrefix(last, "0x") {
		return fmt.Sprintf("%q ends in a number, which some resolvers take for an address", host)
	}
	return ""
}

// isNamed reports whether the administrator named a network that has the address.
func (s Scope) isNamed(addr netip.Addr) bool { return isIn(s.Networks, addr) }

func (s Scope) isListener(to netip.AddrPort) bool {
	return slices.ContainsFunc(s.Listeners, func(l netip.AddrPort) bool {
		if l.Port() != to.Port() {
			return false
		}
		return l.Addr().Unmap() == to.Addr() ||
			l.Addr().IsUnspecified() && (to.Addr().IsLoopback() || slices.Contains(s.Host, to.Addr()))
	})
}

func isIn(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// special says what an address is that no name of others stands for; empty for all that can be a host of somebody.
func special(addr netip.Addr) string {
	switch {
	case addr.IsUnspecified() || isIn(thisNetwork, addr):
		return "an unspecified address"
	case addr.IsLoopback():
		return "a loopback address"
	case addr.IsMulticast():
		return "a multicast address"
	case addr == broadcast:
		return "the broadcast address"
	case addr.IsLinkLocalUnicast():
		return "a link-local address"
	case slices.Contains(metadata, addr):
		return "the address of a cloud's metadata"
	case isIn(reserved, addr):
		return "a reserved address"
	}
	return ""
}

var (
	broadcast   = netip.MustParseAddr("255.255.255.255")
	thisNetwork = prefixes("0.0.0.0/8")
	reserved    = prefixes("240.0.0.0/4", "100::/64")
	// metadata are where clouds answer with credentials, other than link-local: AWS, Alibaba, Oracle, Azure.
	metadata = []netip.Addr{
		netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192"),
		netip.MustParseAddr("168.63.129.16"),
	}
	// private are RFC 1918, RFC 6598, RFC 6890, RFC 2544, RFC 4193 and the site-local addresses of old.
	private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15",
		"fc00::/7", "fec0::/10", "64:ff9b:1::/48")
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// embedding are the IPv6 networks whose addresses carry an IPv4 address, and where it begins: IPv4-compatible addresses,
// NAT64 (RFC 6052) and 6to4 (RFC 3056).
var embedding = []struct {
	network netip.Prefix
	at      int
}{
	{netip.MustParsePrefix("::/96"), 12},
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
}

// teredo (RFC 4380) carries the client's address inverted.
var teredo = netip.MustParsePrefix("2001::/32")

// meanings are the address itself and the IPv4 address that it leads to, if there is one.
func meanings(addr netip.Addr) []netip.Addr {
	addr = addr.Unmap().WithZone("")
	all := []netip.Addr{addr}
	if !addr.Is6() || addr.IsUnspecified() || addr.IsLoopback() {
		return all
	}
	bytes := addr.As16()
	for _, e := range embedding {
		if e.network.Contains(addr) {
			all = append(all, netip.AddrFrom4([4]byte(bytes[e.at:e.at+4])))
		}
	}
	if teredo.Contains(addr) {
		var inside [4]byte
		binary.BigEndian.PutUint32(inside[:], ^binary.BigEndian.Uint32(bytes[12:]))
		all = append(all, netip.AddrFrom4(inside))
	}
	return all
}
