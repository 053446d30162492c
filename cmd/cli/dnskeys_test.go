package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/federation/names/dnskeys"
)

// TestAskParent: a key is retired only if the parent has the DS record of the new one, or none at all.
func TestAskParent(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ring, err := dnskeys.New(now)
	if err != nil {
		t.Fatal(err)
	}
	if ring, err = ring.Roll(now); err != nil {
		t.Fatal(err)
	}
	k := &zoneKeys{zone: "example.org", ring: ring}
	records := map[sign.Stage]dns.RR{}
	for _, key := range ring {
		rr, err := dns.NewRR(k.ds(key))
		if err != nil {
			t.Fatal(err)
		}
		records[key.Stage] = rr
	}
	for what, tt := range map[string]struct {
		answer []dns.RR
		want   string
	}{
		"no DS":         {nil, ""},
		"the new one":   {[]dns.RR{records[sign.Incoming]}, ""},
		"both":          {[]dns.RR{records[sign.Active], records[sign.Incoming]}, ""},
		"only the old":  {[]dns.RR{records[sign.Active]}, "none of the new key"},
		"other records": {[]dns.RR{&dns.SOA{}}, ""},
	} {
		err := k.checkParent(tt.answer)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", what, err)
		}
		if err := k.checkNone(tt.answer); (err == nil) != (what == "no DS" || what == "other records") {
			t.Errorf("%s, and the keys are to be removed: %v", what, err)
		}
	}
}
