package placement

import (
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// Input is everything a decision depends on. Decide reads it and never writes to it, so the slices may be shared
// between goroutines and calls.
type Input struct {
	Object   Object
	Policy   Policy
	Clusters []Cluster
	// Previous is what was decided before and what became of it; nil for a first decision.
	Previous *Previous
	// Now is compared with the times in Clusters.
	Now time.Time
	// Sight says how far the facts about clusters out of reach can be relied on. The zero value relies on all of them.
	Sight Sight
	// Explain asks for a rejection of every cluster that no term chooses, too; otherwise they are only counted.
	Explain bool
}

// Sight is how well whoever gathers the facts sees the clusters. One who was cut off himself has seen every cluster go.
type Sight struct {
	// Since is the start of the present, uninterrupted view: a cluster counts as out of reach from then at the earliest.
	Since time.Time
	// Blind says that no cluster can be seen: none counts as lost, however long it is out of reach.
	Blind bool
	// Steps bounds how many replicas of lost clusters move at once, as when many clusters look lost; nil means no bound
	// beyond Policy.Failover.
	Steps *Moves
}

// Mode is how the copies of an object relate to each other.
type Mode string

const (
	// ModeDivide splits the replicas between the clusters.
	ModeDivide Mode = "Divide"
	// ModeDuplicate gives each cluster the whole object with all its replicas.
	ModeDuplicate Mode = "Duplicate"
	// ModeOne puts the whole object into exactly one cluster, never two at a time.
	ModeOne Mode = "One"
	// ModeAll is ModeDuplicate for objects that count no replicas, and ignores capacity and tiers: every chosen
	// cluster has it (DaemonSet, ConfigMap).
	ModeAll Mode = "All"
)

// Object is what is placed.
type Object struct {
	// Key names the object for people and seeds the hashes: "apps/Deployment/shop/web".
	Key string
	// API must be served by a cluster for the object to live there.
	API API
	// Mode is the rule of the object's kind; Policy.Replicas overrides it.
	Mode Mode
	// Replicas is the wanted number; meaningful when HasReplicas.
	Replicas    int64
	HasReplicas bool
	// Requests is what one replica asks for.
	Requests Resources
	// ReadyAtOnce says that the object has no readiness of its own, so moves need not wait for it.
	ReadyAtOnce bool
}

// API is a group, version and kind that a cluster may serve.
type API struct{ Group, Version, Kind string }

// Resources is an amount of what replicas use. Zero means none asked for, or none free.
type Resources struct {
	MilliCPU int64 // thousandths of a core
	Memory   int64 // bytes
	Pods     int64 // a replica without Pods counts as one
	Extended map[string]int64
}

// Policy is the placement.
type Policy struct {
	// Terms choose the clusters; none means every cluster with weight 1.
	Terms []Term
	// Replicas overrides the kind's mode; empty keeps it.
	Replicas Mode
	// By is where the votes of a division come from; empty means ByWeight.
	By By
	// Pack is PackSpread (also when empty) or PackFill.
	Pack Pack
	// Spread asks for minima and maxima of groups of clusters, all of them at once.
	Spread      []Spread
	Tolerations []Toleration
	// Rebalance is when running replicas may move; empty means RebalanceScale.
	Rebalance Rebalance
	// MaxMoves bounds the replicas on the move at once; nil means no bound.
	MaxMoves *Moves
	Failover Failover
	// Overflow is what becomes of replicas that fit nowhere; empty means OverflowNone.
	Overflow Overflow
}

// Term chooses clusters. Of Names, Selector and Expression, those that are set must all hold; with none set the term
// means every cluster.
type Term struct {
	Names      []string
	Selector   labels.Selector
	Expression *Program
	// Weight is each matching cluster's claim; nil means 1, and 0 chooses the cluster for nothing.
	Weight *int64
	// Min and Max bound each matching cluster's replicas; nil means 0 and no bound.
	Min, Max *int64
	// Tier above the lowest is used only for what the lower tiers cannot hold.
	Tier int
}

// By says where the votes of a division come from.
type By string

const (
	// ByWeight divides by the terms' weights, within capacity where it is known.
	ByWeight By = "Weight"
	// ByCapacity divides by how many replicas a cluster can hold; the terms' weights only say yes or no.
	ByCapacity By = "Capacity"
	// ByWeightAndCapacity divides by the product of both.
	ByWeightAndCapacity By = "WeightAndCapacity"
)

// Pack says how many clusters to use.
type Pack string

const (
	// PackSpread gives every chosen cluster its share.
	PackSpread Pack = "Spread"
	// PackFill uses as few clusters as possible: those in use first, then the roomiest, then the heaviest.
	PackFill Pack = "Fill"
)

// Spread bounds the number of groups in use. A cluster that does not tell the key's value is in no group, and is
// passed over.
type Spread struct {
	// By is "cluster", "region", "zone", "provider" or "label:<key>". A cluster in several zones counts for each.
	By string
	// Min and Max are the fewest and the most groups with at least one replica; nil means no bound. Min is never
	// more than there are replicas.
	Min, Max *int
	// WhenUnsatisfiable says what happens when Min cannot be reached; empty means SpreadBlocks.
	WhenUnsatisfiable WhenUnsatisfiable
}

// WhenUnsatisfiable uses the words of Kubernetes' topology spread constraints.
type WhenUnsatisfiable string

const (
	// SpreadBlocks places nothing new, fails nothing over and moves nothing; what runs stays.
	SpreadBlocks WhenUnsatisfiable = "DoNotSchedule"
	// SpreadBestEffort comes as near to Min as it can.
	SpreadBestEffort WhenUnsatisfiable = "ScheduleAnyway"
)

// Rebalance says when running replicas may move.
type Rebalance string

const (
	// RebalanceNever moves nothing that runs in a reachable, chosen cluster.
	RebalanceNever Rebalance = "Never"
	// RebalanceScale moves what must move and lets scaling even out the rest.
	RebalanceScale Rebalance = "Scale"
	// RebalanceAlways walks to the ideal division.
	RebalanceAlways Rebalance = "Always"
)

// Moves bounds how many replicas move at once: Number, or Percent of the wanted replicas rounded up. At least one
// always may move.
type Moves struct{ Number, Percent int64 }

// Failover says when a cluster out of reach counts as lost.
type Failover struct {
	// After is how long it may be out of reach; 0 means DefaultFailoverAfter, negative means for ever.
	After time.Duration
	// ComeBack lets a cluster that returned pull its share back.
	ComeBack bool
}

// DefaultFailoverAfter is the patience with a cluster out of reach when the placement names none.
const DefaultFailoverAfter = time.Minute

// Overflow says what becomes of replicas that fit nowhere.
type Overflow string

const (
	// OverflowNone leaves them unplaced.
	OverflowNone Overflow = "None"
	// OverflowPending divides them by weight all the same, for clusters that grow when pods are pending.
	OverflowPending Overflow = "Pending"
)

// Effect is what a taint does to replicas that do not tolerate it.
type Effect string

const (
	// NoSchedule lets nothing new in.
	NoSchedule Effect = "NoSchedule"
	// NoExecute also moves away what is there, after the toleration's seconds.
	NoExecute Effect = "NoExecute"
)

// DrainTaint is the key of the NoExecute taint that an operator's drain puts on a cluster. Who does not tolerate it is
// moved away as from a cluster that is Draining: what nobody else can take stays.
const DrainTaint = "hanse.io/drained"

// Taint keeps replicas off a cluster.
type Taint struct {
	Key, Value string
	Effect     Effect
	// TimeAdded starts the seconds of tolerations.
	TimeAdded time.Time
}

// Toleration lets an object bear taints. An empty Key bears all, an empty Effect both effects.
type Toleration struct {
	Key, Value string
	// Exists bears every value of the key.
	Exists bool
	Effect Effect
	// Seconds limits how long a NoExecute taint is borne; nil means for ever. In that time what is there stays, and
	// nothing new comes.
	Seconds *int64
}

// Cluster is what is known of one member.
type Cluster struct {
	// Name is unique.
	Name             string
	Labels           map[string]string
	Region, Provider string
	Zones            []string
	Taints           []Taint
	// Ready says that the member answers and is healthy, Since from when that (or its contrary) holds. A cluster
	// that is not Ready with a zero Since is never counted as lost.
	Ready bool
	Since time.Time
	// Trouble says why it is not Ready, such as "none of its nodes is ready"; empty means that it is out of reach.
	Trouble string
	// Cordoned gets nothing new; Draining is also emptied; to Paused nothing is written, it keeps what it has.
	Cordoned, Draining, Paused bool
	// NotPermitted says why the author of the placement may not use the cluster; empty if they may. It keeps what it has,
	// and gets nothing new.
	NotPermitted string
	// APIs is what the member serves; nil means not known, which is no reason to pass it over.
	APIs map[API]bool
	// Free is what new replicas can use, by node or for the cluster as one; nil means not known, which is no limit.
	Free []Room
}

// Room is the free room of a number of like nodes. For a cluster whose nodes are not known use one Room with Nodes 1.
type Room struct {
	Resources
	Nodes int64
}

// Previous is the last decision and what became of it.
type Previous struct {
	// Clusters holds each cluster the object was given to, sorted by name or not.
	Clusters []Assignment
	// Surge and Away are those of the last decision.
	Surge int64
	Away  []string
}

// Assignment is what one cluster was given, and how it is doing there.
type Assignment struct {
	Name     string
	Replicas int64
	// Moving is that of the last decision's share. A move under way is finished before the shares are judged again;
	// who changes the placement leaves it out.
	Moving int64
	// Ready is how many of them are ready, as last seen.
	Ready int64
	// Unschedulable is how many of them the member has not been able to run for a while.
	Unschedulable int64
}
