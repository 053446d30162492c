package kinds

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wishes are the fields that a member allocates unless the user says them: sent as the template sets them, and nothing of
// them is sent if it does not, so that what the member has stays.
var wishes = []struct{ object, path, value string }{
	{"{apiVersion: v1, kind: PersistentVolumeClaim, spec: {accessModes: [ReadWriteOnce]}}", "spec.volumeName", "data-a"},
	{"{apiVersion: v1, kind: PersistentVolumeClaim, spec: {accessModes: [ReadWriteOnce]}}", "spec.storageClassName", "fast"},
	{"{apiVersion: v1, kind: PersistentVolume, spec: {capacity: {storage: 1Gi}}}", "spec.claimRef", "{name: mine, namespace: c}"},
	{"{apiVersion: v1, kind: Pod, spec: {containers: [{name: c}]}}", "spec.nodeName", "n1"},
	{"{apiVersion: v1, kind: Service, spec: {type: ClusterIP}}", "spec.clusterIP", "10.0.0.7"},
	{"{apiVersion: v1, kind: Service, spec: {type: ClusterIP}}", "spec.clusterIPs", "[10.0.0.7]"},
	{"{apiVersion: v1, kind: Service, spec: {type: ClusterIP}}", "spec.ipFamilies", "[IPv4]"},
	{"{apiVersion: v1, kind: Service, spec: {type: ClusterIP}}", "spec.ipFamilyPolicy", "PreferDualStack"},
	{"{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}}", "spec.healthCheckNodePort", "31234"},
	{"{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}}", "spec.loadBalancerIP", "192.0.2.1"},
	{"{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}}", "spec.loadBalancerClass", "example.org/lb"},
	{"{apiVersion: v1, kind: Service, spec: {type: NodePort}}", "spec.ports", "[{port: 80, nodePort: 30500}]"},
}

func TestWishesAreSentAndAllocationsStay(t *testing.T) {
	for _, w := range wishes {
		path := splitPath(w.path)
		without := object(t, w.object)
		sent, err := Of(without).Render(without, Share{Cluster: "east"})
		if err != nil {
			t.Fatal(err)
		}
		if value, set := at(sent.Object, path...); set {
			t.Errorf("%s %s: %v is sent, and the template says nothing", without.GetKind(), w.path, value)
		}
		with := object(t, w.object)
		want := fields(t, "value: "+w.value)["value"]
		if err := setAt(with.Object, want, path...); err != nil {
			t.Fatal(err)
		}
		if sent, err = Of(with).Render(with, Share{Cluster: "east"}); err != nil {
			t.Fatal(err)
		}
		got, _ := at(sent.Object, path...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s (-want +sent):\n%s", with.GetKind(), w.path, diff)
		}
	}
}
