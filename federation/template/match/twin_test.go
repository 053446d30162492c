package match

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template"
)

// twin is an Index without an index: a list of placements, searched from one end to the other.
type twin map[Key]twinPlacement

type twinPlacement struct {
	age       int
	resources []v1alpha1.ResourceSelector
}

// winner is who claims the object: the first of (rank, older, name), then the others of that rank.
func (tw twin) winner(obj *unstructured.Unstructured) string {
	var found []string
	for key, p := range tw {
		best := 0
		for _, r := range p.resources {
			if rank := twinRank(key, r, obj); rank > 0 && (best == 0 || rank < best) {
				best = rank
			}
		}
		if best > 0 {
			kind := "Placement"
			if key.Namespace == "" {
				kind = "ClusterPlacement"
			}
			found = append(found, fmt.Sprintf("%d %03d %s %s", best, 999-p.age, key.Name, kind))
		}
	}
	if len(found) == 0 {
		return "nobody"
	}
	slices.Sort(found)
	told := ""
	for i, f := range found {
		words := strings.Fields(f)
		if f[0] != found[0][0] {
			break
		}
		if i > 0 {
			told += ", against "
		}
		told += words[3] + " " + words[2]
	}
	return told
}

// twinRank follows the rules of the package's documentation word by word.
func twinRank(key Key, r v1alpha1.ResourceSelector, obj *unstructured.Unstructured) int {
	namespace := obj.GetNamespace()
	hits := (r.Kind == "" || r.Kind == obj.GetKind()) && (r.Name == "" || r.Name == obj.GetName())
	if r.Selector != nil {
		for k, v := range r.Selector.MatchLabels {
			hits = hits && obj.GetLabels()[k] == v
		}
	}
	isNamed, isOurs := r.Name != "", template.IsHubOwn(obj)
	_, stays := template.StaysOnHub(obj)
	switch {
	case stays:
		return 0
	case key.Namespace != "" && key.Namespace == namespace && hits && isNamed:
		return 1
	case key.Namespace != "" && key.Namespace == namespace && hits && !isOurs:
		return 2
	case key.Namespace == "" && namespace == "" && hits && isNamed:
		return 3
	case key.Namespace == "" && namespace == "" && hits && !isOurs:
		return 4
	case key.Namespace == "" && namespace != "" && r.Kind == "Namespace" && !isOurs:
		team := namespaces(namespace)["team"]
		if r.Name != "" && r.Name != namespace || r.Selector != nil && r.Selector.MatchLabels["team"] != team {
			return 0
		}
		return 5
	}
	return 0
}

// TestTwin sets, replaces and deletes placements at random; the index and its twin always name the same winner, and
// when all placements are gone the index is empty.
func TestTwin(t *testing.T) {
	resources := []string{
		"{kind: Deployment, name: web}", "{kind: Deployment, name: api}", "{kind: Deployment}", "{kind: Secret}",
		"{kind: Namespace}", "{kind: Namespace, name: shop}", "{kind: Namespace, selector: {matchLabels: {team: blog}}}",
		"{selector: {matchLabels: {app: web}}}", "{kind: ClusterRole, name: 'acme:view'}", "{kind: Secret, name: t}",
		"{kind: ClusterRole}",
	}
	var objects []*unstructured.Unstructured
	for _, text := range []string{web, inBlog, secret, token, hubKey, shop, system, role} {
		objects = append(objects, object(t, text))
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		ix, tw := NewIndex(namespaces), twin{}
		for step := range 40 {
			key := Key{Namespace: []string{"", "shop", "blog"}[random.IntN(3)], Name: []string{"a", "b", "c"}[random.IntN(3)]}
			if random.IntN(4) == 0 {
				ix.Delete(key)
				delete(tw, key)
			} else {
				var chosen []string
				for range 1 + random.IntN(3) {
					chosen = append(chosen, resources[random.IntN(len(resources))])
				}
				list := "[" + strings.Join(chosen, ", ") + "]"
				p := twinPlacement{age: random.IntN(3)}
				if err := yaml.Unmarshal([]byte(list), &p.resources); err != nil {
					t.Fatal(err)
				}
				if err := placed(t, ix, key.Namespace, key.Name, p.age, list); err != nil {
					t.Fatal(err)
				}
				tw[key] = p
			}
			for _, obj := range objects {
				if got, want := winner(t, ix, obj), tw.winner(obj); got != want {
					t.Fatalf("seed %d, step %d: %s %s is claimed by %s, the twin says %s",
						seed, step, obj.GetKind(), obj.GetName(), got, want)
				}
			}
		}
		for key := range tw {
			ix.Delete(key)
		}
		checkEmpty(t, ix)
	}
}
