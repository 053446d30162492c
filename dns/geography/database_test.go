package geography

import (
	"encoding/binary"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-federation/hanse/dns/zone"
)

// write makes a database of IPv4 networks, each with a record; no record is larger than the format's short forms hold.
func write(t *testing.T, records map[string]map[string]any) string {
	t.Helper()
	type node struct{ next [2]int } // -1: nothing; below -1: data
	nodes := []node{{[2]int{-1, -1}}}
	var data []byte
	networks := make([]string, 0, len(records))
	for network := range records {
		networks = append(networks, network)
	}
	slices.Sort(networks)
	offsets := map[int]int{}
	for i, network := range networks {
		offsets[-2-i] = len(data)
		data = append(data, encode(records[network])...)
		prefix := netip.MustParsePrefix(network)
		bits := binary.BigEndian.Uint32(prefix.Addr().AsSlice())
		at := 0
		for depth := range prefix.Bits() {
			bit := int(bits >> (31 - depth) & 1)
			if depth == prefix.Bits()-1 {
				nodes[at].next[bit] = -2 - i
				break
			}
			if nodes[at].next[bit] == -1 {
				nodes = append(nodes, node{[2]int{-1, -1}})
				nodes[at].next[bit] = len(nodes) - 1
			}
			at = nodes[at].next[bit]
		}
	}
	var file []byte
	for _, n := range nodes {
		for _, next := range n.next {
			switch {
			case next == -1:
				next = len(nodes)
			case next < -1:
				next = len(nodes) + 16 + offsets[next]
			}
			file = append(file, byte(next>>16), byte(next>>8), byte(next))
		}
	}
	file = append(file, make([]byte, 16)...)
	file = append(file, data...)
	file = append(file, "\xab\xcd\xefMaxMind.com"...)
	file = append(file, encode(map[string]any{
		"binary_format_major_version": uint64(2), "binary_format_minor_version": uint64(0), "build_epoch": uint64(1),
		"database_type": "Test", "ip_version": uint64(4), "node_count": uint64(len(nodes)), "record_size": uint64(24),
		"description": map[string]any{"en": "test"}, "languages": []any{"en"},
	})...)
	path := filepath.Join(t.TempDir(), "test.mmdb")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// encode is the data format: a control octet of type and size, then the value.
func encode(v any) []byte {
	switch v := v.(type) {
	case string:
		return append([]byte{2<<5 | byte(len(v))}, v...)
	case float64:
		return binary.BigEndian.AppendUint64([]byte{3<<5 | 8}, math.Float64bits(v))
	case uint64:
		if v < 1<<16 {
			return binary.BigEndian.AppendUint16([]byte{5<<5 | 2}, uint16(v))
		}
		return binary.BigEndian.AppendUint32([]byte{6<<5 | 4}, uint32(v))
	case []any:
		out := []byte{byte(len(v)), 11 - 7}
		for _, e := range v {
			out = append(out, encode(e)...)
		}
		return out
	case map[string]any:
		out := []byte{7<<5 | byte(len(v))}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			out = append(append(out, encode(k)...), encode(v[k])...)
		}
		return out
	}
	panic("no such type in this test")
}

func city(latitude, longitude float64) map[string]any {
	return map[string]any{"location": map[string]any{"latitude": latitude, "longitude": longitude}}
}

func TestLocate(t *testing.T) {
	d, err := Open(write(t, map[string]map[string]any{
		"192.0.2.0/24":    city(53.3, -6.2),
		"198.51.100.0/25": {"region": "eu-west-1"},
		"203.0.113.0/24":  {"country": map[string]any{"iso_code": "IE"}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, row := range []struct {
		addr   string
		region string
		at     zone.Location
		scope  uint8
		ok     bool
	}{
		{"192.0.2.7", "", zone.Location{Latitude: 53.3, Longitude: -6.2}, 24, true},
		{"::ffff:192.0.2.7", "", zone.Location{Latitude: 53.3, Longitude: -6.2}, 24, true},
		{"198.51.100.1", "eu-west-1", zone.Location{}, 25, true},
		{"203.0.113.1", "", zone.Location{}, 24, false}, // a country is no point
		{"198.51.100.200", "", zone.Location{}, 25, false},
		{"2001:db8::1", "", zone.Location{}, 0, false},
	} {
		region, at, scope, ok := d.Locate(netip.MustParseAddr(row.addr))
		if region != row.region || at != row.at || scope != row.scope || ok != row.ok {
			t.Errorf("%s: %q %v /%d %t, want %q %v /%d %t", row.addr, region, at, scope, ok,
				row.region, row.at, row.scope, row.ok)
		}
	}
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.mmdb")
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil {
		t.Error("anything is taken for a database")
	}
}
