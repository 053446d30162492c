package expose

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/template"
)

// thousand is a world of many zones, each with records and GlobalServices of its own.
func thousand(zones, records, services int) world {
	w := world{
		clusters: map[string]*v1alpha1.Cluster{"east": {ObjectMeta: metav1.ObjectMeta{Name: "east"}}},
		servers:  []string{"192.0.2.53"}, now: time.Unix(1_800_000_000, 0),
		distribution: func(template.Ref) *v1alpha1.Distribution { return nil },
		object:       func(template.Ref) (*unstructured.Unstructured, bool) { return nil, false },
		overrides:    func(*v1alpha1.Distribution) []v1alpha1.Override { return nil },
		workloads:    func(string, func(*unstructured.Unstructured)) {},
		secret:       func(string) (*corev1.Secret, bool) { return nil, false },
		updates:      func(string) ([]zone.Record, error) { return nil, nil },
		annotated:    func(func(*unstructured.Unstructured)) {},
		imported:     func(func(*unstructured.Unstructured)) {},
	}
	for i := range zones {
		z := v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("z%04d.example", i)}}
		for j := range records {
			z.Spec.Records = append(z.Spec.Records, v1alpha1.Record{Name: fmt.Sprintf("r%d", j), Type: "A", Values: []string{"192.0.2.1"}})
		}
		w.zones = append(w.zones, z)
		for j := range services {
			gs := v1alpha1.GlobalService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("s%d-%d", i, j)}}
			gs.Spec.Hostnames = []string{fmt.Sprintf("s%d.%s", j, z.Name)}
			gs.Spec.Addresses = []v1alpha1.ClusterAddresses{{Cluster: "east", IPs: []string{"192.0.2.7"}}}
			w.services = append(w.services, gs)
		}
	}
	return w
}

// BenchmarkOneChange is from the facts to the published snapshot, after one record of one zone has changed.
func BenchmarkOneChange(b *testing.B) {
	for _, c := range []struct{ zones, records, services int }{{400, 100, 0}, {1000, 100, 0}, {1000, 90, 10}} {
		b.Run(fmt.Sprintf("%d zones of %d records and %d services", c.zones, c.records, c.services), func(b *testing.B) {
			w := thousand(c.zones, c.records, c.services)
			x := New(Config{Store: zone.NewStore()})
			publish := func() {
				w.fitting = x.fitting
				p := build(w)
				x.fitting = p.fitting
				zones, _ := x.reuse(x.servable(p, w))
				x.newest.Add(1)
				if err := x.set(w, zones, p.networks, nil); err != nil {
					b.Fatal(err)
				}
			}
			publish()
			for i := 0; b.Loop(); i++ {
				w.zones[i%c.zones].Spec.Records[0].Values = []string{fmt.Sprintf("192.0.2.%d", i%200+1)}
				publish()
			}
		})
	}
}
