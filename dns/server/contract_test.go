package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// contract is what this server owes to those who put it on the internet, row by row, and how that is seen. Questions go
// to servers on the loopback address, by UDP unless they say tcp; contract_check_test.go tells zone and notation.
// A response reads: code, flags, what is in the sections (answer, authority, additional), and the OPT record.
//
// Every response is checked for rows 1 and 3, too.
var contract = []row{
	{1, must, "Header (RFC 1035 section 4.1.1)",
		"ID, opcode and RD come back; QR is set; RA, Z, AD and CD never are.", proofs{
			ask("www.c.test A", "NOERROR aa an:A"),
			ask("www.c.test A rd ad cd z aa", "NOERROR aa rd an:A"),
			ask("www.c.test A tcp rd cd", "NOERROR aa rd an:A"),
			ask("www.c.test A op=2 rd", "NOTIMP rd op2 qd0"),
		}, ""},
	{2, must, "Authority (RFC 1034, RFC 6604)",
		"AA on answers, NODATA, NXDOMAIN and along a CNAME chain; not on referrals and errors.", proofs{
			ask("www.c.test A", "NOERROR aa an:A"),
			ask("www.c.test MX", "NOERROR aa ns:SOA"),
			ask("none.c.test A", "NXDOMAIN aa ns:SOA"),
			ask("al2.c.test A", "NOERROR aa an:CNAME*2,A"),
			ask("x.sub.c.test A", "NOERROR ns:NS ar:A"),
			ask("www.example.org A", "REFUSED"),
			ask("www.c.test A op=1", "NOTIMP op1 qd0"),
			ask("www.c.test A v1", "BADVERS OPT(v0,1232)"),
			ask("probe two OPT", "FORMERR qd0"),
		}, ""},
	{3, must, "Question and letter case (RFC 4343)",
		"The question comes back as it was asked; ASCII letters match in either case, others do not; owners of answers " +
			"point to the question.", proofs{
			ask("wWw.C.TeSt A", "NOERROR aa an:A"),
			ask(`\225.c.test A`, "NOERROR aa an:A"),
			ask(`\193.c.test A`, "NXDOMAIN aa ns:SOA"),
			seen(ownersFollowTheQuestion),
		}, ""},
	{4, must, "Apex (RFC 1035, RFC 2181)",
		"SOA and NS are there, and the addresses of servers in the zone with them.", proofs{
			ask("c.test SOA", "NOERROR aa an:SOA"),
			ask("c.test NS", "NOERROR aa an:NS ar:A"),
		}, ""},
	{5, must, "Serial (RFC 1982, RFC 1996)",
		"Grows with every published change, never goes back, and is the same on every replica of one version.", proofs{
			seen(serialIsOfTheVersion),
			provenBy("dns/zone TestStoreRefusesOldSerials"), provenBy("dns/feed TestSerialsOfAFollowerOnlyGrow"),
			provenBy("federation/names/expose TestNextSerial"),
		}, ""},
	{6, must, "No data (RFC 2308)",
		"NOERROR, AA, no answer, and the SOA with the smaller of its TTL and MINIMUM.", proofs{
			ask("www.c.test MX", "NOERROR aa ns:SOA"),
			ask("app.c.test AAAA", "NOERROR aa ns:SOA"),
			ask("c.test PTR", "NOERROR aa ns:SOA"),
			soaTTL("www.c.test MX", 30),
		}, ""},
	{7, must, "No such name (RFC 2308, RFC 8020)",
		"NXDOMAIN, AA, the same SOA; only where nothing exists at or below the name. Below a leaf there is nothing.", proofs{
			ask("none.c.test A", "NXDOMAIN aa ns:SOA"),
			ask("below.www.c.test A", "NXDOMAIN aa ns:SOA"),
			ask("below.app.c.test A", "NXDOMAIN aa ns:SOA"),
			soaTTL("none.c.test A", 30),
		}, ""},
	{8, must, "Empty non-terminals (RFC 4592, RFC 8020, RFC 9156)",
		"A name that has names below it exists: NODATA, never NXDOMAIN.", proofs{
			ask("ent.c.test A", "NOERROR aa ns:SOA"),
			ask("b.ent.c.test A", "NOERROR aa ns:SOA"),
			ask("_tcp.app.c.test SRV", "NOERROR aa ns:SOA"),
			ask("wild.c.test A", "NOERROR aa ns:SOA"),
			ask("none.ent.c.test A", "NXDOMAIN aa ns:SOA"),
			provenBy("e2e/dnspeers TestAResolverFindsEveryName"),
		}, ""},
	{9, must, "Wildcards (RFC 4592)",
		"At the closest encloser only, as deep as one asks, never over a name that exists, even without data.", proofs{
			ask("one.wild.c.test A", "NOERROR aa an:A"),
			ask("three.two.one.wild.c.test A", "NOERROR aa an:A"),
			ask("*.wild.c.test A", "NOERROR aa an:A"),
			ask("one.wild.c.test TXT", "NOERROR aa ns:SOA"),
			ask("x.wild.c.test A", "NOERROR aa ns:SOA"),
			ask("below.x.wild.c.test A", "NXDOMAIN aa ns:SOA"),
			ask("one.wildc.c.test A", "NOERROR aa an:CNAME,A"),
			ask("any.star.c.test AAAA", "NOERROR aa an:AAAA"),
		}, ""},
	{10, must, "CNAME (RFC 1034 section 3.6.2, RFC 2181 section 10.1, RFC 6604)",
		"Alone at its name; followed inside the zone, not in circles; the code is that of the last name.", proofs{
			ask("al2.c.test A", "NOERROR aa an:CNAME*2,A"),
			ask("al2.c.test CNAME", "NOERROR aa an:CNAME"),
			ask("al.c.test MX", "NOERROR aa an:CNAME ns:SOA"),
			ask("dang.c.test A", "NXDOMAIN aa an:CNAME ns:SOA"),
			ask("ext.c.test A", "NOERROR aa an:CNAME"),
			ask("ring.c.test A", "NOERROR aa an:CNAME*2"),
			ask("host.c.test A", "NOERROR aa an:CNAME,A"),
			provenBy("dns/zone TestCheckNamesTheField"),
		}, ""},
	{11, must, "No CNAME at the apex",
		"Refused where zones are taken in; a load balancer with a host name is resolved for the apex.", proofs{
			ask("c.test CNAME", "NOERROR aa ns:SOA"),
			provenBy("dns/zone TestCheckNamesTheField"), provenBy("federation/names/expose TestResolverKeepsWhatItFound"),
		}, ""},
	{12, must, "Names of others (RFC 8906, RFC 8914)",
		"REFUSED, no records, no referral upwards; with EDNS the extended error 20.", proofs{
			ask("www.example.org A", "REFUSED"),
			ask("test NS", "REFUSED"),
			ask(". NS", "REFUSED"),
			extended("www.example.org A edns", 20),
		}, ""},
	{13, must, "Nothing loaded yet",
		"SERVFAIL, and the extended error 14: never NXDOMAIN, never an empty NOERROR.", proofs{
			ask("www.c.test A @empty", "SERVFAIL"),
			ask("www.c.test A @empty tcp", "SERVFAIL"),
			extended("www.c.test A @empty edns", 14),
		}, ""},
	{14, should, "Delegations (RFC 1034, RFC 9471)",
		"NS in authority without AA; addresses of servers below the cut must be there or TC; DS is the upper side's; " +
			"addresses below the cut are no data.", proofs{
			ask("x.sub.c.test A", "NOERROR ns:NS ar:A"),
			ask("sub.c.test NS", "NOERROR ns:NS ar:A"),
			ask("ns.sub.c.test A", "NOERROR ns:NS ar:A"),
			ask("sub.c.test DS", "NOERROR aa ns:SOA"),
			ask("safe.c.test DS", "NOERROR aa an:DS"),
			provenBy("dns/server TestReferralNeedsItsGlue"), provenBy("dns/zone TestZonesBelowZones"),
			provenBy("dns/server TestReferralSigned"),
		}, ""},
	{15, must, "ANY (RFC 8482)",
		"One set, the smallest, over UDP and TCP.", proofs{
			ask("www.c.test ANY", "NOERROR aa an:A"),
			ask("c.test ANY tcp", "NOERROR aa an:A"),
			ask("pair.c.test ANY", "NOERROR aa an:A*2"),
		}, ""},
	{16, must, "Types that are none (RFC 3597, RFC 8906, RFC 9824)",
		"Unknown types are NODATA, meta types NOTIMP; NXNAME is FORMERR with the extended error 30.", proofs{
			ask("www.c.test TYPE1000", "NOERROR aa ns:SOA"),
			ask("www.c.test TYPE65535", "NOERROR aa ns:SOA"),
			ask("www.c.test TYPE253", "NOTIMP"),
			ask("www.c.test TYPE249", "NOTIMP"),
			ask("www.c.test TYPE41", "FORMERR"),
			ask("www.c.test TYPE128", "FORMERR"),
			extended("www.c.test TYPE128 edns", 30),
		}, ""},
	{17, must, "Classes",
		"IN is served; ANY like IN without AA; CH is row 40; others are refused.", proofs{
			ask("www.c.test A class=255", "NOERROR an:A"),
			ask("www.c.test A class=3", "REFUSED"),
			ask("www.c.test A class=4", "REFUSED"),
			ask("www.c.test A class=99", "REFUSED"),
		}, ""},
	{18, must, "Opcodes (RFC 1035, RFC 8906)",
		"All but QUERY are NOTIMP, with the opcode; UPDATE too, unless row 34 is on.", proofs{
			ask("www.c.test A op=1", "NOTIMP op1 qd0"),
			ask("www.c.test A op=2", "NOTIMP op2 qd0"),
			ask("c.test SOA op=4", "NOTIMP op4 qd0"),
			ask("c.test SOA op=5", "NOTIMP op5 qd0"),
			ask("probe op 6 DSO udp", "NOTIMP op6 qd0"),
			ask("c.test SOA op=15", "NOTIMP op15 qd0"),
		}, ""},
	{19, must, "QDCOUNT (RFC 9619)",
		"Other than one is FORMERR, the header alone; none with a cookie is row 29.", proofs{
			ask("probe QDCOUNT 0", "FORMERR qd0 [12]"),
			ask("probe QDCOUNT 2", "FORMERR qd0 [12]"),
			ask("probe hdr only qd1", "FORMERR qd0 [12]"),
		}, ""},
	{20, must, "What is no query",
		"A response, less than a header, and what comes from port 0 are dropped: answering answers makes loops.", proofs{
			ask("probe QR=1", "DROP"),
			ask("probe short 5B", "DROP"),
			seen(portZeroIsDropped),
			provenBy("dns/server TestPortZero"),
		}, ""},
	{21, must, "Malformed packets",
		"FORMERR in twelve octets, or nothing; what stands after the last record is ignored. Never a crash.", proofs{
			ask("probe trunc question", "FORMERR qd0 [12]"),
			ask("probe ptr loop", "FORMERR qd0 [12]"),
			ask("probe label 64", "FORMERR qd0 [12]"),
			ask("probe ANCOUNT 1 lie", "FORMERR qd0 [12]"),
			ask("probe trailing junk", "NOERROR aa an:A"),
			noLonger("probe trunc question"), noLonger("probe OPT bad optlen"),
			provenBy("dns/server TestMutatedPackets"), provenBy("dns/server FuzzRespond"), provenBy("dns/wire FuzzParse"),
		}, ""},
	{22, must, "EDNS (RFC 6891)",
		"OPT to those who sent one, version 0, our size 1232, DO copied; unknown options and flags are ignored.", proofs{
			ask("www.c.test A", "NOERROR aa an:A"),
			ask("www.c.test A edns", "NOERROR aa an:A OPT(v0,1232)"),
			ask("www.c.test A edns=4096", "NOERROR aa an:A OPT(v0,1232)"),
			ask("www.c.test A do", "NOERROR aa an:A OPT(v0,1232,DO)"),
			ask("www.c.test A opt=65001:00", "NOERROR aa an:A OPT(v0,1232)"),
			ask("probe EDNS unk flag", "NOERROR aa an:A OPT(v0,1232)"),
			ask("none.c.test A edns", "NXDOMAIN aa ns:SOA OPT(v0,1232)"),
		}, ""},
	{23, must, "EDNS version (RFC 6891 section 6.1.3)", "Above 0: BADVERS, no answer.", proofs{
		ask("www.c.test A v1", "BADVERS OPT(v0,1232)"),
		ask("probe EDNS v1+opt", "BADVERS OPT(v0,1232)"),
	}, ""},
	{24, must, "Malformed OPT", "Two, one not of the root, one whose options are longer than it: FORMERR.", proofs{
		ask("probe two OPT", "FORMERR qd0"),
		ask("probe OPT nonroot", "FORMERR qd0"),
		ask("probe OPT bad optlen", "FORMERR qd0"),
		ask("probe OPT trunc rdlen", "FORMERR qd0"),
		provenBy("dns/wire FuzzEDNS"),
	}, ""},
	{25, must, "Size over UDP (RFC 6891, RFC 9715)",
		"What the client takes, at least 512, at most 1232 (Config.UDPSize, never more than 1400); without EDNS 512.", proofs{
			ask("big.c.test A", "NOERROR aa tc"),
			ask("big.c.test A edns=0", "NOERROR aa tc OPT(v0,1232)"),
			ask("big.c.test A edns=900", "NOERROR aa tc OPT(v0,1232)"),
			ask("big.c.test A edns=1100", "NOERROR aa an:A*60 OPT(v0,1232)"),
			ask("big.c.test A edns=65535", "NOERROR aa an:A*60 OPT(v0,1232)"),
			provenBy("dns/server TestConfig"),
		}, ""},
	{26, must, "Truncation (RFC 2181 section 9)",
		"A set is there whole or not at all: TC and no records, OPT stays; what only helps may be left out.", proofs{
			ask("big.c.test A edns=512", "NOERROR aa tc OPT(v0,1232)"),
			provenBy("dns/wire TestWriterKeepsItsLimit"), provenBy("dns/server TestReferralNeedsItsGlue"),
		}, ""},
	{27, must, "TCP (RFC 7766, RFC 9210)",
		"The same answers, up to 64 KiB, many on a connection; those are bounded in all, for a client, in time.", proofs{
			ask("big.c.test A tcp", "NOERROR aa an:A*60"),
			ask("none.c.test A tcp edns", "NXDOMAIN aa ns:SOA OPT(v0,1232)"),
			provenBy("dns/server TestPipelining"), provenBy("dns/server TestIdleConnections"),
			provenBy("dns/server TestConnectionLimits"),
		}, ""},
	{28, should, "Keepalive (RFC 7828), DSO (RFC 8490)",
		"Over TCP, who asks is told how long a connection may be idle; over UDP not. DSO is not needed: NOTIMP.", proofs{
			ask("www.c.test A tcp opt=11:", "NOERROR aa an:A OPT(v0,1232,11)"),
			ask("www.c.test A opt=11:", "NOERROR aa an:A OPT(v0,1232)"),
			ask("probe op 6 DSO udp", "NOTIMP op6 qd0"),
			provenBy("dns/server TestIdentityAndKeepalive"),
		}, ""},
	{29, should, "Cookies (RFC 7873, RFC 9018)",
		"A cookie of a wrong length is FORMERR; any other gets one of ours, which replicas share, lasts an hour and is " +
			"renewed after half of it. Without a question the cookie is the answer.", proofs{
			ask("www.c.test A opt=10:0102030405060708", "NOERROR aa an:A OPT(v0,1232,10)"),
			ask("www.c.test A opt=10:01020304050607", "FORMERR OPT(v0,1232)"),
			ask("www.c.test A opt=10:010203040506070801020304", "FORMERR OPT(v0,1232)"),
			ask("www.c.test A opt=10:010203040506070801020304050607080102030405060708", "NOERROR aa an:A OPT(v0,1232,10)"),
			ask("probe cookie only qd0", "NOERROR qd0 OPT(v0,1232,10)"),
			provenBy("dns/server TestCookieVectors"), provenBy("dns/server TestCookieLife"),
			provenBy("dns/server TestReplicasShareCookies"), provenBy("dns/server TestRateLimit"),
		}, ""},
	{30, should, "NSID (RFC 5001)", "Told to those who ask, if it is configured.", proofs{
		ask("www.c.test A opt=3:", "NOERROR aa an:A OPT(v0,1232)"),
		ask("www.c.test A @full opt=3:", "NOERROR aa an:A OPT(v0,1232,3)"),
		ask("www.c.test A @full edns", "NOERROR aa an:A OPT(v0,1232)"),
	}, ""},
	{31, should, "Client subnet (RFC 7871)",
		"Off for a zone unless it says so. On: echoed with the prefix that the answer depended on; malformed ones are " +
			"FORMERR; what depends on the subnet comes without the aliases that lead to it.", proofs{
			ask("near.c.test A opt=8:00011800c63364", "NOERROR aa an:A*2 OPT(v0,1232)"),
			ask("near.c.test A @full opt=8:00011800c63364", "NOERROR aa an:A OPT(v0,1232,8)"),
			ask("near.c.test A @full opt=8:00010000", "NOERROR aa an:A*2 OPT(v0,1232,8)"),
			ask("www.c.test A @full opt=8:00071800c63364", "FORMERR OPT(v0,1232)"),
			ask("www.c.test A @full opt=8:00011818c63364", "FORMERR OPT(v0,1232)"),
			ask("www.c.test A @full opt=8:00011400c633ff", "FORMERR OPT(v0,1232)"),
			ask("nearby.c.test A @full opt=8:00011800c63364", "NOERROR aa an:CNAME OPT(v0,1232,8)"),
			ask("nearby.c.test A @full", "NOERROR aa an:CNAME,A*2"),
			provenBy("dns/server TestClientSubnet"),
		}, ""},
	{32, should, "Response rate (ISC-TN-2012-1)",
		"Like responses to one network are bounded, if configured; half of the rest comes truncated; a cookie or TCP is " +
			"free; names that do not exist count together.", proofs{
			provenBy("dns/server TestRateLimit"),
		}, ""},
	{33, must, "Amplification",
		"Small answers: ANY is row 15, no padding over UDP, no record that nobody needs, one bound on the size for all " +
			"(row 25). The worst ratio of a zone like ours is a test.", proofs{
			ask("www.c.test A opt=12:0000", "NOERROR aa an:A OPT(v0,1232)"),
			provenBy("dns/server TestAmplification"), provenBy("dns/server TestSignatureBudget"),
			provenBy("dns/server TestPadding"),
		}, ""},
	{34, nice, "UPDATE with TSIG (RFC 2136)", "For the names and types that a zone allows a key.", proofs{
		ask("c.test SOA op=5", "NOTIMP op5 qd0"),
		provenBy("dns/server TestUpdate"), provenBy("dns/update TestApply"), provenBy("dns/server TestUpdateHoldsUpNothing"),
	}, ""},
	{35, should, "Transfer (RFC 5936, RFC 1995)",
		"Over TCP, to those with the key or the address, else REFUSED; one snapshot between two SOA records; differences " +
			"to those who have a copy. Over UDP the SOA alone.", proofs{
			ask("c.test AXFR tcp", "REFUSED"),
			ask("c.test AXFR tcp @full", "REFUSED"),
			ask("c.test AXFR", "NOTIMP"),
			ask("c.test IXFR", "REFUSED"),
			provenBy("dns/server TestTransfer"), provenBy("dns/server TestTransferByAddress"),
			provenBy("dns/server TestDifferences"), provenBy("dns/server TestDifferencesOverUDP"),
			provenBy("dns/server TestTransferSigned"), provenBy("dns/server TestSignedDifferences"),
			provenBy("dns/server TestRenewedSignaturesAreDifferences"), provenBy("e2e/dnspeers TestSecondariesFollow"),
		}, ""},
	{36, should, "NOTIFY (RFC 1996), TSIG (RFC 8945)",
		"Secondaries hear of a new serial, once a second at most, again until they answer. A signature that is wrong is " +
			"NOTAUTH, and says why.", proofs{
			ask("c.test SOA @full tsig", "NOERROR aa an:SOA ar:TSIG"),
			ask("c.test SOA tsig", "NOTAUTH ar:TSIG"),
			provenBy("dns/server TestNotify"), provenBy("dns/server TestSignedQueries"), provenBy("dns/server TestWrongClock"),
		}, ""},
	{37, nice, "Transfer over TLS (RFC 9103)", "As over TCP.", proofs{
		provenBy("dns/server TestTransferOverTLS"),
	}, ""},
	{38, should, "DNSSEC (RFC 4033 to 4035, RFC 7344, RFC 8078)",
		"ECDSA P-256; the set that is sent is what is signed, for those who ask (DO); DNSKEY, CDS and CDNSKEY at the apex; " +
			"signatures are renewed at half of their time.", proofs{
			ask("www.c.test A @signed", "NOERROR aa an:A"),
			ask("www.c.test A @signed do", "NOERROR aa an:A,RRSIG OPT(v0,1232,DO)"),
			ask("pair.c.test A @signed do tcp", "NOERROR aa an:A*2,RRSIG OPT(v0,1232,DO)"),
			ask("c.test DNSKEY @signed do", "NOERROR aa an:DNSKEY,RRSIG OPT(v0,1232,DO)"),
			ask("c.test CDS @signed do", "NOERROR aa an:CDS,RRSIG OPT(v0,1232,DO)"),
			ask("c.test CDNSKEY @signed do", "NOERROR aa an:CDNSKEY,RRSIG OPT(v0,1232,DO)"),
			ask("safe.c.test DS @signed do", "NOERROR aa an:DS,RRSIG OPT(v0,1232,DO)"),
			seen(signedByP256),
			provenBy("dns/server TestSecure"), provenBy("dns/server TestEveryAnswerSetIsSigned"),
			provenBy("dns/server TestUnsignedWithoutDO"), provenBy("dns/server TestRenewal"), provenBy("dns/sign TestRollover"),
			provenBy("e2e/dnspeers TestDelvValidates"),
		}, ""},
	{39, should, "Denial (RFC 9824)",
		"A single NSEC that says what is not there; no such name is NOERROR with the type NXNAME, and NXDOMAIN for those " +
			"who know that (CO).", proofs{
			ask("none.c.test A @signed do", "NOERROR aa ns:SOA,RRSIG*2,NSEC OPT(v0,1232,DO)"),
			ask("none.c.test A @signed do co", "NXDOMAIN aa ns:SOA,RRSIG*2,NSEC OPT(v0,1232,DO)"),
			ask("www.c.test MX @signed do", "NOERROR aa ns:SOA,RRSIG*2,NSEC OPT(v0,1232,DO)"),
			records("none.c.test NSEC @signed", []string(nil)...),
			seen(deniedTypesAreTold),
			provenBy("dns/sign TestDeny"), provenBy("dns/sign TestSuccessor"), provenBy("dns/server TestSecure"),
		}, ""},
	{40, nice, "Who are you (RFC 4892)", "version.bind and id.server in class CHAOS, if configured; else REFUSED.", proofs{
		ask("version.bind TXT class=3", "REFUSED"),
		ask("version.bind TXT class=3 @full", "NOERROR an:TXT"),
		ask("id.server TXT class=3 @full", "NOERROR an:TXT"),
	}, ""},
	{41, nice, "DNS over TLS (RFC 7858) and HTTPS (RFC 8484)", "As over TCP, padded for those who pad.", proofs{
		provenBy("dns/server TestTLS"), provenBy("dns/server TestHTTPS"), provenBy("dns/server TestPadding"),
	}, "DNS over QUIC (RFC 9250)"},
	{42, must, "Types that users add (RFC 2782 and others)",
		"SRV with the addresses of its targets where they fit, TXT, CNAME, PTR, MX, CAA.", proofs{
			ask("_http._tcp.srv.c.test SRV", "NOERROR aa an:SRV ar:A,AAAA"),
			ask("_http._tcp.pair.c.test SRV", "NOERROR aa an:SRV*2 ar:A*2"),
			ask("x.wild.c.test TXT", "NOERROR aa an:TXT"),
			ask("9.c.test PTR", "NOERROR aa an:PTR"),
			ask("mail.c.test MX", "NOERROR aa an:MX*2"),
			ask("ca.c.test CAA", "NOERROR aa an:CAA"),
			ask("al.c.test CNAME", "NOERROR aa an:CNAME"),
			records("_http._tcp.pair.c.test SRV", "_http._tcp.pair.c.test. 300 IN SRV 0 80 80 pair-n.c.test.",
				"_http._tcp.pair.c.test. 300 IN SRV 0 20 80 pair-s.c.test."),
			provenBy("dns/zone FuzzZone"),
		}, ""},
	{43, nice, "HTTPS and SVCB (RFC 9460)", "As users write them, with the addresses of their targets.", proofs{
		ask("web.c.test HTTPS", "NOERROR aa an:HTTPS ar:A,AAAA"),
		ask("bound.c.test HTTPS", "NOERROR aa an:HTTPS ar:A*2"), // the addresses of the owner, as they are drawn for A
		ask("bound.c.test HTTPS @signed edns do", "NOERROR aa an:HTTPS,RRSIG ar:A*2,RRSIG OPT(v0,1232,DO)"),
		ask("bound.c.test ANY", "NOERROR aa an:HTTPS"),
		ask("ca.c.test HTTPS", "NOERROR aa an:HTTPS"),
		provenBy("dns/zone TestServiceBindings"), provenBy("federation/names/expose TestStories"),
	}, "hints in the records that services ask for: the addresses themselves stand beside them, drawn as for A and AAAA"},
	{44, must, "Small responses",
		"No NS beside an answer; additional records for NS, SRV and HTTPS only; owners and the SOA compressed.", proofs{
			ask("www.c.test A", "NOERROR aa an:A [44]"), // 12 header, 16 question, 16 record
			ask("mail.c.test MX", "NOERROR aa an:MX*2"),
			ask("none.c.test A", "NXDOMAIN aa ns:SOA [80]"),
			provenBy("dns/wire TestWriterCompresses"),
		}, ""},
	{45, must, "Record sets (RFC 2181 section 5)",
		"One TTL, below 2^31; no record twice; records of one cluster side by side.", proofs{
			seen(setsAreSets),
			provenBy("dns/zone TestCheckNamesTheField"), provenBy("dns/zone TestDrawWithManyAddresses"),
		}, ""},
	{46, must, "IPv6, and the address asked", "The response leaves from the address that was asked, IPv4 or IPv6.", proofs{
		provenBy("dns/server TestAnyAddress"),
	}, ""},
	{47, must, "A socket for each processor", "SO_REUSEPORT; few clients are spread unevenly, by their ports.", proofs{
		seen(socketsForEachProcessor),
	}, ""},
	{48, nice, "More to know (RFC 8914, RFC 9660)",
		"A stale answer says how old; who asks is told the serial that the answer is of.", proofs{
			ask("www.c.test A opt=19:", "NOERROR aa an:A OPT(v0,1232,19)"),
			provenBy("dns/server TestStaleIsTold"), provenBy("dns/server TestZoneVersion"),
			provenBy("dns/server TestExtendedErrors"),
		}, "error reporting (RFC 9567)"},
	{49, must, "Overload",
		"No queue and no goroutine of ours grows with the load; drops are counted, the kernel's too.", proofs{
			provenBy("dns/server TestMutatedPackets"), provenBy("dns/server TestUpdateHoldsUpNothing"),
			provenBy("dns/server TestMetrics"),
		}, ""},
	{50, must, "Change and replacement",
		"A new snapshot is used without loss and pause; another process takes over the sockets without a lost query.", proofs{
			provenBy("dns/server TestReload"), provenBy("dns/server TestServersReplaceOneAnotherWithoutALostQuery"),
			provenBy("e2e TestReplaceANameserverWithoutALostQuery"),
		}, ""},
}

// TestContract proves the contract. With -v it prints it.
func TestContract(t *testing.T) {
	on := startServers(t)
	for i, r := range contract {
		if r.number != i+1 {
			t.Fatalf("row %d stands where row %d should", r.number, i+1)
		}
		t.Run(fmt.Sprintf("%02d", r.number), func(t *testing.T) {
			t.Logf("%s %s: %s", r.level, r.title, r.says)
			if r.lacks != "" {
				t.Logf("not done: %s", r.lacks)
				if r.level != nice {
					t.Error("only what would be nice may be left out")
				}
			}
			if len(r.proofs) == 0 && r.level != nice {
				t.Error("nothing proves it")
			}
			for _, p := range r.proofs {
				p.prove(t, on)
			}
		})
	}
	if len(contract) != 50 {
		t.Errorf("the contract has %d rows, not 50", len(contract))
	}
}

// ownersFollowTheQuestion: the owner of an answer is a pointer to the question, so that it comes back in its case.
func ownersFollowTheQuestion(t *testing.T, on *servers) {
	_, raw := on.answerTo(t, "WWW.c.TEST A")
	if at := 12 + questionLength(raw); binary.BigEndian.Uint16(raw[at:]) != 0xc00c {
		t.Errorf("the owner is not a pointer to the question: %x", raw)
	}
}

// serialIsOfTheVersion: two replicas with one configuration say one serial, and it grows with the change of a name.
func serialIsOfTheVersion(t *testing.T, _ *servers) {
	c := probeZone(t)
	c.Serial = 41
	one, other := storeOf(t, c), storeOf(t, c)
	serial := func(s *zone.Store) uint32 { return s.Snapshot().Trees()[0].Serial() }
	if serial(one) != 41 || serial(other) != 41 {
		t.Errorf("serials %d and %d, want 41", serial(one), serial(other))
	}
	record := zone.Record{Name: "new", Type: "A", Data: "10.0.0.1"}
	err := one.Update(42, zone.Change{Origin: "c.test", Name: "new", Records: []zone.Record{record}})
	if err != nil || serial(one) != 42 {
		t.Errorf("serial %d after a change, %v", serial(one), err)
	}
	if err := one.Set(c); err == nil || serial(one) != 42 {
		t.Errorf("an older version was published: serial %d", serial(one))
	}
}

func portZeroIsDropped(t *testing.T, _ *servers) {
	r := testResponder(t, probeZone(t))
	nobody := netip.AddrPortFrom(client.Addr(), 0)
	if out := r.respond(nil, packed(t, "www.c.test.", dns.TypeA, false), nobody, overUDP); len(out) > 0 {
		t.Errorf("port 0 was answered: %s", describe(out))
	}
}

func signedByP256(t *testing.T, on *servers) {
	m, _ := on.answerTo(t, "c.test DNSKEY @signed do")
	for _, rr := range m.Answer {
		if k, ok := rr.(*dns.DNSKEY); ok && (k.Algorithm != dns.ECDSAP256SHA256 || k.Flags != 257) {
			t.Errorf("key %s", k)
		}
	}
}

// deniedTypesAreTold: of a name that exists, of one that only has names below it, and of one that is not there.
func deniedTypesAreTold(t *testing.T, on *servers) {
	for question, want := range map[string][]uint16{
		"www.c.test MX":  {dns.TypeA, dns.TypeAAAA, dns.TypeRRSIG, dns.TypeNSEC},
		"ent.c.test A":   {dns.TypeRRSIG, dns.TypeNSEC},
		"none.c.test A":  {dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNXNAME},
		"app.c.test TXT": {dns.TypeA, dns.TypeRRSIG, dns.TypeNSEC},
	} {
		m, _ := on.answerTo(t, question+" @signed do")
		for _, rr := range m.Ns {
			if nsec, ok := rr.(*dns.NSEC); ok && !slices.Equal(nsec.TypeBitMap, want) {
				t.Errorf("%s: %s, want the types %v", question, nsec, want)
			}
		}
	}
}

// setsAreSets: every set of the zone has one TTL and no record twice, as it is written.
func setsAreSets(t *testing.T, on *servers) {
	for name, node := range on.usual.store.Snapshot().Trees()[0].Names {
		for _, set := range node.Copied() {
			seen := map[string]bool{}
			for rest := set.Records; len(rest) > 0; {
				n := wire.RecordSize(int(binary.BigEndian.Uint16(rest[10:])))
				if seen[string(rest[:n])] || binary.BigEndian.Uint32(rest[6:]) != set.TTL || set.TTL >= 1<<31 {
					t.Errorf("%s %s: %x", name, set.Type, rest[:n])
				}
				seen[string(bytes.Clone(rest[:n]))] = true
				rest = rest[n:]
			}
		}
	}
}

func socketsForEachProcessor(t *testing.T, _ *servers) {
	s := start(t, Config{Snapshot: storeOf(t, probeZone(t)), Workers: 3})
	ports := map[string]bool{}
	for _, conn := range s.udp {
		ports[conn.LocalAddr().String()] = true
	}
	if len(s.udp) != 3 || len(ports) != 1 {
		t.Errorf("%d sockets at %v, want 3 at one address", len(s.udp), ports)
	}
}
