package match

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds/override"
)

// Validate says what is wrong with a spec that the schema lets pass: selectors, expressions and overrides
// that cannot be read.
func Validate(spec *v1alpha1.PlacementSpec) error {
	_, err := compile(Key{}, v1alpha1.PlacementReference{}, metav1.ObjectMeta{}, spec)
	overrides := override.Validate(spec.Overrides, field.NewPath("spec", "overrides"))
	return errors.Join(err, overrides.ToAggregate())
}

// Of is the claim of a spec, as if it claimed everything. Errors name the field.
func Of(source v1alpha1.PlacementReference, spec *v1alpha1.PlacementSpec) (Claim, error) {
	if err := Validate(spec); err != nil {
		return Claim{}, err
	}
	compiled, err := compile(Key{}, source, metav1.ObjectMeta{}, spec)
	return compiled.claim, err
}

func compile(
	key Key, source v1alpha1.PlacementReference, meta metav1.ObjectMeta, spec *v1alpha1.PlacementSpec,
) (*rule, error) {
	policy, err := Policy(spec)
	problems := []error{err}
	source.Terms = termsHash(spec.Clusters, spec.By, spec.Pack, spec.Spread, spec.Replicas)
	compiled := &rule{
		key:     key,
		created: meta.CreationTimestamp,
		uid:     meta.UID,
		claim: Claim{
			Source:           source,
			Policy:           policy,
			OnConflict:       spec.OnConflict,
			OnDelete:         spec.OnDelete,
			OnImmutable:      spec.OnImmutable,
			Drift:            spec.Drift,
			IgnoreFields:     spec.IgnoreFields,
			ProgressDeadline: spec.ProgressDeadline,
			Paused:           spec.Paused,
			ReportOnly:       spec.ReportOnly,
			Follow:           spec.Dependencies != "Ignore",
			Overrides:        spec.Overrides,
			Author:           meta.Annotations[v1alpha1.AuthorAnnotation],
		},
	}
	for i, selector := range spec.Resources {
		r, err := compileResource(selector)
		if err != nil {
			problems = append(problems, fmt.Errorf("spec.resources[%d]%w", i, err))
		}
		compiled.resources = append(compiled.resources, r)
	}
	return compiled, errors.Join(problems...)
}

// termsHash is a hash of what decides the shares.
func termsHash(parts ...any) string {
	encoded, err := json.Marshal(parts)
	if err != nil {
		return "" // as if it never changed
	}
	sum := sha256.Sum256(encoded)
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

func compileResource(s v1alpha1.ResourceSelector) (resource, error) {
	compiled := resource{kind: s.Kind, name: s.Name}
	if s.APIVersion != "" {
		gv, err := schema.ParseGroupVersion(s.APIVersion)
		if err != nil {
			return compiled, fmt.Errorf(".apiVersion: %w", err)
		}
		compiled.group, compiled.hasGroup = gv.Group, true
	}
	if s.Selector != nil {
		selector, err := metav1.LabelSelectorAsSelector(s.Selector)
		if err != nil {
			return compiled, fmt.Errorf(".selector: %w", err)
		}
		compiled.selector = selector
	}
	return compiled, nil
}
