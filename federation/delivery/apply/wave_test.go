package apply_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/member/membertest"
)

// BenchmarkCreateWave creates ConfigMaps of 1 KiB with 16 workers: by a bare loop of server-side applies, and by Apply
// through a member. Run it with -benchtime=1000x -count=3.
func BenchmarkCreateWave(b *testing.B) {
	api := membertest.StartAPIServer(b)
	configMaps := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	bare := dynamic.NewForConfigOrDie(api.Config()).Resource(configMaps).Namespace("default")
	ctx, cancel := context.WithCancel(context.Background())
	m := member.Connect(ctx, member.Spec{Name: "m", Config: member.Config{
		Server: api.URL, CABundle: api.CA, Credentials: member.Credentials{Token: membertest.AdminToken},
	}}, member.Options{Selector: "hanse.io/hub=hub-1", Strip: func(_ schema.GroupVersionResource, u *unstructured.Unstructured) { apply.Seal(u) }})
	defer func() { cancel(); <-m.Done() }()
	<-m.Objects(configMaps).Synced()

	ways := []struct {
		name  string
		write func(*unstructured.Unstructured) error
	}{
		{name: "bare", write: func(u *unstructured.Unstructured) error {
			_, err := bare.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: "bare", Force: true})
			return err
		}},
		{name: "apply", write: func(u *unstructured.Unstructured) error {
			if r := apply.Apply(ctx, m, u, apply.Options{Hub: "hub-1", TemplateUID: "t-1"}); r.Verdict != apply.Created {
				return fmt.Errorf("%s", r)
			}
			return nil
		}},
	}
	round := 0
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) {
			round++
			jobs := make(chan int)
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					for i := range jobs {
						u := &unstructured.Unstructured{Object: map[string]any{
							"apiVersion": "v1", "kind": "ConfigMap",
							"metadata": map[string]any{"name": fmt.Sprintf("%s-%d-%d", w.name, round, i), "namespace": "default"},
							"data":     map[string]any{"key": strings.Repeat("x", 1024)},
						}}
						if err := w.write(u); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := range b.N {
				jobs <- i
			}
			close(jobs)
			all.Wait()
		})
	}
}
