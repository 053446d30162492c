package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Plan asks what would happen if objects were applied to the hub now. Nothing is written anywhere. A Plan is created
// and answered like a SubjectAccessReview and never stored, so it cannot be read, listed or deleted.
//
// The caller needs the permission to create plans and, for each object, the permissions that applying it would need.
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

// PlanSpec is the question: which objects, and where.
type PlanSpec struct {
	// Objects lists manifests as they would be applied, at most 1000 together with templates. Placements and
	// ClusterPlacements in the list take part in the plan, and objects on the hub that they match are planned too.
	Objects []runtime.RawExtension `json:"objects,omitempty"`
	// Templates lists objects on the hub that are planned as they are.
	Templates []PlannedTemplate `json:"templates,omitempty"`
	// Clusters is a placement in one line, for example "east=2,west=1". It is set as the annotation hanse.io/clusters
	// of each object that can be placed, as the command hanse place does. It excludes placement.
	Clusters string `json:"clusters,omitempty"`
	// Placement applies to each object that can be placed. Its resources are ignored. It excludes clusters.
	Placement *PlacementSpec `json:"placement,omitempty"`
	// DecisionOnly means that the members are not asked what would change. The default is false.
	DecisionOnly bool `json:"decisionOnly,omitempty"`
}

// PlannedTemplate identifies an object on the hub.
type PlannedTemplate struct {
	// APIVersion of the object.
	APIVersion string `json:"apiVersion"`
	// Kind of the object.
	Kind string `json:"kind"`
	// Namespace of the object. It is empty for cluster-scoped kinds.
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	Name string `json:"name"`
}

// PlanStatus is the answer.
type PlanStatus struct {
	// Objects lists the objects of the question in their order, and then the objects that are affected too: those
	// that a placement matches and those that follow a workload.
	Objects []PlannedObject `json:"objects,omitempty"`
	// Notes lists remarks for people about the plan as a whole.
	Notes []string `json:"notes,omitempty"`
}

// PlannedObject describes what would happen to one object.
type PlannedObject struct {
	PlannedTemplate `json:",inline"`
	// Concerned means that the object is affected although the question does not list it.
	Concerned bool `json:"concerned,omitempty"`
	// OnHub is what applying the object to the hub would do: Created, Configured, Unchanged or Failed.
	OnHub Verdict `json:"onHub,omitempty"`
	// Error explains why the hub would refuse the object or why it cannot be planned. All fields below are then
	// empty.
	Error string `json:"error,omitempty"`
	// Stays explains why the object stays on the hub: its kind is not placed, or no placement matches it.
	Stays string `json:"stays,omitempty"`

	// Placement that would decide.
	Placement *PlacementReference `json:"placement,omitempty"`
	// Mode is Divide, Duplicate, One or All. It is empty for objects that follow others.
	Mode string `json:"mode,omitempty"`
	// Replicas of the object. Kinds without replicas have none.
	Replicas *int64 `json:"replicas,omitempty"`
	// Clusters lists the members that would be chosen and those that would be left.
	Clusters []PlannedCluster `json:"clusters,omitempty"`
	// Rejected lists the members that would not be chosen, with every reason. The first reason decides.
	Rejected []PlannedRejection `json:"rejected,omitempty"`
	// Unplaced is the number of replicas that no member would get.
	Unplaced int64 `json:"unplaced,omitempty"`
	// UnplacedReason explains why replicas would be unplaced.
	UnplacedReason string `json:"unplacedReason,omitempty"`
	// Surge is the number of replicas above the desired count while some move.
	Surge int64 `json:"surge,omitempty"`
	// Moves lists the differences from the current decision and their reasons. It is empty for a first decision.
	Moves []PlannedMove `json:"moves,omitempty"`
	// FollowedBy lists the objects that are placed with this object, as kind.group/namespace/name.
	FollowedBy []string `json:"followedBy,omitempty"`
	// Paused means that nothing would change in the members.
	Paused bool `json:"paused,omitempty"`
	// Notes lists remarks for people.
	Notes []string `json:"notes,omitempty"`
}

// PlannedCluster describes the part of one member and what would change there.
type PlannedCluster struct {
	// Name of the member.
	Name string `json:"name"`
	// Leaving means that the member has, or had, a copy and is not chosen any more.
	Leaving bool `json:"leaving,omitempty"`
	// Replicas that the member would get. Kinds without replicas have none.
	Replicas *int64 `json:"replicas,omitempty"`
	// Ideal is the exact share as a fraction, by votes alone.
	Ideal string `json:"ideal,omitempty"`
	// Clamps lists what keeps the replicas away from the ideal share: min, max, capacity, spread, kept, frozen, tier,
	// moving or overflow.
	Clamps []string `json:"clamps,omitempty"`
	// Reason is a CamelCase word that explains why the member would be chosen.
	Reason string `json:"reason,omitempty"`
	// Message explains the choice to people.
	Message string `json:"message,omitempty"`

	// Verdict is the outcome in the member according to a dry run there. It is empty when the member was not asked.
	Verdict Verdict `json:"verdict,omitempty"`
	// VerdictReason is a CamelCase word that explains a verdict that needs attention.
	VerdictReason string `json:"verdictReason,omitempty"`
	// VerdictMessage explains the verdict to people.
	VerdictMessage string `json:"verdictMessage,omitempty"`
	// Changes lists the fields that would change in the member, by path. An object that would be created has none.
	Changes []PlannedChange `json:"changes,omitempty"`
}

// PlannedChange describes one field that would change in a member.
type PlannedChange struct {
	// Op is add, remove or change.
	Op string `json:"op"`
	// Path of the field, for example .spec.template.spec.containers[name="web"].image.
	Path string `json:"path"`
	// From is the value in the member as JSON, shortened. It is empty when the object is not the hub's or is a
	// Secret.
	From string `json:"from,omitempty"`
	// To is the value after the change as JSON, shortened. It is empty when the object is a Secret.
	To string `json:"to,omitempty"`
}

// PlannedRejection is a member that would get nothing.
type PlannedRejection struct {
	// Name of the member.
	Name string `json:"name"`
	// Reasons lists why. The first one decides.
	Reasons []PlannedReason `json:"reasons"`
}

// PlannedReason is a reason code with its explanation.
type PlannedReason struct {
	// Reason is a CamelCase word.
	Reason string `json:"reason"`
	// Message explains the reason to people.
	Message string `json:"message,omitempty"`
}

// PlannedMove is the difference between two decisions for one member.
type PlannedMove struct {
	// Name of the member.
	Name string `json:"name"`
	// From is the number of replicas before. It is absent when the member had no copy.
	From *int64 `json:"from,omitempty"`
	// To is the number of replicas after. It is absent when the member has no copy.
	To *int64 `json:"to,omitempty"`
	// Reason is a CamelCase word that explains the change.
	Reason string `json:"reason"`
	// Message explains the change to people.
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
