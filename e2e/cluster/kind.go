package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// kindPrefix keeps our clusters apart from the user's own.
	kindPrefix = "hanse-"

	// kindVersion is the release of kind that is built where none is installed.
	kindVersion = "v0.33.0"

	// kindConfig is where the configuration is, under the repository's root.
	kindConfig = "deploy/kind/cluster.yaml"

	// kindPatience bounds what kind and docker do on our behalf after the creation.
	kindPatience = 5 * time.Minute
)

// kind makes clusters of whole nodes in Docker.
type kind struct {
	program  string // the kind command
	image    string // the node image; kind's own if empty
	progress io.Writer
	ranges   *rangePool
}

// NewKind returns the provider whose clusters are kind's. It needs Docker, and
// builds the command kind where it is not installed; E2E_KIND_IMAGE names a
// node image other than kind's own.
func NewKind(ctx context.Context, progress io.Writer) (Provider, error) {
	program, err := FindTool(ctx, progress, "kind", "sigs.k8s.io/kind", kindVersion, "sigs.k8s.io/kind")
	if err != nil {
		return nil, err
	}
	if _, err := command(ctx, "docker", "info", "--format", "{{.ServerVersion}}"); err != nil {
		return nil, fmt.Errorf("asking Docker whether it runs: %w", err)
	}
	if err := buildWebImages(ctx); err != nil {
		return nil, fmt.Errorf("building the application's images: %w", err)
	}
	ranges, err := newRangePool()
	if err != nil {
		return nil, err
	}
	return &kind{program: program, image: os.Getenv("E2E_KIND_IMAGE"), progress: progress, ranges: ranges}, nil
}

// buildWebImages makes WebImage and WebImageNext.
func buildWebImages(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "web-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", filepath.Join(dir, "web"), "./cluster/web")
	build.Dir = folderOfE2E()
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if _, err := output(build); err != nil {
		return err
	}
	layer := filepath.Join(dir, "web.tar")
	if _, err := command(ctx, "tar", "-C", dir, "-cf", layer, "web"); err != nil {
		return err
	}
	for version, image := range map[string]string{"1": WebImage, "2": WebImageNext} {
		_, err := command(ctx, "docker", "import", "-c", `ENTRYPOINT ["/web"]`, "-c", "ENV VERSION="+version, layer, image)
		if err != nil {
			return err
		}
	}
	return nil
}

// kindCluster is a cluster of nodes that are containers.
type kindCluster struct {
	program  string // the kind command
	name     string
	dir      string
	options  Options
	progress io.Writer
	within   netip.Prefix
	config   *rest.Config
	client   kubernetes.Interface
	balancer *balancer

	routed    bool   // this machine has a route to the load balancer's range
	freeRange func() // gives the load balancer's range back
}

func (k *kind) Create(ctx context.Context, name string, opts Options) (Cluster, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	within, err := k.ranges.take(opts.LBRange)
	if err != nil {
		return nil, fmt.Errorf("creating cluster %s: %w", name, err)
	}
	opts.Controllers = true
	c := &kindCluster{program: k.program, name: name, options: opts, progress: k.progress, within: within}
	c.freeRange = sync.OnceFunc(func() { k.ranges.giveBack(within) })
	if c.dir, err = newFolder(opts.Dir, name); err != nil {
		c.freeRange()
		return nil, fmt.Errorf("creating cluster %s: %w", name, err)
	}
	image := k.image
	if opts.Version != "" {
		image = "kindest/node:" + opts.Version
	}
	if err := c.create(ctx, image); err != nil {
		// A cluster that was there before is somebody else's and stays.
		c.freeRange()
		return nil, errors.Join(fmt.Errorf("creating cluster %s: %w", name, err), os.RemoveAll(c.dir))
	}
	if err := c.bringUp(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("creating cluster %s: %w", name, err), c.Delete())
	}
	return c, nil
}

// create lets kind make the nodes. When kind fails, it removes them itself.
func (c *kindCluster) create(ctx context.Context, image string) error {
	if err := os.Mkdir(c.logFolder(), 0o700); err != nil {
		return err
	}
	file := filepath.Join(c.dir, "kind.yaml")
	base, err := os.ReadFile(filepath.Join(filepath.Dir(folderOfE2E()), kindConfig))
	if err != nil {
		return err
	}
	config := string(base) + strings.Repeat("- role: worker\n", c.options.Nodes)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	arguments := []string{"create", "cluster", "--name", c.kindName(), "--config", file,
		"--kubeconfig", c.Kubeconfig(), "--wait", kindPatience.String()}
	if image != "" {
		arguments = append(arguments, "--image", image)
	}
	if _, err = command(ctx, c.program, arguments...); err != nil {
		return fmt.Errorf("%w%s", err, inotifyHint())
	}
	return nil
}

// inotifyInstances is what kind's documentation asks for; three clusters of two nodes use up what most systems allow.
const inotifyInstances = 512

// inotifyHint tells why a further cluster may not have come up: its programs find no inotify instance left.
func inotifyHint() string {
	const setting = "/proc/sys/fs/inotify/max_user_instances"
	text, err := os.ReadFile(setting)
	if err != nil {
		return ""
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || n >= inotifyInstances {
		return ""
	}
	return fmt.Sprintf("\nthis system allows only %s inotify instances: sysctl -w fs.inotify.max_user_instances=%d",
		strings.TrimSpace(string(text)), inotifyInstances)
}

// bringUp does to kind's cluster what Options ask for, and waits until it is usable.
func (c *kindCluster) bringUp(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS = -1 // no limit
	c.config = config
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	_, err = command(ctx, c.program, "load", "docker-image", "--name", c.kindName(), WebImage, WebImageNext)
	if err != nil {
		return fmt.Errorf("loading the application's images: %w", err)
	}
	if err := c.labelNodes(ctx); err != nil {
		return fmt.Errorf("labelling the nodes: %w", err)
	}
	c.balancer = newBalancer(c.client, c.within, filepath.Join(c.logFolder(), string(LoadBalancer)+".log"))
	return c.awaitAndRoute(ctx)
}

// labelNodes gives the nodes that run pods their labels.
func (c *kindCluster) labelNodes(ctx context.Context) error {
	nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	i := 0
	for _, node := range nodes.Items {
		_, controls := node.Labels["node-role.kubernetes.io/control-plane"]
		if controls && c.options.Nodes > 0 {
			continue
		}
		labels := topologyOf(i, c.options)
		maps.Copy(labels, c.options.NodeLabels)
		i++
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
		if err != nil {
			return err
		}
		_, err = c.client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitAndRoute waits until the cluster works, lays the way to its load
// balancer's addresses and starts to give them.
func (c *kindCluster) awaitAndRoute(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, kindPatience)
	defer cancel()
	var last error
	err := wait.PollUntilContextCancel(ctx, readinessPace, true, func(ctx context.Context) (bool, error) {
		last = c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the API server: %w: %v", err, last)
	}
	if err := waitForServiceAccount(ctx, c.client); err != nil {
		return err
	}
	if err := waitForNodes(ctx, c.client, c.options); err != nil {
		return err
	}
	if err := c.joinNodes(ctx); err != nil {
		return fmt.Errorf("laying routes between the nodes: %w", err)
	}
	c.route(ctx)
	return c.balancer.start()
}

// joinNodes gives every node a route to every other node's pods. kind's own image does so itself (kindnetd); an image
// without it sends what is for another node's pods out into the world.
func (c *kindCluster) joinNodes(ctx context.Context) error {
	nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, to := range nodes.Items {
		at := slices.IndexFunc(to.Status.Addresses, func(a corev1.NodeAddress) bool {
			return a.Type == corev1.NodeInternalIP
		})
		if at < 0 || to.Spec.PodCIDR == "" {
			return fmt.Errorf("node %s has no address or no range for pods", to.Name)
		}
		for _, from := range nodes.Items {
			if from.Name == to.Name {
				continue
			}
			_, err := command(ctx, "docker", "exec", from.Name, "ip", "route", "replace", to.Spec.PodCIDR,
				"via", to.Status.Addresses[at].Address)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// route sends what is for the load balancer's range to the control plane's
// node, whose kube-proxy knows the addresses of Services. Without the right to
// do so, addresses are given all the same, but nobody can reach them.
func (c *kindCluster) route(ctx context.Context) {
	node := c.kindName() + "-control-plane"
	ip, err := command(ctx, "docker", "inspect", "-f", "{{.NetworkSettings.Networks.kind.IPAddress}}", node)
	if err == nil {
		_, err = command(ctx, "ip", "route", "replace", c.within.String(), "via", strings.TrimSpace(ip))
	}
	if err != nil {
		fmt.Fprintf(c.progress, "the addresses %s of cluster %s cannot be reached from here: %v\n", c.within, c.name, err)
		return
	}
	c.routed = true
}

// unroute takes away what route laid.
func (c *kindCluster) unroute(ctx context.Context) error {
	if !c.routed {
		return nil
	}
	_, err := command(ctx, "ip", "route", "delete", c.within.String())
	return err
}

func (c *kindCluster) Name() string         { return c.name }
func (c *kindCluster) Kubeconfig() string   { return filepath.Join(c.dir, "kubeconfig") }
func (c *kindCluster) Config() *rest.Config { return rest.CopyConfig(c.config) }
func (c *kindCluster) logFolder() string    { return filepath.Join(c.dir, "log") }
func (c *kindCluster) kindName() string     { return kindPrefix + c.name }

// Logs copies the logs of the nodes out of their containers at every call.
func (c *kindCluster) Logs() string {
	ctx, cancel := context.WithTimeout(context.Background(), kindPatience)
	defer cancel()
	_, err := command(ctx, c.program, "export", "logs", "--quiet", "--name", c.kindName(), c.logFolder())
	if err != nil {
		fmt.Fprintf(c.progress, "the logs of cluster %s are not complete: %v\n", c.name, err)
	}
	return c.logFolder()
}

func (c *kindCluster) Start(part Part) error {
	ctx, cancel := context.WithTimeout(context.Background(), kindPatience)
	defer cancel()
	err := c.onNodes(ctx, part, "start")
	if err == nil {
		err = c.awaitAndRoute(ctx)
	}
	return c.explain("starting", part, err)
}

func (c *kindCluster) Resume(part Part) error {
	ctx, cancel := context.WithTimeout(context.Background(), kindPatience)
	defer cancel()
	err := c.onNodes(ctx, part, "unpause")
	if err == nil {
		err = c.balancer.start()
	}
	return c.explain("resuming", part, err)
}

func (c *kindCluster) Stop(part Part) error  { return c.explain("stopping", part, c.end(part, "stop")) }
func (c *kindCluster) Kill(part Part) error  { return c.explain("killing", part, c.end(part, "kill")) }
func (c *kindCluster) Pause(part Part) error { return c.explain("pausing", part, c.end(part, "pause")) }

// end stops the load balancer's controller and does the verb to the nodes.
func (c *kindCluster) end(part Part, verb string) error {
	ctx, cancel := context.WithTimeout(context.Background(), kindPatience)
	defer cancel()
	if part == All || part == LoadBalancer {
		c.balancer.stop()
	}
	return c.onNodes(ctx, part, verb)
}

// onNodes lets docker do something to those nodes for which it is not done yet.
func (c *kindCluster) onNodes(ctx context.Context, part Part, verb string) error {
	switch part {
	case LoadBalancer:
		return nil // it is not in the nodes
	case All:
	default:
		return errors.New("a kind cluster has no such part that could be taken alone")
	}
	// Docker refuses to do twice what these verbs do.
	state := map[string][]string{
		"start":   {"status=exited", "status=created"},
		"stop":    {"status=running", "status=paused"},
		"kill":    {"status=running", "status=paused"},
		"pause":   {"status=running"},
		"unpause": {"status=paused"},
	}[verb]
	arguments := []string{"ps", "--all", "--quiet", "--filter", "label=io.x-k8s.kind.cluster=" + c.kindName()}
	for _, s := range state {
		arguments = append(arguments, "--filter", s)
	}
	ids, err := command(ctx, "docker", arguments...)
	if err != nil {
		return err
	}
	if nodes := strings.Fields(ids); len(nodes) > 0 {
		_, err = command(ctx, "docker", slices.Concat([]string{verb}, nodes)...)
	}
	return err
}

func (c *kindCluster) Delete() error {
	ctx, cancel := context.WithTimeout(context.Background(), kindPatience)
	defer cancel()
	if c.balancer != nil {
		c.balancer.stop()
	}
	c.freeRange()
	unrouted := c.unroute(ctx)
	_, err := command(ctx, c.program, "delete", "cluster", "--quiet", "--name", c.kindName(),
		"--kubeconfig", c.Kubeconfig())
	return c.explain("deleting", All, errors.Join(unrouted, err, os.RemoveAll(c.dir)))
}

func (c *kindCluster) explain(doing string, part Part, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s of cluster %s: %w", doing, part, c.name, err)
}

// command runs a command and returns what it prints.
func command(ctx context.Context, name string, arguments ...string) (string, error) {
	return output(exec.CommandContext(ctx, name, arguments...))
}
