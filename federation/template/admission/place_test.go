package admission

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

// placers has the clusters east (env=prod) and west; admin may place everywhere, joe in east.
func placers() *Placers {
	return &Placers{
		Clusters: func() ([]placement.Cluster, bool) {
			return []placement.Cluster{{Name: "east", Labels: map[string]string{"env": "prod"}}, {Name: "west"}}, true
		},
		May: func(_ context.Context, who user.Info, verb, resource, name string) bool {
			return verb == "place" && resource == "clusters" &&
				(who.GetName() == "admin" || who.GetName() == "hub" || who.GetName() == "joe" && name == "east")
		},
		Hub: "hub",
	}
}

// placed writes an object in the name of a user and returns who is remembered.
func placed(who string, obj, old runtime.Object, kind schema.GroupVersionKind, subresource string) (string, error) {
	operation := admission.Create
	if old != nil {
		operation = admission.Update
	}
	a := admission.NewAttributesRecord(obj, old, kind, "shop", "web", schema.GroupVersionResource{Group: kind.Group, Resource: "x"},
		subresource, operation, nil, false, &user.DefaultInfo{Name: who})
	p := placers()
	if err := p.Admit(context.Background(), a, nil); err != nil {
		return "", err
	}
	err := p.Validate(context.Background(), a, nil)
	annotations := map[string]string{}
	if object, ok := obj.(interface{ GetAnnotations() map[string]string }); ok {
		annotations = object.GetAnnotations()
	}
	return annotations[v1alpha1.AuthorAnnotation], err
}

func TestPlacersOfAnnotations(t *testing.T) {
	const admin, joe = `{"user":"admin"}`, `{"user":"joe"}`
	object := func(clusters, by string, more ...string) runtime.Object {
		annotations := map[string]string{}
		if clusters != "" {
			annotations["hanse.io/clusters"] = clusters
		}
		if by != "" {
			annotations["hanse.io/placed-by"] = by
		}
		for i := 0; i+1 < len(more); i += 2 {
			annotations[more[i]] = more[i+1]
		}
		return deployment("shop", annotations)
	}
	for _, c := range []struct {
		what, who   string
		now, old    runtime.Object
		subresource string
		by          string
		refused     string
	}{
		{"where one may", "joe", object("east=2", ""), nil, "", joe, ""},
		{"where one may not", "joe", object("west", ""), nil, "", "", "may not place in west"},
		{"in one and in another", "joe", object("east,west", ""), nil, "", "", "may not place in west"},
		{"in one that is not there yet", "joe", object("north", ""), nil, "", "", "may not place in north"},
		{"in all", "joe", object("*", ""), nil, "", "", "may not place in west"},
		{"in all of a label", "joe", object("(env=prod)", ""), nil, "", joe, ""},
		{"not in one with weight 0", "joe", object("east,west=0", ""), nil, "", joe, ""},
		{"nowhere", "joe", object("", ""), nil, "", "", ""},
		{"forged", "joe", object("west", admin), nil, "", "", "may not place in west"},
		{"forged without a placement", "joe", object("", admin), nil, "", "", ""},
		{"somebody else's, otherwise changed", "joe", object("west", joe, "other", "x"), object("west", admin), "", admin, ""},
		{"somebody else's, with the author taken away", "joe", object("west", ""), object("west", admin), "", admin, ""},
		{"somebody else's, moved", "joe", object("east", admin), object("west", admin), "", joe, ""},
		{"somebody else's, with other handling", "joe", object("west", admin, "hanse.io/on-conflict", "Overwrite"),
			object("west", admin), "", "", "may not place in west"},
		{"by a status", "joe", object("west", admin), object("east", joe), "status", "", "may not place in west"},
		{"by the hub, which keeps the author", "hub", object("west", admin), object("west", admin), "", admin, ""},
		{"from before there were authors", "joe", object("west", joe), object("west", ""), "", "", ""},
		{"taken back", "joe", object("", admin), object("west", admin), "", "", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			by, err := placed(c.who, c.now, c.old, deployments, c.subresource)
			if c.refused != "" {
				if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("%v, want %q", err, c.refused)
				}
				return
			}
			if err != nil || by != c.by {
				t.Errorf("by %s, %v, want by %s", by, err, c.by)
			}
		})
	}
}

func TestPlacersOfPlacements(t *testing.T) {
	const admin, joe = `{"user":"admin"}`, `{"user":"joe"}`
	for _, kindName := range []string{"Placement", "ClusterPlacement"} {
		kind := v1alpha1.GroupVersion.WithKind(kindName)
		object := func(spec, by string) runtime.Object {
			text := "kind: " + kindName + "\nmetadata: {name: web, namespace: shop}\nspec: " + spec
			if by != "" {
				text = strings.Replace(text, "namespace: shop", "namespace: shop, annotations: {hanse.io/placed-by: '"+by+"'}", 1)
			}
			return custom(t, text)
		}
		for _, c := range []struct {
			what, who string
			now, old  runtime.Object
			by        string
			refused   string
		}{
			{"where one may", "joe", object("{clusters: [{name: east}]}", ""), nil, joe, ""},
			{"where one may not", "joe", object("{clusters: [{name: west}]}", admin), nil, "", "may not place in west"},
			{"everywhere", "joe", object("{}", ""), nil, "", "may not place in west"},
			{"by an expression", "joe", object(`{clusters: [{expression: "cluster.name == 'east'"}]}`, ""), nil, joe, ""},
			{"by another expression", "joe", object(`{clusters: [{expression: "cluster.name != 'east'"}]}`, ""), nil, "", "may not place in west"},
			{"more objects in somebody else's", "joe", object("{clusters: [{name: west}], resources: [{kind: Secret}]}", admin),
				object("{clusters: [{name: west}]}", admin), "", "may not place in west"},
			{"the same as somebody else's", "joe", object("{clusters: [{name: west}]}", joe), object("{clusters: [{name: west}]}", admin), admin, ""},
		} {
			by, err := placed(c.who, c.now, c.old, kind, "")
			if c.refused != "" {
				if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("%s %s: %v, want %q", kindName, c.what, err, c.refused)
				}
			} else if err != nil || by != c.by {
				t.Errorf("%s %s: by %s, %v, want by %s", kindName, c.what, by, err, c.by)
			}
		}
	}
}
