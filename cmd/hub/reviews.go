package hub

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-federation/hanse/api/server"
	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// reviews are the kinds that are questions to the federation.
func (h *Hub) reviews() ([]server.Review, error) {
	scheme := runtime.NewScheme()
	_ = v1alpha1.AddToScheme(scheme) // it never fails
	definition, err := v1alpha1.PlanDefinition()
	if err != nil {
		return nil, err
	}
	return []server.Review{{
		Kind: v1alpha1.GroupVersion.WithKind("Plan"), Resource: "plans", Singular: "plan", Scheme: scheme,
		Definition: definition, Answer: h.plan,
	}}, nil
}

// plan answers a Plan.
func (h *Hub) plan(ctx context.Context, caller user.Info, obj runtime.Object) error {
	question, ok := obj.(*v1alpha1.Plan)
	f := h.federation.Load()
	switch {
	case !ok:
		return apierrors.NewBadRequest("this is no Plan")
	case f == nil || f.Ready() != nil:
		return apierrors.NewServiceUnavailable("the hub is starting; try again in a moment")
	}
	question.ManagedFields = nil
	return f.Plan(ctx, caller, question)
}
