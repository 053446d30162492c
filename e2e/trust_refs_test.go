package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// The Gateway API's kinds as far as a hub looks at them.
const (
	routeDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: httproutes.gateway.networking.k8s.io, annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes-sigs/gateway-api/pull/2466"}}
spec:
  group: gateway.networking.k8s.io
  names: {kind: HTTPRoute, plural: httproutes, singular: httproute, listKind: HTTPRouteList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}`
	grantDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: referencegrants.gateway.networking.k8s.io, annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes-sigs/gateway-api/pull/2466"}}
spec:
  group: gateway.networking.k8s.io
  names: {kind: ReferenceGrant, plural: referencegrants, singular: referencegrant, listKind: ReferenceGrantList}
  scope: Namespaced
  versions:
  - name: v1beta1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}`
	gatewayEditor = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-gateway-edit, labels: {rbac.authorization.k8s.io/aggregate-to-admin: "true"}}
rules: [{apiGroups: [gateway.networking.k8s.io], resources: [httproutes, referencegrants], verbs: [get, list, watch, create, update, patch, delete]}]`
)

var routes = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}

// tenants are two users with the role admin in a namespace of their own: a in the scenario's, b in another one.
type tenants struct {
	*scenario
	a, b harness.Clients
	// nsB is the namespace of b.
	nsB string
}

func (s *scenario) tenants() *tenants {
	s.Helper()
	two := &tenants{scenario: s, nsB: s.ns + "-b"}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: two.nsB}}
	s.must(s.hub.Client.Create(s.Context(), namespace))
	s.Cleanup(func() { _ = s.hub.Client.Delete(context.Background(), namespace) })
	two.a, two.b = two.admin("a-"+s.ns, s.ns), two.admin("b-"+s.ns, two.nsB)
	return two
}

// admin is a user with the role admin in a namespace.
func (s *scenario) admin(user, namespace string) harness.Clients {
	s.Helper()
	s.must(s.hub.Client.Create(s.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: user}},
	}))
	clients, err := harness.NewClients(s.certificateOf(user))
	s.must(err)
	s.eventually("the role counts", func() error {
		return clients.Client.List(s.Context(), &v1alpha1.PlacementList{}, client.InNamespace(namespace))
	})
	return clients
}

// write creates what a manifest says, in the name of a user.
func (s *scenario) write(as harness.Clients, manifest string) error {
	s.Helper()
	obj := &unstructured.Unstructured{}
	s.must(yaml.Unmarshal([]byte(manifest), &obj.Object))
	return as.Client.Create(s.Context(), obj)
}

// routesMade has one scenario at a time make the definitions: two that find none would both create them.
var routesMade sync.Mutex

// defineRoutes has the hub serve the Gateway API's kinds, and the administrators of namespaces may write them. They stay:
// scenarios beside this one use them, too.
func (s *scenario) defineRoutes(as harness.Clients) {
	s.Helper()
	routesMade.Lock()
	defer routesMade.Unlock()
	s.apply(routeDefinition, grantDefinition, gatewayEditor)
	s.eventually("the administrator of a namespace may write routes", func() error {
		_, err := as.Dynamic.Resource(routes).Namespace(s.ns).List(s.Context(), metav1.ListOptions{})
		return err
	})
}

// sentinel is placed in all members and awaited there: what was written before it has been decided by then.
func (s *scenario) sentinel(name string) {
	s.Helper()
	s.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + `, annotations: {hanse.io/clusters: "*=1"}}`)
	for _, m := range s.members {
		awaitThere[corev1.ConfigMap](s, name, m.Name())
	}
}

// noneOf tells which of the named Secrets and ServiceAccounts of a namespace are in a member, or on their way there.
func (s *scenario) noneOf(namespace string, names ...string) error {
	var found []error
	var decisions v1alpha1.DistributionList
	s.must(s.hub.Client.List(s.Context(), &decisions, client.InNamespace(namespace)))
	for _, d := range decisions.Items {
		if slices.Contains(names, d.Spec.Template.Name) && len(d.Spec.Clusters) > 0 {
			found = append(found, fmt.Errorf("the hub sends %s %s/%s to members", d.Spec.Template.Kind, namespace, d.Spec.Template.Name))
		}
	}
	for _, m := range s.members {
		for _, name := range names {
			for _, obj := range []client.Object{&corev1.Secret{}, &corev1.ServiceAccount{}, &corev1.ConfigMap{}} {
				err := m.Client.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj)
				if err == nil {
					found = append(found, fmt.Errorf("%s has %T %s/%s", m.Name(), obj, namespace, name))
				} else if !apierrors.IsNotFound(err) {
					s.must(err)
				}
			}
		}
	}
	return errors.Join(found...)
}

// A tenant's object takes nothing of another tenant, and nothing of the hub, into a member.
func TestTrustReferences(t *testing.T) {
	s := onFleet(t).tenants()
	s.defineRoutes(s.a)
	s.permitIn("east", routes)
	t.Run("steal", func(*testing.T) { s.steal() })
	t.Run("grant", func(*testing.T) { s.grant() })
}

// steal refers to what belongs to others, and gets nothing.
func (s *tenants) steal() {
	s.must(s.write(s.b, `{apiVersion: v1, kind: Secret, metadata: {name: db-password, namespace: `+s.nsB+`}, stringData: {password: TOP-SECRET}}`))
	s.must(s.write(s.b, `{apiVersion: v1, kind: Secret, metadata: {name: pull, namespace: `+s.nsB+`}, stringData: {x: PULL-SECRET}}`))
	s.must(s.write(s.b, `{apiVersion: v1, kind: ServiceAccount, metadata: {name: builder, namespace: `+s.nsB+`}, imagePullSecrets: [{name: pull}]}`))
	s.must(s.write(s.a, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: steal, namespace: `+s.ns+`, annotations: {hanse.io/clusters: east}}
spec:
  parentRefs: [{group: "", kind: Secret, namespace: `+s.nsB+`, name: db-password}]
  rules:
  - backendRefs:
    - {group: "", kind: Secret, namespace: `+s.nsB+`, name: db-password}
    - {group: "", kind: Secret, namespace: hanse-system, name: hanse-serviceaccount-key}
    - {group: "", kind: Secret, namespace: hanse-system, name: east}
    - {namespace: `+s.nsB+`, name: api}`))
	s.must(s.write(s.a, `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: pulls, namespace: `+s.ns+`, annotations: {hanse.io/clusters: east}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: builder, namespace: `+s.nsB+`}]`))
	s.must(s.write(s.a, `
apiVersion: v1
kind: Pod
metadata: {name: paths, namespace: `+s.ns+`, annotations: {hanse.io/clusters: east}}
spec:
  containers: [{name: a, image: a, envFrom: [{secretRef: {name: x}}]}]
  volumes: [{name: v, secret: {secretName: x}}]`))
	s.eventually("the route's decision is taken", func() error {
		_, err := s.distribution("httproute.gateway.networking.k8s.io-steal")
		return err
	})
	s.eventually("the binding's decision is taken", func() error {
		_, err := s.distribution("rolebinding.rbac.authorization.k8s.io-pulls")
		return err
	})
	s.sentinel("decided")
	s.must(s.noneOf(s.nsB, "db-password", "pull", "builder"))
	s.must(s.noneOf("hanse-system", "hanse-serviceaccount-key", "east"))
	s.eventually("the route's condition says what does not follow it", func() error {
		d, err := s.distribution("httproute.gateway.networking.k8s.io-steal")
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionScheduled)
		for _, words := range []string{"Secret db-password in backendRefs is not followed", "no ReferenceGrant"} {
			if c == nil || !strings.Contains(c.Message, words) {
				return fmt.Errorf("%q is not in %+v", words, c)
			}
		}
		return nil
	})
}

// grant has a Service of another namespace follow a route as long as its owners grant it.
func (s *tenants) grant() {
	s.must(s.write(s.b, `{apiVersion: v1, kind: Service, metadata: {name: api, namespace: `+s.nsB+`}, spec: {ports: [{port: 80}]}}`))
	s.must(s.write(s.a, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: front, namespace: `+s.ns+`, annotations: {hanse.io/clusters: east}}
spec: {rules: [{backendRefs: [{namespace: `+s.nsB+`, name: api}]}]}`))
	s.sentinel("without")
	service := client.ObjectKey{Namespace: s.nsB, Name: "api"}
	if err := s.member("east").Client.Get(s.Context(), service, &corev1.Service{}); !apierrors.IsNotFound(err) {
		s.Fatalf("the Service came without a grant: %v", err)
	}
	grant := `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: front, namespace: ` + s.nsB + `}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: ` + s.ns + `}], to: [{group: "", kind: Service, name: api}]}`
	if err := s.write(s.a, grant); !apierrors.IsForbidden(err) {
		s.Fatalf("a tenant grants themselves what is another's: %v", err)
	}
	s.must(s.write(s.b, grant))
	s.eventually("the Service comes with a grant", func() error {
		return s.member("east").Client.Get(s.Context(), service, &corev1.Service{})
	})
	s.kubectl("", "delete", "-n", s.nsB, "referencegrant", "front")
	s.eventually("the Service leaves with the grant", func() error {
		err := s.member("east").Client.Get(s.Context(), service, &corev1.Service{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
}

// What is the hub's own cannot be placed, not even by its administrator, and a forged decision brings it nowhere.
func TestTrustHubsOwn(t *testing.T) {
	s := onFleet(t)
	for what, said := range map[string]string{
		"the annotation": s.refused("", "annotate", "-n", "hanse-system", "secret", "east", "hanse.io/clusters=west"),
		"a Placement": s.refused(`{apiVersion: hanse.io/v1alpha1, kind: Placement, metadata: {name: all, namespace: hanse-system}, spec: {resources: [{kind: Secret}]}}`,
			"apply", "-n", "hanse-system", "-f", "-"),
		"a ClusterPlacement": s.refused(`{apiVersion: hanse.io/v1alpha1, kind: ClusterPlacement, metadata: {name: all}, spec: {resources: [{kind: Namespace, name: kube-system}]}}`,
			"apply", "-f", "-"),
	} {
		says(t, what, said, "is the hub's own")
	}
	key := &corev1.Secret{}
	s.must(s.hub.Client.Get(t.Context(), client.ObjectKey{Namespace: "hanse-system", Name: "east"}, key))
	forged := &v1alpha1.Distribution{ObjectMeta: metav1.ObjectMeta{
		Namespace: "hanse-system", Name: v1alpha1.DistributionName(corev1.SchemeGroupVersion.WithKind("Secret").GroupKind(), "east"),
	}}
	forged.Spec.Template = v1alpha1.TemplateReference{
		APIVersion: "v1", Kind: "Secret", Namespace: key.Namespace, Name: key.Name, UID: key.UID,
	}
	forged.Spec.Placement = v1alpha1.PlacementReference{Kind: "Annotation"}
	forged.Spec.OnConflict, forged.Spec.OnDelete = v1alpha1.ConflictFail, v1alpha1.DeleteCopies
	forged.Spec.Clusters = []v1alpha1.DistributionCluster{{Name: "west", Reason: "Copy"}}
	s.must(s.hub.Client.Create(t.Context(), forged))
	s.eventually("the hub takes the forged decision back", func() error {
		err := s.hub.Client.Get(s.Context(), client.ObjectKeyFromObject(forged), &v1alpha1.Distribution{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
	s.must(s.noneOf("hanse-system", "east"))
}

// A plan tells its caller nothing of what they may not read.
func TestTrustPlan(t *testing.T) {
	s := onFleet(t).tenants()
	s.defineRoutes(s.a)
	s.must(s.write(s.b, `{apiVersion: v1, kind: ConfigMap, metadata: {name: conf, namespace: `+s.nsB+`}, data: {a: TOP-SECRET}}`))
	s.must(s.write(s.b, `{apiVersion: v1, kind: Secret, metadata: {name: db-password, namespace: `+s.nsB+`}}`))
	s.must(s.write(s.b, `{apiVersion: v1, kind: ServiceAccount, metadata: {name: builder, namespace: `+s.nsB+`}}`))
	s.must(s.write(s.a, `{apiVersion: v1, kind: Secret, metadata: {name: own, namespace: `+s.ns+`}, stringData: {a: b}}`))
	ask := func(as harness.Clients, manifests ...string) v1alpha1.PlanStatus {
		t.Helper()
		p := &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{Clusters: "east"}}
		for _, manifest := range manifests {
			raw, err := yaml.YAMLToJSON([]byte(manifest))
			s.must(err)
			p.Spec.Objects = append(p.Spec.Objects, runtime.RawExtension{Raw: raw})
		}
		s.must(as.Client.Create(t.Context(), p))
		return p.Status
	}
	status := ask(s.a, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: p, namespace: `+s.ns+`}
spec:
  rules:
  - backendRefs:
    - {group: "", kind: ConfigMap, namespace: `+s.nsB+`, name: conf}
    - {group: apps, kind: Deployment, namespace: `+s.nsB+`, name: payroll}
    - {group: "", kind: Secret, namespace: `+s.nsB+`, name: db-password}`, `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: p, namespace: `+s.ns+`}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: builder, namespace: `+s.nsB+`}]`)
	for _, o := range status.Objects {
		if o.Namespace != s.ns {
			t.Errorf("a tenant's plan tells of %s %s/%s", o.Kind, o.Namespace, o.Name)
		}
	}
	deployment := `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ` + s.ns + `}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web, envFrom: [{secretRef: {name: own}}]}]}}`
	shown := func(status v1alpha1.PlanStatus) (names []string) {
		for _, o := range status.Objects {
			names = append(names, o.Kind+"/"+o.Name)
		}
		return names
	}
	if names := shown(ask(s.a, deployment)); !slices.Contains(names, "Secret/own") {
		t.Errorf("whoever may read a dependency is shown %q", names)
	}
	s.kubectl("", "create", "role", "deployer", "--verb=get,create,update,patch", "--resource=deployments.apps")
	s.kubectl("", "create", "rolebinding", "deployer", "--role=deployer", "--user=d-"+s.ns)
	deployer, err := harness.NewClients(s.certificateOf("d-" + s.ns))
	s.must(err)
	s.eventually("the plan is for whom may write the Deployment", func() error {
		status = ask(deployer, deployment)
		if status.Objects[0].Error != "" {
			return errors.New(status.Objects[0].Error)
		}
		return nil
	})
	if names := shown(status); len(names) != 1 {
		t.Errorf("whoever may not read Secrets is shown %q", names)
	}
	says(t, "the plan", strings.Join(status.Notes, "\n"), "Secret/"+s.ns+"/own is not shown, whether it is on the hub or not")
}

// A DNS name belongs to the namespace that it names, or to its Zone, and nobody else gets it.
func TestTrustNames(t *testing.T) {
	s := onFleet(t).tenants()
	zone := "trust-names.test"
	s.apply(`{apiVersion: hanse.io/v1alpha1, kind: Zone, metadata: {name: ` + zone + `}, spec: {nameservers: [{name: ns1.` + zone + `, ips: [127.0.0.1]}]}}`)
	s.Cleanup(func() {
		_ = s.hub.Client.Delete(context.Background(), &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: zone}})
	})
	s.eventually("the zone is served", func() error {
		z := &v1alpha1.Zone{}
		err := s.hub.Client.Get(t.Context(), client.ObjectKey{Name: zone}, z)
		if err == nil && !meta.IsStatusConditionTrue(z.Status.Conditions, v1alpha1.ConditionReady) {
			err = fmt.Errorf("it says %+v", z.Status.Conditions)
		}
		return err
	})
	named := func(namespace, name, hostname, ip string) string {
		return `{apiVersion: hanse.io/v1alpha1, kind: GlobalService, metadata: {name: ` + name + `, namespace: ` + namespace +
			`, annotations: {hanse.io/claimed-names: "` + hostname + `@*"}}, spec: {hostnames: ["` + hostname +
			`"], addresses: [{cluster: x, ips: [` + ip + `]}]}}`
	}
	payroll := "payroll." + s.nsB + "." + zone
	for _, hostname := range []string{payroll, "*." + s.nsB + "." + zone, "_acme-challenge." + payroll, "_acme-challenge." + s.nsB + "." + zone,
		zone, "www." + zone, "ns1." + zone, "*." + zone, "kubernetes.default." + zone} {
		if err := s.write(s.a, named(s.ns, "steal", hostname, "203.0.113.66")); !apierrors.IsForbidden(err) {
			t.Errorf("a tenant gets %s: %v", hostname, err)
		}
	}
	s.must(s.write(s.b, named(s.nsB, "payroll", payroll, "192.0.2.1")))
	s.awaitAnswer(payroll, netip.MustParseAddr("192.0.2.1"))

	// An annotation asks for a name in the hub's name, and gets no more than its author.
	s.must(s.write(s.a, `{apiVersion: v1, kind: Service, metadata: {name: asks, namespace: `+s.ns+`, annotations: {external-dns.kubernetes.io/hostname: www.`+
		zone+`, external-dns.kubernetes.io/target: 203.0.113.66}}, spec: {ports: [{port: 80}]}}`))
	s.eventually("the GlobalService of the annotation says whose the name is", func() error {
		gs, err := get[v1alpha1.GlobalService](s.scenario, s.hub.Client, "asks")
		if err != nil || gs == nil {
			return fmt.Errorf("there is none: %w", err)
		}
		c := meta.FindStatusCondition(gs.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != "NotOwned" || !strings.Contains(c.Message, "belongs to the Zone") {
			return fmt.Errorf("it says %+v", c)
		}
		return nil
	})

	// The Zone's administrator delegates, or claims.
	s.must(s.write(harness.Clients{Client: s.hub.Client}, named(s.ns, "claimed", "ftp."+zone, "192.0.2.3")))
	s.awaitAnswer("ftp."+zone, netip.MustParseAddr("192.0.2.3"))
	s.kubectl("", "patch", "zone", zone, "--type=merge", "-p",
		`{"spec":{"delegations":[{"names":["www"],"namespaces":{"names":["`+s.ns+`"]}}]}}`)
	s.awaitAnswer("www."+zone, netip.MustParseAddr("203.0.113.66"))
	s.kubectl("", "patch", "zone", zone, "--type=merge", "-p", `{"spec":{"delegations":null}}`)
	s.eventually("a name that is not delegated any more is not served", func() error {
		gs, err := get[v1alpha1.GlobalService](s.scenario, s.hub.Client, "asks")
		if err == nil && len(gs.Status.Hostnames) > 0 {
			err = fmt.Errorf("it has %q", gs.Status.Hostnames)
		}
		return err
	})
}

// Who may not place in a member places nothing there, and what they had placed there stays, and says so.
func TestTrustPlace(t *testing.T) {
	s := onTestbed(t)
	user := "joe-" + s.ns
	joe := s.admin(user, s.ns)
	canI := func(member string) string {
		r, err := s.hub.Kubectl(s.Context(), "", "auth", "can-i", "place", "clusters/"+member, "--as", user, "--as-group", "system:authenticated")
		s.must(err)
		return strings.TrimSpace(r.Stdout)
	}
	if may := canI("beta"); may != "yes" {
		t.Errorf("by default one may place: %s", may)
	}
	s.must(s.write(joe, `{apiVersion: v1, kind: ConfigMap, metadata: {name: first, namespace: `+s.ns+`}}`))
	s.must(s.write(joe, `{apiVersion: hanse.io/v1alpha1, kind: Placement, metadata: {name: all, namespace: `+s.ns+`}, spec: {resources: [{kind: ConfigMap}]}}`))
	awaitThere[corev1.ConfigMap](s, "first", "alpha")
	awaitThere[corev1.ConfigMap](s, "first", "beta")

	everywhere, err := s.hub.Kube.RbacV1().ClusterRoleBindings().Get(t.Context(), "hanse.io:place-everywhere", metav1.GetOptions{})
	s.must(err)
	s.must(s.hub.Kube.RbacV1().ClusterRoleBindings().Delete(t.Context(), everywhere.Name, metav1.DeleteOptions{}))
	s.Cleanup(func() {
		everywhere.ResourceVersion, everywhere.UID = "", ""
		if _, err := s.hub.Kube.RbacV1().ClusterRoleBindings().Create(context.Background(), everywhere, metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
	})
	s.kubectl("", "create", "clusterrole", user, "--verb=place", "--resource=clusters.hanse.io", "--resource-name=alpha")
	s.kubectl("", "create", "clusterrolebinding", user, "--clusterrole="+user, "--user="+user)
	s.Cleanup(func() {
		_ = s.hub.Kube.RbacV1().ClusterRoleBindings().Delete(context.Background(), user, metav1.DeleteOptions{})
		_ = s.hub.Kube.RbacV1().ClusterRoles().Delete(context.Background(), user, metav1.DeleteOptions{})
	})
	s.eventually("kubectl auth can-i tells them apart", func() error {
		if a, b := canI("alpha"), canI("beta"); a != "yes" || b != "no" {
			return fmt.Errorf("alpha %s, beta %s", a, b)
		}
		return nil
	})
	for what, manifest := range map[string]string{
		"an annotation": `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: ` + s.ns + `, annotations: {hanse.io/clusters: "alpha,beta"}}}`,
		"a forged author": `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: ` + s.ns +
			`, annotations: {hanse.io/clusters: beta, hanse.io/placed-by: '{"user":"admin","groups":["system:masters"]}'}}}`,
		"a Placement":    `{apiVersion: hanse.io/v1alpha1, kind: Placement, metadata: {name: x, namespace: ` + s.ns + `}, spec: {resources: [{kind: Secret}], clusters: [{name: beta}]}}`,
		"a Placement of": `{apiVersion: hanse.io/v1alpha1, kind: Placement, metadata: {name: x, namespace: ` + s.ns + `}, spec: {resources: [{kind: Secret}]}}`,
	} {
		if err := s.write(joe, manifest); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "may not place in beta") {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.must(s.write(joe, `{apiVersion: v1, kind: Secret, metadata: {name: mine, namespace: `+s.ns+`, annotations: {hanse.io/clusters: alpha}}}`))
	awaitThere[corev1.Secret](s, "mine", "alpha")

	// The Placement from before chooses beta no more for what is new, and keeps what is there.
	s.eventually("the Placement says so", func() error {
		p, err := get[v1alpha1.Placement](s, s.hub.Client, "all")
		if err != nil || p == nil {
			return fmt.Errorf("there is none: %w", err)
		}
		if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionPermitted); c == nil || c.Status != metav1.ConditionFalse ||
			!strings.Contains(c.Message, "beta") {
			return fmt.Errorf("it says %+v", p.Status.Conditions)
		}
		return nil
	})
	s.must(s.write(joe, `{apiVersion: v1, kind: ConfigMap, metadata: {name: second, namespace: `+s.ns+`}}`))
	awaitThere[corev1.ConfigMap](s, "second", "alpha")
	d, err := s.distribution("configmap-second")
	s.must(err)
	if len(d.Spec.Clusters) != 1 || !slices.Equal(d.Spec.NotPermitted, []string{"beta"}) {
		t.Errorf("what is new goes to %+v, not permitted %q", d.Spec.Clusters, d.Spec.NotPermitted)
	}
	if there, err := get[corev1.ConfigMap](s, s.member("beta").Client, "first"); err != nil || there == nil {
		t.Errorf("what ran in beta is gone: %v", err)
	}
	p := &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{Clusters: "beta", Objects: []runtime.RawExtension{{Raw: []byte(
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"third","namespace":"` + s.ns + `"}}`)}}}}
	s.must(joe.Client.Create(t.Context(), p))
	says(t, "the plan", p.Status.Objects[0].Error, "may not place in beta")
}
