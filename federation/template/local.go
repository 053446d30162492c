package template

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// localKinds belong to one API server; a copy of one in a member would be wrong or useless.
var localKinds = map[schema.GroupKind]string{
	{Kind: "Event"}:                                       "describes what happened in one cluster",
	{Group: "events.k8s.io", Kind: "Event"}:               "describes what happened in one cluster",
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

// IsLocal reports whether objects of the kind never travel, and why.
func IsLocal(kind schema.GroupKind) (reason string, local bool) {
	if reason, local = localKinds[kind]; local {
		return reason, true
	}
	reason, local = localGroups[kind.Group]
	return reason, local
}

// IsHubOwn reports whether an object of a kind that may travel is made by the hub for itself, so that a placement that
// selects by labels or takes a whole namespace leaves it out. That is all that StaysOnHub, and what a placement must
// name to take it: each namespace has its own.
func IsHubOwn(obj *unstructured.Unstructured) bool {
	if _, stays := StaysOnHub(obj); stays {
		return true
	}
	switch obj.GetKind() {
	case "ServiceAccount":
		return obj.GetName() == "default"
	case "Secret":
		kind, _, _ := unstructured.NestedString(obj.Object, "type")
		return kind == "kubernetes.io/service-account-token"
	}
	return false
}

// StaysOnHub reports whether an object is the hub's own and never goes to a member, whatever claims it, names it or
// refers to it, and why. That is everything in a system namespace, whatever its kind: the Secrets there are the keys to
// all members and to the hub itself.
func StaysOnHub(obj *unstructured.Unstructured) (reason string, stays bool) {
	ref := RefOf(obj)
	if reason, stays = ref.StaysOnHub(); stays {
		return reason, true
	}
	if obj.GetLabels()["kubernetes.io/bootstrapping"] != "" {
		return "every API server makes its own", true
	}
	switch ref.Kind {
	case "Secret":
		if kind, _, _ := unstructured.NestedString(obj.Object, "type"); kind == "helm.sh/release.v1" {
			return "it is Helm's record of what was installed on the hub", true
		}
	case definitionKind.Kind:
		if group, _, _ := unstructured.NestedString(obj.Object, "spec", "group"); group == v1alpha1.GroupVersion.Group {
			return "it defines a kind of the hub", true
		}
	}
	return "", false
}

// StaysOnHub is what the name of an object says about the function of that name.
func (r Ref) StaysOnHub() (reason string, stays bool) {
	if reason, stays = IsLocal(r.GroupKind()); stays {
		return "an object of its kind " + reason, true
	}
	if IsSystem(r.Namespace) {
		return "namespace " + r.Namespace + " is the hub's own", true
	}
	_, group, _ := strings.Cut(r.Name, ".") // a definition is called RESOURCE.GROUP
	switch {
	case r.Kind == "Namespace" && IsSystem(r.Name):
		return "the namespace is the hub's own", true
	case r.Kind == "ConfigMap" && r.Name == "kube-root-ca.crt":
		return "every namespace of every cluster has its own", true
	case r.Kind == "PriorityClass" && strings.HasPrefix(r.Name, "system-"):
		return "every cluster makes its own", true
	case r.Kind == definitionKind.Kind && group == v1alpha1.GroupVersion.Group:
		return "it defines a kind of the hub", true
	}
	return "", false
}

// IsSystem reports whether a namespace of the hub holds what is the hub's own. The prefix kube- is reserved by
// Kubernetes for this.
func IsSystem(namespace string) bool {
	return namespace == v1alpha1.SystemNamespace || namespace == dnsNamespace || strings.HasPrefix(namespace, "kube-")
}

// dnsNamespace is where nameservers say what they have.
const dnsNamespace = "hanse-dns"
