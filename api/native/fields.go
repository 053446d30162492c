package native

import (
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

// selectable are the kinds with field selectors beyond metadata.name and metadata.namespace. Which labels each of
// them takes is upstream's knowledge; FieldsOf supplies the values. A kind not listed gets the two metadata labels.
var selectable = []schema.GroupVersionKind{
	certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest"),
	batchv1.SchemeGroupVersion.WithKind("Job"),
	corev1.SchemeGroupVersion.WithKind("Event"),
	corev1.SchemeGroupVersion.WithKind("Namespace"),
	corev1.SchemeGroupVersion.WithKind("Node"),
	corev1.SchemeGroupVersion.WithKind("Pod"),
	corev1.SchemeGroupVersion.WithKind("ReplicationController"),
	corev1.SchemeGroupVersion.WithKind("Secret"),
	corev1.SchemeGroupVersion.WithKind("Service"),
	eventsv1.SchemeGroupVersion.WithKind("Event"),
	resourcev1.SchemeGroupVersion.WithKind("ResourceSlice"),
}

func addFieldLabels(s *runtime.Scheme) error {
	for _, gvk := range selectable {
		convert := func(label, value string) (string, string, error) {
			return legacyscheme.Scheme.ConvertFieldLabel(gvk, label, value)
		}
		if err := s.AddFieldLabelConversionFunc(gvk, convert); err != nil {
			return err
		}
	}
	return nil
}

// FieldsOf returns the values that field selectors on obj are compared with: metadata.name, metadata.namespace if
// it has one, and those of its kind. The store's attribute function hands them to the watch cache.
//
// An unset field has the value a member would default it to only where a selector for that default is common
// (Secret type, Service type); elsewhere it is empty, as it is in the template.
func FieldsOf(obj runtime.Object) fields.Set {
	set := fields.Set{}
	if m, err := meta.Accessor(obj); err == nil {
		set["metadata.name"] = m.GetName()
		if namespace := m.GetNamespace(); namespace != "" {
			set["metadata.namespace"] = namespace
		}
	}
	switch o := obj.(type) {
	case *corev1.Event:
		addEventFields(set, o)
	case *corev1.Pod:
		addPodFields(set, o)
	case *corev1.Secret:
		set["type"] = orDefault(string(o.Type), string(corev1.SecretTypeOpaque))
	case *corev1.Service:
		set["spec.clusterIP"] = o.Spec.ClusterIP
		set["spec.type"] = orDefault(string(o.Spec.Type), string(corev1.ServiceTypeClusterIP))
	case *corev1.Namespace:
		set["status.phase"] = string(o.Status.Phase)
	case *corev1.Node:
		set["spec.unschedulable"] = strconv.FormatBool(o.Spec.Unschedulable)
	case *corev1.ReplicationController:
		set["status.replicas"] = strconv.Itoa(int(o.Status.Replicas))
	case *batchv1.Job:
		set["status.successful"] = strconv.Itoa(int(o.Status.Succeeded))
	case *certificatesv1.CertificateSigningRequest:
		set["spec.signerName"] = o.Spec.SignerName
	case *resourcev1.ResourceSlice:
		if o.Spec.NodeName != nil {
			set[resourcev1.ResourceSliceSelectorNodeName] = *o.Spec.NodeName
		}
		set[resourcev1.ResourceSliceSelectorDriver] = o.Spec.Driver
		set[resourcev1.ResourceSliceSelectorPoolName] = o.Spec.Pool.Name
	}
	return set
}

func addEventFields(set fields.Set, e *corev1.Event) {
	set["involvedObject.kind"] = e.InvolvedObject.Kind
	set["involvedObject.namespace"] = e.InvolvedObject.Namespace
	set["involvedObject.name"] = e.InvolvedObject.Name
	set["involvedObject.uid"] = string(e.InvolvedObject.UID)
	set["involvedObject.apiVersion"] = e.InvolvedObject.APIVersion
	set["involvedObject.resourceVersion"] = e.InvolvedObject.ResourceVersion
	set["involvedObject.fieldPath"] = e.InvolvedObject.FieldPath
	set["reason"] = e.Reason
	set["reportingComponent"] = e.ReportingController
	set["source"] = orDefault(e.Source.Component, e.ReportingController)
	set["type"] = e.Type
}

func addPodFields(set fields.Set, p *corev1.Pod) {
	set["spec.nodeName"] = p.Spec.NodeName
	set["spec.restartPolicy"] = string(p.Spec.RestartPolicy)
	set["spec.schedulerName"] = p.Spec.SchedulerName
	set["spec.serviceAccountName"] = p.Spec.ServiceAccountName
	set["spec.hostNetwork"] = strconv.FormatBool(p.Spec.HostNetwork)
	set["status.phase"] = string(p.Status.Phase)
	set["status.podIP"] = p.Status.PodIP
	set["status.nominatedNodeName"] = p.Status.NominatedNodeName
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
