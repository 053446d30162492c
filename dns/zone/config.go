package zone

import (
	"net/netip"

	"github.com/hanse-federation/hanse/dns/sign"
)

// Config is everything the DNS server knows, as plain values. Build turns it into a Snapshot; a Store swaps snapshots.
type Config struct {
	// Serial is the version of this configuration (RFC 1982 arithmetic). It grows with every published change and is the
	// same on every replica that serves this configuration. It becomes the SOA serial of the zones that have changed.
	Serial uint32
	// Seed feeds every hashed draw. Replicas with the same seed give the same answer to the same client at the same
	// time.
	Seed uint64
	// Secret, if any, is known to all replicas and to nobody else: they take each other's DNS Cookies (RFC 9018).
	Secret []byte `json:",omitempty"`
	// Zones are served side by side; the longest origin that covers a question answers it.
	Zones []Zone
	// Networks tell where clients are, for services with the Nearest policy. The longest prefix wins.
	Networks []Network
}

// Zone is one zone of authority.
//
// Names in Records, Services, NameServers and Targets are relative to Origin unless they end with a dot; "@" and "" are
// the origin.
type Zone struct {
	// Origin is the apex, absolute, with or without the closing dot: "global.example.com".
	Origin string
	// Serial is the SOA serial of the zone, at most that of the configuration; 0: that of the configuration. A zone that
	// a Store has already and that has not changed keeps its serial unless a later one is given.
	Serial uint32 `json:",omitempty"`
	SOA    SOA
	// NameServers become the NS set of the apex, and A/AAAA of those names that lie in the zone.
	NameServers []NameServer
	// TTL, in seconds, of everything that does not say otherwise. 0 means DefaultTTL.
	TTL uint32
	// ClientSubnet lets answers of this zone depend on EDNS Client Subnet (RFC 7871). Off by default: it leaks and
	// fragments caches.
	ClientSubnet bool
	// Keys sign the zone (DNSSEC); none: it is not signed.
	Keys []Key `json:",omitempty"`
	// Transfer says who may copy the zone; the zero value: nobody.
	Transfer Transfer `json:",omitzero"`
	// Updates say who may change records of the zone by messages (RFC 2136).
	Updates  []Update `json:",omitempty"`
	Records  []Record
	Services []Service
}

// Transfer says who may copy a zone (AXFR, RFC 5936, and IXFR, RFC 1995), and who is told when it changes (NOTIFY, RFC
// 1996).
type Transfer struct {
	// Keys are for signed messages (TSIG). If there are any, only who signs with one of them may copy, and the first one
	// signs what secondaries are told.
	Keys []TSIGKey
	// Allow are networks. If there are any, only they may copy; without them and without Keys nobody may.
	Allow []netip.Prefix
	// Notify has the addresses of secondaries, host:port.
	Notify []string
}

// Update lets whoever signs with a key change some records.
type Update struct {
	Key TSIGKey
	// Names that may be changed, relative to the origin or absolute: a name; "*.a", every name below a; or "a.*", a at
	// and below every name of the zone.
	Names []string
	// Types of records that may be changed, as mnemonics.
	Types []string
}

// TSIGKey is a secret shared with another server (RFC 8945).
type TSIGKey struct {
	// Name of the key, as both sides write it.
	Name string
	// Algorithm is hmac-sha256, hmac-sha384 or hmac-sha512; empty: the first.
	Algorithm string
	// Secret in base64.
	Secret string
}

// Key is a key that a zone is signed with. Private is in PKCS #8 form; whoever has it can forge the zone.
type Key struct {
	Private []byte
	Stage   sign.Stage
}

// SOA holds the fields of the start-of-authority record that have no better source. Zero fields take the defaults of
// this package.
type SOA struct {
	// Primary is MNAME; empty means the first name server.
	Primary string
	// Mailbox is RNAME, written as a name ("hostmaster.example.com.") or as an address ("hostmaster@example.com").
	Mailbox string
	// Refresh, Retry, Expire and Minimum are in seconds. Minimum bounds negative caching (RFC 2308).
	Refresh, Retry, Expire, Minimum uint32
	// TTL of the SOA record itself, in seconds.
	TTL uint32
}

// NameServer is one NS record of the apex.
type NameServer struct {
	Name string
	// Addresses are published at Name if it lies in the zone; they must be empty otherwise.
	Addresses []netip.Addr
}

// Record is one static record in presentation form. Records of the same name and type form one RRset with one TTL (RFC
// 2181).
type Record struct {
	Name string
	// Type is a mnemonic: A, AAAA, CNAME, TXT, SRV, NS, PTR, MX, CAA, DS, TLSA, SSHFP, HTTPS, SVCB, NAPTR, URI.
	Type string
	// TTL in seconds; 0 means the zone's.
	TTL uint32
	// Data is the RDATA as a zone file has it: `10.0.0.1`, `10 5 443 www`, `"some text"`. Names in it are relative to
	// the origin.
	Data string
}

// Policy says which targets of a service may be in an answer.
type Policy string

const (
	// Weighted is every eligible target, by weight; Tier is ignored. The default.
	Weighted Policy = "Weighted"
	// Failover is the first tier with a healthy target; see Service.MinHealthy for when the next one is added.
	Failover Policy = "Failover"
	// Nearest prefers targets in the client's zone, then region, then the regions around it, each level only with a
	// healthy target. Tiers come first, if there are any.
	Nearest Policy = "Nearest"
)

// Answer says how many of the allowed targets one answer names.
type Answer string

const (
	// Staircase answers nested sets of targets with probabilities that make the share of each exactly its weight,
	// whatever order resolvers put the records in. The default.
	Staircase Answer = "Staircase"
	// Single answers one target, drawn by weight.
	Single Answer = "Single"
	// Sticky answers one target, the same for the same client network while the weights stay.
	Sticky Answer = "Sticky"
	// All answers every allowed target without regard to weight, eight addresses at most.
	All Answer = "All"
)

// State is the health of a target, already damped by the caller.
type State string

const (
	// Healthy targets are answered. The zero State means Healthy.
	Healthy State = "Healthy"
	// Unhealthy targets are known to be down: answered only when no target is healthy (fail open).
	Unhealthy State = "Unhealthy"
	// Unknown targets have been out of contact for longer than their grace: left out only while a healthy one is there,
	// or as much as MinHealthy asks for.
	Unknown State = "Unknown"
	// Draining targets are being emptied on purpose: never answered while anything else can be, and not counted as
	// lost.
	Draining State = "Draining"
)

// Service is a balanced name: what its A, AAAA (or CNAME) answer contains depends on targets, weights and the client.
//
// A service always exists: with no address to give its answer is empty (NODATA), never NXDOMAIN.
type Service struct {
	Name    string
	Targets []Target
	Policy  Policy
	Answer  Answer
	// TTL in seconds; 0 means the zone's. It is the same for every type of the name.
	TTL uint32
	// TTLDegraded, if not 0, bounds TTL while a target with weight is down or unknown.
	TTLDegraded uint32
	// Home, for a name of the locality ladder, comes before the policy: this cluster, then its region, then all.
	Home Home `json:",omitzero"`
	// MinHealthy is the percentage (0..100) of a tier's capacity below which the next tier is added to it: protection
	// against overload. 0 means one healthy target is enough.
	MinHealthy int
	// OverflowAll adds the healthy targets of all tiers then, not only of the next one.
	OverflowAll bool `json:",omitempty"`
	// Ports are published as SRV records at _name._protocol.<service>: priority is the tier, weight the target's
	// weight.
	Ports []Port
	// PortsAtName publishes the SRV records at the service's own name as well (multicluster DNS expects them there).
	PortsAtName bool
}

// Home is the place that a name stands for. Without a Cluster it is the Region as a whole; without both it is nowhere.
type Home struct{ Cluster, Region string }

// Location is a point on the globe, in degrees.
type Location struct{ Latitude, Longitude float64 }

// Port is a named port of a service.
type Port struct {
	// Name and Protocol without underscores: "http", "tcp".
	Name, Protocol string
	Port           uint16
}

// Target is where a service can be reached in one cluster.
type Target struct {
	// Cluster names the target; unique in a service.
	Cluster string
	// Addresses are the virtual addresses, IPv4 and IPv6 mixed. No addresses and no Hostname is allowed: nothing to
	// answer yet.
	Addresses []netip.Addr
	// Hostname is for load balancers that have a name instead of addresses: the answer is a CNAME. Not allowed at the
	// apex or beside other records. Ignored when there are Addresses.
	Hostname string
	// Weight, 0..MaxWeight; 0 keeps the target out of answers while one with a weight is healthy.
	Weight uint32
	// Capacity is the weight that the target has when all of it is healthy, for MinHealthy. Less than Weight means Weight.
	Capacity uint32 `json:",omitempty"`
	// Tier orders the Failover policy: 0 is first.
	Tier  uint16
	State State
	// Name is an optional name of this target alone, the target of its SRV records. Empty: the service's name stands
	// there.
	Name string
	// Region and Zone are the target's place, for the Nearest policy and for Home.
	Region, Zone string
	// Location orders regions by their distance, for the Nearest policy: a target without a Region has no use of it.
	Location *Location `json:",omitempty"`
}

// Network places clients whose address lies in Prefix.
type Network struct {
	Prefix       netip.Prefix
	Region, Zone string
}

// Change replaces all data at one name of one zone: its static records and its service. Neither means the name goes
// away.
type Change struct {
	Origin  string
	Name    string
	Records []Record
	Service *Service
	// Serial of the zone after the change; 0: that of the snapshot.
	Serial uint32 `json:",omitempty"`
}

// Defaults of zero fields, in seconds, and limits. Those of the SOA are the defaults that Zone.spec.soa documents.
const (
	DefaultTTL     = 30
	DefaultRefresh = 900
	DefaultRetry   = 300
	DefaultExpire  = 604800
	DefaultMinimum = 30
	DefaultSOATTL  = 3600
	MaxTTL         = 1<<31 - 1
	MaxWeight      = 1 << 20
)
