package server

import (
	"fmt"
	"net/http"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/apiserver/pkg/endpoints/metrics"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/hanse-federation/hanse/api/native"
	"github.com/hanse-federation/hanse/api/storage"
)

const (
	// maxBody is the largest body of a write. etcd refuses what stays larger than its own limit once stored.
	maxBody = 3 << 20
	// shortestWatch is how long a watch without timeoutSeconds lives at least; it ends at random before the double.
	shortestWatch = 30 * time.Minute
)

// target is what a request names: group, version, resource and subresource.
type target struct {
	schema.GroupVersionResource
	subresource string
}

// endpoint is a target with a handler for each verb it knows.
type endpoint struct {
	namespaced bool
	verbs      map[string]http.HandlerFunc
}

// dialect is how the objects of a group of kinds are read, written and converted.
type dialect struct {
	scheme     *runtime.Scheme
	codecs     runtime.NegotiatedSerializer
	parameters runtime.ParameterCodec
	types      managedfields.TypeConverter
}

func newDialect(scheme *runtime.Scheme, types managedfields.TypeConverter) dialect {
	return dialect{
		scheme: scheme,
		codecs: serializer.NewCodecFactory(scheme,
			serializer.WithStreamingCollectionEncodingToJSON(), serializer.WithStreamingCollectionEncodingToProtobuf()),
		parameters: runtime.NewParameterCodec(scheme),
		types:      types,
	}
}

// scopeOf is all that the handlers have to know of one target.
type scopeOf struct {
	target
	kind       schema.GroupVersionKind // of the body
	hub        schema.GroupVersion     // of the object in the store
	namespaced bool
	table      rest.TableConvertor
	ignored    map[fieldpath.APIVersion]fieldpath.Filter // what a write to this target resets
	types      managedfields.TypeConverter
}

func (d dialect) scope(s scopeOf, authz authorizer.UnconditionalAuthorizer) (*handlers.RequestScope, error) {
	converter := d.types
	if s.types != nil {
		converter = s.types
	}
	unsafe := runtime.UnsafeObjectConvertor(d.scheme)
	fields, err := managedfields.NewDefaultFieldManager(converter, unsafe, d.scheme, d.scheme, s.kind, s.hub,
		s.subresource, s.ignored)
	if err != nil {
		return nil, fmt.Errorf("make field manager of %v: %w", s.kind, err)
	}
	return &handlers.RequestScope{
		Namer:                    handlers.ContextBasedNaming{Namer: meta.NewAccessor(), ClusterScoped: !s.namespaced},
		Serializer:               d.codecs,
		ParameterCodec:           d.parameters,
		Creater:                  d.scheme,
		Convertor:                d.scheme,
		Defaulter:                d.scheme,
		Typer:                    d.scheme,
		UnsafeConvertor:          unsafe,
		Authorizer:               authz,
		EquivalentResourceMapper: runtime.NewEquivalentResourceRegistry(),
		TableConvertor:           s.table,
		FieldManager:             fields,
		Resource:                 s.GroupVersionResource,
		Subresource:              s.subresource,
		Kind:                     s.kind,
		HubGroupVersion:          s.hub,
		MetaGroupVersion:         metav1.SchemeGroupVersion,
		MaxRequestBodyBytes:      maxBody,
	}, nil
}

// patchTypes are the patches of kinds with a Go type. JSON patch: RFC 6902, merge patch: RFC 7386.
var patchTypes = []string{
	string(types.JSONPatchType), string(types.MergePatchType), string(types.StrategicMergePatchType),
	string(types.ApplyYAMLPatchType),
}

// collection is what a store of a stored kind can do.
type collection interface {
	rest.StandardStorage
	rest.Patcher
}

// verbHandlers make the handler of one request, by verb.
//
// A handler must not serve a second request: the library's handlers wrap the admission plugins they were made with
// again on each call, so one that is kept gets slower with every request, and races with itself.
type verbHandlers map[string]func() http.HandlerFunc

// storedHandlers are the verbs of a stored kind.
func storedHandlers(store collection, scope *handlers.RequestScope, admit admission.Interface) verbHandlers {
	return verbHandlers{
		"get":    func() http.HandlerFunc { return handlers.GetResource(store, scope) },
		"list":   func() http.HandlerFunc { return handlers.ListResource(store, store, scope, false, shortestWatch) },
		"watch":  func() http.HandlerFunc { return handlers.ListResource(store, store, scope, true, shortestWatch) },
		"create": func() http.HandlerFunc { return handlers.CreateResource(store, scope, admit) },
		"update": func() http.HandlerFunc { return handlers.UpdateResource(store, scope, admit) },
		"patch":  func() http.HandlerFunc { return handlers.PatchResource(store, scope, admit, patchTypes) },
		"delete": func() http.HandlerFunc { return handlers.DeleteResource(store, true, scope, admit) },
		"deletecollection": func() http.HandlerFunc {
			return handlers.DeleteCollection(store, true, scope, admit)
		},
	}
}

// partHandlers are the verbs of a subresource that reads and writes a part of a stored object.
func partHandlers(store rest.Patcher, scope *handlers.RequestScope, admit admission.Interface) verbHandlers {
	return verbHandlers{
		"get":    func() http.HandlerFunc { return handlers.GetResource(store, scope) },
		"update": func() http.HandlerFunc { return handlers.UpdateResource(store, scope, admit) },
		"patch":  func() http.HandlerFunc { return handlers.PatchResource(store, scope, admit, patchTypes) },
	}
}

// measured counts and times the handlers of an endpoint.
func measured(t target, namespaced bool, verbs verbHandlers) *endpoint {
	out := &endpoint{namespaced: namespaced, verbs: make(map[string]http.HandlerFunc, len(verbs))}
	for verb, makeHandler := range verbs {
		scope := "resource"
		if verb == "list" || verb == "watch" || verb == "deletecollection" {
			scope = "cluster"
			if namespaced {
				scope = "namespace"
			}
		}
		out.verbs[verb] = metrics.InstrumentHandlerFunc(metricVerb(verb), t.Group, t.Version, t.Resource, t.subresource,
			scope, metrics.APIServerComponent, false, "",
			func(w http.ResponseWriter, req *http.Request) { makeHandler()(w, req) })
	}
	return out
}

// metricVerb is the name of a verb in Kubernetes' metrics.
func metricVerb(verb string) string {
	switch verb {
	case "create":
		return "POST"
	case "update":
		return "PUT"
	case "deletecollection":
		return "DELETECOLLECTION"
	}
	return upper(verb)
}

// nativeResources are the stores and endpoints of all native kinds.
type nativeResources struct {
	stores    map[schema.GroupVersionResource]*storage.Store
	endpoints map[target]*endpoint
}

// nativeBuilder makes nativeResources, kind by kind.
type nativeBuilder struct {
	server  *Server
	dialect dialect
	out     nativeResources
}

// addStored makes store and endpoints of one stored kind.
func (b *nativeBuilder) addStored(gvr schema.GroupVersionResource, r apidiscoveryv2.APIResourceDiscovery) error {
	gvk := schema.GroupVersionKind(*r.ResponseKind)
	namespaced := r.Scope == apidiscoveryv2.ScopeNamespace
	hub, source := gvr.GroupVersion(), gvr
	if other, ok := storedElsewhere[gvr]; ok {
		hub, source = other.hub, other.stored
	}
	store, err := b.store(source, gvk, r, namespaced)
	if err != nil {
		return err
	}
	base := scopeOf{
		target: target{GroupVersionResource: gvr}, kind: gvk, hub: hub, namespaced: namespaced,
		table: store.Kind.Table,
	}
	parts, err := b.parts(store, base, r)
	if err != nil {
		return err
	}
	base.ignored = ignoredBy(base, "")
	scope, err := b.dialect.scope(base, &b.server.gate)
	if err != nil {
		return err
	}
	var main collection = store
	if parts.namespaces != nil {
		main = parts.namespaces
	}
	if native.HasDefaults(gvk.GroupKind()) {
		main = served{main}
	}
	b.out.endpoints[base.target] = measured(base.target, namespaced, storedHandlers(main, scope, b.server.admit))
	return nil
}

// store makes the store of a kind, or finds the one that another version of it already has.
func (b *nativeBuilder) store(source schema.GroupVersionResource, gvk schema.GroupVersionKind,
	r apidiscoveryv2.APIResourceDiscovery, namespaced bool) (*storage.Store, error) {
	if store, ok := b.out.stores[source]; ok {
		return store, nil
	}
	if source.GroupVersion() != gvk.GroupVersion() {
		gvk = source.GroupVersion().WithKind(gvk.Kind)
	}
	store, err := b.server.cfg.Etcd.NewStore(storage.Kind{
		GVK: gvk, Resource: r.Resource, Singular: r.SingularResource, Namespaced: namespaced, Scheme: b.dialect.scheme,
		Validate: native.Validate, ValidateUpdate: native.ValidateUpdate,
		Warnings: native.Warnings, WarningsOnUpdate: native.WarningsOnUpdate, Fields: native.FieldsOf,
		Table: native.TableConvertor(gvk, native.TableOptions{Clusters: b.server.cfg.Clusters}),
	}, b.server.chain.StorageObjectCountTracker)
	if err != nil {
		return nil, err
	}
	b.out.stores[source] = store
	return store, nil
}

// specialParts are stores that replace the plain one of a kind.
type specialParts struct{ namespaces *storage.NamespaceStore }

// parts makes the endpoints of all subresources of one kind.
func (b *nativeBuilder) parts(store *storage.Store, base scopeOf, r apidiscoveryv2.APIResourceDiscovery) (specialParts, error) {
	var special specialParts
	if base.GroupVersionResource == namespacesResource {
		special.namespaces = storage.NewNamespaceStore(store)
		b.server.namespaces = special.namespaces
	}
	for _, sub := range r.Subresources {
		s := base
		s.subresource = sub.Subresource
		s.ignored = ignoredBy(base, sub.Subresource)
		var part rest.Patcher
		switch sub.Subresource {
		case "status":
			part = partOf{store.Status}
			if native.HasDefaults(base.kind.GroupKind()) {
				part = servedPart{part}
			}
		case "approval":
			part = partOf{store.Status}
		case "finalize":
			part = partOf{special.namespaces.Finalize}
		case "scale":
			s.kind, s.hub = scaleKind, scaleKind.GroupVersion()
			s.types = managedfields.NewDeducedTypeConverter()
			s.table = native.TableConvertor(scaleKind, native.TableOptions{})
			part = newScale(store.Store, base.GroupVersionResource)
		case "token":
			if err := b.addToken(s); err != nil {
				return special, err
			}
			continue
		default:
			return special, fmt.Errorf("no handler for %s/%s", r.Resource, sub.Subresource)
		}
		scope, err := b.dialect.scope(s, &b.server.gate)
		if err != nil {
			return special, err
		}
		b.out.endpoints[s.target] = measured(s.target, base.namespaced, partHandlers(part, scope, b.server.admit))
	}
	return special, nil
}

// ignoredBy tells the field manager which fields a write to a (sub)resource does not own.
func ignoredBy(s scopeOf, subresource string) map[fieldpath.APIVersion]fieldpath.Filter {
	version := fieldpath.APIVersion(s.GroupVersionResource.GroupVersion().String())
	var path fieldpath.Path
	switch subresource {
	case "":
		path = fieldpath.MakePathOrDie("status")
	case "status", "approval":
		path = fieldpath.MakePathOrDie("spec")
	default:
		return nil
	}
	return map[fieldpath.APIVersion]fieldpath.Filter{
		version: fieldpath.NewExcludeSetFilter(fieldpath.NewSet(path)),
	}
}

var namespacesResource = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
