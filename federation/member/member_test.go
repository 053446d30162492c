package member

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/federation/member/membertest"
)

var (
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secrets    = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	crds       = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// front is a reverse proxy before a real API server, with which a test makes the way to it bad.
type front struct {
	*membertest.Faulty
	misbehave atomic.Pointer[func(http.ResponseWriter, *http.Request) bool] // true: it has answered itself
}

func (f *front) set(how func(http.ResponseWriter, *http.Request) bool) {
	if how == nil {
		f.misbehave.Store(nil)
		return
	}
	f.misbehave.Store(&how)
}

func newFront(t *testing.T, api *membertest.APIServer) *front {
	t.Helper()
	target, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	config := api.Config()
	config.BearerToken = "" // the caller's own passes through
	pass, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     pass,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	f := &front{}
	f.Faulty = membertest.Serving(t, func(w http.ResponseWriter, r *http.Request) {
		if b := f.misbehave.Load(); b != nil && (*b)(w, r) {
			return
		}
		proxy.ServeHTTP(w, r)
	})
	return f
}

// events remembers what a handler was told.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, s)
}
func (e *events) OnAdd(u *unstructured.Unstructured)       { e.add("+" + u.GetName()) }
func (e *events) OnUpdate(_, u *unstructured.Unstructured) { e.add("~" + u.GetName()) }
func (e *events) OnDelete(u *unstructured.Unstructured)    { e.add("-" + u.GetName()) }
func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.list, " ")
}

func (e *events) wait(t *testing.T, want string) {
	t.Helper()
	e.waitAny(t, want)
}

// waitAny waits for one of several orders.
func (e *events) waitAny(t *testing.T, wants ...string) {
	t.Helper()
	eventually(t, func() string {
		if got := e.String(); !slices.Contains(wants, got) {
			return fmt.Sprintf("events %q, want %q", got, wants)
		}
		return ""
	})
}

func (e *events) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = nil
}

func eventually(t *testing.T, wrong func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		what := wrong()
		if what == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func ourMap(name, value string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "labels": map[string]any{"ours": "yes"}},
		"data":     map[string]any{"key": value},
	}}
}

func create(t *testing.T, c dynamic.Interface, name, value string) {
	t.Helper()
	_, err := c.Resource(configMaps).Namespace("default").Create(context.Background(), ourMap(name, value), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, c dynamic.Interface, name string) {
	t.Helper()
	if err := c.Resource(configMaps).Namespace("default").Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func isReady(s State) bool { return s.Phase == Ready }

// TestRealServer has the stories that need a real API server. They share one.
func TestRealServer(t *testing.T) {
	api := membertest.StartAPIServer(t)
	for _, story := range []struct {
		name string
		tell func(*testing.T, *membertest.APIServer)
	}{
		{"what is known of a member", storyState},
		{"our objects are followed, and no others", storyObjects},
		{"a kind that cannot be listed disturbs no other", storyOneKindForbidden},
		{"a kind appears", storyKindAppears},
		{"a member is lost and returns", storyLostAndBack},
		{"a frozen member is noticed and returns", storyFrozen},
		{"credentials are revoked and renewed", storyCredentials},
		{"429 is told, not slept over", storyBusy},
		{"server errors and broken JSON for a while", storyBadAnswers},
		{"bad members cost the good one nothing", storyIsolation},
		{"a member ends with all that belongs to it", storyEnd},
	} {
		t.Run(story.name, func(t *testing.T) { story.tell(t, api) })
	}
}

func adminSpec(f *front) Spec {
	return Spec{Name: "m", Probe: quick, Config: Config{
		Server: f.URL, CABundle: f.CA, Credentials: Credentials{Token: membertest.AdminToken},
	}}
}

func storyState(t *testing.T, api *membertest.APIServer) {
	client := kubernetes.NewForConfigOrDie(api.Config())
	ctx := context.Background()
	for _, manifest := range []string{
		`{kind: Node, metadata: {name: n1}, status: {allocatable: {cpu: "4", memory: 8Gi, pods: "10"}, conditions: [{type: Ready, status: "True"}]}}`,
		`{kind: Node, metadata: {name: n2}, status: {allocatable: {cpu: "4", memory: 8Gi, pods: "10"}, conditions: [{type: Ready, status: "False"}]}}`,
		`{kind: Pod, metadata: {name: p1, namespace: default}, spec: {nodeName: n1, containers: [{name: c, image: i, resources: {requests: {cpu: 500m, memory: 1Gi}}}]}}`,
		`{kind: Pod, metadata: {name: p2, namespace: default}, spec: {containers: [{name: c, image: i, resources: {requests: {cpu: "1"}}}]}}`,
	} {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1"}}
		if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
			t.Fatal(err)
		}
		u.SetAPIVersion("v1")
		gvr := schema.GroupVersionResource{Version: "v1", Resource: strings.ToLower(u.GetKind()) + "s"}
		target := dynamic.NewForConfigOrDie(api.Config()).Resource(gvr)
		var made *unstructured.Unstructured
		var err error
		if u.GetNamespace() == "" {
			made, err = target.Create(ctx, u, metav1.CreateOptions{})
		} else {
			made, err = target.Namespace(u.GetNamespace()).Create(ctx, u, metav1.CreateOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
		if u.GetKind() == "Node" {
			made.Object["status"] = u.Object["status"]
			if _, err := target.UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var changes atomic.Int64
	m := connect(t, adminSpec(newFront(t, api)), Options{OnChange: func(n Name) {
		if n != "m" {
			t.Errorf("told of %q", n)
		}
		changes.Add(1)
	}})
	s := waitState(t, m, func(s State) bool {
		return s.Phase == Ready && s.Resources.Known && s.APIs.Count > 50 && s.KubernetesVersion != "" && s.ClusterUID != ""
	})
	if s.Nodes != (Nodes{Known: true, Total: 2, Ready: 1}) {
		t.Errorf("nodes %+v", s.Nodes)
	}
	show := func(s State) string {
		cpu, memory, pods := s.Resources.Available["cpu"], s.Resources.Available["memory"], s.Resources.Available["pods"]
		total, requested := s.Resources.Allocatable["cpu"], s.Resources.Requested["cpu"]
		return fmt.Sprint(total.String(), requested.String(), cpu.String(), memory.String(), pods.String())
	}
	if got := show(s); got != fmt.Sprint("8", "500m", "3500m", "7Gi", "9") {
		t.Errorf("resources %s", got)
	}
	if err := client.CoreV1().Pods("default").Delete(ctx, "p1", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		t.Fatal(err)
	}
	waitState(t, m, func(s State) bool { return show(s) == fmt.Sprint("8", "0", "4", "8Gi", "10") })
	if changes.Load() < 2 {
		t.Errorf("%d changes told", changes.Load())
	}
	if !strings.HasPrefix(s.KubernetesVersion, "v1.") {
		t.Errorf("version %q", s.KubernetesVersion)
	}
	if !m.HasAPI(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}) ||
		m.HasAPI(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Nothing"}) {
		t.Error("HasAPI is wrong")
	}
	resources, err := m.NamespacedResources()
	if err != nil || !slices.Contains(resources, configMaps) ||
		slices.Contains(resources, schema.GroupVersionResource{Version: "v1", Resource: "nodes"}) {
		t.Errorf("namespaced resources: %v, %v", resources, err)
	}
}

func storyObjects(t *testing.T, api *membertest.APIServer) {
	c := dynamic.NewForConfigOrDie(api.Config())
	create(t, c, "a", "1")
	defer remove(t, c, "a")
	foreign := ourMap("foreign", "1")
	foreign.SetLabels(nil)
	if _, err := c.Resource(configMaps).Namespace("default").Create(context.Background(), foreign, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	defer remove(t, c, "foreign")
	var keepsNoise atomic.Bool
	m := connect(t, adminSpec(newFront(t, api)), Options{Selector: "ours=yes", Strip: func(_ schema.GroupVersionResource, u *unstructured.Unstructured) {
		u.SetManagedFields(nil)
		if !keepsNoise.Load() {
			unstructured.RemoveNestedField(u.Object, "data", "noise")
		}
	}})
	objects := m.Objects(configMaps)
	if m.Objects(configMaps) != objects {
		t.Error("two caches of one resource")
	}
	<-objects.Synced()
	told := &events{}
	cancel := objects.Subscribe(told)
	told.wait(t, "+a")
	create(t, c, "b", "1")
	told.wait(t, "+a +b")
	patch := func(body string) {
		_, err := c.Resource(configMaps).Namespace("default").Patch(context.Background(), "b", types.MergePatchType, []byte(body), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	patch(`{"data":{"noise":"x"}}`) // stripped: nobody is told, but the version is kept
	patch(`{"data":{"key":"2"}}`)
	told.wait(t, "+a +b ~b")
	live, ok := objects.Get("default", "b")
	if v, _, _ := unstructured.NestedString(live.Object, "data", "key"); !ok || v != "2" || len(live.GetManagedFields()) > 0 {
		t.Errorf("cached %v", live)
	}
	if len(objects.List()) != 2 {
		t.Errorf("%d objects", len(objects.List()))
	}
	keepsNoise.Store(true) // what is stripped is another thing now: all is read again, and told
	objects.Again()
	told.waitAny(t, "+a +b ~b ~a ~b", "+a +b ~b ~b ~a")
	if live, _ := objects.Get("default", "b"); live == nil || live.Object["data"].(map[string]any)["noise"] != "x" {
		t.Errorf("cached %v after it was read again", live)
	}
	told.forget()
	remove(t, c, "b")
	told.wait(t, "-b")
	if _, ok := objects.Get("default", "b"); ok {
		t.Error("still in the cache")
	}
	cancel()
	create(t, c, "c", "1")
	defer remove(t, c, "c")
	eventually(t, func() string {
		if _, ok := objects.Get("default", "c"); !ok {
			return "c is not cached"
		}
		return ""
	})
	told.wait(t, "-b")
}

func storyOneKindForbidden(t *testing.T, api *membertest.APIServer) {
	f := newFront(t, api)
	f.set(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/secrets") {
			answers(403, "text/plain", "forbidden")(w, r)
			return true
		}
		return false
	})
	m := connect(t, adminSpec(f), Options{})
	good, bad := m.Objects(configMaps), m.Objects(secrets)
	gone := m.Objects(schema.GroupVersionResource{Group: "gone.example", Version: "v1", Resource: "things"})
	<-good.Synced()
	eventually(t, func() string {
		if !apierrors.IsForbidden(bad.Err()) || !apierrors.IsNotFound(gone.Err()) || good.Err() != nil {
			return fmt.Sprint(good.Err(), bad.Err(), gone.Err())
		}
		return ""
	})
	if bad.HasSynced() || m.State().Phase != Ready {
		t.Error("one kind's trouble is the member's")
	}
	f.set(nil)
	<-bad.Synced()
	if bad.Err() != nil {
		t.Error(bad.Err())
	}
}

const thingCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.org}
spec:
  group: example.org
  names: {kind: Thing, plural: things, singular: thing, listKind: ThingList}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]`

func storyKindAppears(t *testing.T, api *membertest.APIServer) {
	m := connect(t, adminSpec(newFront(t, api)), Options{})
	kind := schema.GroupVersionKind{Group: "example.org", Version: "v1", Kind: "Thing"}
	before := waitState(t, m, func(s State) bool { return s.Phase == Ready && s.APIs.Count > 0 })
	if _, err := m.Mapper().RESTMapping(kind.GroupKind(), "v1"); !meta.IsNoMatchError(err) {
		t.Fatalf("got %v", err)
	}
	c := dynamic.NewForConfigOrDie(api.Config())
	crd := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(thingCRD), &crd.Object); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resource(crds).Create(context.Background(), crd, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	after := waitState(t, m, func(s State) bool { return s.APIs != before.APIs && m.HasAPI(kind) })
	if after.APIs.Count != before.APIs.Count+1 {
		t.Errorf("from %+v to %+v", before.APIs, after.APIs)
	}
	mapping, err := m.Mapper().RESTMapping(kind.GroupKind(), "v1")
	if err != nil || mapping.Resource.Resource != "things" || mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		t.Errorf("%+v, %v", mapping, err)
	}
	if err := c.Resource(crds).Delete(context.Background(), "things.example.org", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitState(t, m, func(s State) bool { return s.APIs == before.APIs && !m.HasAPI(kind) })
}

func storyLostAndBack(t *testing.T, api *membertest.APIServer) {
	c := dynamic.NewForConfigOrDie(api.Config())
	create(t, c, "stays", "1")
	create(t, c, "goes", "1")
	f := newFront(t, api)
	var lost atomic.Bool
	f.set(func(w http.ResponseWriter, r *http.Request) bool {
		if lost.Load() {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		return false
	})
	spec := adminSpec(f)
	spec.Probe = Probe{Interval: time.Hour, FailingInterval: 20 * time.Millisecond} // only the alarm can tell in time
	m := connect(t, spec, Options{Selector: "ours=yes"})
	objects := m.Objects(configMaps)
	<-objects.Synced()
	told := &events{}
	objects.Subscribe(told)
	s := waitState(t, m, func(s State) bool { return s.Phase == Ready && s.Resources.Known && s.Nodes.Known && s.APIs.Count > 0 })

	lost.Store(true)
	began := time.Now()
	if _, err := m.Dynamic().Resource(configMaps).Namespace("default").Get(context.Background(), "stays", metav1.GetOptions{}); err == nil {
		t.Fatal("no error from a broken connection")
	}
	l := waitState(t, m, func(s State) bool { return s.Phase == Unreachable })
	t.Logf("the loss was known after %s", time.Since(began))
	if l.Nodes != s.Nodes || l.KubernetesVersion != s.KubernetesVersion || l.APIs != s.APIs || !l.Resources.Known {
		t.Errorf("the last figures are gone: %+v", l)
	}
	if l.LastSeen.IsZero() || l.LastSeen.After(l.Since) {
		t.Errorf("last seen %s, lost since %s", l.LastSeen, l.Since)
	}
	remove(t, c, "goes")
	create(t, c, "comes", "1")
	if len(objects.List()) != 2 {
		t.Errorf("the cache was emptied: %v", objects.List())
	}
	lost.Store(false)
	waitState(t, m, isReady)
	eventually(t, func() string {
		got := strings.Fields(told.String())
		slices.Sort(got)
		if fmt.Sprint(got) != "[+comes +goes +stays -goes]" {
			return fmt.Sprint(got)
		}
		return ""
	})
	remove(t, c, "stays")
	remove(t, c, "comes")
}

func storyFrozen(t *testing.T, api *membertest.APIServer) {
	f := newFront(t, api)
	spec := adminSpec(f)
	spec.Config.Server, spec.Config.CABundle = api.URL, api.CA
	m := connect(t, spec, Options{})
	objects := m.Objects(configMaps)
	<-objects.Synced()
	waitState(t, m, isReady)
	api.Pause(t)
	s := waitState(t, m, func(s State) bool { return s.Phase == Unreachable })
	if s.Reason != ReasonTimeout {
		t.Errorf("reason %s: %s", s.Reason, s.Message)
	}
	api.Resume(t)
	waitState(t, m, isReady)
	c := dynamic.NewForConfigOrDie(api.Config())
	create(t, c, "thawed", "1")
	defer remove(t, c, "thawed")
	eventually(t, func() string {
		if _, ok := objects.Get("default", "thawed"); !ok {
			return "the watch did not come back"
		}
		return ""
	})
}

func storyCredentials(t *testing.T, api *membertest.APIServer) {
	f := newFront(t, api)
	var revoked atomic.Value
	revoked.Store("")
	f.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer "+revoked.Load().(string) {
			answers(401, "application/json", `{"kind":"Status","apiVersion":"v1","status":"Failure","code":401,"reason":"Unauthorized"}`)(w, r)
			return true
		}
		r.Header.Set("Authorization", "Bearer "+membertest.AdminToken) // any other token is good
		return false
	})
	spec := adminSpec(f)
	spec.Config.Credentials.Token = "first"
	m := connect(t, spec, Options{Selector: "ours=yes"})
	c := dynamic.NewForConfigOrDie(api.Config())
	create(t, c, "kept", "1")
	defer remove(t, c, "kept")
	objects := m.Objects(configMaps)
	<-objects.Synced()
	told := &events{}
	objects.Subscribe(told)
	told.wait(t, "+kept")
	waitState(t, m, isReady)

	// Rotated in time: nobody notices.
	spec.Config.Credentials.Token = "second"
	m.Update(spec)
	revoked.Store("first")
	create(t, c, "later", "1")
	defer remove(t, c, "later")
	told.wait(t, "+kept +later")
	if s := m.State(); s.Phase != Ready {
		t.Errorf("after a rotation: %+v", s)
	}
	// Revoked, and renewed later.
	revoked.Store("second")
	s := waitState(t, m, func(s State) bool { return s.Phase == NotReady })
	if s.Reason != ReasonUnauthorized {
		t.Errorf("reason %s: %s", s.Reason, s.Message)
	}
	spec.Config.Credentials.Token = "third"
	m.Update(spec)
	waitState(t, m, isReady)
	create(t, c, "latest", "1")
	defer remove(t, c, "latest")
	told.wait(t, "+kept +later +latest")
}

func storyBusy(t *testing.T, api *membertest.APIServer) {
	f := newFront(t, api)
	m := connect(t, adminSpec(f), Options{})
	waitState(t, m, isReady)
	f.set(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Retry-After", "7")
		answers(429, "text/plain", "Too many requests, please try again later.")(w, r)
		return true
	})
	began := time.Now()
	_, err := m.Dynamic().Resource(configMaps).Namespace("default").Get(context.Background(), "x", metav1.GetOptions{})
	if seconds, ok := apierrors.SuggestsClientDelay(err); !apierrors.IsTooManyRequests(err) || !ok || seconds != 7 {
		t.Errorf("got %v (%v, %v)", err, seconds, ok)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the call slept %s", took)
	}
	if s := m.State(); s.Phase != Ready {
		t.Errorf("a busy member is %s", s.Phase)
	}
}

func storyBadAnswers(t *testing.T, api *membertest.APIServer) {
	f := newFront(t, api)
	m := connect(t, adminSpec(f), Options{Selector: "ours=yes"})
	objects := m.Objects(configMaps)
	<-objects.Synced()
	c := dynamic.NewForConfigOrDie(api.Config())
	for i, bad := range []http.HandlerFunc{
		answers(500, "text/plain", "internal"),
		answers(200, "application/json", `{"kind":"ConfigMapList","apiVersion":"v1","items":[{"meta`),
		answers(200, "application/json", `null`),
		answers(200, "application/json", `[]`),
		answers(200, "application/json", `{}`),
		answers(200, "text/html", `<html>captive portal</html>`),
		answers(200, "application/vnd.kubernetes.protobuf", "k8s\x00\xff\xff\xff\xff"),
		answers(204, "application/json", ""),
		answers(302, "text/html", "over there"),
	} {
		f.set(func(w http.ResponseWriter, r *http.Request) bool { bad(w, r); return true })
		f.CloseConnections()
		waitState(t, m, func(s State) bool { return s.Phase != Ready })
		_, err := m.Dynamic().Resource(configMaps).Namespace("default").List(context.Background(), metav1.ListOptions{})
		if err == nil && i < 2 {
			t.Error("no error")
		}
		f.set(nil)
		waitState(t, m, isReady)
		name := fmt.Sprintf("after-%d", i)
		create(t, c, name, "1")
		eventually(t, func() string {
			if _, ok := objects.Get("default", name); !ok {
				return "the watch did not come back after answer " + name
			}
			return ""
		})
		remove(t, c, name)
	}
}

// storyIsolation reads from one good member as fast as it goes, alone and then with bad ones beside it.
func storyIsolation(t *testing.T, api *membertest.APIServer) {
	good := connect(t, adminSpec(newFront(t, api)), Options{})
	waitState(t, good, func(s State) bool { return s.Phase == Ready && s.APIs.Count > 0 })
	measure := func() time.Duration {
		const requests = 200
		began := time.Now()
		for range requests {
			_, err := good.Dynamic().Resource(configMaps).Namespace("default").List(context.Background(), metav1.ListOptions{Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(began) / requests
	}
	measure()
	alone := measure()
	endless := membertest.Serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			_, _ = io.WriteString(w, "ok")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"List","items":[`)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat(" ", 1024)); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	bad := []*membertest.Faulty{
		membertest.Hanging(t), membertest.Resetting(t), membertest.Plain(t), endless,
		membertest.Serving(t, answers(200, "text/html", "<html>")),
		membertest.Serving(t, answers(500, "text/plain", "no")),
	}
	for i, f := range bad {
		config := Config{Server: f.URL, CABundle: f.CA, Credentials: Credentials{Token: "x"}}
		m := connect(t, Spec{Name: Name(fmt.Sprint("bad-", i)), Config: config}, Options{})
		m.Objects(configMaps)
		m.Objects(secrets)
	}
	time.Sleep(300 * time.Millisecond) // let them begin; nothing is to be waited for
	beside := measure()
	t.Logf("a request took %s alone, %s beside %d bad members", alone, beside, len(bad))
	if beside > 5*alone+5*time.Millisecond {
		t.Errorf("a request took %s alone, %s beside bad members", alone, beside)
	}
	if s := good.State(); s.Phase != Ready {
		t.Errorf("%+v", s)
	}
}

func storyEnd(t *testing.T, api *membertest.APIServer) {
	f := newFront(t, api)
	ctx, cancel := context.WithCancel(context.Background())
	before := runtime.NumGoroutine()
	m := Connect(ctx, adminSpec(f), Options{})
	<-m.Objects(configMaps).Synced()
	waitState(t, m, func(s State) bool { return s.Phase == Ready && s.Resources.Known && s.APIs.Count > 0 })
	cancel()
	select {
	case <-m.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("it does not end")
	}
	m.Update(adminSpec(f)) // must not bring it back
	m.Objects(secrets)
	_, err := m.Dynamic().Resource(configMaps).List(context.Background(), metav1.ListOptions{})
	if err == nil {
		t.Error("a member that has ended still answers")
	}
	f.CloseConnections()
	eventually(t, func() string {
		if now := runtime.NumGoroutine(); now > before+2 {
			var all bytes.Buffer
			_ = pprof.Lookup("goroutine").WriteTo(&all, 1)
			return fmt.Sprintf("%d goroutines before, %d after:\n%s", before, now, all.String())
		}
		return ""
	})
}

// TestEndWhileHanging ends a member in the middle of a request that never answers.
func TestEndWhileHanging(t *testing.T) {
	f := membertest.Hanging(t)
	m := connect(t, Spec{Name: "m", Config: Config{Server: f.URL}}, Options{})
	m.Objects(configMaps)
	eventually(t, func() string {
		if f.Requests.Load() == 0 {
			return "no connection came"
		}
		return ""
	})
}

// TestNothingWaits calls everything on a member that never answers.
func TestNothingWaits(t *testing.T) {
	f := membertest.Hanging(t)
	began := time.Now()
	m := connect(t, Spec{Name: "m", Config: Config{Server: f.URL}}, Options{})
	_, err := m.Mapper().RESTMapping(schema.GroupKind{Kind: "ConfigMap"}, "v1")
	if !errors.Is(err, ErrNotDiscovered) {
		t.Errorf("got %v", err)
	}
	m.HasAPI(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"})
	o := m.Objects(configMaps)
	o.Get("a", "b")
	o.List()
	o.Subscribe(&events{})
	m.State()
	m.Update(Spec{Config: Config{Server: f.URL, Credentials: Credentials{Token: "t"}}})
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
	if s := m.State(); s.Phase != Unknown || s.Resources.Known {
		t.Errorf("%+v", s)
	}
}
