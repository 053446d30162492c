// Package propagate brings templates into members: template + Distribution.spec -> server-side apply -> verdict.
//
// # Guarantees
//
// Every member has a controller of its own: queue, workers, retries. A member that is slow, cut off or lying holds up
// nobody else. What an apply did is entered in the results; the Distribution's status is written by package collect.
//
// An object that is as it was applied is not touched and not asked for: the revision (a hash of what is to be
// applied) and the fingerprint (of our part of the member's object) tell that from memory, also after a restart of
// the hub, since both are in Distribution.status.
//
// A verdict stands until the member can be asked again, if the decision and the object that it is about are the present
// ones. A hub that restarts, or a member that was away, changes nothing of a conflict, and tells nothing anew.
//
// Nothing is written to a member while it, or the placement, is paused, or the placement only reports; deletions wait,
// too. Drift is undone at once, or told and left, as the placement says. What is held back on purpose is a verdict
// Skipped with the reason, and does not count as applied.
//
// A copy in a member that the decision of its template does not name, as after a member was left by force and joined
// again, is removed.
//
// No ready replica is taken away before its successor is ready. The scheduler moves replicas in steps, but a member that
// was out of reach holds what older decisions gave it. So a member goes down to its share, or loses its copy, when the
// ready replicas that the decision keeps, in members that can be reached, are as many as are wanted; what a copy that
// stays refers to stays with it. That is looked at from the members' own objects, and all members see the same sum, so
// it does not matter which of them goes first. It holds for nothing that must live in one member at a time, and ends
// with the template, or with its placement.
//
// A Distribution is the only reason to write or delete anything. An object in a member that carries our mark but has no
// Distribution is left alone: a hub that was restored from an old backup must not sweep away what it has forgotten. It
// is told of the Cluster (see package orphans).
//
// # Considerations
//
// Order within a member is a priority, not a wait: CustomResourceDefinitions go first and custom resources last, so
// that few applies are refused for want of something that is about to come; what is refused all the same is tried
// again soon. A namespace that is missing is made when the first apply says so, which costs nothing when it is there.
//
// An object whose kind the member does not serve waits for the CustomResourceDefinition that is on its way there, and
// names it.
//
// Drift is undone at once, but who undoes it in turn is not fought: after a few repairs each waits twice as long as the
// one before, up to five minutes, and the verdict names the fields and their other manager (see contention).
//
// Drift that is only reported ends with the next change of what is to be applied: server-side apply sends the whole
// object, and keeping one foreign value and not another would be a third state that nobody asked for. Only what the
// template drops while it has somebody else's value is not ours to remove any more (see package apply).
//
// Replicas that an autoscaler in the member owns are given back as they are found there, so that the hub neither
// fights the autoscaler nor drops the field, which would scale the workload to one. So nothing is applied to such a
// workload before the member's cache has been read: the share that it began with would end what the autoscaler built up.
package propagate
