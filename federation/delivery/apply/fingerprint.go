package apply

import (
	"crypto/sha256"
	"encoding/base64"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Fingerprint is a digest of the object's UID and of the set of fields that we own in it; empty if we own none. It
// changes when anybody else changes, takes or removes a field of ours, or replaces the object. It does not change with
// status, defaults, fields of others, or time. An object that carries a digest from Seal gives that.
func Fingerprint(live *unstructured.Unstructured) string {
	if live == nil {
		return ""
	}
	if sealed, ok := live.GetAnnotations()[AnnotationFingerprint]; ok {
		return sealed
	}
	var ours *metav1.FieldsV1
	for _, entry := range live.GetManagedFields() {
		if entry.Manager == FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply &&
			entry.Subresource == "" {
			ours = entry.FieldsV1
		}
	}
	if ours == nil {
		return ""
	}
	h := sha256.New()
	h.Write([]byte(live.GetUID()))
	h.Write([]byte{0})
	h.Write(ours.GetRawBytes())
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}

// Seal is for an informer's transform: it takes managedFields off a live object and leaves the Fingerprint in an
// annotation of the cached copy. It changes the object in place.
func Seal(live *unstructured.Unstructured) {
	print := Fingerprint(live)
	live.SetManagedFields(nil)
	annotations := live.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationFingerprint] = print
	live.SetAnnotations(annotations)
}
