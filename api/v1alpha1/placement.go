package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Placement says where the selected objects of its namespace go, and in which shares.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=pl,categories=hanse
// +kubebuilder:printcolumn:name=Objects,type=integer,JSONPath=`.status.objects`
// +kubebuilder:printcolumn:name=Scheduled,type=string,JSONPath=`.status.conditions[?(@.type=="Scheduled")].status`
// +kubebuilder:printcolumn:name=Applied,type=string,JSONPath=`.status.conditions[?(@.type=="Applied")].status`
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name=Unplaced,type=integer,JSONPath=`.status.unplaced`
// +kubebuilder:printcolumn:name=Progress,type=string,JSONPath=`.status.conditions[?(@.type=="Progressing")].reason`
// +kubebuilder:printcolumn:name=Trouble,type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Applied")].message`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type Placement struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the wish.
	Spec PlacementSpec `json:"spec,omitempty"`
	// Status is what became of it.
	Status PlacementStatus `json:"status,omitempty"`
}

// ClusterPlacement is a Placement for cluster-scoped kinds and for whole namespaces: a selected Namespace carries
// everything in it that no other placement claims.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=cpl,categories=hanse
// +kubebuilder:printcolumn:name=Objects,type=integer,JSONPath=`.status.objects`
// +kubebuilder:printcolumn:name=Scheduled,type=string,JSONPath=`.status.conditions[?(@.type=="Scheduled")].status`
// +kubebuilder:printcolumn:name=Applied,type=string,JSONPath=`.status.conditions[?(@.type=="Applied")].status`
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name=Progress,type=string,JSONPath=`.status.conditions[?(@.type=="Progressing")].reason`
// +kubebuilder:printcolumn:name=Trouble,type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Applied")].message`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterPlacement struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the wish.
	Spec PlacementSpec `json:"spec,omitempty"`
	// Status is what became of it.
	Status PlacementStatus `json:"status,omitempty"`
}

// ReplicasMode says what is done with a number of replicas.
// +kubebuilder:validation:Enum=Divide;Duplicate
type ReplicasMode string

// Modes of replicas.
const (
	ReplicasDivide    ReplicasMode = "Divide"
	ReplicasDuplicate ReplicasMode = "Duplicate"
)

// OnConflict says what is done about a foreign object of the same name in a member.
// +kubebuilder:validation:Enum=Fail;Adopt;Overwrite
type OnConflict string

// Ways to meet a foreign object.
const (
	// ConflictFail leaves it alone and says so.
	ConflictFail OnConflict = "Fail"
	// ConflictAdopt takes it over, and fails where another manager owns a field with another value.
	ConflictAdopt OnConflict = "Adopt"
	// ConflictOverwrite takes it over by force.
	ConflictOverwrite OnConflict = "Overwrite"
)

// OnDelete says what becomes of the copies when the template goes or a member is no longer chosen.
// +kubebuilder:validation:Enum=Delete;Orphan
type OnDelete string

// Fates of copies.
const (
	// DeleteCopies deletes them.
	DeleteCopies OnDelete = "Delete"
	// OrphanCopies leaves them in the members without our marks.
	OrphanCopies OnDelete = "Orphan"
)

// OnImmutable says what is done when a member refuses a change since the field cannot be changed once it is set.
// +kubebuilder:validation:Enum=Fail;Recreate
type OnImmutable string

// Ways to meet a field that cannot be changed.
const (
	// ImmutableFail leaves the object as it is and says which field it is.
	ImmutableFail OnImmutable = "Fail"
	// ImmutableRecreate deletes the object in the member and makes it anew. What keeps data or other people's objects
	// (PersistentVolumeClaims, PersistentVolumes, Namespaces, CustomResourceDefinitions, StatefulSets that delete their
	// claims) and what was adopted is never recreated.
	ImmutableRecreate OnImmutable = "Recreate"
)

// Drift says what is done when somebody changes or deletes in a member what was applied there.
// +kubebuilder:validation:Enum=Repair;Report
type Drift string

// Ways to meet drift.
const (
	// DriftRepair brings the object back at once.
	DriftRepair Drift = "Repair"
	// DriftReport leaves it and says what differs, until the template, the placement or the decision changes: that is
	// applied whole and ends the drift.
	DriftReport Drift = "Report"
)

// PlacementSpec says what goes where, in which shares.
type PlacementSpec struct {
	// Resources selects the objects of the placement.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Resources []ResourceSelector `json:"resources"`
	// Clusters says which members, with which weights. Absent: every member, with equal weight.
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:XValidation:rule="self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))",message="the same cluster is named twice"
	Clusters []ClusterTerm `json:"clusters,omitempty"`
	// Replicas: Divide splits the number of replicas over the members, Duplicate gives each the whole number.
	// Default: Divide for what has replicas, otherwise the rule of the kind.
	Replicas ReplicasMode `json:"replicas,omitempty"`
	// By: shares follow the weights, the free capacity of the members, or the product of both.
	// +kubebuilder:validation:Enum=Weight;Capacity;WeightAndCapacity
	// +kubebuilder:default=Weight
	By string `json:"by,omitempty"`
	// Pack: Spread over all chosen members, or Fill as few as possible.
	// +kubebuilder:validation:Enum=Spread;Fill
	// +kubebuilder:default=Spread
	Pack string `json:"pack,omitempty"`
	// Spread demands groups of members.
	// +kubebuilder:validation:MaxItems=8
	Spread []SpreadTerm `json:"spread,omitempty"`
	// Tolerations of member taints.
	// +kubebuilder:validation:MaxItems=64
	Tolerations []Toleration `json:"tolerations,omitempty"`
	// Rebalance says when running replicas may move: Never; only as part of a Scale, or of a change of clusters and
	// weights here; or Always.
	// +kubebuilder:validation:Enum=Never;Scale;Always
	// +kubebuilder:default=Scale
	Rebalance string `json:"rebalance,omitempty"`
	// MaxMoves is how many replicas (number or percentage) may be on the move at once under rebalance: Always.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",message="must be a number of at least 1 or a percentage from 1% to 100%"
	MaxMoves *intstr.IntOrString `json:"maxMoves,omitempty"`
	// Overflow: what does not fit stays unplaced (None), or is given out by weight all the same (Pending), for
	// members that grow by autoscaling.
	// +kubebuilder:validation:Enum=None;Pending
	// +kubebuilder:default=None
	Overflow string `json:"overflow,omitempty"`
	// Failover says when a lost member's replicas go to the others.
	Failover *Failover `json:"failover,omitempty"`
	// Overrides change objects per member, applied last, in order.
	// +kubebuilder:validation:MaxItems=64
	Overrides []Override `json:"overrides,omitempty"`
	// OnConflict: what is done about a foreign object of the same name in a member.
	// +kubebuilder:default=Fail
	OnConflict OnConflict `json:"onConflict,omitempty"`
	// OnDelete: what becomes of the copies when the template goes or a member is no longer chosen.
	// +kubebuilder:default=Delete
	OnDelete OnDelete `json:"onDelete,omitempty"`
	// Dependencies that a workload refers to (ConfigMaps, Secrets, ServiceAccounts, claims) Follow it, or are
	// Ignored.
	// +kubebuilder:validation:Enum=Follow;Ignore
	// +kubebuilder:default=Follow
	Dependencies string `json:"dependencies,omitempty"`
	// OnImmutable: what is done when a member refuses a change since the field cannot be changed once it is set: Fail
	// says what to do, Recreate deletes the object there and makes it anew where that loses nothing.
	// +kubebuilder:default=Fail
	OnImmutable OnImmutable `json:"onImmutable,omitempty"`
	// Drift: what is done when somebody changes or deletes in a member what was applied there: Repair or Report.
	// +kubebuilder:default=Repair
	Drift Drift `json:"drift,omitempty"`
	// IgnoreFields are fields that belong to the members once the object is there: it is made with the template's value,
	// and what anybody sets, changes or removes there afterwards stays. JSON pointers (RFC 6901) of a field or a whole
	// part; * stands for every key of a map and every element of a list. Example:
	// /spec/template/spec/containers/*/resources. An object without the field is not concerned.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^(/([^/~]|~[01])+)+$`
	IgnoreFields []string `json:"ignoreFields,omitempty"`
	// Paused: nothing that this placement selects is changed in the members or removed from them, as long as the
	// placement is there. The status says what waits.
	Paused bool `json:"paused,omitempty"`
	// ReportOnly: as Paused, and the members are asked what would be changed (a server-side dry run); the status says it.
	ReportOnly bool `json:"reportOnly,omitempty"`
	// ProgressDeadline is how long what is selected may take without any progress to be applied and ready; then the
	// condition Progressing is False with the reason DeadlineExceeded and names who is behind. It goes on being tried.
	// Default 10m.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s')",message="must be at least 1s"
	ProgressDeadline *metav1.Duration `json:"progressDeadline,omitempty"`
}

// ResourceSelector selects objects of the hub by kind and name, or by labels.
//
// +kubebuilder:validation:XValidation:rule="has(self.kind) || has(self.selector)",message="set kind, or selector, or both"
// +kubebuilder:validation:XValidation:rule="!(has(self.name) && has(self.selector))",message="name and selector exclude each other"
type ResourceSelector struct {
	// APIVersion, only needed when the kind alone is ambiguous.
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the objects; any kind if absent.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
	// Name of one object; every object of the kind if name and selector are absent.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// Selector by the objects' labels.
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// ClusterTerm gives a weight to members.
//
// +kubebuilder:validation:XValidation:rule="[has(self.name), has(self.selector), has(self.expression)].exists_one(x, x)",message="set exactly one of name, selector and expression"
// +kubebuilder:validation:XValidation:rule="!has(self.min) || !has(self.max) || self.min <= self.max",message="min must not be greater than max"
type ClusterTerm struct {
	// Name of one member. A member that has not joined yet is accepted, and said in the status.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
	// Selector by the labels of members. One that matches nothing is accepted, and said in the status.
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	// Expression in CEL over the facts of a member, for example cluster.region.startsWith("eu-").
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
	// Weight of each member that the term chooses, against the others. 0: no replicas. Default 1.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Weight *int64 `json:"weight,omitempty"`
	// Min replicas of each member that the term chooses.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Min *int64 `json:"min,omitempty"`
	// Max replicas of each member that the term chooses.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Max *int64 `json:"max,omitempty"`
	// Tier: a tier above 0 is used only when the lower ones cannot hold all.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Tier int32 `json:"tier,omitempty"`
}

// SpreadTerm demands a number of groups.
//
// +kubebuilder:validation:XValidation:rule="!has(self.min) || !has(self.max) || self.min <= self.max",message="min must not be greater than max"
type SpreadTerm struct {
	// By: cluster, region, zone, provider or label:<key>.
	// +kubebuilder:validation:Pattern=`^(cluster|region|zone|provider|label:.+)$`
	By string `json:"by"`
	// Min number of groups.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Min *int32 `json:"min,omitempty"`
	// Max number of groups; absent = unlimited.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Max *int32 `json:"max,omitempty"`
	// WhenUnsatisfiable: place nothing new (DoNotSchedule), or do as far as possible (ScheduleAnyway). Default DoNotSchedule.
	// +kubebuilder:validation:Enum=DoNotSchedule;ScheduleAnyway
	WhenUnsatisfiable string `json:"whenUnsatisfiable,omitempty"`
}

// Toleration lets a placement use a tainted member.
type Toleration struct {
	// Key of the taint; absent with operator Exists = every taint.
	Key string `json:"key,omitempty"`
	// Operator: Equal or Exists. Default Equal.
	// +kubebuilder:validation:Enum=Equal;Exists
	Operator string `json:"operator,omitempty"`
	// Value of the taint, for Equal.
	Value string `json:"value,omitempty"`
	// Effect; absent = all.
	// +kubebuilder:validation:Enum=NoSchedule;NoExecute
	Effect string `json:"effect,omitempty"`
	// TolerationSeconds a NoExecute taint is borne; absent = for ever.
	// +kubebuilder:validation:Minimum=0
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}

// Failover says when a lost member's replicas go to the others.
type Failover struct {
	// After this long without contact the member counts as lost. Default 60s.
	After *metav1.Duration `json:"after,omitempty"`
	// ComeBack: a member that returns gets its share back at once. Default: only as part of the next scale.
	ComeBack bool `json:"comeBack,omitempty"`
	// Disabled: a lost member keeps its replicas for ever.
	Disabled bool `json:"disabled,omitempty"`
}

// Override changes objects in some members.
type Override struct {
	// Clusters that the override is for; absent = all.
	// +kubebuilder:validation:MaxItems=256
	Clusters []ClusterMatch `json:"clusters,omitempty"`
	// Resources limits the override to some of the selected objects; absent = all.
	// +kubebuilder:validation:MaxItems=256
	Resources []ResourceSelector `json:"resources,omitempty"`
	// Patch is a JSON patch (RFC 6902).
	// +kubebuilder:validation:MaxItems=256
	Patch []PatchOperation `json:"patch,omitempty"`
	// Merge is a strategic merge patch for native kinds, a JSON merge patch (RFC 7386) for others.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	Merge *apiextensionsv1.JSON `json:"merge,omitempty"`
	// Image changes parts of container images.
	Image *ImageOverride `json:"image,omitempty"`
	// Env sets environment variables of containers.
	// +kubebuilder:validation:MaxItems=256
	Env []EnvOverride `json:"env,omitempty"`
	// Command of the containers.
	Command *CommandOverride `json:"command,omitempty"`
	// Args of the containers.
	Args *CommandOverride `json:"args,omitempty"`
	// Labels to set; an empty value removes the label.
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations to set; an empty value removes the annotation.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ClusterMatch chooses members by name or labels.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) != has(self.selector)",message="set exactly one of name and selector"
type ClusterMatch struct {
	// Name of one member.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name,omitempty"`
	// Selector by the labels of members.
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// PatchOperation is one operation of a JSON patch (RFC 6902).
type PatchOperation struct {
	// Op: add, remove, replace, move, copy or test.
	// +kubebuilder:validation:Enum=add;remove;replace;move;copy;test
	Op string `json:"op"`
	// Path is a JSON pointer (RFC 6901).
	// +kubebuilder:validation:Pattern=`^(/.*)?$`
	Path string `json:"path"`
	// From is the source of move and copy.
	From string `json:"from,omitempty"`
	// Value of add, replace and test.
	// +kubebuilder:pruning:PreserveUnknownFields
	Value *apiextensionsv1.JSON `json:"value,omitempty"`
}

// ImageOverride changes parts of images; what is absent stays.
type ImageOverride struct {
	// Container the change is for; absent = all, init containers included.
	Container string `json:"container,omitempty"`
	// Registry, for example registry.example.org:5000.
	Registry string `json:"registry,omitempty"`
	// Repository, for example team/web.
	Repository string `json:"repository,omitempty"`
	// Tag, for example v2.
	Tag string `json:"tag,omitempty"`
	// Digest, for example sha256:…; replaces a tag.
	Digest string `json:"digest,omitempty"`
}

// EnvOverride sets one environment variable.
type EnvOverride struct {
	// Container the change is for; absent = all.
	Container string `json:"container,omitempty"`
	// Name of the variable.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// Value of the variable.
	Value string `json:"value,omitempty"`
	// Remove the variable.
	Remove bool `json:"remove,omitempty"`
}

// CommandOverride replaces a command or arguments.
type CommandOverride struct {
	// Container the change is for; absent = all.
	Container string `json:"container,omitempty"`
	// Value is the new list.
	Value []string `json:"value,omitempty"`
}

// Conditions of placements and distributions.
const (
	// ConditionScheduled: every selected object has a decision and nothing is unplaced.
	ConditionScheduled = "Scheduled"
	// ConditionApplied: every chosen member holds the present revision of every object.
	ConditionApplied = "Applied"
	// ConditionReady: what was applied is healthy.
	ConditionReady = "Ready"
	// ConditionProgressing: True while members are brought to what was decided (reason Progressing) and when they are
	// there (reason Complete); False when there was no progress for the placement's progressDeadline (reason
	// DeadlineExceeded).
	ConditionProgressing = "Progressing"
	// ConditionSummed of a Distribution is False while a field of the template's status cannot be added up, since an
	// expression of the kind's KindRule fails; otherwise there is no such condition.
	ConditionSummed = "Summed"
)

// PlacementStatus is what became of a placement.
type PlacementStatus struct {
	// ObservedGeneration is the generation of the spec that this status speaks of.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Scheduled, Applied, Ready, Progressing.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Objects that the placement selects.
	Objects int32 `json:"objects,omitempty"`
	// Clusters: what each chosen member has of the selected objects.
	// +listType=map
	// +listMapKey=name
	Clusters []PlacementCluster `json:"clusters,omitempty"`
	// Decisions is the duck type that GitOps generators read.
	Decisions []ClusterDecision `json:"decisions,omitempty"`
	// Unplaced replicas of all selected objects.
	Unplaced int64 `json:"unplaced,omitempty"`
}

// PlacementCluster sums what one member has of a placement's objects.
type PlacementCluster struct {
	// Name of the member.
	Name string `json:"name"`
	// Replicas given to the member.
	Replicas int64 `json:"replicas"`
	// Ready replicas in the member.
	Ready int64 `json:"ready"`
	// State: Applied, Pending, Failed or Unknown.
	State string `json:"state,omitempty"`
	// Reason of the state.
	Reason string `json:"reason,omitempty"`
	// Message of the state.
	Message string `json:"message,omitempty"`
}

// ClusterDecision names one chosen member.
type ClusterDecision struct {
	// ClusterName is the name of the member.
	ClusterName string `json:"clusterName"`
	// Reason of the choice.
	Reason string `json:"reason"`
}

// PlacementList is a list of Placements.
//
// +kubebuilder:object:root=true
type PlacementList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Placement `json:"items"`
}

// ClusterPlacementList is a list of ClusterPlacements.
//
// +kubebuilder:object:root=true
type ClusterPlacementList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterPlacement `json:"items"`
}
