// Package names is the floor that turns what runs in the members into DNS names; it holds no code of its own.
//
//	expose          reconciler: Zones, GlobalServices and Distributions -> the snapshot that the DNS servers answer
//	acks            how each DNS server reports which snapshot it answers, so that a drain can wait for it
//	dnskeys         the DNSSEC keys of a Zone, and how they are rolled over
//	probescope      which addresses the hub answers and probes for somebody; pure
//	admission       what users write about names, checked before it is stored
//	dynamicupdates  what RFC 2136 updates added to a Zone, and where it is stored
package names
