package server

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// seedNamespaces makes the namespaces that are always there.
func (s *Server) seedNamespaces(ctx context.Context) error {
	for _, name := range slices.Concat(immortal, s.cfg.Namespaces) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := s.namespaces.Create(withoutNamespace(ctx), namespace, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		if err := ignoreExists(err); err != nil {
			return fmt.Errorf("create namespace %s: %w", name, err)
		}
	}
	return nil
}

// negativeReplicas is the answer to a Scale below zero.
func negativeReplicas(replicas int32) field.ErrorList {
	return field.ErrorList{field.Invalid(field.NewPath("spec", "replicas"), replicas,
		"must be greater than or equal to 0")}
}

// withoutNamespace is a context for the stores of kinds that live in no namespace.
func withoutNamespace(ctx context.Context) context.Context {
	return request.WithNamespace(ctx, metav1.NamespaceNone)
}
