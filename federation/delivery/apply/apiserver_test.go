package apply

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/federation/member/membertest"
)

// server is a real API server that counts our requests.
type server struct {
	client    dynamic.Interface
	mapper    meta.RESTMapper
	resources []schema.GroupVersionResource
	requests  atomic.Int64
	interfere atomic.Pointer[func(*http.Request)] // called before each request
}

func (s *server) Dynamic() dynamic.Interface { return s.client }
func (s *server) Mapper() meta.RESTMapper    { return s.mapper }
func (s *server) NamespacedResources() ([]schema.GroupVersionResource, error) {
	return s.resources, nil
}

func (s *server) count(f func()) int64 {
	before := s.requests.Load()
	f()
	return s.requests.Load() - before
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func startServer(t *testing.T) *server {
	t.Helper()
	api := membertest.StartAPIServer(t)
	s := &server{}
	plain := discovery.NewDiscoveryClientForConfigOrDie(api.Config())
	groups, err := restmapper.GetAPIGroupResources(plain)
	if err != nil {
		t.Fatal(err)
	}
	s.mapper = restmapper.NewDiscoveryRESTMapper(groups)
	lists, err := plain.ServerPreferredNamespacedResources()
	if err != nil {
		t.Fatal(err)
	}
	listable, err := discovery.GroupVersionResources(discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list"}}, lists))
	if err != nil {
		t.Fatal(err)
	}
	for gvr := range listable {
		s.resources = append(s.resources, gvr)
	}
	config := api.Config()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			s.requests.Add(1)
			if f := s.interfere.Swap(nil); f != nil {
				(*f)(r)
			}
			return next.RoundTrip(r)
		})
	})
	s.client = dynamic.NewForConfigOrDie(config)
	return s
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func configMap(name, value string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": "default"},
		"data":     map[string]any{"key": value},
	}}
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: default}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: app, image: "web:1", ports: [{containerPort: 80}]}
      - {name: log, image: "log:1"}
`

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
var deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

var ours = Options{Hub: "hub-1", TemplateUID: "t-1"}

func (o Options) with(edit func(*Options)) Options {
	edit(&o)
	return o
}

func (s *server) get(t *testing.T, gvr schema.GroupVersionResource, name string) *unstructured.Unstructured {
	t.Helper()
	u, err := s.client.Resource(gvr).Namespace("default").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// cached is the object as an informer would hold it.
func cached(u *unstructured.Unstructured) *unstructured.Unstructured {
	u = u.DeepCopy()
	Seal(u)
	return u
}

func (s *server) create(t *testing.T, gvr schema.GroupVersionResource, u *unstructured.Unstructured, manager string) {
	t.Helper()
	_, err := s.client.Resource(gvr).Namespace("default").Create(context.Background(), u, metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *server) patch(t *testing.T, gvr schema.GroupVersionResource, name, manager, patch string, sub ...string) {
	t.Helper()
	_, err := s.client.Resource(gvr).Namespace("default").Patch(context.Background(), name, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: manager}, sub...)
	if err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, got Result, verdict Verdict, reason Reason, words ...string) {
	t.Helper()
	if got.Verdict != verdict || got.Reason != reason {
		t.Fatalf("got %s, want %s (%s)", got, verdict, reason)
	}
	for _, w := range words {
		if !strings.Contains(got.Message, w) {
			t.Errorf("message %q does not say %q", got.Message, w)
		}
	}
}

// TestRealServer has the stories that only a real API server can tell. They share one.
func TestRealServer(t *testing.T) {
	s := startServer(t)
	for _, story := range []struct {
		name string
		tell func(*testing.T, *server)
	}{
		{"one request creates, one changes, one finds nothing to do", storyOneRequest},
		{"a foreign object is left alone", storyForeign},
		{"a foreign object that appears before our write is left alone", storyForeignRace},
		{"adopting takes what nobody else owns", storyAdopt},
		{"an adopted object is not deleted", storyAdoptedStays},
		{"overwriting takes everything", storyOverwrite},
		{"another hub's object", storyOtherHub},
		{"drift is repaired by force", storyDrift},
		{"a field that is new to us and owned by others is reported", storyNewField},
		{"a field taken out of the template goes", storyFieldRemoved},
		{"a field taken out of the template that is somebody else's stays", storyFieldCeded},
		{"the fingerprint tells every change of our fields", storyFingerprint},
		{"an object made anew under our hands", storyStaleCache},
		{"delete", storyDelete},
		{"delete loses against a takeover", storyDeleteRace},
		{"a finalizer makes a delete pending", storyFinalizer},
		{"orphan leaves the object without marks", storyOrphan},
		{"refusals carry the member's words", storyRefusals},
		{"namespaces", storyNamespaces},
		{"definitions", storyDefinitions},
		{"diff", storyDiff},
		{"a field that cannot be changed", storyRecreate},
		{"fields that are the member's", storyIgnore},
	} {
		t.Run(story.name, func(t *testing.T) { story.tell(t, s) })
	}
}

func storyOneRequest(t *testing.T, s *server) {
	ctx := context.Background()
	for _, obj := range []*unstructured.Unstructured{
		configMap("one", "a"), object(t, strings.ReplaceAll(deployment, "NAME", "one")),
	} {
		gvr := configMaps
		if obj.GetKind() == "Deployment" {
			gvr = deployments
		}
		untouched := obj.DeepCopy()
		var r Result
		if n := s.count(func() { r = Apply(ctx, s, obj, ours) }); n != 1 {
			t.Errorf("create took %d requests", n)
		}
		expect(t, r, Created, "")
		live := s.get(t, gvr, "one")
		if r.Fingerprint == "" || r.Fingerprint != Fingerprint(live) || r.UID != live.GetUID() {
			t.Errorf("result does not fit the object: %+v", r)
		}
		if TemplateOf(live) != "t-1" || !IsOurs(live, "hub-1") {
			t.Errorf("no marks: %v %v", live.GetLabels(), live.GetAnnotations())
		}
		if diff := cmp.Diff(untouched, obj); diff != "" {
			t.Errorf("input changed: %s", diff)
		}
		o := ours.with(func(o *Options) { o.Live = cached(live) })
		if n := s.count(func() { r = Apply(ctx, s, obj, o) }); n != 1 {
			t.Errorf("apply without change took %d requests", n)
		}
		expect(t, r, Unchanged, "")
		obj.SetLabels(map[string]string{"a": "b"})
		if n := s.count(func() { r = Apply(ctx, s, obj, o) }); n != 1 {
			t.Errorf("change took %d requests", n)
		}
		expect(t, r, Configured, "")
		// The cache is behind: it does not know the object at all.
		r = Apply(ctx, s, obj, ours)
		expect(t, r, Unchanged, "")
	}
}

func storyForeign(t *testing.T, s *server) {
	s.create(t, configMaps, configMap("foreign", "theirs"), "kubectl-create")
	before := s.get(t, configMaps, "foreign")
	r := Apply(context.Background(), s, configMap("foreign", "ours"), ours)
	expect(t, r, Conflict, ReasonForeign, "ConfigMap default/foreign", "kubectl-create", "Adopt")
	// Also when its fields would not conflict.
	expect(t, Apply(context.Background(), s, configMap("foreign", "theirs"), ours), Conflict, ReasonForeign)
	if diff := cmp.Diff(before, s.get(t, configMaps, "foreign")); diff != "" {
		t.Errorf("the foreign object was changed: %s", diff)
	}
	expect(t, Delete(context.Background(), s, RefOf(before), DeleteOptions{Hub: "hub-1", TemplateUID: "t-1"}), Skipped, ReasonForeign)
	if diff := cmp.Diff(before, s.get(t, configMaps, "foreign")); diff != "" {
		t.Errorf("the foreign object was changed: %s", diff)
	}
}

func storyForeignRace(t *testing.T, s *server) {
	s.interfere.Store(new(func(r *http.Request) {
		if r.Method == http.MethodPatch {
			s.create(t, configMaps, configMap("race", "theirs"), "intruder")
		}
	}))
	r := Apply(context.Background(), s, configMap("race", "ours"), ours)
	expect(t, r, Conflict, ReasonForeign, "intruder")
	if got := s.get(t, configMaps, "race"); len(got.GetLabels()) != 0 {
		t.Errorf("the foreign object was changed: %v", got)
	}
}

func storyAdopt(t *testing.T, s *server) {
	ctx := context.Background()
	adopt := ours.with(func(o *Options) { o.OnConflict = Adopt })
	theirs := configMap("adopt", "same")
	unstructured.SetNestedField(theirs.Object, "kept", "data", "other")
	s.create(t, configMaps, theirs, "kubectl-create")
	expect(t, Apply(ctx, s, configMap("adopt", "different"), adopt), Conflict, ReasonFieldOwned, "kubectl-create", ".data.key")
	if IsOurs(s.get(t, configMaps, "adopt"), "hub-1") {
		t.Fatal("a conflict left a mark")
	}
	expect(t, Apply(ctx, s, configMap("adopt", "same"), adopt), Configured, "")
	live := s.get(t, configMaps, "adopt")
	if !IsOurs(live, "hub-1") || live.GetAnnotations()[AnnotationAdopted] != "true" {
		t.Fatalf("not adopted: %v", live)
	}
	// It stays adopted when it is applied again, with any OnConflict.
	expect(t, Apply(ctx, s, configMap("adopt", "same"), ours.with(func(o *Options) { o.Live = cached(live) })), Unchanged, "")
}

func storyAdoptedStays(t *testing.T, s *server) {
	ctx := context.Background()
	s.create(t, configMaps, configMap("stays", "same"), "kubectl-create")
	expect(t, Apply(ctx, s, configMap("stays", "same"), ours.with(func(o *Options) { o.OnConflict = Adopt })), Configured, "")
	live := s.get(t, configMaps, "stays")
	r := Delete(ctx, s, RefOf(live), DeleteOptions{Hub: "hub-1", TemplateUID: "t-1", Live: cached(live)})
	expect(t, r, Skipped, ReasonKept)
	left := s.get(t, configMaps, "stays")
	if IsOurs(left, "hub-1") || len(left.GetAnnotations()) != 0 || Fingerprint(left) != "" {
		t.Errorf("marks stayed: %v", left)
	}
}

func storyOverwrite(t *testing.T, s *server) {
	ctx := context.Background()
	s.create(t, configMaps, configMap("overwrite", "theirs"), "kubectl-create")
	expect(t, Apply(ctx, s, configMap("overwrite", "ours"), ours.with(func(o *Options) { o.OnConflict = Overwrite })), Configured, "")
	live := s.get(t, configMaps, "overwrite")
	if v, _, _ := unstructured.NestedString(live.Object, "data", "key"); v != "ours" || !IsOurs(live, "hub-1") {
		t.Errorf("not overwritten: %v", live)
	}
	expect(t, Delete(ctx, s, RefOf(live), DeleteOptions{Hub: "hub-1", TemplateUID: "t-1"}), Skipped, ReasonKept)
}

func storyOtherHub(t *testing.T, s *server) {
	ctx := context.Background()
	expect(t, Apply(ctx, s, configMap("hub", "v"), Options{Hub: "hub-2", TemplateUID: "t-9"}), Created, "")
	for _, on := range []OnConflict{Fail, Adopt} {
		r := Apply(ctx, s, configMap("hub", "v"), ours.with(func(o *Options) { o.OnConflict = on }))
		expect(t, r, Conflict, ReasonOtherHub, `"hub-2"`)
	}
	ref := Ref{GVK: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, Namespace: "default", Name: "hub"}
	expect(t, Delete(ctx, s, ref, DeleteOptions{Hub: "hub-1"}), Skipped, ReasonOtherHub)
	// Ours, of a template that is gone.
	expect(t, Apply(ctx, s, configMap("gone", "v"), Options{Hub: "hub-1", TemplateUID: "t-0"}), Created, "")
	expect(t, Apply(ctx, s, configMap("gone", "v"), ours), Conflict, ReasonOtherTemplate, "t-0")
	expect(t, Apply(ctx, s, configMap("gone", "v"), ours.with(func(o *Options) { o.OnConflict = Adopt })), Configured, "")
	if live := s.get(t, configMaps, "gone"); TemplateOf(live) != "t-1" || ownerOf(live).adopted {
		t.Errorf("not taken over: %v", live)
	}
}

func storyDrift(t *testing.T, s *server) {
	ctx := context.Background()
	obj := object(t, strings.ReplaceAll(deployment, "NAME", "drift"))
	applied := Apply(ctx, s, obj, ours)
	expect(t, applied, Created, "")
	s.patch(t, deployments, "drift", "kubectl-edit", `{"spec":{"replicas":7}}`)
	live := s.get(t, deployments, "drift")
	if Fingerprint(live) == applied.Fingerprint {
		t.Error("drift is not seen")
	}
	r := Apply(ctx, s, obj, ours.with(func(o *Options) { o.Live = cached(live) }))
	expect(t, r, Configured, "")
	live = s.get(t, deployments, "drift")
	if n, _, _ := unstructured.NestedInt64(live.Object, "spec", "replicas"); n != 3 {
		t.Errorf("replicas %d", n)
	}
	if Fingerprint(live) != applied.Fingerprint || r.Fingerprint != applied.Fingerprint {
		t.Error("the fingerprint did not come back")
	}
}

func storyNewField(t *testing.T, s *server) {
	ctx := context.Background()
	obj := object(t, strings.ReplaceAll(deployment, "NAME", "newfield"))
	unstructured.RemoveNestedField(obj.Object, "spec", "replicas")
	expect(t, Apply(ctx, s, obj, ours), Created, "")
	s.patch(t, deployments, "newfield", "autoscaler", `{"spec":{"replicas":5}}`)
	unstructured.SetNestedField(obj.Object, int64(2), "spec", "replicas")
	live := cached(s.get(t, deployments, "newfield"))
	r := Apply(ctx, s, obj, ours.with(func(o *Options) { o.Live = live }))
	expect(t, r, Conflict, ReasonFieldOwned, "autoscaler", ".spec.replicas", "Overwrite")
	r = Apply(ctx, s, obj, ours.with(func(o *Options) { o.Live, o.OnConflict = live, Overwrite }))
	expect(t, r, Configured, "")
	// From now on it is ours: the same again is drift.
	s.patch(t, deployments, "newfield", "autoscaler", `{"spec":{"replicas":6}}`)
	live = cached(s.get(t, deployments, "newfield"))
	expect(t, Apply(ctx, s, obj, ours.with(func(o *Options) { o.Live = live })), Configured, "")
}

func storyFieldRemoved(t *testing.T, s *server) {
	ctx := context.Background()
	obj := configMap("removed", "v")
	unstructured.SetNestedField(obj.Object, "w", "data", "second")
	expect(t, Apply(ctx, s, obj, ours), Created, "")
	expect(t, Apply(ctx, s, configMap("removed", "v"), ours.with(func(o *Options) { o.Live = s.get(t, configMaps, "removed") })), Configured, "")
	if _, has, _ := unstructured.NestedString(s.get(t, configMaps, "removed").Object, "data", "second"); has {
		t.Error("the field is still there")
	}
}

// storyFieldCeded: what somebody changed in the member before the template dropped it is theirs, and that is told.
func storyFieldCeded(t *testing.T, s *server) {
	ctx := t.Context()
	with := func(data map[string]any) *unstructured.Unstructured {
		obj := configMap("ceded", "a")
		obj.Object["data"] = data
		return obj
	}
	live := func(want map[string]string) Options {
		t.Helper()
		live := s.get(t, configMaps, "ceded")
		got, _, _ := unstructured.NestedStringMap(live.Object, "data")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("data (-want +got): %s", diff)
		}
		return ours.with(func(o *Options) { o.Live = cached(live) })
	}
	expect(t, Apply(ctx, s, with(map[string]any{"a": "1", "b": "1", "c": "1", "d": "1"}), ours), Created, "")
	// Somebody changes two of our fields; one is repaired before it is dropped, the other is not.
	s.patch(t, configMaps, "ceded", "person", `{"data": {"a": "2", "own": "theirs"}}`)
	repaired := Apply(ctx, s, with(map[string]any{"a": "1", "b": "1", "c": "1", "d": "1"}), live(map[string]string{
		"a": "2", "b": "1", "c": "1", "d": "1", "own": "theirs"}))
	expect(t, repaired, Configured, "")
	s.patch(t, configMaps, "ceded", "person", `{"data": {"b": "2"}}`)
	r := Apply(ctx, s, with(map[string]any{"d": "1"}), live(map[string]string{
		"a": "1", "b": "2", "c": "1", "d": "1", "own": "theirs"}))
	expect(t, r, Configured, ReasonCeded, `.data.b is owned by "person"`)
	for _, gone := range []string{".data.a", ".data.c", ".data.own"} {
		if strings.Contains(r.Message, gone) {
			t.Errorf("%s did not stay, or never was ours, and is told of: %s", gone, r.Message)
		}
	}
	// It is told once, and is none of our business any more; it may be wanted again.
	now := live(map[string]string{"b": "2", "d": "1", "own": "theirs"})
	expect(t, Apply(ctx, s, with(map[string]any{"d": "2"}), now), Configured, "")
	now = live(map[string]string{"b": "2", "d": "2", "own": "theirs"})
	expect(t, Apply(ctx, s, with(map[string]any{"b": "3", "d": "2"}), now), Conflict, ReasonFieldOwned, ".data.b")

	// An element of a list that is ours goes with all that somebody changed in it.
	obj := object(t, strings.ReplaceAll(deployment, "NAME", "ceded"))
	expect(t, Apply(ctx, s, obj, ours), Created, "")
	s.patch(t, deployments, "ceded", "person",
		`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"web:1"},{"name":"log","image":"log:7"}]}}}}`)
	containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
	_ = unstructured.SetNestedSlice(obj.Object, containers[:1], "spec", "template", "spec", "containers")
	o := ours.with(func(o *Options) { o.Live = cached(s.get(t, deployments, "ceded")) })
	expect(t, Apply(ctx, s, obj, o), Configured, "")
	left, _, _ := unstructured.NestedSlice(s.get(t, deployments, "ceded").Object, "spec", "template", "spec", "containers")
	if len(left) != 1 {
		t.Errorf("the containers are %v", left)
	}
}

func storyFingerprint(t *testing.T, s *server) {
	ctx := context.Background()
	obj := object(t, strings.ReplaceAll(deployment, "NAME", "print"))
	want := Apply(ctx, s, obj, ours).Fingerprint
	for _, c := range []struct {
		name    string
		patch   string
		sub     []string
		isDrift bool
	}{
		{"an image", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"web:2"},{"name":"log","image":"log:1"}]}}}}`, nil, true},
		{"a container removed", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"web:1","ports":[{"containerPort":80}]}]}}}}`, nil, true},
		{"replicas by the scale subresource", `{"spec":{"replicas":9}}`, []string{"scale"}, true},
		{"our annotation removed", `{"metadata":{"annotations":{"hanse.io/template":null}}}`, nil, true},
		{"an ownerless managedFields", `{"metadata":{"managedFields":[{}]}}`, nil, true},
		{"a label of their own", `{"metadata":{"labels":{"team":"a"}}}`, nil, false},
		{"status", `{"status":{"replicas":3}}`, []string{"status"}, false},
		{"a defaulted field", `{"spec":{"revisionHistoryLimit":3}}`, nil, false},
		{"a field set to the value it has", `{"spec":{"replicas":3}}`, nil, false},
	} {
		s.patch(t, deployments, "print", "somebody", c.patch, c.sub...)
		live := s.get(t, deployments, "print")
		if got := Fingerprint(live) != want; got != c.isDrift {
			t.Errorf("%s: told as drift: %v, want %v", c.name, got, c.isDrift)
		}
		if Fingerprint(cached(live)) != Fingerprint(live) {
			t.Errorf("%s: sealing changed the fingerprint", c.name)
		}
		Apply(ctx, s, obj, ours.with(func(o *Options) { o.Live, o.OnConflict = live, Overwrite }))
		if got := Fingerprint(s.get(t, deployments, "print")); got != want {
			t.Errorf("%s: the fingerprint did not come back after a repair", c.name)
		}
	}
}

func storyStaleCache(t *testing.T, s *server) {
	ctx := context.Background()
	expect(t, Apply(ctx, s, configMap("stale", "v"), ours), Created, "")
	old := cached(s.get(t, configMaps, "stale"))
	remove := func() {
		if err := s.client.Resource(configMaps).Namespace("default").Delete(ctx, "stale", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	o := ours.with(func(o *Options) { o.Live = old })
	remove()
	expect(t, Apply(ctx, s, configMap("stale", "v"), o), Created, "")
	remove()
	s.create(t, configMaps, configMap("stale", "theirs"), "intruder")
	expect(t, Apply(ctx, s, configMap("stale", "v"), o), Conflict, ReasonForeign, "intruder")
}

func storyDelete(t *testing.T, s *server) {
	ctx := context.Background()
	expect(t, Apply(ctx, s, configMap("del", "v"), ours), Created, "")
	live := cached(s.get(t, configMaps, "del"))
	s.patch(t, configMaps, "del", "x", `{"data":{"more":"x"}}`) // the cache is behind
	expect(t, Delete(ctx, s, RefOf(live), DeleteOptions{Hub: "hub-1", TemplateUID: "t-2", Live: live}), Skipped, ReasonOtherTemplate)
	expect(t, Delete(ctx, s, RefOf(live), DeleteOptions{Hub: "hub-1", TemplateUID: "t-1", Live: live}), Deleted, "")
	expect(t, Delete(ctx, s, RefOf(live), DeleteOptions{Hub: "hub-1", TemplateUID: "t-1", Live: live}), Deleted, "")
	_, err := s.client.Resource(configMaps).Namespace("default").Get(ctx, "del", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("still there: %v", err)
	}
	expect(t, Apply(ctx, s, configMap("del", "v"), ours), Created, "")
	live = cached(s.get(t, configMaps, "del"))
	n := s.count(func() {
		expect(t, Delete(ctx, s, RefOf(live), DeleteOptions{Hub: "hub-1", TemplateUID: "t-1", Live: live}), Deleted, "")
	})
	if n != 1 {
		t.Errorf("delete took %d requests", n)
	}
}

func storyDeleteRace(t *testing.T, s *server) {
	ctx := context.Background()
	expect(t, Apply(ctx, s, configMap("taken", "v"), ours), Created, "")
	live := cached(s.get(t, configMaps, "taken"))
	s.interfere.Store(new(func(r *http.Request) {
		if r.Method == http.MethodDelete {
			s.patch(t, configMaps, "taken", "intruder", `{"metadata":{"labels":{"hanse.io/hub":null}}}`)
		}
	}))
	expect(t, Delete(ctx, s, RefOf(live), DeleteOptions{Hub: "hub-1", TemplateUID: "t-1", Live: live}), Skipped, ReasonForeign)
	s.get(t, configMaps, "taken")
}

func storyFinalizer(t *testing.T, s *server) {
	ctx := context.Background()
	obj := configMap("final", "v")
	obj.SetFinalizers([]string{"example.org/hold"})
	expect(t, Apply(ctx, s, obj, ours), Created, "")
	del := DeleteOptions{Hub: "hub-1", TemplateUID: "t-1"}
	expect(t, Delete(ctx, s, RefOf(obj), del), Pending, ReasonBeingDeleted, "example.org/hold")
	expect(t, Delete(ctx, s, RefOf(obj), del), Pending, ReasonBeingDeleted, "example.org/hold")
	expect(t, Apply(ctx, s, obj, ours), Pending, ReasonBeingDeleted)
	s.patch(t, configMaps, "final", "x", `{"metadata":{"finalizers":null}}`)
	expect(t, Delete(ctx, s, RefOf(obj), del), Deleted, "")
}

func storyOrphan(t *testing.T, s *server) {
	ctx := context.Background()
	obj := object(t, strings.ReplaceAll(deployment, "NAME", "orphan"))
	expect(t, Apply(ctx, s, obj, ours), Created, "")
	r := Delete(ctx, s, RefOf(obj), DeleteOptions{Hub: "hub-1", TemplateUID: "t-1", Orphan: true})
	expect(t, r, Skipped, ReasonKept)
	live := s.get(t, deployments, "orphan")
	if len(live.GetLabels()) != 0 || len(live.GetAnnotations()) != 0 {
		t.Errorf("marks stayed: %v %v", live.GetLabels(), live.GetAnnotations())
	}
	for _, entry := range live.GetManagedFields() {
		if strings.HasPrefix(entry.Manager, FieldManager) {
			t.Errorf("we still own fields: %v", entry)
		}
	}
	if n, _, _ := unstructured.NestedInt64(live.Object, "spec", "replicas"); n != 3 {
		t.Errorf("the object was changed: %v", live)
	}
}

func storyRefusals(t *testing.T, s *server) {
	ctx := context.Background()
	immutable := object(t, strings.ReplaceAll(deployment, "NAME", "immutable"))
	expect(t, Apply(ctx, s, immutable, ours), Created, "")
	live := s.get(t, deployments, "immutable")
	unstructured.SetNestedStringMap(immutable.Object, map[string]string{"app": "b"}, "spec", "selector", "matchLabels")
	unstructured.SetNestedStringMap(immutable.Object, map[string]string{"app": "b"}, "spec", "template", "metadata", "labels")
	r := Apply(ctx, s, immutable, ours.with(func(o *Options) { o.Live = cached(live) }))
	expect(t, r, Failed, ReasonImmutable, "selector", "delete the object")
	if !r.Done() {
		t.Error("an immutable field is tried again")
	}

	elsewhere := configMap("x", "v")
	elsewhere.SetNamespace("nowhere")
	expect(t, Apply(ctx, s, elsewhere, ours), Pending, ReasonNamespaceMissing, "nowhere")

	expect(t, Apply(ctx, s, object(t, `{apiVersion: example.org/v1, kind: Thing, metadata: {name: x}}`), ours), Failed, ReasonKindMissing, "example.org/v1")

	wrong := object(t, strings.ReplaceAll(deployment, "NAME", "wrong"))
	unstructured.SetNestedField(wrong.Object, int64(-1), "spec", "replicas")
	expect(t, Apply(ctx, s, wrong, ours), Failed, ReasonInvalid, "spec.replicas")
	unstructured.SetNestedField(wrong.Object, "x", "spec", "newField")
	expect(t, Apply(ctx, s, wrong, ours), Failed, ReasonInvalid, "newField")

	large := configMap("large", strings.Repeat("x", 2<<20))
	expect(t, Apply(ctx, s, large, ours), Failed, ReasonTooLarge)
	huge := configMap("large", strings.Repeat("x", 4<<20))
	expect(t, Apply(ctx, s, huge, ours), Failed, ReasonTooLarge)

	quota := object(t, `{apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: default}, spec: {hard: {count/secrets: "0"}}, status: {hard: {count/secrets: "0"}, used: {count/secrets: "0"}}}`)
	quotas := schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
	s.create(t, quotas, quota, "x")
	s.patch(t, quotas, "q", "x", `{"status":{"hard":{"count/secrets":"0"},"used":{"count/secrets":"0"}}}`, "status")
	defer s.client.Resource(quotas).Namespace("default").Delete(ctx, "q", metav1.DeleteOptions{})
	secret := object(t, `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: default}}`)
	waitFor(t, func() string {
		if r := Apply(ctx, s, secret, ours); r.Reason != ReasonQuota {
			s.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace("default").Delete(ctx, "s", metav1.DeleteOptions{})
			return r.String()
		}
		return ""
	})

	policy := object(t, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: fridays}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]}
  validations: [{expression: "object.metadata.name != 'denied'", message: "not on a Friday"}]`)
	binding := object(t, `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: fridays}, spec: {policyName: fridays, validationActions: [Deny]}}`)
	for _, obj := range []*unstructured.Unstructured{policy, binding} {
		expect(t, Apply(ctx, s, obj, ours), Created, "")
		defer Delete(ctx, s, RefOf(obj), DeleteOptions{Hub: "hub-1"})
	}
	waitFor(t, func() string {
		r := Apply(ctx, s, configMap("denied", "v"), ours)
		if r.Reason != ReasonDenied || !strings.Contains(r.Message, "not on a Friday") {
			Delete(ctx, s, RefOf(configMap("denied", "v")), DeleteOptions{Hub: "hub-1"})
			return r.String()
		}
		return ""
	})

	webhook := object(t, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: broken}
webhooks:
- name: broken.example.org
  clientConfig: {url: "https://127.0.0.1:1/"}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets]}]
  objectSelector: {matchLabels: {broken: "yes"}}
  admissionReviewVersions: [v1]
  sideEffects: None`)
	expect(t, Apply(ctx, s, webhook, ours), Created, "")
	defer Delete(ctx, s, RefOf(webhook), DeleteOptions{Hub: "hub-1"})
	hooked := configMap("hooked", "v")
	hooked.SetKind("Secret")
	delete(hooked.Object, "data")
	hooked.SetLabels(map[string]string{"broken": "yes"})
	waitFor(t, func() string {
		if r := Apply(ctx, s, hooked, ours); r.Reason != ReasonWebhookBroken {
			Delete(ctx, s, RefOf(hooked), DeleteOptions{Hub: "hub-1"})
			return r.String()
		}
		return ""
	})
}

// waitFor asks until the answer is empty.
func waitFor(t *testing.T, wrong func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		what := wrong()
		if what == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func storyNamespaces(t *testing.T, s *server) {
	ctx := context.Background()
	namespaces := s.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	expect(t, EnsureNamespace(ctx, s, "hub-1", "default"), Unchanged, "")
	if ns, _ := namespaces.Get(ctx, "default", metav1.GetOptions{}); IsOurs(ns, "hub-1") {
		t.Error("an existing namespace was marked")
	}
	expect(t, RemoveNamespaceIfOursAndEmpty(ctx, s, "hub-1", "default"), Skipped, ReasonForeign)
	expect(t, EnsureNamespace(ctx, s, "hub-1", "shop"), Created, "")
	expect(t, EnsureNamespace(ctx, s, "hub-1", "shop"), Unchanged, "")

	put := func(name, uid string, obj *unstructured.Unstructured) {
		obj.SetNamespace("shop")
		if uid != "" {
			expect(t, Apply(ctx, s, obj, Options{Hub: "hub-1", TemplateUID: types.UID(uid)}), Created, "")
			return
		}
		if _, err := s.client.Resource(configMaps).Namespace("shop").Create(ctx, obj, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put("kube-root-ca.crt", "", configMap("kube-root-ca.crt", "by itself"))
	put("theirs", "", configMap("theirs", "v"))
	put("ours", "t-1", configMap("ours", "v"))
	expect(t, RemoveNamespaceIfOursAndEmpty(ctx, s, "hub-2", "shop"), Skipped, ReasonOtherHub)
	expect(t, RemoveNamespaceIfOursAndEmpty(ctx, s, "hub-1", "shop"), Skipped, ReasonNotEmpty, "configmap theirs")
	if err := s.client.Resource(configMaps).Namespace("shop").Delete(ctx, "theirs", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, RemoveNamespaceIfOursAndEmpty(ctx, s, "hub-1", "shop"), Pending, ReasonNotEmpty, "configmap ours")
	mine := configMap("ours", "v")
	mine.SetNamespace("shop")
	expect(t, Delete(ctx, s, RefOf(mine), DeleteOptions{Hub: "hub-1"}), Deleted, "")
	// A template for the namespace comes: from now on it is the template's.
	template := object(t, `{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}`)
	expect(t, Apply(ctx, s, template, Options{Hub: "hub-1", TemplateUID: "ns-1"}), Configured, "")
	expect(t, RemoveNamespaceIfOursAndEmpty(ctx, s, "hub-1", "shop"), Skipped, ReasonOtherTemplate)
	expect(t, Delete(ctx, s, RefOf(template), DeleteOptions{Hub: "hub-1", TemplateUID: "ns-1"}), Pending, ReasonBeingDeleted)
	if ns, err := namespaces.Get(ctx, "shop", metav1.GetOptions{}); err == nil && ns.GetDeletionTimestamp() == nil {
		t.Error("the namespace was not deleted")
	}
	// One that a template brought is left to who has something in it, without our marks.
	template.SetName("shared")
	expect(t, Apply(ctx, s, template, Options{Hub: "hub-1", TemplateUID: "ns-2"}), Created, "")
	for _, obj := range []*unstructured.Unstructured{configMap("kube-root-ca.crt", "by itself"), configMap("theirs", "v")} {
		obj.SetNamespace("shared")
		if _, err := s.client.Resource(configMaps).Namespace("shared").Create(ctx, obj, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, Delete(ctx, s, RefOf(template), DeleteOptions{Hub: "hub-1", TemplateUID: "ns-2"}), Skipped, ReasonNotEmpty,
		"Namespace shared stays", "configmap theirs in it is not ours")
	if ns, err := namespaces.Get(ctx, "shared", metav1.GetOptions{}); err != nil || IsOurs(ns, "hub-1") ||
		TemplateOf(ns) != "" || ns.GetLabels()["team"] != "a" {
		t.Errorf("the namespace that stays is %v, %v", ns, err)
	}
	expect(t, EnsureNamespace(ctx, s, "hub-1", "shop"), Pending, ReasonBeingDeleted)
	late := configMap("late", "v")
	late.SetNamespace("shop")
	expect(t, Apply(ctx, s, late, ours), Pending, ReasonNamespaceEnding)
}

// A definition takes all objects of its kind along: it waits for ours, and stays where others have some.
func storyDefinitions(t *testing.T, s *server) {
	ctx := context.Background()
	definition := func() *unstructured.Unstructured {
		return object(t, `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: rings.example.org},
			spec: {group: example.org, scope: Namespaced, names: {plural: rings, kind: Ring}, versions: [{name: v1, served: true,
			storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}`)
	}
	definitions := s.client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1",
		Resource: "customresourcedefinitions"})
	rings := s.client.Resource(schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "rings"}).Namespace("default")
	put := func(name string, labels map[string]string) {
		t.Helper()
		ring := object(t, `{apiVersion: example.org/v1, kind: Ring, metadata: {name: x}}`)
		ring.SetName(name)
		ring.SetLabels(labels)
		deadline := time.Now().Add(30 * time.Second)
		_, err := rings.Create(ctx, ring, metav1.CreateOptions{})
		for ; err != nil && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // until it is served
			_, err = rings.Create(ctx, ring, metav1.CreateOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	options := DeleteOptions{Hub: "hub-1", TemplateUID: "t-1"}
	expect(t, Apply(ctx, s, definition(), Options{Hub: "hub-1", TemplateUID: "t-1"}), Created, "")
	put("ours", map[string]string{LabelHub: "hub-1"})
	expect(t, Delete(ctx, s, RefOf(definition()), options), Pending, ReasonNotEmpty, "ring ours is still there")
	put("theirs", nil)
	expect(t, Delete(ctx, s, RefOf(definition()), options), Skipped, ReasonNotEmpty, "ring theirs is not ours")
	live, err := definitions.Get(ctx, "rings.example.org", metav1.GetOptions{})
	if err != nil || IsOurs(live, "hub-1") || live.GetDeletionTimestamp() != nil {
		t.Errorf("the definition is not left alone: %v", err)
	}
	if _, err := rings.Get(ctx, "theirs", metav1.GetOptions{}); err != nil {
		t.Errorf("their object: %v", err)
	}
	for _, name := range []string{"ours", "theirs"} {
		if err := rings.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, Apply(ctx, s, definition(), Options{Hub: "hub-1", TemplateUID: "t-1", OnConflict: Overwrite}), Configured, "")
	if live, err = definitions.Get(ctx, "rings.example.org", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	live.SetAnnotations(map[string]string{AnnotationTemplate: "t-1"}) // as if it had been ours from the beginning
	if _, err := definitions.Update(ctx, live, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, Delete(ctx, s, RefOf(definition()), options), Deleted, "")
}

func storyDiff(t *testing.T, s *server) {
	ctx := context.Background()
	lines := func(changes []Change) (out []string) {
		for _, c := range changes {
			out = append(out, c.String())
		}
		return out
	}
	obj := object(t, strings.ReplaceAll(deployment, "NAME", "diff"))
	changes, r := Diff(ctx, s, obj, ours)
	expect(t, r, Created, ReasonDryRun)
	if !strings.Contains(fmt.Sprint(lines(changes)), `+ .spec.template.spec.containers[name="app"].image: "web:1"`) {
		t.Errorf("got %v", lines(changes))
	}
	expect(t, Apply(ctx, s, obj, ours), Created, "")
	before := s.get(t, deployments, "diff")
	changes, r = Diff(ctx, s, obj, ours)
	expect(t, r, Unchanged, ReasonDryRun)
	if len(changes) > 0 {
		t.Errorf("got %v", lines(changes))
	}
	containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
	containers[0].(map[string]any)["image"] = "web:2"
	unstructured.SetNestedSlice(obj.Object, containers[:1], "spec", "template", "spec", "containers")
	obj.SetLabels(map[string]string{"team": "a"})
	changes, r = Diff(ctx, s, obj, ours)
	expect(t, r, Configured, ReasonDryRun)
	var short []string
	for _, l := range lines(changes) {
		if !strings.Contains(l, `[name="log"].`) || strings.Contains(l, ".image:") {
			short = append(short, l)
		}
	}
	want := []string{
		`+ .metadata.labels.team: "a"`,
		`~ .spec.template.spec.containers[name="app"].image: "web:1" -> "web:2"`,
		`- .spec.template.spec.containers[name="log"].image: "log:1"`,
	}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(before, s.get(t, deployments, "diff")); diff != "" {
		t.Errorf("Diff wrote: %s", diff)
	}
	// Somebody else's values are not shown.
	s.create(t, configMaps, configMap("secretive", "theirs"), "them")
	changes, r = Diff(ctx, s, configMap("secretive", "ours"), ours.with(func(o *Options) { o.OnConflict = Overwrite }))
	expect(t, r, Configured, ReasonDryRun)
	if text := fmt.Sprint(lines(changes)); strings.Contains(text, "theirs") || !strings.Contains(text, `~ .data.key: "ours"`) {
		t.Errorf("got %s", text)
	}
}

// storyRecreate: on request, and only where nothing is lost, an object is made anew.
func storyRecreate(t *testing.T, s *server) {
	ctx := t.Context()
	obj := object(t, strings.ReplaceAll(deployment, "NAME", "fixed"))
	first := Apply(ctx, s, obj, ours)
	expect(t, first, Created, "")
	changed := obj.DeepCopy()
	_ = unstructured.SetNestedStringMap(changed.Object, map[string]string{"app": "b"}, "spec", "selector", "matchLabels")
	_ = unstructured.SetNestedStringMap(changed.Object, map[string]string{"app": "b"}, "spec", "template", "metadata", "labels")
	live := ours.with(func(o *Options) { o.Live = cached(s.get(t, deployments, "fixed")) })
	expect(t, Apply(ctx, s, changed, live), Failed, ReasonImmutable, "onImmutable: Recreate")
	if got := s.get(t, deployments, "fixed").GetUID(); got != first.UID {
		t.Fatal("it was made anew without being asked for")
	}
	recreate := live.with(func(o *Options) { o.Recreate = true })
	_, foreseen := Diff(ctx, s, changed, recreate)
	expect(t, foreseen, Configured, ReasonDryRun, "would be deleted and recreated")
	again := Apply(ctx, s, changed, recreate)
	expect(t, again, Created, ReasonRecreated, "field is immutable")
	if got := s.get(t, deployments, "fixed"); got.GetUID() == first.UID || got.GetUID() != again.UID {
		t.Errorf("it has the UID %s, was %s, reported %s", got.GetUID(), first.UID, again.UID)
	}

	// One that was there before us stays, and so does what keeps data.
	s.create(t, configMaps, configMap("theirs", "a"), "they")
	s.patch(t, configMaps, "theirs", "they", `{"immutable": true}`)
	taken := configMap("theirs", "b")
	expect(t, Apply(ctx, s, taken, ours.with(func(o *Options) { o.Recreate, o.OnConflict = true, Overwrite })),
		Failed, ReasonImmutable, "not recreated", "before us")
	claim := object(t, `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: default}
spec: {accessModes: [ReadWriteOnce], storageClassName: slow, resources: {requests: {storage: 1Gi}}}`)
	expect(t, Apply(ctx, s, claim, ours), Created, "")
	_ = unstructured.SetNestedField(claim.Object, "fast", "spec", "storageClassName")
	live.Live = nil
	expect(t, Apply(ctx, s, claim, live.with(func(o *Options) { o.Recreate = true })),
		Failed, ReasonImmutable, "not recreated", "its data")
}

// storyIgnore: an ignored field is made as the template has it, and is the member's from then on.
func storyIgnore(t *testing.T, s *server) {
	ctx := t.Context()
	ignoring := ours.with(func(o *Options) { o.Ignore = []string{"/spec/replicas", "/spec/template/spec/containers/*/image"} })
	replicas := func(want int64, image string) *unstructured.Unstructured {
		t.Helper()
		live := s.get(t, deployments, "theirs")
		n, _, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
		containers, _, _ := unstructured.NestedSlice(live.Object, "spec", "template", "spec", "containers")
		if got := containers[0].(map[string]any)["image"]; n != want || got != image {
			t.Fatalf("the member has %d replicas of %v, want %d of %s", n, got, want, image)
		}
		return cached(live)
	}
	obj := object(t, strings.ReplaceAll(deployment, "NAME", "theirs"))
	expect(t, Apply(ctx, s, obj, ignoring), Created, "")
	ignoring.Live = replicas(3, "web:1")
	_ = unstructured.SetNestedField(obj.Object, int64(4), "spec", "replicas")
	_ = unstructured.SetNestedField(obj.Object, int64(5), "spec", "minReadySeconds")
	expect(t, Apply(ctx, s, obj, ignoring), Configured, "")
	ignoring.Live = replicas(3, "web:1") // still ours, and not touched

	s.patch(t, deployments, "theirs", "autoscaler", `{"spec":{"replicas":9}}`)
	s.patch(t, deployments, "theirs", "person",
		`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"web:7"},{"name":"log","image":"log:1"}]}}}}`)
	ignoring.Live = replicas(9, "web:7")
	_ = unstructured.SetNestedField(obj.Object, int64(6), "spec", "minReadySeconds")
	expect(t, Apply(ctx, s, obj, ignoring), Configured, "")
	ignoring.Live = replicas(9, "web:7")
	before := Fingerprint(ignoring.Live)
	s.patch(t, deployments, "theirs", "autoscaler", `{"spec":{"replicas":11}}`)
	if Fingerprint(replicas(11, "web:7")) != before {
		t.Error("a change of an ignored field still looks like drift")
	}
	// The race: it changes between our look and our write.
	race := func(*http.Request) {
		again := func(*http.Request) { s.patch(t, deployments, "theirs", "autoscaler", `{"spec":{"replicas":12}}`) }
		s.interfere.Store(&again)
	}
	s.interfere.Store(&race)
	_ = unstructured.SetNestedField(obj.Object, int64(7), "spec", "minReadySeconds")
	expect(t, Apply(ctx, s, obj, ignoring), Configured, "")
	ignoring.Live = replicas(12, "web:7")

	// When it is ignored no more, it is the template's again.
	ignoring.Ignore = nil
	expect(t, Apply(ctx, s, obj, ignoring), Configured, "")
	replicas(4, "web:1")
}
