package override

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
)

// Rule is one override of a placement.
type Rule = v1alpha1.Override

// ClusterFacts is what an override may ask of a member.
type ClusterFacts struct {
	Name, Region, Provider string
	Zones                  []string
	Labels                 map[string]string
}

// FactsOf reads the facts of a member.
func FactsOf(cluster *v1alpha1.Cluster) ClusterFacts {
	return ClusterFacts{
		Name:     cluster.Name,
		Region:   cluster.Spec.Region,
		Provider: cluster.Spec.Provider,
		Zones:    cluster.Spec.Zones,
		Labels:   cluster.Labels,
	}
}

// Apply returns the object as one member shall have it; kind is what is known of its kind. Without a rule that matches,
// that is the object itself. The error begins with the field, below the placement's spec: "overrides[1].patch[0]: …".
func Apply(
	obj *unstructured.Unstructured, kind kinds.Rule, rules []Rule, facts ClusterFacts,
) (*unstructured.Unstructured, error) {
	changed := obj
	for i := range rules {
		path := field.NewPath("overrides").Index(i)
		isFor, err := matches(&rules[i], obj, facts)
		if err != nil {
			return nil, fmt.Errorf("%s.%w", path, err)
		}
		if !isFor {
			continue
		}
		if changed == obj {
			changed = obj.DeepCopy()
		}
		if err := applyRule(target{changed, kind}, &rules[i], facts, path); err != nil {
			return nil, err
		}
	}
	if changed != obj {
		if err := sameObject(obj, changed); err != nil {
			return nil, fmt.Errorf("overrides: %w", err)
		}
	}
	return changed, nil
}

// steps is the order within one override, from the coarse to the fine.
var steps = []struct {
	name  string
	apply func(target, *Rule, ClusterFacts, *field.Path) error
}{
	{"image", applyImage},
	{"command", applyCommand},
	{"args", applyArgs},
	{"env", applyEnv},
	{"labels", applyLabels},
	{"annotations", applyAnnotations},
	{"merge", applyMerge},
	{"patch", applyPatch},
}

// target is an object with what is known of its kind.
type target struct {
	*unstructured.Unstructured
	kind kinds.Rule
}

func applyRule(obj target, rule *Rule, facts ClusterFacts, path *field.Path) error {
	for _, step := range steps {
		if err := step.apply(obj, rule, facts, path.Child(step.name)); err != nil {
			return err
		}
	}
	return nil
}

func matches(rule *Rule, obj *unstructured.Unstructured, facts ClusterFacts) (bool, error) {
	isCluster, err := matchesCluster(rule.Clusters, facts)
	if err != nil || !isCluster {
		return false, err
	}
	return matchesResource(rule.Resources, obj)
}

func matchesCluster(terms []v1alpha1.ClusterMatch, facts ClusterFacts) (bool, error) {
	for i, term := range terms {
		if term.Name != "" && term.Name == facts.Name {
			return true, nil
		}
		if term.Selector == nil {
			continue
		}
		isMatch, err := selects(term.Selector, facts.Labels)
		if err != nil {
			return false, fmt.Errorf("clusters[%d].selector: %w", i, err)
		}
		if isMatch {
			return true, nil
		}
	}
	return len(terms) == 0, nil
}

func matchesResource(terms []v1alpha1.ResourceSelector, obj *unstructured.Unstructured) (bool, error) {
	for i, term := range terms {
		if term.APIVersion != "" && term.APIVersion != obj.GetAPIVersion() ||
			term.Kind != "" && term.Kind != obj.GetKind() ||
			term.Name != "" && term.Name != obj.GetName() {
			continue
		}
		if term.Selector == nil {
			return true, nil
		}
		isMatch, err := selects(term.Selector, obj.GetLabels())
		if err != nil {
			return false, fmt.Errorf("resources[%d].selector: %w", i, err)
		}
		if isMatch {
			return true, nil
		}
	}
	return len(terms) == 0, nil
}

func selects(selector *metav1.LabelSelector, set map[string]string) (bool, error) {
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, err
	}
	return compiled.Matches(labels.Set(set)), nil
}

// sameObject is the last line of defence behind Validate: a merge or a move may reach what no path names.
func sameObject(before, after *unstructured.Unstructured) error {
	if before.GetAPIVersion() != after.GetAPIVersion() || before.GetKind() != after.GetKind() {
		return fmt.Errorf("apiVersion and kind cannot be overridden")
	}
	was, _ := before.Object["metadata"].(map[string]any)
	is, isMap := after.Object["metadata"].(map[string]any)
	if !isMap {
		return fmt.Errorf("metadata cannot be overridden")
	}
	for _, key := range slices.Concat(keys(was), keys(is)) {
		if key != "labels" && key != "annotations" && !sameJSON(was[key], is[key]) {
			return fmt.Errorf("metadata.%s cannot be overridden", key)
		}
	}
	for _, key := range []string{"labels", "annotations"} {
		if err := sameReserved(was[key], is[key]); err != nil {
			return fmt.Errorf("metadata.%s: %w", key, err)
		}
	}
	return nil
}
