package server

import (
	"net/http/httptest"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

var libraryInfo = clusterInfo{&request.RequestInfoFactory{
	APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}}

// What is authorized is what is done: the name in the one is the name in the other.
func TestThroughCluster(t *testing.T) {
	for _, c := range []struct {
		method, url, upgrade string
		name, inner, verb    string
		isLong               bool
	}{
		{"GET", "/clusters/east/api/v1/pods?limit=1", "", "east", "/api/v1/pods?limit=1", "get", false},
		{"GET", "/clusters/east/api/v1/pods?watch=true", "", "east", "/api/v1/pods?watch=true", "get", true},
		{"GET", "/clusters/east/api/v1/watch/pods", "", "east", "/api/v1/watch/pods", "get", true},
		{"GET", "/clusters/east/api/v1/namespaces/a/pods/b/log?follow=1", "", "east",
			"/api/v1/namespaces/a/pods/b/log?follow=1", "get", true},
		{"POST", "/clusters/east/api/v1/namespaces/a/pods/b/exec", "SPDY/3.1", "east", "/api/v1/namespaces/a/pods/b/exec", "create", true},
		{"GET", "/clusters/east/api/v1/namespaces/a/pods/b/exec", "websocket", "east", "/api/v1/namespaces/a/pods/b/exec", "create", true},
		{"POST", "/clusters/east/apis/apps/v1/namespaces/a/deployments", "", "east", "/apis/apps/v1/namespaces/a/deployments", "create", false},
		{"PUT", "/clusters/e/x", "", "e", "/x", "update", false},
		{"PATCH", "/clusters/e/x", "", "e", "/x", "patch", false},
		{"DELETE", "/clusters/e/api/v1/pods", "", "e", "/api/v1/pods", "delete", false},
		{"TRACE", "/clusters/e/x", "", "e", "/x", "", false}, // no role has it
		{"GET", "/clusters/east", "", "east", "/", "get", false},
		{"GET", "/clusters/east/", "", "east", "/", "get", false},
		{"GET", "/clusters/east/a%2Fb/c", "", "east", "/a%2Fb/c", "get", false},
		{"GET", "/clusters/east/../west/api", "", "east", "/../west/api", "get", false},
		{"GET", "/clusters/", "", "", "", "get", false},
		{"GET", "/clusters/ea%2Fst/api", "", "", "", "get", false},
		{"GET", "/clusters/ea%73t/api", "", "", "", "get", false},
		{"GET", "/api/v1/pods", "", "", "", "list", false},
		{"GET", "/clusters", "", "", "", "get", false},
	} {
		req := httptest.NewRequest(c.method, c.url, nil)
		if c.upgrade != "" {
			req.Header.Set("Upgrade", c.upgrade)
		}
		name, prefix, inner, ok := throughCluster(req.URL)
		if ok != (c.name != "") || name != c.name {
			t.Errorf("%s: to %q", c.url, name)
			continue
		}
		info, err := libraryInfo.NewRequestInfo(req)
		if err != nil || info.Verb != c.verb {
			t.Errorf("%s %s: verb %q, want %q (%v)", c.method, c.url, info.Verb, c.verb, err)
		}
		if isLong := libraryInfo.isLongThroughCluster(req); isLong != c.isLong {
			t.Errorf("%s %s: long %t", c.method, c.url, isLong)
		}
		if !ok {
			if info.Subresource == "proxy" {
				t.Errorf("%s is authorized as a use of %s", c.url, info.Name)
			}
			continue
		}
		if inner.RequestURI() != c.inner || prefix != "/clusters/"+c.name {
			t.Errorf("%s: the member is asked for %q below %q, want %q", c.url, inner.RequestURI(), prefix, c.inner)
		}
		if !info.IsResourceRequest || info.Name != c.name || info.Resource != "clusters" || info.Subresource != "proxy" ||
			info.APIGroup != "hanse.io" || info.Namespace != "" {
			t.Errorf("%s is authorized as %+v", c.url, info)
		}
	}
}
