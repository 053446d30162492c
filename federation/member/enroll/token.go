package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// tokenLife is what the member is asked for. It may give less, down to ten minutes: what it gave counts.
const tokenLife = 365 * 24 * time.Hour

var errNoToken = errors.New("the answer has no token")

// requestToken asks the member for a token of the hub's account.
func requestToken(ctx context.Context, member *party) (token string, expires time.Time, err error) {
	seconds := int64(tokenLife / time.Second)
	account := &corev1.ServiceAccount{}
	account.Namespace, account.Name = v1alpha1.SystemNamespace, AccountName
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	err = Diagnose(member.what, member.SubResource("token").Create(ctx, account, request))
	if err == nil && request.Status.Token == "" {
		err = errNoToken
	}
	if err != nil {
		return "", time.Time{}, fmt.Errorf("asking for a token of the account %s/%s: %w",
			account.Namespace, account.Name, err)
	}
	return request.Status.Token, request.Status.ExpirationTimestamp.Time, nil
}

// putToken writes a token and its times into the Secret.
func putToken(secret *corev1.Secret, token string, now, expires time.Time) {
	setAnnotations(secret, map[string]string{TokenIssuedAnnotation: stamp(now), TokenExpiresAnnotation: stamp(expires)})
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[TokenKey] = []byte(token)
}

// RenewAt is when the token in the Secret of a member should be replaced: after half its life, so a member that was
// away for long still finds it good. It is false for a Secret without a token that Join made; those are their maker's
// business.
func RenewAt(secret *corev1.Secret) (time.Time, bool) {
	expires, err := time.Parse(time.RFC3339, secret.Annotations[TokenExpiresAnnotation])
	if err != nil || len(secret.Data[TokenKey]) == 0 {
		return time.Time{}, false
	}
	issued, err := time.Parse(time.RFC3339, secret.Annotations[TokenIssuedAnnotation])
	if err != nil || issued.After(expires) {
		return expires.Add(-tokenLife / 2), true
	}
	return issued.Add(expires.Sub(issued) / 2), true
}

// RotateToken replaces the token in the Secret hanse-system/<name> of a member if it is time, with the account
// itself, and returns when to come back; the zero time if the Secret is not one of Join's. On an error the old token
// stays in place, and the caller tries again. The old token stays valid until its own end, so nothing under way is
// cut off.
func RotateToken(ctx context.Context, hub, member client.Client, name string, now time.Time) (
	next time.Time, err error) {

	var secret corev1.Secret
	if err := hub.Get(ctx, client.ObjectKey{Namespace: v1alpha1.SystemNamespace, Name: name}, &secret); err != nil {
		return time.Time{}, fmt.Errorf("reading the Secret of member %s: %w", name, err)
	}
	due, ours := RenewAt(&secret)
	if !ours {
		return time.Time{}, nil
	}
	if now.Before(due) {
		return due, nil
	}
	token, expires, err := requestToken(ctx, &party{Client: member, what: "the member " + name})
	if err != nil {
		return time.Time{}, err
	}
	before := secret.DeepCopy()
	putToken(&secret, token, now, expires)
	// The resource version keeps two hubs' turns apart, and a token that a person wrote meanwhile.
	change := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := hub.Patch(ctx, &secret, change); err != nil {
		return time.Time{}, fmt.Errorf("writing the Secret of member %s: %w", name, err)
	}
	next, _ = RenewAt(&secret)
	return next, nil
}
