package admission

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// secretType is the type of a Secret: some are the hub's own and are not claimed by selectors.
func secretType(obj runtime.Object) (string, bool) {
	secret, ok := obj.(*corev1.Secret)
	if !ok {
		return "", false
	}
	return string(secret.Type), true
}
