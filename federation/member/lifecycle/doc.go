// Package lifecycle keeps a connection for every Cluster, tells on the Cluster what is seen of the member, renews
// the hub's token there, and ends a membership without leaving anything behind.
//
// # Guarantees
//
// It is the only writer of Cluster.status. A Cluster keeps the finalizer hanse.io/membership until no Distribution
// names the member any more (so every copy is gone, or orphaned on request) and the hub's account has left the
// member. When the member is lost for good, whoever removes the finalizer (hanse unjoin --force) ends the
// membership at once.
//
// What carries our mark in a member and has no Distribution any more is told in the Cluster's status and in the
// condition Leftovers, soon after the member can be worked with, and hourly. Nothing is done with it unasked; the
// membership does not end before somebody has said what is to become of it, or that all copies stay (see package
// leftover).
//
// # Considerations
//
// The status is written when something changed that matters. lastSeen alone is no change: it is refreshed every few
// minutes while all is well, and is exact from the moment the member is lost, so idle members cost no writes.
package lifecycle
