package probescope

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRefuses(t *testing.T) {
	scope := Scope{
		Host:      []netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("10.1.1.1")},
		Listeners: []netip.AddrPort{netip.MustParseAddrPort("[::]:7443"), netip.MustParseAddrPort("198.51.100.7:53")},
		Networks:  prefixes("10.9.0.0/16", "127.0.8.0/24", "10.1.1.1/32"),
	}
	for _, c := range []struct {
		to                     string
		answer, byHand, member string // a part of why not
	}{
		{"203.0.113.9:80", "", "", ""},
		{"[2001:db8::1]:443", "", "", ""},
		{"127.0.0.1:80", "loopback", "loopback", "loopback"},
		{"127.99.0.1:80", "loopback", "loopback", "loopback"},
		{"[::1]:80", "loopback", "loopback", "loopback"},
		{"[::ffff:127.0.0.1]:80", "loopback", "loopback", "loopback"},
		{"[::127.0.0.1]:80", "loopback", "loopback", "loopback"},
		{"[64:ff9b::7f00:1]:80", "loopback", "loopback", "loopback"},
		{"[2002:7f00:1::]:80", "loopback", "loopback", "loopback"},
		{"[2001:0:1:2:3:4:80ff:fffe]:80", "loopback", "loopback", "loopback"},
		{"[64:ff9b::a9fe:a9fe]:80", "link-local", "link-local", "link-local"},
		{"169.254.169.254:80", "link-local", "link-local", "link-local"},
		{"[fe80::1]:80", "link-local", "link-local", "link-local"},
		{"[fe80::1%eth0]:80", "link-local", "link-local", "link-local"},
		{"[fd00:ec2::254]:80", "metadata", "metadata", "metadata"},
		{"100.100.100.200:80", "metadata", "metadata", "metadata"},
		{"168.63.129.16:80", "metadata", "metadata", "metadata"},
		{"0.0.0.0:80", "unspecified", "unspecified", "unspecified"},
		{"0.1.2.3:80", "unspecified", "unspecified", "unspecified"},
		{"[::]:80", "unspecified", "unspecified", "unspecified"},
		{"224.0.0.1:80", "multicast", "multicast", "multicast"},
		{"[ff02::1]:80", "multicast", "multicast", "multicast"},
		{"255.255.255.255:80", "broadcast", "broadcast", "broadcast"},
		{"240.0.0.1:80", "reserved", "reserved", "reserved"},
		{"10.0.0.1:80", "", "private", ""},
		{"172.31.0.1:80", "", "private", ""},
		{"192.168.0.1:80", "", "private", ""},
		{"100.64.0.1:80", "", "private", ""},
		{"[fd00::1]:80", "", "private", ""},
		{"[64:ff9b::a00:1]:80", "", "private", ""},
		{"10.9.0.1:80", "", "", ""},
		{"127.0.8.1:80", "", "", ""},
		{"127.0.8.1:7443", "", "hub itself", "hub itself"},
		{"198.51.100.7:80", "", "machine", ""},
		{"198.51.100.7:53", "", "hub itself", "hub itself"},
		{"198.51.100.7:7443", "", "hub itself", "hub itself"},
		{"10.1.1.1:80", "", "", ""},
		{"10.1.1.1:7443", "", "hub itself", "hub itself"},
	} {
		to := netip.MustParseAddrPort(c.to)
		for what, said := range map[string]struct{ got, want string }{
			"answer":           {scope.RefusesAnswer(to.Addr()), c.answer},
			"probe by hand":    {scope.RefusesProbe(to, ByHand), c.byHand},
			"probe of members": {scope.RefusesProbe(to, ByMember), c.member},
		} {
			if (said.got == "") != (said.want == "") || !strings.Contains(said.got, said.want) {
				t.Errorf("%s, %s: %q, want %q", c.to, what, said.got, said.want)
			}
		}
	}
}

func TestRefusesName(t *testing.T) {
	for host, isRefused := range map[string]bool{
		"lb.example.org": false, "lb.example.org.": false, "a1": false, "1.example.org": false, "": false,
		"localhost": true, "LOCALHOST.": true, "a.localhost": true, "127.0.0.1": true, "[::1]": true, "::1": true,
		"127.1": true, "2130706433": true, "0x7f000001": true, "0x7f.1": true, "0177.0.0.1": true, "a.0x7f": true,
	} {
		if why := RefusesName(host); (why != "") != isRefused {
			t.Errorf("%q: %q, want refused %t", host, why, isRefused)
		}
	}
}

// No way to write an address takes it out of the network that it leads to.
func FuzzScope(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1}, uint16(80))
	f.Add([]byte("\x00\x64\xff\x9b\x00\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x01"), uint16(80))
	f.Fuzz(func(t *testing.T, raw []byte, port uint16) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		s := Scope{Listeners: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:7443")}}
		plain := s.RefusesProbe(netip.AddrPortFrom(addr.Unmap(), port), ByHand)
		mapped := s.RefusesProbe(netip.AddrPortFrom(netip.AddrFrom16(addr.As16()), port), ByHand)
		if plain != mapped {
			t.Fatalf("%s: %q, and mapped %q", addr, plain, mapped)
		}
		if plain == "" && s.RefusesProbe(netip.AddrPortFrom(addr, port), ByMember) != "" {
			t.Fatalf("%s: what may be probed by hand may not be probed for a member", addr)
		}
		if at := addr.Unmap(); plain == "" && (at.IsLoopback() || at.IsPrivate() || at.IsLinkLocalUnicast() || at.IsMulticast()) {
			t.Fatalf("%s may be probed", addr)
		}
	})
}
