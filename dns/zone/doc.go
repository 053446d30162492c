// Package zone holds what the DNS server knows: immutable snapshots of zones, names to record sets.
//
// A Config of plain values is validated and compiled by Build into a Snapshot; a Store publishes snapshots by one
// atomic swap, so a reader never waits and never sees half a change. Update compiles only the names that changed and
// shares everything else.
//
// Guarantees:
//   - A Snapshot never changes after it was built; any number of goroutines read it without a lock.
//   - Nothing is published that breaks a rule of the DNS: a bad Config is refused as a whole, with every error naming
//     its field.
//   - A name that has data below it exists (an empty non-terminal, RFC 8020), and so does every service, with or
//     without addresses.
//   - The serial never goes backwards (RFC 1982).
//
// It is pure: no clock, no goroutine, no log. Save and Load turn a Config into a checksummed file and back.
package zone
