package server

import (
	"context"
	"fmt"
	"slices"

	"net/http"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// review is a kind that is a question: a create is answered and nothing is stored.
type review struct {
	make   func() runtime.Object
	answer func(ctx context.Context, obj runtime.Object) error
}

// New implements rest.Storage.
func (r review) New() runtime.Object { return r.make() }

// Destroy implements rest.Storage.
func (review) Destroy() {}

// Create implements rest.Creater.
func (r review) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc,
	_ *metav1.CreateOptions) (runtime.Object, error) {
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	if err := r.answer(ctx, obj); err != nil {
		return nil, err
	}
	return obj, nil
}

// addReview makes the endpoint of one kind that is never stored.
func (b *nativeBuilder) addReview(gvr schema.GroupVersionResource, r apidiscoveryv2.APIResourceDiscovery) error {
	gvk := schema.GroupVersionKind(*r.ResponseKind)
	answers := map[string]func(context.Context, runtime.Object) error{
		"SelfSubjectReview":        answerSelf,
		"SubjectAccessReview":      b.server.answerAccess,
		"LocalSubjectAccessReview": b.server.answerAccess,
		"SelfSubjectAccessReview":  b.server.answerAccess,
		"SelfSubjectRulesReview":   b.server.answerRules,
		"TokenReview":              b.server.answerToken,
	}
	answer, ok := answers[gvk.Kind]
	if !ok {
		return fmt.Errorf("no answer for %v", gvk)
	}
	namespaced := r.Scope == apidiscoveryv2.ScopeNamespace
	scope, err := b.dialect.scope(scopeOf{
		target: target{GroupVersionResource: gvr}, kind: gvk, hub: gvr.GroupVersion(), namespaced: namespaced,
		table: rest.NewDefaultTableConvertor(gvr.GroupResource()), types: managedfields.NewDeducedTypeConverter(),
	}, &b.server.gate)
	if err != nil {
		return err
	}
	kind := review{answer: answer, make: func() runtime.Object { obj, _ := b.dialect.scheme.New(gvk); return obj }}
	t := target{GroupVersionResource: gvr}
	b.out.endpoints[t] = measured(t, namespaced, verbHandlers{
		"create": func() http.HandlerFunc { return handlers.CreateResource(kind, scope, b.server.admit) },
	})
	return nil
}

// addReviews makes the endpoints of the questions of other parts.
func (s *Server) addReviews(endpoints map[target]*endpoint) error {
	for _, r := range s.cfg.Reviews {
		t := target{GroupVersionResource: r.Kind.GroupVersion().WithResource(r.Resource)}
		types := managedfields.NewDeducedTypeConverter()
		scope, err := newDialect(r.Scheme, types).scope(scopeOf{
			target: t, kind: r.Kind, hub: r.Kind.GroupVersion(), table: rest.NewDefaultTableConvertor(t.GroupResource()),
		}, &s.gate)
		if err != nil {
			return err
		}
		kind := review{
			make: func() runtime.Object { obj, _ := r.Scheme.New(r.Kind); return obj },
			answer: func(ctx context.Context, obj runtime.Object) error {
				caller, ok := request.UserFrom(ctx)
				if !ok {
					return apierrors.NewBadRequest("no user is known for this request")
				}
				return r.Answer(ctx, caller, obj)
			},
		}
		endpoints[t] = measured(t, false, verbHandlers{
			"create": func() http.HandlerFunc { return handlers.CreateResource(kind, scope, s.admit) },
		})
	}
	return nil
}

// answerSelf tells callers who they are.
func answerSelf(ctx context.Context, obj runtime.Object) error {
	caller, ok := request.UserFrom(ctx)
	if !ok {
		return apierrors.NewBadRequest("no user is known for this request")
	}
	obj.(*authenticationv1.SelfSubjectReview).Status.UserInfo = userInfo(caller)
	return nil
}

// answerAccess tells whether somebody may do something: the caller, or whom the review names.
func (s *Server) answerAccess(ctx context.Context, obj runtime.Object) error {
	caller, ok := request.UserFrom(ctx)
	if !ok {
		return apierrors.NewBadRequest("no user is known for this request")
	}
	var spec authorizationv1.SubjectAccessReviewSpec
	var status *authorizationv1.SubjectAccessReviewStatus
	subject := caller
	switch review := obj.(type) {
	case *authorizationv1.SelfSubjectAccessReview:
		spec.ResourceAttributes = review.Spec.ResourceAttributes
		spec.NonResourceAttributes = review.Spec.NonResourceAttributes
		status = &review.Status
	case *authorizationv1.SubjectAccessReview:
		spec, status, subject = review.Spec, &review.Status, subjectOf(review.Spec)
	case *authorizationv1.LocalSubjectAccessReview:
		spec, status, subject = review.Spec, &review.Status, subjectOf(review.Spec)
		if in := spec.ResourceAttributes; in == nil || in.Namespace != request.NamespaceValue(ctx) {
			return apierrors.NewBadRequest("spec.resourceAttributes.namespace must be the namespace of the request")
		}
	}
	question, err := questionOf(subject, spec)
	if err != nil {
		return err
	}
	decision, reason, err := s.gate.Authorize(ctx, question)
	status.Allowed = decision == authorizer.DecisionAllow
	status.Denied = decision == authorizer.DecisionDeny
	status.Reason = reason
	if err != nil {
		status.EvaluationError = err.Error()
	}
	return nil
}

func subjectOf(spec authorizationv1.SubjectAccessReviewSpec) user.Info {
	extra := map[string][]string{}
	for key, values := range spec.Extra {
		extra[key] = values
	}
	return &user.DefaultInfo{Name: spec.User, UID: spec.UID, Groups: spec.Groups, Extra: extra}
}

// questionOf turns a review into what an authorizer is asked.
func questionOf(subject user.Info, spec authorizationv1.SubjectAccessReviewSpec) (authorizer.AttributesRecord, error) {
	out := authorizer.AttributesRecord{User: subject}
	if subject.GetName() == "" && len(subject.GetGroups()) == 0 {
		return out, apierrors.NewBadRequest("spec.user or spec.groups must be given")
	}
	switch r, n := spec.ResourceAttributes, spec.NonResourceAttributes; {
	case (r == nil) == (n == nil):
		return out, apierrors.NewBadRequest(
			"exactly one of spec.resourceAttributes and spec.nonResourceAttributes must be given")
	case r != nil:
		out.ResourceRequest = true
		out.Verb, out.Namespace, out.Name = r.Verb, r.Namespace, r.Name
		out.APIGroup, out.APIVersion, out.Resource, out.Subresource = r.Group, r.Version, r.Resource, r.Subresource
		if out.APIVersion == "" {
			out.APIVersion = "*"
		}
	default:
		out.Verb, out.Path = n.Verb, n.Path
	}
	return out, nil
}

// answerRules lists what the caller may do in a namespace.
func (s *Server) answerRules(ctx context.Context, obj runtime.Object) error {
	review := obj.(*authorizationv1.SelfSubjectRulesReview)
	caller, ok := request.UserFrom(ctx)
	if !ok || review.Spec.Namespace == "" {
		return apierrors.NewBadRequest("spec.namespace must be given")
	}
	review.Status.ResourceRules = []authorizationv1.ResourceRule{}
	review.Status.NonResourceRules = []authorizationv1.NonResourceRule{}
	if slices.Contains(caller.GetGroups(), user.SystemPrivilegedGroup) {
		all := []string{"*"}
		review.Status.ResourceRules = append(review.Status.ResourceRules,
			authorizationv1.ResourceRule{Verbs: all, APIGroups: all, Resources: all})
		review.Status.NonResourceRules = append(review.Status.NonResourceRules,
			authorizationv1.NonResourceRule{Verbs: all, NonResourceURLs: all})
	}
	resolver, ok := s.access.Authorizer.(authorizer.RuleResolver)
	if !ok {
		review.Status.Incomplete = true
		return nil
	}
	resources, others, incomplete, err := resolver.RulesFor(ctx, caller, review.Spec.Namespace)
	review.Status.Incomplete = incomplete
	if err != nil {
		review.Status.EvaluationError = err.Error()
	}
	for _, rule := range resources {
		review.Status.ResourceRules = append(review.Status.ResourceRules, authorizationv1.ResourceRule{
			Verbs: rule.GetVerbs(), APIGroups: rule.GetAPIGroups(), Resources: rule.GetResources(),
			ResourceNames: rule.GetResourceNames(),
		})
	}
	for _, rule := range others {
		review.Status.NonResourceRules = append(review.Status.NonResourceRules, authorizationv1.NonResourceRule{
			Verbs: rule.GetVerbs(), NonResourceURLs: rule.GetNonResourceURLs(),
		})
	}
	return nil
}

// token is the token subresource of ServiceAccounts.
type token struct{ server *Server }

// addToken makes the endpoint of the token subresource.
func (b *nativeBuilder) addToken(s scopeOf) error {
	s.kind = authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")
	s.hub, s.types, s.ignored = s.kind.GroupVersion(), managedfields.NewDeducedTypeConverter(), nil
	scope, err := b.dialect.scope(s, &b.server.gate)
	if err != nil {
		return err
	}
	b.out.endpoints[s.target] = measured(s.target, true, verbHandlers{
		"create": func() http.HandlerFunc {
			return handlers.CreateNamedResource(token{b.server}, scope, b.server.admit)
		},
	})
	return nil
}

// New implements rest.Storage.
func (token) New() runtime.Object { return &authenticationv1.TokenRequest{} }

// Destroy implements rest.Storage.
func (token) Destroy() {}

// Create implements rest.NamedCreater.
func (t token) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc,
	_ *metav1.CreateOptions) (runtime.Object, error) {
	issuer := t.server.access.Tokens
	if issuer == nil {
		return nil, apierrors.NewMethodNotSupported(schema.GroupResource{Resource: "serviceaccounts/token"}, "create")
	}
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	return issuer.IssueToken(ctx, request.NamespaceValue(ctx), name, obj)
}
