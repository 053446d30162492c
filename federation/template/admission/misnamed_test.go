package admission

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"
	"sigs.k8s.io/yaml"
)

// told collects warnings.
type told []string

func (t *told) AddWarning(_, text string) { *t = append(*t, text) }

// TestWarnsOfClustersThatAreNotThere: who writes a name that no cluster bears hears of it, once.
func TestWarnsOfClustersThatAreNotThere(t *testing.T) {
	const line = `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop, annotations: {hanse.io/clusters: "%s"}}}`
	const spec = `{apiVersion: hanse.io/v1alpha1, kind: Placement, metadata: {name: p, namespace: shop},
		spec: {resources: [{kind: ConfigMap}], clusters: [%s]}}`
	p := plugin(t)
	p.Joined = func() (map[string]bool, bool) { return map[string]bool{"east": true, "west": true}, true }
	for name, test := range map[string]struct {
		old, now string
		want     []string // names that are warned of
	}{
		"all there":                   {now: strings.ReplaceAll(line, "%s", "east=1,west=2")},
		"one missing":                 {now: strings.ReplaceAll(line, "%s", "east=1,wset=2"), want: []string{"wset"}},
		"named twice":                 {now: strings.ReplaceAll(spec, "%s", "{name: mars}, {name: mars}"), want: []string{"mars"}},
		"in a placement":              {now: strings.ReplaceAll(spec, "%s", "{name: east}, {name: eats}"), want: []string{"eats"}},
		"selectors and all":           {now: strings.ReplaceAll(line, "%s", "(env=prod)=1,*")},
		"no line":                     {now: `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}}`},
		"an update that changes none": {old: strings.ReplaceAll(line, "%s", "wset"), now: strings.ReplaceAll(line, "%s", "wset=2")},
		"an update that adds one": {old: strings.ReplaceAll(line, "%s", "wset"), now: strings.ReplaceAll(line, "%s", "wset,eats"),
			want: []string{"eats"}},
	} {
		t.Run(name, func(t *testing.T) {
			object := func(text string) *unstructured.Unstructured {
				u := &unstructured.Unstructured{}
				if err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, "\t", " ")), u); err != nil {
					t.Fatal(err)
				}
				return u
			}
			now := object(test.now)
			a := admission.NewAttributesRecord(now, nil, now.GroupVersionKind(), "shop", now.GetName(),
				now.GroupVersionKind().GroupVersion().WithResource("any"), "", admission.Create, nil, false, &user.DefaultInfo{})
			if test.old != "" {
				a = admission.NewAttributesRecord(now, object(test.old), now.GroupVersionKind(), "shop", now.GetName(),
					now.GroupVersionKind().GroupVersion().WithResource("any"), "", admission.Update, nil, false, &user.DefaultInfo{})
			}
			var heard told
			if err := p.Validate(warning.WithWarningRecorder(context.Background(), &heard), a, nil); err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, text := range heard {
				names = append(names, strings.TrimSuffix(strings.Fields(text)[4], ";"))
			}
			if diff := cmp.Diff(test.want, names); diff != "" {
				t.Errorf("warned of (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlacingAllConfigMaps: who places all ConfigMaps of a namespace is not refused for the one that every namespace has.
func TestPlacingAllConfigMaps(t *testing.T) {
	for namespace, refused := range map[string]bool{"shop": false, "hanse-system": true} {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
			"name": "kube-root-ca.crt", "namespace": namespace, "annotations": map[string]any{"hanse.io/clusters": "east"}}}}
		a := admission.NewAttributesRecord(u, nil, u.GroupVersionKind(), namespace, u.GetName(),
			u.GroupVersionKind().GroupVersion().WithResource("configmaps"), "", admission.Create, nil, false, &user.DefaultInfo{})
		var heard told
		err := plugin(t).Validate(warning.WithWarningRecorder(context.Background(), &heard), a, nil)
		if (err != nil) != refused || !refused && (len(heard) != 1 || !strings.Contains(heard[0], "has no effect")) {
			t.Errorf("in %s: %v, warnings %q", namespace, err, heard)
		}
	}
}
