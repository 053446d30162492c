// Package fleet is the set of connections: one member.Member for each Cluster that has joined.
//
// # Guarantees
//
// A connection lives from Keep to Drop (or to the end of the fleet's context) and is never shared by two Clusters. A
// Cluster that was deleted and made again gets a new connection, and the late news of the old one changes nothing:
// entries are removed by identity. Subscribers are told after every change; they are called on foreign goroutines
// and must only put a key in a queue.
//
// # Considerations
//
// Nothing here waits for a member. A fleet knows nothing of the hub's API either: package membership reads Clusters
// and tells the fleet what to keep.
package fleet
