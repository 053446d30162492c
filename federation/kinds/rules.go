package kinds

import "k8s.io/apimachinery/pkg/runtime/schema"

// rules is what the hub knows, kind by kind; what is not listed gets the generic rule.
var rules = map[schema.GroupKind]Rule{
	// Workloads
	{Group: "apps", Kind: "Deployment"}:  deployment,
	{Group: "apps", Kind: "ReplicaSet"}:  replicaSet,
	{Kind: "ReplicationController"}:      replicaSet,
	{Group: "apps", Kind: "StatefulSet"}: statefulSet,
	{Group: "apps", Kind: "DaemonSet"}:   daemonSet,
	{Group: "batch", Kind: "Job"}:        job,
	{Group: "batch", Kind: "CronJob"}:    cronJob,
	{Kind: "Pod"}:                        pod,

	// What scales and guards them
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: autoscaler,
	{Group: "policy", Kind: "PodDisruptionBudget"}:          budget,
	{Kind: "ResourceQuota"}:                                 quota,
	{Kind: "LimitRange"}:                                    plain(quotas),

	// What they use
	configMap:                               configMapRule,
	secret:                                  secretRule,
	account:                                 serviceAccount,
	claim:                                   volumeClaim,
	{Kind: "PersistentVolume"}:              volume,
	{Kind: "PodTemplate"}:                   plain(config),
	{Group: rbacGroup, Kind: "Role"}:        plain(accounts),
	{Group: rbacGroup, Kind: "ClusterRole"}: plain(accounts),
	{Group: rbacGroup, Kind: "RoleBinding"}: binding,
	{Group: rbacGroup, Kind: "ClusterRoleBinding"}: binding,

	// How they are reached
	service: serviceRule,
	{Group: "networking.k8s.io", Kind: "Ingress"}:       ingress,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}: plain(accounts), // a pod must not run a moment without it
	{Group: gatewayGroup, Kind: "Gateway"}:              gateway,
	{Group: gatewayGroup, Kind: "HTTPRoute"}:            route,
	{Group: gatewayGroup, Kind: "GRPCRoute"}:            route,
	{Group: gatewayGroup, Kind: "TLSRoute"}:             route,
	{Group: gatewayGroup, Kind: "TCPRoute"}:             route,
	{Group: gatewayGroup, Kind: "UDPRoute"}:             route,
	{Group: gatewayGroup, Kind: "ReferenceGrant"}:       plain(accounts),

	// What the cluster must know first
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: definition,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:             apiService,
	{Kind: "Namespace"}: namespace,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:      plain(classes),
	{Group: "storage.k8s.io", Kind: "StorageClass"}:          plain(classes),
	{Group: "storage.k8s.io", Kind: "VolumeAttributesClass"}: plain(classes),
	{Group: "storage.k8s.io", Kind: "CSIDriver"}:             plain(classes),
	{Group: "node.k8s.io", Kind: "RuntimeClass"}:             plain(classes),
	{Group: "networking.k8s.io", Kind: "IngressClass"}:       plain(classes),
	{Group: "resource.k8s.io", Kind: "DeviceClass"}:          plain(classes),
	{Group: gatewayGroup, Kind: "GatewayClass"}:              {step: classes, aggregate: aggregateGeneric},

	// What watches over them
	{Group: admissionGroup, Kind: "ValidatingWebhookConfiguration"}:   webhook,
	{Group: admissionGroup, Kind: "MutatingWebhookConfiguration"}:     webhook,
	{Group: admissionGroup, Kind: "ValidatingAdmissionPolicy"}:        plain(webhooks),
	{Group: admissionGroup, Kind: "ValidatingAdmissionPolicyBinding"}: plain(webhooks),
	{Group: admissionGroup, Kind: "MutatingAdmissionPolicy"}:          plain(webhooks),
	{Group: admissionGroup, Kind: "MutatingAdmissionPolicyBinding"}:   plain(webhooks),

	// What stays where it is: it says something about one cluster, or a controller makes it there anew
	{Kind: "Node"}:                          local,
	{Kind: "Event"}:                         local,
	{Kind: "Endpoints"}:                     local,
	{Kind: "Binding"}:                       local,
	{Group: "events.k8s.io", Kind: "Event"}: local,
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:                local,
	{Group: "coordination.k8s.io", Kind: "Lease"}:                     local,
	{Group: "coordination.k8s.io", Kind: "LeaseCandidate"}:            local,
	{Group: "apps", Kind: "ControllerRevision"}:                       local,
	{Group: "certificates.k8s.io", Kind: "CertificateSigningRequest"}: local,
	{Group: "storage.k8s.io", Kind: "CSINode"}:                        local,
	{Group: "storage.k8s.io", Kind: "CSIStorageCapacity"}:             local,
	{Group: "storage.k8s.io", Kind: "VolumeAttachment"}:               local,
	{Group: "resource.k8s.io", Kind: "ResourceSlice"}:                 local,
}

const admissionGroup = "admissionregistration.k8s.io"

var local = Rule{mode: Local, health: settled, status: []string{}}
