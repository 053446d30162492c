package zone

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hanse-federation/hanse/dns/wire"
)

func addrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// good is a zone with nothing wrong; tests change one thing.
func good() Zone {
	return Zone{
		Origin:      "example.com",
		NameServers: []NameServer{{Name: "ns1", Addresses: addrs("192.0.2.53")}},
		Records:     []Record{{Name: "www", Type: "A", Data: "192.0.2.1"}},
		Services: []Service{{
			Name:    "app",
			Targets: []Target{{Cluster: "north", Addresses: addrs("192.0.2.10"), Weight: 80}, {Cluster: "south", Addresses: addrs("192.0.2.20"), Weight: 20}},
			Ports:   []Port{{Name: "http", Protocol: "tcp", Port: 80}},
		}},
	}
}

func TestCheckNamesTheField(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, tt := range []struct {
		name   string
		change func(*Zone)
		want   string
		is     error
	}{
		{"no origin", func(z *Zone) { z.Origin = "" }, `origin: is malformed: "" is no name`, ErrMalformed},
		{"bad origin", func(z *Zone) { z.Origin = "a..b" }, `origin: is malformed: "a..b" is no name`, ErrMalformed},
		{"no servers", func(z *Zone) { z.NameServers = nil }, "nameServers: is required: a zone has at least one (RFC 1035 section 5.2)", ErrRequired},
		{"addresses of a server elsewhere", func(z *Zone) { z.NameServers[0].Name = "ns.other." },
			"nameServers[0].addresses: is not allowed: ns.other. lies outside the zone", ErrOutsideZone},
		{"the same server twice", func(z *Zone) { z.NameServers = append(z.NameServers, NameServer{Name: "ns1"}) }, "nameServers[1].name: is given twice", ErrDuplicate},
		{"TTL", func(z *Zone) { z.TTL = 1 << 31 }, "ttl: is out of range: more than 2147483647", ErrOutOfRange},
		{"minimum", func(z *Zone) { z.SOA.Minimum = 1 << 31 }, "soa.minimum: is out of range: more than 2147483647", ErrOutOfRange},
		{"mailbox", func(z *Zone) { z.SOA.Mailbox = "me@a..b" }, `soa.mailbox: is malformed: name "a..b": empty label`, wire.ErrEmptyLabel},
		{"long label", func(z *Zone) { z.Records[0].Name = long }, fmt.Sprintf(`records[0].name: name %q: label longer than 63 octets`, long), wire.ErrLabelTooLong},
		{"long name", func(z *Zone) { z.Records[0].Name = strings.Repeat("abcdefg.", 32) + "x" }, "", wire.ErrNameTooLong},
		{"outside", func(z *Zone) { z.Records[0].Name = "www.example.org." }, "records[0].name: lies outside the zone", ErrOutsideZone},
		{"type", func(z *Zone) { z.Records[0].Type = "DNAME" }, `records[0].type: is not allowed: type "DNAME"`, ErrNotAllowed},
		{"SOA", func(z *Zone) { z.Records[0].Type = "SOA" }, `records[0].type: is not allowed: type "SOA"`, ErrNotAllowed},
		{"wrong family", func(z *Zone) { z.Records[0].Data = "2001:db8::1" }, "records[0].data: is malformed: 2001:db8::1 is not for an A record", ErrMalformed},
		{"not an address", func(z *Zone) { z.Records[0].Data = "300.1.1.1" }, "", ErrMalformed},
		{"bad SRV", func(z *Zone) { z.Records[0] = Record{Name: "x", Type: "SRV", Data: "1 2 www"} }, "", ErrMalformed},
		{"two lines", func(z *Zone) { z.Records[0] = Record{Name: "x", Type: "TXT", Data: "a\nb. 0 IN A 1.1.1.1"} }, "records[0].data: is malformed: line break", ErrMalformed},
		{"include", func(z *Zone) { z.Records[0] = Record{Name: "x", Type: "TXT", Data: ""} }, "", ErrMalformed},
		{"CNAME at the apex", func(z *Zone) { z.Records[0] = Record{Name: "@", Type: "CNAME", Data: "www"} },
			"records[0].type: a CNAME is not allowed at the origin (RFC 1034 section 3.6.2)", ErrCNAMEAtApex},
		{"CNAME beside data", func(z *Zone) { z.Records = append(z.Records, Record{Name: "www", Type: "CNAME", Data: "x"}) }, "", ErrCNAMEBesideData},
		{"two CNAMEs", func(z *Zone) {
			z.Records = []Record{{Name: "c", Type: "CNAME", Data: "x"}, {Name: "C", Type: "CNAME", Data: "y"}}
		}, "records: c.example.com.: a CNAME must be the only record of its name (RFC 1034 section 3.6.2)", ErrCNAMEBesideData},
		{"CNAME beside a service", func(z *Zone) { z.Records = append(z.Records, Record{Name: "app", Type: "CNAME", Data: "x"}) }, "", ErrCNAMEBesideData},
		{"A beside a service", func(z *Zone) { z.Records[0].Name = "app" }, "services[0]: conflicts with other records of this name: addresses come from the service", ErrConflict},
		{"A beside a name server", func(z *Zone) { z.Records[0].Name = "ns1" }, "", ErrConflict},
		{"service at a name server", func(z *Zone) { z.Services[0].Name = "ns1" }, "", ErrConflict},
		{"TTLs differ", func(z *Zone) {
			z.Records = append(z.Records, Record{Name: "www", Type: "A", Data: "192.0.2.2", TTL: 77})
		}, "records[1]: records of one name and type must have one TTL (RFC 2181 section 5.2)", ErrTTLsDiffer},
		{"duplicate record", func(z *Zone) { z.Records = append(z.Records, z.Records[0]) }, "records[1]: is given twice", ErrDuplicate},
		{"NS at the apex", func(z *Zone) { z.Records[0] = Record{Name: "@", Type: "NS", Data: "x"} }, "", ErrNotAllowed},
		{"NS at a wildcard", func(z *Zone) { z.Records[0] = Record{Name: "*", Type: "NS", Data: "x"} }, "", ErrNotAllowed},
		{"delegated service", func(z *Zone) { z.Records[0] = Record{Name: "app", Type: "NS", Data: "x"} }, "", ErrConflict},
		{"set too large", func(z *Zone) {
			for i := range 300 {
				z.Records = append(z.Records, Record{Name: "t", Type: "TXT", Data: fmt.Sprintf("%q", fmt.Sprint(i, strings.Repeat("x", 240)))})
			}
		}, "", ErrOutOfRange},
		{"service outside", func(z *Zone) { z.Services[0].Name = "app.org." }, "services[0].name: lies outside the zone", ErrOutsideZone},
		{"service twice", func(z *Zone) { z.Services = append(z.Services, Service{Name: "APP"}) }, "services[1].name: is given twice: app.example.com.", ErrDuplicate},
		{"policy", func(z *Zone) { z.Services[0].Policy = "Best" }, `services[0].policy: is not allowed: "Best"`, ErrNotAllowed},
		{"answer", func(z *Zone) { z.Services[0].Answer = "Some" }, `services[0].answer: is not allowed: "Some"`, ErrNotAllowed},
		{"minHealthy", func(z *Zone) { z.Services[0].MinHealthy = 101 }, "services[0].minHealthy: is out of range: must be 0 to 100 per cent", ErrOutOfRange},
		{"weight", func(z *Zone) { z.Services[0].Targets[1].Weight = MaxWeight + 1 }, "services[0].targets[1].weight: is out of range: more than 1048576", ErrOutOfRange},
		{"state", func(z *Zone) { z.Services[0].Targets[0].State = "Ill" }, `services[0].targets[0].state: is not allowed: "Ill"`, ErrNotAllowed},
		{"cluster twice", func(z *Zone) { z.Services[0].Targets[1].Cluster = "north" }, `services[0].targets[1].cluster: is given twice: "north"`, ErrDuplicate},
		{"no cluster", func(z *Zone) { z.Services[0].Targets[1].Cluster = "" }, "services[0].targets[1].cluster: is required", ErrRequired},
		{"address twice", func(z *Zone) { z.Services[0].Targets[0].Addresses = addrs("192.0.2.1", "::ffff:192.0.2.1") }, "", ErrDuplicate},
		{"invalid address", func(z *Zone) { z.Services[0].Targets[0].Addresses = []netip.Addr{{}} }, "", ErrMalformed},
		{"link-local with a zone", func(z *Zone) { z.Services[0].Targets[0].Addresses = addrs("fe80::1%eth0") }, "", ErrMalformed},
		{"host at the apex", func(z *Zone) {
			z.Services[0].Name, z.Services[0].Targets[0] = "@", Target{Cluster: "n", Hostname: "lb.cloud"}
		}, "", ErrCNAMEAtApex},
		{"host beside data", func(z *Zone) {
			z.Records[0] = Record{Name: "app", Type: "TXT", Data: "x"}
			z.Services[0].Targets[0] = Target{Cluster: "n", Hostname: "lb.cloud"}
		}, "", ErrCNAMEBesideData},
		{"bad host", func(z *Zone) { z.Services[0].Targets[0] = Target{Cluster: "n", Hostname: "a..b"} }, "", wire.ErrEmptyLabel},
		{"port without a number", func(z *Zone) { z.Services[0].Ports[0].Port = 0 }, "services[0].ports[0].port: is out of range: 0", ErrOutOfRange},
		{"port without a name", func(z *Zone) { z.Services[0].Ports[0].Name = "" }, "services[0].ports[0]: is required: name and protocol", ErrRequired},
		{"port twice", func(z *Zone) { z.Services[0].Ports = append(z.Services[0].Ports, z.Services[0].Ports[0]) }, "", ErrDuplicate},
		{"port beside a static SRV", func(z *Zone) {
			z.Records[0] = Record{Name: "_http._tcp.app", Type: "SRV", Data: "0 0 80 www"}
		}, "", ErrConflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := good()
			tt.change(&z)
			err := Check(z)
			if err == nil {
				t.Fatal("accepted")
			}
			if want := "zone " + z.Origin + ": " + tt.want; tt.want != "" && z.Origin != "" && err.Error() != want {
				t.Errorf("got  %s\nwant %s", err, want)
			}
			if !errors.Is(err, tt.is) {
				t.Errorf("%q is not %q", err, tt.is)
			}
			var field *FieldError
			if !errors.As(err, &field) || field.Field == "" {
				t.Errorf("%q names no field", err)
			}
		})
	}
	if err := Check(good()); err != nil {
		t.Errorf("a good zone is refused: %v", err)
	}
}

func TestAllProblemsAreListed(t *testing.T) {
	z := good()
	z.Records[0].Type, z.Services[0].Policy, z.NameServers = "NOPE", "Nope", nil
	err := Check(z)
	if got := strings.Count(err.Error(), "\n") + 1; got != 3 {
		t.Errorf("want three problems, got %d:\n%v", got, err)
	}
	for i := range 100 {
		z.Records = append(z.Records, Record{Name: "x", Type: fmt.Sprint("T", i)})
	}
	if got := strings.Count(Check(z).Error(), "\n"); got != maxProblems {
		t.Errorf("the list is not bounded: %d lines", got)
	}
}

// TestUpdateTwin makes random changes and compares each snapshot with one built from nothing.
func TestUpdateTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	z := good()
	z.Records, z.Services = nil, nil
	snapshot, err := Build(Config{Serial: 1, Seed: 7, Zones: []Zone{z}})
	if err != nil {
		t.Fatal(err)
	}
	model := map[string]Change{}
	names := []string{"a", "b", "a.b", "x.y.z", "y.z", "*.b", "*", "*.y.z", "app", "q.app", "_http._tcp.q", "d", "h.d"}
	refused, rebuilt, taken := 0, 0, 0
	for serial := uint32(2); serial < 1500; serial++ {
		name := names[rng.IntN(len(names))]
		c := randomChange(rng, name)
		want := Config{Serial: serial, Seed: 7, Zones: []Zone{z}}
		trial := map[string]Change{name: c}
		for n, m := range model {
			if n != name {
				trial[n] = m
			}
		}
		for _, n := range names {
			want.Zones[0].Records = append(want.Zones[0].Records, trial[n].Records...)
			if s := trial[n].Service; s != nil {
				want.Zones[0].Services = append(want.Zones[0].Services, *s)
			}
		}
		twin, wantErr := Build(want)
		before := dump(snapshot)
		next, err := snapshot.Update(serial, c)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("serial %d, change %+v: update says %v, building anew says %v", serial, c, err, wantErr)
		}
		if diff := cmp.Diff(before, dump(snapshot)); diff != "" {
			t.Fatalf("serial %d: an update changed the snapshot it started from:\n%s", serial, diff)
		}
		if err != nil {
			refused++
			continue
		}
		if diff := cmp.Diff(dump(twin), dump(next)); diff != "" {
			t.Fatalf("serial %d, change %+v (-built anew +updated):\n%s", serial, c, diff)
		}
		if again := snapshot.rebuild(want); again != nil {
			rebuilt++
			if snapshot.Trees()[0] == again.Trees()[0] {
				again.trees[again.Trees()[0].Origin] = next.Trees()[0] // it kept its serial: nothing changed
			}
			if diff := cmp.Diff(dump(twin), dump(again)); diff != "" {
				t.Fatalf("serial %d, change %+v (-built anew +rebuilt):\n%s", serial, c, diff)
			}
		}
		snapshot, model = next, trial
		taken++
	}
	if rebuilt < taken*9/10 {
		t.Errorf("of %d configurations only %d were built on top of the one before", taken, rebuilt)
	}
	if refused == 0 || refused > 1000 {
		t.Errorf("%d changes were refused; the test says little", refused)
	}
}

// TestSetSharesWhatStays: names that did not change are the same nodes afterwards.
func TestSetSharesWhatStays(t *testing.T) {
	store := NewStore()
	z := good()
	z.Services = append(z.Services, Service{Name: "other", Targets: []Target{{Cluster: "x", Addresses: addrs("192.0.2.9"), Weight: 1}}})
	if err := store.Set(Config{Serial: 1, Zones: []Zone{z}}); err != nil {
		t.Fatal(err)
	}
	node := func(name string) *Node {
		n, err := wire.ParseName(name, wire.Root)
		if err != nil {
			t.Fatal(err)
		}
		return store.Snapshot().Trees()[0].Node([]byte(n))
	}
	app, other, www := node("app.example.com"), node("other.example.com"), node("www.example.com")
	z.Services = slices.Clone(z.Services)
	z.Services[0].Targets = slices.Clone(z.Services[0].Targets)
	z.Services[0].Targets[0].State = Unhealthy
	if err := store.Set(Config{Serial: 2, Zones: []Zone{z}}); err != nil {
		t.Fatal(err)
	}
	if node("app.example.com") == app {
		t.Error("a changed service stays")
	}
	if node("other.example.com") != other || node("www.example.com") != www {
		t.Error("names that did not change were compiled again")
	}
	if store.Snapshot().Trees()[0].Serial() != 2 {
		t.Error("the serial stays")
	}
	z.NameServers = append(z.NameServers, NameServer{Name: "ns2"})
	if err := store.Set(Config{Serial: 3, Zones: []Zone{z}}); err != nil {
		t.Fatal(err)
	}
	if got := node("example.com").RRset(wire.TypeNS).Count; got != 2 {
		t.Errorf("%d name servers", got)
	}
}

func randomChange(rng *rand.Rand, name string) Change {
	c := Change{Origin: "example.com", Name: name}
	switch rng.IntN(7) {
	case 0, 1: // nothing: the name goes away
	case 2:
		c.Records = []Record{{Name: name, Type: "CNAME", Data: "www"}}
	case 3:
		c.Records = []Record{{Name: name, Type: "NS", Data: "ns.elsewhere."}}
	case 4:
		c.Records = []Record{{Name: name, Type: "TXT", Data: fmt.Sprint(rng.IntN(3))}}
		fallthrough
	default:
		c.Service = &Service{Name: name, PortsAtName: rng.IntN(2) == 0}
		for i := range rng.IntN(4) {
			c.Service.Targets = append(c.Service.Targets, Target{
				Cluster: fmt.Sprint("c", i), Weight: rng.Uint32N(3), Addresses: addrs(fmt.Sprintf("10.0.0.%d", i), fmt.Sprintf("2001:db8::%d", i)),
			})
		}
		if !strings.HasPrefix(name, "*") && rng.IntN(2) == 0 {
			c.Service.Ports = []Port{{Name: "http", Protocol: "tcp", Port: 80}}
		}
	}
	return c
}

// dump is everything that can be seen of a snapshot.
func dump(s *Snapshot) (lines []string) {
	for _, t := range s.Trees() {
		lines = append(lines, fmt.Sprint(t.Origin, " ", t.Len(), " names, ", t.cuts, " cuts, SOA ", t.SOA.Records, " negative ", t.Negative.Records))
		for name, n := range t.Names {
			line := fmt.Sprint(name, " children ", n.children, " wildcard ", n.wildcard, " ")
			var sets []string
			for i, set := range n.sets {
				sets = append(sets, fmt.Sprint(set.Type, set.Records, i < int(n.static)))
			}
			slices.Sort(sets)
			line += strings.Join(sets, " ")
			if n.service != nil {
				line += fmt.Sprint(" service TTL ", n.service.TTL)
				for _, c := range n.service.plan {
					if c != nil {
						line += fmt.Sprint(" ", *c)
					}
				}
			}
			if t.Node([]byte(name)) != n {
				line += " CANNOT BE FOUND"
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

func TestMarshal(t *testing.T) {
	snapshot, err := Build(Config{Serial: 9, Seed: 3, Zones: []Zone{good()}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := snapshot.Config()
	if err != nil {
		t.Fatal(err)
	}
	file, err := Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Unmarshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	again, err := Build(back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dump(snapshot), dump(again)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for i := range file {
		damaged := slices.Clone(file)
		damaged[i] ^= 1
		if _, err := Unmarshal(damaged); err == nil {
			t.Fatalf("a flipped bit in octet %d went unnoticed", i)
		}
		if _, err := Unmarshal(file[:i]); err == nil {
			t.Fatalf("a file cut off after %d octets was taken", i)
		}
	}
}

func TestStoreRefusesOldSerials(t *testing.T) {
	store := NewStore()
	if err := store.Update(1); err == nil {
		t.Error("an update of nothing was taken")
	}
	for _, tt := range []struct {
		serial uint32
		ok     bool
	}{{10, true}, {10, true}, {9, false}, {1 << 31, true}, {1<<31 + 5, true}, {3, true}, {1<<32 - 1, false}} {
		err := store.Set(Config{Serial: tt.serial, Zones: []Zone{good()}})
		if (err == nil) != tt.ok {
			t.Errorf("serial %d: %v", tt.serial, err)
		}
		if err != nil && !errors.Is(err, ErrSerial) {
			t.Errorf("serial %d: %v is not ErrSerial", tt.serial, err)
		}
	}
	bad := good()
	bad.TTL = 1 << 31
	before := store.Snapshot()
	if err := store.Set(Config{Serial: 100, Zones: []Zone{bad}}); err == nil || store.Snapshot() != before {
		t.Error("a refused configuration left something behind")
	}
}

// TestServiceBindings: HTTPS and SVCB records (RFC 9460) as they are written in zone files.
func TestServiceBindings(t *testing.T) {
	for data, want := range map[string]string{
		"1 . alpn=h2,h3 port=8443":                      `1 . alpn="h2,h3" port="8443"`,
		"1 . port=8443 alpn=h2":                         `1 . alpn="h2" port="8443"`, // in the order of the keys (section 2.2)
		"0 www":                                         "0 www.example.com.",
		"16 svc.example.net. ipv4hint=192.0.2.1":        `16 svc.example.net. ipv4hint="192.0.2.1"`,
		"1 . mandatory=alpn alpn=h2 key65333=something": `1 . mandatory="alpn" alpn="h2" key65333="something"`,
		"1 . alpn=h2 alpn=h3":                           "",
		"1 . port=many":                                 "",
		"1 . ipv4hint=2001:db8::1":                      "",
		"www alpn=h2":                                   "",
		"70000 www":                                     "",
	} {
		s, err := Build(Config{Serial: 1, Zones: []Zone{{
			Origin: "example.com", NameServers: []NameServer{{Name: "ns.example.net."}},
			Records: []Record{{Name: "web", Type: "HTTPS", Data: data}, {Name: "_x", Type: "SVCB", Data: data}},
		}}})
		if (err == nil) != (want != "") {
			t.Errorf("%s: %v", data, err)
		}
		if err != nil {
			continue
		}
		for name, kind := range map[string]wire.Type{"\x03web": wire.TypeHTTPS, "\x02_x": wire.TypeSVCB} {
			got := Texts(s.Trees()[0].Node([]byte(name + "\x07example\x03com\x00")).RRset(kind))
			if len(got) != 1 || got[0] != want {
				t.Errorf("%s %s: %q, want %q", kind, data, got, want)
			}
		}
	}
}
