package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Plan asks what would become of objects if they were applied to the hub now, and nothing is written anywhere. It is
// created and answered, like a SubjectAccessReview, and never stored: there is nothing to get, list or delete.
//
// Whoever asks needs the permission to create plans, and for every object the permissions that applying it would
// need.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=plans,singular=plan
type Plan struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the question.
	Spec PlanSpec `json:"spec,omitempty"`
	// Status is the answer.
	Status PlanStatus `json:"status,omitempty"`
}

// MaxPlanned is how many objects a Plan may ask about.
const MaxPlanned = 1000

// PlanSpec is the question: what, and where.
type PlanSpec struct {
	// Objects are manifests as they would be applied, at most 1000 together with templates. Placements and
	// ClusterPlacements among them hold in the plan, and what is on the hub already and claimed by them is planned, too.
	Objects []runtime.RawExtension `json:"objects,omitempty"`
	// Templates names objects that are on the hub, to be planned as they are.
	Templates []PlannedTemplate `json:"templates,omitempty"`
	// Clusters is a placement in one line, "east=2,west=1", for each of the objects that can travel. It is set as their
	// annotation hanse.io/clusters, as hanse place does. Excludes placement.
	Clusters string `json:"clusters,omitempty"`
	// Placement is to hold for each of the objects that can travel; its resources are not looked at. Excludes clusters.
	Placement *PlacementSpec `json:"placement,omitempty"`
	// DecisionOnly: the members are not asked what would change in them.
	DecisionOnly bool `json:"decisionOnly,omitempty"`
}

// PlannedTemplate names an object on the hub.
type PlannedTemplate struct {
	// APIVersion of the object.
	APIVersion string `json:"apiVersion"`
	// Kind of the object.
	Kind string `json:"kind"`
	// Namespace of the object; empty for cluster-scoped kinds.
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	Name string `json:"name"`
}

// PlanStatus is the answer.
type PlanStatus struct {
	// Objects that were asked about, in their order, then those that are concerned as well: what a placement claims, and
	// what follows a workload.
	Objects []PlannedObject `json:"objects,omitempty"`
	// Notes for people about the plan as a whole.
	Notes []string `json:"notes,omitempty"`
}

// PlannedObject is what would become of one object.
type PlannedObject struct {
	PlannedTemplate `json:",inline"`
	// Concerned: it was not asked about, the plan concerns it all the same.
	Concerned bool `json:"concerned,omitempty"`
	// OnHub is what applying it to the hub would do: Created, Configured, Unchanged, or Failed.
	OnHub Verdict `json:"onHub,omitempty"`
	// Error says why the hub would refuse the object, or why it cannot be planned. All below is then empty.
	Error string `json:"error,omitempty"`
	// Stays says why the object stays on the hub: its kind does not travel, or no placement claims it.
	Stays string `json:"stays,omitempty"`

	// Placement that would decide.
	Placement *PlacementReference `json:"placement,omitempty"`
	// Mode: Divide, Duplicate, One or All; empty for what follows others.
	Mode string `json:"mode,omitempty"`
	// Replicas of the object; absent for kinds without.
	Replicas *int64 `json:"replicas,omitempty"`
	// Clusters that would be chosen, and those that would be left.
	Clusters []PlannedCluster `json:"clusters,omitempty"`
	// Rejected clusters with every reason, the first one first.
	Rejected []PlannedRejection `json:"rejected,omitempty"`
	// Unplaced replicas.
	Unplaced int64 `json:"unplaced,omitempty"`
	// UnplacedReason says why.
	UnplacedReason string `json:"unplacedReason,omitempty"`
	// Surge is how many replicas would exist above the wanted number while some move.
	Surge int64 `json:"surge,omitempty"`
	// Moves is what would be different from the present decision, and why. Empty for a first decision.
	Moves []PlannedMove `json:"moves,omitempty"`
	// FollowedBy names what goes where the object goes, as kind.group/namespace/name.
	FollowedBy []string `json:"followedBy,omitempty"`
	// Paused: nothing would be changed in the members.
	Paused bool `json:"paused,omitempty"`
	// Notes for people.
	Notes []string `json:"notes,omitempty"`
}

// PlannedCluster is one member's part, and what would change there.
type PlannedCluster struct {
	// Name of the member.
	Name string `json:"name"`
	// Leaving: the member has, or had, a copy and is not chosen any more.
	Leaving bool `json:"leaving,omitempty"`
	// Replicas of the member; absent for kinds without.
	Replicas *int64 `json:"replicas,omitempty"`
	// Ideal share as a fraction, by votes alone.
	Ideal string `json:"ideal,omitempty"`
	// Clamps are what holds the replicas away from the ideal share: min, max, capacity, spread, kept, frozen, tier,
	// moving, overflow.
	Clamps []string `json:"clamps,omitempty"`
	// Reason why the member would be chosen.
	Reason string `json:"reason,omitempty"`
	// Message for people.
	Message string `json:"message,omitempty"`

	// Verdict is what would happen in the member, by a dry-run there; empty when it was not asked.
	Verdict Verdict `json:"verdict,omitempty"`
	// VerdictReason is the code of a verdict that is not good.
	VerdictReason string `json:"verdictReason,omitempty"`
	// VerdictMessage is for people.
	VerdictMessage string `json:"verdictMessage,omitempty"`
	// Changes of fields in the member, by path. None for an object that would be created.
	Changes []PlannedChange `json:"changes,omitempty"`
}

// PlannedChange is one field that would be different in a member.
type PlannedChange struct {
	// Op: add, remove or change.
	Op string `json:"op"`
	// Path of the field, as in .spec.template.spec.containers[name="web"].image.
	Path string `json:"path"`
	// From is the value in the member as JSON, cut to a length that a person reads; empty if the object is not ours, or
	// is a Secret.
	From string `json:"from,omitempty"`
	// To is the value after the change; empty if the object is a Secret.
	To string `json:"to,omitempty"`
}

// PlannedRejection is a member that would get nothing.
type PlannedRejection struct {
	// Name of the member.
	Name string `json:"name"`
	// Reasons, the one that decided first.
	Reasons []PlannedReason `json:"reasons"`
}

// PlannedReason is a code and a sentence.
type PlannedReason struct {
	// Reason code.
	Reason string `json:"reason"`
	// Message for people.
	Message string `json:"message,omitempty"`
}

// PlannedMove is one member's difference between two decisions.
type PlannedMove struct {
	// Name of the member.
	Name string `json:"name"`
	// From is what the member had; absent: it had no copy.
	From *int64 `json:"from,omitempty"`
	// To is what the member has; absent: it has no copy.
	To *int64 `json:"to,omitempty"`
	// Reason code.
	Reason string `json:"reason"`
	// Message for people.
	Message string `json:"message,omitempty"`
}

// PlanList is what a list of Plans would be. There is none; clients that are made from types want one.
//
// +kubebuilder:object:root=true
// +kubebuilder:skipversion
type PlanList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Plan `json:"items"`
}
