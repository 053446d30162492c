// Package collect tells what became of every decision: the members' objects and the results -> Distribution.status
// -> the template's own .status.
//
// # Guarantees
//
// Collect is the only writer of Distribution.status and of templates' status. A status is written when it differs
// from the stored one, at most once in a while for one object (see pace), and at once when it has been quiet: a
// rollout of a hundred pods is a handful of writes, a single change is there within milliseconds.
//
// A member that cannot be reached is unknown: its last figures stay, marked with the time it was last seen. They
// are neither zero nor fresh.
//
// The condition Progressing is False, with the reason DeadlineExceeded, when nothing came nearer to what was decided
// for as long as the placement permits. A template that no member has any more loses the sum.
//
// # Considerations
//
// While applies of a new decision are under way the status waits for them for a moment, so that the create of an
// object costs one status write and not one a member.
package collect
