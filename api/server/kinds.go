package server

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

//go:generate go run -tags generate ./internal/kindtable

// nativeKinds is what discovery says of every native kind the hub serves.
//
//go:embed zz_kinds.json
var nativeKinds []byte

// readNativeKinds returns the table of native kinds, group by group, in the order in which discovery lists them.
func readNativeKinds() ([]apidiscoveryv2.APIGroupDiscovery, error) {
	var groups []apidiscoveryv2.APIGroupDiscovery
	if err := json.Unmarshal(nativeKinds, &groups); err != nil {
		return nil, fmt.Errorf("read the table of native kinds: %w", err)
	}
	return groups, nil
}

// storedElsewhere are the second versions of kinds: served, and stored as another one. hub is the version in which
// the handlers see what the store gives; the scheme converts between it and the one served.
var storedElsewhere = map[schema.GroupVersionResource]struct {
	hub    schema.GroupVersion
	stored schema.GroupVersionResource
}{
	{Group: "autoscaling", Version: "v1", Resource: "horizontalpodautoscalers"}: {
		hub:    schema.GroupVersion{Group: "autoscaling", Version: "v2"},
		stored: schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	},
	{Group: "events.k8s.io", Version: "v1", Resource: "events"}: {
		hub:    schema.GroupVersion{Group: "events.k8s.io", Version: runtime.APIVersionInternal},
		stored: schema.GroupVersionResource{Version: "v1", Resource: "events"},
	},
}

// neverStored are the kinds that are questions: a create is answered and forgotten.
func neverStored(resource apidiscoveryv2.APIResourceDiscovery) bool {
	return !slices.Contains(resource.Verbs, "list")
}

// verbSet is what a stored kind and its subresources can be asked.
var (
	storedVerbs      = []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
	subresourceVerbs = []string{"get", "patch", "update"}
)
