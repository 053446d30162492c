package cluster

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
)

// A Provider makes clusters. It can be used by several goroutines.
type Provider interface {
	// Create brings up a cluster and returns when its API server is ready, its
	// nodes are Ready and, with controllers, pods can be created. The context
	// bounds only the creation. What a failed creation started is gone again.
	Create(ctx context.Context, name string, opts Options) (Cluster, error)
}

// A Cluster is one running cluster. Its parts may be stopped and started by
// one goroutine at a time.
type Cluster interface {
	// Name is the name that the cluster was created with.
	Name() string

	// Kubeconfig is the path of a kubeconfig file for the cluster's administrator.
	Kubeconfig() string

	// Config returns a new client configuration for the cluster's
	// administrator, without a client-side rate limit.
	Config() *rest.Config

	// Stop ends a part as a shutdown would (SIGTERM), Kill as a crash would
	// (SIGKILL); both return when it has ended. A part that does not run is
	// left alone.
	Stop(part Part) error
	Kill(part Part) error

	// Start starts a stopped or killed part on its old data and address, and
	// returns when it works. A part that runs is left alone.
	Start(part Part) error

	// Pause freezes a part (SIGSTOP): its connections stay open and nothing
	// answers. Resume thaws it.
	Pause(part Part) error
	Resume(part Part) error

	// Logs is the folder with the log files of the parts.
	Logs() string

	// Delete ends the cluster and removes its data.
	Delete() error
}

// A Part is one thing of a cluster that can fail alone.
type Part string

// The parts of a cluster. A kind cluster has the others in its node containers
// and knows only LoadBalancer and All.
const (
	Etcd              Part = "etcd"
	APIServer         Part = "kube-apiserver"
	ControllerManager Part = "kube-controller-manager"
	Scheduler         Part = "kube-scheduler"
	Kwok              Part = "kwok"
	LoadBalancer      Part = "loadbalancer"

	// All is every part that the cluster has.
	All Part = "all"
)

// The images of an application that answers HTTP requests on port 8080 with the
// name of its pod and its version. Every node of a kind cluster has them; the
// bare provider's pods run no image at all.
const (
	WebImage     = "e2e.hanse.io/web:1"
	WebImageNext = "e2e.hanse.io/web:2"
)

// Options say what a cluster consists of. The zero value is the cheapest real
// cluster: etcd and an API server, where objects stay as they are written.
type Options struct {
	// Controllers runs the controller manager, the scheduler and the load
	// balancer's controller. A kind cluster always has them.
	Controllers bool

	// Nodes is how many worker nodes the cluster has. With the bare provider
	// kwok plays them, and their pods run and become ready at once. A kind
	// cluster has one node more, for its control plane, and runs pods there
	// as well if Nodes is 0.
	Nodes int

	// Region and Zones become the nodes' topology labels; the zones are dealt
	// to the nodes in turn.
	Region string
	Zones  []string

	// NodeLabels are set on every node.
	NodeLabels map[string]string

	// Capacity of every node; what is not given is 32 CPUs, 256Gi of memory
	// and 250 pods. The capacity of a kind node is the machine's.
	Capacity corev1.ResourceList

	// LBRange is where LoadBalancer Services and Ingresses get their addresses
	// from, for instance 192.0.2.0/24; network and broadcast address are not
	// given out. Not set, the cluster takes the next of the documentation
	// ranges (RFC 5737) and then of 198.18.0.0/15 (RFC 2544) that no other
	// cluster of its provider has and that holds no network of this machine.
	LBRange netip.Prefix

	// Version is another release of Kubernetes than the provider's, such as v1.36.3. The bare provider builds it, once;
	// the kind provider takes the node image of that version.
	Version string

	// Dir is the folder for the data of all clusters, each in a folder of its
	// name; a temporary one if not set.
	Dir string
}

// Default returns the provider that E2E_PROVIDER names ("bare" or "kind"; bare
// if it is not set), with all that it needs: the first call in a fresh
// repository builds a control plane, which takes minutes, and tells of its
// progress on the writer.
func Default(ctx context.Context, progress io.Writer) (Provider, error) {
	switch name := os.Getenv("E2E_PROVIDER"); name {
	case "", "bare":
		return NewBare(ctx, progress)
	case "kind":
		return NewKind(ctx, progress)
	default:
		return nil, fmt.Errorf("E2E_PROVIDER: no provider %q, there are bare and kind", name)
	}
}

// checkName refuses names that cannot begin the name of a node.
func checkName(name string) error {
	if complaints := validation.IsDNS1123Label(name); len(complaints) > 0 {
		return fmt.Errorf("cluster name %q: %s", name, strings.Join(complaints, "; "))
	}
	return nil
}
