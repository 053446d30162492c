package apply

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Apply makes the object in the member be as rendered. obj is the rendered object without our marks (they are added) and
// without status, uid, resourceVersion and managedFields.
func Apply(ctx context.Context, target Target, obj *unstructured.Unstructured, o Options) Result {
	panic("follows in the next commit")
}
