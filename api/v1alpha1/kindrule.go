package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// KindRule describes a custom kind to the hub: where its replicas are, which objects it needs, which fields belong to
// the member, when it is healthy, and how the statuses of the members add up. Whatever the rule leaves out keeps the
// generic behavior of custom resources. The name of a rule is the lowercase kind, a dot and the group
// (rollout.argoproj.io), so that a kind has one rule. A rule replaces the whole rule that the hub ships for the kind.
//
// Paths are dotted (.spec.replicas). [*] matches every element of a list or map, ['a.b'] is a key with dots.
// Expressions are CEL with optional values and the string functions of cel-go. The function condition(object,
// 'Ready') returns the condition of that type with status, reason and message, each empty when the object has no such
// condition. Expressions see the variable object and the variables that their field names. An evaluation may cost
// 100,000 units.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=hanse
// +kubebuilder:printcolumn:name=Group,type=string,JSONPath=`.spec.group`
// +kubebuilder:printcolumn:name=Kind,type=string,JSONPath=`.spec.kind`
// +kubebuilder:printcolumn:name=Mode,type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name=In Force,type=string,JSONPath=`.status.conditions[?(@.type=="InForce")].status`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name == self.spec.kind.lowerAscii() + '.' + self.spec.group",message="metadata.name must be the kind in small letters, a dot and the group, such as rollout.argoproj.io"
type KindRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the rule.
	Spec KindRuleSpec `json:"spec"`
	// Status reports whether the rule is in force. The hub writes it.
	Status KindRuleStatus `json:"status,omitempty"`
}

// KindRuleSpec describes one kind.
//
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'Divide' || has(self.replicas) || has(self.numbers)",message="a kind is divided by its replicas or by numbers: set one of them, or another mode",fieldPath=.mode
type KindRuleSpec struct {
	// Group of the kind, for example argoproj.io. The built-in kinds of Kubernetes have fixed rules.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Group string `json:"group"`
	// Kind as it is written in objects, for example Rollout.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// Mode selects how the kind is spread over the chosen members unless the placement says otherwise: Divide,
	// Duplicate, One or Follows. The default is Follows when follows is set, Divide when replicas is set, and
	// Duplicate otherwise.
	// +kubebuilder:validation:Enum=Divide;Duplicate;One;Follows
	Mode KindMode `json:"mode,omitempty"`
	// Replicas describes the number that Divide splits.
	Replicas *ReplicasRule `json:"replicas,omitempty"`
	// Numbers lists further numbers that are divided in the same ratio as the replicas. At most 32 entries.
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=path
	Numbers []NumberRule `json:"numbers,omitempty"`
	// Pods lists the pod specifications in the object. The hub reads from them what one replica requests, and which
	// ConfigMaps, Secrets, ServiceAccounts and PersistentVolumeClaims it needs. The default is .spec.template.spec
	// when it has containers. At most 16 entries.
	// +kubebuilder:validation:MaxItems=16
	Pods []PodsRule `json:"pods,omitempty"`
	// Dependencies lists other objects that the object needs in the same member. At most 32 entries.
	// +kubebuilder:validation:MaxItems=32
	Dependencies []DependencyRule `json:"dependencies,omitempty"`
	// Follows places the object in the members of another object.
	Follows *FollowsRule `json:"follows,omitempty"`
	// Retain lists the paths of fields that belong to the member. The hub never sends them. At most 64 entries.
	// +kubebuilder:validation:MaxItems=64
	Retain []string `json:"retain,omitempty"`
	// ObservedGeneration is an expression (int) for the generation that the controller in the member has observed.
	// The default is .status.observedGeneration as a number or text. A controller that reports none counts as up to
	// date.
	// +kubebuilder:validation:MaxLength=4096
	ObservedGeneration string `json:"observedGeneration,omitempty"`
	// Health lists the cases of the health check; the first case that holds decides, and an object for which no case
	// holds is Progressing. An object that is being deleted, or whose current generation is not observed yet, is
	// Progressing before any case is evaluated. The default is the conventions of custom resources (conditions like
	// Ready, a phase). At most 32 entries.
	// +kubebuilder:validation:MaxItems=32
	Health []HealthRule `json:"health,omitempty"`
	// Status describes what the hub collects from the members.
	Status *StatusRule `json:"status,omitempty"`
}

// KindMode is how a kind is spread over the chosen members.
type KindMode string

// The modes.
const (
	// DivideKind splits the replicas and numbers; the sum is the template's.
	DivideKind KindMode = "Divide"
	// DuplicateKind gives every chosen member the whole object.
	DuplicateKind KindMode = "Duplicate"
	// OneKind gives the whole object to exactly one member.
	OneKind KindMode = "One"
	// FollowsKind sends it where its target is.
	FollowsKind KindMode = "Follows"
)

// ReplicasRule describes where the replica count is: at a path, or computed by two expressions.
//
// +kubebuilder:validation:XValidation:rule="has(self.path) != has(self.get)",message="set either path, or get and set"
// +kubebuilder:validation:XValidation:rule="has(self.get) == has(self.set)",message="get and set go together: what is counted must be written back"
type ReplicasRule struct {
	// Path of the replica count, for example .spec.replicas.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path,omitempty"`
	// Default is the replica count when the path is not set. The default is 1.
	// +kubebuilder:validation:Minimum=0
	Default *int64 `json:"default,omitempty"`
	// Get is an expression (int) over the object that returns the replica count.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Get string `json:"get,omitempty"`
	// Set is an expression that sees replicas (int), the share of the member, and returns a merge patch (RFC 7396)
	// for the object, for example {'spec': {'workers': replicas}}.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Set string `json:"set,omitempty"`
	// Ready is an expression (int) over the object of a member that returns the number of ready replicas. The default
	// is .status.readyReplicas, or else the scale subresource of the definition.
	// +kubebuilder:validation:MaxLength=4096
	Ready string `json:"ready,omitempty"`
}

// NumberRule describes one number that is divided.
type NumberRule struct {
	// Path of the number. Percentages and zero are copied.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path"`
	// Floor is the lowest value of each member, even if the sum then exceeds the number of the template. The default
	// is 0.
	// +kubebuilder:validation:Minimum=0
	Floor int64 `json:"floor,omitempty"`
}

// PodsRule describes one or several pod specifications.
type PodsRule struct {
	// Path of the pod specification, for example .spec.template.spec.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path"`
	// Count is the path of the number of such pods, with the same wildcards as path. The default is 1 for each.
	// +kubebuilder:validation:MaxLength=512
	Count string `json:"count,omitempty"`
}

// DependencyRule describes objects that an object needs.
type DependencyRule struct {
	// APIVersion of the needed objects. The default is v1.
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the needed objects, for example Secret.
	// +kubebuilder:validation:MinLength=1
	Kind string `json:"kind"`
	// Names is an expression that returns the names of the needed objects as a list of strings. Empty names are
	// ignored.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Names string `json:"names"`
	// ClusterScoped means that the needed objects have no namespace. The default is false: they are in the namespace
	// of the object.
	ClusterScoped bool `json:"clusterScoped,omitempty"`
	// Optional means that the object works without the needed objects. The default is false.
	Optional bool `json:"optional,omitempty"`
}

// FollowsRule describes the object that another object follows.
type FollowsRule struct {
	// Target is the path of a reference with apiVersion, kind and name. The target is in the namespace of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Target string `json:"target"`
	// APIVersion of the target when the reference has none. The default is apps/v1.
	// +kubebuilder:default=apps/v1
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the target when the reference has none. The default is Deployment.
	// +kubebuilder:default=Deployment
	Kind string `json:"kind,omitempty"`
	// Scales means that the object owns the replica count of its target in each member, between the numbers at these
	// paths.
	Scales *ScalesRule `json:"scales,omitempty"`
}

// ScalesRule describes the bounds between which the target is scaled.
type ScalesRule struct {
	// Min is the path of the lowest replica count.
	// +kubebuilder:validation:MinLength=1
	Min string `json:"min"`
	// MinDefault is the lowest replica count when the path is not set. The default is 1.
	// +kubebuilder:validation:Minimum=0
	MinDefault *int64 `json:"minDefault,omitempty"`
	// Max is the path of the highest replica count.
	// +kubebuilder:validation:MinLength=1
	Max string `json:"max"`
	// MaxDefault is the highest replica count when the path is not set. The default is 1.
	// +kubebuilder:validation:Minimum=1
	MaxDefault *int64 `json:"maxDefault,omitempty"`
}

// HealthRule is one case of the health check.
type HealthRule struct {
	// When is an expression (bool) that decides whether the case holds. When it is absent, the case always holds.
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`
	// Is the health in this case: Healthy, Progressing, Degraded or Unknown.
	// +kubebuilder:validation:Enum=Healthy;Progressing;Degraded;Unknown
	Is string `json:"is"`
	// Message is an expression (string) that explains what is wrong or what the object waits for.
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
}

// StatusRule describes what the hub collects from the members.
type StatusRule struct {
	// Reflect lists the fields of .status that a Distribution keeps for each member. The default is the whole status
	// when it is small, and its scalars and conditions otherwise. At most 64 entries.
	// +kubebuilder:validation:MaxItems=64
	Reflect []string `json:"reflect,omitempty"`
	// Aggregate lists how fields of .status add up on the template. A field without an entry is copied when all
	// members agree. Conditions are united, and observedGeneration is the generation of the template once all members
	// have observed it. At most 64 entries.
	// +kubebuilder:validation:MaxItems=64
	Aggregate []AggregateRule `json:"aggregate,omitempty"`
}

// AggregateRule describes how one field adds up.
//
// +kubebuilder:validation:XValidation:rule="has(self.how) != has(self.value)",message="set either how or value"
// +kubebuilder:validation:XValidation:rule="(has(self.how) && self.how == 'Worst') == has(self.order)",message="order goes with how: Worst",fieldPath=.order
type AggregateRule struct {
	// Field of .status, with or without the leading .status.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Field string `json:"field"`
	// How the field adds up: Sum, Min, Max (numbers), Earliest, Latest (times), All, Any (bools), Worst (the text
	// that comes first in order), Union (lists; each element once), First (of the first member by name that has it)
	// or Drop.
	// +kubebuilder:validation:Enum=Sum;Min;Max;Earliest;Latest;All;Any;Worst;Union;First;Drop
	How string `json:"how,omitempty"`
	// Order lists texts for Worst from the worst to the best. A text that is not in the list is better than all that
	// are. At most 64 entries.
	// +kubebuilder:validation:MaxItems=64
	Order []string `json:"order,omitempty"`
	// Value is an expression for what no other rule can express. It sees template (the object on the hub), members (a
	// list with cluster, known, ready, desired, health, message and status) and observedGeneration (int).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value,omitempty"`
}

// KindRuleStatus reports whether a rule is in force.
type KindRuleStatus struct {
	// ObservedGeneration is the generation of the spec that this status describes.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions has the type InForce.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// KindRuleInForce is the condition that the hub goes by the rule.
const KindRuleInForce = "InForce"

// KindRuleList is a list of KindRules.
//
// +kubebuilder:object:root=true
type KindRuleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KindRule `json:"items"`
}
