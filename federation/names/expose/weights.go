package expose

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/kinds/override"
	"github.com/hanse-federation/hanse/federation/template"
)

// weightKey is ExternalDNS's annotation for the weight among records of one name. Its set-identifier, which tells them
// apart, has no part here: the members do.
const weightKey = "aws-weight"

// weightsFromAnnotations marks a GlobalService whose fixed weights come from annotations: they go with those.
const weightsFromAnnotations = v1alpha1.Prefix + "weights-from-annotations"

// annotatedWeights are the weights that the copies of a template ask for, each by the annotation that it has in its
// member: the template's, as the placement's overrides change it there. nil: none asks for one, or the template is
// nowhere yet. The error says why what they ask for cannot be followed.
func annotatedWeights(w world, obj *unstructured.Unstructured, prefix string) ([]v1alpha1.ClusterWeight, error) {
	key := prefix + weightKey
	d := w.distribution(template.RefOf(obj))
	if d == nil {
		return nil, nil
	}
	overrides := w.overrides(d)
	if obj.GetAnnotations()[key] == "" && len(overrides) == 0 {
		return nil, nil
	}
	var weights []v1alpha1.ClusterWeight
	var without []string
	for _, member := range membersOf(w, d) {
		there, err := override.Apply(obj, kinds.Of(obj), overrides, override.FactsOf(w.clusters[member]))
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read for %s: %w", key, member, err)
		}
		text := strings.TrimSpace(there.GetAnnotations()[key])
		if text == "" {
			without = append(without, member)
			continue
		}
		weight, err := strconv.ParseInt(text, 10, 64)
		if err != nil || weight < 0 || weight > math.MaxInt32 {
			return nil, fmt.Errorf("%s is %q in %s, and not a number from 0 to %d", key, text, member, math.MaxInt32)
		}
		weights = append(weights, v1alpha1.ClusterWeight{Cluster: member, Weight: weight})
	}
	switch {
	case len(weights) > 0 && len(without) > 0:
		return nil, fmt.Errorf("%s is set in some members only; give it to %s, too, on the template or by an override of "+
			"its placement", key, strings.Join(without, ", "))
	case !slices.ContainsFunc(weights, func(c v1alpha1.ClusterWeight) bool { return c.Weight > 0 }):
		for i := range weights {
			weights[i].Weight = 1 // as Route 53 has it: when all are 0, all are alike
		}
	}
	return weights, nil
}

// membersOf are the members that have a copy of a template, or are to have one, sorted.
func membersOf(w world, d *v1alpha1.Distribution) []string {
	names := slices.Clone(d.Spec.Leaving)
	for _, c := range d.Spec.Clusters {
		names = append(names, c.Name)
	}
	for _, o := range d.Status.Clusters {
		if o.Verdict != v1alpha1.VerdictDeleted {
			names = append(names, o.Name)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return w.clusters[name] == nil })
	slices.Sort(names)
	return slices.Compact(names)
}

// elsewhere are annotations of ExternalDNS, by the beginning of their names, that are not followed, with what does
// what they did.
var elsewhere = []struct{ key, instead string }{
	{"aws-failover", "set spec.policy: Failover and spec.tiers"},
	{"aws-region", "set spec.policy: Nearest"},
	{"aws-geolocation-", "set spec.policy: Nearest"},
	{"aws-geoproximity-", "set spec.policy: Nearest"},
	{"aws-multi-value-answer", "set spec.policy: All"},
	{"aws-health-check-id", "set spec.probe"},
	{"endpoints-type", "addresses of pods and nodes are not answered; set spec.addresses"},
	{"access", "addresses of nodes are not answered; set spec.addresses"},
	{"record-type", "set spec.records of the Zone"},
	{"ingress-hostname-source", "set spec.hostnames"},
	{"gateway-hostname-source", "set spec.hostnames"},
}

// notFollowed says of each annotation that is not, and what to do instead in the GlobalService that is made.
func notFollowed(obj *unstructured.Unstructured, prefix string) []string {
	var said []string
	for key := range obj.GetAnnotations() {
		for _, e := range elsewhere {
			if name, ok := strings.CutPrefix(key, prefix); ok && strings.HasPrefix(name, e.key) {
				said = append(said, key+": "+e.instead+" of this GlobalService instead")
			}
		}
	}
	annotations := obj.GetAnnotations()
	if obj.GetKind() == "Service" && annotations[prefix+"target"] == "" {
		if annotations[prefix+"internal-hostname"] != "" {
			said = append(said, prefix+"internal-hostname: is answered with the addresses of load balancers, since cluster IPs "+
				"reach nothing from outside their member")
		}
		if ip, _, _ := unstructured.NestedString(obj.Object, "spec", "clusterIP"); ip == "None" {
			said = append(said, prefix+"hostname: the Service is headless, and addresses of pods are not answered; set "+prefix+
				"target, or export the Service to the zone clusterset.local")
		}
	}
	slices.Sort(said)
	return said
}
