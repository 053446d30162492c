package v1alpha1

// Labels, annotations and finalizers of Hanse. The first group is for users, on templates of the hub; the second
// marks what the hub makes in a member.
const (
	// ClustersAnnotation on a native object of the hub is the placement in one line: "east=2,west=1", "*=1" or
	// "(env=prod)=1".
	ClustersAnnotation = "hanse.io/clusters"
	// ReplicasAnnotation on a native object of the hub is "Divide" or "Duplicate".
	ReplicasAnnotation = "hanse.io/replicas"
	// OnConflictAnnotation on a native object of the hub is "Fail", "Adopt" or "Overwrite".
	OnConflictAnnotation = "hanse.io/on-conflict"
	// OnImmutableAnnotation on a native object of the hub is "Fail" or "Recreate".
	OnImmutableAnnotation = "hanse.io/on-immutable"
	// DriftAnnotation on a native object of the hub is "Repair" or "Report".
	DriftAnnotation = "hanse.io/drift"
	// OnDeleteAnnotation on a native object of the hub is "Delete" or "Orphan".
	OnDeleteAnnotation = "hanse.io/on-delete"
	// LeftoversAnnotation on a Cluster says what is done with its leftovers, once: "Remove/DIGEST" or "Release/DIGEST", with
	// the digest in its status.
	LeftoversAnnotation = "hanse.io/leftovers"
	// FollowDefaultZone on a GlobalService without hostnames is "true" if its name may move when another Zone becomes the
	// default one.
	FollowDefaultZone = "hanse.io/follow-default-zone"

	// ClaimedNamesAnnotation on an object that asks for DNS names lists those that its author had the right to claim, as
	// NAME@ZONE with commas between. The hub alone writes it: what anybody else writes there is replaced.
	ClaimedNamesAnnotation = "hanse.io/claimed-names"
	// AuthorAnnotation on a placement, or on an object with ClustersAnnotation, says in whose name clusters are chosen for
	// it, as JSON. The hub alone writes it: what anybody else writes there is replaced.
	AuthorAnnotation = "hanse.io/placed-by"

	// HubLabel on an object of a member names the hub that made it, by the UID of the hub's kube-system namespace.
	HubLabel = "hanse.io/hub"
	// TemplateAnnotation on an object of a member is the UID of the template it was made from.
	TemplateAnnotation = "hanse.io/template"
	// RevisionAnnotation on an object of a member is the hash of what was applied last.
	RevisionAnnotation = "hanse.io/revision"

	// CopiesFinalizer keeps a template on the hub until its copies have left the members.
	CopiesFinalizer = "hanse.io/copies"
	// MembershipFinalizer keeps a Cluster on the hub until nothing of ours is left in the member.
	MembershipFinalizer = "hanse.io/membership"

	// Prefix starts every label and annotation of Hanse; those on a template are not sent to members.
	Prefix = "hanse.io/"

	// SystemNamespace holds the hub's own objects (credentials of members, distributions of cluster-scoped
	// templates) on the hub, and the hub's account in a member.
	SystemNamespace = "hanse-system"

	// FieldManager is the server-side apply manager that owns what templates set in members.
	FieldManager = "hanse"
)
