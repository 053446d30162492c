package federation

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/hanse-federation/hanse/federation/template"
)

// listWatch reads the objects of a kind from the hub, the short way if there is one.
func listWatch(records Records, client dynamic.Interface, kind template.Kind) toolscache.ListerWatcher {
	if direct := records.ListWatch(kind.GVR()); direct != nil {
		return direct
	}
	resource := client.Resource(kind.GVR())
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return resource.Watch(ctx, options)
		},
	}
}
