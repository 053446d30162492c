package rules

import (
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
)

// TestNoRuleLeavesItsNamespace gives every shipped rule, and one that tries, objects that name other namespaces,
// kinds and groups wherever they can. No reference leads out of the object's namespace, and only to the kinds that the
// rule itself names, or that pods need.
func TestNoRuleLeavesItsNamespace(t *testing.T) {
	book, err := NewBook(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	greedy := &v1alpha1.KindRule{Spec: v1alpha1.KindRuleSpec{Group: "example.org", Kind: "Widget",
		Pods: []v1alpha1.PodsRule{{Path: ".spec.template.spec"}},
		Dependencies: []v1alpha1.DependencyRule{
			{Kind: "Secret", Names: "['bank/password', object.spec.?name.orValue('x'), '../bank/password']"},
			{Kind: "Secret", ClusterScoped: true, Names: "['bank/password', object.spec.?name.orValue('x')]"},
		}}}
	if err := book.Set(greedy); err != nil {
		t.Fatal(err)
	}
	_, sections := readSections(t, "testdata/shipped.txt")
	samples := map[schema.GroupKind]*unstructured.Unstructured{}
	for _, s := range sections {
		sample := object(t, s.part("object"))
		samples[sample.GroupVersionKind().GroupKind()] = sample
	}
	kindsOf := slices.SortedFunc(maps.Keys(samples), func(a, b schema.GroupKind) int { return strings.Compare(a.String(), b.String()) })
	random := rand.New(rand.NewPCG(3, 4))
	followed := 0
	for _, rule := range append(shipped, greedy) {
		gk := KindOf(rule)
		allowed := []schema.GroupKind{{Kind: "ConfigMap"}, {Kind: "Secret"}, {Kind: "ServiceAccount"}, {Kind: "PersistentVolumeClaim"}}
		for _, d := range rule.Spec.Dependencies {
			allowed = append(allowed, schema.FromAPIVersionAndKind(d.APIVersion, d.Kind).GroupKind())
		}
		for round := range 100 {
			sample := samples[gk] // its own, if there is one
			if sample == nil || round%4 == 0 {
				sample = samples[kindsOf[round%len(kindsOf)]]
			}
			obj := sample.DeepCopy()
			tempt(random, obj.Object)
			obj.SetGroupVersionKind(gk.WithVersion("v1"))
			obj.SetName("x")
			obj.SetNamespace("shop")
			for _, ref := range book.For(gk).Dependencies(obj) {
				if ref.Namespace != "shop" && ref.Namespace != "" || strings.Contains(ref.Name, "/") ||
					kinds.MayFollow(gk, "shop", ref, nil) != nil {
					t.Fatalf("%s of namespace shop takes %v along", gk, ref)
				}
				if !slices.Contains(allowed, ref.GroupKind) {
					t.Fatalf("%s takes along a %s:\n%v", gk, ref.GroupKind, obj.Object)
				}
				followed++
			}
			if target, ok := book.For(gk).Follows(obj); ok && target.Ref != nil && target.Ref.Namespace != "shop" {
				t.Fatalf("%s of namespace shop follows %v", gk, target.Ref)
			}
		}
	}
	if followed < 1000 {
		t.Errorf("only %d references were read, so this test shows nothing", followed)
	}
}

// tempt writes namespaces, kinds, groups and names of others into an object, wherever there is a map.
func tempt(random *rand.Rand, value any) {
	words := []string{"bank", "hanse-system", "bank/password", "../bank/password", "Secret", "ClusterRole", ""}
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			tempt(random, element)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if _, isText := v[key].(string); isText && random.IntN(8) == 0 {
				v[key] = words[random.IntN(len(words))]
			}
			tempt(random, v[key])
		}
		for _, key := range []string{"namespace", "kind", "group", "apiVersion", "name"} {
			if random.IntN(6) == 0 {
				v[key] = words[random.IntN(len(words))]
			}
		}
	}
}
