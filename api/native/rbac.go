package native

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"
	rbacinformers "k8s.io/client-go/informers/rbac/v1"
	"k8s.io/client-go/tools/cache"
	clusterrolerules "k8s.io/kubernetes/pkg/registry/rbac/clusterrole/policybased"
	clusterrolebindingrules "k8s.io/kubernetes/pkg/registry/rbac/clusterrolebinding/policybased"
	rolerules "k8s.io/kubernetes/pkg/registry/rbac/role/policybased"
	rolebindingrules "k8s.io/kubernetes/pkg/registry/rbac/rolebinding/policybased"
	rbacvalidation "k8s.io/kubernetes/pkg/registry/rbac/validation"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
)

// RBAC decides by the hub's Roles, ClusterRoles and their bindings. It is an authorizer and can tell a user's rules
// (SelfSubjectRulesReview). It allows or has no opinion; it never denies.
type RBAC struct {
	authorizer.Authorizer
	authorizer.RuleResolver

	resolver rbacvalidation.AuthorizationRuleResolver
	synced   []cache.DoneChecker
}

// NewRBAC returns an authorizer that reads from informers, which the caller starts. Until they have synced it knows
// only what they have seen, which is to say that it allows less, never more.
func NewRBAC(informers rbacinformers.Interface) *RBAC {
	roles, roleBindings := informers.Roles(), informers.RoleBindings()
	clusterRoles, clusterRoleBindings := informers.ClusterRoles(), informers.ClusterRoleBindings()

	getRole := &rbac.RoleGetter{Lister: roles.Lister()}
	listRoleBindings := &rbac.RoleBindingLister{Lister: roleBindings.Lister()}
	getClusterRole := &rbac.ClusterRoleGetter{Lister: clusterRoles.Lister()}
	listClusterRoleBindings := &rbac.ClusterRoleBindingLister{Lister: clusterRoleBindings.Lister()}

	rules := rbac.New(getRole, listRoleBindings, getClusterRole, listClusterRoleBindings)
	return &RBAC{
		Authorizer:   rules,
		RuleResolver: rules,
		resolver: rbacvalidation.NewDefaultRuleResolver(
			getRole, listRoleBindings, getClusterRole, listClusterRoleBindings),
		synced: []cache.DoneChecker{
			roles.Informer().HasSyncedChecker(), roleBindings.Informer().HasSyncedChecker(),
			clusterRoles.Informer().HasSyncedChecker(), clusterRoleBindings.Informer().HasSyncedChecker(),
		},
	}
}

// WaitForSync waits until every role and binding of the hub has been seen.
func (r *RBAC) WaitForSync(ctx context.Context) error {
	if !cache.WaitFor(ctx, "", r.synced...) {
		return fmt.Errorf("reading the roles: %w", context.Cause(ctx))
	}
	return nil
}

// CheckEscalation says whether the user in ctx may write obj, a Role, ClusterRole, RoleBinding or ClusterRoleBinding of
// rbac.authorization.k8s.io/v1, in place of old (nil when it is new): nobody may give rights that they do not have,
// unless the verbs "escalate" or "bind" allow it to them, or they are in system:masters. The rules are upstream's. Any
// other object passes.
//
// allow answers for the verbs; it is the whole chain of authorizers, of which this one is a part. ctx must carry user,
// namespace and request information, as it does in a request's handler. The error is an API status (Forbidden).
func (r *RBAC) CheckEscalation(
	ctx context.Context, allow authorizer.UnconditionalAuthorizer, obj, old runtime.Object,
) error {
	var judge rest.StandardStorage
	written := writtenObject{}
	switch obj.(type) {
	case *rbacv1.Role:
		judge = rolerules.NewStorage(&written, allow, r.resolver)
	case *rbacv1.ClusterRole:
		judge = clusterrolerules.NewStorage(&written, allow, r.resolver)
	case *rbacv1.RoleBinding:
		judge = rolebindingrules.NewStorage(&written, allow, r.resolver)
	case *rbacv1.ClusterRoleBinding:
		judge = clusterrolebindingrules.NewStorage(&written, allow, r.resolver)
	default:
		return nil
	}
	next, err := internalRBAC(obj)
	if err != nil {
		return err
	}
	if old == nil {
		_, err := judge.Create(ctx, next, nil, &metav1.CreateOptions{})
		return err
	}
	if written.old, err = internalRBAC(old); err != nil {
		return err
	}
	_, _, err = judge.Update(ctx, "", rest.DefaultUpdatedObjectInfo(next), nil, nil, false, &metav1.UpdateOptions{})
	return err
}

// writtenObject takes the place of the store below upstream's escalation rules, which are built as a wrapper around
// one. It stores nothing: that a write gets through to it is the answer.
type writtenObject struct {
	rest.StandardStorage
	old runtime.Object
}

// Create implements rest.Creater.
func (w *writtenObject) Create(
	_ context.Context, obj runtime.Object, _ rest.ValidateObjectFunc, _ *metav1.CreateOptions,
) (runtime.Object, error) {
	return obj, nil
}

// Update implements rest.Updater; upstream's rules are in the object information that it asks.
func (w *writtenObject) Update(
	ctx context.Context, _ string, info rest.UpdatedObjectInfo, _ rest.ValidateObjectFunc,
	_ rest.ValidateObjectUpdateFunc, _ bool, _ *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	obj, err := info.UpdatedObject(ctx, w.old)
	return obj, false, err
}

func internalRBAC(obj runtime.Object) (runtime.Object, error) {
	gvk, err := kindOf(obj)
	if err != nil {
		return nil, fmt.Errorf("check for escalation: %w", err)
	}
	if gvk.GroupVersion() != (schema.GroupVersion{Group: rbacv1.GroupName, Version: "v1"}) {
		return nil, fmt.Errorf("check for escalation: %s is no role or binding", gvk)
	}
	return toInternal(obj, gvk)
}
