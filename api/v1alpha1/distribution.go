package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Distribution is the stored decision for one template, and what became of it in each member. It is named after
// its template (see DistributionName), lives beside it (that of a cluster-scoped template in hanse-system), and
// is written by the hub only.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=dist,categories=hanse
// +kubebuilder:printcolumn:name=Kind,type=string,JSONPath=`.spec.template.kind`
// +kubebuilder:printcolumn:name=Name,type=string,JSONPath=`.spec.template.name`
// +kubebuilder:printcolumn:name=Clusters,type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name=Applied,type=string,JSONPath=`.status.conditions[?(@.type=="Applied")].status`
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name=Unplaced,type=integer,JSONPath=`.spec.unplaced`
// +kubebuilder:printcolumn:name=Progress,type=string,JSONPath=`.status.conditions[?(@.type=="Progressing")].reason`
// +kubebuilder:printcolumn:name=Placement,type=string,priority=1,JSONPath=`.spec.placement.name`
// +kubebuilder:printcolumn:name=Trouble,type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Applied")].message`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type Distribution struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the decision.
	Spec DistributionSpec `json:"spec,omitempty"`
	// Status is what became of it.
	Status DistributionStatus `json:"status,omitempty"`
}

// TemplateReference names a template.
type TemplateReference struct {
	// APIVersion of the template.
	APIVersion string `json:"apiVersion"`
	// Kind of the template.
	Kind string `json:"kind"`
	// Name of the template; its namespace is the Distribution's, or none for cluster-scoped kinds.
	Name string `json:"name"`
	// Namespace of the template; empty for cluster-scoped kinds.
	Namespace string `json:"namespace,omitempty"`
	// UID of the template.
	UID types.UID `json:"uid"`
}

// PlacementReference names what claimed the template: a Placement, a ClusterPlacement, the annotation of the
// template itself, or (kind Dependency) the workloads that it follows.
type PlacementReference struct {
	// Kind: Placement, ClusterPlacement, Annotation or Dependency.
	Kind string `json:"kind"`
	// Name of the placement, or of the workload that is followed.
	Name string `json:"name,omitempty"`
	// Generation of the placement that was used.
	Generation int64 `json:"generation,omitempty"`
	// Terms is a hash of what the placement says of clusters and shares: when it changes, replicas move to the new
	// shares.
	Terms string `json:"terms,omitempty"`
}

// DistributionSpec is the decision for one template.
type DistributionSpec struct {
	// Template that was decided on.
	Template TemplateReference `json:"template"`
	// Placement that claimed it.
	Placement PlacementReference `json:"placement"`
	// Replicas of the template that were divided; absent for kinds without.
	Replicas *int64 `json:"replicas,omitempty"`
	// Autoscaled: autoscalers own the replica count in the members. Replicas is what they begin with.
	Autoscaled bool `json:"autoscaled,omitempty"`
	// KeptReplicas ran when the autoscaler went; they are wanted as long as the template names no number.
	KeptReplicas *int64 `json:"keptReplicas,omitempty"`
	// Clusters that were chosen.
	// +listType=map
	// +listMapKey=name
	Clusters []DistributionCluster `json:"clusters,omitempty"`
	// Kept: the placement means clusters that do not exist and has no other place for the object. The clusters with the
	// reason Kept hold on to their copies until it has.
	Kept bool `json:"kept,omitempty"`
	// Surge is how many replicas exist above the wanted number while some move: the new ones start before the old go.
	Surge int64 `json:"surge,omitempty"`
	// Moving: the shares that the placement asks for have changed, and replicas are on their way to them.
	Moving bool `json:"moving,omitempty"`
	// Leaving names members that were chosen before and may still hold a copy; each stays until its copy is gone.
	// +listType=set
	Leaving []string `json:"leaving,omitempty"`
	// LeavingOrdinals are the blocks of a StatefulSet's ordinals that leaving members may still use; nobody else gets them.
	// +listType=map
	// +listMapKey=name
	LeavingOrdinals []OrdinalBlock `json:"leavingOrdinals,omitempty"`
	// Away names members that lost their replicas by failover and have not got their share back.
	// +listType=set
	Away []string `json:"away,omitempty"`
	// Unplaced replicas, with the reason in the condition Scheduled.
	Unplaced int64 `json:"unplaced,omitempty"`
	// UnplacedReason says why replicas are unplaced.
	UnplacedReason string `json:"unplacedReason,omitempty"`
	// Rejected members with the reason.
	// +listType=map
	// +listMapKey=name
	Rejected []RejectedCluster `json:"rejected,omitempty"`
	// Notes for people: named members that have not joined, selectors that match nothing, contested claims.
	Notes []string `json:"notes,omitempty"`
	// Contested names younger placements of the same rank that claim the template as well and are ignored.
	Contested []PlacementReference `json:"contested,omitempty"`
	// OnConflict as the placement says.
	OnConflict OnConflict `json:"onConflict,omitempty"`
	// OnDelete as the placement says.
	OnDelete OnDelete `json:"onDelete,omitempty"`
	// OnImmutable as the placement says.
	OnImmutable OnImmutable `json:"onImmutable,omitempty"`
	// Drift as the placement says.
	Drift Drift `json:"drift,omitempty"`
	// IgnoreFields as the placement says.
	// +listType=set
	IgnoreFields []string `json:"ignoreFields,omitempty"`
	// Paused as the placement says.
	Paused bool `json:"paused,omitempty"`
	// ReportOnly as the placement says.
	ReportOnly bool `json:"reportOnly,omitempty"`
	// ProgressDeadline as the placement says.
	ProgressDeadline *metav1.Duration `json:"progressDeadline,omitempty"`
	// FollowedBy names the dependencies that go where this template goes, as kind.group/name.
	FollowedBy []string `json:"followedBy,omitempty"`
	// LastChange is what the newest decision that changed replicas or members changed, and why. Absent as long as the
	// first decision holds.
	LastChange *DecisionChange `json:"lastChange,omitempty"`
}

// OrdinalBlock is a range of ordinals that belongs to one member.
type OrdinalBlock struct {
	// Name of the member.
	Name string `json:"name"`
	// Start is the first ordinal.
	Start int32 `json:"start"`
	// Width is how many there are.
	Width int32 `json:"width"`
}

// DecisionChange is the difference between two decisions.
type DecisionChange struct {
	// Time of the newer decision.
	Time metav1.Time `json:"time"`
	// Moves of the members concerned.
	// +listType=map
	// +listMapKey=name
	Moves []PlannedMove `json:"moves"`
}

// DistributionCluster is one member's part.
type DistributionCluster struct {
	// Name of the member.
	Name string `json:"name"`
	// Replicas of the member; absent for kinds without.
	Replicas *int64 `json:"replicas,omitempty"`
	// Moving is how many replicas are still to come to this member, or below zero to leave it, before the move under way
	// is done. The default 0 means that the member takes part in no move.
	Moving int64 `json:"moving,omitempty"`
	// OrdinalStart of a StatefulSet's pods in this member, stable for the life of the share.
	OrdinalStart *int32 `json:"ordinalStart,omitempty"`
	// OrdinalWidth is how many ordinals from OrdinalStart on belong to this member.
	OrdinalWidth *int32 `json:"ordinalWidth,omitempty"`
	// Numbers are other figures of the template divided for this member, by path.
	Numbers map[string]int64 `json:"numbers,omitempty"`
	// Ideal share as a fraction, for example 36/6.
	Ideal string `json:"ideal,omitempty"`
	// Reason why the member was chosen.
	Reason string `json:"reason,omitempty"`
	// Message for people.
	Message string `json:"message,omitempty"`
}

// RejectedCluster is a member that was not chosen.
type RejectedCluster struct {
	// Name of the member.
	Name string `json:"name"`
	// Reason code.
	Reason string `json:"reason"`
	// Message for people.
	Message string `json:"message,omitempty"`
}

// Verdict says what one apply did.
// +kubebuilder:validation:Enum=Created;Configured;Unchanged;Conflict;Failed;Pending;Skipped;Deleted
type Verdict string

const (
	// VerdictCreated: the object was not there and was created.
	VerdictCreated Verdict = "Created"
	// VerdictConfigured: the object was there and was changed.
	VerdictConfigured Verdict = "Configured"
	// VerdictUnchanged: the object was there and already as wanted.
	VerdictUnchanged Verdict = "Unchanged"
	// VerdictConflict: another owner has the object or one of its fields. Nothing was changed.
	VerdictConflict Verdict = "Conflict"
	// VerdictFailed: the member refused the request or could not be asked.
	VerdictFailed Verdict = "Failed"
	// VerdictPending: the apply waits for something and is not finished.
	VerdictPending Verdict = "Pending"
	// VerdictSkipped: the object was left alone on purpose.
	VerdictSkipped Verdict = "Skipped"
	// VerdictDeleted: the object is not there, or not any more.
	VerdictDeleted Verdict = "Deleted"
)

// DistributionStatus is what became of a decision.
type DistributionStatus struct {
	// ObservedGeneration is the generation of the decision that this status speaks of.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// TemplateGeneration is the generation of the template that this status speaks of.
	TemplateGeneration int64 `json:"templateGeneration,omitempty"`
	// Conditions: Scheduled, Applied, Ready, Progressing.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// LastProgress is when something last came nearer to what was decided; absent when all is applied and ready. The
	// placement's progressDeadline counts from it.
	LastProgress *metav1.Time `json:"lastProgress,omitempty"`
	// Summary for people: "east=4/4,west=2/2".
	Summary string `json:"summary,omitempty"`
	// Clusters: what each member has, those that are being left included.
	// +listType=map
	// +listMapKey=name
	Clusters []ClusterOutcome `json:"clusters,omitempty"`
	// StatusesCut is how many members' objects have a status that is too big to be stored beside the others; it is left
	// out below, and counts in the totals all the same.
	StatusesCut int32 `json:"statusesCut,omitempty"`
	// Desired and Ready are the totals over the members.
	Desired int64 `json:"desired,omitempty"`
	// Ready total.
	Ready int64 `json:"ready,omitempty"`
}

// ClusterOutcome is what became of a template in one member.
type ClusterOutcome struct {
	// Name of the member.
	Name string `json:"name"`
	// Verdict of the last apply.
	Verdict Verdict `json:"verdict,omitempty"`
	// Reason code of a verdict that is not good.
	Reason string `json:"reason,omitempty"`
	// Message for people.
	Message string `json:"message,omitempty"`
	// Revision (hash) of what was applied last.
	Revision string `json:"revision,omitempty"`
	// TemplateGeneration that was applied last.
	TemplateGeneration int64 `json:"templateGeneration,omitempty"`
	// Fingerprint of our part of the member's object right after the apply.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Desired replicas in the member; absent for kinds without.
	Desired *int64 `json:"desired,omitempty"`
	// Ready replicas in the member; absent for kinds without.
	Ready *int64 `json:"ready,omitempty"`
	// Unschedulable is how many of the replicas that are not ready the member has found no node for, for a while.
	Unschedulable int64 `json:"unschedulable,omitempty"`
	// Health: Healthy, Progressing, Degraded or Unknown.
	Health string `json:"health,omitempty"`
	// HealthMessage for people.
	HealthMessage string `json:"healthMessage,omitempty"`
	// Unknown: the member cannot be reached; the figures are those of LastSeen.
	Unknown bool `json:"unknown,omitempty"`
	// LastSeen is when the member last answered; set while Unknown.
	LastSeen *metav1.Time `json:"lastSeen,omitempty"`
	// Generation of the member's object, while the member's own controller has not seen it yet.
	Generation int64 `json:"generation,omitempty"`
	// Status of the member's object, trimmed.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	Status *runtime.RawExtension `json:"status,omitempty"`
}

// DistributionList is a list of Distributions.
//
// +kubebuilder:object:root=true
type DistributionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Distribution `json:"items"`
}
