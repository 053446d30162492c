package hub

import (
	utilfeature "k8s.io/apiserver/pkg/util/feature"
)

// features are the feature gates of the Kubernetes libraries that a hub sets, each with its reason. They are the
// process's own, so they are set before anything runs.
var features = map[string]bool{
	// The hub's own watches begin with a list from the watch cache, which is there at once. A streamed list has to wait
	// until the cache is known to be as new as etcd, which takes tenths of a second for each kind of a hub that is idle.
	"WatchListClient": false,
}

func init() {
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(features); err != nil {
		panic("setting feature gates: " + err.Error()) // a gate that went away with a new release
	}
}
