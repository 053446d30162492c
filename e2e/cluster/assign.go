package cluster

import (
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// A claim is one object that has an address, wants one, or has one and should
// not have it any more.
type claim struct {
	uid     types.UID
	created time.Time
	wants   bool
	has     netip.Addr // not valid if none
	asked   netip.Addr // the address that the object asks for; not valid if any will do
}

// assign decides which address each claim should have: the one it has if that
// is in the range and its own, else the one it asks for if that is free, else
// the lowest free one. Older objects go first. Claims that want no address, or
// for which none is left, are not in the result.
func assign(within netip.Prefix, claims []claim) map[types.UID]netip.Addr {
	claims = slices.Clone(claims)
	slices.SortFunc(claims, func(a, b claim) int {
		if c := a.created.Compare(b.created); c != 0 {
			return c
		}
		if a.uid < b.uid {
			return -1
		}
		return 1
	})
	first, last := usable(within)
	given := map[types.UID]netip.Addr{}
	owned := map[netip.Addr]bool{}
	give := func(c claim, a netip.Addr) bool {
		if !a.IsValid() || a.Less(first) || last.Less(a) || owned[a] {
			return false
		}
		given[c.uid], owned[a] = a, true
		return true
	}
	// What is held comes before what is wished for, else a new object could
	// take the address of an old one.
	for _, c := range claims {
		if c.wants {
			give(c, c.has)
		}
	}
	next := first
	for _, c := range claims {
		if _, settled := given[c.uid]; settled || !c.wants || give(c, c.asked) {
			continue
		}
		for ; !last.Less(next); next = next.Next() {
			if give(c, next) {
				break
			}
		}
	}
	return given
}

// usable are the first and last address of an IPv4 range without those of the
// network itself and of its broadcast.
func usable(within netip.Prefix) (first, last netip.Addr) {
	first = within.Masked().Addr()
	bytes := first.As4()
	hosts := uint32(1)<<(32-within.Bits()) - 1
	for i := range bytes {
		bytes[3-i] |= byte(hosts >> (8 * i))
	}
	return first.Next(), netip.AddrFrom4(bytes).Prev()
}
