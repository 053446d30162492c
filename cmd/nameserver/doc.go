// Package nameserver is the composition root of `hanse dns`: a DNS server that runs away from the hub and answers what
// the hub does.
//
//	New    reads the last snapshot, takes over from a former process, and answers from then on
//	Run    follows the hub, saves what it hears and tells the hub what it serves, until the context ends
//	Close  gives back what New took
//
// # Guarantees
//
// The hub is needed for news only. What was heard last is on disk before long, whole and with a checksum, and a process
// that starts without the hub answers from it. A file that is damaged is set aside and said so; the server then answers
// SERVFAIL until the hub has spoken, so that resolvers go on to another server and cache nothing.
//
// A process that starts on the data directory of a running one takes over its sockets: the former one answers what it
// has taken and ends, and no query is lost.
//
// Updates of zones (RFC 2136) go to the hub as they came, signature and all, and are acknowledged when it has stored them:
// nothing is taken here that could get lost.
//
// All servers that have heard of the same serial give a client the same answers.
//
// # Considerations
//
// The account on the hub may read the feed of snapshots, hand on updates, keep its Lease in hanse-dns and ask for new
// tokens of its own, and nothing else; `hanse dns kubeconfig` makes it. The token of the kubeconfig is replaced at the
// first start and then after half of its life, so that a server is let in as long as it sees the hub now and then; the
// account, not the token, is what is taken back. The queries can be watched through a socket in the data directory and
// not over the network: who asks for what is nobody's business on the metrics port. The snapshot has what is answered,
// and with it the keys that zones are signed and copied with: the feed, its account and the file on disk are to be kept
// as secret as they are.
package nameserver
