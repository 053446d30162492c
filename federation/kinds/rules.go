package kinds

import "k8s.io/apimachinery/pkg/runtime/schema"

// rules is what the hub knows, kind by kind; what is not listed gets the generic rule.
var rules = map[schema.GroupKind]Rule{
	{Group: "apps", Kind: "Deployment"}:           deployment,
	{Group: "apps", Kind: "ReplicaSet"}:           replicaSet,
	{Kind: "ReplicationController"}:               replicaSet,
	{Group: "apps", Kind: "StatefulSet"}:          statefulSet,
	{Group: "apps", Kind: "DaemonSet"}:            daemonSet,
	{Group: "batch", Kind: "Job"}:                 job,
	configMap:                                     plain(config),
	secret:                                        secretRule,
	service:                                       serviceRule,
	{Group: "networking.k8s.io", Kind: "Ingress"}: ingress,
}
