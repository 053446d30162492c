// Package probescope decides which addresses the hub answers and probes for somebody. It is pure.
//
// A tenant names addresses, ports and paths, and the hub connects to them from where it stands, often behind the firewall
// that keeps the tenant out, and tells whether somebody answers. Without a bound that is a port scanner for everybody who
// may write a GlobalService.
//
// # Guarantees
//
// Nobody gets the hub to connect to itself, to its machine's loopback, to link-local addresses (where clouds keep their
// metadata), to multicast, broadcast or unspecified addresses, whoever names the address and however it is written (an
// IPv4 address inside of an IPv6 one counts as what it is).
//
// Private networks are probed where the address comes from the status that a member gave its own Service, Ingress or
// Gateway; for addresses given by hand they must be in the networks that the administrator of the hub names.
//
// # Considerations
//
// The administrator can also name loopback or link-local networks; whoever writes that means it. The hub's own listeners
// stay out of reach even then.
//
// A check when an object is written is for people, who learn at once what is wrong. The check that counts is the one of
// the address that is about to be dialed, after names have been resolved.
package probescope
