package schedule

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// hold puts our finalizer on a template before the first copy of it is made. Templates that were claimed when they
// were written got it then, by admission, so that this costs no write.
func (r *Reconciler) hold(ctx context.Context, f facts) error {
	if f.template == nil || f.template.GetDeletionTimestamp() != nil {
		return nil
	}
	if slices.Contains(f.template.GetFinalizers(), v1alpha1.CopiesFinalizer) {
		return nil
	}
	return r.setFinalizers(ctx, f, append(slices.Clone(f.template.GetFinalizers()), v1alpha1.CopiesFinalizer))
}

// release takes our finalizer off a template that has no copies.
func (r *Reconciler) release(ctx context.Context, f facts) error {
	if f.template == nil || !slices.Contains(f.template.GetFinalizers(), v1alpha1.CopiesFinalizer) {
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(f.template.GetFinalizers()), func(name string) bool {
		return name == v1alpha1.CopiesFinalizer
	})
	return r.setFinalizers(ctx, f, rest)
}

// setFinalizers replaces the list, unless the template has changed meanwhile.
func (r *Reconciler) setFinalizers(ctx context.Context, f facts, finalizers []string) error {
	kind, ok := r.Facts.Kind(f.ref.GroupKind())
	if !ok {
		return fmt.Errorf("the hub does not serve %s any more", f.ref.GroupKind())
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             f.template.GetUID(),
		"resourceVersion": f.template.GetResourceVersion(),
		"finalizers":      finalizers,
	}})
	if err != nil {
		return fmt.Errorf("encoding the finalizers of %s: %w", f.ref, err)
	}
	_, err = r.Dynamic.Resource(kind.GVR()).Namespace(f.ref.Namespace).Patch(ctx, f.ref.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: "hanse-hub"})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return wrap(err, "setting the finalizers of %s", f.ref)
}
