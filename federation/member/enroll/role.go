package enroll

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// The verbs that applying needs: a server-side apply is a patch, and a create where there is nothing yet; informers
// list and watch; pruning deletes. There is no deletecollection: the hub deletes objects one by one, after a look at
// each.
var (
	write = []string{"get", "list", "watch", "create", "update", "patch", "delete"}
	read  = []string{"get", "list", "watch"}
)

// grants is the least that the hub needs to keep native objects in a member, one row a reason. What is not in the
// list, the hub cannot do: writing custom resources, admission webhooks and policies, APIServices, certificate
// requests, node changes, impersonation, and RBAC objects that grant more than this list does. Request.APIGroups adds
// whole groups, Request.Impersonate whom the hub may act as.
var grants = []struct {
	reason string
	rule   rbacv1.PolicyRule
}{
	{"namespaces are made where something is placed, and go with the last of it; kube-system identifies the member",
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: write}},
	{"configuration and accounts that workloads refer to",
		rbacv1.PolicyRule{APIGroups: []string{""}, Verbs: write, Resources: []string{
			"configmaps", "secrets", "serviceaccounts"}}},
	{"workloads; pods are also read to know what capacity is left",
		rbacv1.PolicyRule{APIGroups: []string{""}, Verbs: write, Resources: []string{
			"pods", "podtemplates", "replicationcontrollers", "services", "endpoints",
			"persistentvolumeclaims", "persistentvolumes", "limitranges", "resourcequotas"}}},
	{"workloads",
		rbacv1.PolicyRule{APIGroups: []string{"apps"}, Verbs: write, Resources: []string{
			"deployments", "replicasets", "statefulsets", "daemonsets", "controllerrevisions"}}},
	{"workloads",
		rbacv1.PolicyRule{APIGroups: []string{"batch"}, Resources: []string{"jobs", "cronjobs"}, Verbs: write}},
	{"autoscalers and budgets follow their workloads",
		rbacv1.PolicyRule{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: write}},
	{"autoscalers and budgets follow their workloads",
		rbacv1.PolicyRule{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: write}},
	{"routes and network policy",
		rbacv1.PolicyRule{APIGroups: []string{"networking.k8s.io"}, Verbs: write, Resources: []string{
			"ingresses", "ingressclasses", "networkpolicies"}}},
	{"routes",
		rbacv1.PolicyRule{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"*"}, Verbs: write}},
	{"routes of Services without a selector",
		rbacv1.PolicyRule{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: write}},
	{"classes that workloads and claims refer to",
		rbacv1.PolicyRule{APIGroups: []string{"scheduling.k8s.io"}, Resources: []string{"priorityclasses"}, Verbs: write}},
	{"classes that workloads and claims refer to",
		rbacv1.PolicyRule{APIGroups: []string{"storage.k8s.io"}, Resources: []string{"storageclasses"}, Verbs: write}},
	{"classes that workloads and claims refer to",
		rbacv1.PolicyRule{APIGroups: []string{"node.k8s.io"}, Resources: []string{"runtimeclasses"}, Verbs: write}},
	{"RBAC objects; without escalate and bind the member refuses those that grant more than this role does",
		rbacv1.PolicyRule{APIGroups: []string{"rbac.authorization.k8s.io"}, Verbs: write, Resources: []string{
			"roles", "rolebindings", "clusterroles", "clusterrolebindings"}}},
	{"definitions come before their objects; also watched to learn of new kinds",
		rbacv1.PolicyRule{APIGroups: []string{"apiextensions.k8s.io"}, Verbs: write,
			Resources: []string{"customresourcedefinitions"}}},
	{"Leases that a template brings along",
		rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: write}},
	{"capacity and readiness of the member",
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: read}},
	{"whether a namespace that we made has become empty, before it is removed: what cannot be seen keeps it forever",
		rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"list"}}},
	{"health, version and the kinds that the member serves, also where the default roles for it were removed",
		rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{
			"/healthz", "/livez", "/readyz", "/version", "/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"}}},
}

// everything is what cluster-admin may do.
var everything = []rbacv1.PolicyRule{
	{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}},
	{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}},
}

// Rules is what the hub may do in a member: the least that applying native objects needs and what the request adds, or
// everything.
func Rules(req Request) []rbacv1.PolicyRule {
	if req.ClusterAdmin {
		return slices.Clone(everything)
	}
	rules := make([]rbacv1.PolicyRule, 0, len(grants)+len(req.APIGroups))
	for _, g := range grants {
		rules = append(rules, *g.rule.DeepCopy())
	}
	for _, group := range req.APIGroups {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{"*"}, Verbs: write})
	}
	return append(rules, impersonationRules(req.Impersonate)...)
}

// Everybody as Request.Impersonate: the hub may act as any user and group, system:masters included.
const Everybody = "all"

// impersonationRules let people work in the member through the hub, as themselves: the hub names them, the member's RBAC
// decides. Naming a user gives nothing away that the member has not given to that user.
func impersonationRules(whom []string) []rbacv1.PolicyRule {
	if len(whom) == 0 {
		return nil
	}
	act := []string{"impersonate"}
	// What a token says beside user and groups counts only together with a user.
	rules := []rbacv1.PolicyRule{{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"*"}, Verbs: act}}
	if slices.Contains(whom, Everybody) {
		return append(rules, rbacv1.PolicyRule{APIGroups: []string{""}, Verbs: act,
			Resources: []string{"users", "groups", "serviceaccounts"}})
	}
	names := map[string][]string{}
	for _, one := range whom {
		kind, name, _ := strings.Cut(one, ":")
		names[kind+"s"] = append(names[kind+"s"], name)
	}
	for _, resource := range slices.Sorted(maps.Keys(names)) {
		rules = append(rules, rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{resource}, ResourceNames: names[resource], Verbs: act})
	}
	return rules
}

// checkImpersonate refuses what is neither all, nor user:NAME, nor group:NAME.
func checkImpersonate(whom []string) error {
	for _, one := range whom {
		kind, name, _ := strings.Cut(one, ":")
		if one != Everybody && (kind != "user" && kind != "group" || name == "") {
			return &Problem{Reason: BadRequest,
				What: fmt.Sprintf("%q does not say whom the hub may act as in the cluster", one),
				Next: "Write user:NAME, group:NAME, or all."}
		}
	}
	return nil
}

// tokenRules lets the account renew its own token.
var tokenRules = []rbacv1.PolicyRule{{
	APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"},
	ResourceNames: []string{AccountName}, Verbs: []string{"create"},
}}
