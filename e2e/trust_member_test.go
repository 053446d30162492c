package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
	"github.com/hanse-federation/hanse/federation/member/membertest"
)

// besideEvil is a hub with a good member and a hostile one.
type besideEvil struct {
	*testing.T
	hub  *harness.Hub
	good *harness.Member
	evil *membertest.Hostile
	made int
}

func startBesideEvil(t *testing.T) *besideEvil {
	t.Helper()
	b := &besideEvil{T: t, evil: membertest.NewHostile(t, membertest.Empty())}
	var err error
	if b.hub, err = harness.StartHub(t.Context(), harness.HubOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.hub.Close() })
	if b.good, err = harness.NewMember(t.Context(), "good", cluster.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.good.Delete() })
	if err := harness.Join(t.Context(), b.hub, b.good); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.SystemNamespace, Name: "evil"},
		StringData: map[string]string{"token": "x"}}
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "evil"}}
	c.Spec.Connection.Server, c.Spec.Connection.CABundle = b.evil.URL, b.evil.CA
	c.Spec.Connection.Credentials.SecretName = "evil"
	for _, obj := range []client.Object{secret, c} {
		if err := b.hub.Client.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	harness.Eventually(t, "the hostile member, still honest, is ready", func() error {
		if c := b.condition("Ready"); c == nil || c.Status != metav1.ConditionTrue {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	return b
}

// condition of the hostile member's Cluster; nil if it has none of that type.
func (b *besideEvil) condition(kind string) *metav1.Condition {
	c := &v1alpha1.Cluster{}
	if b.hub.Client.Get(b.Context(), client.ObjectKey{Name: "evil"}, c) != nil {
		return nil
	}
	return meta.FindStatusCondition(c.Status.Conditions, kind)
}

// latency is how long a ConfigMap takes from the hub to the good member; the median of so many, and for so long.
func (b *besideEvil) latency(times int, atLeast time.Duration) time.Duration {
	b.Helper()
	var all []time.Duration
	for start := time.Now(); len(all) < times || time.Since(start) < atLeast; {
		b.made++
		name := fmt.Sprintf("made-%d", b.made)
		began := time.Now()
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name,
			Annotations: map[string]string{"hanse.io/clusters": "good,evil"}}}
		if err := b.hub.Client.Create(b.Context(), cm); err != nil {
			b.Fatal(err)
		}
		for end := began.Add(harness.Patience); ; time.Sleep(5 * time.Millisecond) {
			if b.good.Client.Get(b.Context(), client.ObjectKeyFromObject(cm), &corev1.ConfigMap{}) == nil {
				break
			}
			if time.Now().After(end) {
				b.Fatalf("%s does not come to the good member", name)
			}
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// resident is the most memory that the hub has had in use, in MiB.
func (b *besideEvil) resident() int {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.hub.Process().PID()))
	if err != nil {
		b.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(raw)
	if found == nil {
		b.Fatal("the kernel does not say what the hub has in use")
	}
	kilo, _ := strconv.Atoi(string(found[1]))
	return kilo / 1024
}

// A hostile member beside a good one, for minutes: the hub stays small, the good one is served as before, and who looks at
// the hostile one is neither led away nor shown what it wrote raw. In the end the hub ends as always.
func TestTrustAHostileMember(t *testing.T) {
	b := startBesideEvil(t)
	b.latency(3, 0)
	before := b.latency(15, 10*time.Second)
	t.Logf("beside an honest member: %s, the hub has had %d MiB", before, b.resident())
	ours := map[string]string{"hanse.io/hub": b.hubID()}
	worst := time.Duration(0)
	for _, row := range []struct {
		what    string
		deed    membertest.Deed
		tooMuch string
	}{
		{"packed bombs", membertest.Bomb("configmaps", 250<<20, true), "configmaps"},
		{"bombs", membertest.Bomb("configmaps", 60<<20, false), ""},
		{"bombs that are small on their way", membertest.Bomb("configmaps", 15<<20, true), ""},
		{"two bytes for a pod", membertest.ProtoBomb(15 << 20), ""},
		{"an event without end", membertest.LongEvent("configmaps"), ""},
		{"objects without end", membertest.EndlessEvents("configmaps", "ConfigMap", ours), "configmaps"},
		{"pages without end", membertest.EndlessPages("configmaps", "ConfigMap", ours), ""},
		{"pods without end", membertest.EndlessEvents("pods", "Pod", nil), ""},
		{"trickles", membertest.Trickle("/api", 100*time.Millisecond), ""},
		{"other identities, long refusals", membertest.All(membertest.FlipUID(), membertest.RefuseWrites()), ""},
	} {
		b.evil.Do(row.deed)
		b.evil.CloseConnections()
		now := b.latency(5, 10*time.Second)
		worst = max(worst, now)
		t.Logf("%s: %s (%.2f times), the hub has had %d MiB", row.what, now, float64(now)/float64(before), b.resident())
		if row.tooMuch != "" {
			harness.Eventually(t, "the Cluster says what is too much", func() error {
				if c := b.condition(v1alpha1.ClusterConditionTooMuch); c == nil || !strings.Contains(c.Message, row.tooMuch) {
					return fmt.Errorf("%+v", c)
				}
				return nil
			})
		}
		b.evil.Do(nil)
	}
	if got := b.resident(); got > 512 {
		t.Errorf("the hub has had %d MiB in use, more than 512", got)
	}
	// A ratio is no bound where other work shares the processors; that of the memory is.
	t.Logf("at worst the good member is served in %s, %.2f times of %s", worst, float64(worst)/float64(before), before)
	b.nobodyIsLedAway()
	b.nothingIsShownRaw()
	b.hubEnds()
}

// hubID is what the hub marks its objects with.
func (b *besideEvil) hubID() string {
	var ns corev1.Namespace
	if err := b.hub.Client.Get(b.Context(), client.ObjectKey{Name: "kube-system"}, &ns); err != nil {
		b.Fatal(err)
	}
	return string(ns.UID)
}

// nobodyIsLedAway asks the hostile member through the hub, as people do.
func (b *besideEvil) nobodyIsLedAway() {
	b.Helper()
	var stolen atomic.Int64
	thief := membertest.Serving(b, func(http.ResponseWriter, *http.Request) { stolen.Add(1) })
	if r, err := b.hub.Kubectl(b.Context(), "", "create", "namespace", "precious"); err != nil || r.Code != 0 {
		b.Fatal(err, r)
	}
	through := b.through("evil")
	for _, to := range []string{thief.URL + "/", b.hub.URL + "/api/v1/namespaces/precious", "/api/v1/namespaces/precious"} {
		for _, code := range []int{302, 307, 308} {
			b.evil.Do(membertest.Redirect(code, to, false))
			for _, command := range [][]string{{"get", "configmaps"}, {"delete", "namespace", "precious", "--wait=false"}} {
				r, err := harness.RunKubectl(b.Context(), through, "", command...)
				if err != nil || r.Code == 0 || !strings.Contains(r.Stderr, "redirect") {
					b.Errorf("%d to %s: kubectl %v: %v %s", code, to, command, err, r)
				}
			}
		}
	}
	if stolen.Load() > 0 {
		b.Errorf("kubectl went to the thief %d times", stolen.Load())
	}
	var precious corev1.Namespace
	if err := b.hub.Client.Get(b.Context(), client.ObjectKey{Name: "precious"}, &precious); err != nil || precious.DeletionTimestamp != nil {
		b.Errorf("a namespace of the hub was deleted: %v %v", err, precious.DeletionTimestamp)
	}
}

// through is a kubeconfig for a member, through the hub.
func (b *besideEvil) through(name string) string {
	config, err := clientcmd.LoadFromFile(b.hub.Kubeconfig())
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range config.Clusters {
		c.Server += "/clusters/" + name
	}
	path := filepath.Join(b.TempDir(), name+".kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		b.Fatal(err)
	}
	return path
}

// nothingIsShownRaw has the hostile member write what terminals obey, wherever it can.
func (b *besideEvil) nothingIsShownRaw() {
	b.Helper()
	b.evil.Do(membertest.All(membertest.Escape(), membertest.RefuseWrites()))
	harness.Eventually(b, "the hub says that it is not well", func() error {
		if c := b.condition("Ready"); c == nil || c.Status == metav1.ConditionTrue {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	for _, command := range []string{
		"clusters", "clusters -o wide", "clusters -o json", "clusters -o yaml", "explain configmap/made-1", "status configmap/made-1",
	} {
		r, err := b.hub.Hanse(b.Context(), strings.Fields(command)...)
		if said := r.Stdout + r.Stderr; err != nil || said == "" || printable.Text(said) != said {
			b.Errorf("hanse %s: %v %q", command, err, said)
		}
	}
	for _, resource := range []string{"clusters", "distributions", "events"} {
		r, err := b.hub.Kubectl(b.Context(), "", "get", resource, "-A", "-o", "jsonpath={.items[*].status}{.items[*].message}")
		if err != nil || r.Code != 0 || printable.Text(r.Stdout) != r.Stdout || strings.Contains(r.Stdout, `\u202e`) && bytes.ContainsRune([]byte(r.Stdout), '\x1b') {
			b.Errorf("%s: %v %q", resource, err, r.Stdout)
		}
	}
	if said := b.hub.Process().Output(); printable.Text(said) != said {
		b.Error("the hub's log has controls")
	}
}

// hubEnds has the hub end while the hostile member holds on to everything.
func (b *besideEvil) hubEnds() {
	b.Helper()
	b.evil.Do(membertest.All(membertest.EndlessEvents("configmaps", "ConfigMap", map[string]string{"hanse.io/hub": b.hubID()}),
		membertest.Trickle("/", 50*time.Millisecond)))
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() { _, _ = harness.RunKubectl(ctx, b.through("evil"), "", "get", "configmaps", "--watch") }()
	time.Sleep(3 * time.Second) // it holds what is under way by now
	began := time.Now()
	err := b.hub.Process().End(syscall.SIGTERM)
	took := time.Since(began)
	if err != nil || b.hub.Process().Code() != 0 || took > 10*time.Second {
		b.Errorf("the hub ends after %s with code %d (%v):\n%s", took, b.hub.Process().Code(), err, b.hub.Process().LastWords())
	}
	b.Logf("the hub ends after %s", took)
}
