package wire

import "strconv"

// Type is a record type or query type (RFC 1035 section 3.2.2 and later).
type Type uint16

// Class is a record class or query class.
type Class uint16

// Rcode is a response code with the upper bits that EDNS carries (RFC 6891 section 6.1.3).
type Rcode uint16

// The types that this server treats in a way of its own.
const (
	TypeA       Type = 1
	TypeNS      Type = 2
	TypeCNAME   Type = 5
	TypeSOA     Type = 6
	TypePTR     Type = 12
	TypeHINFO   Type = 13
	TypeMX      Type = 15
	TypeTXT     Type = 16
	TypeAAAA    Type = 28
	TypeSRV     Type = 33
	TypeNAPTR   Type = 35
	TypeOPT     Type = 41
	TypeDS      Type = 43
	TypeSSHFP   Type = 44
	TypeRRSIG   Type = 46
	TypeNSEC    Type = 47
	TypeDNSKEY  Type = 48
	TypeTLSA    Type = 52
	TypeCDS     Type = 59
	TypeCDNSKEY Type = 60
	TypeSVCB    Type = 64
	TypeHTTPS   Type = 65
	TypeNXNAME  Type = 128
	TypeTSIG    Type = 250
	TypeIXFR    Type = 251
	TypeAXFR    Type = 252
	TypeANY     Type = 255
	TypeURI     Type = 256
	TypeCAA     Type = 257
)

// IsMeta reports whether t can only be asked for or is no data at all: the Q and meta range 128 to 255 (RFC 6895
// section 3.1), and OPT.
func (t Type) IsMeta() bool { return t == TypeOPT || t >= 128 && t <= 255 }

// Classes.
const (
	ClassIN  Class = 1
	ClassCH  Class = 3
	ClassANY Class = 255
)

// Response codes.
const (
	NoError   Rcode = 0
	FormErr   Rcode = 1
	ServFail  Rcode = 2
	NXDomain  Rcode = 3
	NotImp    Rcode = 4
	Refused   Rcode = 5
	YXDomain  Rcode = 6
	YXRRSet   Rcode = 7
	NXRRSet   Rcode = 8
	NotAuth   Rcode = 9
	NotZone   Rcode = 10
	BadVers   Rcode = 16
	BadCookie Rcode = 23
)

// Opcodes (RFC 1035 section 4.1.1, RFC 2136 section 1.3).
const (
	opcodeQuery  = 0
	opcodeUpdate = 5
)

// Header flags, in the second 16 bits of a message (RFC 1035 section 4.1.1).
const (
	flagQR = 1 << 15
	flagAA = 1 << 10
	flagTC = 1 << 9
	flagRD = 1 << 8
)

// EDNS option codes.
const (
	OptionNSID      = 3
	OptionECS       = 8
	OptionCookie    = 10
	OptionKeepalive = 11
	OptionPadding   = 12
	OptionEDE       = 15
	OptionVersion   = 19
)

var typeNames = map[Type]string{
	TypeA: "A", TypeNS: "NS", TypeCNAME: "CNAME", TypeSOA: "SOA", TypePTR: "PTR", TypeHINFO: "HINFO", TypeMX: "MX",
	TypeTXT: "TXT", TypeAAAA: "AAAA", TypeSRV: "SRV", TypeNAPTR: "NAPTR", TypeOPT: "OPT", TypeDS: "DS",
	TypeSSHFP: "SSHFP", TypeTLSA: "TLSA", TypeSVCB: "SVCB", TypeHTTPS: "HTTPS", TypeNXNAME: "NXNAME", TypeRRSIG: "RRSIG", TypeNSEC: "NSEC", TypeDNSKEY: "DNSKEY", TypeCDS: "CDS",
	TypeCDNSKEY: "CDNSKEY", TypeTSIG: "TSIG",
	TypeIXFR: "IXFR", TypeAXFR: "AXFR", TypeANY: "ANY", TypeURI: "URI", TypeCAA: "CAA",
}

var rcodeNames = map[Rcode]string{
	NoError: "NOERROR", FormErr: "FORMERR", ServFail: "SERVFAIL", NXDomain: "NXDOMAIN", NotImp: "NOTIMP",
	Refused: "REFUSED", YXDomain: "YXDOMAIN", YXRRSet: "YXRRSET", NXRRSet: "NXRRSET", NotAuth: "NOTAUTH", NotZone: "NOTZONE", BadVers: "BADVERS", BadCookie: "BADCOOKIE",
}

// String is the mnemonic, or TYPEn (RFC 3597 section 5).
func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// ParseType is the inverse of Type.String for the types with a mnemonic here.
func ParseType(s string) (Type, bool) {
	for t, name := range typeNames {
		if name == s {
			return t, true
		}
	}
	return 0, false
}

// String is the mnemonic, or RCODEn.
func (r Rcode) String() string {
	if s, ok := rcodeNames[r]; ok {
		return s
	}
	return "RCODE" + strconv.Itoa(int(r))
}
