// Package acks is how DNS servers tell the hub which snapshot they answer from: a Lease each, in the namespace
// hanse-dns of the hub, with the serial in an annotation.
//
// A Reporter keeps the Lease of one server. ServerOf reads one, and Lag says who does not have a serial yet: what the
// hub must know before it takes away what an answer may still point to.
//
// Guarantees:
//   - A server that has ended by itself is not waited for; one that fell silent is waited for as long as Forgotten.
//   - A report never says more than the server answers from: the serial is read after the snapshot was published.
//
// Considerations: a Lease is the lightest object there is, nobody else watches the namespace, and the account of a DNS
// server may write there and nowhere else. A server writes when its serial changes, but at most a few times a second,
// and otherwise often enough to be seen alive. A server that has been cut off still answers from its last snapshot; no
// wait can help its clients, so it is not waited for without end.
package acks
