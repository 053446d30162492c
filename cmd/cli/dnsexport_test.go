package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

func TestExportZone(t *testing.T) {
	zones := []v1alpha1.Zone{{ObjectMeta: metav1.ObjectMeta{Name: "example.org"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "shop.example.org"}}}
	zones[0].Spec.TTL = 300
	zones[0].Spec.Records = []v1alpha1.Record{{Name: "@", Type: "TXT", Values: []string{`"hello"`}}}
	gs := v1alpha1.GlobalService{}
	gs.Spec.TTL = 30
	gs.Status.Hostnames = []string{"web.example.org", "web.shop.example.org"}
	gs.Status.Clusters = []v1alpha1.GlobalServiceCluster{
		{Name: "east", Addresses: []string{"10.0.0.1", "2001:db8::1"}, Weight: 2, Share: "66.7%"},
		{Name: "west", Addresses: []string{"10.0.0.2"}, Weight: 1, Share: "33.3%"},
		{Name: "south", Addresses: []string{"10.0.0.3"}, Share: "0.0%"},
		{Name: "cloud", Addresses: []string{"lb.example.net"}, Weight: 1, Share: "1.0%"},
	}
	for _, row := range []struct {
		weighted bool
		want     string
	}{
		{false, `apiVersion: externaldns.k8s.io/v1alpha1
kind: DNSEndpoint
metadata:
  name: example.org
spec:
  endpoints:
  - dnsName: example.org
    recordTTL: 300
    recordType: TXT
    targets:
    - '"hello"'
  - dnsName: web.example.org
    recordTTL: 30
    recordType: A
    targets:
    - 10.0.0.1
    - 10.0.0.2
  - dnsName: web.example.org
    recordTTL: 30
    recordType: AAAA
    targets:
    - 2001:db8::1
`},
		{true, `apiVersion: externaldns.k8s.io/v1alpha1
kind: DNSEndpoint
metadata:
  name: example.org
spec:
  endpoints:
  - dnsName: example.org
    recordTTL: 300
    recordType: TXT
    targets:
    - '"hello"'
  - dnsName: web.example.org
    providerSpecific:
    - name: aws/weight
      value: "2"
    recordTTL: 30
    recordType: A
    setIdentifier: east
    targets:
    - 10.0.0.1
  - dnsName: web.example.org
    providerSpecific:
    - name: aws/weight
      value: "1"
    recordTTL: 30
    recordType: A
    setIdentifier: west
    targets:
    - 10.0.0.2
  - dnsName: web.example.org
    providerSpecific:
    - name: aws/weight
      value: "2"
    recordTTL: 30
    recordType: AAAA
    setIdentifier: east
    targets:
    - 2001:db8::1
`},
	} {
		got, err := yaml.Marshal(exportZone(&zones[0], zones, []v1alpha1.GlobalService{gs}, row.weighted))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, string(got)); diff != "" {
			t.Errorf("weighted %t (-want +got):\n%s", row.weighted, diff)
		}
	}
}

// The command reads the hub with the client that all commands have.
func TestExportReadsTheHub(t *testing.T) {
	var zones v1alpha1.ZoneList
	zones.APIVersion, zones.Kind = "hanse.io/v1alpha1", "ZoneList"
	zones.Items = []v1alpha1.Zone{{ObjectMeta: metav1.ObjectMeta{Name: "example.org"}}}
	var services v1alpha1.GlobalServiceList
	services.APIVersion, services.Kind = "hanse.io/v1alpha1", "GlobalServiceList"
	gs := v1alpha1.GlobalService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	gs.Status.Hostnames = []string{"web.example.org"}
	gs.Status.Clusters = []v1alpha1.GlobalServiceCluster{{Name: "east", Addresses: []string{"10.0.0.1"}, Share: "100.0%"}}
	services.Items = []v1alpha1.GlobalService{gs}
	path := hubAnswering(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch req.URL.Path {
		case "/apis/hanse.io/v1alpha1/zones":
			_ = json.NewEncoder(w).Encode(zones)
		case "/apis/hanse.io/v1alpha1/globalservices":
			_ = json.NewEncoder(w).Encode(services)
		default:
			http.NotFound(w, req)
		}
	})
	code, stdout, stderr := hanse(t, "", "dns", "export", "example.org.", "--kubeconfig", path)
	if code != 0 || !strings.Contains(stdout, "dnsName: web.example.org") || !strings.Contains(stdout, "- 10.0.0.1") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}
