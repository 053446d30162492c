package apply

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Fingerprint is a digest of the object's UID, of the set of fields that we own in it, and of their values; empty if we
// own none. It changes when anybody changes, takes or removes a field of ours, also under our own name, or replaces the
// object. It does not change with status, defaults, fields of others, or time. An object that carries a digest from Seal
// gives that.
func Fingerprint(live *unstructured.Unstructured) string {
	if live == nil {
		return ""
	}
	if sealed, ok := live.GetAnnotations()[AnnotationFingerprint]; ok {
		return sealed
	}
	return fingerprintOf(live, live.GetManagedFields())
}

func fingerprintOf(live *unstructured.Unstructured, managed []metav1.ManagedFieldsEntry) string {
	var ours *metav1.FieldsV1
	for _, entry := range managed {
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
	h.Write([]byte{0})
	var owned map[string]any
	if json.Unmarshal(ours.GetRawBytes(), &owned) == nil {
		hashOwned(h, owned, live.Object)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}

// Seal is for an informer's transform: it takes managedFields off a live object and leaves the Fingerprint in an
// annotation of the cached copy. It changes the object in place.
func Seal(live *unstructured.Unstructured) {
	print := fingerprintOf(live, live.GetManagedFields()) // what the member itself has in that annotation says nothing
	live.SetManagedFields(nil)
	annotations := live.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationFingerprint] = print
	live.SetAnnotations(annotations)
}
