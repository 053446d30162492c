package kinds

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A Service of type LoadBalancer gets an address on the hub when every member has one for it, and not before: kstatus,
// and with it helm --wait and Flux, wait for the field.
func TestAssign(t *testing.T) {
	served := map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "198.51.100.7"}}}}
	waits := map[string]any{"loadBalancer": map[string]any{}}
	member := func(name string, status map[string]any) MemberStatus {
		return MemberStatus{Cluster: name, Known: true, Status: status}
	}
	lost := member("west", served)
	lost.Known = false
	given := map[string]any{"spec": map[string]any{
		"clusterIP": EverywhereIP, "clusterIPs": []any{EverywhereIP},
	}}
	for _, c := range []struct {
		what, template string
		members        []MemberStatus
		want           map[string]any
	}{
		{"served everywhere", "{type: LoadBalancer}", []MemberStatus{member("east", served), member("west", served)}, given},
		{"one waits", "{type: LoadBalancer}", []MemberStatus{member("east", served), member("west", waits)}, nil},
		{"one has not told", "{type: LoadBalancer}", []MemberStatus{member("east", served), member("west", nil)}, nil},
		{"one is lost", "{type: LoadBalancer}", []MemberStatus{member("east", served), lost}, nil},
		{"nowhere", "{type: LoadBalancer}", nil, nil},
		{"has it", "{type: LoadBalancer, clusterIP: 240.0.0.1}", []MemberStatus{member("east", served)}, nil},
		{"inside the clusters", "{type: ClusterIP}", []MemberStatus{member("east", waits)}, nil},
	} {
		template := object(t, "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: "+c.template+"}")
		if diff := cmp.Diff(c.want, Of(template).Assign(template, c.members, noon)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}
