package kinds

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Mode is how a kind is spread over the chosen members when the placement does not say.
type Mode string

// The modes.
const (
	// Divide splits Replicas and Numbers over the members; the sum is the template's.
	Divide Mode = "Divide"
	// Duplicate gives every chosen member the whole object.
	Duplicate Mode = "Duplicate"
	// One gives the whole object to exactly one member.
	One Mode = "One"
	// Follows places the object where its target, or the workload that refers to it, is.
	Follows Mode = "Follows"
	// Local objects are the business of one API server and never travel (events, leases, nodes, endpoints).
	Local Mode = "Local"
)

// Health is the judgement over one object in one member.
type Health string

// The states of health.
const (
	Healthy     Health = "Healthy"
	Progressing Health = "Progressing"
	Degraded    Health = "Degraded"
	// Unknown: the kind does not tell, or the member has not told.
	Unknown Health = "Unknown"
)

// Ref names an object that another one needs or targets. Namespace is empty for cluster-scoped kinds.
type Ref struct {
	schema.GroupKind
	Namespace, Name string
	// Optional: the referring object works without it.
	Optional bool
}

// Target is what an object follows: one object by name, or all workloads of its namespace whose pod labels match.
// Exactly one of Ref and Selector is set.
type Target struct {
	Ref      *Ref
	Selector *metav1.LabelSelector
}

// Number is a number of a template that is divided beside the replicas, in the same ratio.
type Number struct {
	// Key names it in Share.Numbers; for people it reads as the field's path.
	Key string
	// Value is what the template says, in units that are Render's own affair.
	Value int64
	// Floor is the least a member may get, even if the sum then exceeds Value.
	Floor int64
	// Fixed: the API server refuses another number once an object has one.
	Fixed bool

	set func(obj map[string]any, share int64) error
}

// Share is one member's part of a template. The zero Share means: the whole object.
type Share struct {
	// Cluster is the member's name, for error messages.
	Cluster string
	// Replicas is the member's part of Rule.Replicas; nil leaves the template's number.
	Replicas *int64
	// Autoscaled: an autoscaler in the member owns the replica count; Render leaves it out.
	Autoscaled bool
	// OrdinalStart is the first ordinal of a StatefulSet's block in this member; nil leaves the template's.
	OrdinalStart *int32
	// Numbers are the member's parts of Rule.Numbers by their key; what is missing is copied whole.
	Numbers map[string]int64
}

// Requests is what one replica asks of a cluster.
type Requests struct {
	MilliCPU         int64
	Memory           int64 // bytes
	EphemeralStorage int64 // bytes
	// Extended resources (nvidia.com/gpu …) in units.
	Extended map[string]int64
}

// MemberStatus is what the hub knows of a template in one member.
type MemberStatus struct {
	Cluster string
	// Known is false while the member cannot be reached; all other fields then hold the last known values.
	Known    bool
	LastSeen time.Time

	// TemplateGeneration is the hub generation of the template that was last applied there.
	TemplateGeneration int64
	// Generation is the newest generation known of the member's object: from the answer of the apply or from the
	// cache, whichever is higher, so that a cache that lags behind an apply cannot make it look observed.
	Generation int64
	// ObservedGeneration is what the member's controller says it has seen.
	ObservedGeneration int64

	// Ready and Desired count replicas; both are 0 for kinds without.
	Ready, Desired int64
	Health         Health
	Message        string
	// Status is the trimmed status, as Reflect gave it; nil when nothing has been collected.
	Status map[string]any
}

// Scale says where a custom resource keeps its replicas, from its CustomResourceDefinition's scale subresource.
// Paths are dotted, with or without the leading dot (".spec.replicas").
type Scale struct {
	SpecReplicas   string
	StatusReplicas string
}

// Rule is what is known of one kind. Empty fields take the generic behaviour; the table in rules.go reads as
// documentation because of it.
type Rule struct {
	step step
	// mode is the default distribution; modeOf overrides it where the object decides.
	mode   Mode
	modeOf func(obj map[string]any) Mode

	// replicas is the path of the divided number; unset counts as 1.
	replicas []string
	// scales: objects of the kind change the replicas of what they follow.
	scales bool
	// podSpec is the path of the pod specification.
	podSpec []string
	numbers func(obj map[string]any) []Number

	// allocated are fields that are never a user's wish for a member; they are not sent. What a member allocates unless
	// the user says it (a volume, a node, an address, a port) is not among them: it is sent if the template sets it, and
	// stays the member's if not.
	allocated [][]string
	// clean removes what a list of paths cannot say.
	clean func(obj map[string]any)
	// halt changes an object of which the template's status says that it is to end; it tells whether it is.
	halt func(template, obj map[string]any) bool
	// due is when time alone changes the sum; false when it does not.
	due func(template map[string]any) (time.Time, bool)
	// ended tells from the template that its work is done for good.
	ended func(obj map[string]any) bool
	// fit mends an object after its shares are set, where numbers limit one another.
	fit func(obj map[string]any, share Share) error

	refs func(obj map[string]any, namespace string) []Ref
	// unfollowed says which references in an object are of kinds that do not follow it.
	unfollowed func(obj map[string]any) []string
	follows    func(obj map[string]any, namespace string) (Target, bool)

	// status are the fields of .status that are reflected; nil means the generic choice.
	status []string
	// keep are paths outside .status that Ready and Health read.
	keep  [][]string
	ready func(obj map[string]any) (ready, desired int64)
	// isSilent: controllers of the kind need not say which generation they have seen.
	isSilent bool
	health   func(obj map[string]any) (Health, string)

	aggregate func(in aggregation) map[string]any
	// assign fills in what, in one cluster, the API server or a controller writes into the specification.
	assign func(in aggregation) map[string]any
	// scale of a custom resource: path of its replicas in the status.
	statusReplicas []string
	// bounds are the numbers between which an object that scales keeps the replicas of its target.
	bounds func(obj map[string]any) (least, most int64)
	// lesson is what was taught about a custom resource; nil for all other kinds.
	lesson *Lesson
}

// For looks up the rule of a kind; kinds not in the table get the generic one.
func For(gk schema.GroupKind) Rule {
	if rule, known := rules[gk]; known {
		return rule
	}
	if gk.Group == v1alpha1.GroupVersion.Group {
		return local // our own kinds are the hub's
	}
	return generic
}

// Of is For with the object's own group and kind.
func Of(obj *unstructured.Unstructured) Rule { return For(obj.GroupVersionKind().GroupKind()) }

// IsKnown tells whether the kind has a rule of its own.
func IsKnown(gk schema.GroupKind) bool {
	_, known := rules[gk]
	return known
}

// WithScale returns the rule for a custom resource with a scale subresource: it is divided by that number. A kind
// that has a rule of its own about its replicas, or its mode, keeps it.
func (r Rule) WithScale(scale Scale) Rule {
	path := splitPath(scale.SpecReplicas)
	if len(r.statusReplicas) == 0 && r.hasReplicas() && r.ready == nil {
		r.statusReplicas = splitPath(scale.StatusReplicas)
	}
	if len(path) == 0 || r.hasReplicas() || r.mode != "" {
		return r
	}
	r.mode, r.replicas, r.statusReplicas = Divide, path, splitPath(scale.StatusReplicas)
	return r
}

// Mode is the default distribution of this object.
func (r Rule) Mode(obj *unstructured.Unstructured) Mode {
	switch {
	case r.modeOf != nil:
		return r.modeOf(obj.Object)
	case r.mode == "":
		return Duplicate
	default:
		return r.mode
	}
}

// Replicas is the number that a Divide splits; has is false for kinds without one. A Divide kind without replicas
// (ResourceQuota) has only Numbers, to be divided by the placement's weights.
func (r Rule) Replicas(obj *unstructured.Unstructured) (n int64, has bool) {
	if !r.hasReplicas() {
		return 0, false
	}
	return r.replicasOf(obj.Object), true
}

// Numbers are the template's other numbers that are divided in the ratio of the shares, in a stable order.
func (r Rule) Numbers(template *unstructured.Unstructured) []Number {
	if r.numbers == nil {
		return nil
	}
	return r.numbers(template.Object)
}

// Follows tells what the object follows; false when it follows nothing by itself (a PersistentVolumeClaim has Mode
// Follows but is found from the workload's side, by Dependencies).
func (r Rule) Follows(obj *unstructured.Unstructured) (Target, bool) {
	if r.follows == nil {
		return Target{}, false
	}
	return r.follows(obj.Object, obj.GetNamespace())
}

// Scales reports whether objects of this kind own the replica count of what they follow, in each member:
// Share.Autoscaled.
func (r Rule) Scales() bool { return r.scales }

// Bounds are the numbers between which an object that Scales keeps the replicas of its target; both are 0 for others.
func (r Rule) Bounds(obj *unstructured.Unstructured) (least, most int64) {
	if r.bounds == nil {
		return 0, 0
	}
	return r.bounds(obj.Object)
}

// Ready counts a member object's replicas that serve and those that should; both are 0 for kinds without replicas.
func (r Rule) Ready(member *unstructured.Unstructured) (ready, desired int64) {
	if r.ready == nil {
		return r.genericReady(member.Object)
	}
	return r.ready(member.Object)
}

// Health judges a member's object; the message says what is wrong or awaited, and is empty when healthy.
func (r Rule) Health(member *unstructured.Unstructured) (Health, string) {
	if member.GetDeletionTimestamp() != nil {
		return Progressing, "is being deleted"
	}
	if r.health == nil {
		return genericHealth(member.Object)
	}
	return r.health(member.Object)
}

// Observe collects what a member's object tells. The caller adds TemplateGeneration and LastSeen.
func (r Rule) Observe(cluster string, member *unstructured.Unstructured) MemberStatus {
	ready, desired := r.Ready(member)
	health, message := r.Health(member)
	return MemberStatus{
		Cluster:            cluster,
		Known:              true,
		Generation:         member.GetGeneration(),
		ObservedGeneration: r.observed(member),
		Ready:              ready,
		Desired:            desired,
		Health:             health,
		Message:            message,
		Status:             r.Reflect(member),
	}
}

// Sums reports whether the status of a template of this kind is the members' to write: see Aggregate.
func (r Rule) Sums() bool { return r.aggregate != nil }

// Assign is a merge patch (RFC 7396) for a template whose kind has fields outside the status that somebody waits for,
// and that one cluster fills in by itself; nil when there is nothing to fill in.
func (r Rule) Assign(template *unstructured.Unstructured, members []MemberStatus, now time.Time) map[string]any {
	if r.assign == nil {
		return nil
	}
	return r.assign(newAggregation(r, template, members, now))
}

// IsHalted reports whether the template's status, not only its specification, changes what members are sent.
func (r Rule) IsHalted(template *unstructured.Unstructured) bool {
	return r.halt != nil && r.halt(template.Object, map[string]any{})
}

// observed is the generation that the member's controller has seen. One of which nothing is told counts as seen where
// nobody tells: the autoscalers of Kubernetes before 1.37, and many custom resources.
func (r Rule) observed(member *unstructured.Unstructured) int64 {
	observed, says := observedOf(member.Object)
	if r.lesson != nil {
		observed, says = r.lesson.observed(member.Object)
	}
	if !says && (r.lesson != nil || r.isSilent) && len(mapAt(member.Object, "status")) > 0 {
		return member.GetGeneration()
	}
	return observed
}

// Due is when time alone changes what Aggregate says of a template; false when nothing of the kind is to come.
func (r Rule) Due(template *unstructured.Unstructured) (time.Time, bool) {
	if r.due == nil {
		return time.Time{}, false
	}
	return r.due(template.Object)
}

// Aggregate adds up the members' statuses to the template's own .status. It returns the whole new status, or nil when
// this kind's status is not the members' to write, or nothing has been collected yet. The template's present
// status is read so that a condition's lastTransitionTime moves only when the condition does.
func (r Rule) Aggregate(template *unstructured.Unstructured, members []MemberStatus, now time.Time) map[string]any {
	if r.aggregate == nil {
		return nil
	}
	return r.aggregate(newAggregation(r, template, members, now))
}
