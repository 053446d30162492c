package proxy

import (
	"net"
	"net/http"
	"net/http/httputil"
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
