package proxy

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/transport"
)

// private are the beginnings of headers by which somebody proves or claims who it is. What the hub has checked it tells
// the member in its own words; what it has not checked must not reach a member that might believe it.
var private = []string{"Authorization", "Cookie", "Impersonate-", "X-Remote-", "X-Forwarded-"}

// rewrite makes the member's request of the caller's. The proxy takes the hop-by-hop headers off by itself.
func rewrite(r *httputil.ProxyRequest) {
	in, out := r.In, r.Out
	out.URL.Scheme, out.URL.Host = "https", "member" // the guest knows the address
	out.Host = ""
	for key := range out.Header {
		if slices.ContainsFunc(private, func(p string) bool { return strings.HasPrefix(key, p) }) {
			out.Header.Del(key)
		}
	}
	withoutBearer(out.Header)
	if from, _, err := net.SplitHostPort(in.RemoteAddr); err == nil {
		out.Header.Set("X-Forwarded-For", from)
	}
	if id, ok := audit.AuditIDFrom(in.Context()); ok {
		out.Header.Set("Audit-Id", string(id)) // one id in the logs of both
	}
}

// bearer is the beginning of the WebSocket subprotocol in which browsers put a token.
const bearer = "base64url.bearer.authorization.k8s.io."

// withoutBearer takes tokens out of the subprotocols.
func withoutBearer(header http.Header) {
	const key = "Sec-Websocket-Protocol"
	if header.Get(key) == "" {
		return
	}
	var kept []string
	for _, line := range header[key] {
		for protocol := range strings.SplitSeq(line, ",") {
			if protocol = strings.TrimSpace(protocol); protocol != "" && !strings.HasPrefix(protocol, bearer) {
				kept = append(kept, protocol)
			}
		}
	}
	header.Del(key)
	if len(kept) > 0 {
		header.Set(key, strings.Join(kept, ", "))
	}
}

// leading are headers of an answer by which a member could make the caller's program, a browser above all, do something
// towards the hub or others: keep or drop cookies and other state of the hub's site, ask for a password in the hub's
// name, go elsewhere, let other sites read the hub's answers. One that ends in a hyphen stands for all that begin so.
var leading = []string{
	"Set-Cookie", "Set-Cookie2", "Clear-Site-Data", "Www-Authenticate", "Proxy-Authenticate", "Authentication-Info",
	"Proxy-Authentication-Info", "Strict-Transport-Security", "Public-Key-Pins", "Public-Key-Pins-Report-Only",
	"Expect-Ct", "Alt-Svc", "Refresh", "Link", "Content-Location", "Sourcemap", "X-Sourcemap", "Service-Worker-Allowed",
	"Nel", "Report-To", "Reporting-Endpoints", "Origin-Agent-Cluster", "Accept-Ch", "Critical-Ch", "P3p",
	"X-Forwarded-", "X-Remote-", "Access-Control-", "Cross-Origin-", "Content-Security-Policy",
	"Content-Security-Policy-Report-Only", "X-Frame-Options", "Timing-Allow-Origin",
	"X-Permitted-Cross-Domain-Policies", "Permissions-Policy", "Speculation-Rules",
	"Audit-Id", // the request's own, which the hub has set already
}

// disarm takes from an answer what would lead the caller. It has browsers treat the content as a document of nobody:
// what a member sends must not run as a page of the hub, for which a browser may hold a client certificate.
func disarm(header http.Header, prefix string) {
	for key := range header {
		if slices.ContainsFunc(leading, func(name string) bool {
			return strings.EqualFold(key, name) ||
				strings.HasSuffix(name, "-") && len(key) > len(name) && strings.EqualFold(key[:len(name)], name)
		}) {
			delete(header, key)
		}
	}
	if to := header.Get("Location"); to != "" { // where something new is
		header.Del("Location")
		if isLocal(to) {
			header.Set("Location", prefix+to)
		}
	}
	header.Set("Content-Security-Policy", "sandbox")
	header.Set("X-Content-Type-Options", "nosniff")
}

// isLocal reports whether a Location stays below the member's part of the hub when that is put before it.
func isLocal(to string) bool {
	at, err := url.Parse(to)
	return err == nil && at.Scheme == "" && at.Host == "" && at.User == nil && strings.HasPrefix(to, "/") &&
		!strings.HasPrefix(to, "//") && !strings.Contains(to, `\`) && checkPath(at) == nil
}

// finalOnly is the transport without what a member may send before and after its answer: informational answers, whose
// headers the proxy would pass on at once, and trailers.
type finalOnly struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (f finalOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := f.RoundTripper.RoundTrip(req.WithContext(untraced{req.Context()}))
	if err != nil {
		return nil, err
	}
	final := *resp // trailers are filled into the original while the body is read
	final.Trailer = nil
	return &final, nil
}

// untraced is a context without its values: the proxy's hook for informational answers is one.
type untraced struct{ context.Context }

// Value implements context.Context.
func (untraced) Value(any) any { return nil }

// whoIs is the caller as the member is told.
func whoIs(caller user.Info) transport.ImpersonationConfig {
	given := sets.New(user.AllAuthenticated, user.AllUnauthenticated)
	if namespace, _, err := serviceaccount.SplitUsername(caller.GetName()); err == nil {
		given.Insert(serviceaccount.MakeGroupNames(namespace)...)
	}
	who := transport.ImpersonationConfig{UserName: caller.GetName(), Extra: map[string][]string{}}
	for _, group := range caller.GetGroups() {
		if !given.Has(group) {
			who.Groups = append(who.Groups, group)
		}
	}
	for key, values := range caller.GetExtra() {
		if !strings.HasPrefix(key, "authentication.kubernetes.io/") {
			who.Extra[key] = values
		}
	}
	return who
}
