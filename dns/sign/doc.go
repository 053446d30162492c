// Package sign makes DNSSEC signatures (RFC 4033 to 4035) at the time of the answer: keys, RRSIG, and the NSEC records
// that deny (RFC 9824).
//
// A zone has combined signing keys of ECDSA P-256 (algorithm 13, RFC 6605): one, and two while it is being replaced.
// What is signed is the record set that is sent, so every set of a weighted name can be answered with a signature; a
// Cache makes each of them once.
//
// Guarantees:
//   - A signature is a function of the keys, the record set and the window of time (RFC 6979): replicas with the same
//     keys send the same signatures, before and after a restart.
//   - A signature lasts at least 36 hours from when it is first sent and at most 72; it begins an hour before its
//     window, for validators with a slow clock. Windows of different names begin at different times, so that no moment
//     renews all.
//   - A Cache has a fixed number of slots and never waits for a lock.
//
// Considerations: denial is compact (RFC 9824): a name that does not exist is answered as one that has no data, by a
// single NSEC record that covers nothing else. It cannot be used to list the zone. It has to be signed for each name
// that is asked for, so a server must bound how many it makes; what is in the zone is signed once.
package sign
