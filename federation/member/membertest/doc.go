// Package membertest has members for tests: a real kube-apiserver on etcd, where the server's behaviour is the point,
// and listeners that misbehave in one way each.
package membertest
