package native

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubernetes/pkg/apis/authentication"
	authenticationvalidation "k8s.io/kubernetes/pkg/apis/authentication/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/serviceaccount"
)

const (
	// TokenIssuer is the "iss" claim and the default audience of the hub's ServiceAccount tokens. It differs from what
	// clusters use, so that a member's token presented to the hub is passed over rather than misread.
	TokenIssuer = "hanse-hub"

	// maxTokenLife is the longest life that a ServiceAccount token can be asked for.
	maxTokenLife = 366 * 24 * time.Hour
)

// ServiceAccountTokens issues tokens for the hub's ServiceAccounts (TokenRequest, `kubectl create token`) and
// recognises them. A token ends at its time, or when its ServiceAccount, or the Secret it was bound to, is deleted.
//
// Every replica of a hub must hold the same key. There is no long-lived token in a Secret. Others verify tokens by a
// TokenReview, or with the keys that KeySet publishes.
type ServiceAccountTokens struct {
	authenticator.Token

	client    kubernetes.Interface
	generator serviceaccount.TokenGenerator
	published *published
}

// NewServiceAccountTokens signs with key, an RSA or ECDSA private key, and looks accounts up through client.
func NewServiceAccountTokens(key crypto.Signer, client kubernetes.Interface) (*ServiceAccountTokens, error) {
	generator, err := serviceaccount.JWTTokenGenerator(TokenIssuer, key)
	if err != nil {
		return nil, fmt.Errorf("use the key for ServiceAccount tokens: %w", err)
	}
	keys, err := serviceaccount.StaticPublicKeysGetter([]any{key.Public()})
	if err != nil {
		return nil, fmt.Errorf("use the key for ServiceAccount tokens: %w", err)
	}
	published, err := newPublished(keys)
	if err != nil {
		return nil, err
	}
	return &ServiceAccountTokens{
		Token: serviceaccount.JWTTokenAuthenticator([]string{TokenIssuer}, keys, authenticator.Audiences{TokenIssuer},
			serviceaccount.NewValidator(hubObjects{client})),
		client:    client,
		generator: generator,
		published: published,
	}, nil
}

// IssueToken answers a TokenRequest (authentication.k8s.io/v1) for the ServiceAccount: a copy of it, defaults filled
// in and status set. Errors are API statuses. A life above 366 days is shortened, with a warning.
//
// A token may be bound to a Secret. Pods and nodes run in members, so that a token of the hub cannot be bound to them.
func (t *ServiceAccountTokens) IssueToken(
	ctx context.Context, namespace, name string, request runtime.Object,
) (runtime.Object, error) {
	in, ok := request.(*authenticationv1.TokenRequest)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("a TokenRequest is wanted, not a %T", request))
	}
	account, err := t.client.CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	out, spec, err := completeTokenRequest(ctx, in, account)
	if err != nil {
		return nil, err
	}
	secret, err := t.boundSecret(ctx, namespace, out.Spec.BoundObjectRef)
	if err != nil {
		return nil, err
	}
	if out.Status.Token, err = t.sign(ctx, account, secret, spec); err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("sign the token of %s/%s: %w", namespace, name, err))
	}
	out.Status.ExpirationTimestamp = metav1.NewTime(
		out.CreationTimestamp.Add(time.Duration(spec.ExpirationSeconds) * time.Second))
	return out, nil
}

// completeTokenRequest returns the answer without its token, and the request's terms in upstream's internal version.
// It must run before the token is signed, so that the time it notes is not after the one in the token.
func completeTokenRequest(ctx context.Context, in *authenticationv1.TokenRequest, account *corev1.ServiceAccount) (
	*authenticationv1.TokenRequest, *authentication.TokenRequestSpec, error,
) {
	gvk := authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")
	out := in.DeepCopy()
	if err := adoptIdentity(out, account); err != nil {
		return nil, nil, err
	}
	if len(out.Spec.Audiences) == 0 {
		out.Spec.Audiences = []string{TokenIssuer}
	}
	out.CreationTimestamp, out.Status = metav1.Now(), authenticationv1.TokenRequestStatus{}
	converted, err := toInternal(out, gvk)
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	terms := converted.(*authentication.TokenRequest)
	if errs := authenticationvalidation.ValidateTokenRequest(terms); len(errs) > 0 {
		return nil, nil, apierrors.NewInvalid(gvk.GroupKind(), account.Name, errs)
	}
	if limit := int64(maxTokenLife / time.Second); terms.Spec.ExpirationSeconds > limit {
		warning.AddWarning(ctx, "", fmt.Sprintf("requested expiration of %d seconds shortened to %d seconds",
			terms.Spec.ExpirationSeconds, limit))
		terms.Spec.ExpirationSeconds = limit
	}
	out.Spec.ExpirationSeconds = &terms.Spec.ExpirationSeconds
	return out, &terms.Spec, nil
}

// adoptIdentity fills the request's metadata from the account; what the request names itself must be the account's.
func adoptIdentity(request *authenticationv1.TokenRequest, account *corev1.ServiceAccount) error {
	gvk := authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")
	path := field.NewPath("metadata")
	var errs field.ErrorList
	if request.Name != "" && request.Name != account.Name {
		errs = append(errs, field.Invalid(path.Child("name"), request.Name, "must match the ServiceAccount's name"))
	}
	if request.Namespace != "" && request.Namespace != account.Namespace {
		errs = append(errs, field.Invalid(path.Child("namespace"), request.Namespace,
			"must match the ServiceAccount's namespace"))
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(gvk.GroupKind(), account.Name, errs)
	}
	if request.UID != "" && request.UID != account.UID {
		return apierrors.NewConflict(corev1.Resource("serviceaccounts"), account.Name,
			fmt.Errorf("the request is for UID %s, the ServiceAccount has %s", request.UID, account.UID))
	}
	request.Name, request.Namespace, request.UID = account.Name, account.Namespace, account.UID
	return nil
}

func (t *ServiceAccountTokens) boundSecret(
	ctx context.Context, namespace string, ref *authenticationv1.BoundObjectReference,
) (*corev1.Secret, error) {
	if ref == nil {
		return nil, nil
	}
	if ref.Kind != "Secret" || ref.APIVersion != "v1" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf(
			"a token of the hub can be bound to a Secret, not to %s %s: a hub runs no pods", ref.APIVersion, ref.Kind))
	}
	secret, err := t.client.CoreV1().Secrets(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if ref.UID != "" && ref.UID != secret.UID {
		return nil, apierrors.NewConflict(corev1.Resource("secrets"), ref.Name,
			fmt.Errorf("the request is for UID %s, the Secret has %s", ref.UID, secret.UID))
	}
	return secret, nil
}

func (t *ServiceAccountTokens) sign(ctx context.Context, account *corev1.ServiceAccount, secret *corev1.Secret,
	terms *authentication.TokenRequestSpec,
) (string, error) {
	var bound *core.Secret
	if secret != nil {
		bound = &core.Secret{ObjectMeta: secret.ObjectMeta}
	}
	public, private, err := serviceaccount.Claims(core.ServiceAccount{ObjectMeta: account.ObjectMeta},
		nil, bound, nil, nil, nil, terms.ExpirationSeconds, 0, terms.Audiences, nil)
	if err != nil {
		return "", err
	}
	return t.generator.GenerateToken(ctx, public, private)
}

// hubObjects looks up what a token claims to stand for. Tokens bound to anything but an account and a Secret were not
// issued here.
type hubObjects struct{ client kubernetes.Interface }

var errNotBindable = errors.New("the hub issues no tokens bound to this kind")

// GetServiceAccount implements serviceaccount.ServiceAccountTokenGetter.
func (h hubObjects) GetServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	return h.client.CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
}

// GetSecret implements serviceaccount.ServiceAccountTokenGetter.
func (h hubObjects) GetSecret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return h.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
}

// GetPod implements serviceaccount.ServiceAccountTokenGetter.
func (hubObjects) GetPod(context.Context, string, string) (*corev1.Pod, error) {
	return nil, errNotBindable
}

// GetNode implements serviceaccount.ServiceAccountTokenGetter.
func (hubObjects) GetNode(context.Context, string) (*corev1.Node, error) { return nil, errNotBindable }

// GetValidatingWebhookConfiguration implements serviceaccount.ServiceAccountTokenGetter.
func (hubObjects) GetValidatingWebhookConfiguration(
	context.Context, string,
) (*admissionregistrationv1.ValidatingWebhookConfiguration, error) {
	return nil, errNotBindable
}

// GetMutatingWebhookConfiguration implements serviceaccount.ServiceAccountTokenGetter.
func (hubObjects) GetMutatingWebhookConfiguration(
	context.Context, string,
) (*admissionregistrationv1.MutatingWebhookConfiguration, error) {
	return nil, errNotBindable
}
