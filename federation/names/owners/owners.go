// Package owners says whose a DNS name is: which namespaces may have GlobalServices answer it.
//
// # Rules
//
// A name <anything>.<namespace>.<zone>, and all below it, belongs to that namespace alone. All other names of a zone
// belong to the Zone: its apex, the names directly below it, and wildcards there. The Zone may delegate those in
// spec.delegations. What is not delegated may be had by whoever has the verb "claim" on the Zone; admission writes down
// for which names the author had it (Claims), so that every replica of the hub serves the same without asking anybody's
// rights, and a right that ends later takes no name away.
//
// A name that begins with _acme-challenge belongs to whom the name below that label belongs: who can write it can get
// a certificate for that name.
//
// Of the default zone, <name>.<namespace>.<cluster>.c and <name>.<namespace>.<region>.r belong to that namespace: the hub
// makes them. Of clusterset.local, <name>.<namespace>.svc does.
//
// # Guarantees
//
// Values in, values out. A name is the same in upper and lower case, and with and without the dot at its end.
package owners

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// clusterSetZone is the zone of multi-cluster services.
const clusterSetZone = "clusterset.local"

// acmeChallenge is where a certificate authority looks for the proof that somebody owns a name (RFC 8555 section 8.4).
const acmeChallenge = "_acme-challenge."

// Namespaces says what is known of the namespaces of the hub.
type Namespaces func(name string) (labels.Set, bool)

// Normal is a name in lower case without the dot at its end.
func Normal(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// ZoneOf finds the zone of a name: the longest origin that covers it; nil if there is none.
func ZoneOf(zones []v1alpha1.Zone, hostname string) *v1alpha1.Zone {
	var best *v1alpha1.Zone
	for i := range zones {
		if isAtOrBelow(Normal(hostname), Normal(zones[i].Name)) && (best == nil || len(zones[i].Name) > len(best.Name)) {
			best = &zones[i]
		}
	}
	return best
}

func isAtOrBelow(name, top string) bool { return name == top || strings.HasSuffix(name, "."+top) }

// Check returns nil if a GlobalService of a namespace may have a name of a zone, and otherwise why it may not.
func Check(in *v1alpha1.Zone, hostname, namespace string, known Namespaces, claimed Claims) error {
	name := Normal(hostname)
	for strings.HasPrefix(name, acmeChallenge) && name != Normal(in.Name) {
		name = strings.TrimPrefix(name, acmeChallenge)
	}
	owner := namespaceOf(in, name)
	if owner == namespace || isDelegated(in, name, namespace, known) {
		return nil
	}
	if owner != "" {
		if _, exists := known(owner); exists {
			return fmt.Errorf("%s belongs to namespace %s", Normal(hostname), owner)
		}
	}
	if claimed.Cover(hostname, in.Name) {
		return nil
	}
	return fmt.Errorf("%s belongs to the Zone %s: add it to its spec.delegations for namespace %s, or have somebody write it"+
		" who may claim zones/%s; names below %s.%s are the namespace's own",
		Normal(hostname), in.Name, namespace, in.Name, namespace, Normal(in.Name))
}

// namespaceOf is the namespace that a name belongs to, whether there is one of that name or not; empty if it belongs to
// the Zone. The name lies in the zone.
func namespaceOf(in *v1alpha1.Zone, name string) string {
	relative := strings.TrimSuffix(strings.TrimSuffix(name, Normal(in.Name)), ".")
	if relative == "" {
		return ""
	}
	parts := strings.Split(relative, ".")
	last := len(parts) - 1
	isOfHub := in.Spec.Default && (parts[last] == "c" || parts[last] == "r")
	switch {
	case Normal(in.Name) == clusterSetZone:
		if len(parts) > 2 && parts[last] == "svc" {
			return parts[last-1]
		}
		return ""
	case isOfHub && len(parts) == 4:
		return parts[1]
	case isOfHub && parts[0] == "*", len(parts) < 2:
		return ""
	}
	return parts[last]
}

// isDelegated reports whether the Zone delegates a name to a namespace.
func isDelegated(in *v1alpha1.Zone, name, namespace string, known Namespaces) bool {
	return slices.ContainsFunc(in.Spec.Delegations, func(d v1alpha1.Delegation) bool {
		isNamed := slices.ContainsFunc(d.Names, func(pattern string) bool { return covers(in, pattern, name) })
		return isNamed && isFor(d.Namespaces, namespace, known)
	})
}

// covers reports whether a pattern of a delegation covers a name: the name itself, or "*.a" for every name below a.
func covers(in *v1alpha1.Zone, pattern, name string) bool {
	pattern, origin := Normal(pattern), Normal(in.Name)
	switch {
	case pattern == "@":
		pattern = origin
	case !isAtOrBelow(pattern, origin):
		pattern += "." + origin
	}
	if below, isWildcard := strings.CutPrefix(pattern, "*."); isWildcard {
		return strings.HasSuffix(name, "."+below)
	}
	return name == pattern
}

func isFor(who v1alpha1.DelegatedNamespaces, namespace string, known Namespaces) bool {
	if slices.Contains(who.Names, namespace) {
		return true
	}
	if who.Selector == nil {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(who.Selector)
	if err != nil {
		return false // admission refuses it
	}
	set, exists := known(namespace)
	return exists && selector.Matches(set)
}

// Validate says what is wrong with the delegations of a Zone.
func Validate(spec *v1alpha1.ZoneSpec) field.ErrorList {
	var errs field.ErrorList
	for i, d := range spec.Delegations {
		path := field.NewPath("spec", "delegations").Index(i).Child("namespaces")
		if len(d.Namespaces.Names) == 0 && d.Namespaces.Selector == nil {
			errs = append(errs, field.Required(path, "set names, selector or both"))
		}
		if _, err := metav1.LabelSelectorAsSelector(d.Namespaces.Selector); err != nil {
			errs = append(errs, field.Invalid(path.Child("selector"), "", err.Error()))
		}
	}
	return errs
}

// AllZones stands for every Zone in Claims.
const AllZones = "*"

// Claims are names, with the zones in which their author could claim names when they wrote them: AllZones, or those
// that the name may come to lie in.
type Claims map[string][]string

// ParseClaims reads what String wrote; what it cannot read claims nothing.
func ParseClaims(text string) Claims {
	claims := Claims{}
	for _, entry := range strings.Split(text, ",") {
		name, in, ok := strings.Cut(strings.TrimSpace(entry), "@")
		if ok && name != "" && in != "" {
			claims[name] = append(claims[name], in)
		}
	}
	return claims
}

// String is NAME@ZONE,NAME@ZONE, sorted.
func (c Claims) String() string {
	var entries []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		for _, in := range slices.Sorted(slices.Values(c[name])) {
			entries = append(entries, name+"@"+in)
		}
	}
	return strings.Join(entries, ",")
}

// Cover reports whether a name was claimed in a zone.
func (c Claims) Cover(hostname, zone string) bool {
	in := c[Normal(hostname)]
	return slices.Contains(in, AllZones) || slices.Contains(in, Normal(zone))
}

// Candidates are the zones that a name may lie in, now or later: itself and everything above it.
func Candidates(hostname string) []string {
	var all []string
	for name := Normal(hostname); name != ""; {
		all = append(all, name)
		_, name, _ = strings.Cut(name, ".")
	}
	return all
}

// AnnotationPrefixes are those of ExternalDNS's annotations: its own since May 2026, and the one before.
var AnnotationPrefixes = []string{"external-dns.kubernetes.io/", "external-dns.alpha.kubernetes.io/"}

// Annotated are the names that annotations of ExternalDNS ask for.
func Annotated(annotations map[string]string) []string {
	var names []string
	for _, prefix := range AnnotationPrefixes {
		for _, list := range []string{annotations[prefix+"hostname"], annotations[prefix+"internal-hostname"]} {
			for _, name := range strings.Split(list, ",") {
				if name = Normal(strings.TrimSpace(name)); name != "" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return names
}
