package placement

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

func TestChooses(t *testing.T) {
	clusters := []Cluster{
		{Name: "east", Labels: map[string]string{"env": "prod"}, Ready: true},
		{Name: "west", Cordoned: true},
	}
	zero := int64(0)
	prod := labels.SelectorFromSet(labels.Set{"env": "prod"})
	for _, c := range []struct {
		what  string
		terms []Term
		want  []string
	}{
		{"no term is every cluster", nil, []string{"east", "west"}},
		{"by name", []Term{{Names: []string{"west"}}}, []string{"west"}},
		{"by a name that there is not yet", []Term{{Names: []string{"west", "north"}}}, []string{"west", "north"}},
		{"by label", []Term{{Selector: prod}}, []string{"east"}},
		{"with weight 0", []Term{{Names: []string{"east"}, Weight: &zero}, {}}, []string{"west"}},
		{"with weight 0, of one that there is not", []Term{{Names: []string{"north"}, Weight: &zero}}, nil},
	} {
		if got := Chooses(c.terms, clusters); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// What its author may not use is chosen for nothing new, and keeps what it has.
func TestNotPermitted(t *testing.T) {
	clusters := []Cluster{{Name: "east", Ready: true}, {Name: "west", Ready: true, NotPermitted: "joe may not"}}
	in := Input{Object: Object{Key: "x", Mode: ModeDivide, HasReplicas: true, Replicas: 4}, Clusters: clusters}
	d := Decide(in)
	if len(d.Clusters) != 1 || d.Clusters[0].Name != "east" || d.Clusters[0].Replicas != 4 {
		t.Errorf("at first: %+v", d.Clusters)
	}
	if i := slices.IndexFunc(d.Rejected, func(r Rejection) bool { return r.Name == "west" }); i < 0 || d.Rejected[i].Code != CodeNotPermitted {
		t.Errorf("rejected: %+v", d.Rejected)
	}
	in.Previous = &Previous{Clusters: []Assignment{{Name: "east", Replicas: 2, Ready: 2}, {Name: "west", Replicas: 2, Ready: 2}}}
	if d = Decide(in); len(d.Clusters) != 2 || d.Clusters[1].Replicas != 2 {
		t.Errorf("what runs there: %+v", d.Clusters)
	}
	in.Object.Replicas = 8
	if d = Decide(in); len(d.Clusters) != 2 || d.Clusters[0].Replicas != 6 || d.Clusters[1].Replicas != 2 {
		t.Errorf("scaled up: %+v", d.Clusters)
	}
	in.Object = Object{Key: "x", Mode: ModeAll}
	in.Previous = &Previous{Clusters: []Assignment{{Name: "west"}}}
	if d = Decide(in); len(d.Clusters) != 2 {
		t.Errorf("a copy that is there: %+v", d.Clusters)
	}
}
