package member

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Phase says whether a member can be worked with.
type Phase string

const (
	Unknown     Phase = "Unknown"     // not yet asked often enough to say
	Ready       Phase = "Ready"       // it answers and says that it is ready
	NotReady    Phase = "NotReady"    // it answers, but it cannot be worked with
	Unreachable Phase = "Unreachable" // nothing answers that is a Kubernetes API
)

// Reason is one CamelCase word for why a member is in its phase.
type Reason string

const (
	ReasonConnecting   Reason = "Connecting"         // first probe under way
	ReasonReady        Reason = "Reachable"          // all is well
	ReasonConfig       Reason = "InvalidConfig"      // the Spec cannot be used; no request was made
	ReasonDNS          Reason = "NameNotResolved"    // the server's name has no address
	ReasonRefused      Reason = "ConnectionRefused"  // nobody listens there
	ReasonNoRoute      Reason = "NoRoute"            // the network has no way there
	ReasonTimeout      Reason = "Timeout"            // no answer in time
	ReasonReset        Reason = "ConnectionLost"     // the connection broke
	ReasonSilent       Reason = "NoAnswer"           // a connection is made, encrypted too, and no request is answered
	ReasonProxy        Reason = "ProxyError"         // the proxy on the way refused or failed
	ReasonAuthority    Reason = "UnknownAuthority"   // the certificate is not signed by the CA bundle
	ReasonExpired      Reason = "CertificateExpired" // the server's certificate is outside its time
	ReasonHostname     Reason = "CertificateName"    // the certificate is for another name
	ReasonTLS          Reason = "TLSError"           // any other trouble of TLS, such as plain HTTP
	ReasonClientCert   Reason = "ClientCertificateRefused"
	ReasonExec         Reason = "CredentialCommandFailed"
	ReasonUnauthorized Reason = "Unauthorized"        // 401
	ReasonForbidden    Reason = "Forbidden"           // 403
	ReasonNotAnAPI     Reason = "NotKubernetes"       // HTML, truncated JSON, endless bodies, redirects
	ReasonBusy         Reason = "TooManyRequests"     // 429
	ReasonServerError  Reason = "ServerError"         // 5xx
	ReasonFailingCheck Reason = "ReadinessCheckFails" // /readyz answers that a check fails
	ReasonOther        Reason = "Error"               // anything else
)

// State is what is known of a member. It is a value: keep it, compare it, hand it on.
type State struct {
	Phase Phase
	// Since is when the phase began.
	Since time.Time
	// LastSeen is the last usable answer; zero if there never was one.
	LastSeen time.Time
	Reason   Reason
	// Message says what is wrong and what can be done about it.
	Message string
	// Failing is how many probes in a row have failed, also while the phase still is Ready.
	Failing int

	// KubernetesVersion as /version says, such as v1.37.2.
	KubernetesVersion string
	// ClusterUID is the UID of the namespace kube-system: the identity of the cluster itself.
	ClusterUID string
	Nodes      Nodes
	Resources  Resources
	APIs       APIs
	// TooMuch says of which kinds the member sends more than the hub takes from one; empty if there is none. What was
	// known of these kinds before stays known.
	TooMuch string
}

// Nodes of a member.
type Nodes struct {
	// Known is false until they have been listed once; Message says why they cannot be.
	Known   bool
	Message string
	Total   int32
	Ready   int32
}

// Resources of a member. Available is what ready, schedulable nodes can allocate less what pods requested there.
type Resources struct {
	// Known is false until nodes and pods have been listed once; Message says why they cannot be.
	Known       bool
	Message     string
	Allocatable corev1.ResourceList
	Requested   corev1.ResourceList
	Available   corev1.ResourceList
}

// APIs that a member serves. The hash changes when a kind comes or goes.
type APIs struct {
	Hash  string
	Count int
	// Message says which groups could not be read, and why.
	Message string
}

// IsReady reports whether the member can be worked with.
func (s State) IsReady() bool { return s.Phase == Ready }

// IsLost reports whether the member has been asked and nothing answers that could be a Kubernetes API server.
func (s State) IsLost() bool { return s.Phase == Unreachable && s.Reason.IsLoss() }

// IsLoss reports whether a member that is not Ready for this reason gives no sign of life. One that answers with errors, or
// with a certificate that is not trusted, may run all that it ran: a token that has ended is no reason to move replicas.
func (r Reason) IsLoss() bool {
	switch r {
	case ReasonDNS, ReasonRefused, ReasonNoRoute, ReasonTimeout, ReasonReset, ReasonProxy, ReasonOther:
		return true
	}
	return false
}

// IsRefusal reports whether the reason is that the member does not accept the hub's account.
func (r Reason) IsRefusal() bool {
	switch r {
	case ReasonUnauthorized, ReasonForbidden, ReasonClientCert, ReasonExec:
		return true
	}
	return false
}
