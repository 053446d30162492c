// Package plan says what would become of objects if they were applied to the hub now: it answers the kind Plan.
//
// A plan goes the way that the objects would go, without the writes: each object is applied to the hub as a dry-run,
// in the name of the caller (so the hub's own rules of access, defaulting and validation hold, and what comes back is
// the template that would be stored); then the decisions are taken by the very code of package schedule, over a View
// that lays the plan over the hub's caches; then every member that is concerned is asked, by a server-side dry-run of
// the very object that package propagate would send, what would change.
//
// # Guarantees
//
// Nothing is written, on the hub or in a member. A caller learns nothing of objects that they could not read or
// write: what is asked about needs the permission to apply it, and what is concerned as well (because a placement in
// the plan claims it, or since it goes where an object of the plan goes) is read in the name of the caller, and what they
// may not read is not shown. Values are shown of objects that are the hub's own and that the caller may read; those of
// Secrets never.
//
// A member that cannot be asked spoils only its own line.
//
// # Considerations
//
// A plan is a question about this moment. Between plan and apply, members may fill up or go away.
//
// What is decided depends on what else is in the plan: a ConfigMap follows the Deployment that refers to it. So all
// decisions are taken again until none changes any more, which mostly is the second round.
//
// The plan works for the field manager of "hanse place" and takes fields over from other tools, as "kubectl apply
// --server-side --force-conflicts" does. Fields that another tool set and the manifest does not name stay.
//
// A namespace that is not there yet cannot be asked about an object in it, neither on the hub nor in a member. Then
// the manifest is planned as it is, and the answer says so.
//
// Why not a resource with a store: an answer is out of date when it is read, and would keep copies of Secrets. Why in
// the API server and not in the command line: only the hub has the connections to the members.
//
// Only the replica of the hub that holds the Lease has those connections; another one answers 503 and says so.
package plan
