package server_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericrest "k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/kubernetes"
)

// BenchmarkCreate compares the ways to create a ConfigMap of 1 KiB: over TLS, over Loopback, in the store.
func BenchmarkCreate(b *testing.B) {
	value := fmt.Sprintf("%01000d", 1)
	var n atomic.Int64
	name := func() string { return fmt.Sprintf("c-%d", n.Add(1)) }
	through := func(client kubernetes.Interface) func(b *testing.B, ns string) {
		return func(b *testing.B, ns string) {
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := client.CoreV1().ConfigMaps(ns).Create(b.Context(), configMap(name(), value), metav1.CreateOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	loopback, err := kubernetes.NewForConfig(common.server.Loopback())
	if err != nil {
		b.Fatal(err)
	}
	store := common.server.Store(corev1.SchemeGroupVersion.WithResource("configmaps"))
	for way, run := range map[string]func(*testing.B, string){
		"tls":      through(common.client(b, admin)),
		"loopback": through(loopback),
		"store": func(b *testing.B, ns string) {
			ctx := request.WithNamespace(b.Context(), ns)
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := store.Create(ctx, configMap(name(), value), genericrest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		},
	} {
		b.Run(way, func(b *testing.B) { run(b, common.namespace(b)) })
	}
}
