package hub_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What an object of the hub owns goes with it, be it of a kind that travels (whose objects are followed once, for
// everybody) or of one that does not.
func TestWhatIsOwnedGoesWithItsOwner(t *testing.T) {
	h := start(t)
	meta := func(name string, owners ...metav1.OwnerReference) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "default", Name: name, OwnerReferences: owners}
	}
	owner := &corev1.ConfigMap{ObjectMeta: meta("owner")}
	if err := h.Create(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	reference := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: owner.UID}
	owned := []client.Object{
		&corev1.Secret{ObjectMeta: meta("owned", reference)},
		&rbacv1.Role{ObjectMeta: meta("owned", reference)},
	}
	for _, obj := range owned {
		if err := h.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Delete(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	for _, obj := range owned {
		eventually(t, func(ctx context.Context) string {
			if err := h.Get(ctx, client.ObjectKeyFromObject(obj), obj); !apierrors.IsNotFound(err) {
				return obj.GetName() + " is still there"
			}
			return ""
		})
	}
}
