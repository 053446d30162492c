// Package schedule decides where templates go: template + placement + clusters -> Distribution.spec.
//
// A reconcile gathers facts from caches without a single request, asks the pure engine (package placement), and
// writes the Distribution only when the decision differs from the stored one.
//
// # Guarantees
//
// Schedule is the only writer of Distribution.spec, and the only one that makes and removes Distributions and the
// finalizer hanse.io/copies. A member that was chosen once is named in spec.clusters or spec.leaving until the status
// says that its copy is gone, so no copy is ever forgotten, whenever the hub is killed. A template goes, and its
// Distribution with it, when nothing is wanted and nothing is left.
//
// A Distribution carries the finalizer itself: when a namespace of the hub is deleted, it is emptied kind by kind in
// any order, and a decision that went before its template would leave every copy behind. One that somebody deletes by
// hand stays in use, marked as being deleted, until its template is placed nowhere.
//
// # Considerations
//
// Dependencies are templates like all others: what a workload refers to gets a Distribution of its own, with the
// union of the clusters of all that refer to it (and of its own placement, if it has one), and leaves a member with
// the last of them. The Distribution of the workload names what it needs in spec.followedBy, which is also the index.
//
// What a change of a Cluster concerns is found, not searched: a member that is lost, cordoned or tainted concerns the
// templates whose Distributions name it (an index), and those whose placement has an expression over such facts; other
// free room concerns those with replicas that found none, and those that may move at any time and go by room. Other
// labels, regions and zones, and members that come and go, concern all: any placement may choose them now.
//
// Free room is a fact of the past, and the sum over a member's nodes: more may be promised than one node can hold. What
// the member's scheduler finds no node for comes back as ClusterOutcome.unschedulable, and goes elsewhere.
//
// How long a member has been out of reach is counted as far as it was looked at (see package sight): a hub that was cut
// off, paused or restarted judges anew. What runs in a member that has returned, and may get its share back, is a fact
// like any other replica, so it is moved and never removed first.
//
// Facts come through a View, so that a plan (package plan) decides by the same code over what would be.
//
// Facts about a member are those that its Cluster's status holds, not those of the connection: the same on every
// replica of the hub, and there before the first connection is.
package schedule
