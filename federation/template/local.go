package template

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// localKinds belong to one API server; a copy of one in a member would be wrong or useless.
var localKinds = map[schema.GroupKind]string{
	{Kind: "Event"}:                                       "tells what happened in one cluster",
	{Group: "events.k8s.io", Kind: "Event"}:               "tells what happened in one cluster",
	{Kind: "Node"}:                                        "is a machine of one cluster",
	{Kind: "Endpoints"}:                                   "holds addresses of one cluster's pods",
	{Kind: "ComponentStatus"}:                             "is a view on one control plane",
	{Kind: "Binding"}:                                     "is a command to one scheduler",
	{Kind: "ReplicationController"}:                       "is superseded by ReplicaSet",
	{Group: "apps", Kind: "ControllerRevision"}:           "is written by one cluster's controllers",
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:    "holds addresses of one cluster's pods",
	{Group: "storage.k8s.io", Kind: "CSINode"}:            "is a driver on one cluster's machine",
	{Group: "storage.k8s.io", Kind: "VolumeAttachment"}:   "is a disk at one cluster's machine",
	{Group: "storage.k8s.io", Kind: "CSIStorageCapacity"}: "is a driver's figure in one cluster",
}

// localGroups belong to one API server as a whole.
var localGroups = map[string]string{
	"coordination.k8s.io":          "leases and locks of one control plane",
	"certificates.k8s.io":          "requests to one cluster's signer",
	"authentication.k8s.io":        "questions, never stored",
	"authorization.k8s.io":         "questions, never stored",
	"flowcontrol.apiserver.k8s.io": "tunes the API server that it is stored in",
	"apiregistration.k8s.io":       "tunes the API server that it is stored in",
	"internal.apiserver.k8s.io":    "bookkeeping of one API server",
	"storagemigration.k8s.io":      "bookkeeping of one API server",
	"metrics.k8s.io":               "measurements, never stored",
	v1alpha1.GroupVersion.Group:    "the hub's own kinds",
}

// IsLocal tells that objects of the kind never travel, and why.
func IsLocal(kind schema.GroupKind) (reason string, local bool) {
	if reason, local = localKinds[kind]; local {
		return reason, true
	}
	reason, local = localGroups[kind.Group]
	return reason, local
}

// IsHubOwn tells that an object of a kind that may travel is made by the hub for itself, so that a placement that
// selects by labels or takes a whole namespace leaves it out. That is everything in a system namespace, whatever its
// kind: the Secrets there are the keys to all members.
func IsHubOwn(obj *unstructured.Unstructured) bool {
	if isSystem(obj.GetNamespace()) || obj.GetLabels()["kubernetes.io/bootstrapping"] != "" {
		return true
	}
	switch obj.GetKind() {
	case "ConfigMap":
		return obj.GetName() == "kube-root-ca.crt"
	case "ServiceAccount":
		return obj.GetName() == "default"
	case "Secret":
		kind, _, _ := unstructured.NestedString(obj.Object, "type")
		return kind == "helm.sh/release.v1" || kind == "kubernetes.io/service-account-token"
	case "Namespace":
		return isSystem(obj.GetName())
	case "CustomResourceDefinition":
		return strings.HasSuffix(obj.GetName(), "."+v1alpha1.GroupVersion.Group)
	case "PriorityClass":
		return strings.HasPrefix(obj.GetName(), "system-") // reserved: every cluster makes its own
	}
	return false
}

// isSystem names the namespaces whose content is the hub's own.
func isSystem(namespace string) bool {
	switch namespace {
	case metav1.NamespaceSystem, metav1.NamespacePublic, "kube-node-lease", v1alpha1.SystemNamespace, "hanse-dns":
		return true
	}
	return false
}
