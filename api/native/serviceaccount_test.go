package native

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func newTokens(t *testing.T) (*ServiceAccountTokens, *fake.Clientset) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := fake.NewClientset(
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "bot", Namespace: "shop", UID: "u1"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "leash", Namespace: "shop", UID: "s1"}},
	)
	tokens, err := NewServiceAccountTokens(key, client)
	if err != nil {
		t.Fatal(err)
	}
	return tokens, client
}

func ask(
	t *testing.T, tokens *ServiceAccountTokens, spec authenticationv1.TokenRequestSpec,
) *authenticationv1.TokenRequest {
	t.Helper()
	answer, err := tokens.IssueToken(t.Context(), "shop", "bot", &authenticationv1.TokenRequest{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	return answer.(*authenticationv1.TokenRequest)
}

func life(seconds int64) *int64 { return &seconds }

func TestTokenIsRecognised(t *testing.T) {
	tokens, client := newTokens(t)
	answer := ask(t, tokens, authenticationv1.TokenRequestSpec{})
	if *answer.Spec.ExpirationSeconds != 3600 || answer.Spec.Audiences[0] != TokenIssuer || answer.Name != "bot" {
		t.Errorf("answered %+v", answer)
	}
	if left := time.Until(answer.Status.ExpirationTimestamp.Time); left < 59*time.Minute || left > time.Hour {
		t.Errorf("ends in %s", left)
	}
	response, ok, err := tokens.AuthenticateToken(t.Context(), answer.Status.Token)
	if err != nil || !ok {
		t.Fatalf("refused: %v", err)
	}
	if response.User.GetName() != "system:serviceaccount:shop:bot" || response.User.GetUID() != "u1" {
		t.Errorf("user %+v", response.User)
	}

	if err := client.CoreV1().ServiceAccounts("shop").Delete(t.Context(), "bot", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := tokens.AuthenticateToken(t.Context(), answer.Status.Token); ok || err == nil {
		t.Errorf("the token outlives its account")
	}
	again := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "bot", Namespace: "shop", UID: "u2"}}
	if _, err := client.CoreV1().ServiceAccounts("shop").Create(t.Context(), again, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := tokens.AuthenticateToken(t.Context(), answer.Status.Token); ok || err == nil {
		t.Errorf("the token is good for another account of that name")
	}
}

func TestTokenBoundToSecret(t *testing.T) {
	tokens, client := newTokens(t)
	answer := ask(t, tokens, authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: "leash"}})
	if _, ok, err := tokens.AuthenticateToken(t.Context(), answer.Status.Token); !ok || err != nil {
		t.Fatalf("refused: %v", err)
	}
	if err := client.CoreV1().Secrets("shop").Delete(t.Context(), "leash", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := tokens.AuthenticateToken(t.Context(), answer.Status.Token); ok || err == nil {
		t.Errorf("the token outlives what it was bound to")
	}
}

func TestForeignTokens(t *testing.T) {
	tokens, _ := newTokens(t)
	other, _ := newTokens(t)
	foreign := ask(t, other, authenticationv1.TokenRequestSpec{}).Status.Token
	if _, ok, err := tokens.AuthenticateToken(t.Context(), foreign); ok || err == nil {
		t.Errorf("a token signed with another key is taken")
	}
	elsewhere := ask(t, tokens, authenticationv1.TokenRequestSpec{Audiences: []string{"vault"}}).Status.Token
	if _, ok, err := tokens.AuthenticateToken(t.Context(), elsewhere); ok || err == nil {
		t.Errorf("a token for another audience is taken")
	}
	mine := ask(t, tokens, authenticationv1.TokenRequestSpec{}).Status.Token
	parts := strings.Split(mine, ".")
	parts[1] = strings.Split(ask(t, tokens, authenticationv1.TokenRequestSpec{}).Status.Token, ".")[1]
	if _, ok, err := tokens.AuthenticateToken(t.Context(), strings.Join(parts, ".")); ok || err == nil {
		t.Errorf("a token with another's claims is taken")
	}
	for _, text := range []string{"", "x", "a.b.c", "{}"} {
		if _, ok, err := tokens.AuthenticateToken(t.Context(), text); ok || err != nil {
			t.Errorf("%q is ours: %v, %v", text, ok, err)
		}
	}
}

func TestTokenRequestsRefused(t *testing.T) {
	tokens, _ := newTokens(t)
	tests := []struct {
		name    string
		account string
		request authenticationv1.TokenRequest
		want    string
		is      func(error) bool
	}{
		{"no such account", "ghost", authenticationv1.TokenRequest{}, `"ghost" not found`, apierrors.IsNotFound},
		{"another name", "bot", authenticationv1.TokenRequest{ObjectMeta: metav1.ObjectMeta{Name: "boss"}},
			"metadata.name", apierrors.IsInvalid},
		{"another namespace", "bot", authenticationv1.TokenRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "bank"}},
			"metadata.namespace", apierrors.IsInvalid},
		{"another uid", "bot", authenticationv1.TokenRequest{ObjectMeta: metav1.ObjectMeta{UID: "u9"}},
			"UID u9", apierrors.IsConflict},
		{"too short", "bot", authenticationv1.TokenRequest{
			Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: life(5)}},
			"may not specify a duration less than 10 minutes", apierrors.IsInvalid},
		{"bound to a pod", "bot", authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: "p"}}},
			"a hub runs no pods", apierrors.IsBadRequest},
		{"bound to no secret", "bot", authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: "gone"}}},
			`"gone" not found`, apierrors.IsNotFound},
		{"bound to another secret", "bot", authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: "leash",
				UID: "s9"}}}, "UID s9", apierrors.IsConflict},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer, err := tokens.IssueToken(t.Context(), "shop", test.account, &test.request)
			if err == nil || !strings.Contains(err.Error(), test.want) || !test.is(err) {
				t.Errorf("answered %v, %v (%T)", answer, err, err)
			}
		})
	}
	if _, err := tokens.IssueToken(t.Context(), "shop", "bot", &corev1.Secret{}); !apierrors.IsBadRequest(err) {
		t.Errorf("a Secret as request: %v", err)
	}
	if got := ask(t, tokens, authenticationv1.TokenRequestSpec{ExpirationSeconds: life(1 << 31)}); *got.Spec.
		ExpirationSeconds != int64(maxTokenLife/time.Second) {
		t.Errorf("a life of %d seconds", *got.Spec.ExpirationSeconds)
	}
}
