// Package federation is the list of all reconcilers, in one screen (controllers.go), and what they share.
//
// # Floors
//
//	member/    the connection to one member, and the set of all connections
//	    enroll      join and leave: the hub's account in a member
//	    lifecycle   reconciler: Cluster -> connection, conditions, token renewal
//	    orphans     objects with our marks that no decision accounts for
//	    proxy       a user's requests to one member, through the hub
//	template/  what users applied to the hub
//	    match       which placement a template belongs to
//	    admission   what the hub refuses, and the finalizer of templates
//	    events      Kubernetes Events about decisions and refusals
//	kinds/     what a Kubernetes kind means: replicas, dependencies, health, status; pure
//	    rules       what users and shipped files add about custom kinds (KindRule)
//	    override    an object + rules -> the object for one member; pure
//	decide/    schedule (decisions) and plan (what would be decided)
//	delivery/  propagate, apply, results, collect: to the members and back
//	names/     expose, acks, dnskeys, dynamicupdates: DNS names of what runs
//
// # Guarantees
//
// Reconcilers never call one another. They meet in stored objects, and in memory only through the packages below
// them that hold what is known: template (what users applied), member (the connections) and delivery/results (the
// outcome of each apply). Any of them can be stopped at any time and the others continue.
//
// On a hub with several replicas the reconcilers run where the Lease hanse-system/hanse-controllers is held. What every
// replica needs to serve requests (placements for admission, Distributions for columns, DNS, the proxy to the members)
// runs on all.
//
// # Glossary
//
// Each word means one thing, in code, conditions and documents:
//
//	hub           the control plane that users talk to
//	member        a cluster that joined the hub; a Cluster object on the hub describes it
//	template      a native object that a user stored on the hub
//	placement     a Placement, ClusterPlacement or annotation: which members get a template, and in which shares
//	claim         a placement that matches a template; the claim of the highest rank decides
//	decision      the answer of the engine for one template; a Distribution stores it
//	copy          the object in a member that the hub made from a template
//	apply         one server-side apply of a copy; it ends in a verdict with a reason and a message
//	result        the last verdict about a template in one member
//	drift         a copy that differs from what the hub applied
//	contention    drift that comes back after each repair: somebody else writes the same field
//	conflict      an object of the same name that another owner made
//	adopt         take over an object that existed before
//	orphan        as a verb, leave a copy in place without our marks; as a noun, a copy that no Distribution accounts for
//	drain         lead clients away from a member before its copies are removed
//	fail over     move replicas of a lost member to others
package federation
