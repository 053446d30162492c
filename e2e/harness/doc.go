// Package harness gives scenarios what a user has: a hub, members, and the command lines hanse and kubectl.
//
//	hub, err := harness.StartHub(ctx, harness.HubOptions{})
//	east, err := harness.NewMember(ctx, "east", cluster.Options{Controllers: true})
//	out, err := hub.Hanse(ctx, "join", "east", "--cluster-kubeconfig", east.Kubeconfig())
//	out, err := hub.Kubectl(ctx, yaml, "apply", "-f", "-")
//
// # Guarantees
//
// A hub is a process of its own, started from bin/hanse as a user starts it, so it can be killed as a crash would. It
// keeps its addresses over a restart. No process outlives the test, however the test ends.
//
// Eventually waits for a condition and says in the end what was last seen; nothing here sleeps for a length of time.
//
// # Considerations
//
// The hub is not run inside the test's process, although cmd/hub allows it: kill -9, a second hub on the same data
// directory and a port in use are only true between processes. E2E_HANSE names another binary than the one that is
// built here; E2E_LOGS names a folder to keep the hubs' logs in.
package harness
