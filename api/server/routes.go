package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/metrics/legacyregistry"
)

// This file is the whole route table.
//
//	outer gin   health and metrics where they are public, routes of other parts that are
//	  else      the filter chain: who is it, may they, how much at once, log it, not for ever
//	inner gin   discovery, OpenAPI, version, health, metrics, members' APIs, routes of other parts
//	  else      resources: native kinds by table, custom kinds by their CRD
//
// No gin context ever crosses the filter chain: its timeout filter goes on without waiting for the handler, and gin
// uses contexts again.

// buildRoutes makes what Listener serves.
func (s *Server) buildRoutes(context.Context) error {
	outer := newEngine()
	if s.cfg.PublicHealth {
		s.addHealth(outer)
	}
	if s.cfg.PublicMetrics {
		outer.GET("/metrics", gin.WrapH(s.metrics()))
	}
	for _, route := range s.cfg.Public {
		outer.Any(route.Path, gin.WrapH(route.Handler))
	}
	outer.NoRoute(through(genericserver.DefaultBuildHandlerChain(s.inner(), s.chain)))
	s.outer = outer
	return nil
}

// buildLoopback makes what Loopback and StoredLoopback serve.
func (s *Server) buildLoopback(context.Context) error {
	chain := s.loopbackChain(s.inner())
	s.loopback.serve(chain)
	s.stored.serve(storedView(chain))
	return nil
}

// inner is everything behind a filter chain.
func (s *Server) inner() http.Handler {
	inner := newEngine()
	for path, handler := range map[string]http.HandlerFunc{
		"/api":        s.discovery.serveCore,
		"/apis":       s.discovery.serveGroups,
		"/openapi/v2": s.openapi.serveV2,
		"/version":    s.serveVersion,

		"/openid/v1/jwks":                   s.serveKeySet,
		"/.well-known/openid-configuration": s.serveDiscovery,
	} {
		inner.GET(path, gin.WrapF(handler))
		inner.GET(path+"/", gin.WrapF(handler))
	}
	inner.GET("/openapi/v3", gin.WrapF(s.openapi.serveIndex))
	inner.GET("/api/v1", func(c *gin.Context) {
		s.discovery.serveVersion(c.Writer, c.Request, schema.GroupVersion{Version: "v1"})
	})
	inner.GET("/openapi/v3/*document", func(c *gin.Context) {
		if name := strings.Trim(c.Param("document"), "/"); name != "" {
			s.openapi.serveV3(c.Writer, c.Request, name)
			return
		}
		s.openapi.serveIndex(c.Writer, c.Request)
	})
	inner.GET("/metrics", gin.WrapH(s.metrics()))
	s.addHealth(inner)
	inner.Any(clustersPath+":name", gin.WrapF(s.serveCluster))
	inner.Any(clustersPath+":name/*path", gin.WrapF(s.serveCluster))
	for _, route := range s.cfg.Protected {
		inner.Any(route.Path, gin.WrapH(route.Handler))
	}
	inner.NoRoute(through(http.HandlerFunc(s.serveResource)))
	return inner
}

// metrics serves those of the API's libraries, and of other parts.
func (s *Server) metrics() http.Handler {
	all := prometheus.Gatherers{legacyregistry.DefaultGatherer}
	if s.cfg.Metrics != nil {
		all = append(all, s.cfg.Metrics)
	}
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// newEngine is a gin engine that changes no request: no redirects, no guesses.
func newEngine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	engine.HandleMethodNotAllowed = false
	engine.UseRawPath = false
	return engine
}

// through hands a request on to handler. gin sets 404 before it calls a NoRoute handler; the handler decides that.
func through(handler http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Status(http.StatusOK)
		handler.ServeHTTP(c.Writer, c.Request)
	}
}

// serveResource answers what no route matched: resources, and discovery below /apis, which cannot be a gin route
// because resources lie below it too.
func (s *Server) serveResource(w http.ResponseWriter, req *http.Request) {
	info := requestOf(req)
	if !info.IsResourceRequest {
		s.serveDiscoveryBelow(w, req)
		return
	}
	t := target{
		GroupVersionResource: schema.GroupVersionResource{
			Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource,
		},
		subresource: info.Subresource,
	}
	endpoint, ok := s.natives.endpoints[t]
	if !ok {
		s.customs.handler.ServeHTTP(w, req)
		return
	}
	if !endpoint.accepts(info) {
		notFound(w, req)
		return
	}
	handler, ok := endpoint.verbs[info.Verb]
	if !ok {
		refuse(w, req, apierrors.NewMethodNotSupported(t.GroupResource(), info.Verb))
		return
	}
	handler(w, req)
}

// accepts says whether a request names a namespace where the kind has one, and only there.
func (e *endpoint) accepts(info *request.RequestInfo) bool {
	if e.namespaced {
		// The name in the info may be that of a field selector; the one of a path would be a second part.
		return info.Namespace != "" || len(info.Parts) == 1 && (info.Verb == "list" || info.Verb == "watch")
	}
	return info.Namespace == "" || info.Resource == "namespaces"
}

// serveDiscoveryBelow answers /apis/<group> and /apis/<group>/<version>.
func (s *Server) serveDiscoveryBelow(w http.ResponseWriter, req *http.Request) {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) == 2:
		s.discovery.serveVersion(w, req, schema.GroupVersion{Version: parts[1]})
	case parts[0] == "apis" && len(parts) == 2:
		s.discovery.serveGroup(w, req, parts[1])
	case parts[0] == "apis" && len(parts) == 3:
		s.discovery.serveVersion(w, req, schema.GroupVersion{Group: parts[1], Version: parts[2]})
	default:
		notFound(w, req)
	}
}

// serveVersion answers /version.
func (s *Server) serveVersion(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.cfg.Version)
}

// discoveryCodecs encode what belongs to no kind: discovery and errors.
var discoveryCodecs = func() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, v1)
	scheme.AddUnversionedTypes(v1, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{},
		&metav1.APIResourceList{})
	return serializer.NewCodecFactory(scheme)
}()

// notFound answers 404 the way clients of Kubernetes read it.
func notFound(w http.ResponseWriter, req *http.Request) {
	status := apierrors.NewGenericServerResponse(http.StatusNotFound, requestOf(req).Verb, schema.GroupResource{}, "",
		"404 page not found", 0, true)
	status.ErrStatus.Message = "the server could not find the requested resource"
	refuse(w, req, status)
}

func refuse(w http.ResponseWriter, req *http.Request, err error) {
	info := requestOf(req)
	gv := schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
	responsewriters.ErrorNegotiated(err, discoveryCodecs, gv, w, req)
}
