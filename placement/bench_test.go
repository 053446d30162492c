package placement

import (
	"fmt"
	"testing"
	"time"
)

// fleet is n like clusters, sorted by name.
func fleet(n int) []Cluster {
	clusters := make([]Cluster, n)
	for i := range clusters {
		clusters[i] = Cluster{Name: fmt.Sprintf("member-%04d", i), Ready: true,
			Region: fmt.Sprintf("region-%d", i%7), Provider: fmt.Sprintf("provider-%d", i%3),
			Zones:  []string{"a", "b"}[:1+i%2],
			Labels: map[string]string{"env": []string{"prod", "test"}[i%2], "team": "shop"}}
	}
	return clusters
}

func weighted(clusters []Cluster) Policy {
	var p Policy
	for i := range clusters {
		weight := int64(1 + i%10)
		p.Terms = append(p.Terms, Term{Names: []string{clusters[i].Name}, Weight: &weight})
	}
	return p
}

func web(replicas int64) Object {
	return Object{Key: "apps/Deployment/shop/web", Mode: ModeDivide, HasReplicas: true, Replicas: replicas}
}

func BenchmarkDecide(b *testing.B) {
	for _, size := range []struct {
		clusters int
		replicas int64
	}{{3, 12}, {100, 10_000}, {1000, 1_000_000}} {
		clusters := fleet(size.clusters)
		in := Input{Object: web(size.replicas), Policy: weighted(clusters), Clusters: clusters}
		b.Run(fmt.Sprintf("first/%dx%d", size.clusters, size.replicas), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decide(in)
			}
		})
		again := in
		again.Previous = Decide(in).Assignments()
		again.Object.Replicas += size.replicas / 4
		b.Run(fmt.Sprintf("scaled/%dx%d", size.clusters, size.replicas), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decide(again)
			}
		})
		lost := in
		lost.Previous = again.Previous
		lost.Clusters = append([]Cluster(nil), clusters...)
		lost.Clusters[0].Ready, lost.Clusters[0].Since = false, time.Unix(1, 0)
		lost.Now = time.Unix(1000, 0)
		b.Run(fmt.Sprintf("lost/%dx%d", size.clusters, size.replicas), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decide(lost)
			}
		})
	}
}

// TestSmallDecisionsStayOnTheStack: but for the candidates and what is answered, the usual decision takes no memory. A
// function that the state of a decision is given to through a variable would put all of it on the heap.
func TestSmallDecisionsStayOnTheStack(t *testing.T) {
	clusters := fleet(3)
	in := Input{Object: web(12), Policy: weighted(clusters), Clusters: clusters}
	if n := testing.AllocsPerRun(100, func() { Decide(in) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkFilters has 1,000 clusters of which every filter rejects some, and six replicas.
func BenchmarkFilters(b *testing.B) {
	clusters := fleet(1000)
	api := API{"apps", "v1", "Deployment"}
	for i := range clusters {
		c := &clusters[i]
		c.APIs = map[API]bool{api: i%11 != 0}
		c.Free = []Room{{Resources{MilliCPU: int64(i%5) * 1000, Memory: 1 << 34, Pods: 100}, 1}}
		c.Cordoned = i%13 == 0
		if i%3 == 0 {
			c.Taints = []Taint{{Key: "gpu", Effect: NoSchedule}}
		}
	}
	terms, err := ParseClusters("(env=prod)=2,(team=shop)=1")
	if err != nil {
		b.Fatal(err)
	}
	in := Input{Object: web(6), Policy: Policy{Terms: terms}, Clusters: clusters}
	in.Object.API, in.Object.Requests = api, Resources{MilliCPU: 500, Memory: 1 << 30}
	b.Run("filter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var d deciding
			d.gather(&in)
			d.filter()
		}
	})
	b.Run("decide", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Decide(in)
		}
	})
}

func BenchmarkExpression(b *testing.B) {
	p, err := CompileSelector(`cluster.labels["env"] == "prod" && cluster.region.startsWith("region-")`)
	if err != nil {
		b.Fatal(err)
	}
	clusters := fleet(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Matches(&clusters[0]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSpread has two spreads, first with the usual bounds, then with a maximum of clusters, which is the hard one.
func BenchmarkSpread(b *testing.B) {
	two, three, ten := 2, 3, 10
	spreads := map[string][]Spread{
		"regions": {{By: "region", Min: &two, Max: &three}, {By: "provider", Min: &two}},
		"nested":  {{By: "cluster", Min: &ten}, {By: "region", Max: &three}},
		"count":   {{By: "cluster", Max: &ten}, {By: "region", Min: &three}},
		"both":    {{By: "cluster", Min: &ten, Max: &ten}, {By: "region", Max: &two}},
	}
	for _, n := range []int{12, 100} {
		for name, spread := range spreads {
			clusters := fleet(n)
			in := Input{Object: web(1000), Policy: weighted(clusters), Clusters: clusters}
			in.Policy.Spread = spread
			for i := range clusters {
				clusters[i].Free = []Room{{Resources{Pods: 150}, 1}}
			}
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					Decide(in)
				}
			})
		}
	}
}
