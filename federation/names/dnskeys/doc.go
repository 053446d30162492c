// Package dnskeys holds the DNSSEC keys of a Zone as they stand in the hub's store: one Secret in the system namespace,
// owned by the Zone, with a key in PEM form in each field. It knows how a key is replaced, step by step.
//
// # Replacing a key
//
//  1. Roll adds a key that is Incoming: published, and in CDS, so that the parent may have its DS beside the old one.
//     Both DS together are safe at any time. The zone is signed with the old key as before.
//  2. The parent adds the new DS, by itself (RFC 7344) or by hand.
//  3. Retire makes the new key Active: from now on it signs the zone. The old one is Retired: published until all that
//     it signed has run out, then it goes by itself. The parent may drop the old DS.
//
// # Guarantees
//
// Everything here is a value: a step that is refused changes nothing. A key that signs is never taken away before
// another one has been published for longer than resolvers keep the set of keys.
//
// # Considerations
//
// The two steps are commands, not times: only a person (or a parent that reads CDS) knows when the DS is at the parent,
// and a zone whose key went too early is gone for every validating resolver. There is one key for everything (a
// combined signing key), because a second one would add steps and protect nothing: both would lie in the same Secret.
package dnskeys
