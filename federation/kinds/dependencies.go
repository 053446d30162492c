package kinds

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	podresources "k8s.io/component-helpers/resource"
)

// The kinds that others refer to.
var (
	configMap = schema.GroupKind{Kind: "ConfigMap"}
	secret    = schema.GroupKind{Kind: "Secret"}
	account   = schema.GroupKind{Kind: "ServiceAccount"}
	claim     = schema.GroupKind{Kind: "PersistentVolumeClaim"}
	service   = schema.GroupKind{Kind: "Service"}
)

// Dependencies are the objects that this one needs in the same member, each once, sorted. What every cluster has by
// itself is left out: the default service account and the kube-root-ca.crt ConfigMap.
//
// They are in the object's own namespace, or in none. Only those of the Gateway API may be in another one, and whether
// they are followed there is up to MayFollow.
func (r Rule) Dependencies(obj *unstructured.Unstructured) []Ref {
	namespace := obj.GetNamespace()
	var refs []Ref
	if r.refs != nil {
		refs = r.refs(obj.Object, namespace)
	}
	specs, _ := r.podSpecs(obj.Object)
	for _, spec := range specs {
		refs = append(refs, podRefs(spec, namespace)...)
	}
	from := obj.GroupVersionKind().GroupKind()
	return distinct(slices.DeleteFunc(refs, func(to Ref) bool {
		return to.Name == "" || strings.Contains(to.Name, "/") || to.Namespace != "" && to.Namespace != namespace && !isGrantable(from, to.GroupKind)
	}))
}

// Unfollowed says which references in an object do not follow it, since they name a kind that their field is not for.
func (r Rule) Unfollowed(obj *unstructured.Unstructured) []string {
	if r.unfollowed == nil {
		return nil
	}
	return r.unfollowed(obj.Object)
}

// podSpecOf finds the pod specification. A custom resource is taken to have one where every workload has it: at
// spec.template.spec, if there are containers.
func (r Rule) podSpecOf(obj map[string]any) map[string]any {
	path := r.podSpec
	if len(path) == 0 {
		path = []string{"spec", "template", "spec"}
	}
	spec := mapAt(obj, path...)
	if listAt(spec, "containers") == nil {
		return nil
	}
	return spec
}

// PodSpec is the object's pod specification itself, not a copy; nil for kinds without pods.
func (r Rule) PodSpec(obj *unstructured.Unstructured) map[string]any { return r.podSpecOf(obj.Object) }

// PodSpecs are all pod specifications of the object, not copies.
func (r Rule) PodSpecs(obj *unstructured.Unstructured) []map[string]any {
	specs, _ := r.podSpecs(obj.Object)
	return specs
}

func podRefs(spec map[string]any, namespace string) []Ref {
	var refs []Ref
	add := func(kind schema.GroupKind, name string, optional bool) {
		if name != "" {
			refs = append(refs, Ref{GroupKind: kind, Namespace: namespace, Name: name, Optional: optional})
		}
	}
	// source reads a {name, optional} reference.
	source := func(kind schema.GroupKind, in map[string]any, path ...string) {
		if ref := mapAt(in, path...); ref != nil {
			add(kind, stringAt(ref, "name"), boolAt(ref, "optional"))
		}
	}

	add(account, cmp.Or(stringAt(spec, "serviceAccountName"), stringAt(spec, "serviceAccount")), false)
	for _, pull := range mapsAt(spec, "imagePullSecrets") {
		add(secret, stringAt(pull, "name"), true) // the kubelet goes on without a missing pull secret
	}
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for _, container := range mapsAt(spec, list) {
			for _, env := range mapsAt(container, "env") {
				source(configMap, env, "valueFrom", "configMapKeyRef")
				source(secret, env, "valueFrom", "secretKeyRef")
			}
			for _, env := range mapsAt(container, "envFrom") {
				source(configMap, env, "configMapRef")
				source(secret, env, "secretRef")
			}
		}
	}
	for _, volume := range mapsAt(spec, "volumes") {
		source(configMap, volume, "configMap")
		add(secret, stringAt(volume, "secret", "secretName"), boolAt(volume, "secret", "optional"))
		add(claim, stringAt(volume, "persistentVolumeClaim", "claimName"), false)
		for _, projected := range mapsAt(volume, "projected", "sources") {
			source(configMap, projected, "configMap")
			source(secret, projected, "secret")
		}
		add(secret, stringAt(volume, "csi", "nodePublishSecretRef", "name"), false)
		add(secret, stringAt(volume, "azureFile", "secretName"), false)
		for _, driver := range []string{"cephfs", "rbd", "flexVolume", "iscsi", "scaleIO", "storageos", "cinder"} {
			add(secret, stringAt(volume, driver, "secretRef", "name"), false)
		}
	}
	return refs
}

// distinct sorts and merges; an object is optional only if everybody says so.
func distinct(refs []Ref) []Ref {
	refs = slices.DeleteFunc(refs, func(ref Ref) bool {
		return ref.GroupKind == account && ref.Name == "default" ||
			ref.GroupKind == configMap && ref.Name == "kube-root-ca.crt"
	})
	slices.SortFunc(refs, func(a, b Ref) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), compareBool(a.Optional, b.Optional))
	})
	return slices.CompactFunc(refs, func(a, b Ref) bool {
		a.Optional, b.Optional = false, false
		return a == b
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// Requests is what one replica asks of a cluster, as the Kubernetes scheduler counts it: init containers, sidecars,
// overhead and pod-level resources included. Zero for kinds without pods.
func (r Rule) Requests(obj *unstructured.Unstructured) Requests {
	var requests Requests
	specs, counts := r.podSpecs(obj.Object)
	for i := range specs {
		requests.add(requestsOf(specs[i]), counts[i])
	}
	return requests
}

// add counts pods in.
func (r *Requests) add(pod Requests, count int64) {
	r.MilliCPU += pod.MilliCPU * count
	r.Memory += pod.Memory * count
	r.EphemeralStorage += pod.EphemeralStorage * count
	for name, units := range pod.Extended {
		if r.Extended == nil {
			r.Extended = map[string]int64{}
		}
		r.Extended[name] += units * count
	}
}

func requestsOf(pod map[string]any) Requests {
	spec, is := typed[corev1.PodSpec](pod)
	if !is {
		return Requests{}
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			requestLimits(&containers[i].Resources)
		}
	}
	var requests Requests
	list := podresources.PodRequests(&corev1.Pod{Spec: spec}, podresources.PodResourcesOptions{})
	for name, quantity := range list {
		switch name {
		case corev1.ResourceCPU:
			requests.MilliCPU = quantity.MilliValue()
		case corev1.ResourceMemory:
			requests.Memory = quantity.Value()
		case corev1.ResourceEphemeralStorage:
			requests.EphemeralStorage = quantity.Value()
		default:
			if requests.Extended == nil {
				requests.Extended = map[string]int64{}
			}
			requests.Extended[string(name)] = quantity.Value()
		}
	}
	return requests
}

// requestLimits does what the member's API server will: a limit without a request is the request.
func requestLimits(resources *corev1.ResourceRequirements) {
	for name, limit := range resources.Limits {
		if _, set := resources.Requests[name]; set {
			continue
		}
		if resources.Requests == nil {
			resources.Requests = corev1.ResourceList{}
		}
		resources.Requests[name] = limit
	}
}
