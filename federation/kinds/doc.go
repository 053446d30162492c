// Package kinds is what the hub knows of a Kubernetes kind: how its numbers are divided over members, what it
// depends on, which fields belong to the member, when it is healthy, and how the members' statuses add up to the
// template's own.
//
// # Use
//
// Everything hangs on a Rule, looked up by group and kind; an unknown kind gets the generic rule:
//
//	rule := kinds.For(gk)                       // or kinds.Of(obj); package rules adds what was taught
//	rule = rule.WithScale(kinds.Scale{...})     // a custom resource whose scale subresource says where replicas are
//
//	deciding     Mode, Replicas, Numbers, Requests, Dependencies, Follows, Scales
//	propagating  Order, Render
//	collecting   Trim, Observe (= Ready, Health, Reflect), Aggregate
//
// Render makes the object for one member. The caller divides: Replicas by the decision, and each of Numbers (a Job's
// completions, an autoscaler's bounds, a quota's limits …) in the same ratio with the floor that Number gives; both
// come back in a Share. Numbers that the Share does not mention are copied whole, so a Duplicate needs only an empty
// Share.
//
// Aggregate is given the template (with its previous status), what is known of each member, and the present time; it
// returns the whole new .status, or nil when the kind's status is not the members' to write.
//
// # Guarantees
//
// Values in, values out: no client, no clock, no log. Nothing mutates its input, except Trim, which is an informer
// transform and says so. Results that go on (Render, Reflect, Aggregate) share no memory with the input and hold
// only JSON types (int64, float64, string, bool, map, slice, nil). The same input gives the same output, whatever
// the order of the members.
//
// A malformed object (a string where a map belongs) never panics: the field counts as absent, and only Render, whose
// output is written to a cluster, returns an error.
//
// # Considerations
//
// A member that is unknown keeps its last figures: they count, neither as zero nor as fresh. A Deployment's
// Available therefore has three answers: True when the reachable members alone suffice, False when even the last
// figures do not, Unknown between the two.
//
// observedGeneration on the hub advances only when every member has been sent the present template generation and its
// controller has observed it. This is what makes `kubectl rollout status` tell the truth.
//
// A workload under an autoscaler is divided by the autoscaler's least, with one replica in every chosen cluster where
// the most allows it, and the autoscaler's bounds by the exact shares. Afterwards the replica counts are the members',
// and the sum is in the template's status and scale. When the autoscaler goes, what ran is wanted until the template
// names a number.
//
// What goes to exactly one cluster (CronJob, Pod, an Indexed Job) comes to the next one when the last one has let go
// of it, so that reachable clusters never keep one schedule twice. A cluster that cannot be reached is left without
// asking: if it is only cut off, it keeps the schedule until it is back, when its copy is removed. Clocks that differ
// between clusters by more than the hand-over takes can make a run at that very moment happen twice, or not at all.
// Jobs that a CronJob has started go with it.
//
// A Job that fails in one member is to fail (FailureTarget): the others are suspended, and it has Failed when their
// pods have ended. backoffLimit is not divided: each member has the whole, so that a flaky one does not fail the sum
// early.
//
// A Job that has ended never runs again. No member gets a copy that it does not have, whatever made the copy
// disappear, and what a member has done counts when its copy is gone. ttlSecondsAfterFinished stays on the hub, which
// deletes the template then. The completions of a Job cannot change, so they stay where they were given; those of a
// lost member go to one that has no copy yet. Without such a member the Job is not Complete, and its condition
// CompletionsMissing says how many lack.
//
// A CronJob's history is that of the member that has it, and stays behind when the CronJob moves. Its schedule, time
// zone, startingDeadlineSeconds and suspend travel as they are; the new member counts missed runs from the creation
// of its copy, so what was missed on the way is not made up for.
//
// A ResourceQuota divides what pods take. What counts other objects is copied: an object that is counted once on the
// hub is one object in every member that has it; its use is that of the member with the most. The hub refuses new
// objects beyond such a number as any API server does, and counts no pods itself.
//
// A Service of type LoadBalancer has EverywhereIP as its cluster IP on the hub once every member has an address for
// it.
//
// What a member allocates unless the user says it (volumeName, nodeName, clusterIP, nodePort, healthCheckNodePort,
// loadBalancerIP, claimRef, ipFamilies) is sent if the template sets it, and stays the member's if not; the hub
// allocates none of it. A template copied from a running object leaves out what a controller chose there, where the
// object says so.
//
// A number that cannot be divided below one (an autoscaler's bounds, maxSurge) can add up to more than the template
// says when there are more members than units. One too many is a lesser surprise than a member that can never roll.
package kinds
