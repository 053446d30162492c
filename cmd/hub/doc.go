// Package hub is the composition root: the one place that builds all parts of a hub and joins them. It is an ordinary
// package, so tests and the demo start the very same hub as `hanse hub`.
//
//	New    opens the state, binds the ports, builds everything, and fails early and clearly
//	Run    serves until the context ends, then drains
//	Close  gives back what New took
//
// # Guarantees
//
// New leaves nothing behind when it fails. A port that is in use and a data directory that another hub has open are
// errors that say so. Run ends only when the context does, or when a part that the hub cannot do without has ended.
//
// # Considerations
//
// The order of New is that of need: etcd, certificates, API, then the reconcilers through the API's in-process
// loopback, and DNS last, which serves SERVFAIL until the first snapshot. Nothing but this package knows all parts.
package hub
