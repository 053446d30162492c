package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Zone is a DNS zone that the hub serves with authority. Its name is the origin, for example example.org.
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

	// Spec is the zone.
	Spec ZoneSpec `json:"spec,omitempty"`
	// Status is what is served.
	Status ZoneStatus `json:"status,omitempty"`
}

// ZoneSpec is the zone.
type ZoneSpec struct {
	// Default zone: GlobalServices without hostnames are named in it.
	Default bool `json:"default,omitempty"`
	// Nameservers of the zone. Default: ns1.<zone> with the addresses that the hub serves DNS on.
	// +kubebuilder:validation:MaxItems=13
	Nameservers []Nameserver `json:"nameservers,omitempty"`
	// SOA fields.
	SOA *SOA `json:"soa,omitempty"`
	// TTL of records without one, in seconds.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	// +kubebuilder:default=300
	TTL int32 `json:"ttl,omitempty"`
	// Records of the zone beside those of GlobalServices.
	// +kubebuilder:validation:MaxItems=4096
	Records []Record `json:"records,omitempty"`
	// Transfer of the zone to secondaries.
	Transfer *Transfer `json:"transfer,omitempty"`
	// DNSSEC signing.
	DNSSEC *DNSSEC `json:"dnssec,omitempty"`
}

// Nameserver is one name server of a zone.
type Nameserver struct {
	// Name, fully qualified.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// IPs of a name server inside the zone.
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
	// Name, relative to the zone ("@" or empty = the apex), or fully qualified with a final dot.
	Name string `json:"name"`
	// Type of the record.
	// +kubebuilder:validation:Enum=A;AAAA;CNAME;TXT;SRV;NS;PTR;MX;CAA
	Type string `json:"type"`
	// TTL in seconds; the zone's if absent.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	TTL *int32 `json:"ttl,omitempty"`
	// Values in zone-file text.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Values []string `json:"values"`
}

// Transfer of a zone to secondaries (RFC 5936).
type Transfer struct {
	// Allow lists networks (CIDR) that may transfer the zone.
	Allow []string `json:"allow,omitempty"`
	// Notify lists secondaries (host:port) that are told of changes (RFC 1996).
	Notify []string `json:"notify,omitempty"`
	// TSIGSecret in hanse-system with the keys name, algorithm and secret.
	TSIGSecret string `json:"tsigSecret,omitempty"`
}

// DNSSEC signing of a zone.
type DNSSEC struct {
	// Enabled: answers are signed.
	Enabled bool `json:"enabled,omitempty"`
}

// ZoneStatus is what is served.
type ZoneStatus struct {
	// ObservedGeneration is the generation of the spec that this status speaks of.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Serial of the SOA that is served.
	Serial int64 `json:"serial,omitempty"`
	// Digest of what is served with that serial: a hub that starts and finds the same keeps the serial.
	Digest string `json:"digest,omitempty"`
	// Records in the zone, those of GlobalServices included.
	Records int32 `json:"records,omitempty"`
}

// ZoneList is a list of Zones.
//
// +kubebuilder:object:root=true
type ZoneList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Zone `json:"items"`
}
