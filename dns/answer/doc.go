// Package answer is the resolution algorithm of an authoritative server (RFC 1034 section 4.3.2 as later RFCs have it):
// from a snapshot, a question and a client to return code, flags and the three sections. Explain tells the same for a
// human.
//
// Guarantees:
//   - A name that exists is never NXDOMAIN: not an empty non-terminal, not a service without an address to give.
//   - Every negative answer carries the SOA that bounds its caching (RFC 2308).
//   - CNAME chains end, also when they form a ring.
//   - Resolve does not allocate for answers without a CNAME, a referral or additional records.
//
// It is pure: what is random or depends on time comes in with the client.
//
// Considerations: a CNAME is followed inside its zone only, as NSD, Knot, BIND and PowerDNS do; a resolver asks for the
// rest by itself and would not believe us. Answers are minimal: no NS set beside a positive answer, additional records
// only where the question was for SRV, HTTPS or NS.
package answer
