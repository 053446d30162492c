package kinds

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

const rbacGroup = "rbac.authorization.k8s.io"

var serviceAccount = Rule{
	step:   accounts,
	clean:  cleanServiceAccount,
	refs:   serviceAccountRefs,
	health: settled,
	status: []string{},
}

// binding serves RoleBinding and ClusterRoleBinding.
var binding = Rule{step: accounts, health: settled, status: []string{}, refs: bindingRefs}

// cleanServiceAccount leaves out the token secrets that old clusters (before Kubernetes 1.24) made by themselves.
func cleanServiceAccount(obj map[string]any) {
	generated := stringAt(obj, "metadata", "name") + "-token-"
	secrets := slices.DeleteFunc(listAt(obj, "secrets"), func(element any) bool {
		ref, _ := element.(map[string]any)
		return strings.HasPrefix(stringAt(ref, "name"), generated)
	})
	if len(secrets) == 0 {
		delete(obj, "secrets")
		return
	}
	obj["secrets"] = secrets
}

// serviceAccountRefs are the pull secrets that the account gives to its pods.
func serviceAccountRefs(obj map[string]any, namespace string) []Ref {
	var refs []Ref
	for _, pull := range mapsAt(obj, "imagePullSecrets") {
		if name := stringAt(pull, "name"); name != "" {
			refs = append(refs, Ref{GroupKind: secret, Namespace: namespace, Name: name, Optional: true})
		}
	}
	return refs
}

// bindingRefs are the role, and the accounts of the binding's own namespace. An account of another namespace is that
// namespace's business, and brings its pull secrets along: it goes where its owner places it. Cluster roles are
// optional: the built-in ones are everywhere.
func bindingRefs(obj map[string]any, namespace string) []Ref {
	var refs []Ref
	switch name := stringAt(obj, "roleRef", "name"); stringAt(obj, "roleRef", "kind") {
	case "Role":
		if namespace != "" {
			refs = append(refs, Ref{GroupKind: schema.GroupKind{Group: rbacGroup, Kind: "Role"},
				Namespace: namespace, Name: name})
		}
	case "ClusterRole":
		refs = append(refs, Ref{GroupKind: schema.GroupKind{Group: rbacGroup, Kind: "ClusterRole"},
			Name: name, Optional: true})
	}
	for _, subject := range mapsAt(obj, "subjects") {
		if namespace != "" && stringAt(subject, "kind") == account.Kind && stringAt(subject, "namespace") == namespace {
			refs = append(refs, Ref{GroupKind: account, Namespace: namespace, Name: stringAt(subject, "name"), Optional: true})
		}
	}
	return refs
}
