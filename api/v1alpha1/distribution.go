package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Distribution is the stored decision for one template and its outcome in each member. Its name derives from the
// template. It is in the namespace of the template, or in hanse-system for cluster-scoped templates. Only the hub
// writes it.
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
	// Status reports the outcome of the decision in each member.
	Status DistributionStatus `json:"status,omitempty"`
}

// TemplateReference identifies a template.
type TemplateReference struct {
	// APIVersion of the template.
	APIVersion string `json:"apiVersion"`
	// Kind of the template.
	Kind string `json:"kind"`
	// Name of the template.
	Name string `json:"name"`
	// Namespace of the template. It is empty for cluster-scoped kinds.
	Namespace string `json:"namespace,omitempty"`
	// UID of the template.
	UID types.UID `json:"uid"`
}

// PlacementReference identifies what decides about a template: a Placement, a ClusterPlacement, the annotation of the
// template itself, or (kind Dependency) the workloads that the template follows.
type PlacementReference struct {
	// Kind is Placement, ClusterPlacement, Annotation or Dependency.
	Kind string `json:"kind"`
	// Name of the placement, or of the workload that the template follows.
	Name string `json:"name,omitempty"`
	// Generation of the placement that the decision used.
	Generation int64 `json:"generation,omitempty"`
	// Terms is a hash of the clusters and shares of the placement. When it changes, replicas move to the new shares.
	Terms string `json:"terms,omitempty"`
}

// DistributionSpec is the decision for one template.
type DistributionSpec struct {
	// Template that the decision is about.
	Template TemplateReference `json:"template"`
	// Placement that the decision follows.
	Placement PlacementReference `json:"placement"`
	// Replicas of the template that were divided. Kinds without replicas have none.
	Replicas *int64 `json:"replicas,omitempty"`
	// Autoscaled means that autoscalers own the replica count in the members. Replicas is then the count to begin
	// with.
	Autoscaled bool `json:"autoscaled,omitempty"`
	// KeptReplicas is the replica count when the autoscaler was removed. It holds while the template names no count.
	KeptReplicas *int64 `json:"keptReplicas,omitempty"`
	// Clusters lists the chosen members.
	// +listType=map
	// +listMapKey=name
	Clusters []DistributionCluster `json:"clusters,omitempty"`
	// Kept: the placement means clusters that do not exist and has no other place for the object. The clusters with the
	// reason Kept hold on to their copies until it has.
	Kept bool `json:"kept,omitempty"`
	// Surge is the number of replicas above the desired count while some move: the new ones start before the old ones
	// stop.
	Surge int64 `json:"surge,omitempty"`
	// Moving means that the shares have changed and replicas are moving to them.
	Moving bool `json:"moving,omitempty"`
	// Leaving lists members that were chosen before and may still have a copy. Each stays in the list until its copy
	// is removed.
	// +listType=set
	Leaving []string `json:"leaving,omitempty"`
	// LeavingOrdinals lists the ordinals of a StatefulSet that leaving members may still use. No other member gets
	// them.
	// +listType=map
	// +listMapKey=name
	LeavingOrdinals []OrdinalBlock `json:"leavingOrdinals,omitempty"`
	// Away lists members that lost their replicas by failover and have not got their share back.
	// +listType=set
	Away []string `json:"away,omitempty"`
	// Unplaced is the number of replicas that no member got. The condition Scheduled has the reason.
	Unplaced int64 `json:"unplaced,omitempty"`
	// UnplacedReason explains why replicas are unplaced.
	UnplacedReason string `json:"unplacedReason,omitempty"`
	// Rejected lists the members that were not chosen, with the reason.
	// +listType=map
	// +listMapKey=name
	Rejected []RejectedCluster `json:"rejected,omitempty"`
	// NotPermitted names the members that the placement chooses and in which its author may not place (the verb "place" on
	// clusters.hanse.io). What such a member has stays there, and nothing new comes.
	// +listType=set
	NotPermitted []string `json:"notPermitted,omitempty"`
	// Notes lists remarks for people: named members that have not joined, selectors that match nothing, contested
	// claims.
	Notes []string `json:"notes,omitempty"`
	// Contested lists younger placements of the same rank that also match the template and are ignored.
	Contested []PlacementReference `json:"contested,omitempty"`
	// OnConflict is a copy of the field of the placement.
	OnConflict OnConflict `json:"onConflict,omitempty"`
	// OnDelete is a copy of the field of the placement.
	OnDelete OnDelete `json:"onDelete,omitempty"`
	// OnImmutable is a copy of the field of the placement.
	OnImmutable OnImmutable `json:"onImmutable,omitempty"`
	// Drift is a copy of the field of the placement.
	Drift Drift `json:"drift,omitempty"`
	// IgnoreFields is a copy of the field of the placement.
	// +listType=set
	IgnoreFields []string `json:"ignoreFields,omitempty"`
	// Paused is a copy of the field of the placement.
	Paused bool `json:"paused,omitempty"`
	// ReportOnly is a copy of the field of the placement.
	ReportOnly bool `json:"reportOnly,omitempty"`
	// ProgressDeadline is a copy of the field of the placement.
	ProgressDeadline *metav1.Duration `json:"progressDeadline,omitempty"`
	// FollowedBy lists the dependencies that are placed with this template, as kind.group/name.
	FollowedBy []string `json:"followedBy,omitempty"`
	// LastChange describes what the latest decision that moved replicas or members changed, and why. It is absent
	// while the first decision holds.
	LastChange *DecisionChange `json:"lastChange,omitempty"`
}

// OrdinalBlock is a range of StatefulSet ordinals that belongs to one member.
type OrdinalBlock struct {
	// Name of the member.
	Name string `json:"name"`
	// Start is the first ordinal.
	Start int32 `json:"start"`
	// Width is the number of ordinals.
	Width int32 `json:"width"`
}

// DecisionChange is the difference between two decisions.
type DecisionChange struct {
	// Time of the newer decision.
	Time metav1.Time `json:"time"`
	// Moves lists the changes of each member.
	// +listType=map
	// +listMapKey=name
	Moves []PlannedMove `json:"moves"`
}

// DistributionCluster is the part of one member in a decision.
type DistributionCluster struct {
	// Name of the member.
	Name string `json:"name"`
	// Replicas assigned to the member. Kinds without replicas have none.
	Replicas *int64 `json:"replicas,omitempty"`
	// Moving is how many replicas are still to come to this member, or below zero to leave it, before the move under way
	// is done. The default 0 means that the member takes part in no move.
	Moving int64 `json:"moving,omitempty"`
	// OrdinalStart is the first ordinal of the pods of a StatefulSet in this member. It does not change while the
	// member keeps its share.
	OrdinalStart *int32 `json:"ordinalStart,omitempty"`
	// OrdinalWidth is the number of ordinals from ordinalStart that belong to this member.
	OrdinalWidth *int32 `json:"ordinalWidth,omitempty"`
	// Numbers lists further numbers of the template that were divided for this member, by path.
	Numbers map[string]int64 `json:"numbers,omitempty"`
	// Ideal is the exact share as a fraction, for example 36/6.
	Ideal string `json:"ideal,omitempty"`
	// Reason is a CamelCase word that explains why the member was chosen.
	Reason string `json:"reason,omitempty"`
	// Message explains the choice to people.
	Message string `json:"message,omitempty"`
}

// RejectedCluster is a member that was not chosen.
type RejectedCluster struct {
	// Name of the member.
	Name string `json:"name"`
	// Reason is a CamelCase word that explains why the member was not chosen.
	Reason string `json:"reason"`
	// Message explains the reason to people.
	Message string `json:"message,omitempty"`
}

// Verdict is the outcome of one apply.
//
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

// DistributionStatus reports the outcome of a decision in each member.
type DistributionStatus struct {
	// ObservedGeneration is the generation of the decision that this status describes.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// TemplateGeneration is the generation of the template that this status describes.
	TemplateGeneration int64 `json:"templateGeneration,omitempty"`
	// Conditions are Scheduled, Applied, Ready, Progressing and Summed.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// LastProgress is the last time at which a member came closer to the decision. It is absent when everything is
	// applied and ready. The progressDeadline of the placement counts from it.
	LastProgress *metav1.Time `json:"lastProgress,omitempty"`
	// Summary lists the members with their ready and desired replicas, for example "east=4/4,west=2/2".
	Summary string `json:"summary,omitempty"`
	// Clusters lists the outcome in each member, including members that are being left.
	// +listType=map
	// +listMapKey=name
	Clusters []ClusterOutcome `json:"clusters,omitempty"`
	// StatusesCut is the number of members whose object status is too large to be stored here. It is left out below
	// and still counts in the totals.
	StatusesCut int32 `json:"statusesCut,omitempty"`
	// Desired is the total of desired replicas over all members.
	Desired int64 `json:"desired,omitempty"`
	// Ready is the total of ready replicas over all members.
	Ready int64 `json:"ready,omitempty"`
}

// ClusterOutcome is the outcome for one template in one member.
type ClusterOutcome struct {
	// Name of the member.
	Name string `json:"name"`
	// Verdict of the last apply.
	Verdict Verdict `json:"verdict,omitempty"`
	// Reason is a CamelCase word that explains a verdict that needs attention.
	Reason string `json:"reason,omitempty"`
	// Message explains the verdict to people.
	Message string `json:"message,omitempty"`
	// Revision is a hash of the object that was applied last.
	Revision string `json:"revision,omitempty"`
	// TemplateGeneration is the generation of the template that was applied last.
	TemplateGeneration int64 `json:"templateGeneration,omitempty"`
	// Fingerprint is a hash of the hub's part of the object in the member right after the apply.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Desired is the number of replicas that the member should run. Kinds without replicas have none.
	Desired *int64 `json:"desired,omitempty"`
	// Ready is the number of ready replicas in the member. Kinds without replicas have none.
	Ready *int64 `json:"ready,omitempty"`
	// Unschedulable is the number of replicas for which the member has found no node for a while.
	Unschedulable int64 `json:"unschedulable,omitempty"`
	// Health is Healthy, Progressing, Degraded or Unknown.
	Health string `json:"health,omitempty"`
	// HealthMessage explains the health to people.
	HealthMessage string `json:"healthMessage,omitempty"`
	// Unknown means that the member cannot be reached. The figures are those of lastSeen.
	Unknown bool `json:"unknown,omitempty"`
	// LastSeen is the time at which the member last answered. It is set while unknown is true.
	LastSeen *metav1.Time `json:"lastSeen,omitempty"`
	// Generation of the object in the member while the controller of the member has not observed it yet.
	Generation int64 `json:"generation,omitempty"`
	// Status of the object in the member, without what no rule reads.
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
