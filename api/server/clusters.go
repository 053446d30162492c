package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
)

// Members answers requests for the API of one member, below /clusters/<name>. The request has been allowed to the caller
// and has the member's own path; prefix is what stood ahead of it, without a slash at its end.
type Members func(name, prefix string, caller user.Info) http.Handler

// clustersPath is where the members' APIs are.
const clustersPath = "/clusters/"

// clusterProxy is what a caller must be allowed to use, with the name of the member as the resource's name.
var clusterProxy = schema.GroupVersionResource{Group: "hanse.io", Version: "v1alpha1", Resource: "clusters"}

// throughCluster takes the path of a request to a member apart. Authorization and the route both read it, so what was
// allowed is what is done.
func throughCluster(u *url.URL) (name, prefix string, inner *url.URL, ok bool) {
	rest, ok := strings.CutPrefix(u.EscapedPath(), clustersPath)
	if !ok {
		return "", "", nil, false
	}
	name, below, _ := strings.Cut(rest, "/")
	if name == "" || strings.Contains(name, "%") { // no name of a Cluster needs an escape
		return "", "", nil, false
	}
	prefix = clustersPath + name
	inner = &url.URL{RawQuery: u.RawQuery}
	raw := "/" + below
	path, err := url.PathUnescape(raw)
	if err != nil {
		return "", "", nil, false
	}
	inner.Path = path
	if inner.EscapedPath() != raw {
		inner.RawPath = raw
	}
	return name, prefix, inner, true
}

// clusterInfo resolves requests to members as uses of the resource clusters/proxy, and leaves all others to the library.
type clusterInfo struct{ request.RequestInfoResolver }

// NewRequestInfo implements request.RequestInfoResolver.
//
// The verb follows the method, as it does for the proxies of Kubernetes, with one exception that Kubernetes itself makes
// for pods: an upgrade asks for "create", although a WebSocket begins with GET. It is how commands are run, and who may
// only read must not.
func (c clusterInfo) NewRequestInfo(req *http.Request) (*request.RequestInfo, error) {
	name, _, _, ok := throughCluster(req.URL)
	if !ok {
		return c.RequestInfoResolver.NewRequestInfo(req)
	}
	verbs := map[string]string{
		http.MethodGet: "get", http.MethodHead: "get", http.MethodOptions: "get", http.MethodPost: "create",
		http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
	}
	verb := verbs[req.Method]
	if req.Header.Get("Upgrade") != "" {
		verb = "create"
	}
	return &request.RequestInfo{
		IsResourceRequest: true, Path: req.URL.Path, Verb: verb, APIPrefix: "apis",
		APIGroup: clusterProxy.Group, APIVersion: clusterProxy.Version,
		Resource: clusterProxy.Resource, Subresource: "proxy", Name: name,
		Parts: []string{clusterProxy.Resource, name, "proxy"},
	}, nil
}

// isLongForMember is what kube-apiserver itself exempts from its timeout.
var isLongForMember = genericfilters.BasicLongRunningRequestCheck(
	sets.NewString("watch", "proxy"), sets.NewString("attach", "exec", "proxy", "log", "portforward"))

// isLongThroughCluster reports whether a request to a member goes on for as long as its client likes.
func (c clusterInfo) isLongThroughCluster(req *http.Request) bool {
	_, _, inner, ok := throughCluster(req.URL)
	if !ok {
		return false
	}
	if req.Header.Get("Upgrade") != "" {
		return true
	}
	asMember := &http.Request{Method: req.Method, URL: inner}
	info, err := c.RequestInfoResolver.NewRequestInfo(asMember)
	return err == nil && isLongForMember(asMember, info)
}

// serveCluster answers a request to a member.
func (s *Server) serveCluster(w http.ResponseWriter, req *http.Request) {
	name, prefix, inner, ok := throughCluster(req.URL)
	info := requestOf(req)
	caller, known := request.UserFrom(req.Context())
	switch {
	case !ok || s.cfg.Members == nil:
		notFound(w, req)
		return
	case !known || info.Subresource != "proxy" || info.Name != name:
		refuse(w, req, apierrors.NewInternalError(fmt.Errorf("the request for cluster %s was not authorized as one", name)))
		return
	}
	asked := req.Clone(req.Context())
	asked.URL, asked.RequestURI = inner, ""
	s.cfg.Members(name, prefix, caller).ServeHTTP(w, asked)
}
