package e2e

import (
	"os"
	"strings"
	"testing"

	"k8s.io/client-go/discovery"

	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// A fleet is never of one version. E2E_SKEW names a release that one of two members runs, such as v1.36.3; it takes long
// to build, so without the variable there is no such member.
func TestMembersOfTwoVersions(t *testing.T) {
	version := os.Getenv("E2E_SKEW")
	if version == "" {
		t.Skip("E2E_SKEW names no older release; go run ./cmd/clusters build v1.36.3 builds one")
	}
	s := own(t, harness.HubOptions{})
	for name, options := range map[string]cluster.Options{
		"newer": {Controllers: true, Nodes: 1},
		"older": {Controllers: true, Nodes: 1, Version: version},
	} {
		m, err := harness.NewMember(t.Context(), name, options)
		s.must(err)
		t.Cleanup(func() { _ = m.Delete() })
		s.members = append(s.members, m)
	}
	s.must(harness.JoinAll(t.Context(), s.hub, s.members, "--impersonate", "all"))
	for _, m := range s.members {
		client, err := discovery.NewDiscoveryClientForConfig(m.Clients.Config)
		s.must(err)
		info, err := client.ServerVersion()
		s.must(err)
		if isOlder := info.GitVersion == version; isOlder != (m.Name() == "older") {
			t.Fatalf("%s runs %s", m.Name(), info.GitVersion)
		}
	}
	s.apply(deployment("web", 6), loadBalancer("web"), configMap("settings", "a", "b"),
		placement("web", []string{"Deployment/web", "Service/web", "ConfigMap/settings"}, []string{"newer=2", "older=1"}))
	s.kubectl("", "rollout", "status", "deployment/web", "--timeout=90s")
	s.awaitShares("web", shares{"newer": 4, "older": 2})
	s.kubectl("", "scale", "deployment/web", "--replicas=3")
	s.awaitShares("web", shares{"newer": 2, "older": 1})
	r, err := s.hub.Hanse(t.Context(), "get", "pods", "-n", s.ns)
	s.must(err)
	if r.Code != 0 || strings.Count(r.Stdout, "older ") != 1 || strings.Count(r.Stdout, "newer ") != 2 {
		t.Errorf("hanse get pods: %s", r)
	}
	before := s.awaitQuiet() // and neither fights over what the other version adds
	copies := s.copies()
	s.must(s.hub.Kill())
	s.must(s.hub.Start(t.Context()))
	after := s.awaitQuiet()
	if difference := changes(copies, s.copies()); difference != "" {
		t.Errorf("a restart changed in the members:\n%s", difference)
	}
	t.Logf("revision %d before, %d after the restart", before.Revision, after.Revision)
}
