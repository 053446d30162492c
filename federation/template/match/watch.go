package match

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Changed hears of a placement that came, changed or went. claims tells whether it claims, or claimed before, an
// object.
type Changed func(key Key, claims func(*unstructured.Unstructured) bool)

// Watch keeps the index up to date with the placements of the hub and returns when all have been read once.
func Watch(ctx context.Context, informers cache.Cache, ix *Index, logger *slog.Logger, changed Changed) error {
	var synced []toolscache.DoneChecker
	for _, of := range []client.Object{&v1alpha1.Placement{}, &v1alpha1.ClusterPlacement{}} {
		informer, err := informers.GetInformer(ctx, of, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watching %T: %w", of, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(now any) { ix.update(now, logger, changed) },
			UpdateFunc: func(old, now any) {
				if !reflect.DeepEqual(specOf(old), specOf(now)) {
					ix.update(now, logger, changed)
				}
			},
			DeleteFunc: func(last any) { ix.drop(last, changed) },
		})
		if err != nil {
			return fmt.Errorf("watching %T: %w", of, err)
		}
		synced = append(synced, registration.HasSyncedChecker())
	}
	if !toolscache.WaitFor(ctx, "", synced...) {
		return fmt.Errorf("reading the placements: %w", context.Cause(ctx))
	}
	close(ix.synced)
	return nil
}

// HasSynced reports whether Watch has read all placements once.
func (ix *Index) HasSynced() bool {
	select {
	case <-ix.synced:
		return true
	default:
		return false
	}
}

// WaitForSync waits for HasSynced.
func (ix *Index) WaitForSync(ctx context.Context) error {
	select {
	case <-ix.synced:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reading the placements: %w", ctx.Err())
	}
}

func specOf(obj any) *v1alpha1.PlacementSpec {
	switch p := obj.(type) {
	case *v1alpha1.Placement:
		return &p.Spec
	case *v1alpha1.ClusterPlacement:
		return &p.Spec
	}
	return nil
}

func (ix *Index) update(now any, logger *slog.Logger, changed Changed) {
	var key Key
	var err error
	var before *rule
	switch p := now.(type) {
	case *v1alpha1.Placement:
		key = Key{Namespace: p.Namespace, Name: p.Name}
		before = ix.compiled(key)
		err = ix.SetPlacement(p)
	case *v1alpha1.ClusterPlacement:
		key = Key{Name: p.Name}
		before = ix.compiled(key)
		err = ix.SetClusterPlacement(p)
	default:
		return
	}
	if err != nil {
		logger.Warn("a placement cannot be used", "placement", key.String(), "error", err)
	}
	after := ix.compiled(key)
	changed(key, ix.either(before, after))
}

func (ix *Index) drop(last any, changed Changed) {
	if gone, ok := last.(toolscache.DeletedFinalStateUnknown); ok {
		last = gone.Obj
	}
	var key Key
	switch p := last.(type) {
	case *v1alpha1.Placement:
		key = Key{Namespace: p.Namespace, Name: p.Name}
	case *v1alpha1.ClusterPlacement:
		key = Key{Name: p.Name}
	default:
		return
	}
	before := ix.compiled(key)
	ix.Delete(key)
	changed(key, ix.either(before, nil))
}

func (ix *Index) compiled(key Key) *rule {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.rules[key]
}

// either tells whether one of two forms of a placement claims an object.
func (ix *Index) either(before, after *rule) func(*unstructured.Unstructured) bool {
	return func(obj *unstructured.Unstructured) bool {
		return before != nil && ix.rank(before, obj) > 0 || after != nil && ix.rank(after, obj) > 0
	}
}
