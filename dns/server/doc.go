// Package server puts a zone.Store on the network: UDP, TCP and, with a certificate, TLS (RFC 7858).
//
// Every packet goes the same way, in responder.respond: parse, refuse what is malformed, look at EDNS, resolve, write.
// Only the sockets differ. A worker owns one UDP socket (SO_REUSEPORT) and everything it needs to answer; it shares
// nothing that is written.
//
// Guarantees:
//   - Whatever arrives, the process stays up, and never answers an answer.
//   - No goroutine and no queue of ours grows with UDP load: what cannot be answered stays in the kernel's buffer, and
//     is dropped there.
//   - TCP connections are bounded in number, for all and for each client, in idle time and in the time one query may
//     take.
//   - A new snapshot is used from the next packet on, without a pause; the old one goes on serving what is under way.
//
// Considerations: UDP is our own loop and not the server of miekg/dns, because that starts a goroutine for every packet
// without bound, allocates for each, and dies from a header without a question if its handler trusts it. TCP is ours
// too, so that both give the same octets for the same question.
package server
