package admission

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template/match"
)

var (
	deployments = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	secrets     = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	events      = schema.GroupVersionKind{Version: "v1", Kind: "Event"}
)

// plugin has one placement: every Deployment and Secret of shop.
func plugin(t *testing.T) *Plugin {
	t.Helper()
	ix := match.NewIndex(func(string) labels.Set { return nil })
	p := &v1alpha1.Placement{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "all"}}
	p.Spec.Resources = []v1alpha1.ResourceSelector{{Kind: "Deployment"}, {Kind: "Secret"}, {Kind: "Event"}}
	if err := ix.SetPlacement(p); err != nil {
		t.Fatal(err)
	}
	return &Plugin{Claims: func() *match.Index { return ix }}
}

// attributes of a request: how an object comes in.
func attributes(
	obj runtime.Object, gvk schema.GroupVersionKind, subresource string, op admission.Operation, dryRun bool,
) admission.Attributes {
	meta, _ := obj.(metav1.Object)
	return admission.NewAttributesRecord(obj, nil, gvk, meta.GetNamespace(), meta.GetName(),
		schema.GroupVersionResource{}, subresource, op, nil, dryRun, nil)
}

func deployment(namespace string, annotations map[string]string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web", Annotations: annotations}}
}

// The finalizer is there from the start where a placement already claims the template, and nowhere else.
func TestAdmit(t *testing.T) {
	held := []string{v1alpha1.CopiesFinalizer}
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "web"}
	withHold := deployment("shop", nil)
	withHold.Finalizers = []string{v1alpha1.CopiesFinalizer}
	withOther := deployment("shop", nil)
	withOther.Finalizers = []string{"acme.io/mine"}
	for _, c := range []struct {
		what        string
		object      runtime.Object
		kind        schema.GroupVersionKind
		subresource string
		operation   admission.Operation
		dryRun      bool
		want        []string
	}{
		{"claimed", deployment("shop", nil), deployments, "", admission.Create, false, held},
		{"beside another's", withOther, deployments, "", admission.Create, false, []string{"acme.io/mine", held[0]}},
		{"held already", withHold, deployments, "", admission.Create, false, held},
		{"claimed by its annotation", deployment("blog", map[string]string{"hanse.io/clusters": "east"}), deployments, "",
			admission.Create, false, held},
		{"not claimed", deployment("blog", nil), deployments, "", admission.Create, false, nil},
		{"an annotation that cannot be read", deployment("shop", map[string]string{"hanse.io/clusters": "east=x"}),
			deployments, "", admission.Create, false, nil},
		{"only tried", deployment("shop", nil), deployments, "", admission.Create, true, nil},
		{"an update", deployment("shop", nil), deployments, "", admission.Update, false, nil},
		{"a subresource", deployment("shop", nil), deployments, "status", admission.Create, false, nil},
		{"a kind that never travels", &corev1.Event{ObjectMeta: meta}, events, "", admission.Create, false, nil},
		{"a Secret", &corev1.Secret{ObjectMeta: meta, Type: "Opaque"}, secrets, "", admission.Create, false, held},
		{"a Secret of the hub's own", &corev1.Secret{ObjectMeta: meta, Type: corev1.SecretTypeServiceAccountToken},
			secrets, "", admission.Create, false, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			a := attributes(c.object, c.kind, c.subresource, c.operation, c.dryRun)
			if err := plugin(t).Admit(t.Context(), a, nil); err != nil {
				t.Fatal(err)
			}
			meta, _ := c.object.(metav1.Object)
			if diff := cmp.Diff(c.want, meta.GetFinalizers()); diff != "" {
				t.Errorf("finalizers (-want +got):\n%s", diff)
			}
		})
	}
}

func custom(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	encoded, err := yaml.YAMLToJSON([]byte("apiVersion: hanse.io/v1alpha1\n" + manifest))
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(encoded); err != nil {
		t.Fatal(err)
	}
	return obj
}

// What is refused is refused with words that name the field, and kubectl shows them.
func TestValidate(t *testing.T) {
	annotated := func(key, value string) runtime.Object {
		return deployment("shop", map[string]string{"hanse.io/clusters": "east", key: value})
	}
	ours := func(kind string) schema.GroupVersionKind { return v1alpha1.GroupVersion.WithKind(kind) }
	rule := "kind: KindRule\nmetadata: {name: rollout.argoproj.io}\nspec: "
	placement := "kind: Placement\nmetadata: {namespace: shop, name: web}\nspec: "
	for _, c := range []struct {
		what   string
		object runtime.Object
		kind   schema.GroupVersionKind
		want   string // the message; empty: taken
		field  string
	}{
		{"a good annotation", annotated("hanse.io/clusters", "east=2"), deployments, "", ""},
		{"no annotation", deployment("shop", nil), deployments, "", ""},
		{"weights that are none", annotated("hanse.io/clusters", "east=many"), deployments,
			`Deployment web is invalid: annotation hanse.io/clusters: at character 6 of "east=many": ` +
				`the weight "many" is not a whole number`, "metadata.annotations[hanse.io/clusters]"},
		{"a mode that is none", annotated("hanse.io/replicas", "Half"), deployments,
			`Deployment web is invalid: annotation hanse.io/replicas: "Half" is not Divide or Duplicate`,
			"metadata.annotations[hanse.io/replicas]"},
		{"a kind that never travels", &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e",
			Annotations: map[string]string{"hanse.io/clusters": "east=many"}}}, events, "", ""},
		{"a placement", custom(t, placement+"{resources: [{kind: Deployment}]}"), ours("Placement"), "", ""},
		{"a selector that cannot be read",
			custom(t, placement+"{resources: [{selector: {matchExpressions: [{key: a, operator: Is}]}}]}"), ours("Placement"),
			`Placement web is invalid: spec.resources[0].selector: "Is" is not a valid label selector operator`,
			"spec.resources[0].selector"},
		{"of a ClusterPlacement", custom(t, "kind: ClusterPlacement\nmetadata: {name: web}\nspec: {maxMoves: some}"),
			ours("ClusterPlacement"),
			`ClusterPlacement web is invalid: spec.maxMoves: "some" is neither a number nor a percentage from 1% to 100%`,
			"spec.maxMoves"},
		{"a rule", custom(t, rule+"{group: argoproj.io, kind: Rollout, health: [{is: Healthy}]}"), ours("KindRule"), "", ""},
		{"a rule with a typing error", custom(t, rule+"{group: argoproj.io, kind: Rollout, health: "+
			"[{when: object.status.phase = 'Healthy', is: Healthy}]}"), ours("KindRule"),
			"KindRule rollout.argoproj.io is invalid: spec.health[0].when: at character 21: " +
				"Syntax error: token recognition error at: '= '", "spec.health[0].when"},
		{"the annotation on what is the hub's own", deployment("hanse-system", map[string]string{"hanse.io/clusters": "east"}),
			deployments, `Deployment web is invalid: annotation hanse.io/clusters: it cannot be placed in a cluster: ` +
				`namespace hanse-system is the hub's own`, "metadata.annotations[hanse.io/clusters]"},
		{"a system namespace of Kubernetes", deployment("kube-flannel", map[string]string{"hanse.io/clusters": "east"}),
			deployments, `Deployment web is invalid: annotation hanse.io/clusters: it cannot be placed in a cluster: ` +
				`namespace kube-flannel is the hub's own`, "metadata.annotations[hanse.io/clusters]"},
		{"what is the hub's own without the annotation", deployment("hanse-system", nil), deployments, "", ""},
		{"a placement in a system namespace",
			custom(t, "kind: Placement\nmetadata: {namespace: hanse-dns, name: web}\nspec: {resources: [{kind: Secret}]}"), ours("Placement"),
			"Placement web is invalid: metadata.namespace: nothing in it can be placed in a cluster: namespace hanse-dns is the hub's own",
			"metadata.namespace"},
		{"a ClusterPlacement of a system namespace",
			custom(t, "kind: ClusterPlacement\nmetadata: {name: web}\nspec: {resources: [{kind: Namespace}, {kind: Namespace, name: hanse-system}]}"),
			ours("ClusterPlacement"),
			"ClusterPlacement web is invalid: spec.resources[1]: Namespace hanse-system cannot be placed in a cluster: the namespace is the hub's own",
			"spec.resources[1]"},
		{"another kind of ours", custom(t, "kind: Cluster\nmetadata: {name: east}\nspec: {}"), ours("Cluster"), "", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			for _, operation := range []admission.Operation{admission.Create, admission.Update} {
				err := plugin(t).Validate(t.Context(), attributes(c.object, c.kind, "", operation, false), nil)
				if c.want == "" {
					if err != nil {
						t.Errorf("%s: %v", operation, err)
					}
					continue
				}
				var status *apierrors.StatusError
				if !errors.As(err, &status) || status.Error() != c.want || !apierrors.IsInvalid(err) {
					t.Fatalf("%s: %v, want %s", operation, err, c.want)
				}
				if got := status.ErrStatus.Details.Causes[0].Field; got != c.field {
					t.Errorf("%s: the field is %q, want %q", operation, got, c.field)
				}
				a := attributes(c.object, c.kind, "status", operation, false)
				if err := plugin(t).Validate(t.Context(), a, nil); err != nil {
					t.Errorf("a status is refused for it: %v", err)
				}
			}
		})
	}
}

func TestHandles(t *testing.T) {
	for operation, want := range map[admission.Operation]bool{
		admission.Create: true, admission.Update: true, admission.Delete: false, admission.Connect: false,
	} {
		if got := plugin(t).Handles(operation); got != want {
			t.Errorf("%s: %t, want %t", operation, got, want)
		}
	}
}

// What was stored before the rule is refused only where it asks for it anew.
func TestStoredBeforeTheRule(t *testing.T) {
	own := func(clusters, image string) *appsv1.Deployment {
		d := deployment("kube-system", map[string]string{"hanse.io/clusters": clusters})
		d.Spec.Template.Spec.Containers = []corev1.Container{{Image: image}}
		return d
	}
	for _, c := range []struct {
		what string
		old  *appsv1.Deployment
		now  *appsv1.Deployment
		ok   bool
	}{
		{"another image", own("east", "web:1"), own("east", "web:2"), true},
		{"another cluster", own("east", "web:1"), own("west", "web:1"), false},
	} {
		a := admission.NewAttributesRecord(c.now, c.old, deployments, "kube-system", "web",
			schema.GroupVersionResource{}, "", admission.Update, nil, false, nil)
		if err := plugin(t).Validate(t.Context(), a, nil); (err == nil) != c.ok {
			t.Errorf("%s: %v, want it taken: %t", c.what, err, c.ok)
		}
	}
}
