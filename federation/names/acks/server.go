package acks

import (
	"slices"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
)

// What a Lease of a DNS server is called and carries.
const (
	// Namespace of the hub that has the Leases.
	Namespace = "hanse-dns"
	// SerialAnnotation is the serial that the server answers from, as the hub counts.
	SerialAnnotation = "hanse.io/dns-serial"
	// AddressesAnnotation says where the server listens.
	AddressesAnnotation = "hanse.io/dns-addresses"
	// VersionAnnotation is the version of the program.
	VersionAnnotation = "hanse.io/dns-version"
)

// Forgotten is how long a silent server is waited for.
const Forgotten = 5 * time.Minute

// Server is what a DNS server has told of itself.
type Server struct {
	Name string
	// Serial that it answers from; 0: none yet.
	Serial uint32
	// Addresses that it listens on.
	Addresses []string
	// Version of the program.
	Version string
	// Renewed is when it was heard of last.
	Renewed time.Time
	// IsRunning: it has not said that it ended.
	IsRunning bool
}

// ServerOf reads a Lease; false: it is no report of a DNS server.
func ServerOf(lease *coordinationv1.Lease) (Server, bool) {
	text, isReport := lease.Annotations[SerialAnnotation]
	serial, err := strconv.ParseUint(text, 10, 32)
	if !isReport || err != nil || lease.Namespace != Namespace {
		return Server{}, false
	}
	s := Server{
		Name: lease.Name, Serial: uint32(serial), Version: lease.Annotations[VersionAnnotation],
		IsRunning: ptr.Deref(lease.Spec.HolderIdentity, "") != "",
	}
	if listens := lease.Annotations[AddressesAnnotation]; listens != "" {
		s.Addresses = strings.Split(listens, ",")
	}
	if lease.Spec.RenewTime != nil {
		s.Renewed = lease.Spec.RenewTime.Time
	}
	return s, true
}

// Has reports whether the server answers from the serial or a later one (RFC 1982).
func (s Server) Has(serial uint32) bool { return s.Serial != 0 && int32(s.Serial-serial) >= 0 }

// Lag names the servers that are to be waited for until all answer from a serial.
func Lag(servers []Server, serial uint32, now time.Time) []string {
	var behind []string
	for _, s := range servers {
		if s.IsRunning && now.Sub(s.Renewed) < Forgotten && !s.Has(serial) {
			behind = append(behind, s.Name)
		}
	}
	slices.Sort(behind)
	return behind
}
