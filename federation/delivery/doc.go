// Package delivery is the floor on which decisions reach the members and their outcome comes back; it holds no code of
// its own.
//
//	propagate  reconciler: Distribution.spec -> rendered object -> server-side apply in each member
//	apply      one object into one member, out of it again, or the difference; a verdict for each
//	decisions  the stored decisions, read from memory by template, member, kind or placement
//	results    the last verdict of every apply, in memory: propagate writes it, collect reads it
//	collect    reconciler: the members' objects + results -> Distribution.status -> the template's own .status
//
// Propagate and collect never call each other. They meet in stored objects and in results.
package delivery
