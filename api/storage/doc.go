// Package storage keeps everything the hub knows in etcd: it runs the embedded etcd server or talks to an external one,
// and builds the store of every kind on top of it.
//
// # Jobs
//
//   - [OpenEmbedded] runs an etcd of one member inside this process, under one data directory.
//   - [OpenExternal] connects to an etcd cluster that somebody else runs; several hubs may share it.
//   - [Etcd.NewStore] makes the store of one kind: strategy, watch cache, etcd keys. The verbs themselves are
//     k8s.io/apiserver's generic registry.
//   - [Etcd.Snapshot] and [Restore] are backup and restore, [Etcd.Health] is what readiness asks.
//
// # Guarantees
//
//   - A write that was answered is in etcd's log, synced to disk.
//   - A data directory belongs to one process at a time and to one layout version; anything else is refused before a
//     byte is written.
//   - There is one etcd client for all kinds, never one a kind.
//
// # Considerations
//
// The embedded server is reached by function calls, not through its socket: no TLS, no gRPC, no port. The socket is
// there for etcdctl only and lies in a directory that nobody but the owner can enter.
//
// Watch caches of all kinds start at once when their store is made. Idle caches are cheap, and a first request that has
// to wait for a cache is not.
package storage
