package e2e

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// front stands before a member's API server, as a load balancer does, and answers wrongly when told to.
type front struct {
	*httptest.Server
	wrong atomic.Pointer[http.HandlerFunc] // nil: pass on
}

func newFront(t *testing.T, member *harness.Member) *front {
	t.Helper()
	target, err := url.Parse(member.Clients.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	// Callers bring their own credentials.
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(member.Clients.Config))
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // watches
	}
	f := &front{}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wrong := f.wrong.Load(); wrong != nil {
			(*wrong)(w, r)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	f.EnableHTTP2 = true
	f.StartTLS()
	t.Cleanup(func() { f.CloseClientConnections(); f.Close() })
	return f
}

// answer makes the front answer so from now on, also to whoever is connected; nil makes it pass on.
func (f *front) answer(wrong http.HandlerFunc) {
	if wrong == nil {
		f.wrong.Store(nil)
	} else {
		f.wrong.Store(&wrong)
	}
	f.CloseClientConnections()
}

// A member that answers nonsense is not ready, for a reason that tells what it answers; the other goes on, and what was
// to be done is done when the answers make sense again.
func TestAMemberAnswersNonsense(t *testing.T) {
	s := onTestbed(t)
	f := newFront(t, s.member("alpha"))
	s.reach("alpha", f)
	s.apply(configMap("before", "a", "b"), placement("before", []string{"ConfigMap/before"}, both))
	awaitThere[corev1.ConfigMap](s, "before", "alpha", "beta")

	for _, row := range []struct {
		name   string
		answer http.HandlerFunc
		reason string
	}{
		{"reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "ConnectionLost"},
		{"error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "out of order", 500) }, "ServerError"},
		{"page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html><body>Please log in</body></html>")
		}, "NotKubernetes"},
	} {
		f.answer(row.answer)
		c := s.awaitCluster("alpha", metav1.ConditionFalse)
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ClusterConditionReady)
		if ready.Reason != row.reason {
			t.Errorf("%s: reason %s (%s), want %s", row.name, ready.Reason, ready.Message, row.reason)
		}
		s.apply(configMap(row.name, "a", "b"), placement(row.name, []string{"ConfigMap/" + row.name}, both))
		awaitThere[corev1.ConfigMap](s, row.name, "beta")
		f.answer(nil)
		s.awaitCluster("alpha", metav1.ConditionTrue)
		s.eventually("alpha is as asked", func() error {
			o, err := s.outcome("configmap-before", "alpha")
			if err == nil && (o.Unknown || o.Verdict == "Failed" || o.Verdict == "Deleted") {
				err = fmt.Errorf("%+v", o)
			}
			return err
		})
	}

	// Too much to do is no illness: the member stays ready, and is asked again when it says so.
	f.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
	})
	s.apply(configMap("busy", "a", "b"), placement("busy", []string{"ConfigMap/busy"}, both))
	awaitThere[corev1.ConfigMap](s, "busy", "beta")
	s.eventually("the hub says that alpha has no time, or nothing yet", func() error {
		o, err := s.outcome("configmap-busy", "alpha")
		if err == nil && o.Verdict != "Failed" && o.Verdict != "Pending" {
			err = fmt.Errorf("it is %s", o.Verdict)
		}
		return err
	})
	s.awaitCluster("alpha", metav1.ConditionTrue)
	f.answer(nil)
	awaitThere[corev1.ConfigMap](s, "busy", "alpha")
}

// reach makes the hub reach a member through the front until the test ends.
func (s *scenario) reach(member string, f *front) {
	s.Helper()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	c := &v1alpha1.Cluster{}
	s.must(s.hub.Client.Get(s.Context(), client.ObjectKey{Name: member}, c))
	direct := *c.Spec.Connection.DeepCopy()
	set := func(ctx context.Context, connection v1alpha1.Connection) error {
		patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/spec/connection", "value": connection}})
		if err != nil {
			return err
		}
		return s.hub.Client.Patch(ctx, c.DeepCopy(), client.RawPatch(types.JSONPatchType, patch))
	}
	through := *direct.DeepCopy()
	through.Server, through.CABundle, through.TLSServerName = f.URL, certificate, ""
	s.must(set(s.Context(), through))
	s.Cleanup(func() {
		if err := set(context.Background(), direct); err != nil {
			s.Errorf("letting the hub reach %s directly again: %v", member, err)
		}
	})
}
