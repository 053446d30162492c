package native

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/authentication/install"
	_ "k8s.io/kubernetes/pkg/apis/authorization/install"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/certificates/install"
	_ "k8s.io/kubernetes/pkg/apis/coordination/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/discovery/install"
	_ "k8s.io/kubernetes/pkg/apis/events/install"
	_ "k8s.io/kubernetes/pkg/apis/flowcontrol/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/node/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	_ "k8s.io/kubernetes/pkg/apis/resource/install"
	_ "k8s.io/kubernetes/pkg/apis/scheduling/install"
	_ "k8s.io/kubernetes/pkg/apis/storage/install"

	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingadmissionpolicy"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingadmissionpolicybinding"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingwebhookconfiguration"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/resolver"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingadmissionpolicy"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingadmissionpolicybinding"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingwebhookconfiguration"
	"k8s.io/kubernetes/pkg/registry/apps/controllerrevision"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/replicaset"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/certificates/certificates"
	"k8s.io/kubernetes/pkg/registry/certificates/clustertrustbundle"
	"k8s.io/kubernetes/pkg/registry/certificates/podcertificaterequest"
	"k8s.io/kubernetes/pkg/registry/coordination/lease"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/endpoint"
	"k8s.io/kubernetes/pkg/registry/core/event"
	"k8s.io/kubernetes/pkg/registry/core/limitrange"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/node"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolume"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/podtemplate"
	"k8s.io/kubernetes/pkg/registry/core/replicationcontroller"
	"k8s.io/kubernetes/pkg/registry/core/resourcequota"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/discovery/endpointslice"
	"k8s.io/kubernetes/pkg/registry/flowcontrol/flowschema"
	"k8s.io/kubernetes/pkg/registry/flowcontrol/prioritylevelconfiguration"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/ingressclass"
	"k8s.io/kubernetes/pkg/registry/networking/ipaddress"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/networking/servicecidr"
	"k8s.io/kubernetes/pkg/registry/node/runtimeclass"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrole"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrolebinding"
	"k8s.io/kubernetes/pkg/registry/rbac/role"
	"k8s.io/kubernetes/pkg/registry/rbac/rolebinding"
	"k8s.io/kubernetes/pkg/registry/resource/deviceclass"
	"k8s.io/kubernetes/pkg/registry/resource/devicetaintrule"
	"k8s.io/kubernetes/pkg/registry/resource/resourceclaim"
	"k8s.io/kubernetes/pkg/registry/resource/resourceclaimtemplate"
	"k8s.io/kubernetes/pkg/registry/resource/resourceslice"
	"k8s.io/kubernetes/pkg/registry/scheduling/priorityclass"
	"k8s.io/kubernetes/pkg/registry/storage/csidriver"
	"k8s.io/kubernetes/pkg/registry/storage/csinode"
	"k8s.io/kubernetes/pkg/registry/storage/csistoragecapacity"
	"k8s.io/kubernetes/pkg/registry/storage/storageclass"
	"k8s.io/kubernetes/pkg/registry/storage/volumeattachment"
	"k8s.io/kubernetes/pkg/registry/storage/volumeattributesclass"
)

// strategy is upstream's rule set for one kind: how a new or changed object is prepared and what makes it valid.
type strategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
}

// strategies are the rules of every native kind that the hub stores, by group and kind. The objects they speak of are
// upstream's internal versions. Strategies hold no state; those that ask a running cluster get an answer that lets
// the member decide.
var strategies = map[schema.GroupKind]strategy{
	kind(corev1.GroupName, "ConfigMap"):             configmap.Strategy,
	kind(corev1.GroupName, "Endpoints"):             endpoint.Strategy,
	kind(corev1.GroupName, "Event"):                 event.Strategy,
	kind(corev1.GroupName, "LimitRange"):            limitrange.Strategy,
	kind(corev1.GroupName, "Namespace"):             namespace.Strategy,
	kind(corev1.GroupName, "Node"):                  node.Strategy,
	kind(corev1.GroupName, "PersistentVolume"):      persistentvolume.Strategy,
	kind(corev1.GroupName, "PersistentVolumeClaim"): persistentvolumeclaim.Strategy,
	kind(corev1.GroupName, "Pod"):                   pod.Strategy,
	kind(corev1.GroupName, "PodTemplate"):           podtemplate.Strategy,
	kind(corev1.GroupName, "ReplicationController"): replicationcontroller.Strategy,
	kind(corev1.GroupName, "ResourceQuota"):         resourcequota.Strategy,
	kind(corev1.GroupName, "Secret"):                secret.Strategy,
	kind(corev1.GroupName, "Service"):               service.Strategy,
	kind(corev1.GroupName, "ServiceAccount"):        serviceaccount.Strategy,
	kind(eventsv1.GroupName, "Event"):               event.Strategy,

	kind(appsv1.GroupName, "ControllerRevision"): controllerrevision.Strategy,
	kind(appsv1.GroupName, "DaemonSet"):          daemonset.Strategy,
	kind(appsv1.GroupName, "Deployment"):         deployment.Strategy,
	kind(appsv1.GroupName, "ReplicaSet"):         replicaset.Strategy,
	kind(appsv1.GroupName, "StatefulSet"):        statefulset.Strategy,

	kind(autoscalingv1.GroupName, "HorizontalPodAutoscaler"): horizontalpodautoscaler.Strategy,
	kind(batchv1.GroupName, "CronJob"):                       cronjob.Strategy,
	kind(batchv1.GroupName, "Job"):                           job.Strategy,
	kind(policyv1.GroupName, "PodDisruptionBudget"):          poddisruptionbudget.Strategy,

	kind(networkingv1.GroupName, "Ingress"):       ingress.Strategy,
	kind(networkingv1.GroupName, "IngressClass"):  ingressclass.Strategy,
	kind(networkingv1.GroupName, "IPAddress"):     ipaddress.Strategy,
	kind(networkingv1.GroupName, "NetworkPolicy"): networkpolicy.Strategy,
	kind(networkingv1.GroupName, "ServiceCIDR"):   servicecidr.Strategy,
	kind(discoveryv1.GroupName, "EndpointSlice"):  endpointslice.Strategy,

	kind(rbacv1.GroupName, "ClusterRole"):        clusterrole.Strategy,
	kind(rbacv1.GroupName, "ClusterRoleBinding"): clusterrolebinding.Strategy,
	kind(rbacv1.GroupName, "Role"):               role.Strategy,
	kind(rbacv1.GroupName, "RoleBinding"):        rolebinding.Strategy,

	kind(storagev1.GroupName, "CSIDriver"):             csidriver.Strategy,
	kind(storagev1.GroupName, "CSINode"):               csinode.Strategy,
	kind(storagev1.GroupName, "CSIStorageCapacity"):    csistoragecapacity.Strategy,
	kind(storagev1.GroupName, "StorageClass"):          storageclass.Strategy,
	kind(storagev1.GroupName, "VolumeAttachment"):      volumeattachment.Strategy,
	kind(storagev1.GroupName, "VolumeAttributesClass"): volumeattributesclass.Strategy,

	kind(coordinationv1.GroupName, "Lease"):                     lease.Strategy,
	kind(nodev1.GroupName, "RuntimeClass"):                      runtimeclass.Strategy,
	kind(schedulingv1.GroupName, "PriorityClass"):               priorityclass.Strategy,
	kind(flowcontrolv1.GroupName, "FlowSchema"):                 flowschema.Strategy,
	kind(flowcontrolv1.GroupName, "PriorityLevelConfiguration"): prioritylevelconfiguration.Strategy,
	kind(certificatesv1.GroupName, "CertificateSigningRequest"): certificates.Strategy,
	kind(certificatesv1.GroupName, "ClusterTrustBundle"):        clustertrustbundle.Strategy,
	kind(certificatesv1.GroupName, "PodCertificateRequest"):     podcertificaterequest.NewStrategy(),

	kind(resource, "DeviceClass"):           deviceclass.Strategy,
	kind(resource, "DeviceTaintRule"):       devicetaintrule.Strategy,
	kind(resource, "ResourceClaim"):         resourceclaim.NewStrategy(adminNamespaces{}, nil),
	kind(resource, "ResourceClaimTemplate"): resourceclaimtemplate.NewStrategy(adminNamespaces{}),
	kind(resource, "ResourceSlice"):         resourceslice.Strategy,

	kind(admission, "MutatingAdmissionPolicy"):        mutatingadmissionpolicy.NewStrategy(nil, nil),
	kind(admission, "MutatingAdmissionPolicyBinding"): mutatingadmissionpolicybinding.NewStrategy(nil, nil, paramKinds),
	kind(admission, "MutatingWebhookConfiguration"):   mutatingwebhookconfiguration.Strategy,
	kind(admission, "ValidatingAdmissionPolicy"):      validatingadmissionpolicy.NewStrategy(nil, nil),
	kind(admission, "ValidatingAdmissionPolicyBinding"): validatingadmissionpolicybinding.NewStrategy(
		nil, nil, paramKinds),
	kind(admission, "ValidatingWebhookConfiguration"): validatingwebhookconfiguration.Strategy,
}

const (
	admission = admissionregistrationv1.GroupName
	resource  = resourcev1.GroupName
)

func kind(group, kind string) schema.GroupKind { return schema.GroupKind{Group: group, Kind: kind} }

// paramKinds names the resource of a policy's parameters. The binding's rules refuse to work without it, though they
// ask it only when they have an authorizer; they have none here, because it is the member that reads the parameters.
var paramKinds = resolver.ResourceResolverFunc(func(gvk schema.GroupVersionKind) (schema.GroupVersionResource, error) {
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	return plural, nil
})

// adminNamespaces answers the one question that the resource claim rules ask of a running cluster, whether the
// namespace may use devices in admin mode, with yes: the namespace labels that count are the member's.
type adminNamespaces struct {
	corev1client.NamespaceInterface
}

func (adminNamespaces) Get(_ context.Context, name string, _ metav1.GetOptions) (*corev1.Namespace, error) {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{resourcev1.DRAAdminNamespaceLabelKey: "true"},
	}}, nil
}
