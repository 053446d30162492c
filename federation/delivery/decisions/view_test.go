package decisions

import (
	"iter"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template"
)

// decision stores what members a template has.
func decision(namespace, kind, name, placement string, chosen, leaving, away []string) *v1alpha1.Distribution {
	ref := template.Ref{Group: "apps", Kind: kind, Namespace: namespace, Name: name}
	at, called := ref.Distribution()
	d := &v1alpha1.Distribution{ObjectMeta: metav1.ObjectMeta{Namespace: at, Name: called}}
	d.Spec.Template = v1alpha1.TemplateReference{APIVersion: "apps/v1", Kind: kind, Namespace: namespace, Name: name}
	d.Spec.Placement.Name = placement
	for _, c := range chosen {
		d.Spec.Clusters = append(d.Spec.Clusters, v1alpha1.DistributionCluster{Name: c})
	}
	d.Spec.Leaving, d.Spec.Away = leaving, away
	return d
}

func view(t *testing.T, stored ...*v1alpha1.Distribution) (*View, toolscache.Indexer) {
	t.Helper()
	informer := toolscache.NewSharedIndexInformer(nil, &v1alpha1.Distribution{}, 0,
		toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc})
	v, err := NewView(informer)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range stored {
		if err := informer.GetIndexer().Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return v, informer.GetIndexer()
}

func names(found iter.Seq[*v1alpha1.Distribution]) []string {
	var all []string
	for d := range found {
		all = append(all, d.Spec.Template.Namespace+"/"+d.Spec.Template.Name)
	}
	slices.Sort(all)
	return all
}

func TestFind(t *testing.T) {
	v, _ := view(t,
		decision("a", "Deployment", "web", "p", []string{"east", "west"}, nil, nil),
		decision("a", "StatefulSet", "db", "p", []string{"west"}, []string{"east"}, nil),
		decision("b", "Deployment", "api", "p", []string{"west"}, nil, []string{"east"}),
		decision("b", "Deployment", "idle", "q", nil, nil, nil),
	)
	for _, c := range []struct {
		what  string
		found iter.Seq[*v1alpha1.Distribution]
		want  []string
	}{
		{"all", v.All(), []string{"a/db", "a/web", "b/api", "b/idle"}},
		{"copies in a member that is chosen or being left", v.OfCopies("east"), []string{"a/db", "a/web"}},
		{"naming a member that was lost, too", v.Naming("east"), []string{"a/db", "a/web", "b/api"}},
		{"an unknown member", v.Naming("north"), nil},
		{"a kind", v.OfKind(schema.GroupKind{Group: "apps", Kind: "Deployment"}), []string{"a/web", "b/api", "b/idle"}},
		{"the kind of another group", v.OfKind(schema.GroupKind{Kind: "Deployment"}), nil},
		{"a placement", v.OfPlacement("a", "p"), []string{"a/db", "a/web"}},
		{"a cluster placement", v.OfPlacement("", "p"), []string{"a/db", "a/web", "b/api"}},
	} {
		if diff := cmp.Diff(c.want, names(c.found)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

func TestGet(t *testing.T) {
	stored := decision("a", "Deployment", "web", "p", []string{"east"}, nil, nil)
	v, indexer := view(t, stored)
	ref := template.RefOfDistribution(stored)
	if got, ok := v.Get(ref); !ok || got != stored {
		t.Errorf("Get(%s) = %p, %t, want the stored object", ref, got, ok)
	}
	if _, ok := v.Get(template.Ref{Group: "apps", Kind: "Deployment", Namespace: "b", Name: "web"}); ok {
		t.Error("a template of another namespace has this decision")
	}
	if err := indexer.Delete(stored); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Get(ref); ok || names(v.OfCopies("east")) != nil {
		t.Error("a deleted decision is still found")
	}
}

// A change of a decision moves it in the indexes.
func TestChange(t *testing.T) {
	v, indexer := view(t, decision("a", "Deployment", "web", "p", []string{"east"}, nil, nil))
	if err := indexer.Update(decision("a", "Deployment", "web", "q", []string{"west"}, nil, nil)); err != nil {
		t.Fatal(err)
	}
	if got := names(v.OfCopies("east")); got != nil {
		t.Errorf("east still has %v", got)
	}
	if got := names(v.OfPlacement("a", "q")); len(got) != 1 {
		t.Errorf("placement q caused %v, want a/web", got)
	}
}
