// Package wire reads queries and writes responses in DNS wire format (RFC 1035 section 4), and holds names in that
// form.
//
// Parse takes a packet from anybody and says in one pass, without allocating, what is asked or how the packet must be
// refused. Writer puts a response together with name compression. Both are pure functions of their input.
//
// Guarantees:
//   - Parse never reads outside its input, never follows a compression pointer in a question, and ends after a number
//     of steps that the length of the packet bounds.
//   - A Writer never writes past its limit: a record set goes in whole or not at all (RFC 2181 section 9).
//
// Considerations: the codec of github.com/miekg/dns is used where records are parsed from text (package zone) and as
// the oracle of the tests. It is not used for queries, because it lets pass what must be refused (counts with nothing
// behind them, a second OPT, an OPT with an owner name) and allocates for everything it reads.
package wire
