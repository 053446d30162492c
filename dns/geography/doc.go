// Package geography places addresses by a database in the MaxMind format (MMDB), which the operator supplies: for
// names with the Nearest policy.
//
// A record's "region" (a text, as databases that operators make themselves have it) is taken as the name of a region;
// without one, "location" with "latitude" and "longitude" is, as in the City databases of several vendors.
//
// Guarantees: a database that cannot be read whole is refused when it is opened; an address that a record says nothing
// of is of unknown place, and never an error.
//
// Considerations: the file is mapped into memory and read as it is, so a newer one must replace it by a rename and is
// used after the next start. No database comes with this program: they are neither ours nor ever up to date.
package geography
