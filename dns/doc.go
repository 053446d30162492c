// Package dns holds Hanse's authoritative DNS server: a tree of packages that know neither Kubernetes nor the
// federation.
//
// A query's way through it:
//
//	packet ──► server ──► wire.Parse ──► answer.Resolve ──► wire.Writer ──► packet
//	                                        │     ▲
//	                              zone.Snapshot   └── zone.Balanced.Draw (planned by balance)
//	                                        ▲
//	            zone.Config ──► zone.Build ─┘   published by one atomic swap of a zone.Store
//
// Between Resolve and Writer an answer of a signed zone gets its signatures (package sign), if the client asks for them.
//
// wire, balance, zone and answer are pure: values in, values out. Only server has sockets, goroutines and a clock.
package dns
