package kinds

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestMayFollow(t *testing.T) {
	const toService = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: bank}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: "", kind: Service}]}`
	const toOne = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: bank}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: "", kind: Service, name: api}]}`
	const toSecret = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: bank}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}, {group: gateway.networking.k8s.io, kind: Gateway, namespace: shop}]
  to: [{group: "", kind: Secret}]`
	const ending = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: bank, deletionTimestamp: "2026-01-01T00:00:00Z"}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: "", kind: Service}]}`
	const elsewhere = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: shop}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: "", kind: Service}]}`
	const forged = `
apiVersion: example.org/v1
kind: ReferenceGrant
metadata: {name: g, namespace: bank}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: "", kind: Service}]}`
	httpRoute := schema.GroupKind{Group: gatewayGroup, Kind: "HTTPRoute"}
	deployment := schema.GroupKind{Group: "apps", Kind: "Deployment"}
	tests := []struct {
		name      string
		from      schema.GroupKind
		namespace string
		to        Ref
		grant     string
		may       bool
	}{
		{"inside a namespace", deployment, "shop", Ref{secret, "shop", "s", false}, "", true},
		{"what has no namespace", deployment, "shop", Ref{GroupKind: gatewayKind, Name: "s"}, "", true},
		{"out of a namespace", deployment, "shop", Ref{secret, "bank", "s", false}, toSecret, false},
		{"from none into one", schema.GroupKind{Kind: "Node"}, "", Ref{secret, "bank", "s", false}, toSecret, false},
		{"a backend without a grant", httpRoute, "shop", Ref{service, "bank", "api", true}, "", false},
		{"a backend", httpRoute, "shop", Ref{service, "bank", "api", true}, toService, true},
		{"a backend by name", httpRoute, "shop", Ref{service, "bank", "api", true}, toOne, true},
		{"another backend", httpRoute, "shop", Ref{service, "bank", "web", true}, toOne, false},
		{"from another namespace", httpRoute, "pub", Ref{service, "bank", "api", true}, toService, false},
		{"from another kind", schema.GroupKind{Group: gatewayGroup, Kind: "GRPCRoute"}, "shop", Ref{service, "bank", "api", true}, toService, false},
		{"a Gateway of another namespace", httpRoute, "shop", Ref{gatewayKind, "bank", "g", true}, toService, false},
		{"a Secret as a backend, whatever the grant", httpRoute, "shop", Ref{secret, "bank", "s", true}, toSecret, false},
		{"a certificate", schema.GroupKind{Group: gatewayGroup, Kind: "Gateway"}, "shop", Ref{secret, "bank", "s", true}, toSecret, true},
		{"a grant that ends", httpRoute, "shop", Ref{service, "bank", "api", true}, ending, false},
		{"a grant of oneself", httpRoute, "shop", Ref{service, "bank", "api", true}, elsewhere, false},
		{"something else that is called a grant", httpRoute, "shop", Ref{service, "bank", "api", true}, forged, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var grants []*unstructured.Unstructured
			if test.grant != "" {
				grants = append(grants, object(t, test.grant))
			}
			if err := MayFollow(test.from, test.namespace, test.to, grants); (err == nil) != test.may {
				t.Errorf("%v, want it allowed: %t", err, test.may)
			}
		})
	}
}

// samples hold every reference that a native rule reads.
var samples = []string{heavyPod, `
kind: Job
spec:
  podSelector: {}
  template: {spec: {serviceAccount: x, containers: [{name: a}], volumes: [{rbd: {secretRef: {name: a}}}, {azureFile: {secretName: a}}]}}
  jobTemplate: {spec: {template: {spec: {containers: [{name: a, envFrom: [{secretRef: {name: a}}]}]}}}}`, `
kind: Pod
spec: {containers: [{name: a, envFrom: [{secretRef: {name: a}}]}], imagePullSecrets: [{name: b}]}`, `
kind: ServiceAccount
imagePullSecrets: [{name: a}]
secrets: [{name: b}]`, `
kind: RoleBinding
roleRef: {kind: Role, name: a}
subjects: [{kind: ServiceAccount, name: a, namespace: b}, {kind: ServiceAccount, name: c, namespace: d}]`, `
kind: Ingress
spec:
  defaultBackend: {service: {name: a}}
  tls: [{secretName: a}]
  rules: [{http: {paths: [{backend: {service: {name: a}, resource: {kind: Secret, name: b}}}]}}]`, `
kind: Gateway
spec: {listeners: [{tls: {certificateRefs: [{name: a}, {name: b, namespace: c, kind: Secret, group: ""}]}}]}`, `
kind: HTTPRoute
spec:
  parentRefs: [{name: a}, {name: b, namespace: c, kind: Gateway, group: gateway.networking.k8s.io}]
  rules: [{backendRefs: [{name: a}, {name: b, namespace: c, kind: Service, group: ""}]}]`, `
kind: HorizontalPodAutoscaler
spec: {scaleTargetRef: {apiVersion: v1, kind: Secret, name: a, namespace: b}, targetRef: {kind: Secret, name: a, namespace: b}}`, `
kind: PersistentVolume
spec: {claimRef: {kind: PersistentVolumeClaim, name: a, namespace: b}, dataSourceRef: {kind: Secret, name: a, namespace: b},
  csi: {nodePublishSecretRef: {name: a, namespace: b}, controllerPublishSecretRef: {name: a, namespace: b}}}`,
}

// TestNoReferenceLeavesItsNamespace gives every native rule objects that try. Without a grant, nothing is followed out
// of the namespace, and no object chooses which kinds follow it.
func TestNoReferenceLeavesItsNamespace(t *testing.T) {
	followable := []schema.GroupKind{configMap, secret, account, claim, service, gatewayKind,
		{Group: rbacGroup, Kind: "Role"}, {Group: rbacGroup, Kind: "ClusterRole"}}
	all := slices.SortedFunc(maps.Keys(rules), func(a, b schema.GroupKind) int {
		return slices.Compare([]string{a.Group, a.Kind}, []string{b.Group, b.Kind})
	})
	all = append(all, schema.GroupKind{Group: "example.org", Kind: "Thing"})
	random := rand.New(rand.NewPCG(1, 2))
	followed := 0
	for _, gk := range all {
		rule := For(gk)
		for round := range 6 * len(samples) {
			obj := object(t, "{apiVersion: v1, kind: X}")
			maps.Copy(obj.Object, object(t, withVersion(samples[round%len(samples)])).Object)
			tempt(random, obj.Object)
			obj.SetGroupVersionKind(gk.WithVersion("v1"))
			obj.SetName("x")
			obj.SetNamespace([]string{"shop", "shop", ""}[round%3])
			for _, ref := range rule.Dependencies(obj) {
				err := MayFollow(gk, obj.GetNamespace(), ref, nil)
				isInside := ref.Namespace == obj.GetNamespace() || ref.Namespace == ""
				if err == nil != isInside {
					t.Fatalf("%s of namespace %q and %v: %v", gk, obj.GetNamespace(), ref, err)
				}
				if !slices.Contains(followable, ref.GroupKind) {
					t.Fatalf("%s takes along a %s:\n%v", gk, ref.GroupKind, obj.Object)
				}
				followed++
			}
			if target, ok := rule.Follows(obj); ok && target.Ref != nil && target.Ref.Namespace != obj.GetNamespace() {
				t.Fatalf("%s of namespace %q follows %v", gk, obj.GetNamespace(), target.Ref)
			}
		}
	}
	if followed < 1000 {
		t.Errorf("only %d references were read, so this test shows nothing", followed)
	}
}

func withVersion(sample string) string {
	if strings.Contains(sample, "apiVersion: apps/v1") {
		return sample
	}
	return "apiVersion: v1" + sample
}

// tempt writes namespaces, kinds, groups and names of others into an object, wherever there is a map.
func tempt(random *rand.Rand, value any) {
	words := []string{"bank", "hanse-system", "kube-system", "bank/password", "../bank/password", "Secret", "Service",
		"Gateway", "ServiceAccount", "ClusterRole", "", "apps", gatewayGroup}
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			tempt(random, element)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if _, isText := v[key].(string); isText && random.IntN(4) == 0 {
				v[key] = words[random.IntN(len(words))]
			}
			tempt(random, v[key])
		}
		for _, key := range []string{"namespace", "kind", "group", "apiGroup", "apiVersion", "name"} {
			if random.IntN(4) == 0 {
				v[key] = words[random.IntN(len(words))]
			}
		}
		if random.IntN(30) == 0 {
			v["namespace"] = []any{"bank"}
		}
	}
}
