// Package decisions reads the stored decisions (Distributions) from the hub's memory: by template, member, kind,
// namespace or placement.
//
// # Guarantees
//
// A read takes no request, no context and no lock of the caller's, and cannot fail: it looks into the indexer of the one
// informer of Distributions. So an event handler that must queue work for a member or a kind never loses it to a read
// that failed. Work that arrives later arrives as an event of its own.
//
// What is returned is shared with everybody and must not be changed. The order is not defined.
//
// # Considerations
//
// The client of controller-runtime reads the same indexer, but answers with an error while a cache starts and copies the
// list for each call. An event handler can neither return that error nor wait. The member index keeps the cost of an
// event of one member to the templates of that member, whatever the number of templates on the hub.
package decisions
