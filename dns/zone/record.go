package zone

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/wire"
)

// recordTypes are the types that users may add. SOA comes from Zone.SOA; DNAME and DNSSEC types are not served.
var recordTypes = map[string]wire.Type{
	"A": wire.TypeA, "AAAA": wire.TypeAAAA, "CNAME": wire.TypeCNAME, "TXT": wire.TypeTXT, "SRV": wire.TypeSRV,
	"NS": wire.TypeNS, "PTR": wire.TypePTR, "MX": wire.TypeMX, "CAA": wire.TypeCAA, "DS": wire.TypeDS,
	"TLSA": wire.TypeTLSA, "SSHFP": wire.TypeSSHFP,
	"HTTPS": wire.TypeHTTPS, "SVCB": wire.TypeSVCB, "NAPTR": wire.TypeNAPTR, "URI": wire.TypeURI,
}

// MaxSet is the most octets one record set may take: it must fit a message over TCP with room for the rest.
const MaxSet = 60000

// parseData turns the presentation form of the data of one record into wire form.
func parseData(t wire.Type, data string, origin wire.Name) ([]byte, error) {
	if t == wire.TypeA || t == wire.TypeAAAA {
		return parseAddress(t, data)
	}
	if strings.ContainsAny(data, "\n\r") {
		return nil, fmt.Errorf("%w: line break", ErrMalformed)
	}
	line := fmt.Sprintf(". 0 IN %s %s\n", t, data)
	parser := dns.NewZoneParser(strings.NewReader(line), origin.String(), "")
	rr, ok := parser.Next()
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, strings.TrimPrefix(err.Error(), "dns: "))
	}
	if !ok || rr.Header().Rrtype != uint16(t) {
		return nil, fmt.Errorf("%w: no %s data", ErrMalformed, t)
	}
	if txt, ok := rr.(*dns.TXT); ok && len(txt.Txt) == 0 {
		return nil, fmt.Errorf("%w: TXT without a string (RFC 1035 section 3.3.14)", ErrMalformed)
	}
	buf := make([]byte, dns.Len(rr)+wire.MaxName)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return bytes.Clone(buf[11:end]), nil // the owner is the root: one octet, then ten of the record's head
}

func parseAddress(t wire.Type, data string) ([]byte, error) {
	addr, err := netip.ParseAddr(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	case addr.Zone() != "":
		return nil, fmt.Errorf("%w: address with a zone", ErrMalformed)
	case addr.Is4() != (t == wire.TypeA):
		return nil, fmt.Errorf("%w: %s is not for an %s record", ErrMalformed, data, t)
	}
	return addr.AsSlice(), nil
}

// presentData is the inverse of parseData, with absolute names.
func presentData(t wire.Type, data []byte) (string, error) {
	message := append([]byte{0}, wire.AppendRecord(nil, t, 0, data)[2:]...)
	rr, _, err := dns.UnpackRR(message, 0)
	if err != nil {
		return "", fmt.Errorf("reading the data of a %s record: %w", t, err)
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String()), nil
}

// Texts are the data of a record set as a zone file has them, with absolute names.
func Texts(set *wire.RRset) []string {
	var texts []string
	for data := range set.All {
		text, err := presentData(set.Type, data)
		if err != nil {
			text = fmt.Sprintf(`\# %d %x`, len(data), data) // RFC 3597 section 5
		}
		texts = append(texts, text)
	}
	return texts
}

// Lines is a record set as a zone file has it, a line for each record.
func Lines(owner wire.Name, set *wire.RRset) []string {
	var lines []string
	for _, text := range Texts(set) {
		lines = append(lines, fmt.Sprintf("%s %d IN %s %s", owner, set.TTL, set.Type, text))
	}
	return lines
}

// setBuilder gathers the records of one name into sets.
type setBuilder struct {
	sets []wire.RRset
}

// add puts a record into the set of its type.
func (b *setBuilder) add(t wire.Type, ttl uint32, data []byte) error {
	for i := range b.sets {
		s := &b.sets[i]
		if s.Type != t {
			continue
		}
		if s.TTL != ttl {
			return ErrTTLsDiffer
		}
		for other := range s.All {
			if bytes.Equal(other, data) {
				return ErrDuplicate
			}
		}
		if len(s.Records)+len(data) > MaxSet {
			return fmt.Errorf("%w: the records of this name and type do not fit a message", ErrOutOfRange)
		}
		s.Records = wire.AppendRecord(s.Records, t, ttl, data)
		s.Count++
		return nil
	}
	b.sets = append(b.sets, wire.NewRRset(t, ttl, data))
	return nil
}
