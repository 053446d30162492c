package expose

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/federation/template"
)

var (
	ingressKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	routeKind   = schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}
)

// leadsOn has the kinds whose templates say which Services stand behind a name.
var leadsOn = []schema.GroupKind{ingressKind, routeKind}

// backendsOf are the names of the Services that an exposed object leads requests for some hostnames to, sorted.
func backendsOf(w world, exposed *unstructured.Unstructured, hostnames []string) []string {
	var names []string
	switch exposed.GetKind() {
	case "Service":
		names = []string{exposed.GetName()}
	case "Ingress":
		names = ingressBackends(exposed, hostnames)
	case "Gateway":
		w.routes(exposed.GetNamespace(), func(route *unstructured.Unstructured) {
			if isAttached(route, exposed) {
				names = append(names, routeBackends(route, hostnames)...)
			}
		})
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// ingressBackends are those of the rules for the hostnames. A hostname without a rule is led to the default backend.
func ingressBackends(ingress *unstructured.Unstructured, hostnames []string) []string {
	rules, _, _ := unstructured.NestedSlice(ingress.Object, "spec", "rules")
	fallback, _, _ := unstructured.NestedString(ingress.Object, "spec", "defaultBackend", "service", "name")
	var names []string
	for _, hostname := range hostnames {
		led := rulesFor(rules, hostname)
		if len(led) == 0 {
			names = append(names, fallback)
		}
		for _, rule := range led {
			paths, _, _ := unstructured.NestedSlice(rule, "http", "paths")
			if len(paths) == 0 {
				names = append(names, fallback)
			}
			for _, p := range paths {
				path, _ := p.(map[string]any)
				name, _, _ := unstructured.NestedString(path, "backend", "service", "name")
				names = append(names, name)
			}
		}
	}
	return names
}

// rulesFor are the rules of an Ingress that a hostname falls under: those with its very name, else those with a wildcard
// for it, else those for every host.
func rulesFor(rules []any, hostname string) []map[string]any {
	var best [3][]map[string]any
	for _, r := range rules {
		rule, _ := r.(map[string]any)
		host, _, _ := unstructured.NestedString(rule, "host")
		switch host = strings.ToLower(host); {
		case host == "":
			best[2] = append(best[2], rule)
		case host == hostname:
			best[0] = append(best[0], rule)
		case strings.HasPrefix(host, "*.") && host[2:] == parentOf(hostname):
			best[1] = append(best[1], rule)
		}
	}
	for _, found := range best {
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

func parentOf(hostname string) string {
	_, parent, _ := strings.Cut(hostname, ".")
	return parent
}

// isAttached reports whether a route of the same namespace names a Gateway as its parent.
func isAttached(route, gateway *unstructured.Unstructured) bool {
	parents, _, _ := unstructured.NestedSlice(route.Object, "spec", "parentRefs")
	return slices.ContainsFunc(parents, func(p any) bool {
		parent, _ := p.(map[string]any)
		text := func(field, fallback string) string {
			if s, ok, _ := unstructured.NestedString(parent, field); ok {
				return s
			}
			return fallback
		}
		return text("name", "") == gateway.GetName() && text("kind", "Gateway") == "Gateway" &&
			text("group", routeKind.Group) == routeKind.Group && text("namespace", route.GetNamespace()) == gateway.GetNamespace()
	})
}

// routeBackends are the Services of a route for one of the hostnames. A backend with the weight 0 gets no requests.
func routeBackends(route *unstructured.Unstructured, hostnames []string) []string {
	own, _, _ := unstructured.NestedStringSlice(route.Object, "spec", "hostnames")
	if len(own) > 0 && !slices.ContainsFunc(hostnames, func(h string) bool { return isRoutedBy(own, h) }) {
		return nil
	}
	rules, _, _ := unstructured.NestedSlice(route.Object, "spec", "rules")
	var names []string
	for _, r := range rules {
		rule, _ := r.(map[string]any)
		backends, _, _ := unstructured.NestedSlice(rule, "backendRefs")
		for _, b := range backends {
			backend, _ := b.(map[string]any)
			kind, hasKind, _ := unstructured.NestedString(backend, "kind")
			namespace, _, _ := unstructured.NestedString(backend, "namespace")
			weight, hasWeight, _ := unstructured.NestedInt64(backend, "weight")
			isHere := namespace == "" || namespace == route.GetNamespace()
			if (!hasKind || kind == "Service") && isHere && (!hasWeight || weight > 0) {
				name, _, _ := unstructured.NestedString(backend, "name")
				names = append(names, name)
			}
		}
	}
	return names
}

// isRoutedBy reports whether a hostname is one of a route's. A wildcard of a route covers any number of labels.
func isRoutedBy(own []string, hostname string) bool {
	return slices.ContainsFunc(own, func(host string) bool {
		host = strings.ToLower(host)
		return host == hostname || strings.HasPrefix(host, "*.") && strings.HasSuffix(hostname, host[1:])
	})
}

// selects returns what tells the workloads behind a Service; nil if it selects none.
func selects(service *unstructured.Unstructured) func(*unstructured.Unstructured) bool {
	selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	if len(selector) == 0 {
		return nil
	}
	return func(obj *unstructured.Unstructured) bool {
		pods, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "template", "metadata", "labels")
		return labels.SelectorFromSet(selector).Matches(labels.Set(pods))
	}
}

// loadBehind adds up the workloads of all Services that an exposed object leads to. A member where one of them has no
// ready replica is not ready at all: some requests would fail there.
func loadBehind(w world, exposed *unstructured.Unstructured, hostnames []string) load {
	l := newLoad()
	backends := backendsOf(w, exposed, hostnames)
	parts := map[string]load{}
	seen := map[string]bool{} // workloads, which several Services may select
	for _, name := range backends {
		service, ok := w.object(template.Ref{Kind: "Service", Namespace: exposed.GetNamespace(), Name: name})
		if !ok {
			continue
		}
		matches := selects(service)
		if matches == nil {
			continue
		}
		part := loadOfMatching(w, exposed.GetNamespace(), matches)
		if !part.isKnown {
			continue
		}
		parts[name] = part
		l.isKnown = true
		fresh := loadOfMatching(w, exposed.GetNamespace(), func(obj *unstructured.Unstructured) bool {
			key := template.RefOf(obj).String()
			if seen[key] || !matches(obj) {
				return false
			}
			seen[key] = true
			return true
		})
		l.add(fresh)
		if exposed.GetKind() != "Service" {
			l.behind = append(l.behind, template.RefOf(service).String())
		}
	}
	for _, name := range backends {
		part, ok := parts[name]
		if !ok || len(parts) == 1 {
			continue
		}
		for cluster := range l.desired {
			if part.ready[cluster] == 0 && l.desired[cluster] > 0 && l.failing[cluster] == "" {
				l.failing[cluster] = name
			}
		}
	}
	return l
}
