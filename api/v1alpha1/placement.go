package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Placement decides which members get the selected objects of its namespace, and how their replicas are shared.
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

	// Spec is the desired placement.
	Spec PlacementSpec `json:"spec,omitempty"`
	// Status reports the decisions and how far the members have followed them. The hub writes it.
	Status PlacementStatus `json:"status,omitempty"`
}

// ClusterPlacement is a Placement for cluster-scoped kinds and for whole namespaces. A selected Namespace includes
// every object in it that no other placement claims.
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

	// Spec is the desired placement.
	Spec PlacementSpec `json:"spec,omitempty"`
	// Status reports the decisions and how far the members have followed them. The hub writes it.
	Status PlacementStatus `json:"status,omitempty"`
}

// ReplicasMode selects whether replicas are divided over the members or duplicated in each.
//
// +kubebuilder:validation:Enum=Divide;Duplicate
type ReplicasMode string

// Modes of replicas.
const (
	ReplicasDivide    ReplicasMode = "Divide"
	ReplicasDuplicate ReplicasMode = "Duplicate"
)

// OnConflict selects what happens when a member already has an object of the same name that the hub did not create.
//
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

// OnDelete selects what happens to the copies when the template is deleted or a member is no longer chosen.
//
// +kubebuilder:validation:Enum=Delete;Orphan
type OnDelete string

// Fates of copies.
const (
	// DeleteCopies deletes them.
	DeleteCopies OnDelete = "Delete"
	// OrphanCopies leaves them in the members without our marks.
	OrphanCopies OnDelete = "Orphan"
)

// OnImmutable selects what happens when a member refuses a change because the field is immutable.
//
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

// Drift selects what happens when somebody changes or deletes a copy in a member.
//
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

// PlacementSpec is the desired placement: the objects, the members and the shares.
type PlacementSpec struct {
	// Resources selects the objects. An object that several entries select counts once. At least 1 and at most 256
	// entries.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Resources []ResourceSelector `json:"resources"`
	// Clusters lists the members and their weights. When the list is absent, every member gets an equal weight. At
	// most 256 entries.
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:XValidation:rule="self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))",message="the same cluster is named twice"
	Clusters []ClusterTerm `json:"clusters,omitempty"`
	// Replicas selects how the replica count is used. Divide splits it over the members, Duplicate gives the whole
	// count to each. The default is Divide for kinds with replicas and the rule of the kind for all others.
	Replicas ReplicasMode `json:"replicas,omitempty"`
	// By selects what the shares follow: the weights (Weight), the free capacity of the members (Capacity), or the
	// product of both (WeightAndCapacity). The default is Weight.
	// +kubebuilder:validation:Enum=Weight;Capacity;WeightAndCapacity
	// +kubebuilder:default=Weight
	By string `json:"by,omitempty"`
	// Pack selects how many members are used: Spread uses all chosen members, Fill uses as few as possible. The
	// default is Spread.
	// +kubebuilder:validation:Enum=Spread;Fill
	// +kubebuilder:default=Spread
	Pack string `json:"pack,omitempty"`
	// Spread limits the number of groups (clusters, regions, zones, providers or labels) that get replicas. All terms
	// must hold together. At most 8 terms.
	// +kubebuilder:validation:MaxItems=8
	Spread []SpreadTerm `json:"spread,omitempty"`
	// Tolerations lets the placement use members whose taints match. At most 64 entries.
	// +kubebuilder:validation:MaxItems=64
	Tolerations []Toleration `json:"tolerations,omitempty"`
	// Rebalance selects when running replicas may move. Never moves none. Scale moves them only together with a
	// change of the replica count, the clusters or the weights. Always moves them whenever the shares are out of
	// balance. The default is Scale.
	// +kubebuilder:validation:Enum=Never;Scale;Always
	// +kubebuilder:default=Scale
	Rebalance string `json:"rebalance,omitempty"`
	// MaxMoves is the highest number of replicas that may move at once with rebalance Always: a number of at least 1,
	// or a percentage from 1% to 100% of the replicas. When it is absent, all may move at once.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",message="must be a number of at least 1 or a percentage from 1% to 100%"
	MaxMoves *intstr.IntOrString `json:"maxMoves,omitempty"`
	// Overflow selects what happens to replicas for which no member has capacity. None leaves them unplaced. Pending
	// assigns them by weight all the same, for members that add nodes on demand. The default is None.
	// +kubebuilder:validation:Enum=None;Pending
	// +kubebuilder:default=None
	Overflow string `json:"overflow,omitempty"`
	// Failover configures when the replicas of an unreachable member move to other members.
	Failover *Failover `json:"failover,omitempty"`
	// Overrides change the objects for some members. They are applied in order, after everything else. At most 64
	// entries.
	// +kubebuilder:validation:MaxItems=64
	Overrides []Override `json:"overrides,omitempty"`
	// OnConflict selects what happens when a member already has an object of the same name that the hub did not
	// create. Fail leaves it unchanged and reports where it differs. Adopt takes it over unless another manager owns
	// a differing field. Overwrite takes it over by force. The default is Fail.
	// +kubebuilder:default=Fail
	OnConflict OnConflict `json:"onConflict,omitempty"`
	// OnDelete selects what happens to the copies when the template is deleted or a member is no longer chosen.
	// Delete removes them. Orphan leaves them in place without the hub's labels and annotations. The default is
	// Delete.
	// +kubebuilder:default=Delete
	OnDelete OnDelete `json:"onDelete,omitempty"`
	// Dependencies selects whether the objects that a workload refers to (ConfigMaps, Secrets, ServiceAccounts,
	// PersistentVolumeClaims) are placed with it. Follow places them in the same members. Ignore does not. The
	// default is Follow.
	// +kubebuilder:validation:Enum=Follow;Ignore
	// +kubebuilder:default=Follow
	Dependencies string `json:"dependencies,omitempty"`
	// OnImmutable selects what happens when a member refuses a change because the field is immutable. Fail leaves the
	// copy unchanged and reports the field. Recreate deletes the copy and creates it again where no data is lost. The
	// default is Fail.
	// +kubebuilder:default=Fail
	OnImmutable OnImmutable `json:"onImmutable,omitempty"`
	// Drift selects what happens when somebody changes or deletes a copy in a member. Repair restores it at once.
	// Report only reports the difference. The default is Repair.
	// +kubebuilder:default=Repair
	Drift Drift `json:"drift,omitempty"`
	// IgnoreFields lists fields that belong to the members after the copy is created: the hub creates the copy with
	// the value of the template, and keeps whatever is set, changed or removed in the member later. Each entry is a
	// JSON pointer (RFC 6901) to a field or a subtree; * matches every key of a map and every element of a list.
	// Example: /spec/template/spec/containers/*/resources. Objects without the field are unaffected. At most 64
	// entries.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^(/([^/~]|~[01])+)+$`
	IgnoreFields []string `json:"ignoreFields,omitempty"`
	// Paused stops all changes and removals in the members for the selected objects. The status lists what is
	// waiting. The default is false.
	Paused bool `json:"paused,omitempty"`
	// ReportOnly works like paused, and also asks the members what would change (a server-side dry run) and reports
	// the answer in the status. The default is false.
	ReportOnly bool `json:"reportOnly,omitempty"`
	// ProgressDeadline is how long the selected objects may make no progress before the condition Progressing becomes
	// False with the reason DeadlineExceeded. The hub keeps trying after that. At least 1s. The default is 10m.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s')",message="must be at least 1s"
	ProgressDeadline *metav1.Duration `json:"progressDeadline,omitempty"`
}

// ResourceSelector selects objects on the hub by kind and name, or by labels.
//
// +kubebuilder:validation:XValidation:rule="has(self.kind) || has(self.selector)",message="set kind, or selector, or both"
// +kubebuilder:validation:XValidation:rule="!(has(self.name) && has(self.selector))",message="name and selector exclude each other"
type ResourceSelector struct {
	// APIVersion of the kind, for example apps/v1. It is only required when several groups have a kind of this name.
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the objects, for example Deployment. When it is absent, every kind matches.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
	// Name of one object. When both name and selector are absent, every object of the kind matches.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// Selector matches the labels of the objects.
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// ClusterTerm selects members and gives each the same weight and bounds.
//
// +kubebuilder:validation:XValidation:rule="[has(self.name), has(self.selector), has(self.expression)].exists_one(x, x)",message="set exactly one of name, selector and expression"
// +kubebuilder:validation:XValidation:rule="!has(self.min) || !has(self.max) || self.min <= self.max",message="min must not be greater than max"
type ClusterTerm struct {
	// Name of one member. A member that has not joined yet is accepted and listed in the status.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
	// Selector matches the labels of the members. A selector that matches no member is accepted and listed in the
	// status.
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	// Expression is a CEL expression (bool) over a member, for example cluster.region.startsWith("eu-").
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
	// Weight of each selected member relative to the others. A member with weight 0 gets no replicas. The default is
	// 1.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Weight *int64 `json:"weight,omitempty"`
	// Min is the lowest number of replicas of each selected member. The default is 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Min *int64 `json:"min,omitempty"`
	// Max is the highest number of replicas of each selected member. The default is no limit.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Max *int64 `json:"max,omitempty"`
	// Tier of the selected members, from 0 to 100. A tier is used only when the lower tiers cannot hold all replicas.
	// The default is 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Tier int32 `json:"tier,omitempty"`
}

// SpreadTerm limits the number of groups that get replicas.
//
// +kubebuilder:validation:XValidation:rule="!has(self.min) || !has(self.max) || self.min <= self.max",message="min must not be greater than max"
type SpreadTerm struct {
	// By selects how members are grouped: cluster, region, zone, provider, or label:KEY for the value of a label of
	// the member.
	// +kubebuilder:validation:Pattern=`^(cluster|region|zone|provider|label:.+)$`
	By string `json:"by"`
	// Min is the lowest number of groups that must get replicas. The default is 1.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Min *int32 `json:"min,omitempty"`
	// Max is the highest number of groups that may get replicas. The default is no limit.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Max *int32 `json:"max,omitempty"`
	// WhenUnsatisfiable selects what happens when the limits cannot hold. DoNotSchedule places no new replicas.
	// ScheduleAnyway comes as close as possible. The default is DoNotSchedule.
	// +kubebuilder:validation:Enum=DoNotSchedule;ScheduleAnyway
	WhenUnsatisfiable string `json:"whenUnsatisfiable,omitempty"`
}

// Toleration lets a placement use members with a matching taint.
type Toleration struct {
	// Key of the taint. An empty key with the operator Exists matches every taint.
	Key string `json:"key,omitempty"`
	// Operator compares the value of the taint: Equal or Exists. The default is Equal.
	// +kubebuilder:validation:Enum=Equal;Exists
	Operator string `json:"operator,omitempty"`
	// Value of the taint for the operator Equal.
	Value string `json:"value,omitempty"`
	// Effect of the taint: NoSchedule or NoExecute. When it is absent, both match.
	// +kubebuilder:validation:Enum=NoSchedule;NoExecute
	Effect string `json:"effect,omitempty"`
	// TolerationSeconds is how long a NoExecute taint is tolerated, in seconds. When it is absent, the taint is
	// tolerated forever.
	// +kubebuilder:validation:Minimum=0
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}

// Failover configures when the replicas of a lost member move to other members.
type Failover struct {
	// After is how long a member may be out of contact before it counts as lost. The default is 60s.
	After *metav1.Duration `json:"after,omitempty"`
	// ComeBack gives a member that returns its share back at once. The default is false: it gets replicas again with
	// the next change of the replica count.
	ComeBack bool `json:"comeBack,omitempty"`
	// Disabled keeps the replicas of a lost member where they are, without a limit. The default is false.
	Disabled bool `json:"disabled,omitempty"`
}

// Override changes the copies in some members.
type Override struct {
	// Clusters selects the members. When the list is absent, the override applies to all. At most 256 entries.
	// +kubebuilder:validation:MaxItems=256
	Clusters []ClusterMatch `json:"clusters,omitempty"`
	// Resources limits the override to some of the selected objects. When the list is absent, it applies to all. At
	// most 256 entries.
	// +kubebuilder:validation:MaxItems=256
	Resources []ResourceSelector `json:"resources,omitempty"`
	// Patch is a JSON patch (RFC 6902). At most 256 operations.
	// +kubebuilder:validation:MaxItems=256
	Patch []PatchOperation `json:"patch,omitempty"`
	// Merge is a strategic merge patch for native kinds and a JSON merge patch (RFC 7386) for all others.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	Merge *apiextensionsv1.JSON `json:"merge,omitempty"`
	// Image changes parts of the container images.
	Image *ImageOverride `json:"image,omitempty"`
	// Env sets or removes environment variables of containers. At most 256 entries.
	// +kubebuilder:validation:MaxItems=256
	Env []EnvOverride `json:"env,omitempty"`
	// Command replaces the command of the containers.
	Command *CommandOverride `json:"command,omitempty"`
	// Args replaces the arguments of the containers.
	Args *CommandOverride `json:"args,omitempty"`
	// Labels sets labels of the copy. An empty value removes the label.
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations sets annotations of the copy. An empty value removes the annotation.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ClusterMatch selects members by name or by labels.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) != has(self.selector)",message="set exactly one of name and selector"
type ClusterMatch struct {
	// Name of one member.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name,omitempty"`
	// Selector matches the labels of the members.
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// PatchOperation is one operation of a JSON patch (RFC 6902).
type PatchOperation struct {
	// Op is the operation: add, remove, replace, move, copy or test.
	// +kubebuilder:validation:Enum=add;remove;replace;move;copy;test
	Op string `json:"op"`
	// Path is a JSON pointer (RFC 6901) to the target, for example /spec/replicas.
	// +kubebuilder:validation:Pattern=`^(/.*)?$`
	Path string `json:"path"`
	// From is a JSON pointer to the source of move and copy.
	From string `json:"from,omitempty"`
	// Value for add, replace and test.
	// +kubebuilder:pruning:PreserveUnknownFields
	Value *apiextensionsv1.JSON `json:"value,omitempty"`
}

// ImageOverride changes parts of container images. Absent parts keep their value.
type ImageOverride struct {
	// Container that the change applies to. When it is absent, the change applies to all containers, init containers
	// included.
	Container string `json:"container,omitempty"`
	// Registry of the image, for example registry.example.org:5000.
	Registry string `json:"registry,omitempty"`
	// Repository of the image, for example team/web.
	Repository string `json:"repository,omitempty"`
	// Tag of the image, for example v2.
	Tag string `json:"tag,omitempty"`
	// Digest of the image, for example sha256:0123…. It replaces a tag.
	Digest string `json:"digest,omitempty"`
}

// EnvOverride sets or removes one environment variable.
type EnvOverride struct {
	// Container that the change applies to. When it is absent, the change applies to all containers.
	Container string `json:"container,omitempty"`
	// Name of the variable.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// Value of the variable.
	Value string `json:"value,omitempty"`
	// Remove removes the variable instead of setting it. The default is false.
	Remove bool `json:"remove,omitempty"`
}

// CommandOverride replaces a command or its arguments.
type CommandOverride struct {
	// Container that the change applies to. When it is absent, the change applies to all containers.
	Container string `json:"container,omitempty"`
	// Value is the new list of words.
	Value []string `json:"value,omitempty"`
}

// Conditions of placements and distributions.
const (
	// ConditionScheduled: every selected object has a decision and nothing is unplaced.
	ConditionScheduled = "Scheduled"
	// ConditionPermitted of a placement is False while its author may not place in a member that it chooses. It is absent
	// otherwise.
	ConditionPermitted = "Permitted"
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

// PlacementStatus reports the decisions of a placement and how far the members have followed them.
type PlacementStatus struct {
	// ObservedGeneration is the generation of the spec that this status describes.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions are Scheduled, Applied, Ready and Progressing.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Objects is the number of objects that the placement selects.
	Objects int32 `json:"objects,omitempty"`
	// Clusters lists what each chosen member has of the selected objects.
	// +listType=map
	// +listMapKey=name
	Clusters []PlacementCluster `json:"clusters,omitempty"`
	// Decisions lists the chosen members in the form that GitOps generators read.
	Decisions []ClusterDecision `json:"decisions,omitempty"`
	// Unplaced is the number of replicas of all selected objects that no member got.
	Unplaced int64 `json:"unplaced,omitempty"`
}

// PlacementCluster sums up the selected objects of one member.
type PlacementCluster struct {
	// Name of the member.
	Name string `json:"name"`
	// Replicas is the number of replicas assigned to the member.
	Replicas int64 `json:"replicas"`
	// Ready is the number of ready replicas in the member.
	Ready int64 `json:"ready"`
	// State is Applied, Pending, Failed or Unknown.
	State string `json:"state,omitempty"`
	// Reason is a CamelCase word that explains the state.
	Reason string `json:"reason,omitempty"`
	// Message explains the state to people.
	Message string `json:"message,omitempty"`
}

// ClusterDecision names one chosen member.
type ClusterDecision struct {
	// ClusterName is the name of the member.
	ClusterName string `json:"clusterName"`
	// Reason is a CamelCase word that explains the choice.
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
