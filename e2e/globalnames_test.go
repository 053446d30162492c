package e2e

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/e2e/harness"
)

// hubForNames is a hub without members, and a function that applies manifests to it.
func hubForNames(t *testing.T, flags ...string) (*harness.Hub, func(manifest string)) {
	t.Helper()
	hub, err := harness.StartHub(t.Context(), harness.HubOptions{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := hub.Close(); err != nil {
			t.Error(err)
		}
	})
	return hub, func(manifest string) {
		t.Helper()
		if r, err := hub.Kubectl(t.Context(), manifest, "apply", "-f", "-"); err != nil || r.Code != 0 {
			t.Fatal(err, r)
		}
	}
}

// told waits until a name is answered with exactly these data, in any order.
func told(t *testing.T, server, name string, kind uint16, wanted ...string) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("%s %s is %v", name, dns.TypeToString[kind], wanted), func() error {
		answer, err := harness.Ask(server, name, kind)
		if err != nil {
			return err
		}
		var got []string
		for _, rr := range answer.Answer {
			got = append(got, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		slices.Sort(got)
		slices.Sort(wanted)
		if answer.Rcode != dns.RcodeSuccess || !slices.Equal(got, wanted) {
			return fmt.Errorf("%s %v", dns.RcodeToString[answer.Rcode], got)
		}
		return nil
	})
}

// Every way to get a name: by itself, by its cluster and region, at the apex, by annotations, from other clusters.
func TestNamesOfAGlobalService(t *testing.T) {
	t.Parallel()
	hub, apply := hubForNames(t)
	apply(`
apiVersion: hanse.io/v1alpha1
kind: Zone
metadata: {name: names.example}
spec:
  default: true
  records: [{name: note, type: TXT, values: ['"hello"']}]
---
apiVersion: hanse.io/v1alpha1
kind: Cluster
metadata: {name: east}
spec: {region: eu-1, connection: {server: "https://127.0.0.1:1", credentials: {secretName: east}}}
---
apiVersion: hanse.io/v1alpha1
kind: Cluster
metadata: {name: west}
spec: {region: us-1, connection: {server: "https://127.0.0.1:1", credentials: {secretName: west}}}
---
apiVersion: hanse.io/v1alpha1
kind: GlobalService
metadata: {name: web, namespace: default}
spec:
  answer: All
  staleAfter: 1h
  addresses: [{cluster: east, ips: [10.0.0.1]}, {cluster: west, ips: [10.0.0.2]}]
---
apiVersion: hanse.io/v1alpha1
kind: GlobalService
metadata: {name: www, namespace: default}
spec: {hostnames: [www.names.example], addresses: [{cluster: lb, hostname: lb.example.net}]}
---
apiVersion: v1
kind: Service
metadata:
  name: annotated
  namespace: default
  annotations:
    external-dns.kubernetes.io/hostname: a.names.example,elsewhere.example
    external-dns.kubernetes.io/target: 192.0.2.1
    external-dns.kubernetes.io/ttl: 2m
spec: {ports: [{port: 80}]}`)
	told(t, hub.DNS, "web.default.names.example", dns.TypeA, "10.0.0.1", "10.0.0.2")
	told(t, hub.DNS, "web.default.east.c.names.example", dns.TypeA, "10.0.0.1")
	told(t, hub.DNS, "web.default.us-1.r.names.example", dns.TypeA, "10.0.0.2")
	told(t, hub.DNS, "web.default.us-1.r.names.example", dns.TypeAAAA)
	told(t, hub.DNS, "us-1.r.names.example", dns.TypeA) // it exists, for what is below it
	told(t, hub.DNS, "note.names.example", dns.TypeTXT, `"hello"`)
	told(t, hub.DNS, "www.names.example", dns.TypeCNAME, "lb.example.net.")
	told(t, hub.DNS, "a.names.example", dns.TypeA, "192.0.2.1")

	// The annotation goes, and with it the name.
	r, err := hub.Kubectl(t.Context(), "", "annotate", "service", "annotated", "external-dns.kubernetes.io/hostname-")
	if err != nil || r.Code != 0 {
		t.Fatal(err, r)
	}
	harness.Eventually(t, "a.names.example is gone", func() error {
		answer, err := harness.Ask(hub.DNS, "a.names.example", dns.TypeA)
		if err == nil && answer.Rcode != dns.RcodeNameError {
			err = fmt.Errorf("%s", answer)
		}
		return err
	})
	exportedNames(t, hub, apply)
}

// exportedNames are those of multicluster DNS, from the objects that its specification names.
func exportedNames(t *testing.T, hub *harness.Hub, apply func(string)) {
	t.Helper()
	apply(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: serviceimports.multicluster.x-k8s.io
  annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes-sigs/mcs-api"}
spec:
  group: multicluster.x-k8s.io
  names: {kind: ServiceImport, plural: serviceimports, singular: serviceimport, shortNames: [svcim]}
  scope: Namespaced
  versions:
  - {name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}`)
	harness.Eventually(t, "ServiceImports are served", func() error {
		r, err := hub.Kubectl(t.Context(), "", "get", "serviceimports", "-A")
		if err == nil && r.Code != 0 {
			err = fmt.Errorf("%s", r.Stderr)
		}
		return err
	})
	apply(`
apiVersion: hanse.io/v1alpha1
kind: Zone
metadata: {name: clusterset.local}
spec: {}
---
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata: {name: web, namespace: default}
spec: {type: ClusterSetIP, ips: [10.7.0.1], ports: [{name: http, port: 80}]}
---
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata: {name: db, namespace: default}
spec: {type: Headless, ports: [{name: sql, port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: db-east
  namespace: default
  labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: east}
addressType: IPv4
endpoints: [{addresses: [10.1.0.1], hostname: db-0}, {addresses: [10.1.0.3], conditions: {ready: false}}]
ports: [{name: sql, port: 5432}]`)
	told(t, hub.DNS, "web.default.svc.clusterset.local", dns.TypeA, "10.7.0.1")
	told(t, hub.DNS, "_http._tcp.web.default.svc.clusterset.local", dns.TypeSRV, "0 50 80 web.default.svc.clusterset.local.")
	told(t, hub.DNS, "db.default.svc.clusterset.local", dns.TypeA, "10.1.0.1")
	told(t, hub.DNS, "db.default.svc.clusterset.local", dns.TypeSRV, "0 50 5432 db-0.east.db.default.svc.clusterset.local.")
	told(t, hub.DNS, "db-0.east.db.default.svc.clusterset.local", dns.TypeA, "10.1.0.1")
	told(t, hub.DNS, "east.db.default.svc.clusterset.local", dns.TypeA) // no record, and it exists
	told(t, hub.DNS, "dns-version.clusterset.local", dns.TypeTXT, `"1.0.0"`)
}

// Who is near is answered what is near; what the hub cannot reach is not answered.
func TestNearestAndProbed(t *testing.T) {
	t.Parallel()
	hub, apply := hubForNames(t, "--probe-networks", "127.0.0.0/8")
	alive, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	port := alive.Addr().(*net.TCPAddr).Port
	apply(fmt.Sprintf(`
apiVersion: hanse.io/v1alpha1
kind: Zone
metadata: {name: near.example}
spec:
  default: true
  clientSubnet: true
  networks: [{cidr: 203.0.113.0/24, region: eu-1}, {cidr: 198.51.100.0/24, region: us-1}]
---
apiVersion: hanse.io/v1alpha1
kind: Cluster
metadata: {name: east}
spec: {region: eu-1, connection: {server: "https://127.0.0.1:1", credentials: {secretName: east}}}
---
apiVersion: hanse.io/v1alpha1
kind: Cluster
metadata: {name: west}
spec: {region: us-1, connection: {server: "https://127.0.0.1:1", credentials: {secretName: west}}}
---
apiVersion: hanse.io/v1alpha1
kind: GlobalService
metadata: {name: web, namespace: default}
spec:
  policy: Nearest
  answer: All
  staleAfter: 1h
  addresses: [{cluster: east, ips: [10.0.0.1]}, {cluster: west, ips: [10.0.0.2]}]
---
apiVersion: hanse.io/v1alpha1
kind: GlobalService
metadata: {name: probed, namespace: default}
spec:
  probe: {tcp: {port: %d}, interval: 1s, failures: 2, successes: 2}
  staleAfter: 1h
  addresses: [{cluster: east, ips: [127.0.0.1]}, {cluster: west, ips: [127.0.0.2]}]`, port))
	for from, wanted := range map[string]string{
		"203.0.113.9": "10.0.0.1", "198.51.100.9": "10.0.0.2", "192.0.2.9": "10.0.0.1 10.0.0.2",
	} {
		harness.Eventually(t, from+" is answered "+wanted, func() error {
			r, err := hub.Hanse(t.Context(), "dns", "lookup", "web.default.near.example", "--server", hub.DNS, "--from", from,
				"-o", "name")
			if err != nil {
				return err
			}
			got := strings.Fields(r.Stdout)
			slices.Sort(got)
			if strings.Join(got, " ") != wanted {
				return fmt.Errorf("it is answered %v; %s", got, r.Stderr)
			}
			return nil
		})
	}
	told(t, hub.DNS, "probed.default.near.example", dns.TypeA, "127.0.0.1")
	r, err := hub.Kubectl(t.Context(), "", "get", "globalservice", "probed", "-o", "jsonpath={.status.clusters[1].reason}")
	if err != nil || !strings.Contains(r.Stdout, "probes fail") {
		t.Errorf("the status does not say why: %v %s", err, r)
	}
	second, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	told(t, hub.DNS, "probed.default.near.example", dns.TypeA, "127.0.0.1", "127.0.0.2")
}
