package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// KindRule teaches the hub a custom kind: where its replicas are, what it needs, which fields are the member's, when
// it is healthy, and how the members' statuses add up. What it leaves out keeps the generic behaviour of custom
// resources. Its name is the kind in small letters, a dot and the group (rollout.argoproj.io), so that a kind has one
// rule; it replaces, as a whole, the rule that the hub ships for the kind.
//
// Paths are dotted (.spec.replicas); [*] stands for every element of a list or map, ['a.b'] for a key with dots.
// Expressions are CEL with optional values and the string functions of cel-go, and condition(object, 'Ready'), which
// gives the condition of that type with status, reason and message, each empty when there is none. They see object,
// and what their field says besides; an evaluation may cost 100,000 units.
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
	// Status tells whether the rule is in force.
	Status KindRuleStatus `json:"status,omitempty"`
}

// KindRuleSpec is what is known of one kind.
//
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'Divide' || has(self.replicas) || has(self.numbers)",message="a kind is divided by its replicas or by numbers: set one of them, or another mode",fieldPath=.mode
type KindRuleSpec struct {
	// Group of the kind, such as argoproj.io. Kinds of Kubernetes itself cannot be taught.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Group string `json:"group"`
	// Kind as it stands in objects, such as Rollout.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// Mode is how the kind is spread when a placement does not say. Default: Follows when follows is set, Divide when
	// replicas is set, else Duplicate.
	// +kubebuilder:validation:Enum=Divide;Duplicate;One;Follows
	Mode KindMode `json:"mode,omitempty"`
	// Replicas is the number that a Divide splits.
	Replicas *ReplicasRule `json:"replicas,omitempty"`
	// Numbers are divided beside the replicas, in the same ratio.
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=path
	Numbers []NumberRule `json:"numbers,omitempty"`
	// Pods are the pod specifications in the object: what one replica asks of a cluster, and which ConfigMaps, Secrets,
	// ServiceAccounts and claims it needs. Default: .spec.template.spec, if there are containers.
	// +kubebuilder:validation:MaxItems=16
	Pods []PodsRule `json:"pods,omitempty"`
	// Dependencies are other objects that it needs in the same member.
	// +kubebuilder:validation:MaxItems=32
	Dependencies []DependencyRule `json:"dependencies,omitempty"`
	// Follows: the object goes where another one is.
	Follows *FollowsRule `json:"follows,omitempty"`
	// Retain are paths that the member owns: they are never sent.
	// +kubebuilder:validation:MaxItems=64
	Retain []string `json:"retain,omitempty"`
	// ObservedGeneration is an expression (int): the generation that the member's controller has seen. Default:
	// .status.observedGeneration, as a number or as text; a controller that does not tell counts as up to date.
	// +kubebuilder:validation:MaxLength=4096
	ObservedGeneration string `json:"observedGeneration,omitempty"`
	// Health is judged by the first case that holds; without one the object is Progressing. An object whose present
	// generation has not been seen, or that is being deleted, is Progressing before any case is looked at. Default: the
	// conventions of custom resources (Ready-like conditions, a phase).
	// +kubebuilder:validation:MaxItems=32
	Health []HealthRule `json:"health,omitempty"`
	// Status is what comes back from the members.
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

// ReplicasRule is where replicas are: at a path, or in what two expressions make of it.
//
// +kubebuilder:validation:XValidation:rule="has(self.path) != has(self.get)",message="set either path, or get and set"
// +kubebuilder:validation:XValidation:rule="has(self.get) == has(self.set)",message="get and set go together: what is counted must be written back"
type ReplicasRule struct {
	// Path of the number.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path,omitempty"`
	// Default when the path is not set. Default 1.
	// +kubebuilder:validation:Minimum=0
	Default *int64 `json:"default,omitempty"`
	// Get is an expression (int) over the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Get string `json:"get,omitempty"`
	// Set is an expression that sees replicas (int), the member's share, and gives a merge patch (RFC 7396) for the
	// object, such as {'spec': {'workers': replicas}}.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Set string `json:"set,omitempty"`
	// Ready is an expression (int): how many serve, in a member's object. Default: .status.readyReplicas, else what the
	// definition's scale subresource says.
	// +kubebuilder:validation:MaxLength=4096
	Ready string `json:"ready,omitempty"`
}

// NumberRule is one number that is divided.
type NumberRule struct {
	// Path of the number. Percentages and zero are copied.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path"`
	// Floor is the least that a member gets, even if the sum then exceeds the template's. Default 0.
	// +kubebuilder:validation:Minimum=0
	Floor int64 `json:"floor,omitempty"`
}

// PodsRule is one or several pod specifications.
type PodsRule struct {
	// Path of the pod specification.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path"`
	// Count is the path of how many such pods there are, with the same wildcards as path. Default 1 of each.
	// +kubebuilder:validation:MaxLength=512
	Count string `json:"count,omitempty"`
}

// DependencyRule is a kind of objects that are needed.
type DependencyRule struct {
	// APIVersion of the needed objects. Default v1.
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the needed objects.
	// +kubebuilder:validation:MinLength=1
	Kind string `json:"kind"`
	// Names is an expression: the names of the needed objects, a list of strings. Empty names are left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Names string `json:"names"`
	// ClusterScoped: the needed objects are in no namespace. Default: they are in the object's own.
	ClusterScoped bool `json:"clusterScoped,omitempty"`
	// Optional: the object works without them.
	Optional bool `json:"optional,omitempty"`
}

// FollowsRule names what the object follows.
type FollowsRule struct {
	// Target is the path of a reference with apiVersion, kind and name, in the object's own namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Target string `json:"target"`
	// APIVersion and Kind of the target when the reference does not say. Default apps/v1 and Deployment.
	// +kubebuilder:default=apps/v1
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the target when the reference does not say.
	// +kubebuilder:default=Deployment
	Kind string `json:"kind,omitempty"`
	// Scales: in each member the object owns the replica count of its target, between the numbers at these paths.
	Scales *ScalesRule `json:"scales,omitempty"`
}

// ScalesRule says between which numbers the target is scaled.
type ScalesRule struct {
	// Min is the path of the least.
	// +kubebuilder:validation:MinLength=1
	Min string `json:"min"`
	// MinDefault is the least when the path is not set. Default 1.
	// +kubebuilder:validation:Minimum=0
	MinDefault *int64 `json:"minDefault,omitempty"`
	// Max is the path of the most.
	// +kubebuilder:validation:MinLength=1
	Max string `json:"max"`
	// MaxDefault is the most when the path is not set. Default 1.
	// +kubebuilder:validation:Minimum=1
	MaxDefault *int64 `json:"maxDefault,omitempty"`
}

// HealthRule is one case of a judgement.
type HealthRule struct {
	// When is an expression (bool). Default: the case always holds.
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`
	// Is the judgement.
	// +kubebuilder:validation:Enum=Healthy;Progressing;Degraded;Unknown
	Is string `json:"is"`
	// Message is an expression (string) that says what is wrong or awaited.
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
}

// StatusRule is what comes back.
type StatusRule struct {
	// Reflect names the fields of .status that a Distribution keeps for each member. Default: all of a small status, of
	// a big one its scalars and conditions.
	// +kubebuilder:validation:MaxItems=64
	Reflect []string `json:"reflect,omitempty"`
	// Aggregate says how fields of .status add up on the template. A field without a rule is copied where all members
	// say the same; conditions are united; observedGeneration is the template's once all members have observed it.
	// +kubebuilder:validation:MaxItems=64
	Aggregate []AggregateRule `json:"aggregate,omitempty"`
}

// AggregateRule is how one field adds up.
//
// +kubebuilder:validation:XValidation:rule="has(self.how) != has(self.value)",message="set either how or value"
// +kubebuilder:validation:XValidation:rule="(has(self.how) && self.how == 'Worst') == has(self.order)",message="order goes with how: Worst",fieldPath=.order
type AggregateRule struct {
	// Field of .status, with or without the leading .status.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Field string `json:"field"`
	// How it adds up: Sum, Min, Max (numbers), Earliest, Latest (times), All, Any (bools), Worst (the text that comes
	// first in order), Union (of lists, each element once), First (of the first member by name that has it), Drop.
	// +kubebuilder:validation:Enum=Sum;Min;Max;Earliest;Latest;All;Any;Worst;Union;First;Drop
	How string `json:"how,omitempty"`
	// Order of texts for Worst, from the worst to the best; a text that is not in it is better than all.
	// +kubebuilder:validation:MaxItems=64
	Order []string `json:"order,omitempty"`
	// Value is an expression for what cannot be said so. It sees template (the object on the hub), members (a list with
	// cluster, known, ready, desired, health, message and status each) and observedGeneration (int).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value,omitempty"`
}

// KindRuleStatus tells what became of the rule.
type KindRuleStatus struct {
	// ObservedGeneration is the generation of the spec that this status speaks of.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: InForce.
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
