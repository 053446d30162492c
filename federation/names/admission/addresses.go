package admission

import (
	"context"
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/names/probescope"
)

// Addresses refuses GlobalServices whose addresses, given by hand, the hub neither answers nor probes.
type Addresses struct {
	// Scope is that of the present.
	Scope func() probescope.Scope
}

var _ admission.ValidationInterface = &Addresses{}

var globalService = schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: "GlobalService"}

// Handles implements admission.Interface.
func (p *Addresses) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Update
}

// Validate implements admission.ValidationInterface. What is stored already stays writable in all other parts, so that
// it can be labelled and deleted.
func (p *Addresses) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetKind().GroupKind() != globalService || a.GetSubresource() != "" {
		return nil
	}
	now, isRead := specOf(a.GetObject())
	if !isRead {
		return nil // its schema says what is wrong
	}
	before, had := specOf(a.GetOldObject())
	if had && equality.Semantic.DeepEqual(before.Addresses, now.Addresses) &&
		equality.Semantic.DeepEqual(before.Probe, now.Probe) {
		return nil
	}
	if errs := checkAddresses(p.Scope(), now); len(errs) > 0 {
		return apierrors.NewInvalid(globalService, a.GetName(), errs)
	}
	return nil
}

func specOf(obj runtime.Object) (v1alpha1.GlobalServiceSpec, bool) {
	var gs v1alpha1.GlobalService
	u, ok := obj.(*unstructured.Unstructured)
	if !ok || u == nil || runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &gs) != nil {
		return gs.Spec, false
	}
	return gs.Spec, true
}

// checkAddresses looks at every address that is given by hand.
func checkAddresses(scope probescope.Scope, spec v1alpha1.GlobalServiceSpec) field.ErrorList {
	var errs field.ErrorList
	for i, of := range spec.Addresses {
		path := field.NewPath("spec", "addresses").Index(i)
		if of.Hostname != "" {
			if why := probescope.RefusesName(of.Hostname); why != "" {
				errs = append(errs, field.Invalid(path.Child("hostname"), of.Hostname, why))
			}
		}
		for j, text := range of.IPs {
			at := path.Child("ips").Index(j)
			addr, err := netip.ParseAddr(text)
			if err != nil {
				errs = append(errs, field.Invalid(at, text, "is no IP address such as 203.0.113.10"))
				continue
			}
			why := scope.RefusesAnswer(addr)
			if why == "" && spec.Probe != nil {
				why = scope.RefusesProbe(netip.AddrPortFrom(addr, probePort(spec.Probe)), probescope.ByHand)
				if why != "" {
					why = fmt.Sprintf("it cannot be probed: %s", why)
				}
			}
			if why != "" {
				errs = append(errs, field.Invalid(at, text, why))
			}
		}
	}
	return errs
}

// probePort is the port that a probe asks, 0 while it is the name of one.
func probePort(p *v1alpha1.Probe) uint16 {
	var port intstr.IntOrString
	switch {
	case p.HTTP != nil:
		port = p.HTTP.Port
	case p.TCP != nil:
		port = p.TCP.Port
	}
	if number := port.IntValue(); number > 0 && number < 1<<16 {
		return uint16(number)
	}
	return 0
}
