// Package server is the hub's API: a Kubernetes API server made of k8s.io/apiserver's handlers behind gin.
//
// # Jobs
//
//   - [New] joins stores, handlers and filters, seeds namespaces and CRDs and waits until all caches are filled.
//   - [Server.Run] serves a listener until its context ends, and drains.
//   - /clusters/<name>/… is authorized as the resource clusters/proxy and handed to [Config.Members].
//   - [Server.Loopback] is a client of the same API inside the process, for the hub's controllers.
//
// routes.go is the whole route table; kinds.go and the embedded zz_ files say which native kinds there are; our kinds
// and those of users are CustomResourceDefinitions.
//
// # Guarantees
//
//   - Every verb is the library's: get, list, watch, create, update, all patches, server-side apply, delete, dry run,
//     field validation, tables, pagination. None is written here.
//   - A write that was answered is in etcd, synced.
//   - Loopback works as soon as New has returned, before the listener takes its first connection.
//   - New returns with everything served, or with an error that names the step that failed.
//   - Bad input gets a Status that names the field; nothing of it is stored.
//
// # Considerations
//
// Native kinds have Go types: typed clients send protobuf, kubectl sends strategic merge patches, and both need them.
// An object is stored in the one version it is served in, so a write converts nothing; the two kinds that are served in
// two versions (HorizontalPodAutoscaler, Event) convert on the way in and out.
//
// Objects are stored as their users wrote them, without the defaults a cluster would add: a template must not say more
// than its user did, or members of another version could not have defaults of their own. They are served with them, as
// kubectl and all other clients expect, and what clients write back is stored without them again (served.go; api/native
// has the reasons). The watch cache, [Records], [Server.Store] and [Server.StoredLoopback] see them as stored.
//
// A new CRD is established in the write that creates it, when etcd is embedded and its names are free; see
// definitionCreate.
//
// Loopback calls handlers directly. It has no authentication of its own (whoever holds it is the hub), passes through
// all other filters, and can impersonate.
//
// Admission webhooks and admission policies are templates for the members; the hub does not run them.
package server
