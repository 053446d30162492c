package rules

import (
	"context"
	"fmt"
	"reflect"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Watch keeps the book up to date with the KindRules of the hub, and returns when all have been read once.
func (b *Book) Watch(ctx context.Context, informers cache.Cache) error {
	informer, err := informers.GetInformer(ctx, &v1alpha1.KindRule{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching KindRules: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(now any) { b.read(now) },
		UpdateFunc: func(old, now any) {
			before, _ := old.(*v1alpha1.KindRule)
			after, _ := now.(*v1alpha1.KindRule)
			if before == nil || after == nil || !reflect.DeepEqual(before.Spec, after.Spec) {
				b.read(now)
			}
		},
		DeleteFunc: func(last any) {
			if gone, ok := last.(toolscache.DeletedFinalStateUnknown); ok {
				last = gone.Obj
			}
			if rule, ok := last.(*v1alpha1.KindRule); ok {
				b.Delete(KindOf(rule))
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watching KindRules: %w", err)
	}
	if !toolscache.WaitFor(ctx, "", registration.HasSyncedChecker()) {
		return fmt.Errorf("reading KindRules: %w", context.Cause(ctx))
	}
	close(b.synced)
	return nil
}

// WaitForSync waits until Watch has read all rules once.
func (b *Book) WaitForSync(ctx context.Context) error {
	select {
	case <-b.synced:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reading KindRules: %w", ctx.Err())
	}
}

func (b *Book) read(now any) {
	rule, ok := now.(*v1alpha1.KindRule)
	if !ok {
		return
	}
	if err := b.Set(rule); err != nil {
		b.logger.Warn("a rule cannot be used", "error", err)
	}
}
