package orphans_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/member/membertest"
	"github.com/hanse-federation/hanse/federation/member/orphans"
	"github.com/hanse-federation/hanse/federation/template"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// there are objects of a member; those that are left over have "left" in their names.
var there = []string{
	"{metadata: {name: left, labels: {hanse.io/hub: us}, annotations: {hanse.io/template: t1}}}",
	"{metadata: {name: left-adopted, labels: {hanse.io/hub: us}, annotations: {hanse.io/template: t2, hanse.io/adopted: 'true'}}}",
	"{metadata: {name: known, labels: {hanse.io/hub: us}, annotations: {hanse.io/template: t3}}}",
	"{metadata: {name: foreign}}",
	"{metadata: {name: another-hubs, labels: {hanse.io/hub: them}, annotations: {hanse.io/template: t4}}}",
	"{metadata: {name: inherited-our-label, labels: {hanse.io/hub: us}}}",
	"{metadata: {name: controlled, labels: {hanse.io/hub: us}, annotations: {hanse.io/template: t5}, ownerReferences: " +
		"[{apiVersion: v1, kind: Pod, name: p, uid: u, controller: true}]}}",
}

// What nobody knows is found, among all that is there, and is removed or released on request.
func TestLeftovers(t *testing.T) {
	api := membertest.StartAPIServer(t)
	m := member.Connect(t.Context(), member.Spec{Name: "m", Config: member.Config{
		Server: api.URL, CABundle: api.CA, Credentials: member.Credentials{Token: membertest.AdminToken},
	}}, member.Options{})
	maps := dynamic.NewForConfigOrDie(api.Config()).Resource(configMaps).Namespace("default")
	for _, text := range there {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
			t.Fatal(err)
		}
		obj.SetAPIVersion("v1")
		obj.SetKind("ConfigMap")
		if _, err := maps.Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	isKnown := func(ref template.Ref, made types.UID) bool {
		return ref == template.Ref{Kind: "ConfigMap", Namespace: "default", Name: "known"} && made == "t3"
	}
	for ; !m.State().IsReady() || m.State().APIs.Count == 0; time.Sleep(20 * time.Millisecond) {
		if t.Context().Err() != nil {
			t.Fatal(m.State())
		}
	}
	found, err := orphans.Find(t.Context(), m, "us", isKnown)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range found {
		names = append(names, o.String())
	}
	if diff := cmp.Diff([]string{"ConfigMap default/left", "ConfigMap default/left-adopted"}, names); diff != "" {
		t.Fatalf("found (-want, +got):\n%s", diff)
	}

	for _, o := range found {
		if result := orphans.Settle(t.Context(), m, "us", o, orphans.Remove); !result.OK() {
			t.Errorf("%s: %s", o, result)
		}
	}
	if _, err := maps.Get(t.Context(), "left", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("what was ours alone is still there: %v", err)
	}
	adopted, err := maps.Get(t.Context(), "left-adopted", metav1.GetOptions{})
	if err != nil || len(adopted.GetLabels()) > 0 || len(adopted.GetAnnotations()) > 0 {
		t.Errorf("what was there before us: %v, %v", adopted, err)
	}
	if found, err := orphans.Find(t.Context(), m, "us", isKnown); err != nil || len(found) > 0 {
		t.Errorf("still left over: %v, %v", found, err)
	}
}

// A request is good for one list only, in whichever order it is read.
func TestRequests(t *testing.T) {
	objects := []orphans.Object{{UID: "a"}, {UID: "b"}, {UID: "c"}}
	digest := orphans.Digest(objects)
	slices.Reverse(objects)
	if orphans.Digest(objects) != digest || orphans.Digest(objects[:2]) == digest || orphans.Digest(nil) == digest {
		t.Error("the digest does not tell one set from another")
	}
	asked := orphans.Request{Way: orphans.Release, Digest: digest}
	if got, ok := orphans.ParseRequest(asked.String()); !ok || got != asked {
		t.Errorf("%s reads as %v, %v", asked, got, ok)
	}
	for _, text := range []string{"", "Remove", "Remove/", "remove/" + digest, "Delete/" + digest} {
		if got, ok := orphans.ParseRequest(text); ok {
			t.Errorf("%q reads as %v", text, got)
		}
	}
	var _ orphans.Member = &member.Member{}
	var _ apply.Inventory = &member.Member{}
}
