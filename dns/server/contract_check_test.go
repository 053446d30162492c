package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/zone"
)

// row is one demand of the contract.
type row struct {
	number int
	level  level
	title  string // with the RFCs it comes from
	says   string
	proofs proofs
	// lacks is what of the row, or of the NICE part of it, is not done.
	lacks string
}

type level string

const (
	must   level = "MUST"
	should level = "SHOULD"
	nice   level = "NICE"
)

// proofs of a row: all must hold.
type proofs []proof

// proof is something that can be seen to hold.
type proof interface {
	prove(t *testing.T, on *servers)
}

// servers are what the questions of the contract go to.
type servers struct {
	// usual has the defaults, full all that can be switched on, signed a zone with keys, empty has heard of no zone.
	usual, full, signed, empty *Server
	probes                     map[string]probe
}

func startServers(t *testing.T) *servers {
	t.Helper()
	full := transferring(contractZone(t, false), keys)
	full.Zones[0].ClientSubnet = true
	full.Zones[0].Updates = updatable(t).Zones[0].Updates
	on := &servers{
		usual:  start(t, Config{Snapshot: storeOf(t, contractZone(t, false))}),
		signed: start(t, Config{Snapshot: storeOf(t, contractZone(t, true))}),
		empty:  start(t, Config{Snapshot: zone.NewStore()}),
		full: start(t, Config{
			Snapshot: storeOf(t, full), Identity: "dns-1", Version: "hanse", Updater: &notebook{},
		}),
		probes: map[string]probe{},
	}
	for _, p := range readProbes(t) {
		on.probes[p.name] = p
	}
	return on
}

// contractZone is signedZone with what some rows ask for besides.
func contractZone(t *testing.T, isSigned bool) zone.Config {
	c := signedZone(t)
	z := &c.Zones[0]
	if !isSigned {
		z.Keys = nil
	}
	c.Networks = []zone.Network{{Prefix: netip.MustParsePrefix("198.51.100.0/25"), Region: "north"}}
	http := zone.Port{Name: "http", Protocol: "tcp", Port: 80}
	one, two := []netip.Addr{netip.MustParseAddr("192.0.2.1")}, []netip.Addr{netip.MustParseAddr("192.0.2.2")}
	z.Services = append(z.Services,
		zone.Service{Name: "near", Policy: zone.Nearest, Answer: zone.All, Targets: []zone.Target{
			{Cluster: "n", Region: "north", Weight: 1, Addresses: one},
			{Cluster: "s", Region: "south", Weight: 1, Addresses: two},
		}},
		zone.Service{Name: "pair", Answer: zone.All, Ports: []zone.Port{http}, Targets: []zone.Target{
			{Cluster: "n", Weight: 80, Addresses: one, Name: "pair-n"},
			{Cluster: "s", Weight: 20, Addresses: two, Name: "pair-s"},
		}},
		zone.Service{Name: "bound", Answer: zone.All, Targets: []zone.Target{
			{Cluster: "n", Weight: 1, Addresses: one}, {Cluster: "s", Weight: 1, Addresses: two},
		}},
		zone.Service{Name: "pair-n", Targets: []zone.Target{{Cluster: "n", Weight: 1, Addresses: one}}},
		zone.Service{Name: "pair-s", Targets: []zone.Target{{Cluster: "s", Weight: 1, Addresses: two}}},
		zone.Service{Name: "host", Targets: []zone.Target{{Cluster: "n", Weight: 1, Hostname: "pair-n.c.test"}}},
	)
	z.Records = append(z.Records,
		zone.Record{Name: "nearby", Type: "CNAME", Data: "near"},
		zone.Record{Name: `\225`, Type: "A", Data: "10.0.0.5"}, // a letter outside of ASCII, in lower case
		zone.Record{Name: "9", Type: "PTR", Data: "www"},
		zone.Record{Name: "ca", Type: "CAA", Data: `0 issue "ca.example"`},
		zone.Record{Name: "bound", Type: "HTTPS", Data: "1 . alpn=h2"},
		zone.Record{Name: "ca", Type: "A", Data: "10.0.0.6"},
		zone.Record{Name: "ca", Type: "HTTPS", Data: "0 ."}, // there is no such service
	)
	return c
}

// asked is a question, and the response to it in the form of testdata/peers.txt. The length need not be told.
type asked struct{ question, want string }

// ask is a proof by asking.
//
// The question is a name, a type and words in any order: tcp; @full, @signed or @empty for another server than the
// usual one; the flags rd, ad, cd, z, aa and tc; op=N, class=N, id=N; edns, edns=SIZE, v1, do, co, ede=HEX; opt=CODE:HEX;
// tsig, to sign it. "probe NAME" is a packet of testdata/probes.txt.
func ask(question, want string) proof { return asked{question, want} }

func (a asked) prove(t *testing.T, on *servers) {
	packet, to, overTCP := on.packet(t, a.question)
	put := askUDP
	if overTCP {
		put = askTCP
	}
	response := put(t, to.Addr(), packet)
	got := strings.Join(strings.Fields(describe(response)), " ")
	if !strings.HasSuffix(a.want, "]") {
		got = length.ReplaceAllString(got, "")
	}
	if got != a.want {
		t.Errorf("%s\n got %s\nwant %s", a.question, got, a.want)
	}
	if response != nil {
		checkHeader(t, a.question, packet, response)
	}
}

// checkHeader checks what D1 and D3 say of every response.
func checkHeader(t *testing.T, question string, packet, response []byte) {
	t.Helper()
	query, flags := binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint16(response[2:])
	const qr, opcode, rd, ra, z, ad, cd = 0x8000, 0x7800, 0x100, 0x80, 0x40, 0x20, 0x10
	switch isBare := len(response) == 12; {
	case string(response[:2]) != string(packet[:2]):
		t.Errorf("%s: another ID", question)
	case flags&qr == 0 || flags&(ra|z|ad|cd) != 0 || flags&opcode != query&opcode || flags&rd != query&rd:
		t.Errorf("%s: flags %04x to %04x", question, flags, query)
	case !isBare && response[5] == 1 && !bytes.HasPrefix(response[12:], packet[12:12+questionLength(packet)]):
		t.Errorf("%s: another question in the response", question)
	}
}

func questionLength(packet []byte) int {
	_, end, err := dns.UnpackDomainName(packet, 12)
	if err != nil {
		return 0
	}
	return end + 4 - 12
}

// packet is a question as it is sent, and where to.
func (on *servers) packet(t *testing.T, question string) (packet []byte, to *Server, overTCP bool) {
	t.Helper()
	if name, isProbe := strings.CutPrefix(question, "probe "); isProbe {
		p, ok := on.probes[name]
		if !ok {
			t.Fatalf("no probe %q", name)
		}
		return p.packet, on.usual, p.overTCP
	}
	to = on.usual
	m := &dns.Msg{}
	words := strings.Fields(question)
	if len(words) < 2 {
		t.Fatalf("%q: a question has a name and a type", question)
	}
	m.SetQuestion(dns.Fqdn(words[0]), dns.StringToType[words[1]])
	m.Id, m.RecursionDesired = 0x1234, false
	if number, ok := strings.CutPrefix(words[1], "TYPE"); ok {
		n, _ := strconv.ParseUint(number, 10, 16)
		m.Question[0].Qtype = uint16(n)
	}
	isSigned := false
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "tcp":
			overTCP = true
		case "@full":
			to = on.full
		case "@signed":
			to = on.signed
		case "@empty":
			to = on.empty
		case "rd":
			m.RecursionDesired = true
		case "ad":
			m.AuthenticatedData = true
		case "cd":
			m.CheckingDisabled = true
		case "aa":
			m.Authoritative = true
		case "z":
			m.Zero = true
		case "op":
			m.Opcode = n
		case "class":
			m.Question[0].Qclass = uint16(n)
		case "tsig":
			isSigned = true
		default:
			addOption(t, m, key, value, n)
		}
	}
	var err error
	if isSigned {
		m.SetTsig(testKey, dns.HmacSHA256, 300, time.Now().Unix())
		packet, _, err = dns.TsigGenerate(m, testSecret, "", false)
	} else {
		packet, err = m.Pack()
	}
	if err != nil {
		t.Fatalf("%q: %v", question, err)
	}
	return packet, to, overTCP
}

// addOption makes a question one with EDNS, and more.
func addOption(t *testing.T, m *dns.Msg, key, value string, n int) {
	t.Helper()
	opt := m.IsEdns0()
	if opt == nil {
		opt = m.SetEdns0(1232, false).IsEdns0()
	}
	switch key {
	case "edns":
		if value != "" {
			opt.SetUDPSize(uint16(n))
		}
	case "do":
		opt.SetDo()
	case "co":
		opt.SetCo(true)
	case "v1":
		opt.SetVersion(1)
	case "opt":
		code, data, _ := strings.Cut(value, ":")
		number, err := strconv.ParseUint(code, 10, 16)
		if err != nil {
			t.Fatalf("opt=%s: %v", value, err)
		}
		opt.Option = append(opt.Option, &dns.EDNS0_LOCAL{Code: uint16(number), Data: fromHex(t, data)})
	default:
		t.Fatalf("what is %q?", key)
	}
}

// provenBy is a test of this tree that proves the row by itself: its folder and its name.
type provenBy string

func (p provenBy) prove(t *testing.T, _ *servers) {
	folder, name, _ := strings.Cut(string(p), " ")
	files, err := filepath.Glob(filepath.Join("..", "..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(name) + `\([a-z]+ \*testing\.[TF]\)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if declared.Match(text) {
			return
		}
	}
	t.Errorf("there is no test %s in %s", name, folder)
}

// seen is a proof by looking at what the text notation of a response does not show.
type seen func(t *testing.T, on *servers)

func (s seen) prove(t *testing.T, on *servers) { s(t, on) }

// answerTo is a response for a closer look.
func (on *servers) answerTo(t *testing.T, question string) (m dns.Msg, raw []byte) {
	t.Helper()
	packet, to, overTCP := on.packet(t, question)
	put := askUDP
	if overTCP {
		put = askTCP
	}
	raw = put(t, to.Addr(), packet)
	if err := m.Unpack(raw); err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	return m, raw
}

// soaTTL: the SOA of a negative answer has this TTL.
func soaTTL(question string, want uint32) proof {
	return seen(func(t *testing.T, on *servers) {
		m, _ := on.answerTo(t, question)
		if len(m.Ns) == 0 || m.Ns[0].Header().Ttl != want {
			t.Errorf("%s: authority %v, want a TTL of %d", question, m.Ns, want)
		}
	})
}

// records: the answer section has these records.
func records(question string, want ...string) proof {
	return seen(func(t *testing.T, on *servers) {
		m, _ := on.answerTo(t, question)
		var got []string
		for _, rr := range m.Answer {
			got = append(got, strings.Join(strings.Fields(rr.String()), " "))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s\n got %q\nwant %q", question, got, want)
		}
	})
}

// extended: the response has this extended error.
func extended(question string, want uint16) proof {
	return seen(func(t *testing.T, on *servers) {
		m, _ := on.answerTo(t, question)
		for _, o := range m.IsEdns0().Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok && e.InfoCode == want {
				return
			}
		}
		t.Errorf("%s: options %v, want the extended error %d", question, m.IsEdns0().Option, want)
	})
}

// noLonger: a response is no longer than the question.
func noLonger(question string) proof {
	return seen(func(t *testing.T, on *servers) {
		packet, to, _ := on.packet(t, question)
		if response := askUDP(t, to.Addr(), packet); len(response) > len(packet) {
			t.Errorf("%s: %d octets to %d", question, len(response), len(packet))
		}
	})
}
