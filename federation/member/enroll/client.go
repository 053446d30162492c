package enroll

import (
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// kindsInUse are the kinds that memberships, and the commands that use this client, read and write, with their scope.
// With the list at hand a client needs no discovery, so the first request to a cluster already is the one whose failure
// says something.
var kindsInUse = []struct {
	version schema.GroupVersion
	kind    string
	scope   meta.RESTScope
}{
	{corev1.SchemeGroupVersion, "Namespace", meta.RESTScopeRoot},
	{corev1.SchemeGroupVersion, "ServiceAccount", meta.RESTScopeNamespace},
	{corev1.SchemeGroupVersion, "Secret", meta.RESTScopeNamespace},
	{rbacv1.SchemeGroupVersion, "ClusterRole", meta.RESTScopeRoot},
	{rbacv1.SchemeGroupVersion, "ClusterRoleBinding", meta.RESTScopeRoot},
	{rbacv1.SchemeGroupVersion, "Role", meta.RESTScopeNamespace},
	{rbacv1.SchemeGroupVersion, "RoleBinding", meta.RESTScopeNamespace},
	{authenticationv1.SchemeGroupVersion, "TokenRequest", meta.RESTScopeNamespace},
	{authorizationv1.SchemeGroupVersion, "SelfSubjectAccessReview", meta.RESTScopeRoot},
	{coordinationv1.SchemeGroupVersion, "Lease", meta.RESTScopeNamespace},
	{v1alpha1.GroupVersion, "Cluster", meta.RESTScopeRoot},
	{v1alpha1.GroupVersion, "Distribution", meta.RESTScopeNamespace},
	{v1alpha1.GroupVersion, "Plan", meta.RESTScopeRoot},
	{v1alpha1.GroupVersion, "KindRule", meta.RESTScopeRoot},
	{v1alpha1.GroupVersion, "Placement", meta.RESTScopeNamespace},
	{v1alpha1.GroupVersion, "ClusterPlacement", meta.RESTScopeRoot},
	{v1alpha1.GroupVersion, "GlobalService", meta.RESTScopeNamespace},
	{v1alpha1.GroupVersion, "Zone", meta.RESTScopeRoot},
	{corev1.SchemeGroupVersion, "ConfigMap", meta.RESTScopeNamespace},
}

// NewClient is a client for what this package does, in a member or on the hub. It sends nothing by itself.
func NewClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, rbacv1.AddToScheme, coordinationv1.AddToScheme, authenticationv1.AddToScheme,
		authorizationv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering the kinds of a membership: %w", err)
		}
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, k := range kindsInUse {
		mapper.Add(k.version.WithKind(k.kind), k.scope)
	}
	c, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", config.Host, err)
	}
	return c, nil
}
