// Package enroll makes a cluster a member of a hub and ends it: the account of the hub in the member, its token, and
// the Cluster and Secret on the hub.
//
//	Join         both sides, with an administrator's access to the member; what hanse join does
//	RotateToken  a new token before the old one ends; the hub does it, with the account itself
//	Withdraw     takes the account out of the member; the hub does it when a Cluster is deleted
//	Connection   how to reach a member, from what Join stored; what the hub does
//	Unjoin       deletes the Cluster and waits for the hub; what hanse unjoin does
//
//
//	ClusterRole         hanse-hub                what the hub may do (see Rules), and whose member this is
//	ClusterRoleBinding  hanse-hub                gives it to the account
//	Namespace           hanse-system             unless it was there before
//	ServiceAccount      hanse-system/hanse-hub   the account
//	Role, RoleBinding   hanse-system/hanse-hub   lets the account renew its own token, and no other's
//
// The ClusterRole is made first and owns the rest, so the member's garbage collector removes the rest when it goes.
// An administrator of the member can always end the membership with one command: kubectl delete clusterrole
// hanse-hub. Creating it is also what decides when two hubs join the same cluster at the same moment: one of them
// gets "already exists".
//
//   - Join checks all that it can before it writes anything, and names all permissions that are missing at once.
//   - A Join that fails, or is cancelled, undoes its steps in reverse order. If undoing fails as well, the error lists
//     what is left, and where.
//   - Nothing that was there before and is not ours is changed or deleted.
//   - No token is ever part of an error or a progress line.
//
// The mark is an annotation and not the label hanse.io/hub: that label means "made from a template", and what carries
// it without a template is pruned.
//
// The role has neither escalate nor bind. The hub can therefore place Roles and bindings that grant at most what it
// may do itself; more needs ClusterAdmin or APIGroups. An account that may write pods and read Secrets everywhere is
// powerful all the same: whoever may write templates on the hub should be trusted accordingly.
//
// The role has no impersonation either, so nobody can use the member through the hub before Impersonate says who. All
// is the same as ClusterAdmin for whoever controls the hub, since it includes the group system:masters; named users and
// groups give the hub what these have in the member, and no more.
//
// RotateToken leaves the old token valid until its own end. Kubernetes cannot revoke a token without deleting the
// account, and deleting it would cut off the hub in the middle of its work.
package enroll
