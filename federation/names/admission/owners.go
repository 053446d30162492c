package admission

import (
	"context"
	"errors"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/names/owners"
)

// Owners sees to it that a DNS name is asked for by who may have it: see package owners. It writes down which names the
// author of an object had the right to claim, and refuses GlobalServices names of others.
type Owners struct {
	// Zones are those of the present; false until they are read.
	Zones func() ([]v1alpha1.Zone, bool)
	// Namespaces are those of the present.
	Namespaces owners.Namespaces
	// May reports whether a user has a verb on a resource of hanse.io that has no namespace; an empty name stands for all
	// of them.
	May func(ctx context.Context, who user.Info, verb, resource, name string) bool
	// Hub is the name of the user that the hub itself is.
	Hub string
}

var (
	_ admission.MutationInterface   = &Owners{}
	_ admission.ValidationInterface = &Owners{}
)

var zoneKind = schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: "Zone"}

// Handles implements admission.Interface.
func (p *Owners) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Update
}

// Admit implements admission.MutationInterface. A status can be written with other annotations, too.
func (p *Owners) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	object, ok := a.GetObject().(metav1.Object)
	if ok && (a.GetSubresource() == "" || a.GetSubresource() == "status") {
		p.recordClaims(ctx, a, object)
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (p *Owners) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	object, ok := a.GetObject().(metav1.Object)
	switch kind := a.GetKind().GroupKind(); {
	case !ok || a.GetSubresource() != "":
		return nil
	case kind == zoneKind:
		return validateZone(a)
	case kind == globalService:
		return p.ownsNames(a, object)
	}
	return nil
}

// recordClaims writes down which of the DNS names that an object asks for its author has the right to claim. Names that
// were written down before stay so while the object asks for them, whoever writes it. What anybody else than the hub
// writes there is replaced.
func (p *Owners) recordClaims(ctx context.Context, a admission.Attributes, object metav1.Object) {
	if p.isHub(a) {
		return // it hands on what was written down for the template that a GlobalService was made for
	}
	var before metav1.Object
	recorded := owners.Claims{}
	var had []string
	if a.GetOperation() == admission.Update {
		if old, ok := a.GetOldObject().(metav1.Object); ok {
			before = old
			had = namesAsked(a.GetKind().GroupKind(), old)
			recorded = owners.ParseClaims(old.GetAnnotations()[v1alpha1.ClaimedNamesAnnotation])
		}
	}
	names := namesAsked(a.GetKind().GroupKind(), object)
	claims := owners.Claims{}
	for _, name := range names {
		if zones := recorded[name]; len(zones) > 0 && slices.Contains(had, name) {
			claims[name] = zones
		} else if zones := p.claimable(ctx, a.GetUserInfo(), name); len(zones) > 0 {
			claims[name] = zones
		}
	}
	if before == nil && len(claims) == 0 && object.GetAnnotations()[v1alpha1.ClaimedNamesAnnotation] == "" {
		return
	}
	setAnnotation(object, v1alpha1.ClaimedNamesAnnotation, claims.String())
}

// setAnnotation writes one of the hub's own annotations; an empty value removes it.
func setAnnotation(object metav1.Object, key, value string) {
	annotations := maps.Clone(object.GetAnnotations()) // the old object may have the same
	if annotations[key] == value {
		return
	}
	if value == "" {
		delete(annotations, key)
	} else {
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[key] = value
	}
	object.SetAnnotations(annotations)
}

// claimable are the zones in which a user may claim a name, of those that it may lie in.
func (p *Owners) claimable(ctx context.Context, who user.Info, name string) []string {
	if who == nil {
		return nil
	}
	if p.May(ctx, who, "claim", "zones", "") {
		return []string{owners.AllZones}
	}
	var zones []string
	for _, candidate := range owners.Candidates(name) {
		if p.May(ctx, who, "claim", "zones", candidate) {
			zones = append(zones, candidate)
		}
	}
	return zones
}

// namesAsked are the DNS names that an object asks for, beside the one that is its own.
func namesAsked(kind schema.GroupKind, object metav1.Object) []string {
	if kind != globalService {
		return owners.Annotated(object.GetAnnotations())
	}
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	found, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "hostnames")
	var names []string
	for _, name := range found {
		if name = owners.Normal(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// ownsNames refuses a GlobalService a DNS name that its namespace may not have. One that it had before is not looked at,
// so that the object can still be changed; it is not served, and the object's status says why.
func (p *Owners) ownsNames(a admission.Attributes, object metav1.Object) error {
	if p.isHub(a) {
		return nil // the status says whose the names are that an annotation asks for
	}
	var had []string
	if old, ok := a.GetOldObject().(metav1.Object); ok && a.GetOperation() == admission.Update {
		had = namesAsked(globalService, old)
	}
	names := slices.DeleteFunc(namesAsked(globalService, object), func(name string) bool { return slices.Contains(had, name) })
	if len(names) == 0 {
		return nil
	}
	zones, ready := p.Zones()
	if !ready {
		return apierrors.NewServiceUnavailable("the hub is starting and does not know its Zones yet; try again in a moment")
	}
	claimed := owners.ParseClaims(object.GetAnnotations()[v1alpha1.ClaimedNamesAnnotation])
	var problems []error
	for _, name := range names {
		if in := owners.ZoneOf(zones, name); in != nil {
			problems = append(problems, owners.Check(in, name, a.GetNamespace(), p.Namespaces, claimed))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}

// isHub reports whether the hub itself writes.
func (p *Owners) isHub(a admission.Attributes) bool {
	return p.Hub != "" && a.GetUserInfo() != nil && a.GetUserInfo().GetName() == p.Hub
}

// validateZone checks what the schema of a Zone lets pass.
func validateZone(a admission.Attributes) error {
	var z v1alpha1.Zone
	u, ok := a.GetObject().(*unstructured.Unstructured)
	if !ok || runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &z) != nil {
		return nil // its schema says what is wrong
	}
	if errs := owners.Validate(&z.Spec); len(errs) > 0 {
		return apierrors.NewInvalid(zoneKind, a.GetName(), errs)
	}
	return nil
}
