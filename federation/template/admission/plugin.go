package admission

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds/rules"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
)

// Plugin is the admission of the hub.
type Plugin struct {
	// Claims is the index of the present.
	Claims func() *match.Index
	// Templates are those of the present; nil, and a nil answer, mean that there are none to count.
	Templates func() Templates
	// Joined are the names of the clusters there are; false: not known yet. nil: they are never known.
	Joined func() (names map[string]bool, known bool)
}

var (
	_ admission.MutationInterface   = &Plugin{}
	_ admission.ValidationInterface = &Plugin{}
)

// Handles implements admission.Interface.
func (p *Plugin) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Update
}

// Admit puts the finalizer on templates that are claimed.
func (p *Plugin) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetSubresource() != "" || a.GetOperation() != admission.Create || a.IsDryRun() {
		return nil
	}
	if _, local := template.IsLocal(a.GetKind().GroupKind()); local {
		return nil
	}
	object, ok := a.GetObject().(metav1.Object)
	if !ok || slices.Contains(object.GetFinalizers(), v1alpha1.CopiesFinalizer) {
		return nil
	}
	if claimed, err := p.Claims().For(outline(a, object)); err != nil || claimed == nil {
		return nil // Validate tells what is wrong
	}
	object.SetFinalizers(append(object.GetFinalizers(), v1alpha1.CopiesFinalizer))
	return nil
}

// outline is as much of an object as a claim looks at.
func outline(a admission.Attributes, object metav1.Object) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetGroupVersionKind(a.GetKind())
	u.SetNamespace(a.GetNamespace())
	u.SetName(object.GetName())
	u.SetLabels(object.GetLabels())
	u.SetAnnotations(object.GetAnnotations())
	if secret, ok := secretType(a.GetObject()); ok {
		u.Object["type"] = secret
	}
	return u
}

// Validate refuses what cannot be understood.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetSubresource() != "" {
		return nil
	}
	object, ok := a.GetObject().(metav1.Object)
	if !ok {
		return nil
	}
	kind := a.GetKind().GroupKind()
	if err := inBounds(ctx, a, object); err != nil {
		return refuse(kind, object, err)
	}
	if kind.Group == v1alpha1.GroupVersion.Group {
		err := refuse(kind, object, validateOwn(kind, a.GetObject()))
		if err == nil {
			p.warnOfMissing(ctx, a)
		}
		return err
	}
	if _, local := template.IsLocal(kind); local {
		return nil
	}
	if _, err := match.FromAnnotations(object.GetAnnotations()); err != nil {
		return refuse(kind, object, err)
	}
	p.warnOfMissing(ctx, a)
	return p.withinQuota(a)
}

// validateOwn checks what the schema of a kind of ours lets pass.
func validateOwn(kind schema.GroupKind, obj runtime.Object) error {
	if kind.Kind == "KindRule" {
		return validateRule(obj)
	}
	if kind.Kind != "Placement" && kind.Kind != "ClusterPlacement" {
		return nil
	}
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	var p v1alpha1.Placement
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &p); err != nil {
		return err
	}
	return match.Validate(&p.Spec)
}

// validateRule compiles a rule.
func validateRule(obj runtime.Object) error {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	var rule v1alpha1.KindRule
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &rule); err != nil {
		return err
	}
	_, err := rules.Compile(&rule.Spec)
	return err
}

func refuse(kind schema.GroupKind, object metav1.Object, err error) error {
	if err == nil {
		return nil
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    422,
		Reason:  metav1.StatusReasonInvalid,
		Message: kind.Kind + " " + object.GetName() + " is invalid: " + err.Error(),
		Details: &metav1.StatusDetails{
			Group: kind.Group, Kind: kind.Kind, Name: object.GetName(),
			Causes: []metav1.StatusCause{causeOf(err)}, // what kubectl shows of a refusal
		},
	}}
}

// causeOf takes the field off the front of an error, where those of claim and placement have it.
func causeOf(err error) metav1.StatusCause {
	field, message, _ := strings.Cut(err.Error(), ": ")
	if name, isAnnotation := strings.CutPrefix(field, "annotation "); isAnnotation {
		field = "metadata.annotations[" + name + "]"
	}
	return metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Field: field, Message: message}
}
