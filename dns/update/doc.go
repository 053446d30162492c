// Package update carries out DNS UPDATE messages (RFC 2136) on the records that others may write into a zone.
//
// Apply takes a message whose signature has been checked, the zone as it is served, and the records that earlier messages
// have written; it gives the records after it. It is pure. All of a message is carried out, or nothing.
//
// What the zone itself says (its records, name servers and services) can be asked about by prerequisites, but not
// changed: a message that tries to is refused. Removing what is not there is no error, as RFC 2136 section 3.4.2 has it,
// so a name can be removed "whole": what others may write there goes.
package update
