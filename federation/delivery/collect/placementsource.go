package collect

import (
	"context"
	"fmt"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template/match"
)

// PlacementSource tells the controller of Placements which ones to report on again.
type PlacementSource struct {
	Cache cache.Cache

	synced []toolscache.DoneChecker
}

// coalesce is how long news of a placement's objects are gathered: a wave of a thousand objects is a few writes.
const coalesce = 300 * time.Millisecond

// Start implements source.TypedSource.
func (s *PlacementSource) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[match.Key]) error {
	add := func(obj any) {
		if gone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		switch o := obj.(type) {
		case *v1alpha1.Placement:
			queue.Add(match.Key{Namespace: o.Namespace, Name: o.Name})
		case *v1alpha1.ClusterPlacement:
			queue.Add(match.Key{Name: o.Name})
		case *v1alpha1.Distribution:
			if key, ok := PlacementOf(o); ok {
				queue.AddAfter(key, coalesce)
			}
			for _, key := range contestantsOf(o) {
				queue.AddAfter(key, coalesce)
			}
		}
	}
	for _, of := range []client.Object{&v1alpha1.Placement{}, &v1alpha1.ClusterPlacement{}, &v1alpha1.Distribution{}} {
		informer, err := s.Cache.GetInformer(ctx, of)
		if err != nil {
			return fmt.Errorf("watching %T: %w", of, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    add,
			UpdateFunc: func(old, now any) { add(old); add(now) },
			DeleteFunc: add,
		})
		if err != nil {
			return fmt.Errorf("watching %T: %w", of, err)
		}
		s.synced = append(s.synced, registration.HasSyncedChecker())
	}
	return nil
}

// WaitForSync implements source.TypedSyncingSource.
func (s *PlacementSource) WaitForSync(ctx context.Context) error {
	if !toolscache.WaitFor(ctx, "", s.synced...) {
		return fmt.Errorf("reading what is reported on placements: %w", ctx.Err())
	}
	return nil
}
