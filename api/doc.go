// Package api is the door into the hub: a Kubernetes API, so that everything people own for Kubernetes works with it.
//
// It holds no code. Below it:
//
//   - api/v1alpha1: our kinds (Cluster, Placement, Distribution, GlobalService, Zone) and their CRDs.
//   - api/native: Kubernetes' own kinds; the one package that imports k8s.io/kubernetes.
//   - api/storage: etcd, embedded or external, and a store for every kind.
//   - api/access: who calls, and what they may do.
//   - api/server: routes, filters, verbs, discovery, OpenAPI, health, metrics.
//
// A native kind stored on the hub is a template: nothing runs there. The controllers of the hub are clients of this API
// like any other; api/server does not know them.
package api
