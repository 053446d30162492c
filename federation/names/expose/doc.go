// Package expose turns what the members have into DNS: Zones, GlobalServices and the Distributions of what they
// expose -> a snapshot for the DNS server.
//
// # Guarantees
//
// Every replica of the hub builds its snapshot from stored objects alone, so all answer alike, and a hub that has
// just started answers before it has a connection to any member. Only the replica that leads writes status.
//
// A zone or a GlobalService that cannot be served says so in its status and takes nothing else down: a zone that was
// served before stays as it was. A name that exists is never answered NXDOMAIN, whatever has become of its members.
//
// A member that is left is led away from first: nothing that answers lead to is taken from it before no answer that
// somebody may keep names it, and never while it is the last one that works. The condition Drained and the status of
// each member say how far that is; package propagate waits for it.
//
// # Considerations
//
// Health is folded from what is stored: ready replicas of the workloads behind a Service, whether it has an address,
// the contact to the member, what an administrator wants, and the hub's probes. What only time or a network tells (how
// long a member has been well again, what a probe or a name said) is found out by the replica that leads, and is in the
// status for the others. A member out of contact keeps its last health for a while (staleAfter) and is then
// unknown, not down: the answering rules leave it out only while enough others are healthy, since a hub that has lost
// sight of its members knows nothing about their clients.
//
// Annotations of ExternalDNS make a GlobalService. There a cluster's controller reads the Service of its own cluster;
// here that is the copy in the member, so the weight (aws-weight) of each member is read from what its copy has with the
// placement's overrides, and set-identifier says nothing that the member's name does not. Weights that some members
// lack, or that are no numbers, change nothing: a member that joins must not move everybody's traffic to other rules.
//
// HTTPS records have no address hints (RFC 9460 section 7.3 leaves them to the server). Addresses are drawn for each
// answer, and a hint is true only if it is what A and AAAA of the same lookup draw, in every resolver's cache and in
// the copies of secondaries, where the record stands still. A fixed hint would lead clients that believe it past the
// weights, and to a member that is being left. The addresses themselves stand beside the record in its answers, drawn as
// they are for A and AAAA (section 4.1 there), and clients ask for those at the same time.
//
// The serial is the newest resource version of what the snapshot is made of: it grows with every change, and is the
// same on all replicas that have seen the same changes.
package expose
