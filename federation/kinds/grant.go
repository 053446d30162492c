package kinds

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ReferenceGrant is the kind of the Gateway API by which a namespace lets objects of another one refer to its own.
var ReferenceGrant = schema.GroupKind{Group: gatewayGroup, Kind: "ReferenceGrant"}

// routeKinds refer to gateways and to services.
var routeKinds = []string{"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"}

// isGrantable reports whether a ReferenceGrant may let one kind refer to another in a foreign namespace.
func isGrantable(from, to schema.GroupKind) bool {
	switch {
	case from.Group != gatewayGroup:
		return false
	case from.Kind == "Gateway":
		return to == secret
	case slices.Contains(routeKinds, from.Kind):
		return to == service || to == schema.GroupKind{Group: gatewayGroup, Kind: "Gateway"}
	}
	return false
}

// MayFollow returns nil if an object may take another one along to members, and otherwise why it may not. An object
// reaches what is in its own namespace and, by name, what is in none. What is in another namespace is reached only by
// the references of the Gateway API (the Service behind a route, the Gateway of a route, the certificate of a Gateway),
// and only if one of the grants, which are the ReferenceGrants of that namespace, allows it. An object without a
// namespace reaches nothing that has one.
func MayFollow(from schema.GroupKind, namespace string, to Ref, grants []*unstructured.Unstructured) error {
	if to.Namespace == "" || to.Namespace == namespace {
		return nil
	}
	if !isGrantable(from, to.GroupKind) {
		return errors.New("it is in another namespace")
	}
	isGrant := func(grant *unstructured.Unstructured) bool { return allows(grant, from, namespace, to) }
	if namespace != "" && slices.ContainsFunc(grants, isGrant) {
		return nil
	}
	return fmt.Errorf("it is in another namespace, and no ReferenceGrant there lets the kind %s of namespace %s refer to it",
		from.Kind, namespace)
}

// allows reports whether one ReferenceGrant allows a reference. One that is being deleted does not.
func allows(grant *unstructured.Unstructured, from schema.GroupKind, namespace string, to Ref) bool {
	if grant.GroupVersionKind().GroupKind() != ReferenceGrant || grant.GetNamespace() != to.Namespace ||
		grant.GetDeletionTimestamp() != nil {
		return false
	}
	isFrom := slices.ContainsFunc(mapsAt(grant.Object, "spec", "from"), func(entry map[string]any) bool {
		return stringAt(entry, "group") == from.Group && stringAt(entry, "kind") == from.Kind &&
			stringAt(entry, "namespace") == namespace
	})
	return isFrom && slices.ContainsFunc(mapsAt(grant.Object, "spec", "to"), func(entry map[string]any) bool {
		name := entry["name"] // without one, all of the kind are meant
		return stringAt(entry, "group") == to.Group && stringAt(entry, "kind") == to.Kind &&
			(name == nil || name == "" || name == to.Name)
	})
}

// GrantedTo are the namespaces that a ReferenceGrant speaks of.
func GrantedTo(grant *unstructured.Unstructured) []string {
	var namespaces []string
	for _, entry := range mapsAt(grant.Object, "spec", "from") {
		namespaces = append(namespaces, stringAt(entry, "namespace"))
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces)
}

// Grantees are the kinds whose references a ReferenceGrant may allow.
func Grantees() []schema.GroupKind {
	all := []schema.GroupKind{{Group: gatewayGroup, Kind: "Gateway"}}
	for _, kind := range routeKinds {
		all = append(all, schema.GroupKind{Group: gatewayGroup, Kind: kind})
	}
	return all
}
