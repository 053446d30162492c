package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Cluster is a member: a Kubernetes cluster that joined the hub. Its name is a DNS label and the cluster ID in
// clusterset names.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=cl,categories=hanse
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name=Reason,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name=Version,type=string,JSONPath=`.status.kubernetesVersion`
// +kubebuilder:printcolumn:name=Nodes,type=integer,JSONPath=`.status.nodes.ready`
// +kubebuilder:printcolumn:name=Region,type=string,JSONPath=`.spec.region`
// +kubebuilder:printcolumn:name=Provider,type=string,priority=1,JSONPath=`.spec.provider`
// +kubebuilder:printcolumn:name=Last Seen,type=date,priority=1,JSONPath=`.status.lastSeen`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",message="metadata.name must be a DNS label (at most 63 of a-z, 0-9 and -): it becomes part of DNS names"
type Cluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec describes the member and how the hub reaches it.
	Spec ClusterSpec `json:"spec,omitempty"`
	// Status reports what the hub knows about the member. The hub writes it.
	Status ClusterStatus `json:"status,omitempty"`
}

// ClusterSpec describes a member and how the hub reaches it.
type ClusterSpec struct {
	// Region of the member, for example eu-west-1. It is optional.
	// +kubebuilder:validation:MaxLength=63
	Region string `json:"region,omitempty"`
	// Zones lists the zones of the nodes of the member. At most 64 entries.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Zones []string `json:"zones,omitempty"`
	// Provider of the member, for example aws.
	// +kubebuilder:validation:MaxLength=63
	Provider string `json:"provider,omitempty"`
	// Location of the member for DNS answers by distance. It is optional.
	Location *Location `json:"location,omitempty"`
	// Taints keep templates away that do not tolerate them, or evict their copies. At most 64 entries.
	// +kubebuilder:validation:MaxItems=64
	Taints []Taint `json:"taints,omitempty"`
	// Connection describes how the hub reaches the member.
	Connection Connection `json:"connection,omitempty"`
	// Paused stops all writes to the member. It keeps what it has. The default is false.
	Paused bool `json:"paused,omitempty"`
	// Unschedulable (cordoned) means that the member keeps what it has and gets nothing new. The default is false.
	Unschedulable bool `json:"unschedulable,omitempty"`
}

// Location is a point on the earth.
type Location struct {
	// Latitude in degrees, north positive.
	// +kubebuilder:validation:Minimum=-90
	// +kubebuilder:validation:Maximum=90
	Latitude float64 `json:"latitude"`
	// Longitude in degrees, east positive.
	// +kubebuilder:validation:Minimum=-180
	// +kubebuilder:validation:Maximum=180
	Longitude float64 `json:"longitude"`
}

// Taint marks a member, as the taint of a node marks a node.
type Taint struct {
	// Key of the taint.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	Key string `json:"key"`
	// Value of the taint. It may be empty.
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value,omitempty"`
	// Effect of the taint: NoSchedule gives nothing new to the member, NoExecute also moves what runs there.
	// +kubebuilder:validation:Enum=NoSchedule;NoExecute
	Effect corev1.TaintEffect `json:"effect"`
	// TimeAdded is the time at which the taint was set. The tolerationSeconds of a placement count from it. The hub
	// sets it.
	TimeAdded *metav1.Time `json:"timeAdded,omitempty"`
}

// Connection says how the hub reaches a member: it dials the member's API server (server), or the member's agent
// dials the hub (tunnel).
//
// +kubebuilder:validation:XValidation:rule="!(has(self.server) && has(self.tunnel))",message="set either server or tunnel, not both"
// +kubebuilder:validation:XValidation:rule="!(has(self.caBundle) && has(self.insecureSkipTLSVerify) && self.insecureSkipTLSVerify)",message="caBundle and insecureSkipTLSVerify exclude each other"
type Connection struct {
	// Server is the https URL of the member's API server. Plain http is refused: it would carry the hub's credentials in
	// clear text.
	// +kubebuilder:validation:Pattern=`^https://`
	// +kubebuilder:validation:MaxLength=2048
	Server string `json:"server,omitempty"`
	// Tunnel: the member's agent dials the hub.
	Tunnel *Tunnel `json:"tunnel,omitempty"`
	// CABundle (PEM) that signs the member's serving certificate; the system's roots if absent.
	CABundle []byte `json:"caBundle,omitempty"`
	// InsecureSkipTLSVerify accepts any serving certificate. The status says so loudly.
	InsecureSkipTLSVerify bool `json:"insecureSkipTLSVerify,omitempty"`
	// TLSServerName to verify the serving certificate against, when it is not the server's host name.
	TLSServerName string `json:"tlsServerName,omitempty"`
	// Credentials the hub shows to the member.
	Credentials Credentials `json:"credentials,omitempty"`
	// ProxyURL of an HTTP or SOCKS5 proxy between hub and member.
	// +kubebuilder:validation:Pattern=`^(https?|socks5)://`
	ProxyURL string `json:"proxyURL,omitempty"`
}

// Tunnel is a connection that the agent of the member opens to the hub.
type Tunnel struct{}

// Credentials identifies the Secret with the credentials of the hub for the member.
type Credentials struct {
	// SecretName in the namespace hanse-system of the hub. Keys: token, or tls.crt and tls.key, or kubeconfig
	// (for exec plugins).
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`
}

const (
	// ClusterConditionReady is True while the member's API server answers and our account may work there.
	ClusterConditionReady = "Ready"
	// ClusterConditionReachable is False while nothing answers that could be the member's API server: only then does the
	// member count as lost. It is True also when the answers are of no use, such as errors or a web page.
	ClusterConditionReachable = "Reachable"
	// ClusterConditionAuthorized is False while the member refuses the hub's account, and Unknown while it cannot be asked.
	ClusterConditionAuthorized = "Authorized"
	// ClusterConditionHealthy is False while the member has nodes and none of them is ready: what runs there counts as
	// lost. While the nodes cannot be seen it stays as it was.
	ClusterConditionHealthy = "Healthy"
	// ClusterConditionLeftovers is True while the member has objects that carry this hub's mark and that the hub knows
	// nothing of; there is no such condition when there are none.
	ClusterConditionLeftovers = "Leftovers"
	// ClusterConditionTooMuch is True while the member sends more than the hub takes from one member; the message names the
	// kinds. What was known of them before stays known; other kinds and other members are not touched. There is no such
	// condition when all is well.
	ClusterConditionTooMuch = "TooMuch"
)

// ClusterStatus reports what the hub knows about a member.
type ClusterStatus struct {
	// Conditions: Ready, Reachable, Authorized and Healthy, with a reason and a message that a person can act on; Leftovers
	// and TooMuch while there are any.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// UID of the kube-system namespace of the member. One cluster cannot join twice.
	UID string `json:"uid,omitempty"`
	// KubernetesVersion of the API server of the member.
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// LastSeen is the time at which the member last answered. While the member is Ready, it is updated every few
	// minutes only.
	LastSeen *metav1.Time `json:"lastSeen,omitempty"`
	// Nodes counts the nodes of the member.
	Nodes *NodeSummary `json:"nodes,omitempty"`
	// Resources adds up the ready nodes of the member.
	Resources *ResourceSummary `json:"resources,omitempty"`
	// APIs identifies the set of APIs that the member serves.
	APIs *APISummary `json:"apis,omitempty"`
	// Leftovers lists objects in the member that carry the labels of this hub and that no Distribution accounts for,
	// for example after a restore from an older backup. They keep running until somebody decides about them.
	Leftovers *Leftovers `json:"leftovers,omitempty"`
}

// MaxLeftovers is how many leftovers are named.
const MaxLeftovers = 100

// Leftovers lists orphaned objects in a member.
type Leftovers struct {
	// Count of the objects.
	Count int32 `json:"count"`
	// Digest identifies the list. A request to remove the objects names it.
	Digest string `json:"digest"`
	// Objects lists the first hundred objects.
	// +listType=atomic
	Objects []LeftoverReference `json:"objects,omitempty"`
}

// LeftoverReference identifies one orphaned object.
type LeftoverReference struct {
	// APIVersion of the object.
	APIVersion string `json:"apiVersion"`
	// Kind of the object.
	Kind string `json:"kind"`
	// Namespace of the object. It is empty for cluster-scoped kinds.
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	Name string `json:"name"`
	// Message explains why the object still exists after its removal was requested.
	Message string `json:"message,omitempty"`
}

// NodeSummary counts nodes.
type NodeSummary struct {
	// Total number of nodes.
	Total int32 `json:"total"`
	// Ready is the number of nodes that are ready and accept pods.
	Ready int32 `json:"ready"`
}

// ResourceSummary adds up the ready nodes of a member.
type ResourceSummary struct {
	// Allocatable resources of the nodes.
	Allocatable corev1.ResourceList `json:"allocatable,omitempty"`
	// Requested resources of the pods on the nodes.
	Requested corev1.ResourceList `json:"requested,omitempty"`
	// Available resources: allocatable minus requested.
	Available corev1.ResourceList `json:"available,omitempty"`
}

// APISummary identifies the set of APIs that a member serves.
type APISummary struct {
	// Hash over the group, version and kind of all resources.
	Hash string `json:"hash,omitempty"`
	// Count of the resources.
	Count int32 `json:"count,omitempty"`
}

// ClusterList is a list of Clusters.
//
// +kubebuilder:object:root=true
type ClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Cluster `json:"items"`
}
