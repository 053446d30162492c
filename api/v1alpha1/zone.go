package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Zone is a DNS zone for which the hub is authoritative. The name of the object is the origin, for example
// example.org.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=hanse
// +kubebuilder:printcolumn:name=Default,type=boolean,JSONPath=`.spec.default`
// +kubebuilder:printcolumn:name=Serial,type=integer,JSONPath=`.status.serial`
// +kubebuilder:printcolumn:name=Records,type=integer,JSONPath=`.status.records`
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type Zone struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec describes the zone.
	Spec ZoneSpec `json:"spec,omitempty"`
	// Status reports what is served. The hub writes it.
	Status ZoneStatus `json:"status,omitempty"`
}

// ZoneSpec describes a zone.
type ZoneSpec struct {
	// Default says that GlobalServices without hostnames are named in this Zone. Of several such Zones the oldest counts; the
	// condition Default of the others is False. Names that exist do not move when the default changes (see the annotation
	// hanse.io/follow-default-zone).
	Default bool `json:"default,omitempty"`
	// Nameservers of the zone. The default is ns1.ZONE with the addresses on which the hub serves DNS. At most 13
	// entries.
	// +kubebuilder:validation:MaxItems=13
	Nameservers []Nameserver `json:"nameservers,omitempty"`
	// SOA sets fields of the SOA record.
	SOA *SOA `json:"soa,omitempty"`
	// TTL of records that set none, in seconds. The default is 300.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	// +kubebuilder:default=300
	TTL int32 `json:"ttl,omitempty"`
	// Records of the zone besides those of GlobalServices. At most 4096 entries.
	// +kubebuilder:validation:MaxItems=4096
	Records []Record `json:"records,omitempty"`
	// Transfer configures copies of the zone to secondary servers.
	Transfer *Transfer `json:"transfer,omitempty"`
	// Updates by others (RFC 2136), for example by cert-manager for _acme-challenge.
	// +kubebuilder:validation:MaxItems=16
	Updates []Update `json:"updates,omitempty"`
	// Delegations say which namespaces may have GlobalServices answer names of the zone that belong to the Zone itself: its
	// apex, and the names and wildcards directly below it. A name <anything>.<namespace>.<zone>, with all below it, belongs
	// to that namespace without a delegation. Default: nobody may, except who has the verb "claim" on the Zone.
	// +kubebuilder:validation:MaxItems=256
	Delegations []Delegation `json:"delegations,omitempty"`
	// DNSSEC configures the signing of the zone.
	DNSSEC *DNSSEC `json:"dnssec,omitempty"`
	// ClientSubnet: answers follow the network of the client where a resolver tells it (RFC 7871). It makes Nearest and
	// Sticky exact behind large resolvers, and their caches hold more.
	ClientSubnet bool `json:"clientSubnet,omitempty"`
	// Networks place clients, for GlobalServices with the policy Nearest. The longest prefix wins, whichever Zone has it.
	// +kubebuilder:validation:MaxItems=4096
	Networks []ClientNetwork `json:"networks,omitempty"`
}

// ClientNetwork locates the clients of one network.
type ClientNetwork struct {
	// CIDR of the network, for example 10.20.0.0/16.
	// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="is not a network such as 10.20.0.0/16"
	// +kubebuilder:validation:MaxLength=64
	CIDR string `json:"cidr"`
	// Region of the clients, as in spec.region of Clusters.
	// +kubebuilder:validation:MinLength=1
	Region string `json:"region"`
	// Zone of the clients, as in spec.zones of Clusters.
	Zone string `json:"zone,omitempty"`
}

// Nameserver is one name server of a zone.
type Nameserver struct {
	// Name of the server, fully qualified.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// IPs of a name server inside the zone (glue records).
	IPs []string `json:"ips,omitempty"`
}

// SOA fields of a zone (RFC 1035 3.3.13); all times in seconds.
type SOA struct {
	// Contact mailbox, for example hostmaster@example.org.
	Contact string `json:"contact,omitempty"`
	// Refresh of secondaries.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:default=900
	Refresh int32 `json:"refresh,omitempty"`
	// Retry of secondaries.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:default=300
	Retry int32 `json:"retry,omitempty"`
	// Expire of secondaries.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:default=604800
	Expire int32 `json:"expire,omitempty"`
	// Minimum: time that negative answers are kept (RFC 2308).
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:default=30
	Minimum int32 `json:"minimum,omitempty"`
}

// Record is one RRset.
type Record struct {
	// Name relative to the zone (empty or "@" is the apex), or fully qualified with a final dot.
	Name string `json:"name"`
	// Type of the record.
	// +kubebuilder:validation:Enum=A;AAAA;CNAME;TXT;SRV;NS;DS;PTR;MX;CAA;HTTPS;SVCB;TLSA;SSHFP;NAPTR;URI
	Type string `json:"type"`
	// TTL in seconds. The default is the ttl of the zone.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	TTL *int32 `json:"ttl,omitempty"`
	// Values in the text form of zone files. At least 1 and at most 256 entries.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Values []string `json:"values"`
}

// Transfer of a zone to secondaries (RFC 5936, RFC 1995). Without networks and without a key nobody may copy the zone;
// with both, a copy must be asked for from one of the networks and be signed with the key.
type Transfer struct {
	// Allow lists networks (CIDR) that may transfer the zone.
	// +kubebuilder:validation:MaxItems=64
	Allow []string `json:"allow,omitempty"`
	// Notify lists secondaries (host:port) that are told of changes (RFC 1996). The port is 53 if absent.
	// +kubebuilder:validation:MaxItems=64
	Notify []string `json:"notify,omitempty"`
	// TSIGSecret is the name of a Secret in hanse-system with the keys name, secret (base64) and algorithm (hmac-sha256
	// if absent, hmac-sha384 or hmac-sha512). Transfers must be signed with it, and it signs what secondaries are told.
	TSIGSecret string `json:"tsigSecret,omitempty"`
}

// Update lets others change some records of a zone by DNS messages (RFC 2136) that are signed. What they write is kept in
// the ConfigMap dns-updates-<zone> in hanse-system. Records of the Zone itself are out of their reach.
type Update struct {
	// TSIGSecret is the name of a Secret in hanse-system with the keys name, secret (base64) and algorithm (hmac-sha256
	// if absent, hmac-sha384 or hmac-sha512), which must sign the messages.
	// +kubebuilder:validation:MinLength=1
	TSIGSecret string `json:"tsigSecret"`
	// Names that may be changed, relative to the zone: a name, "*.a" for every name below a, or "a.*" for a at and
	// below every name of the zone. The default is _acme-challenge.*, for the DNS-01 challenges of ACME.
	// +kubebuilder:validation:MaxItems=64
	Names []string `json:"names,omitempty"`
	// Types of records that may be changed. The default is TXT. At most 16 entries.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Enum=A;AAAA;CNAME;TXT;SRV;PTR;MX;CAA;TLSA
	Types []string `json:"types,omitempty"`
}

// Delegation gives names of a zone to namespaces.
type Delegation struct {
	// Names that are given, fully qualified or relative to the zone: a name, "*.a" for every name below a, or "@" for the
	// apex. What is given for a name holds for its _acme-challenge, too.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Names []string `json:"names"`
	// Namespaces that they are given to.
	Namespaces DelegatedNamespaces `json:"namespaces"`
}

// DelegatedNamespaces are chosen by name, by label, or both: one that either chooses is meant.
type DelegatedNamespaces struct {
	// Names of namespaces.
	// +kubebuilder:validation:MaxItems=256
	Names []string `json:"names,omitempty"`
	// Selector of namespaces by their labels. An empty one chooses all; without one, no namespace is chosen by label.
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// AllowedNames returns the names that the update may change: those of the spec, or what DNS-01 challenges need.
func (u *Update) AllowedNames() []string {
	if u.Names == nil {
		return []string{"_acme-challenge.*"}
	}
	return u.Names
}

// AllowedTypes returns the types of records that the update may change: those of the spec, or TXT.
func (u *Update) AllowedTypes() []string {
	if u.Types == nil {
		return []string{"TXT"}
	}
	return u.Types
}

// DNSSEC signing of a zone.
type DNSSEC struct {
	// Enabled: answers are signed, with keys in the Secret dnssec-<zone> in hanse-system, which is made if it is missing.
	// The parent zone must have the DS record that status.keys and "hanse dns key list" tell. Switched off, the zone stays
	// signed as long as it has keys, and asks its parent to drop the DS record (RFC 8078): "hanse dns key remove" ends
	// that, once the parent has. Switched on again before that, everything is as it was.
	Enabled bool `json:"enabled,omitempty"`
}

// ConditionDefault says whether a Zone with spec.default is the default one. It is False while another Zone was it
// before. It is absent from other Zones.
const ConditionDefault = "Default"

// ConditionUnsigning is True while a Zone is signed only because its parent may still have a DS record.
const ConditionUnsigning = "Unsigning"

// ZoneStatus reports what is served.
type ZoneStatus struct {
	// ObservedGeneration is the generation of the spec that this status describes.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, and Unsigning while the zone is to be signed no more and still is.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Serial of the SOA record that is served.
	Serial int64 `json:"serial,omitempty"`
	// Digest of what is served with that serial: a hub that starts and finds the same keeps the serial.
	Digest string `json:"digest,omitempty"`
	// Records is the number of records in the zone, including those of GlobalServices.
	Records int32 `json:"records,omitempty"`
	// Keys that the zone is signed with.
	// +listType=map
	// +listMapKey=tag
	Keys []ZoneKey `json:"keys,omitempty"`
}

// ZoneKey is a key that a zone is signed with.
type ZoneKey struct {
	// Tag identifies the key in DS records.
	Tag int32 `json:"tag"`
	// Stage: Incoming (published, and may have a DS), Active (signs the zone), Leaving (signs a zone that is to be signed
	// no more) or Retired (published until all that it signed has run out).
	Stage string `json:"stage"`
	// Since is the time at which the key reached this stage.
	Since metav1.Time `json:"since"`
	// DS record of the key for the parent zone, as a line of a zone file.
	DS string `json:"ds"`
}

// ZoneList is a list of Zones.
//
// +kubebuilder:object:root=true
type ZoneList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Zone `json:"items"`
}
