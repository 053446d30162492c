package kinds

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

const gatewayGroup = "gateway.networking.k8s.io"

// gateway is the Gateway of the Gateway API.
var gateway = Rule{
	step:       routes,
	refs:       gatewayRefs,
	unfollowed: func(obj map[string]any) []string { return unfollowed(gatewayReferences(obj)) },
	status:     []string{"addresses", "conditions", "listeners"},
	aggregate:  aggregateGateway,
}

// route serves HTTPRoute, GRPCRoute, TLSRoute, TCPRoute and UDPRoute.
var route = Rule{
	step:       routes,
	refs:       routeRefs,
	unfollowed: func(obj map[string]any) []string { return unfollowed(routeReferences(obj)) },
	status:     []string{"parents"},
	health:     routeHealth,
	aggregate:  aggregateRoute,
}

var gatewayKind = schema.GroupKind{Group: gatewayGroup, Kind: "Gateway"}

// reference is one of the Gateway API's, as it stands in an object, and the one kind that its field is for.
type reference struct {
	field string
	ref   map[string]any
	kind  schema.GroupKind
}

func gatewayReferences(obj map[string]any) []reference {
	var all []reference
	for _, listener := range mapsAt(obj, "spec", "listeners") {
		for _, certificate := range mapsAt(listener, "tls", "certificateRefs") {
			all = append(all, reference{"certificateRefs", certificate, secret})
		}
	}
	return all
}

func routeReferences(obj map[string]any) []reference {
	var all []reference
	for _, parent := range mapsAt(obj, "spec", "parentRefs") {
		all = append(all, reference{"parentRefs", parent, gatewayKind})
	}
	for _, rule := range mapsAt(obj, "spec", "rules") {
		for _, backend := range mapsAt(rule, "backendRefs") {
			all = append(all, reference{"backendRefs", backend, service})
		}
	}
	return all
}

func gatewayRefs(obj map[string]any, namespace string) []Ref {
	return grantable(gatewayReferences(obj), namespace)
}

func routeRefs(obj map[string]any, namespace string) []Ref {
	return grantable(routeReferences(obj), namespace)
}

// grantable reads references, which may name their group, kind and namespace. Only the one kind that a field is for is
// a dependency: an object never chooses the kind of what follows it. A reference into another namespace needs a grant
// there, see MayFollow. All of them are optional: a gateway or a certificate may be made in the member by its own
// platform.
func grantable(all []reference, namespace string) []Ref {
	var refs []Ref
	for _, r := range all {
		if name := stringAt(r.ref, "name"); name != "" && r.isOfKind() {
			refs = append(refs, Ref{GroupKind: r.kind, Namespace: cmp.Or(stringAt(r.ref, "namespace"), namespace),
				Name: name, Optional: true})
		}
	}
	return refs
}

// isOfKind reports whether a reference is to the kind that its field is for, which it need not say.
func (r reference) isOfKind() bool {
	kind, hasKind := r.ref["kind"]
	group, hasGroup := r.ref["group"]
	return (!hasKind || kind == r.kind.Kind) && (!hasGroup || group == r.kind.Group)
}

// unfollowed says which references are to other kinds than those that follow.
func unfollowed(all []reference) []string {
	var texts []string
	for _, r := range all {
		if !r.isOfKind() {
			texts = append(texts, fmt.Sprintf("the reference to %s %s in %s is not followed: only a %s is",
				cmp.Or(stringAt(r.ref, "kind"), "an object"), stringAt(r.ref, "name"), r.field, r.kind.Kind))
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

func routeHealth(obj map[string]any) (Health, string) {
	parents := mapsAt(obj, "status", "parents")
	for _, parent := range parents {
		for _, kind := range []string{"Accepted", "ResolvedRefs"} {
			if c, found := findCondition(parent, kind); found && c.Status == isFalse {
				return Degraded, because(c)
			}
		}
	}
	if len(parents) == 0 {
		return Progressing, "no gateway has taken it up"
	}
	return Healthy, ""
}

func aggregateGateway(in aggregation) map[string]any {
	collected := in.collected()
	if len(collected) == 0 {
		return nil
	}
	status := map[string]any{"conditions": in.observedConditions(in.previous, in.unitedConditions())}
	key := func(address map[string]any) string {
		return stringAt(address, "type") + "|" + stringAt(address, "value")
	}
	if addresses := in.united(key, "addresses"); len(addresses) > 0 {
		status["addresses"] = addresses
	}
	name := func(listener map[string]any) string { return stringAt(listener, "name") }
	if listeners := in.unitedParts(name, "listeners"); len(listeners) > 0 {
		for _, listener := range listeners {
			total := int64(0)
			for _, member := range collected {
				for _, one := range mapsAt(member.Status, "listeners") {
					if name(one) == name(listener.(map[string]any)) {
						total += intOr(one, 0, "attachedRoutes")
					}
				}
			}
			listener.(map[string]any)["attachedRoutes"] = total
		}
		status["listeners"] = listeners
	}
	return status
}

func aggregateRoute(in aggregation) map[string]any {
	if len(in.collected()) == 0 {
		return nil
	}
	parents := in.unitedParts(func(parent map[string]any) string {
		key, _ := json.Marshal([]any{parent["parentRef"], parent["controllerName"]})
		return string(key)
	}, "parents")
	return map[string]any{"parents": parents}
}

// unitedParts joins a list whose elements have conditions of their own (a route's parents, a gateway's listeners):
// one element of each key, with the members' conditions united.
func (in aggregation) unitedParts(key func(map[string]any) string, path string) []any {
	parts := in.united(key, path)
	for _, part := range parts {
		part := part.(map[string]any)
		// The same question one level down: each member's element in place of its status.
		inner := in
		inner.members = nil
		inner.previous = elementWith(mapsAt(in.previous, path), key, key(part))
		for _, member := range in.members {
			if element := elementWith(mapsAt(member.Status, path), key, key(part)); element != nil {
				member.Status = element
				inner.members = append(inner.members, member)
			}
		}
		part["conditions"] = inner.observedConditions(inner.previous, inner.unitedConditions())
	}
	return parts
}

func elementWith(list []map[string]any, key func(map[string]any) string, wanted string) map[string]any {
	i := slices.IndexFunc(list, func(element map[string]any) bool { return key(element) == wanted })
	if i < 0 {
		return nil
	}
	return list[i]
}

// observedConditions writes conditions whose type (metav1.Condition) has an observedGeneration of its own.
func (in aggregation) observedConditions(previous map[string]any, conditions []condition) []any {
	written := in.conditions(noMoment, conditions...)
	for _, c := range written {
		c := c.(map[string]any)
		if len(in.stale()) == 0 {
			c["observedGeneration"] = in.generation()
		} else if old := elementWith(mapsAt(previous, "conditions"), conditionType, conditionType(c)); old != nil {
			c["observedGeneration"] = intOr(old, 0, "observedGeneration")
		}
		for _, required := range []string{"reason", "message"} {
			if _, set := c[required]; !set {
				c[required] = ""
			}
		}
	}
	return written
}

func conditionType(c map[string]any) string { return stringAt(c, "type") }

// stale names the members that have not been sent the template's present generation.
func (in aggregation) stale() []string {
	return in.clusters(func(m MemberStatus) bool { return m.TemplateGeneration < in.generation() })
}
