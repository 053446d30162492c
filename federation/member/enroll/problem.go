package enroll

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Reason names what is wrong, for programs.
type Reason string

// Reasons of a Problem.
const (
	BadName            Reason = "BadName"
	BadRequest         Reason = "BadRequest"
	Unreachable        Reason = "Unreachable"
	WrongCA            Reason = "WrongCA"
	WrongHost          Reason = "WrongHost"
	ExpiredCertificate Reason = "ExpiredCertificate"
	ExpiredCredentials Reason = "ExpiredCredentials"
	Unauthorized       Reason = "Unauthorized"
	Forbidden          Reason = "Forbidden"
	Refused            Reason = "Refused"
	NotKubernetes      Reason = "NotKubernetes"
	NotHanse           Reason = "NotHanse"
	Unsupported        Reason = "Unsupported"
	IsHub              Reason = "IsHub"
	NameTaken          Reason = "NameTaken"
	AlreadyJoined      Reason = "AlreadyJoined"
	OtherHub           Reason = "OtherHub"
	Foreign            Reason = "Foreign"
	UnusableServer     Reason = "UnusableServer"
	NotFound           Reason = "NotFound"
	WaitEnded          Reason = "WaitEnded"
)

// A Problem is an error with what to do about it.
type Problem struct {
	Reason Reason
	// What is wrong, and where.
	What string
	// Next is what to do, a sentence for people.
	Next string
	// Err behind it; may be nil.
	Err error
}

// Error is What, with the error behind it.
func (p *Problem) Error() string {
	if p.Err == nil {
		return p.What
	}
	return p.What + ": " + p.Err.Error()
}

// Unwrap is the error behind it.
func (p *Problem) Unwrap() error { return p.Err }

// ReasonOf is the reason of the Problem in err; empty if there is none.
func ReasonOf(err error) Reason {
	var p *Problem
	if errors.As(err, &p) {
		return p.Reason
	}
	return ""
}

// Diagnose turns what a request to a server came back with into a Problem. What names the server for people, such as
// "the cluster at https://10.0.0.1:6443".
func Diagnose(what string, err error) error {
	if err == nil || ReasonOf(err) != "" {
		return err
	}
	for _, c := range causes {
		if c.is(err) {
			return &Problem{Reason: c.reason, What: fmt.Sprintf(c.format, what), Next: c.next, Err: plain(err)}
		}
	}
	return fmt.Errorf("asking %s: %w", what, plain(err))
}

// causes are tried in this order: the special before the general, because a TLS failure is also a network failure.
var causes = []struct {
	is     func(error) bool
	reason Reason
	format string
	next   string
}{
	{isA[*redirectError], NotKubernetes, "%s answers with a redirect, which no Kubernetes API does; it is not followed",
		"Check the address in the kubeconfig, and who runs what answers there: it may be after your credentials."},
	{isExpired, ExpiredCertificate, "the certificate of %s is not valid at this time",
		"Renew the server's certificate, and check that the clock of this machine is right."},
	{isA[x509.UnknownAuthorityError], WrongCA, "the certificate of %s is not signed by the CA in the kubeconfig",
		"Put the right certificate-authority-data into the kubeconfig, or check that the address is the right one."},
	{isA[x509.HostnameError], WrongHost, "the certificate of %s is for another host",
		"Use an address that is in the certificate, or set tls-server-name in the kubeconfig."},
	{isNotTLS, NotKubernetes, "%s does not speak TLS",
		"Check scheme and port of the address in the kubeconfig."},
	{apierrors.IsUnauthorized, Unauthorized, "%s does not accept the credentials in the kubeconfig",
		"Log in again, or use a kubeconfig that kubectl works with."},
	{apierrors.IsForbidden, Forbidden, "%s forbids it",
		"Use a kubeconfig of an account that may do it."},
	{isRefused, Refused, "%s refuses it", "Correct what the message names; nothing was stored."},
	{isUnreachable, Unreachable, "cannot reach %s",
		"Check that it runs, and that address, network, proxy and firewall let this machine through."},
}

func isA[T error](err error) bool {
	var t T
	return errors.As(err, &t)
}

func isExpired(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

func isNotTLS(err error) bool {
	return isA[tls.RecordHeaderError](err) || errors.Is(err, http.ErrSchemeMismatch)
}

func isRefused(err error) bool { return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) }

func isUnreachable(err error) bool {
	return isA[*net.OpError](err) || isA[*net.DNSError](err) || isA[*url.Error](err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.ECONNREFUSED)
}

// plain takes the request line off an error of net/http: it repeats the address, and says nothing to people.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
