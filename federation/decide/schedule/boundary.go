package schedule

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/template"
)

// This file is the one place where a reference in an object becomes a decision about another object. An author of the
// one may have no right to the other, so a reference is followed only where both belong to the same people: inside a
// namespace, or by a ReferenceGrant of the other namespace. What is the hub's own is never reached.

// needs lists what goes where the template goes, as template.Ref prints it, and says why other references are not
// followed. It tells nothing of what is referred to, not even whether it is there.
func needs(f facts) (all, refused []string) {
	if f.brings != nil {
		all = append(all, f.brings.String())
	}
	for _, dependency := range f.rule.Dependencies(f.template) {
		ref := template.Ref{
			Group: dependency.Group, Kind: dependency.Kind, Namespace: dependency.Namespace, Name: dependency.Name,
		}
		if err := mayReach(f.ref, ref, f.grants); err != nil {
			refused = append(refused, err.Error())
			continue
		}
		all = append(all, ref.String())
	}
	slices.Sort(all)
	return slices.Compact(all), append(refused, f.rule.Unfollowed(f.template)...)
}

// mayReach returns nil if an object may take another one along, and otherwise why it may not. Grants are the
// ReferenceGrants of the other's namespace.
func mayReach(from, to template.Ref, grants []*unstructured.Unstructured) error {
	if reason, stays := to.StaysOnHub(); stays {
		return fmt.Errorf("the reference to %s is not followed: %s", to, reason)
	}
	ref := kinds.Ref{GroupKind: to.GroupKind(), Namespace: to.Namespace, Name: to.Name}
	if err := kinds.MayFollow(from.GroupKind(), from.Namespace, ref, grants); err != nil {
		return fmt.Errorf("the reference to %s is not followed: %w", to, err)
	}
	return nil
}

// grantsFor reads the ReferenceGrants of the foreign namespaces that a template refers to.
func grantsFor(view View, f facts) []*unstructured.Unstructured {
	var namespaces []string
	for _, ref := range f.rule.Dependencies(f.template) {
		if ref.Namespace != "" && ref.Namespace != f.ref.Namespace {
			namespaces = append(namespaces, ref.Namespace)
		}
	}
	slices.Sort(namespaces)
	var grants []*unstructured.Unstructured
	for _, namespace := range slices.Compact(namespaces) {
		grants = append(grants, view.Grants(namespace)...)
	}
	return grants
}

// reaching keeps the decisions about what may take a template along. A stored decision is believed no more than its
// template: it may be older than the rule, or than the end of a grant, and one that is not where its template's would
// be was written by somebody else.
func reaching(view View, all []*v1alpha1.Distribution, to template.Ref) []*v1alpha1.Distribution {
	var grants []*unstructured.Unstructured
	hasGrants := false
	return slices.DeleteFunc(slices.Clone(all), func(d *v1alpha1.Distribution) bool {
		from := template.RefOfDistribution(d)
		if namespace, name := from.Distribution(); d.Namespace != namespace || d.Name != name {
			return true
		}
		if _, stays := from.StaysOnHub(); stays {
			return true
		}
		if from.Namespace != to.Namespace && to.Namespace != "" && !hasGrants {
			grants, hasGrants = view.Grants(to.Namespace), true
		}
		return mayReach(from, to, grants) != nil
	})
}
