// Package cluster brings up real Kubernetes clusters on this machine, for the
// tests and for the demo: members for a hub to keep.
//
// There are two providers behind one interface. The bare one (the default)
// runs the control plane's programs as plain processes on 127.0.0.1: a real
// API server, with real controllers and a real scheduler, over nodes and pods
// that kwok plays. It needs Go and nothing else, and a cluster is there within
// seconds. The kind one (E2E_PROVIDER=kind) runs whole nodes in Docker, with
// kubelets and pods that answer. Scenarios do not know which one runs.
//
//	provider, err := cluster.Default(ctx, os.Stderr)
//	east, err := provider.Create(ctx, "east", cluster.Options{Controllers: true, Nodes: 3})
//	defer east.Delete()
//
// # Guarantees
//
// Every part of a cluster can be stopped, killed, paused and started again by
// name; a start returns when the part does its work. Nothing outlives Delete,
// and nothing outlives the process that made the cluster, however it ends: the
// kernel kills the children of a bare cluster with their parent. A cluster
// keeps its address and its certificates over a restart.
//
// Services of type LoadBalancer and Ingresses get addresses from the cluster's
// own range, as they would from a cloud.
//
// # Considerations
//
// The programs are built from the module versions in e2e/go.mod, once, into
// bin/cluster under the repository; their version is in their file names, so a
// new version is built beside the old one. kube-apiserver, kube-controller-manager
// and kube-scheduler found together in KUBEBUILDER_ASSETS or on PATH are used
// instead, and so is etcd. E2E_K8S_VERSION=v1.x.y asks for another Kubernetes
// release, built the same way in a module of its own; Options.Version asks for it for one cluster.
//
// kwok, etcd and Kubernetes come from one module graph (kwok with newer
// libraries than it was released with): most of what they need is then
// compiled once, and is what the hub compiles as well.
//
// etcd runs without fsync here. What a test takes away is a process, never the
// machine's power, and a killed process loses nothing that it has written.
//
// Nodes do not renew leases; they report every few minutes, and the node
// lifecycle controller has a day of patience. Nodes of a cluster that was
// paused would be NotReady otherwise, and an idle cluster would not be idle.
package cluster
