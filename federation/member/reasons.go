package member

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// ofError says what an error on the way to a member means. The first row that fits counts: the special before the
// general.
func ofError(err error, server string) outcome {
	var (
		config    *errConfig
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		hostname  x509.HostnameError
		header    tls.RecordHeaderError
		alert     tls.AlertError
		verify    *tls.CertificateVerificationError
		timeout   interface{ Timeout() bool }
		netErr    *net.OpError
	)
	text := limitedText(withoutURL(err).Error())
	say := func(reason Reason, format string, args ...any) outcome {
		return outcome{verdict: noAnswer, reason: reason, message: fmt.Sprintf(format, args...)}
	}
	switch {
	case errors.As(err, &config):
		return say(ReasonConfig, "%s", config.why)
	case strings.Contains(text, "proxyconnect"):
		return say(ReasonProxy, "the proxy on the way to %s fails: %s", server, text)
	case strings.Contains(text, "getting credentials"):
		return say(ReasonExec, "the command that gives the credentials fails: %s", text)
	case errors.Is(err, ErrNotKubernetes), errors.Is(err, ErrTooLarge):
		return say(ReasonNotAnAPI, "%s: %s; check the server's URL", server, text)
	case errors.As(err, &dns):
		if dns.Timeout() {
			return say(ReasonDNS, "the name %q could not be resolved in time; check the hub's DNS", dns.Name)
		}
		return say(ReasonDNS, "the name %q does not resolve; check the server's URL and the hub's DNS", dns.Name)
	case errors.As(err, &authority):
		return say(ReasonAuthority, "the certificate of %s is not signed by the given CA; check the CA bundle", server)
	case errors.As(err, &hostname):
		return say(ReasonHostname,
			"the certificate of %s is for another name: %s; check the URL or give the server name", server, text)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return say(ReasonExpired,
			"the certificate of %s is expired or not yet valid: %s; renew it, or check the clocks", server, text)
	case errors.As(err, &verify), errors.As(err, &invalid):
		return say(ReasonTLS, "the certificate of %s cannot be verified: %s", server, text)
	case errors.As(err, &alert) && isAboutOurCertificate(text):
		return say(ReasonClientCert, "%s does not accept our client certificate: %s; renew the credentials", server,
			text)
	case isAboutOurCertificate(text):
		return say(ReasonClientCert, "%s does not accept our client certificate: %s; renew the credentials", server,
			text)
	case errors.As(err, &header), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return say(ReasonTLS, "%s does not speak TLS; check the server's URL", server)
	case errors.As(err, &alert):
		return say(ReasonTLS, "TLS with %s fails: %s", server, text)
	case errors.Is(err, syscall.ECONNREFUSED):
		return say(ReasonRefused, "nobody listens at %s; is the API server running, is the port right?", server)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return say(ReasonNoRoute, "there is no route to %s; check network, VPN and firewall", server)
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return say(ReasonTimeout, "%s does not answer in time; check network and firewall, or the API server hangs",
			server)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.As(err, &netErr), strings.Contains(text, "http2:"),
		strings.Contains(text, "stream error:"):
		return say(ReasonReset, "the connection to %s broke: %s", server, text)
	case strings.Contains(text, "malformed HTTP"):
		return say(ReasonNotAnAPI, "%s does not speak HTTP; check the server's URL", server)
	}
	return say(ReasonOther, "%s: %s", server, text)
}

// withoutURL takes off the request's address that net/http puts before an error.
func withoutURL(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

func isAboutOurCertificate(text string) bool {
	for _, alert := range []string{"tls: bad certificate", "tls: certificate required",
		"tls: unknown certificate authority",
		"tls: expired certificate", "tls: revoked certificate", "tls: unknown certificate"} {
		if strings.Contains(text, alert) {
			return true
		}
	}
	return false
}

// ofStatus says what an answer other than 200 to a health request means. check is the answer's text.
func ofStatus(code int, contentType, check, server string) outcome {
	text := limitedText(check)
	if looksLikeHTML(contentType, check) && code != http.StatusUnauthorized && code != http.StatusForbidden &&
		code < 500 {
		return outcome{noAnswer, ReasonNotAnAPI, fmt.Sprintf("%s answers with a web page; check the server's URL",
			server)}
	}
	switch {
	case code == http.StatusUnauthorized:
		return outcome{useless, ReasonUnauthorized,
			fmt.Sprintf("%s does not accept our credentials; renew them (hanse join)", server)}
	case code == http.StatusForbidden:
		return outcome{useless, ReasonForbidden, fmt.Sprintf("%s forbids us even to ask for its health: %s", server,
			text)}
	case code == http.StatusTooManyRequests:
		return outcome{busy, ReasonBusy, fmt.Sprintf("%s has no capacity for us at present (429)", server)}
	case code >= 500 && (strings.Contains(check, "check failed") || strings.Contains(check, "[-]")):
		return outcome{useless, ReasonFailingCheck, fmt.Sprintf("%s is not ready: %s", server, failedChecks(check))}
	case code >= 500:
		return outcome{useless, ReasonServerError, fmt.Sprintf("%s answers %d: %s", server, code, text)}
	}
	return outcome{noAnswer, ReasonNotAnAPI, fmt.Sprintf("%s answers %d to a health request: %s", server, code, text)}
}

func looksLikeHTML(contentType, text string) bool {
	start := strings.ToLower(strings.TrimSpace(text))
	return strings.HasPrefix(contentType, "text/html") || strings.HasPrefix(start, "<!doctype") ||
		strings.HasPrefix(start, "<html")
}

// failedChecks picks the names of the failing checks out of the answer of /readyz.
func failedChecks(text string) string {
	var failed []string
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ = strings.Cut(name, " ")
			failed = append(failed, strings.TrimSpace(name))
		}
	}
	if len(failed) == 0 {
		return limitedText(text)
	}
	return "failing checks: " + limitedText(strings.Join(failed, ", "))
}
