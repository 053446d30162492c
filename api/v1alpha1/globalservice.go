package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// GlobalService is one DNS name for a service in many members.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=gs,categories=hanse
// +kubebuilder:printcolumn:name=Hostname,type=string,JSONPath=`.status.hostnames[0]`
// +kubebuilder:printcolumn:name=Policy,type=string,JSONPath=`.spec.policy`
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name=Shares,type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type GlobalService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec describes the name and what it stands for.
	Spec GlobalServiceSpec `json:"spec,omitempty"`
	// Status reports what the DNS servers answer. The hub writes it.
	Status GlobalServiceStatus `json:"status,omitempty"`
}

// GlobalServiceSpec describes which addresses a name stands for and how often each is answered.
//
// +kubebuilder:validation:XValidation:rule="[has(self.service), has(self.ingress), has(self.gateway), has(self.addresses)].exists_one(x, x)",message="set exactly one of service, ingress, gateway and addresses"
type GlobalServiceSpec struct {
	// Service of type LoadBalancer in this namespace whose addresses are answered.
	// +kubebuilder:validation:MinLength=1
	Service string `json:"service,omitempty"`
	// Ingress of this namespace whose addresses are answered.
	// +kubebuilder:validation:MinLength=1
	Ingress string `json:"ingress,omitempty"`
	// Gateway of this namespace whose addresses are answered.
	// +kubebuilder:validation:MinLength=1
	Gateway string `json:"gateway,omitempty"`
	// Addresses given by hand.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Addresses []ClusterAddresses `json:"addresses,omitempty"`
	// Workload whose ready replicas are the weights and the health, as KIND/NAME. The default is the workload that
	// the Service selects.
	Workload string `json:"workload,omitempty"`
	// Hostnames to answer. Each must be in a Zone. The default is NAME.NAMESPACE.ZONE in the default Zone. At most 64
	// entries.
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	Hostnames []string `json:"hostnames,omitempty"`
	// Policy chooses among the members: Weighted (all of them, by weight), Failover (the first tier with a healthy member),
	// Nearest (those near the client) or All (all of them, without regard to weight). Failover returns to a preferred tier
	// as soon as a member of it is healthy again and has ready replicas; whether the placement gives replicas back after an
	// outage is decided there (comeBack). Default Weighted.
	// +kubebuilder:validation:Enum=Weighted;Failover;Nearest;All
	// +kubebuilder:default=Weighted
	Policy string `json:"policy,omitempty"`
	// Weights selects where weights come from: Replicas (ready replicas), Placement (the weights of the placement) or
	// Fixed (fixedWeights). The default is Replicas.
	// +kubebuilder:validation:Enum=Replicas;Placement;Fixed
	// +kubebuilder:default=Replicas
	Weights string `json:"weights,omitempty"`
	// FixedWeights lists the weight of each member for weights Fixed. A member without an entry is not answered. At
	// most 256 entries.
	// +kubebuilder:validation:MaxItems=256
	// +listType=map
	// +listMapKey=cluster
	FixedWeights []ClusterWeight `json:"fixedWeights,omitempty"`
	// Answer: Staircase, Single, Sticky or All.
	// +kubebuilder:validation:Enum=Staircase;Single;Sticky;All
	// +kubebuilder:default=Staircase
	Answer string `json:"answer,omitempty"`
	// TTL of the answers in seconds. The default is 30.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	// +kubebuilder:default=30
	TTL int32 `json:"ttl,omitempty"`
	// MinHealthy protects a tier of members against overload: while less than this share of its capacity is healthy, the
	// healthy members of the next tier are answered beside its own (see overflow). The capacity of a member is the weight
	// it has when all its replicas are ready. Default 0%: one healthy member is enough. Unhealthy members are never
	// answered while a healthy one exists, whatever is set here; only when none is healthy all are answered (fail open).
	// +kubebuilder:validation:Pattern=`^([0-9]|[1-9][0-9]|100)%$`
	// +kubebuilder:default="0%"
	MinHealthy string `json:"minHealthy,omitempty"`
	// Overflow says what is added to a tier of which less than minHealthy is healthy. NextTier adds the next tier, and the
	// one after it if that is below minHealthy, too. All adds the healthy members of all tiers. Default NextTier.
	// +kubebuilder:validation:Enum=NextTier;All
	// +kubebuilder:default=NextTier
	Overflow string `json:"overflow,omitempty"`
	// Tiers of members, for the policies Failover and Nearest (which looks at the client's place within a tier); a
	// member without an entry is in tier 0.
	// +kubebuilder:validation:MaxItems=256
	// +listType=map
	// +listMapKey=cluster
	Tiers []ClusterTier `json:"tiers,omitempty"`
	// StaleAfter is how long a member that the hub has lost contact with keeps its last health. Then it counts as
	// unknown, and is left out while another one is healthy. With a probe the probe decides at once instead. Default 60s.
	StaleAfter *metav1.Duration `json:"staleAfter,omitempty"`
	// HTTPS publishes an HTTPS record (RFC 9460) at each hostname: browsers know before they connect what is spoken there,
	// and on which port. Its addresses are those of the name, so it follows the balancing. While a member is reached by a
	// host name there is none, since nothing may stand beside a CNAME.
	HTTPS *HTTPSBinding `json:"https,omitempty"`
	// Probe by the hub, beside readiness and the members' health.
	Probe *Probe `json:"probe,omitempty"`
}

// HTTPSBinding describes an HTTPS record (RFC 9460).
type HTTPSBinding struct {
	// ALPN lists protocols besides HTTP/1.1, the preferred one first. The default is h2.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9./-]{1,32}$`
	// +kubebuilder:default={h2}
	// +listType=set
	ALPN []string `json:"alpn,omitempty"`
	// Port to connect to. The default is 443.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +kubebuilder:default=443
	Port int32 `json:"port,omitempty"`
}

// ClusterAddresses lists the addresses of one member.
type ClusterAddresses struct {
	// Cluster is the name of the member.
	// +kubebuilder:validation:MinLength=1
	Cluster string `json:"cluster"`
	// IPs of the member's load balancer. Loopback, link-local, multicast, unspecified and broadcast addresses are refused. With
	// a probe they must be public, or in a network that the administrator of the hub names (hanse hub --probe-networks).
	// +kubebuilder:validation:MaxItems=64
	IPs []string `json:"ips,omitempty"`
	// Hostname of the member's load balancer; no address and not localhost. What it stands for is probed, and answered at
	// the apex of a Zone, under the same rules as ips.
	// +kubebuilder:validation:MaxLength=253
	Hostname string `json:"hostname,omitempty"`
}

// ClusterWeight is the weight of one member.
type ClusterWeight struct {
	// Cluster is the name of the member.
	Cluster string `json:"cluster"`
	// Weight relative to the other members. A member with weight 0 is not answered.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Weight int64 `json:"weight"`
}

// ClusterTier is the tier of one member.
type ClusterTier struct {
	// Cluster is the name of the member.
	Cluster string `json:"cluster"`
	// Tier of the member. Tier 0 is answered first.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Tier int32 `json:"tier"`
}

// Probe asks each address from the hub. Addresses that members report of their own Services, Ingresses and Gateways are
// probed in private networks too; those in spec.addresses only where hanse hub --probe-networks allows it. What is not
// probed counts as healthy, and status.clusters[].probe says why.
//
// +kubebuilder:validation:XValidation:rule="has(self.http) != has(self.tcp)",message="set exactly one of http and tcp"
type Probe struct {
	// HTTP sends a GET request.
	HTTP *HTTPProbe `json:"http,omitempty"`
	// TCP opens a connection.
	TCP *TCPProbe `json:"tcp,omitempty"`
	// Interval between two probes. The default is 10s.
	Interval *metav1.Duration `json:"interval,omitempty"`
	// Failures in a row after which the member is unhealthy. The default is 3.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:default=3
	Failures int32 `json:"failures,omitempty"`
	// Successes in a row after which the member is healthy again. The default is 5.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:default=5
	Successes int32 `json:"successes,omitempty"`
}

// HTTPProbe is an HTTP GET request.
type HTTPProbe struct {
	// Port of the request.
	Port intstr.IntOrString `json:"port"`
	// Path of the request. The default is /.
	// +kubebuilder:default=/
	Path string `json:"path,omitempty"`
	// Host header of the request. The default is the first hostname.
	Host string `json:"host,omitempty"`
	// Scheme is HTTP or HTTPS. The default is HTTP.
	// +kubebuilder:validation:Enum=HTTP;HTTPS
	// +kubebuilder:default=HTTP
	Scheme string `json:"scheme,omitempty"`
	// Expect lists the status codes that count as success. The default is 200 to 399.
	Expect []int32 `json:"expect,omitempty"`
}

// TCPProbe opens a TCP connection.
type TCPProbe struct {
	// Port to connect to.
	Port intstr.IntOrString `json:"port"`
}

// Conditions of a GlobalService.
const (
	// ConditionFailOpen is True while no member is healthy, and those that are not are answered.
	ConditionFailOpen = "FailOpen"
	// ConditionHealthKnown is False while nothing tells the hub how the members are: neither a workload that the exposed
	// object leads to, nor a probe. Members count as healthy then while they have an address.
	ConditionHealthKnown = "HealthKnown"
	// ConditionDrained is False while a member that is being left may still be in answers that somebody keeps: its
	// copies of what is exposed stay until then. It is absent while no member is being left.
	ConditionDrained = "Drained"
	// ConditionAnnotationsFollowed is False while the object that the GlobalService was made for has annotations of
	// ExternalDNS that are not followed; the message says which, and what to set instead. It is absent otherwise.
	ConditionAnnotationsFollowed = "AnnotationsFollowed"
)

// HealthDraining is the health of a member that is being emptied on purpose and not answered any more.
const HealthDraining = "Draining"

// GlobalServiceStatus reports what the DNS servers answer.
type GlobalServiceStatus struct {
	// ObservedGeneration is the generation of the spec that this status describes.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, FailOpen, HealthKnown, Drained, AnnotationsFollowed.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Hostnames that are answered.
	Hostnames []string `json:"hostnames,omitempty"`
	// Summary lists the share of each member, for example "east=67%,west=33%".
	Summary string `json:"summary,omitempty"`
	// Clusters lists what is answered for each member.
	// +listType=map
	// +listMapKey=name
	Clusters []GlobalServiceCluster `json:"clusters,omitempty"`
	// Version (SOA serial) that carries this status.
	Version int64 `json:"version,omitempty"`
	// Behind are the templates that the answers lead to, as kind.group/name: what is exposed, the workloads behind it and
	// what goes where they go. In a member that is being left they stay until no answer leads there any more.
	Behind []string `json:"behind,omitempty"`
	// TTL is the longest one, in seconds, of answers that may still be kept somewhere.
	TTL int32 `json:"ttl,omitempty"`
	// TTLUntil is when the last of them ends; absent while answers are given with that TTL.
	TTLUntil *metav1.Time `json:"ttlUntil,omitempty"`
}

// GlobalServiceCluster describes what is answered for one member.
type GlobalServiceCluster struct {
	// Name of the member.
	Name string `json:"name"`
	// Addresses of the member.
	Addresses []string `json:"addresses,omitempty"`
	// Weight of the member.
	Weight int64 `json:"weight"`
	// Share of the answers, for example 66.7%.
	Share string `json:"share,omitempty"`
	// Health: Healthy, Unhealthy, Unknown or Draining.
	Health string `json:"health,omitempty"`
	// Reason of the health.
	Reason string `json:"reason,omitempty"`
	// Lost is when the member stopped being healthy; absent for one that never was.
	Lost *metav1.Time `json:"lost,omitempty"`
	// Recovering is since when a member that was lost looks healthy again; it counts as healthy after a while.
	Recovering *metav1.Time `json:"recovering,omitempty"`
	// Resolved are the addresses of the member's load balancer that has a name, for hostnames at the apex of a Zone.
	Resolved []string `json:"resolved,omitempty"`
	// Probe is what the hub's probes say.
	Probe *ProbeStatus `json:"probe,omitempty"`
	// Drain is there while the member is being left.
	Drain *DrainStatus `json:"drain,omitempty"`
}

// ProbeStatus is what the hub's probes say of a member.
type ProbeStatus struct {
	// Healthy as the probes say, after so many failures or successes in a row.
	Healthy bool `json:"healthy"`
	// Message of the last failure: refused, timed out, no route, no answer, TLS fails, the name does not resolve, or
	// the class of the HTTP status; or why the member is not probed.
	Message string `json:"message,omitempty"`
	// Since when.
	Since metav1.Time `json:"since"`
}

// DrainStatus is how far the answers have left a member.
type DrainStatus struct {
	// Version (SOA serial) that first did without the member.
	Version int64 `json:"version"`
	// Since when.
	Since metav1.Time `json:"since"`
	// Until is when the last answer with the member has left all caches; absent while a DNS server has not got Version.
	Until *metav1.Time `json:"until,omitempty"`
	// Done: nothing leads to the member any more.
	Done bool `json:"done,omitempty"`
	// Message for people.
	Message string `json:"message,omitempty"`
}

// GlobalServiceList is a list of GlobalServices.
//
// +kubebuilder:object:root=true
type GlobalServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GlobalService `json:"items"`
}
