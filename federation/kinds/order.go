package kinds

import "slices"

// step is a place in the order of applying into one member.
type step string

const (
	definitions step = "definitions"
	namespaces  step = "namespaces"
	classes     step = "classes"
	quotas      step = "quotas"
	accounts    step = "accounts"
	config      step = "config"
	storage     step = "storage"
	services    step = "services"
	workloads   step = "workloads"
	scalers     step = "scalers"
	routes      step = "routes"
	webhooks    step = "webhooks"
	custom      step = ""
)

// applying is the order of applying into one member; removing is the reverse. An object waits only for what it needs:
// the order just keeps an empty member from refusing what would be fine a moment later.
var applying = []step{
	definitions, // without them their objects have no resource to be applied to
	namespaces,  // everything namespaced needs its namespace
	classes,     // pods, claims and routes name priority, storage, runtime, ingress and gateway classes
	quotas,      // quotas and limits must stand, and inject their defaults, before the first pod is admitted
	accounts,    // a pod is refused without its service account; RBAC so that it may act at once
	config,      // a pod waits in CreateContainerConfigError without its ConfigMaps and Secrets
	storage,     // volumes and claims before the pods that mount them
	services,    // a pod's environment holds the services that exist when it starts
	workloads,   //
	scalers,     // autoscalers and budgets look for their target at once
	routes,      // traffic comes when something can answer it
	webhooks,    // registered before its server runs, a webhook would block everything above
	custom,      // their controllers are among the workloads
}

// Order is the place in the order of applying: lower is applied earlier and removed later.
func (r Rule) Order() int { return slices.Index(applying, r.step) }
