package admission

import (
	"net/netip"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/names/probescope"
)

func globalServiceOf(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	text := "{apiVersion: hanse.io/v1alpha1, kind: GlobalService, metadata: {name: web, namespace: a}, spec: " + spec + "}"
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAddressesGivenByHand(t *testing.T) {
	plugin := &Addresses{Scope: func() probescope.Scope {
		return probescope.Scope{Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")},
			Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.9.0.1:7443")}}
	}}
	validate := func(now, before *unstructured.Unstructured) error {
		kind := v1alpha1.GroupVersion.WithKind("GlobalService")
		operation, old := admission.Create, runtime.Object(nil)
		if before != nil {
			operation, old = admission.Update, before
		}
		return plugin.Validate(t.Context(), admission.NewAttributesRecord(now, old, kind, "a", "web",
			schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: "globalservices"}, "", operation, nil, false, nil), nil)
	}
	for _, c := range []struct{ spec, says string }{
		{"{addresses: [{cluster: x, ips: [203.0.113.1, 10.0.0.1]}]}", ""},
		{"{service: web, probe: {tcp: {port: 80}}}", ""},
		{"{addresses: [{cluster: x, ips: [203.0.113.1, 127.0.0.1]}]}", "spec.addresses[0].ips[1]"},
		{"{addresses: [{cluster: x, ips: [169.254.169.254]}]}", "link-local"},
		{"{addresses: [{cluster: x, ips: ['::ffff:127.0.0.1']}]}", "loopback"},
		{"{addresses: [{cluster: x, ips: [224.0.0.1]}]}", "multicast"},
		{"{addresses: [{cluster: x, ips: [0.0.0.0]}]}", "unspecified"},
		{"{addresses: [{cluster: x, ips: [10.0.0.300]}]}", "is no IP address"},
		{"{addresses: [{cluster: x, hostname: localhost}]}", "spec.addresses[0].hostname"},
		{"{addresses: [{cluster: x, ips: [10.0.0.1]}], probe: {tcp: {port: 80}}}", "--probe-networks"},
		{"{addresses: [{cluster: x, ips: [10.9.0.1]}], probe: {tcp: {port: 80}}}", ""},
		{"{addresses: [{cluster: x, ips: [10.9.0.1]}], probe: {http: {port: 7443}}}", "the hub itself"},
		{"{addresses: [{cluster: x, ips: [10.9.0.1]}], probe: {http: {port: web}}}", ""},
	} {
		err := validate(globalServiceOf(t, c.spec), nil)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.spec, err, c.says)
		}
	}
	// What is there already can be labelled and deleted, and mended.
	old := globalServiceOf(t, "{addresses: [{cluster: x, ips: [127.0.0.1]}], ttl: 30}")
	if err := validate(globalServiceOf(t, "{addresses: [{cluster: x, ips: [127.0.0.1]}], ttl: 60}"), old); err != nil {
		t.Errorf("an older object cannot be changed elsewhere: %v", err)
	}
	if err := validate(globalServiceOf(t, "{addresses: [{cluster: x, ips: [203.0.113.1]}]}"), old); err != nil {
		t.Errorf("an older object cannot be mended: %v", err)
	}
	if err := validate(globalServiceOf(t, "{addresses: [{cluster: x, ips: [127.0.0.1]}], probe: {tcp: {port: 1}}}"), old); err == nil {
		t.Error("an older object is given a probe of loopback")
	}
}
