package native

import (
	"context"
	"errors"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"k8s.io/component-helpers/auth/rbac/reconciliation"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy"
)

// hubRoles are upstream's cluster roles that mean something on a hub. The others belong to parts that a hub does not
// run (scheduler, kubelet, kube-proxy, the controllers of workloads).
var hubRoles = []string{
	"cluster-admin",
	"admin", "edit", "view",
	"system:aggregate-to-admin", "system:aggregate-to-edit", "system:aggregate-to-view",
	"system:basic-user",
	"system:discovery",
	"system:public-info-viewer",
	"system:monitoring",
	"system:auth-delegator",
}

const hanseGroup = "hanse.io"

var (
	readVerbs  = []string{"get", "list", "watch"}
	writeVerbs = []string{"create", "update", "patch", "delete", "deletecollection"}
)

// BootstrapRBAC returns the cluster roles and bindings that a hub is seeded with, roles first.
//
// They are upstream's where upstream has them, with one exception: system:public-info-viewer is bound to authenticated
// users only, since whether a hub's health is open to all is a flag of its own. To them come the roles that add
// Hanse's kinds to admin, edit and view. What connects clusters and zones (Cluster, ClusterPlacement, Zone) may be
// written by cluster-admin only: it reaches beyond a namespace.
//
// admin, edit and view have an aggregation rule and no rules; RunClusterRoleAggregation fills them.
func BootstrapRBAC() []runtime.Object {
	var seeds []runtime.Object
	for _, role := range append(upstreamRoles(), hanseRoles()...) {
		seeds = append(seeds, &role)
	}
	for _, binding := range append(upstreamBindings(), hanseBindings()...) {
		seeds = append(seeds, &binding)
	}
	return seeds
}

func upstreamRoles() []rbacv1.ClusterRole {
	return slices.DeleteFunc(bootstrappolicy.ClusterRoles(), func(role rbacv1.ClusterRole) bool {
		return !slices.Contains(hubRoles, role.Name)
	})
}

func upstreamBindings() []rbacv1.ClusterRoleBinding {
	bindings := slices.DeleteFunc(bootstrappolicy.ClusterRoleBindings(), func(binding rbacv1.ClusterRoleBinding) bool {
		return !slices.Contains(hubRoles, binding.RoleRef.Name)
	})
	for i := range bindings {
		bindings[i].Subjects = slices.DeleteFunc(bindings[i].Subjects, func(subject rbacv1.Subject) bool {
			return subject.Name == user.AllUnauthenticated
		})
	}
	return bindings
}

func hanseRoles() []rbacv1.ClusterRole {
	return []rbacv1.ClusterRole{
		aggregatedRole("view", rbacv1.PolicyRule{
			APIGroups: []string{hanseGroup}, Verbs: readVerbs,
			Resources: []string{
				"placements", "placements/status", "globalservices", "globalservices/status",
				"distributions", "distributions/status",
				"clusters", "clusters/status", "clusterplacements", "clusterplacements/status", "zones", "zones/status",
			},
		}),
		aggregatedRole("edit", rbacv1.PolicyRule{
			APIGroups: []string{hanseGroup}, Verbs: writeVerbs,
			Resources: []string{"placements", "globalservices"},
		}),
		ownRole(planner, rbacv1.PolicyRule{
			APIGroups: []string{hanseGroup}, Resources: []string{"plans"}, Verbs: []string{"create"},
		}),
		ownRole(placer, rbacv1.PolicyRule{
			APIGroups: []string{hanseGroup}, Resources: []string{"clusters"}, Verbs: []string{"place"},
		}),
		// Bound to nobody: to bind it, or a role with resourceNames, is to let somebody ask the members through the hub.
		// What they may do there is up to the members.
		ownRole("clusters-proxy", rbacv1.PolicyRule{
			APIGroups: []string{hanseGroup}, Resources: []string{"clusters/proxy"},
			Verbs: []string{"get", "create", "update", "patch", "delete"},
		}),
	}
}

// hanseBindings let everybody ask what would be. A Plan has no namespace, so a role in one could not allow it, and it
// allows nothing by itself: it takes the caller's own permission of every read and every write that it plans. And they
// let everybody place in every cluster what they may write, until an administrator decides otherwise.
func hanseBindings() []rbacv1.ClusterRoleBinding {
	var bindings []rbacv1.ClusterRoleBinding
	for _, name := range []string{planner, placer} {
		r := ownRole(name)
		bindings = append(bindings, rbacv1.ClusterRoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
			ObjectMeta: r.ObjectMeta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: r.Name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: user.AllAuthenticated}},
		})
	}
	return bindings
}

// placer is the role of whoever may place in every cluster, and its binding gives it to all who are known. An
// administrator who takes the binding away, to say for each user which clusters they may use, takes it away for good:
// SeedRBAC makes it only where it makes the role.
const placer = "place-everywhere"

// planner is the role of whoever may ask for Plans.
const planner = "planner"

// ownRole returns a role of ours.
func ownRole(name string, rules ...rbacv1.PolicyRule) rbacv1.ClusterRole {
	return rbacv1.ClusterRole{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{
			Name:        hanseGroup + ":" + name,
			Labels:      map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"},
			Annotations: map[string]string{rbacv1.AutoUpdateAnnotationKey: "true"},
		},
		Rules: rules,
	}
}

// aggregatedRole returns a role whose rules become part of the role named to.
func aggregatedRole(to string, rules ...rbacv1.PolicyRule) rbacv1.ClusterRole {
	r := ownRole("aggregate-to-"+to, rules...)
	r.Labels["rbac.authorization.k8s.io/aggregate-to-"+to] = "true"
	return r
}

// SeedRBAC brings the hub's cluster roles and bindings to at least what BootstrapRBAC returns, and can be called at
// every start and by several hub replicas at once. As in kube-apiserver, what an administrator added stays, what was
// taken away comes back, and an object annotated rbac.authorization.kubernetes.io/autoupdate=false is left alone. The
// one exception is the binding of hanse.io:place-everywhere, which is made once: see placer.
//
// All of them are tried; the error joins the failures.
func SeedRBAC(ctx context.Context, client kubernetes.Interface) error {
	seeds, err := missingPlacer(ctx, client, BootstrapRBAC())
	if err != nil {
		return err
	}
	var failures []error
	for _, seed := range seeds {
		if ctx.Err() != nil {
			return fmt.Errorf("seed roles: %w", ctx.Err())
		}
		if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { return seedOne(client, seed) }); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// missingPlacer leaves out the binding of the placer where the role is there: it was made before, and whoever took it
// away meant it. Otherwise the role comes last, so that a start that is cut off between the two makes the binding.
func missingPlacer(ctx context.Context, client kubernetes.Interface, seeds []runtime.Object) ([]runtime.Object, error) {
	name := ownRole(placer).Name
	_, err := client.RbacV1().ClusterRoles().Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read cluster role %s: %w", name, err)
	}
	isThere := err == nil
	var role runtime.Object
	seeds = slices.DeleteFunc(seeds, func(seed runtime.Object) bool {
		switch o := seed.(type) {
		case *rbacv1.ClusterRole:
			if o.Name == name {
				role = o
				return true
			}
		case *rbacv1.ClusterRoleBinding:
			return o.Name == name && isThere
		}
		return false
	})
	return append(seeds, role), nil
}

func seedOne(client kubernetes.Interface, seed runtime.Object) error {
	switch o := seed.(type) {
	case *rbacv1.ClusterRole:
		role := reconciliation.ReconcileRoleOptions{
			Role:    reconciliation.ClusterRoleRuleOwner{ClusterRole: o},
			Client:  reconciliation.ClusterRoleModifier{Client: client.RbacV1().ClusterRoles()},
			Confirm: true,
		}
		if _, err := role.Run(); err != nil {
			return fmt.Errorf("seed cluster role %s: %w", o.Name, err)
		}
	case *rbacv1.ClusterRoleBinding:
		binding := reconciliation.ReconcileRoleBindingOptions{
			RoleBinding: reconciliation.ClusterRoleBindingAdapter{ClusterRoleBinding: o},
			Client:      reconciliation.ClusterRoleBindingClientAdapter{Client: client.RbacV1().ClusterRoleBindings()},
			Confirm:     true,
		}
		if _, err := binding.Run(); err != nil {
			return fmt.Errorf("seed cluster role binding %s: %w", o.Name, err)
		}
	}
	return nil
}
