package cluster

import (
	"context"
	"crypto/tls"
	_ "embed"
	"fmt"
	"io"
	"net/http"
)

//go:embed kwok.yaml
var kwokStages []byte

// A barePart says how one program of a bare cluster is run.
type barePart struct {
	name      Part
	program   string
	arguments []string
}

// parts are the processes of the cluster in the order of their start: each
// needs those above it.
func (c *bareCluster) parts() []barePart {
	parts := []barePart{
		{Etcd, c.programs.Etcd, c.etcdArguments()},
		{APIServer, c.programs.APIServer, c.apiServerArguments()},
	}
	if c.options.Controllers {
		parts = append(parts,
			barePart{ControllerManager, c.programs.ControllerManager, c.controllerManagerArguments()},
			barePart{Scheduler, c.programs.Scheduler, c.schedulerArguments()},
		)
	}
	if c.options.Nodes > 0 {
		parts = append(parts, barePart{Kwok, c.programs.Kwok, c.kwokArguments()})
	}
	return parts
}

// process makes the process of a part, not yet started.
func (p barePart) process(c *bareCluster) *process {
	return &process{
		name: string(p.name),
		args: append([]string{p.program}, p.arguments...),
		log:  c.logFile(p.name),
	}
}

func (c *bareCluster) etcdArguments() []string {
	client, peer := "http://"+address(c.ports.etcdClient), "http://"+address(c.ports.etcdPeer)
	return []string{
		"--name=" + c.name,
		"--data-dir=" + c.path("etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=" + c.name + "=" + peer,
		"--unsafe-no-fsync", // see the considerations in doc.go
		"--snapshot-count=10000",
		"--log-level=warn",
	}
}

func (c *bareCluster) apiServerArguments() []string {
	pki := func(file string) string { return c.path("pki", file) }
	return []string{
		"--etcd-servers=http://" + address(c.ports.etcdClient),
		"--bind-address=" + loopback, "--external-hostname=localhost",
		fmt.Sprintf("--secure-port=%d", c.ports.apiServer),
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--client-ca-file=" + pki("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki("token.pub"),
		"--service-account-signing-key-file=" + pki("token.key"),
		"--service-cluster-ip-range=" + serviceRange,
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		"--endpoint-reconciler-type=none",               // endpoints on the loopback address are not valid
		"--kubelet-preferred-address-types=InternalDNS", // where kwok plays the kubelet
		"--profiling=false",
	}
}

// clientLimits lift the request rates of controllers: they are made for
// clusters where pods take seconds to start.
var clientLimits = []string{"--kube-api-qps=1000", "--kube-api-burst=2000"}

func (c *bareCluster) controllerManagerArguments() []string {
	return append([]string{
		"--kubeconfig=" + c.path("controller-manager.kubeconfig"),
		"--leader-elect=false",
		"--secure-port=0",
		"--service-account-private-key-file=" + c.path("pki", "token.key"),
		"--root-ca-file=" + c.path("pki", "ca.crt"),
		"--cluster-signing-cert-file=" + c.path("pki", "ca.crt"),
		"--cluster-signing-key-file=" + c.path("pki", "ca.key"),
		"--node-monitor-grace-period=24h", // see the considerations in doc.go
		"--profiling=false",
	}, clientLimits...)
}

func (c *bareCluster) schedulerArguments() []string {
	return append([]string{
		"--kubeconfig=" + c.path("scheduler.kubeconfig"),
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
	}, clientLimits...)
}

func (c *bareCluster) kwokArguments() []string {
	return []string{
		"--kubeconfig=" + c.path("kwok.kubeconfig"),
		"--config=" + c.path("kwok.yaml"),
		"--manage-all-nodes=true",
		"--node-lease-duration-seconds=0", // see the considerations in doc.go
		"--cidr=10.244.0.1/16",
		"--server-address=" + address(c.ports.kubelet),
		"--tls-cert-file=" + c.path("pki", "apiserver.crt"), "--tls-private-key-file=" + c.path("pki", "apiserver.key"),
	}
}

// readiness is the question whether a part works. Parts that serve nothing
// are taken at their word: what they do is awaited where it matters.
func (c *bareCluster) readiness(part Part) func(context.Context) error {
	switch part {
	case Etcd:
		return func(ctx context.Context) error {
			return askFor(ctx, "http://"+address(c.ports.etcdClient)+"/health")
		}
	case APIServer:
		return func(ctx context.Context) error {
			return askFor(ctx, "https://"+address(c.ports.apiServer)+"/readyz")
		}
	default:
		return func(context.Context) error { return nil }
	}
}

// healthClient does not check certificates: it sends nothing but the question.
var healthClient = &http.Client{Transport: &http.Transport{
	TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	DisableKeepAlives: true,
}}

// askFor fetches a health page and returns an error unless the answer is 200.
func askFor(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := healthClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return fmt.Errorf("%s: %s: %s", url, response.Status, text)
	}
	return nil
}
