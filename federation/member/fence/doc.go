// Package fence sees to it that one hub at a time writes to members.
//
// # Guarantees
//
// A hub with several replicas acts where the Lease hanse-system/hanse-controllers is held. Directly before each write to a
// member the acting hub checks that the Lease surely is its own: less time has passed since the begin of the last request
// that renewed it than the others wait, by the monotonic clock and by the wall clock, with a margin. So a process that was
// paused, or a machine that was suspended, writes nothing when it goes on, although it has not yet read anything.
//
// A hub that reads another name in the Lease stops at once and for good: its term is over, all that it runs ends, and it
// waits for the Lease with a new set of reconcilers. One that is told to end stops writing before it gives the Lease back,
// so that the next one begins at once.
//
// # Considerations
//
// The check is made in the transport of the connection to a member, below every client, so nothing that writes can
// forget it. Requests of users that go through the hub are not the hub's own writes and are not checked.
package fence
