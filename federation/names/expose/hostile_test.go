package expose

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// exported is a hub with two zones, and with objects of namespace shop in both.
func exported(t *testing.T) *stage {
	t.Helper()
	s := newStage()
	for _, line := range []string{
		"zone example.org {default: true, records: [{name: '*.apps', type: A, values: [192.0.2.80]}]}",
		"zone clusterset.local {}",
		"cluster east", "cluster west",
		"template {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{name: http, port: 80}]}}",
		"template {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {labels: {app: web}}}}}",
		"at Service/web east=10.0.0.1 west=10.0.0.2",
		"runs Deployment/web east=4/4 west=2/2",
		"global web {service: web, https: {alpn: [h2]}}",
		"template {apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceImport, metadata: {name: web}, spec: " +
			"{type: ClusterSetIP, ips: [10.7.0.1], ports: [{name: http, port: 80}]}}",
		"template {apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceImport, metadata: {name: db}, spec: {type: Headless}}",
		"slice {metadata: {labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: " +
			"east}}, addressType: IPv4, endpoints: [{addresses: [10.1.0.1], hostname: db-0}], ports: [{name: sql, port: 5432}]}",
	} {
		if err := s.Obey(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return s
}

// answersOf compiles what is served, and gives all that is answered of one namespace.
func answersOf(t *testing.T, w world, namespace string) []string {
	t.Helper()
	p := build(w)
	for name, problem := range p.problems {
		t.Fatalf("zone %s is not served: %v", name, problem)
	}
	snapshot, err := zone.Build(zone.Config{Seed: 1, Zones: p.zones})
	if err != nil {
		t.Fatalf("the snapshot cannot be built: %v", err)
	}
	var answers []string
	for _, tree := range snapshot.Trees() {
		for name, node := range tree.Names {
			if !strings.Contains(name.String(), "."+namespace+".") {
				continue
			}
			for i := range node.RRsets() {
				answers = append(answers, zone.Lines(name, &node.RRsets()[i])...)
			}
			if b := node.Balanced(); b != nil {
				answers = append(answers, fmt.Sprintf("%s %+v", name, *b.Service(name.String())))
			}
		}
	}
	slices.Sort(answers)
	return answers
}

// TestOneNamespaceNeverHurtsAnother: whatever objects one namespace has, the answers of another stay.
func TestOneNamespaceNeverHurtsAnother(t *testing.T) {
	want := answersOf(t, exported(t).world(), "shop")
	if len(want) < 12 {
		t.Fatalf("only %d answers", len(want))
	}
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 17))
		s := exported(t)
		w := s.world()
		hostile(rng, &w)
		if diff := cmp.Diff(want, answersOf(t, w, "shop")); diff != "" {
			t.Fatalf("seed %d: the answers of another namespace change (-want +got):\n%s", seed, diff)
		}
	}
}

// hostile adds random objects of namespace evil to a world.
func hostile(rng *rand.Rand, w *world) {
	for i := range rng.IntN(8) {
		gs := v1alpha1.GlobalService{ObjectMeta: metav1.ObjectMeta{Namespace: "evil", Name: anyName(rng)}}
		gs.UID, gs.CreationTimestamp = "evil", metav1.NewTime(time.Unix(int64(1e9)+int64(i), 0))
		gs.Spec = v1alpha1.GlobalServiceSpec{
			Policy: "Weighted", TTL: int32(rng.IntN(3)), Weights: "Fixed", MinHealthy: pick(rng, "0%", "50%", "", "x", "-1%"),
			Answer: pick(rng, "Staircase", "Single", "All", "None"), HTTPS: pick(rng, nil, &v1alpha1.HTTPSBinding{ALPN: []string{"h2", "\""}}),
			FixedWeights: []v1alpha1.ClusterWeight{{Cluster: "east", Weight: rng.Int64N(1 << 40)}},
		}
		for range rng.IntN(3) {
			gs.Spec.Addresses = append(gs.Spec.Addresses, v1alpha1.ClusterAddresses{
				Cluster:  pick(rng, "east", "west", "EAST", ""),
				IPs:      pick(rng, nil, []string{"10.6.6.6"}, []string{"x", "10.6.6.6", "10.6.6.6", "::ffff:10.6.6.6"}),
				Hostname: pick(rng, "", "lb.example.net", "..", "web.shop.example.org"),
			})
		}
		for range rng.IntN(4) {
			gs.Spec.Hostnames = append(gs.Spec.Hostnames, anyName(rng)+pick(rng, ".evil.example.org", ".example.org",
				".evil.svc.clusterset.local", ".clusterset.local", "", ".apps.example.org"))
		}
		w.services = append(w.services, gs)
	}
	var objects []*unstructured.Unstructured
	for range rng.IntN(8) {
		obj := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
			"type": pick(rng, "Headless", "ClusterSetIP", ""),
			"ips":  []any{"10.7.7.7", "10.7.7.7", "", "fd00::1"},
			"ports": []any{
				map[string]any{"name": anyName(rng), "port": int64(rng.IntN(70000)), "protocol": pick(rng, "TCP", "udp", "", "*")},
				map[string]any{"port": int64(80)}, "none",
			},
		}}}
		obj.SetAPIVersion("multicluster.x-k8s.io/v1alpha1")
		obj.SetKind("ServiceImport")
		obj.SetNamespace("evil")
		obj.SetName(anyName(rng))
		objects = append(objects, obj)
		for range rng.IntN(3) {
			w.slices = append(w.slices, anySlice(rng, obj.GetName()))
		}
	}
	others := w.imported
	w.imported = func(visit func(*unstructured.Unstructured)) {
		for _, obj := range objects {
			visit(obj)
		}
		others(visit)
	}
}

func anySlice(rng *rand.Rand, service string) discoveryv1.EndpointSlice {
	slice := discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "evil", Labels: map[string]string{
		importedServiceLabel: service, sourceClusterLabel: pick(rng, "east", "East", "a.b", "", strings.Repeat("c", 63)),
	}}}
	for range rng.IntN(4) {
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{
			Name: pick(rng, nil, ptr.To(""), ptr.To(anyName(rng))), Port: pick(rng, nil, ptr.To(rng.Int32N(70000))),
		})
	}
	for i := range rng.IntN(5) * rng.IntN(300) {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.8.%d.%d", i/250, i%250)},
			Hostname:  pick(rng, nil, ptr.To(anyName(rng))),
		})
	}
	return slice
}

// anyName is a label, or something that is to stand for one.
func anyName(rng *rand.Rand) string {
	return pick(rng, "a", "A", "b", "*", "@", "web", "_http._tcp.a", "_tcp", "ns1", "dns-version", "x y", `a\046b`, `\`, "", "é", "a.b",
		"svc", "c", "east.c", strings.Repeat("n", 63), strings.Repeat("n", 62), strings.Repeat("l.", 100)+"l", "$", `"`, ";")
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// TestManyEndpoints: a service with more endpoints than fit an answer, and one with names that are too long, are answered
// as far as that goes, and say so; the others are answered.
func TestManyEndpoints(t *testing.T) {
	s := exported(t)
	want := answersOf(t, s.world(), "shop")
	long := strings.Repeat("s", 63)
	w := s.world()
	evil := w.imported
	w.imported = func(visit func(*unstructured.Unstructured)) {
		evil(visit)
		for _, name := range []string{"big", long} {
			obj := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"type": "Headless"}}}
			obj.SetKind("ServiceImport")
			obj.SetNamespace(strings.Repeat("n", 63))
			obj.SetName(name)
			visit(obj)
		}
	}
	ports := []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(80))}, {Name: ptr.To("m"), Port: ptr.To(int32(91))}}
	for c, cluster := range []string{"east", "west"} {
		slice := discoveryv1.EndpointSlice{Ports: ports, ObjectMeta: metav1.ObjectMeta{
			Namespace: strings.Repeat("n", 63), Labels: map[string]string{importedServiceLabel: "big", sourceClusterLabel: cluster},
		}}
		for i := range 500 {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.%d.%d.%d", c+1, i/250, i%250)}})
		}
		w.slices = append(w.slices, slice)
	}
	w.slices = append(w.slices, discoveryv1.EndpointSlice{Ports: ports, ObjectMeta: metav1.ObjectMeta{
		Namespace: strings.Repeat("n", 63), Labels: map[string]string{importedServiceLabel: long, sourceClusterLabel: strings.Repeat("c", 63)},
	}, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.9.0.1"}, Hostname: ptr.To(strings.Repeat("h", 63))}}})
	if diff := cmp.Diff(want, answersOf(t, w, "shop")); diff != "" {
		t.Errorf("the answers of another namespace change (-want +got):\n%s", diff)
	}
	p := build(w)
	snapshot, err := zone.Build(zone.Config{Zones: p.zones})
	if err != nil {
		t.Fatal(err)
	}
	tree := snapshot.Tree("\x0aclusterset\x05local\x00")
	at := func(name string) wire.Name {
		n, err := wire.ParseName(name+"."+strings.Repeat("n", 63)+".svc.clusterset.local.", wire.Root)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	big := tree.Node([]byte(at("big")))
	addresses, srv := big.RRset(wire.TypeA), big.RRset(wire.TypeSRV)
	if addresses.Count < 100 || addresses.Count >= 1000 || srv.Count != 2*addresses.Count {
		t.Errorf("%d addresses and %d SRV records are answered of 1000 endpoints with two ports", addresses.Count, srv.Count)
	}
	clusters := map[string]int{}
	for _, text := range zone.Texts(addresses) {
		clusters[text[:4]]++
	}
	if clusters["10.1"]-clusters["10.2"] > 1 || clusters["10.2"]-clusters["10.1"] > 1 {
		t.Errorf("the clusters have unequal parts of the answer: %v", clusters)
	}
	if own := tree.Node([]byte(at("10-2-1-249.west.big"))); own == nil || own.RRset(wire.TypeA) == nil {
		t.Error("an endpoint that does not fit the answer has no name of its own")
	}
	if node := tree.Node([]byte(at(long))); node == nil || node.RRset(wire.TypeA) == nil || node.RRset(wire.TypeSRV) != nil {
		t.Error("the service whose endpoints have names that are too long is not answered by address alone")
	}
	var said []string
	for _, u := range p.unserved {
		said = append(said, u.object.GetName()[:3]+": "+u.why[:min(len(u.why), 40)])
	}
	if len(said) != 2 || !strings.HasPrefix(said[1], "sss: endpoint 10.9.0.1: ") || !strings.Contains(said[0], "of 1000 endpoints do not") {
		t.Errorf("it is said: %q", said)
	}
}

// TestManyConflictsAreQuick: thousands of names that cannot be served delay nobody.
func TestManyConflictsAreQuick(t *testing.T) {
	s := exported(t)
	w := s.world()
	for i := range 2000 {
		gs := v1alpha1.GlobalService{ObjectMeta: metav1.ObjectMeta{Namespace: "evil", Name: fmt.Sprint("g", i)}}
		gs.Spec.Addresses = []v1alpha1.ClusterAddresses{{Cluster: "a", IPs: []string{"10.6.6.6"}}}
		gs.Spec.Hostnames = []string{fmt.Sprintf("%s%d.example.org", strings.Repeat("x", 70), i)}
		w.services = append(w.services, gs)
	}
	began := time.Now()
	answersOf(t, w, "shop")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a snapshot with 2000 names that cannot be served takes %s", took)
	}
}
