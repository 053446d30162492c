package member

import (
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/federation/member/membertest"
)

var configmaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// specOf is how to reach something that serves over TLS.
func specOf(name Name, at *membertest.Faulty) Spec {
	return Spec{Name: name, Config: Config{Server: at.URL, CABundle: at.CA, Credentials: Credentials{Token: "x"}}}
}

// within waits for a condition.
func within(t *testing.T, patience time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// heapPeak watches the heap until it is stopped.
func heapPeak(t *testing.T) (stop func() uint64) {
	t.Helper()
	runtime.GC()
	var peak atomic.Uint64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak.Store(max(peak.Load(), now.HeapInuse))
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(done); <-ended; return peak.Load() }
}

// However a member misbehaves, it takes no more of the hub than its bounds, the hub says what is too much, and what is
// known of it before stays. When it is honest again all is well.
func TestHostileMembersStayInTheirBounds(t *testing.T) {
	labels := map[string]string{"hanse.io/hub": "x"}
	for _, c := range []struct {
		what string
		deed membertest.Deed
		// kind is what there is too much of.
		kind string
	}{
		{"a bomb", membertest.Bomb("configmaps", 256<<20, false), "configmaps"},
		{"a packed bomb", membertest.Bomb("configmaps", 256<<20, true), "configmaps"},
		{"a small bomb that grows large", membertest.Bomb("configmaps", 12<<20, false), "configmaps"},
		{"a bomb of nodes for a typed client", membertest.Bomb("nodes", 12<<20, false), "nodes"},
		{"two bytes for a pod", membertest.ProtoBomb(14 << 20), "pods"},
		{"an event without end", membertest.LongEvent("configmaps"), "configmaps"},
		{"a frame without end", membertest.LongEvent("pods"), "pods"},
		{"events without end", membertest.EndlessEvents("configmaps", "ConfigMap", labels), "configmaps"},
		{"pods without end", membertest.EndlessEvents("pods", "Pod", labels), "pods"},
		{"nodes without end", membertest.EndlessEvents("nodes", "Node", labels), "nodes"},
		{"pages without end", membertest.EndlessPages("configmaps", "ConfigMap", labels), "configmaps"},
		{"pages of pods without end", membertest.EndlessPages("pods", "Pod", labels), "pods"},
	} {
		t.Run(c.what, func(t *testing.T) {
			defer debug.SetGCPercent(debug.SetGCPercent(50))
			at := membertest.NewHostile(t, membertest.Empty())
			at.Do(c.deed)
			// A quarter of the defaults, so that the test takes a quarter of the time.
			bounds := Bounds{Page: 4 * mebi, Event: 2 * mebi, Decoded: 16 * mebi, Objects: 60_000, Bytes: 24 * mebi, Rate: 256 * mebi, Burst: 256 * mebi}
			stop := heapPeak(t)
			m := Connect(t.Context(), specOf("evil", at.Faulty), Options{Bounds: bounds})
			objects := m.Objects(configmaps)
			within(t, 4*time.Minute, "it says what is too much", func() bool { return m.State().TooMuch != "" })
			if said := m.State().TooMuch; !strings.Contains(said, c.kind) {
				t.Errorf("it says %q, without %s", said, c.kind)
			}
			if peak := stop(); peak > 150*mebi {
				t.Errorf("it takes %d MiB of the hub", peak/mebi)
			} else {
				t.Logf("%d MiB of heap at most; the member made up %d MiB", peak/mebi, at.Sent.Load()/mebi)
			}
			if !m.State().IsReady() {
				t.Errorf("it is not ready any more: %+v", m.State())
			}
			at.Do(nil)
			at.CloseConnections()
			within(t, 90*time.Second, "it is well again", func() bool { return m.State().TooMuch == "" && objects.HasSynced() })
		})
	}
}
