package cluster

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

func TestAssign(t *testing.T) {
	ip := netip.MustParseAddr
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	for _, test := range []struct {
		name   string
		within string
		claims []claim
		want   map[types.UID]string
	}{
		{
			name:   "the older one gets the lower address",
			within: "192.0.2.0/24",
			claims: []claim{{uid: "young", created: at(2), wants: true}, {uid: "old", created: at(1), wants: true}},
			want:   map[types.UID]string{"old": "192.0.2.1", "young": "192.0.2.2"},
		},
		{
			name:   "an address is kept, also against an older newcomer",
			within: "192.0.2.0/24",
			claims: []claim{
				{uid: "newcomer", created: at(1), wants: true},
				{uid: "holder", created: at(2), wants: true, has: ip("192.0.2.1")},
			},
			want: map[types.UID]string{"holder": "192.0.2.1", "newcomer": "192.0.2.2"},
		},
		{
			name:   "who wants none any more frees his",
			within: "192.0.2.0/24",
			claims: []claim{
				{uid: "was", created: at(1), has: ip("192.0.2.1")},
				{uid: "next", created: at(2), wants: true},
			},
			want: map[types.UID]string{"next": "192.0.2.1"},
		},
		{
			name:   "the asked address is given if it is free, else another",
			within: "192.0.2.0/24",
			claims: []claim{
				{uid: "a", created: at(1), wants: true, asked: ip("192.0.2.77")},
				{uid: "b", created: at(2), wants: true, asked: ip("192.0.2.77")},
			},
			want: map[types.UID]string{"a": "192.0.2.77", "b": "192.0.2.1"},
		},
		{
			name:   "addresses outside the range, of the network and of the broadcast are not given",
			within: "192.0.2.0/30",
			claims: []claim{
				{uid: "foreign", created: at(1), wants: true, has: ip("203.0.113.9")},
				{uid: "network", created: at(2), wants: true, asked: ip("192.0.2.0")},
				{uid: "broadcast", created: at(3), wants: true, asked: ip("192.0.2.3")},
			},
			want: map[types.UID]string{"foreign": "192.0.2.1", "network": "192.0.2.2"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := map[types.UID]string{}
			for uid, address := range assign(netip.MustParsePrefix(test.within), test.claims) {
				got[uid] = address.String()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRangePool(t *testing.T) {
	pool := rangePool{avoid: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/28")}}
	if _, err := pool.take(netip.MustParsePrefix("198.51.100.0/25")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 4 {
		r, err := pool.take(netip.Prefix{})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.String())
	}
	want := []string{"192.0.2.0/24", "203.0.113.0/24", "198.18.1.0/24", "198.18.2.0/24"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	pool.giveBack(netip.MustParsePrefix("203.0.113.0/24"))
	if r, err := pool.take(netip.Prefix{}); err != nil || r.String() != "203.0.113.0/24" {
		t.Errorf("want the range that was given back, got %v, %v", r, err)
	}
	for _, wanted := range []string{"192.0.2.1/32", "2001:db8::/64", "198.18.0.0/24"} {
		if _, err := pool.take(netip.MustParsePrefix(wanted)); err == nil {
			t.Errorf("the range %s was taken", wanted)
		}
	}
}
