// Package orphans finds in one member what carries the hub's mark and what the hub knows nothing of, and takes it away
// when somebody asks for it.
//
// A Distribution is the only reason to keep or to remove a copy. One is lost when its finalizer is removed by hand,
// when a member is left by force and joins again, or when the hub is restored from a backup that is older than the
// copy. What such a copy is worth only a person can say: it may be what everybody works with. So it runs on, is told,
// and is removed, or released (it stays, without our marks), on request only.
//
// # Guarantees
//
//   - Find changes nothing. What it names was there, with our mark and without a Distribution, at two moments.
//   - A request names the objects that it is about by their digest: it does nothing when others are there by then, as when
//     the request itself comes out of an old backup.
//   - What was in the member before us is only released. Each write has what was seen as its precondition.
//
// # Considerations
//
// The caches of a member hold the kinds that Distributions are about; what the hub has forgotten may be of any kind. So
// a look lists all resources of the member, one after the other, metadata only, from the member's watch cache where it
// has one. It costs some seventy small requests, and is taken seldom.
//
// Objects that the member's controllers make after ours and that inherit our label have no template in their marks, or
// a controller, and are not ours. A namespace that we made for others is no leftover either: it goes with the last of
// them.
package orphans
