package server

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// acceptedDifferences are the probes on which at least four of the five peers agree and this server answers otherwise,
// and why.
var acceptedDifferences = map[string]string{
	"version.bind CH": "a version is told only when configured: RFC 4892 leaves it to the operator",
	"id.server CH":    "an identity is told only when configured: RFC 4892 section 3.1",
}

// TestPeers asks what NSD, Knot, gdnsd, BIND and PowerDNS have been asked about the same zone (testdata/peers.txt).
// Where at least four gave one answer, this server must give it too: code, flags and sections, and the length where all
// five agree on that.
func TestPeers(t *testing.T) {
	s := start(t, Config{Snapshot: storeOf(t, probeZone(t))})
	peers := readPeers(t)
	compared := 0
	for _, probe := range readProbes(t) {
		t.Run(probe.name, func(t *testing.T) {
			ask := askUDP
			if probe.overTCP {
				ask = askTCP
			}
			got := describe(ask(t, s.Addr(), probe.packet))
			want, votes := agreement(peers[probe.name])
			t.Logf("%d of 5: %s; ours: %s", votes, want, got)
			if votes < 4 {
				got = rcodeOf(got)
				want, votes = majority(peers[probe.name], rcodeOf)
			} else if votes == 4 {
				got = withoutLength(got)
			}
			if votes < 4 {
				return
			}
			compared++
			if why, ok := acceptedDifferences[probe.name]; ok {
				if got == want {
					t.Errorf("accepted as a difference (%s), but it is none any more", why)
				}
				return
			}
			if got != want {
				t.Errorf("%d of 5 peers answer %s, ours is %s", votes, want, got)
			}
		})
	}
	if compared < 40 {
		t.Errorf("only %d probes had an agreement to compare with", compared)
	}
}

type probe struct {
	name    string
	overTCP bool
	packet  []byte
}

func readProbes(t testing.TB) (probes []probe) {
	t.Helper()
	text, err := os.ReadFile("testdata/probes.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) != 3 {
			continue
		}
		packet, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		probes = append(probes, probe{f[0], f[1] == "tcp", packet})
	}
	return probes
}

// readPeers gives, per probe, every answer and how many peers gave it.
func readPeers(t testing.TB) map[string]map[string]int {
	t.Helper()
	text, err := os.ReadFile("testdata/peers.txt")
	if err != nil {
		t.Fatal(err)
	}
	all, name := map[string]map[string]int{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if after, ok := strings.CutPrefix(line, "## "); ok {
			name = after
			all[name] = map[string]int{}
			continue
		}
		who, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		all[name][strings.TrimSpace(what)] += len(strings.Split(who, ","))
	}
	return all
}

// agreement is the answer that most peers gave and their number: with the length if all five gave it, else without
// regard to length. The size that a peer advertises in its OPT record is its own affair.
func agreement(answers map[string]int) (string, int) {
	if same, votes := majority(answers, func(a string) string { return a }); votes == 5 {
		return same, votes
	}
	same, votes := majority(answers, withoutLength)
	return same, min(votes, 4)
}

// majority is what most answers have in common by some measure, and how many they are.
func majority(answers map[string]int, measure func(string) string) (best string, most int) {
	votes := map[string]int{}
	for a, n := range answers {
		m := measure(a)
		if votes[m] += n; votes[m] > most {
			best, most = m, votes[m]
		}
	}
	return best, most
}

func rcodeOf(s string) string {
	code, _, _ := strings.Cut(s, " ")
	return code
}

var (
	length  = regexp.MustCompile(` *\[\d+\]$`)
	optSize = regexp.MustCompile(`OPT\(v0,1024`)
)

func withoutLength(s string) string {
	return strings.TrimSpace(optSize.ReplaceAllString(length.ReplaceAllString(s, ""), "OPT(v0,1232"))
}

// describe puts a response into the one line that peers.txt has.
func describe(m []byte) string {
	if m == nil {
		return "DROP"
	}
	if len(m) < 12 {
		return "short"
	}
	flags := binary.BigEndian.Uint16(m[2:])
	rcode := int(flags & 15)
	var sections []string
	options := ""
	off := 12
	for range binary.BigEndian.Uint16(m[4:]) {
		_, end, err := dns.UnpackDomainName(m, off)
		if err != nil {
			return "PARSE!"
		}
		off = end + 4
	}
	for i, tag := range []string{"an", "ns", "ar"} {
		var types []string
		counts := map[string]int{}
		for range binary.BigEndian.Uint16(m[6+2*i:]) {
			rr, end, err := dns.UnpackRR(m, off)
			if err != nil {
				return "PARSE!"
			}
			off = end
			if opt, ok := rr.(*dns.OPT); ok {
				rcode |= int(opt.Hdr.Ttl>>24) << 4
				options = describeOPT(opt)
				continue
			}
			name := dns.TypeToString[rr.Header().Rrtype]
			if counts[name]++; counts[name] == 1 {
				types = append(types, name)
			}
		}
		for k, name := range types {
			if n := counts[name]; n > 1 {
				types[k] = fmt.Sprintf("%s*%d", name, n)
			}
		}
		if len(types) > 0 {
			sections = append(sections, tag+":"+strings.Join(types, ","))
		}
	}
	text := map[int]string{0: "NOERROR", 16: "BADVERS"}[rcode]
	if text == "" {
		text = dns.RcodeToString[rcode]
	}
	text += " "
	for _, f := range []struct {
		bit  uint16
		name string
	}{{0x400, "aa "}, {0x200, "tc "}, {0x100, "rd "}, {0x80, "ra "}, {0x40, "z "}, {0x20, "ad "}, {0x10, "cd "}} {
		if flags&f.bit != 0 {
			text += f.name
		}
	}
	if op := flags >> 11 & 15; op != 0 {
		text += fmt.Sprintf("op%d ", op)
	}
	if qd := binary.BigEndian.Uint16(m[4:]); qd != 1 {
		text += fmt.Sprintf("qd%d ", qd)
	}
	return fmt.Sprintf("%s%s%s [%d]", text, strings.Join(sections, " "), options, len(m))
}

func describeOPT(opt *dns.OPT) string {
	text := fmt.Sprintf(" OPT(v%d,%d", opt.Version(), opt.UDPSize())
	if opt.Do() {
		text += ",DO"
	}
	var codes []string
	for _, o := range opt.Option {
		codes = append(codes, fmt.Sprintf("%d", o.Option()))
	}
	if len(codes) > 0 {
		text += "," + strings.Join(codes, "+")
	}
	return text + ")"
}
