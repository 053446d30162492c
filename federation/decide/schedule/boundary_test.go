package schedule

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// heldView is a View of what a test holds.
type heldView struct {
	objects       []*unstructured.Unstructured
	distributions []*v1alpha1.Distribution
	claimsAll     bool
	notPermitted  map[string]string
}

func (v *heldView) Template(ref template.Ref) (*unstructured.Unstructured, bool) {
	i := slices.IndexFunc(v.objects, func(obj *unstructured.Unstructured) bool { return template.RefOf(obj) == ref })
	if i < 0 {
		return nil, false
	}
	return v.objects[i], true
}

func (v *heldView) Kind(schema.GroupKind) (template.Kind, bool) { return template.Kind{}, false }

func (v *heldView) Claim(*unstructured.Unstructured) (*match.Claim, error) {
	if !v.claimsAll {
		return nil, nil
	}
	weight := int64(1)
	policy := placement.Policy{Terms: []placement.Term{{Names: []string{"east"}, Weight: &weight}}}
	return &match.Claim{Source: v1alpha1.PlacementReference{Kind: "Placement", Name: "p"}, Policy: policy, Follow: true}, nil
}

func (v *heldView) Distribution(_ context.Context, ref template.Ref) (*v1alpha1.Distribution, error) {
	for _, d := range v.distributions {
		if template.RefOfDistribution(d) == ref {
			return d, nil
		}
	}
	return nil, nil
}

func (v *heldView) Needing(_ context.Context, ref template.Ref) ([]*v1alpha1.Distribution, error) {
	return slices.DeleteFunc(slices.Clone(v.distributions), func(d *v1alpha1.Distribution) bool {
		return !slices.Contains(d.Spec.FollowedBy, ref.String())
	}), nil
}

func (v *heldView) InNamespace(context.Context, string) ([]*v1alpha1.Distribution, error) {
	return nil, nil
}

func (v *heldView) NotPermitted(context.Context, string, []placement.Cluster) map[string]string {
	return v.notPermitted
}

func (v *heldView) Grants(namespace string) []*unstructured.Unstructured {
	return slices.DeleteFunc(slices.Clone(v.objects), func(obj *unstructured.Unstructured) bool {
		return obj.GetNamespace() != namespace || obj.GroupVersionKind().GroupKind() != kinds.ReferenceGrant
	})
}

func (v *heldView) Rule(gk schema.GroupKind) kinds.Rule { return kinds.For(gk) }

func (v *heldView) Autoscaler(template.Ref) (*unstructured.Unstructured, bool) { return nil, false }

func (v *heldView) Members(context.Context, schema.GroupVersionKind) (Members, error) {
	return Members{
		Clusters: []placement.Cluster{{Name: "east", Ready: true}}, Joined: map[string]bool{"east": true},
	}, nil
}

func held(t *testing.T, manifests ...string) *heldView {
	t.Helper()
	v := &heldView{}
	for _, manifest := range manifests {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
			t.Fatal(err)
		}
		v.objects = append(v.objects, obj)
	}
	return v
}

// brought is a stored decision that takes others along to east.
func brought(of template.Ref, followedBy ...string) *v1alpha1.Distribution {
	gvk := of.GroupKind().WithVersion("v1")
	d := &v1alpha1.Distribution{}
	d.Namespace, d.Name = of.Distribution()
	d.Spec.Template = v1alpha1.TemplateReference{
		APIVersion: gvk.GroupVersion().String(), Kind: of.Kind, Namespace: of.Namespace, Name: of.Name,
	}
	d.Spec.Clusters = []v1alpha1.DistributionCluster{{Name: "east"}}
	d.Spec.FollowedBy = followedBy
	return d
}

const grant = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: b}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a}], to: [{group: "", kind: Service}]}`

// A stored decision is believed no more than its template: neither an old one nor a forged one takes along what its
// template may not.
func TestStoredDecisionsCrossNoBoundary(t *testing.T) {
	const (
		service = "{apiVersion: v1, kind: Service, metadata: {name: api, namespace: b}}"
		secret  = "{apiVersion: v1, kind: Secret, metadata: {name: password, namespace: b}}"
		key     = "{apiVersion: v1, kind: Secret, metadata: {name: east, namespace: hanse-system}}"
		role    = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: reader}}"
		builtin = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: view, labels: {kubernetes.io/bootstrapping: rbac-defaults}}}"
	)
	route := template.Ref{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute", Namespace: "a", Name: "r"}
	web := template.Ref{Group: "apps", Kind: "Deployment", Namespace: "a", Name: "web"}
	binding := template.Ref{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding", Namespace: "a", Name: "r"}
	clusterBinding := template.Ref{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding", Name: "r"}
	misplaced := brought(template.Ref{Group: "apps", Kind: "Deployment", Namespace: "b", Name: "web"}, "Secret/b/password")
	misplaced.Namespace = "a"
	for _, c := range []struct {
		what   string
		to     string
		by     *v1alpha1.Distribution
		beside []string
		goes   bool
	}{
		{"a Service behind a route of its namespace", strings.ReplaceAll(service, "namespace: b", "namespace: a"),
			brought(route, "Service/a/api"), nil, true},
		{"a Service of another namespace", service, brought(route, "Service/b/api"), nil, false},
		{"a Service of another namespace with a grant", service, brought(route, "Service/b/api"), []string{grant}, true},
		{"a Secret of another namespace, whatever the grant", secret, brought(route, "Secret/b/password"),
			[]string{strings.ReplaceAll(grant, "Service", "Secret")}, false},
		{"a Secret of a workload elsewhere", secret, brought(web, "Secret/b/password"), nil, false},
		{"a Secret of a workload beside it", strings.ReplaceAll(secret, "namespace: b", "namespace: a"),
			brought(web, "Secret/a/password"), nil, true},
		{"a key of the hub", key, brought(route, "Secret/hanse-system/east"), []string{strings.ReplaceAll(
			strings.ReplaceAll(grant, "namespace: b", "namespace: hanse-system"), "Service", "Secret")}, false},
		{"a key of the hub, by something in its namespace", key, brought(template.Ref{Group: "apps", Kind: "Deployment",
			Namespace: "hanse-system", Name: "web"}, "Secret/hanse-system/east"), nil, false},
		{"a decision that lies where its template does not", secret, misplaced, nil, false},
		{"a role", role, brought(binding, "ClusterRole.rbac.authorization.k8s.io/reader"), nil, true},
		{"a role that every API server makes", builtin, brought(binding, "ClusterRole.rbac.authorization.k8s.io/view"), nil, false},
		{"an account of a cluster-wide binding", "{apiVersion: v1, kind: ServiceAccount, metadata: {name: x, namespace: b}}",
			brought(clusterBinding, "ServiceAccount/b/x"), nil, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			v := held(t, append([]string{c.to}, c.beside...)...)
			v.distributions = []*v1alpha1.Distribution{c.by}
			decision, err := Decide(t.Context(), v, template.RefOf(v.objects[0]), time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			if goes := decision.Spec != nil && len(decision.Spec.Clusters) > 0; goes != c.goes {
				t.Errorf("it goes: %t, want %t: %+v", goes, c.goes, decision.Spec)
			}
		})
	}
}

// What is the hub's own goes nowhere, even if something claims it, and leaves where an older hub has brought it.
func TestHubsOwnLeaves(t *testing.T) {
	v := held(t, "{apiVersion: v1, kind: Secret, metadata: {name: east, namespace: hanse-system}}")
	v.claimsAll = true
	ref := template.RefOf(v.objects[0])
	decision, err := Decide(t.Context(), v, ref, time.Unix(0, 0))
	if err != nil || decision.Spec != nil {
		t.Fatalf("%+v, %v, want no decision", decision.Spec, err)
	}
	v.distributions = []*v1alpha1.Distribution{brought(ref)}
	decision, err = Decide(t.Context(), v, ref, time.Unix(0, 0))
	if err != nil || decision.Spec == nil || len(decision.Spec.Clusters) > 0 || !slices.Equal(decision.Spec.Leaving, []string{"east"}) {
		t.Errorf("%+v, %v, want it to leave east", decision.Spec, err)
	}
}

// A decision names only what the template may take along, and says what it does not.
func TestRouteBringsWhatIsGranted(t *testing.T) {
	const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: a}
spec: {rules: [{backendRefs: [{name: api, namespace: b}, {name: web}]}]}`
	for _, c := range []struct {
		grants  []string
		brings  []string
		refused int
	}{
		{nil, []string{"Service/a/web"}, 1},
		{[]string{grant}, []string{"Service/a/web", "Service/b/api"}, 0},
	} {
		v := held(t, append([]string{route}, c.grants...)...)
		v.claimsAll = true
		decision, err := Decide(t.Context(), v, template.RefOf(v.objects[0]), time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(decision.Spec.FollowedBy, c.brings) || len(decision.Spec.Notes) != c.refused {
			t.Errorf("it brings %q and says %q", decision.Spec.FollowedBy, decision.Spec.Notes)
		}
	}
}

func (v *heldView) Sight() placement.Sight { return placement.Sight{} }

// A cluster that the author of the placement may not use gets nothing new, keeps what it has, and is named.
func TestDecideWithoutTheRight(t *testing.T) {
	v := held(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: a}}")
	v.claimsAll, v.notPermitted = true, map[string]string{"east": "joe may not"}
	ref := template.RefOf(v.objects[0])
	decision, err := Decide(t.Context(), v, ref, time.Unix(0, 0))
	if err != nil || len(decision.Spec.Clusters) > 0 || !slices.Equal(decision.Spec.NotPermitted, []string{"east"}) {
		t.Errorf("what is new: %+v, %v", decision.Spec, err)
	}
	v.distributions = []*v1alpha1.Distribution{brought(ref)}
	decision, err = Decide(t.Context(), v, ref, time.Unix(0, 0))
	if err != nil || len(decision.Spec.Clusters) != 1 || len(decision.Spec.Leaving) > 0 ||
		!slices.Equal(decision.Spec.NotPermitted, []string{"east"}) || !strings.Contains(decision.Spec.Notes[0], "what is there stays") {
		t.Errorf("what is there: %+v, %v", decision.Spec, err)
	}
}
