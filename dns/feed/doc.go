// Package feed carries snapshots over HTTP, from whoever makes them to DNS servers that run elsewhere.
//
// Serve is the side of the maker: one response that does not end, of JSON messages, a line each. The first has the
// whole configuration, the ones after it the changed names, or the whole again when more than names have changed; one
// without either says every few seconds that nothing has. Follow is the other side: it fills a store.
//
// Guarantees:
//   - Whoever follows has, after every message, the configuration that the maker had at that serial.
//   - A message that cannot be applied, a silence or an end of the stream never takes away what is served already: the
//     follower asks again, and gets the whole.
//   - Serials in the follower's store only grow, also when it comes to a maker whose serials are lower (another replica,
//     or one that was restored from a backup): then its own go on from where they were. What is acknowledged is the
//     maker's serial.
//
// Considerations: a follower that comes back is sent everything, although it may have nearly everything. Two makers can
// give one serial to different contents while one of them has not seen a change yet, and a copy that is wrong in one
// name for ever is worse than a few megabytes more after an interruption. A follower that is slow skips versions: it is
// sent the difference to the newest.
package feed
