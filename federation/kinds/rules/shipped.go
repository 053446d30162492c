package rules

import (
	"embed"
	"fmt"
	"sort"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

//go:embed shipped/*.yaml
var shippedFiles embed.FS

// Shipped are the rules that come with the hub, sorted by name: KindRules as a user would write them.
func Shipped() ([]*v1alpha1.KindRule, error) {
	entries, err := shippedFiles.ReadDir("shipped")
	if err != nil {
		return nil, fmt.Errorf("reading the shipped rules: %w", err)
	}
	rules := make([]*v1alpha1.KindRule, 0, len(entries))
	for _, entry := range entries {
		raw, err := shippedFiles.ReadFile("shipped/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("reading the shipped rule %s: %w", entry.Name(), err)
		}
		rule := &v1alpha1.KindRule{}
		if err := yaml.UnmarshalStrict(raw, rule); err != nil {
			return nil, fmt.Errorf("parsing the shipped rule %s: %w", entry.Name(), err)
		}
		rules = append(rules, rule)
	}
	sort.Slice(rules, func(i, j int) bool { return rules[i].Name < rules[j].Name })
	return rules, nil
}

// KindOf is the kind that a rule is about.
func KindOf(rule *v1alpha1.KindRule) schema.GroupKind {
	return schema.GroupKind{Group: rule.Spec.Group, Kind: rule.Spec.Kind}
}
