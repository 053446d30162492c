package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// replicas are several hubs on one etcd.
type replicas struct {
	*scenario
	hubs []*harness.Hub
}

func threeHubs(t *testing.T, member string) *replicas {
	t.Helper()
	etcd, err := harness.StartEtcd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = etcd.Close() })
	r := &replicas{}
	for range 3 {
		hub, err := harness.StartHub(t.Context(), harness.HubOptions{Flags: []string{"--etcd-endpoints", etcd.URL}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = hub.Close() })
		r.hubs = append(r.hubs, hub)
	}
	r.scenario = &scenario{T: t, federation: &federation{hub: r.hubs[0]}, ns: namespaceOf(t)}
	r.members, err = harness.NewMembers(t.Context(), cluster.Options{}, member)
	r.must(err)
	t.Cleanup(func() { _ = r.members[0].Delete() })
	r.must(harness.JoinAll(t.Context(), r.hub, r.members))
	r.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.ns}})
	r.awaitMembers()
	return r
}

// acting finds the hub that the Lease names, by its process, and another one.
func (r *replicas) acting() (acting, other *harness.Hub) {
	r.Helper()
	r.eventually("a hub acts", func() error {
		for _, asked := range r.hubs {
			if asked.Process().Ended() {
				continue
			}
			ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
			lease := &coordinationv1.Lease{}
			err := asked.Client.Get(ctx, client.ObjectKey{Namespace: v1alpha1.SystemNamespace, Name: "hanse-controllers"}, lease)
			cancel()
			if err != nil || lease.Spec.HolderIdentity == nil {
				continue
			}
			for _, h := range r.hubs {
				if strings.Contains(*lease.Spec.HolderIdentity, fmt.Sprintf("_%d_", h.Process().PID())) && !h.Process().Ended() {
					acting = h
				} else if !h.Process().Ended() {
					other = h
				}
			}
			if acting != nil && other != nil {
				return nil
			}
		}
		return fmt.Errorf("none of %d does", len(r.hubs))
	})
	return acting, other
}

// An acting hub that is frozen for longer than its Lease lasts, and goes on beside its successor, writes nothing to a
// member any more: what was changed stays changed, and what was deleted stays deleted.
func TestTheActingHubIsPaused(t *testing.T) {
	r := threeHubs(t, "delta")
	const objects = 60
	name := func(i int) string { return fmt.Sprintf("object-%03d", i) }
	for i := range objects {
		r.create(annotated(r.ns, name(i), "delta=1"))
	}
	r.eventually("all are in the member", func() error { return r.hasCopies(objects, "") })

	acting, other := r.acting()
	r.must(acting.Process().Signal(syscall.SIGSTOP))
	paused := time.Now()
	changed := 0
	for i := range objects {
		key := client.ObjectKey{Namespace: r.ns, Name: name(i)}
		obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: key.Name}}
		if i%2 == 0 {
			r.must(other.Client.Delete(t.Context(), obj))
			continue
		}
		changed++
		r.must(other.Client.Patch(t.Context(), obj, client.RawPatch("application/merge-patch+json", []byte(`{"data":{"value":"new"}}`))))
	}
	r.eventually("the successor has brought the changes", func() error { return r.hasCopies(changed, "new") })
	t.Logf("the successor has brought all %s after the pause began", time.Since(paused).Round(100*time.Millisecond))
	r.must(acting.Process().Signal(syscall.SIGCONT))
	for begin := time.Now(); time.Since(begin) < 15*time.Second; time.Sleep(100 * time.Millisecond) {
		if err := r.hasCopies(changed, "new"); err != nil {
			t.Fatalf("%s after it went on: %v", time.Since(begin).Round(time.Millisecond), err)
		}
	}
}

// hasCopies says whether the member has so many copies, all with a value.
func (r *replicas) hasCopies(count int, value string) error {
	var copies corev1.ConfigMapList
	err := r.members[0].Client.List(r.Context(), &copies, client.InNamespace(r.ns), client.HasLabels{v1alpha1.HubLabel})
	if err != nil {
		return err
	}
	if len(copies.Items) != count {
		return fmt.Errorf("there are %d copies, want %d", len(copies.Items), count)
	}
	for _, c := range copies.Items {
		if value != "" && c.Data["value"] != value {
			return fmt.Errorf("%s is %v", c.Name, c.Data)
		}
	}
	return nil
}

// takeover is how long members may wait for a hub after the acting one was killed.
const takeover = 5 * time.Second

// When the acting hub is killed, another one writes to members within seconds; when it ends in order, at once.
func TestAnotherHubTakesOver(t *testing.T) {
	r := threeHubs(t, "epsilon")
	for i, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		acting, other := r.acting()
		name := fmt.Sprintf("object-%d", i)
		r.must(other.Client.Create(t.Context(), annotated(r.ns, name+"-before", "epsilon=1")))
		r.eventually("it is in the member", func() error { return r.isThere(name + "-before") })
		begin := time.Now()
		if end == syscall.SIGKILL {
			r.must(acting.Kill())
		} else {
			go func() { _ = acting.Process().End(end) }()
		}
		r.must(other.Client.Create(t.Context(), annotated(r.ns, name, "epsilon=1")))
		r.eventually("the next one is, too", func() error { return r.isThere(name) })
		took := time.Since(begin)
		t.Logf("%s: the next write to the member came after %s", end, took.Round(10*time.Millisecond))
		if took > takeover {
			t.Errorf("%s: it took %s, want %s at most", end, took, takeover)
		}
		r.eventually("it has ended", func() error {
			if !acting.Process().Ended() {
				return fmt.Errorf("it runs")
			}
			return nil
		})
		r.must(acting.Start(t.Context()))
		r.hub = acting
	}
}

func (r *replicas) isThere(name string) error {
	c := &corev1.ConfigMap{}
	err := r.members[0].Client.Get(r.Context(), client.ObjectKey{Namespace: r.ns, Name: name}, c)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s is not there", name)
	}
	return err
}
