package expose

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/names/owners"
	"github.com/hanse-federation/hanse/federation/template"
)

// externalDNS are the prefixes of ExternalDNS's annotations. The first that has a hostname counts, the other is not looked
// at then.
var externalDNS = owners.AnnotationPrefixes

// fromAnnotations marks a GlobalService that was made for annotations of a template; its value names the kind.
const fromAnnotations = v1alpha1.Prefix + "from-annotations"

// wishOf is the GlobalService that the annotations of a template ask for; false: they ask for none, or for names in no
// zone of the hub, which are somebody else's to serve.
func wishOf(w world, obj *unstructured.Unstructured) (wish, bool) {
	one := wish{namespace: obj.GetNamespace(), name: obj.GetName(), kind: obj.GetKind(), owner: obj}
	spec := &one.spec
	prefix := ""
	annotations := obj.GetAnnotations()
	for _, prefix = range externalDNS {
		get := func(key string) string { return strings.TrimSpace(annotations[prefix+key]) }
		names := split(get("hostname") + "," + get("internal-hostname"))
		if len(names) == 0 {
			continue
		}
		if controller := get("controller"); controller != "" && controller != "dns-controller" {
			return one, false
		}
		for _, name := range names {
			if _, ok := w.origins.covering(absolute(name)); ok {
				spec.Hostnames = append(spec.Hostnames, strings.TrimSuffix(strings.ToLower(name), "."))
			}
		}
		spec.TTL, one.ttlFault = ttlOf(get("ttl"))
		if targets := split(get("target")); len(targets) > 0 {
			spec.Addresses = given(targets)
		}
		break
	}
	if len(spec.Hostnames) == 0 || obj.GetDeletionTimestamp() != nil {
		return one, false
	}
	one.notFollowed = notFollowed(obj, prefix)
	if one.ttlFault != "" {
		one.notFollowed = append(one.notFollowed, prefix+"ttl "+one.ttlFault)
	}
	if spec.Addresses == nil {
		weights, err := annotatedWeights(w, obj, prefix)
		if err != nil {
			one.notFollowed = append(one.notFollowed, err.Error())
		}
		if one.keepsWeights = err != nil; len(weights) > 0 {
			spec.Weights, spec.FixedWeights = "Fixed", weights
		}
		switch obj.GetKind() {
		case "Service":
			spec.Service = obj.GetName()
		case "Ingress":
			spec.Ingress = obj.GetName()
		default:
			spec.Gateway = obj.GetName()
		}
	}
	return one, true
}

// split reads a list with commas, without what is empty or there twice.
func split(list string) []string {
	var all []string
	seen := map[string]bool{}
	for _, entry := range strings.Split(list, ",") {
		if entry = strings.TrimSpace(entry); entry != "" && !seen[entry] {
			seen[entry] = true
			all = append(all, entry)
		}
	}
	return all
}

// The TTL of a GlobalService, in seconds: the default of the schema, and the most.
const (
	defaultTTL = 30
	maxTTL     = 86400
)

// ttlOf reads seconds or a duration. It is 0 if nothing is said; what is said as 0 is the default, as ExternalDNS has it.
// The fault says what of the text is not followed.
func ttlOf(text string) (ttl int32, fault string) {
	if text == "" {
		return 0, ""
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fmt.Sprintf("is %q, and neither seconds nor a duration", text)
		}
		seconds = int64(d / time.Second)
	}
	switch {
	case seconds < 0:
		return 0, fmt.Sprintf("is %q, which is negative", text)
	case seconds == 0:
		return defaultTTL, ""
	case seconds > maxTTL:
		return maxTTL, fmt.Sprintf("is %q, and %d seconds are the most", text, maxTTL)
	}
	return int32(seconds), ""
}

// given are targets that the annotation names instead of what the members have: all IPs are one place, and each host
// name is another, since a CNAME stands alone in an answer; they take turns.
func given(targets []string) []v1alpha1.ClusterAddresses {
	var ips []string
	var all []v1alpha1.ClusterAddresses
	for _, target := range targets {
		if _, err := netip.ParseAddr(target); err == nil {
			ips = append(ips, target)
			continue
		}
		all = append(all, v1alpha1.ClusterAddresses{Hostname: strings.TrimSuffix(target, ".")})
	}
	if len(ips) > 0 {
		all = append([]v1alpha1.ClusterAddresses{{IPs: ips}}, all...)
	}
	for i := range all {
		all[i].Cluster = "target"
		if i > 0 {
			all[i].Cluster = fmt.Sprintf("target-%d", i+1)
		}
	}
	return all
}

// wish is a GlobalService that annotations ask for.
type wish struct {
	namespace, name, kind string
	spec                  v1alpha1.GlobalServiceSpec
	owner                 *unstructured.Unstructured
	// keepsWeights: what the annotations say of weights cannot be followed, so that those of before stay.
	keepsWeights bool
	// ttlFault says what of the ttl is not followed.
	ttlFault string
	// notFollowed says which annotations are not followed, and what to do.
	notFollowed []string
}

// granted is a GlobalService with the wish come true: of the spec only what the annotations say is touched.
func (one wish) granted(gs *v1alpha1.GlobalService) *v1alpha1.GlobalService {
	changed := gs.DeepCopy()
	claimedFor(changed, one.owner)
	spec := &changed.Spec
	spec.Hostnames, spec.Service, spec.Ingress = one.spec.Hostnames, one.spec.Service, one.spec.Ingress
	spec.Gateway, spec.Addresses = one.spec.Gateway, one.spec.Addresses
	if one.spec.TTL != 0 {
		spec.TTL = one.spec.TTL
	}
	_, wereOurs := changed.Annotations[weightsFromAnnotations]
	switch {
	case one.keepsWeights:
	case len(one.spec.FixedWeights) > 0:
		spec.Weights, spec.FixedWeights = one.spec.Weights, one.spec.FixedWeights
		metav1.SetMetaDataAnnotation(&changed.ObjectMeta, weightsFromAnnotations, "true")
	case wereOurs:
		spec.Weights, spec.FixedWeights = "Replicas", nil // the default
		delete(changed.Annotations, weightsFromAnnotations)
	}
	return changed
}

// wishes are all of them. What a GlobalService of a user exposes already is left to that.
func wishes(w world) []wish {
	type key struct{ namespace, name string }
	taken := map[key]bool{}
	exposed := map[string]bool{}
	for i := range w.services {
		gs := &w.services[i]
		if _, ours := gs.Labels[fromAnnotations]; !ours {
			taken[key{gs.Namespace, gs.Name}] = true
			exposed[exposedBy(gs).String()] = true
		}
	}
	var all []wish
	w.annotated(func(obj *unstructured.Unstructured) {
		one, ok := wishOf(w, obj)
		if !ok || exposed[template.RefOf(obj).String()] {
			return
		}
		if taken[key{one.namespace, one.name}] {
			one.name += "-" + strings.ToLower(one.kind)
		}
		if k := (key{one.namespace, one.name}); !taken[k] {
			taken[k] = true
			all = append(all, one)
		}
	})
	return all
}
