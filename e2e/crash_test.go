package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// A hub that is killed in the middle of 200 applies has, when it is back, all that it acknowledged, and brings each
// object into each member exactly once.
func TestKillTheHub(t *testing.T) {
	s := onTestbed(t)
	const objects = 200
	killAt := int64(40 + rand.IntN(120))
	t.Logf("the hub is killed after %d acknowledged creates", killAt)

	var acknowledged sync.Map
	var count atomic.Int64
	killed := make(chan struct{})
	var once sync.Once
	var group sync.WaitGroup
	before := s.hub.Clients
	for worker := range 8 {
		group.Go(func() {
			for i := worker; i < objects; i += 8 {
				name := fmt.Sprintf("object-%03d", i)
				if err := before.Client.Create(t.Context(), annotated(s.ns, name, "alpha=1,beta=1")); err != nil {
					return // the hub is gone
				}
				acknowledged.Store(name, true)
				if count.Add(1) == killAt {
					once.Do(func() { close(killed) })
				}
			}
		})
	}
	<-killed
	s.must(s.hub.Kill())
	group.Wait()
	s.must(s.hub.Start(t.Context()))

	var stored corev1.ConfigMapList
	s.must(s.hub.Client.List(t.Context(), &stored, client.InNamespace(s.ns)))
	has := map[string]bool{}
	for _, c := range stored.Items {
		has[c.Name] = true
	}
	lost := 0
	acknowledged.Range(func(name, _ any) bool {
		if !has[name.(string)] {
			lost++
			t.Errorf("%s was acknowledged and is lost", name)
		}
		return true
	})
	t.Logf("%d creates were acknowledged, %d are stored, %d lost", count.Load(), len(has), lost)

	for i := range objects {
		err := s.hub.Client.Create(t.Context(), annotated(s.ns, fmt.Sprintf("object-%03d", i), "alpha=1,beta=1"))
		s.must(client.IgnoreAlreadyExists(err))
	}
	s.must(s.hub.Client.List(t.Context(), &stored, client.InNamespace(s.ns)))
	templates := map[string]types.UID{}
	for _, c := range stored.Items {
		templates[c.Name] = c.UID
	}
	for _, m := range s.members {
		s.eventually("each object is in "+m.Name(), func() error {
			var copies corev1.ConfigMapList
			if err := m.Client.List(t.Context(), &copies, client.InNamespace(s.ns), client.HasLabels{v1alpha1.HubLabel}); err != nil {
				return err
			}
			if len(copies.Items) != objects {
				return fmt.Errorf("it has %d", len(copies.Items))
			}
			for _, c := range copies.Items {
				if of := types.UID(c.Annotations[v1alpha1.TemplateAnnotation]); of != templates[c.Name] {
					return fmt.Errorf("%s is of template %s, want %s", c.Name, of, templates[c.Name])
				}
			}
			return nil
		})
	}
	s.eventually("each object has one Distribution, and all are applied", func() error {
		var all v1alpha1.DistributionList
		if err := s.hub.Client.List(t.Context(), &all, client.InNamespace(s.ns)); err != nil {
			return err
		}
		if len(all.Items) != objects {
			return fmt.Errorf("there are %d", len(all.Items))
		}
		for _, d := range all.Items {
			if !meta.IsStatusConditionTrue(d.Status.Conditions, v1alpha1.ConditionApplied) {
				return fmt.Errorf("%s: %+v", d.Name, d.Status.Conditions)
			}
		}
		return nil
	})
}

// A hub that restarts and finds everything as it left it writes nothing, neither to its etcd nor to a member; also what
// is not as it should be, and was told, is not told anew.
func TestRestartWritesNothing(t *testing.T) {
	s := onTestbed(t)
	s.apply(deployment("web", 4), loadBalancer("web"), configMap("settings", "a", "b"), `
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: web, image: "`+cluster.WebImage+`"}]}}}`, `
apiVersion: hanse.io/v1alpha1
kind: Zone
metadata: {name: restart.example}
spec: {}`, `
apiVersion: hanse.io/v1alpha1
kind: GlobalService
metadata: {name: web}
spec: {service: web, hostnames: [web.restart.example]}`,
		placement("all", []string{"Deployment/web", "Service/web", "ConfigMap/settings", "Job/once"}, both))
	t.Cleanup(func() {
		_ = s.hub.Client.Delete(context.Background(), &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: "restart.example"}})
	})
	for i := range 50 {
		s.create(annotated(s.ns, fmt.Sprintf("settings-%d", i), "alpha=1,beta=1"))
	}
	s.awaitShares("web", shares{"alpha": 2, "beta": 2})
	s.awaitAnswer("web.restart.example", s.address("alpha", "web"), s.address("beta", "web"))
	s.standing()

	stored := s.awaitQuiet()
	copies := s.copies()
	s.must(s.hub.Stop())
	s.must(s.hub.Start(t.Context()))
	s.awaitMembers()
	s.awaitAnswer("web.restart.example", s.address("alpha", "web"), s.address("beta", "web"))
	after := s.awaitQuiet()

	if after.Revision != stored.Revision {
		t.Errorf("the restart cost %d writes to etcd:\n%s", after.Revision-stored.Revision, changes(stored.Keys, after.Keys))
	}
	if now := s.copies(); !maps.Equal(copies, now) {
		t.Errorf("the restart wrote to members:\n%s", changes(copies, now))
	}
}

// standing leaves what stands for long: a conflict with a foreign object, drift that is only reported, what is only
// foreseen, and replicas that an autoscaler of a member has set.
func (s *scenario) standing() {
	s.Helper()
	s.in("beta", configMap("taken", "a", "theirs"), "apply", "-f", "-")
	s.Cleanup(func() {
		_ = s.member("beta").Kube.CoreV1().ConfigMaps(s.ns).Delete(context.Background(), "taken", metav1.DeleteOptions{})
	})
	s.apply(configMap("taken", "a", "ours"), placement("taken", []string{"ConfigMap/taken"}, both),
		configMap("drifting", "a", "ours"), placement("drifting", []string{"ConfigMap/drifting"}, both, "drift: Report"),
		configMap("foreseen", "a", "b"), placement("foreseen", []string{"ConfigMap/foreseen"}, both, "reportOnly: true"),
		deployment("scaled", 2), placement("scaled", []string{"Deployment/scaled"}, both))
	s.kubectl("", "autoscale", "deployment/scaled", "--min=2", "--max=10", "--cpu=50%")
	awaitThere[autoscalingv2.HorizontalPodAutoscaler](s, "scaled", "alpha", "beta")
	s.awaitShares("scaled", shares{"alpha": 1, "beta": 1})
	s.in("alpha", "", "scale", "deployment/scaled", "--replicas=3") // as its autoscaler would, which has no metrics here
	s.awaitShares("scaled", shares{"alpha": 3, "beta": 1})
	awaitThere[corev1.ConfigMap](s, "drifting", "alpha", "beta")
	s.in("beta", "", "patch", "configmap/drifting", "--type=merge", "-p", `{"data":{"a":"theirs"}}`)
	s.awaitEvent("ConfigMap", "drifting", "Drifted", "beta: somebody changed it")
	s.awaitEvent("ConfigMap", "taken", "Conflict", "beta: ForeignObject")
	s.verdict("configmap-foreseen", "beta", "Skipped")
	s.eventually("the members' autoscalers, which look every 15 s, have seen the replicas", func() error {
		h, err := get[autoscalingv2.HorizontalPodAutoscaler](s, s.hub.Client, "scaled")
		if err == nil && h.Status.CurrentReplicas != 4 {
			err = fmt.Errorf("they have seen %d", h.Status.CurrentReplicas)
		}
		return err
	})
}

// quietFor is how long nothing may be written for the hub to count as quiet. It is an observation, not a wait for luck:
// the test is about writes that do not come.
const quietFor = 6 * time.Second

// awaitQuiet waits until the hub's etcd has not changed for a while.
func (s *scenario) awaitQuiet() harness.Stored {
	s.Helper()
	var last harness.Stored
	since := time.Now()
	// The scenario before may have left hundreds of copies to delete.
	harness.EventuallyWithin(s, 3*harness.Patience, "the hub is quiet", func() error {
		now, err := s.hub.Stored(s.Context())
		if err != nil {
			return err
		}
		if now.Revision != last.Revision {
			difference := changes(last.Keys, now.Keys)
			if last.Keys == nil {
				difference = "first look"
			}
			last, since = now, time.Now()
			return errors.New(difference)
		}
		if quiet := time.Since(since); quiet < quietFor {
			return fmt.Errorf("quiet for %s only", quiet)
		}
		return nil
	})
	return last
}

// copies are the resource versions of all that the hub has in the members, without what their own controllers write.
func (s *scenario) copies() map[string]int64 {
	s.Helper()
	all := map[string]int64{}
	for _, m := range s.members {
		for _, gvr := range []schema.GroupVersionResource{
			{Group: "apps", Version: "v1", Resource: "deployments"}, {Group: "batch", Version: "v1", Resource: "jobs"},
			{Version: "v1", Resource: "services"}, {Version: "v1", Resource: "configmaps"}, {Version: "v1", Resource: "namespaces"},
		} {
			list, err := m.Dynamic.Resource(gvr).List(s.Context(), metav1.ListOptions{LabelSelector: v1alpha1.HubLabel})
			s.must(err)
			for _, item := range list.Items {
				var version int64
				_, err := fmt.Sscan(item.GetResourceVersion(), &version)
				s.must(err)
				all[m.Name()+" "+gvr.Resource+" "+item.GetNamespace()+"/"+item.GetName()] = version
			}
		}
	}
	return all
}

// changes names what differs, the first few of it.
func changes(before, after map[string]int64) string {
	var all []string
	for key, version := range after {
		switch old, there := before[key]; {
		case !there:
			all = append(all, "+ "+key)
		case old != version:
			all = append(all, fmt.Sprintf("~ %s (%d, was %d)", key, version, old))
		}
	}
	for key := range before {
		if _, there := after[key]; !there {
			all = append(all, "- "+key)
		}
	}
	slices.Sort(all)
	if len(all) > 20 {
		all = append(all[:20], fmt.Sprintf("and %d more", len(all)-20))
	}
	return strings.Join(all, "\n")
}

// A second hub on the same data directory, and a hub whose port is taken, say so and disturb nobody.
func TestSecondHubIsRefused(t *testing.T) {
	s := onTestbed(t)
	for _, row := range []struct {
		name, dir, listen, dns string
		says                   []string
	}{
		{"data directory", s.hub.DataDir(), "127.0.0.1:0", "127.0.0.1:0",
			[]string{"in use", fmt.Sprint(s.hub.Process().PID()), "--data-dir"}},
		{"port of the API", t.TempDir(), strings.TrimPrefix(s.hub.URL, "https://"), "127.0.0.1:0",
			[]string{"listening for the API on " + strings.TrimPrefix(s.hub.URL, "https://"), "address already in use", "--listen"}},
		{"port of DNS", t.TempDir(), "127.0.0.1:0", s.hub.DNS,
			[]string{"DNS", s.hub.DNS, "address already in use", "--dns-listen"}},
		{"no folder", filepath.Join(s.hub.Kubeconfig(), "folder"), "127.0.0.1:0", "127.0.0.1:0",
			[]string{"data directory", "not a directory"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r, err := harness.RunHanse(ctx, "", "hub", "--data-dir", row.dir, "--listen", row.listen, "--dns-listen", row.dns)
			if err != nil {
				t.Fatal(err)
			}
			if r.Code != 1 {
				t.Errorf("exit code %d, want 1", r.Code)
			}
			for _, part := range row.says {
				if !strings.Contains(r.Stderr, part) {
					t.Errorf("the error does not say %q:\n%s", part, r.Stderr)
				}
			}
		})
	}
	s.apply(configMap("settings", "a", "b"), placement("settings", []string{"ConfigMap/settings"}, both))
	awaitThere[corev1.ConfigMap](s, "settings", "alpha", "beta")
}

// own is a scenario on a hub that it starts for itself, with one member where objects stay as they are written.
func own(t *testing.T, options harness.HubOptions, members ...string) *scenario {
	t.Helper()
	hub, err := harness.StartHub(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Close() })
	f := &federation{hub: hub}
	if len(members) > 0 {
		if f.members, err = harness.NewMembers(t.Context(), cluster.Options{}, members...); err != nil {
			t.Fatal(err)
		}
		for _, m := range f.members {
			t.Cleanup(func() { _ = m.Delete() })
		}
		if err := harness.JoinAll(t.Context(), hub, f.members); err != nil {
			t.Fatal(err)
		}
	}
	s := &scenario{T: t, federation: f, ns: namespaceOf(t)}
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}})
	return s
}

// A hub whose etcd cluster goes away says so, and goes on by itself when it is back; nothing that it acknowledged is
// lost.
func TestTheEtcdClusterIsAway(t *testing.T) {
	etcd, err := harness.StartEtcd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = etcd.Close() })
	s := own(t, harness.HubOptions{Flags: []string{"--etcd-endpoints", etcd.URL}}, "gamma")
	s.create(annotated(s.ns, "before", "gamma=1"))
	awaitThere[corev1.ConfigMap](s, "before", "gamma")

	s.must(etcd.Kill())
	s.eventually("readiness says that etcd is away", func() error { return s.notReady("etcd") })
	err = s.hub.Kube.CoreV1().RESTClient().Post().Namespace(s.ns).Resource("configmaps").Param("timeout", "5s").
		Body(annotated(s.ns, "during", "gamma=1")).Do(t.Context()).Error()
	if status := apierrors.APIStatus(nil); !errors.As(err, &status) || status.Status().Code < 500 {
		t.Errorf("a write without etcd ended with %v, want an error of the hub", err)
	}
	t.Logf("a write without etcd: %v", err)
	// Longer than the hub's Lease lasts: it must be able to take it again.
	away := time.Now()
	s.eventually("etcd was away for 20 s", func() error {
		if s.hub.Process().Ended() {
			t.Fatalf("the hub ended because etcd is away:\n%s", s.hub.Process().LastWords())
		}
		if since := time.Since(away); since < 20*time.Second {
			return fmt.Errorf("it was %s", since)
		}
		return nil
	})

	s.must(etcd.Start(t.Context()))
	s.must(s.hub.AwaitReady(t.Context()))
	s.eventually("writes are taken again", func() error {
		err := s.hub.Client.Create(t.Context(), annotated(s.ns, "after", "gamma=1"))
		return client.IgnoreAlreadyExists(err)
	})
	awaitThere[corev1.ConfigMap](s, "after", "gamma")
	if c, err := get[corev1.ConfigMap](s, s.hub.Client, "before"); err != nil || c == nil {
		t.Errorf("what was written before is lost: %v", err)
	}
}

// notReady is nil when readiness names the check as the one that fails.
func (s *scenario) notReady(check string) error {
	ctx, cancel := context.WithTimeout(s.Context(), 15*time.Second)
	defer cancel()
	status := 0
	text, err := s.hub.Kube.Discovery().RESTClient().Get().AbsPath("/readyz").Param("verbose", "").Do(ctx).StatusCode(&status).Raw()
	if status == http.StatusOK || !strings.Contains(string(text), "[-]"+check) {
		return fmt.Errorf("status %d, %v: %s", status, err, text)
	}
	return nil
}

// When the quota of the database is reached, reads go on and writes say why; when objects were deleted, which goes also
// where finalizers must be written, writes go on.
func TestTheDatabaseIsFull(t *testing.T) {
	s := own(t, harness.HubOptions{Flags: []string{"--etcd-quota", "16Mi"}})
	ballast := strings.Repeat("ballast ", 64<<10)
	var refusal error
	written := 0
	for ; written < 200 && refusal == nil; written++ {
		c := annotated(s.ns, fmt.Sprintf("ballast-%d", written), "*=1") // its deletion waits for copies, and is a write
		c.Data["ballast"] = ballast
		refusal = s.hub.Client.Create(t.Context(), c)
	}
	if refusal == nil || !strings.Contains(refusal.Error(), "space") {
		t.Fatalf("after %d objects of 512 KiB the hub says %v, want that there is no space", written, refusal)
	}
	t.Logf("after %d objects: %v", written-1, refusal)
	if status := apierrors.APIStatus(nil); !errors.As(refusal, &status) || status.Status().Code < 500 {
		t.Errorf("the refusal is %#v, want a server error", refusal)
	}
	s.eventually("readiness says that there is no space", func() error { return s.notReady("etcd-space") })
	if c, err := get[corev1.ConfigMap](s, s.hub.Client, "ballast-0"); err != nil || c == nil || c.Data["ballast"] != ballast {
		t.Errorf("reads do not go on: %v", err)
	}
	var all corev1.ConfigMapList
	s.must(s.hub.Client.List(t.Context(), &all, client.InNamespace(s.ns)))

	for i := range written - 2 {
		s.must(s.hub.Client.Delete(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: fmt.Sprintf("ballast-%d", i)}}))
	}
	s.eventually("writes are taken again", func() error {
		c := annotated(s.ns, "after", "*=1")
		return client.IgnoreAlreadyExists(s.hub.Client.Create(t.Context(), c))
	})
	s.must(s.hub.AwaitReady(t.Context()))
}

// When the disk is short, by the hub's own doing or by others', the hub says so and takes nothing new; when nothing is
// left on it the hub goes on reading; and when there is space again it goes on by itself.
func TestTheDiskIsFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512m"); err != nil {
		t.Skipf("a small disk is made by mounting a tmpfs, which takes more rights than this test has: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := own(t, harness.HubOptions{DataDir: filepath.Join(dir, "hub")})
	s.create(annotated(s.ns, "before", "*=1"))
	fill := func(leave uint64) {
		var disk syscall.Statfs_t
		s.must(syscall.Statfs(dir, &disk))
		file, err := os.OpenFile(filepath.Join(dir, "others"), os.O_CREATE|os.O_RDWR, 0o600)
		s.must(err)
		defer func() { _ = file.Close() }()
		end, err := file.Seek(0, io.SeekEnd)
		s.must(err)
		size := int64(disk.Bavail)*disk.Bsize - int64(leave)
		s.must(syscall.Fallocate(int(file.Fd()), 0, end, size))
	}
	write := func(name string) error {
		return client.IgnoreAlreadyExists(s.hub.Client.Create(t.Context(), annotated(s.ns, name, "*=1")))
	}
	refused := func(err error) error {
		if err == nil || !strings.Contains(err.Error(), "MiB are left on the disk") {
			return fmt.Errorf("the hub says %v, want that its disk is full", err)
		}
		return nil
	}
	readable := func() error {
		c, err := get[corev1.ConfigMap](s, s.hub.Client, "before")
		if err == nil && c == nil {
			err = errors.New("it is gone")
		}
		return err
	}

	fill(150 << 20)
	s.must(refused(write("while-short")))
	s.eventually("readiness says that there is no space", func() error { return s.notReady("etcd-space") })
	s.must(s.hub.Client.Delete(t.Context(), annotated(s.ns, "before", "*=1")))
	s.eventually("what is deleted goes", func() error {
		c, err := get[corev1.ConfigMap](s, s.hub.Client, "before")
		if err == nil && c != nil {
			err = errors.New("it is there")
		}
		return err
	})
	s.must(os.Remove(filepath.Join(dir, "others")))
	s.must(write("before"))

	fill(1 << 20)
	s.must(refused(write("while-full")))
	s.must(refused(s.hub.Client.Delete(t.Context(), annotated(s.ns, "before", "*=1"))))
	harness.Throughout(t, "reads go on", readable, func() { time.Sleep(10 * time.Second) }) // and compaction, leases, events
	s.must(os.Remove(filepath.Join(dir, "others")))
	s.must(write("after"))
	s.must(s.hub.AwaitReady(t.Context()))
}

// A backup that was taken while the hub ran makes a hub that knows what the old one knew then, and its members go on
// as if nothing had happened.
func TestBackupAndRestore(t *testing.T) {
	s := own(t, harness.HubOptions{}, "gamma")
	s.create(annotated(s.ns, "kept", "gamma=1"))
	awaitThere[corev1.ConfigMap](s, "kept", "gamma")
	s.create(annotated(s.ns, "deleted-later", "gamma=1"))
	awaitThere[corev1.ConfigMap](s, "deleted-later", "gamma")

	dir := t.TempDir()
	file := filepath.Join(dir, "hub.snapshot")
	s.hanse("backup", file, "--data-dir", s.hub.DataDir())
	if again, err := s.hub.Hanse(t.Context(), "backup", file, "--data-dir", s.hub.DataDir()); err != nil || again.Code != 1 {
		t.Errorf("a backup overwrote another one: %v %v", again, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has Secrets in it and the mode %v: %v", info.Mode(), err)
	}
	s.create(annotated(s.ns, "made-later", "gamma=1"))
	s.create(annotated(s.ns, "made-later-too", "gamma=1"))
	awaitThere[corev1.ConfigMap](s, "made-later", "gamma")
	awaitThere[corev1.ConfigMap](s, "made-later-too", "gamma")
	s.kubectl("", "delete", "configmap", "deleted-later")
	awaitGone[corev1.ConfigMap](s, "deleted-later", "gamma")
	before, err := get[corev1.ConfigMap](s, s.member("gamma").Client, "kept")
	s.must(err)
	s.must(s.hub.Stop())

	damaged := filepath.Join(dir, "damaged.snapshot")
	content, err := os.ReadFile(file)
	s.must(err)
	s.must(os.WriteFile(damaged, bytes.Replace(content, []byte("deleted-later"), []byte("deleted-LATER"), 1), 0o600))
	restored := filepath.Join(dir, "r")
	for _, row := range []struct{ name, file, dir, says string }{
		{"damaged", damaged, restored, "damaged"},
		{"not empty", file, s.hub.DataDir(), "not empty"},
		{"no file", filepath.Join(dir, "nothing"), restored, "no such file"},
	} {
		r, err := harness.RunHanse(t.Context(), "", "restore", row.file, "--data-dir", row.dir)
		s.must(err)
		if r.Code != 1 || !strings.Contains(r.Stderr, row.says) {
			t.Errorf("%s: does not say %q: %s", row.name, row.says, r)
		}
	}
	r, err := harness.RunHanse(t.Context(), "", "restore", file, "--data-dir", restored,
		"--encryption-key-file", filepath.Join(s.hub.DataDir(), "encryption-config.yaml"))
	s.must(err)
	if r.Code != 0 {
		t.Fatal(r)
	}
	hub, err := harness.StartHub(t.Context(), harness.HubOptions{DataDir: restored})
	s.must(err)
	t.Cleanup(func() { _ = hub.Close() })
	s.federation = &federation{hub: hub, members: s.members}
	s.awaitMembers()
	awaitThere[corev1.ConfigMap](s, "deleted-later", "gamma")
	s.eventually("the restored hub says what is in the member", func() error {
		o, err := s.outcome("configmap-kept", "gamma")
		if err == nil && (o.Unknown || o.Verdict != "Created" && o.Verdict != "Unchanged" && o.Verdict != "Configured") {
			err = fmt.Errorf("it is %+v", o)
		}
		return err
	})
	after, err := get[corev1.ConfigMap](s, s.member("gamma").Client, "kept")
	s.must(err)
	if before.UID != after.UID || before.ResourceVersion != after.ResourceVersion {
		t.Errorf("an object that was as it should be was written: %s, was %s", after.ResourceVersion, before.ResourceVersion)
	}
	s.create(annotated(s.ns, "new", "gamma=1"))
	awaitThere[corev1.ConfigMap](s, "new", "gamma")
	s.settleLeftovers("gamma", "made-later", "made-later-too")
}

// settleLeftovers sees that what was made after the backup runs on and is told, takes one over, and has the other removed.
func (s *scenario) settleLeftovers(in, taken, removed string) {
	s.Helper()
	s.eventually("both are told", func() error {
		if told := s.hanse("leftovers", in); !strings.Contains(told, taken+" ") || !strings.Contains(told, removed) {
			return fmt.Errorf("told is: %s", told)
		}
		return nil
	})
	s.kubectl("", "annotate", "cluster", in, v1alpha1.LeftoversAnnotation+"=Remove/000000000000")
	s.eventually("a request about another list is refused", func() error {
		told := s.kubectl("", "get", "cluster", in, "-o", "jsonpath={.metadata.annotations}{.status.conditions}")
		if strings.Contains(told, v1alpha1.LeftoversAnnotation) || !strings.Contains(told, "about another list") {
			return fmt.Errorf("the cluster has %s", told)
		}
		return nil
	})
	again := annotated(s.ns, taken, in+"=1")
	again.Annotations[v1alpha1.OnConflictAnnotation] = string(v1alpha1.ConflictAdopt)
	s.create(again)
	s.eventually("one is taken over", func() error {
		o, err := s.outcome("configmap-"+taken, in)
		if err == nil && o.Verdict != "Configured" && o.Verdict != "Unchanged" {
			err = fmt.Errorf("it is %+v", o)
		}
		return err
	})
	s.eventually("the other is removed, once the list is the present one", func() error {
		r, err := s.hub.Hanse(s.Context(), "leftovers", in, "--remove")
		if err == nil && r.Code != 0 {
			err = fmt.Errorf("%s", r)
		}
		return err
	})
	awaitGone[corev1.ConfigMap](s, removed, in)
	awaitThere[corev1.ConfigMap](s, taken, in)
}
