// Package sight judges how far the hub can rely on what it sees of its members: whether the members are gone, or the hub
// itself was cut off, stopped, or misled by its clock.
//
// # Guarantees
//
// A member counts as out of reach from the start of the present view at the earliest. The view begins anew when the hub
// begins to act, when a member answers again after many were out of reach, when the process was not running for a while
// (SIGSTOP, a paused virtual machine), and when the wall clock has jumped against the monotonic one (a clock that was
// set, a machine that was suspended). What happened while nobody looked is judged from then on, from what the members say
// when they answer.
//
// When all members are out of reach, none counts as lost. When at least two, and a share of them that a flag sets, are
// out of reach, their replicas move in steps. This is what the node lifecycle controller of Kubernetes does with nodes.
//
// Look never relies on the clock tick that Run makes: a decision that is taken right after a pause notices the pause
// itself.
//
// # Considerations
//
// The view lives in memory. It is about what this process has seen: another hub that takes over has seen nothing yet, and
// what is stored about a member is what its predecessor saw.
//
// A single member that goes is a loss when it is gone long enough. To tell it from the first sign of an uplink that is
// cut, all other members are probed at once when one stops answering, so that they are known to be away, too, before the
// patience with the first has ended.
package sight
