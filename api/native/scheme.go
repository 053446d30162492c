package native

import (
	"reflect"
	"sync"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

var buildScheme = sync.OnceValue(newScheme)

// Scheme returns the hub's own scheme: every versioned k8s.io/api type, CustomResourceDefinition v1 and the meta/v1
// types. It is built once and shared; callers must not add to it.
//
// Objects are not defaulted by it (see Default), with two exceptions: Secret.stringData is merged into data, and
// CustomResourceDefinitions get their upstream defaults, which their handler relies on.
//
// Two kinds are served in two versions over one storage; the scheme converts between them with upstream's
// conversions: HorizontalPodAutoscaler autoscaling/v1 and v2, Event v1 and events.k8s.io/v1. To let the codecs
// convert an Event across groups, each of the two Event types is also registered as the internal version of the
// other's group; Scheme().ObjectKinds therefore names two kinds for an Event, the served one first.
func Scheme() *runtime.Scheme { return buildScheme() }

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	utilruntime.Must(metav1.AddMetaToScheme(s))
	utilruntime.Must(clientscheme.AddToScheme(s))
	forgetDefaults(s)
	utilruntime.Must(apiextensionsv1.AddToScheme(s))
	s.AddTypeDefaultingFunc(&corev1.Secret{}, func(obj any) { mergeStringData(obj.(*corev1.Secret)) })
	utilruntime.Must(addAutoscalerConversions(s))
	utilruntime.Must(addEventConversions(s))
	utilruntime.Must(addFieldLabels(s))
	return s
}

// forgetDefaults takes the defaulting functions of all types known so far out again. Packages of k8s.io/kubernetes add
// theirs to the scheme builders of k8s.io/api when they are linked in, so that every scheme built from those gets them;
// a template that was defaulted would be sent to members with values that its user never wrote.
func forgetDefaults(s *runtime.Scheme) {
	for _, goType := range s.AllKnownTypes() {
		if obj, ok := reflect.New(goType).Interface().(runtime.Object); ok {
			s.AddTypeDefaultingFunc(obj, func(any) {})
		}
	}
}

// mergeStringData does what the API server does when it decodes a Secret: stringData wins over data key by key and
// is then gone. Both decoding and patching default the object afterwards, so this runs for every way of writing.
func mergeStringData(s *corev1.Secret) {
	if len(s.StringData) == 0 {
		return
	}
	if s.Data == nil {
		s.Data = make(map[string][]byte, len(s.StringData))
	}
	for key, value := range s.StringData {
		s.Data[key] = []byte(value)
	}
	s.StringData = nil
}

func addAutoscalerConversions(s *runtime.Scheme) error {
	return addBothWays(s,
		pair{&autoscalingv1.HorizontalPodAutoscaler{}, &autoscalingv2.HorizontalPodAutoscaler{}},
		pair{&autoscalingv1.HorizontalPodAutoscalerList{}, &autoscalingv2.HorizontalPodAutoscalerList{}},
	)
}

func addEventConversions(s *runtime.Scheme) error {
	inCore := schema.GroupVersion{Group: corev1.GroupName, Version: runtime.APIVersionInternal}
	inEvents := schema.GroupVersion{Group: eventsv1.GroupName, Version: runtime.APIVersionInternal}
	s.AddKnownTypeWithName(inCore.WithKind("Event"), &eventsv1.Event{})
	s.AddKnownTypeWithName(inCore.WithKind("EventList"), &eventsv1.EventList{})
	s.AddKnownTypeWithName(inEvents.WithKind("Event"), &corev1.Event{})
	s.AddKnownTypeWithName(inEvents.WithKind("EventList"), &corev1.EventList{})
	return addBothWays(s,
		pair{&corev1.Event{}, &eventsv1.Event{}},
		pair{&corev1.EventList{}, &eventsv1.EventList{}},
	)
}

type pair struct{ a, b runtime.Object }

func addBothWays(s *runtime.Scheme, pairs ...pair) error {
	for _, p := range pairs {
		if err := s.AddConversionFunc(p.a, p.b, viaInternal); err != nil {
			return err
		}
		if err := s.AddConversionFunc(p.b, p.a, viaInternal); err != nil {
			return err
		}
	}
	return nil
}

// viaInternal converts one version to another through upstream's internal version, as a Kubernetes API server does.
func viaInternal(in, out any, _ conversion.Scope) error {
	hub, err := legacyscheme.Scheme.UnsafeConvertToVersion(in.(runtime.Object), runtime.InternalGroupVersioner)
	if err != nil {
		return err
	}
	return legacyscheme.Scheme.Convert(hub, out, nil)
}
