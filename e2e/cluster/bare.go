package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	loopback = "127.0.0.1"

	// serviceRange is the same in all clusters, as it is in most fleets.
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1" // of the Service "kubernetes"

	// startPatience bounds the start of a part on a busy machine; a start
	// takes one to three seconds on an idle one.
	startPatience = 2 * time.Minute

	// readinessPace is short: tests wait for it, and asking costs little.
	readinessPace = 50 * time.Millisecond
)

// bare makes clusters of plain processes.
type bare struct {
	programs Programs
	ranges   *rangePool
	progress io.Writer
}

// NewBare returns the provider whose clusters are processes on this machine.
func NewBare(ctx context.Context, progress io.Writer) (Provider, error) {
	programs, err := FindPrograms(ctx, progress, "")
	if err != nil {
		return nil, err
	}
	ranges, err := newRangePool()
	if err != nil {
		return nil, err
	}
	return &bare{programs: programs, ranges: ranges, progress: progress}, nil
}

// bareCluster is a cluster of plain processes.
type bareCluster struct {
	name      string
	dir       string
	programs  Programs
	options   Options
	ports     ports
	config    *rest.Config
	client    kubernetes.Interface
	processes []*process // in the order of their start
	balancer  *balancer  // nil without controllers
	freeRange func()     // gives the load balancer's range back
}

// ports are where the parts listen on the loopback address.
type ports struct {
	etcdClient, etcdPeer, apiServer, kubelet int
}

func (b *bare) Create(ctx context.Context, name string, opts Options) (Cluster, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	programs := b.programs
	if opts.Version != "" {
		var err error
		if programs, err = FindPrograms(ctx, b.progress, opts.Version); err != nil {
			return nil, fmt.Errorf("creating cluster %s: %w", name, err)
		}
	}
	lbRange, err := b.ranges.take(opts.LBRange)
	if err != nil {
		return nil, fmt.Errorf("creating cluster %s: %w", name, err)
	}
	c := &bareCluster{name: name, programs: programs, options: opts}
	c.freeRange = sync.OnceFunc(func() { b.ranges.giveBack(lbRange) })
	if c.dir, err = newFolder(opts.Dir, name); err != nil {
		c.freeRange()
		return nil, fmt.Errorf("creating cluster %s: %w", name, err)
	}
	if err := c.bringUp(ctx, lbRange); err != nil {
		return nil, errors.Join(fmt.Errorf("creating cluster %s: %w", name, err), c.Delete())
	}
	return c, nil
}

// newFolder makes the folder NAME under dir, which must not be there already.
func newFolder(dir, name string) (string, error) {
	if dir == "" {
		temporary, err := os.MkdirTemp("", "cluster-"+name+"-")
		return temporary, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return "", err
	}
	folder := filepath.Join(abs, name)
	return folder, os.Mkdir(folder, 0o700)
}

// bringUp makes all files of the cluster, starts its parts and waits for them.
func (c *bareCluster) bringUp(ctx context.Context, lbRange netip.Prefix) error {
	if err := c.pickPorts(); err != nil {
		return err
	}
	if err := c.writeFiles(time.Now()); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS = -1 // no limit
	c.config = config
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	for _, part := range c.parts() {
		p := part.process(c)
		c.processes = append(c.processes, p)
		if err := c.startProcess(ctx, p); err != nil {
			return err
		}
	}
	if err := createNodes(ctx, c.client, c.name, c.ports.kubelet, c.options); err != nil {
		return err
	}
	if err := c.waitUntilUsable(ctx); err != nil || !c.options.Controllers {
		return err
	}
	c.balancer = newBalancer(c.client, lbRange, c.logFile(LoadBalancer))
	return c.balancer.start()
}

// writeFiles makes the folders, certificates, keys and kubeconfigs.
func (c *bareCluster) writeFiles(now time.Time) error {
	for _, dir := range []string{c.path("pki"), c.Logs()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	ca, caPair, err := newAuthority(c.name+" cluster CA", now)
	if err != nil {
		return fmt.Errorf("making a certificate authority: %w", err)
	}
	serving, err := ca.serving(now, []net.IP{net.ParseIP(loopback), net.ParseIP(serviceIP)},
		"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
	if err != nil {
		return fmt.Errorf("making a serving certificate: %w", err)
	}
	private, public, err := newTokenKey()
	if err != nil {
		return fmt.Errorf("making a key for tokens: %w", err)
	}
	if err := errors.Join(
		caPair.write(c.path("pki"), "ca"),
		serving.write(c.path("pki"), "apiserver"),
		os.WriteFile(c.path("pki", "token.key"), private, 0o600),
		os.WriteFile(c.path("pki", "token.pub"), public, 0o600),
		os.WriteFile(c.path("kwok.yaml"), append(kwokStages, c.kubeletConfig()...), 0o600),
		os.Mkdir(c.path("container"), 0o700),
		os.WriteFile(c.path("container", "web"), webStandIn, 0o700),
		os.WriteFile(c.path("container", "log"), c.containerLog(), 0o600),
		os.WriteFile(c.path("container", "output"), nil, 0o600),
	); err != nil {
		return err
	}
	const masters = "system:masters"
	for _, user := range []struct{ file, name, group string }{
		{"kubeconfig", "admin", masters},
		// All controllers act as this one user, without a token for each. Its
		// own role is made for the opposite and lacks their rights.
		{"controller-manager.kubeconfig", "system:kube-controller-manager", masters},
		{"scheduler.kubeconfig", "system:kube-scheduler", ""},
		{"kwok.kubeconfig", "kwok", masters},
	} {
		pair, err := ca.client(now, user.name, user.group)
		if err != nil {
			return fmt.Errorf("making a certificate for %s: %w", user.name, err)
		}
		kubeconfig := c.kubeconfigFor(user.name, caPair.certificate, pair)
		if err := clientcmd.WriteToFile(kubeconfig, c.path(user.file)); err != nil {
			return fmt.Errorf("writing the kubeconfig of %s: %w", user.name, err)
		}
	}
	return nil
}

// kubeconfigFor is the kubeconfig for one user; its context has the cluster's
// name, so that the files of several clusters can be merged.
func (c *bareCluster) kubeconfigFor(user string, ca []byte, pair keyPair) clientcmdapi.Config {
	userHere := user + "@" + c.name
	return clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{c.name: {
			Server:                   "https://" + address(c.ports.apiServer),
			CertificateAuthorityData: ca,
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{userHere: {
			ClientCertificateData: pair.certificate,
			ClientKeyData:         pair.key,
		}},
		Contexts:       map[string]*clientcmdapi.Context{c.name: {Cluster: c.name, AuthInfo: userHere}},
		CurrentContext: c.name,
	}
}

// startProcess starts one process and waits until it works.
func (c *bareCluster) startProcess(ctx context.Context, p *process) error {
	if err := p.start(); err != nil {
		return err
	}
	ready := c.readiness(Part(p.name))
	var last error
	err := wait.PollUntilContextTimeout(ctx, readinessPace, startPatience, true,
		func(ctx context.Context) (bool, error) {
			if p.running() == 0 {
				return false, errors.New("it ended")
			}
			last = ready(ctx)
			return last == nil, nil
		})
	if ctx.Err() != nil {
		return fmt.Errorf("waiting for %s: %w", p.name, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("waiting for %s: %w (%v); its last words:\n%s", p.name, err, last, p.lastWords())
	}
	return nil
}

// waitUntilUsable waits until the controllers have made what pods need.
func (c *bareCluster) waitUntilUsable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if c.options.Controllers {
		if err := waitForServiceAccount(ctx, c.client); err != nil {
			return err
		}
	}
	return waitForNodes(ctx, c.client, c.options)
}

func (c *bareCluster) Name() string         { return c.name }
func (c *bareCluster) Kubeconfig() string   { return c.path("kubeconfig") }
func (c *bareCluster) Logs() string         { return c.path("log") }
func (c *bareCluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

func (c *bareCluster) Start(part Part) error {
	err := c.each(part, false, func(p *process) error { return c.startProcess(context.Background(), p) })
	if err == nil && c.hasBalancer(part) {
		err = c.balancer.start()
	}
	return c.explain("starting", part, err)
}

func (c *bareCluster) Stop(part Part) error {
	c.stopBalancer(part)
	return c.explain("stopping", part, c.each(part, true, (*process).stop))
}

func (c *bareCluster) Kill(part Part) error {
	c.stopBalancer(part)
	return c.explain("killing", part, c.each(part, true, (*process).kill))
}

func (c *bareCluster) Pause(part Part) error {
	c.stopBalancer(part)
	return c.explain("pausing", part, c.each(part, true, func(p *process) error { return p.signal(syscall.SIGSTOP) }))
}

func (c *bareCluster) Resume(part Part) error {
	err := c.each(part, false, func(p *process) error { return p.signal(syscall.SIGCONT) })
	if err == nil && c.hasBalancer(part) {
		err = c.balancer.start()
	}
	return c.explain("resuming", part, err)
}

func (c *bareCluster) Delete() error {
	c.stopBalancer(All)
	c.freeRange()
	// Killed, not stopped: nobody will read their data again.
	return c.explain("deleting", All, errors.Join(
		c.each(All, true, (*process).kill),
		os.RemoveAll(c.dir),
	))
}

// each calls do for every process of the part; backwards begins with the one
// that was started last.
func (c *bareCluster) each(part Part, backwards bool, do func(*process) error) error {
	chosen := slices.Clone(c.processes)
	if part != All {
		chosen = slices.DeleteFunc(chosen, func(p *process) bool { return p.name != string(part) })
	}
	if len(chosen) == 0 && part != All && !c.hasBalancer(part) {
		return errors.New("the cluster has no such part")
	}
	if backwards {
		slices.Reverse(chosen)
	}
	for _, p := range chosen {
		if err := do(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *bareCluster) hasBalancer(part Part) bool {
	return c.balancer != nil && (part == LoadBalancer || part == All)
}

// stopBalancer ends the load balancer's controller. It keeps nothing of its
// own, so for it to be paused, stopped or killed is the same.
func (c *bareCluster) stopBalancer(part Part) {
	if c.hasBalancer(part) {
		c.balancer.stop()
	}
}

func (c *bareCluster) explain(doing string, part Part, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s of cluster %s: %w", doing, part, c.name, err)
}

func (c *bareCluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.dir}, elements...)...)
}

func (c *bareCluster) logFile(part Part) string {
	return filepath.Join(c.Logs(), string(part)+".log")
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
