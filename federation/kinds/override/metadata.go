package override

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func applyLabels(obj target, rule *Rule, facts ClusterFacts, path *field.Path) error {
	changed, err := withEntries(obj.GetLabels(), rule.Labels, facts, path)
	if err != nil || len(rule.Labels) == 0 {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(rule.Labels)) {
		// A fact of the cluster may be longer than a label's value, or hold what it must not.
		if problems := validation.IsValidLabelValue(changed[key]); len(problems) > 0 {
			return fmt.Errorf("%s: %q: %s", path.Key(key), changed[key], problems[0])
		}
	}
	obj.SetLabels(changed)
	return nil
}

func applyAnnotations(obj target, rule *Rule, facts ClusterFacts, path *field.Path) error {
	changed, err := withEntries(obj.GetAnnotations(), rule.Annotations, facts, path)
	if err != nil || len(rule.Annotations) == 0 {
		return err
	}
	obj.SetAnnotations(changed)
	return nil
}

// withEntries sets entries, and removes those whose new value is empty.
func withEntries(old, entries map[string]string, facts ClusterFacts, path *field.Path) (map[string]string, error) {
	changed := maps.Clone(old)
	if changed == nil {
		changed = make(map[string]string, len(entries))
	}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		value, err := substitute(entries[key], facts)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Key(key), err)
		}
		if value == "" {
			delete(changed, key)
			continue
		}
		changed[key] = value
	}
	return changed, nil
}
