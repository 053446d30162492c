package v1alpha1

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

func TestDistributionName(t *testing.T) {
	long := strings.Repeat("a", 253)
	for _, c := range []struct {
		group, kind, name, want string
	}{
		{"apps", "Deployment", "web", "deployment.apps-web"},
		{"", "ConfigMap", "settings", "configmap-settings"},
		{"", "ConfigMap", "kube-root-ca.crt", "configmap-kube-root-ca.crt"},
		{"acme.io", "Widget", "a.b-c", "widget.acme.io-a.b-c"},
		// What some kinds allow and a Distribution does not ends in a hash.
		{"rbac.authorization.k8s.io", "Role", "acme:view",
			"role.rbac.authorization.k8s.io-409b0e9da6373a22172fe168b89b244a"},
		{"apps", "Deployment", long, "deployment.apps-eb87654f7791fc2be41640bc7528488b"},
	} {
		got := DistributionName(schema.GroupKind{Group: c.group, Kind: c.kind}, c.name)
		if got != c.want {
			t.Errorf("DistributionName(%s.%s, %.20s) = %s, want %s", c.kind, c.group, c.name, got, c.want)
		}
	}
}

func TestDistributionNamespace(t *testing.T) {
	for template, want := range map[string]string{"shop": "shop", "": "hanse-system"} {
		if got := DistributionNamespace(template); got != want {
			t.Errorf("DistributionNamespace(%q) = %q, want %q", template, got, want)
		}
	}
}

// Two templates with one name would fight over one decision.
func TestDistributionNamesAreDistinct(t *testing.T) {
	owners := map[string]string{}
	long := strings.Repeat("x", 240)
	groups := []string{"", "apps", "acme.io", "rbac.authorization.k8s.io", long + ".acme.io", long + ".acme.org"}
	names := []string{"a", "b", "a-b", "a.b", "a:b", "a_b", "A", "a:b:c", long, long + ".a", long + ".b", long + ":"}
	for _, group := range groups {
		for _, kind := range []string{"Role", "ClusterRole", "Widget"} {
			for _, name := range names {
				owner := fmt.Sprintf("%s.%s/%s", kind, group, name)
				got := DistributionName(schema.GroupKind{Group: group, Kind: kind}, name)
				if other, taken := owners[got]; taken {
					t.Errorf("%s and %s have the same name %s", owner, other, got)
				}
				owners[got] = owner
			}
		}
	}
}

// FuzzDistributionName: whatever a template is called, its Distribution can be stored.
func FuzzDistributionName(f *testing.F) {
	f.Add("apps", "Deployment", "web")
	f.Add("rbac.authorization.k8s.io", "ClusterRole", "system:node")
	f.Add(strings.Repeat("abcdefghi.", 21)+"acme.io", "Widget", strings.Repeat("n", 253))
	f.Add(strings.Repeat("g", 212)+".acme.io", "Widget", "a:b")
	f.Fuzz(func(t *testing.T, group, kind, name string) {
		isGroup := group == "" || len(validation.IsDNS1123Subdomain(group)) == 0
		if !isGroup || len(validation.IsDNS1035Label(strings.ToLower(kind))) > 0 {
			t.Skip("no API server serves such a kind")
		}
		got := DistributionName(schema.GroupKind{Group: group, Kind: kind}, name)
		if problems := validation.IsDNS1123Subdomain(got); len(problems) > 0 {
			t.Errorf("DistributionName(%s.%s, %q) = %q: %v", kind, group, name, got, problems)
		}
	})
}
