package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/e2e/harness"
)

// leader is who holds the Lease of the controllers.
func leader(s *scenario) (string, error) {
	lease := &coordinationv1.Lease{}
	err := s.hub.Client.Get(s.Context(), client.ObjectKey{Namespace: "hanse-system", Name: "hanse-controllers"}, lease)
	if err != nil {
		return "", err
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return "", fmt.Errorf("nobody holds the Lease")
	}
	return *lease.Spec.HolderIdentity, nil
}

// Two replicas of a hub on one etcd, with the same certificates: both serve, one works, and when that one is killed the
// other goes on with its work. Members are reached through either.
func TestTwoReplicas(t *testing.T) {
	etcd, err := harness.StartEtcd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = etcd.Close() })
	options := harness.HubOptions{Flags: []string{"--etcd-endpoints", etcd.URL}}
	s := own(t, options, "delta")
	s.must(harness.Join(t.Context(), s.hub, s.member("delta"), "--renew", "--impersonate", "all"))
	first, err := leader(s)
	s.must(err)

	dir := t.TempDir() // on a machine of its own: the certificates are copied, the state is in etcd
	s.must(os.CopyFS(filepath.Join(dir, "pki"), os.DirFS(filepath.Join(s.hub.DataDir(), "pki"))))
	second, err := harness.StartHub(t.Context(), harness.HubOptions{DataDir: dir, Flags: options.Flags})
	s.must(err)
	t.Cleanup(func() { _ = second.Close() })

	// What is written to one is read from the other, and the one that leads carries it out.
	s.must(second.Client.Create(t.Context(), annotated(s.ns, "by-the-second", "delta=1")))
	awaitThere[corev1.ConfigMap](s, "by-the-second", "delta")
	if now, err := leader(s); err != nil || now != first {
		t.Errorf("the second replica took the Lease: %s, was %s (%v)", now, first, err)
	}
	for _, hub := range []*harness.Hub{s.hub, second} {
		s.eventually("the member is reached through "+hub.URL, func() error { // each replica connects by itself
			r, err := hub.Kubectl(t.Context(), "", "--server", hub.URL+"/clusters/delta", "-n", s.ns, "get", "configmap/by-the-second")
			if err == nil && r.Code != 0 {
				err = fmt.Errorf("%s", r)
			}
			return err
		})
	}

	s.must(s.hub.Kill())
	leading := s.hub
	s.hub = second
	s.must(s.hub.Client.Create(t.Context(), annotated(s.ns, "after-the-kill", "delta=1")))
	awaitThere[corev1.ConfigMap](s, "after-the-kill", "delta")
	s.eventually("the second leads", func() error {
		now, err := leader(s)
		if err == nil && now == first {
			err = fmt.Errorf("%s still holds the Lease", now)
		}
		return err
	})
	s.must(leading.Start(t.Context()))
	s.must(leading.Client.Create(t.Context(), annotated(s.ns, "by-the-one-that-is-back", "delta=1")))
	awaitThere[corev1.ConfigMap](s, "by-the-one-that-is-back", "delta")
}
