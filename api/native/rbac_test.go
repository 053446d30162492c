package native

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

// world is a hub with these roles: jane may read pods and write roles and bindings in shop; erik also has the verbs
// escalate and bind; anna is cluster-admin by a binding.
func world(t *testing.T) *RBAC {
	t.Helper()
	rule := func(verbs, resources string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{
			APIGroups: []string{"", "rbac.authorization.k8s.io"},
			Verbs:     strings.Split(verbs, ","), Resources: strings.Split(resources, ","),
		}
	}
	bind := func(name, role string) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
			Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: name}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		}
	}
	writer := rule("get,create,update", "roles,rolebindings,clusterroles,clusterrolebindings")
	return startRBAC(t,
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "writer", Namespace: "shop"},
			Rules: []rbacv1.PolicyRule{rule("get", "pods"), writer}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "trusted", Namespace: "shop"},
			Rules: []rbacv1.PolicyRule{writer, rule("escalate,bind", "roles,clusterroles")}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader", Namespace: "shop"},
			Rules: []rbacv1.PolicyRule{rule("get", "pods")}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "deleter", Namespace: "shop"},
			Rules: []rbacv1.PolicyRule{rule("delete", "secrets")}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "cluster-admin"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}},
			{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}}}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "anna"},
			Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "anna"}},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}},
		bind("jane", "writer"), bind("erik", "trusted"),
	)
}

func startRBAC(t *testing.T, objects ...runtime.Object) *RBAC {
	t.Helper()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(objects...), 0)
	r := NewRBAC(factory.Rbac().V1())
	if slices.ContainsFunc(r.synced, cache.IsDone) {
		t.Errorf("synced before the informers run")
	}
	factory.Start(t.Context().Done())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.WaitForSync(ctx); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRBACAllows(t *testing.T) {
	r := world(t)
	tests := []struct {
		user, verb, resource, namespace string
		want                            authorizer.Decision
	}{
		{"jane", "get", "pods", "shop", authorizer.DecisionAllow},
		{"jane", "get", "pods", "other", authorizer.DecisionNoOpinion},
		{"jane", "delete", "pods", "shop", authorizer.DecisionNoOpinion},
		{"anna", "delete", "pods", "other", authorizer.DecisionAllow},
		{"nobody", "get", "pods", "shop", authorizer.DecisionNoOpinion},
	}
	for _, test := range tests {
		decision, reason, err := r.Authorize(t.Context(), authorizer.AttributesRecord{
			User: &user.DefaultInfo{Name: test.user}, Verb: test.verb, Resource: test.resource,
			Namespace: test.namespace, ResourceRequest: true,
		})
		if err != nil || decision != test.want {
			t.Errorf("%+v: %v (%s) %v", test, decision, reason, err)
		}
	}
	rules, _, _, err := r.RulesFor(t.Context(), &user.DefaultInfo{Name: "jane"}, "shop")
	if err != nil || len(rules) != 2 {
		t.Errorf("jane's rules: %v, %v", rules, err)
	}
}

func TestEscalation(t *testing.T) {
	r := world(t)
	role := func(verb, resource string) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "new", Namespace: "shop"},
			Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Verbs: []string{verb}, Resources: []string{resource}}}}
	}
	binding := func(kind, name string) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "new", Namespace: "shop"},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}}
	}
	aggregated := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "new"},
		AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{}}}}
	collected := role("delete", "secrets")
	collected.OwnerReferences = []metav1.OwnerReference{{Name: "x"}}

	tests := []struct {
		name     string
		user     string
		groups   []string
		resource string
		obj, old runtime.Object
		refused  string
	}{
		{name: "what one has", user: "jane", resource: "roles", obj: role("get", "pods")},
		{name: "what one lacks", user: "jane", resource: "roles", obj: role("delete", "secrets"),
			refused: `attempting to grant RBAC permissions not currently held`},
		{name: "growing a role", user: "jane", resource: "roles", obj: role("delete", "secrets"), old: role("get", "pods"),
			refused: `attempting to grant RBAC permissions not currently held`},
		{name: "letting go of an owner", user: "jane", resource: "roles", obj: role("delete", "secrets"), old: collected},
		{name: "with escalate", user: "erik", resource: "roles", obj: role("delete", "secrets")},
		{name: "escalate ends at the namespace", user: "erik", resource: "clusterroles", obj: aggregated,
			refused: "must have cluster-admin privileges to use the aggregationRule"},
		{name: "binding what one has", user: "jane", resource: "rolebindings", obj: binding("Role", "reader")},
		{name: "binding what one lacks", user: "jane", resource: "rolebindings", obj: binding("Role", "deleter"),
			refused: "not currently held"},
		{name: "binding cluster-admin", user: "jane", resource: "rolebindings", obj: binding("ClusterRole", "cluster-admin"),
			refused: "not currently held"},
		{name: "with bind", user: "erik", resource: "rolebindings", obj: binding("ClusterRole", "cluster-admin")},
		{name: "binding a role that is not there", user: "jane", resource: "rolebindings", obj: binding("Role", "gone"),
			refused: `"gone" not found`},
		{name: "aggregating", user: "anna", resource: "clusterroles", obj: aggregated},
		{name: "superuser", user: "root", groups: []string{user.SystemPrivilegedGroup}, resource: "roles",
			obj: role("delete", "secrets")},
		{name: "cluster-wide binding", user: "jane", resource: "clusterrolebindings", refused: "not currently held",
			obj: &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "new"},
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx := request.WithUser(t.Context(), &user.DefaultInfo{Name: test.user, Groups: test.groups})
			namespace := "shop"
			if strings.HasPrefix(test.resource, "cluster") {
				namespace = ""
			}
			ctx = request.WithNamespace(ctx, namespace)
			ctx = request.WithRequestInfo(ctx, &request.RequestInfo{IsResourceRequest: true,
				APIGroup: rbacv1.GroupName, APIVersion: "v1", Resource: test.resource, Namespace: namespace, Name: "new"})
			err := r.CheckEscalation(ctx, r, test.obj, test.old)
			switch {
			case test.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
				t.Errorf("error %v, want one with %q", err, test.refused)
			case test.refused != "" && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err):
				t.Errorf("%T is no API status", err)
			}
		})
	}
	if err := r.CheckEscalation(t.Context(), r, decode(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`),
		nil); err != nil {
		t.Errorf("a ConfigMap: %v", err)
	}
}

func TestBootstrapRBAC(t *testing.T) {
	roles := map[string]*rbacv1.ClusterRole{}
	for _, seed := range BootstrapRBAC() {
		switch o := seed.(type) {
		case *rbacv1.ClusterRole:
			roles[o.Name] = o
		case *rbacv1.ClusterRoleBinding:
			if roles[o.RoleRef.Name] == nil {
				t.Errorf("binding %s before its role %s", o.Name, o.RoleRef.Name)
			}
			for _, subject := range o.Subjects {
				if subject.Name == user.AllUnauthenticated || subject.Name == user.Anonymous {
					t.Errorf("binding %s gives %s to everybody", o.Name, o.RoleRef.Name)
				}
			}
		}
		if errs := Validate(t.Context(), seed); len(errs) > 0 {
			t.Errorf("%v", errs)
		}
	}
	for _, name := range hubRoles {
		if roles[name] == nil {
			t.Errorf("upstream has no role %s any more", name)
		}
	}
	view := roles["hanse.io:aggregate-to-view"]
	if view == nil || view.Labels["rbac.authorization.k8s.io/aggregate-to-view"] != "true" ||
		!slices.Contains(view.Rules[0].Resources, "placements") {
		t.Errorf("view does not get Hanse's kinds: %+v", view)
	}
	for _, name := range []string{"hanse.io:aggregate-to-view", "hanse.io:aggregate-to-edit"} {
		for _, rule := range roles[name].Rules {
			if slices.Contains(rule.Resources, "clusters") && slices.Contains(rule.Verbs, "create") {
				t.Errorf("%s may connect clusters", name)
			}
		}
	}
}

func TestSeedRBACKeepsWhatWasAdded(t *testing.T) {
	client := fake.NewClientset()
	roles := client.RbacV1().ClusterRoles()
	seed := func() {
		t.Helper()
		if err := SeedRBAC(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	seed()
	basic, err := roles.Get(t.Context(), "system:basic-user", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	own := rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/own"}}
	basic.Rules = []rbacv1.PolicyRule{own}
	if _, err := roles.Update(t.Context(), basic, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	seed()
	if basic, err = roles.Get(t.Context(), "system:basic-user", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(basic.Rules) < 3 || basic.Rules[0].NonResourceURLs[0] != "/own" {
		t.Errorf("rules after seeding again: %+v", basic.Rules)
	}

	client.ClearActions()
	seed()
	for _, action := range client.Actions() {
		if action.GetVerb() != "get" {
			t.Errorf("seeding what is there already makes a %s of %s", action.GetVerb(), action.GetResource().Resource)
		}
	}
}

// Whoever takes away the right of all to place everywhere takes it away for good, also over a restart.
func TestSeedRBACGivesPlaceEverywhereOnce(t *testing.T) {
	client := fake.NewClientset()
	bindings := client.RbacV1().ClusterRoleBindings()
	const name = "hanse.io:place-everywhere"
	for _, seeded := range []bool{true, false} {
		if err := SeedRBAC(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		_, err := bindings.Get(t.Context(), name, metav1.GetOptions{})
		if (err == nil) != seeded {
			t.Fatalf("the binding is made: %t, want %t (%v)", err == nil, seeded, err)
		}
		if _, err := client.RbacV1().ClusterRoles().Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		_ = bindings.Delete(t.Context(), name, metav1.DeleteOptions{})
	}
}
