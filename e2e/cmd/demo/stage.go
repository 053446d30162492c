package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
)

// demo is the stage: what runs, and clients for it.
type demo struct {
	dir     string
	binary  string
	hub     *exec.Cmd
	hubLog  string
	dnsAddr string

	hubClient client.Client
	names     []string
	members   map[string]cluster.Cluster
	clients   map[string]client.Client
}

// patience is how long anything may take that should take a second or two.
const patience = 90 * time.Second

// prepare builds what is needed and brings up the members.
func prepare(ctx context.Context) (*demo, error) {
	d := &demo{
		names:   []string{"east", "west", "south"},
		members: map[string]cluster.Cluster{},
		clients: map[string]client.Client{},
	}
	var err error
	if d.dir, err = os.MkdirTemp("", "hanse-demo-"); err != nil {
		return d, fmt.Errorf("making a folder for the demo: %w", err)
	}
	if err := d.build(ctx); err != nil {
		return d, err
	}
	provider, err := cluster.Default(ctx, os.Stderr)
	if err != nil {
		return d, fmt.Errorf("preparing the members: %w", err)
	}
	fmt.Println("bringing up three member clusters: real etcd, API server, controllers and scheduler each")
	return d, d.createMembers(ctx, provider)
}

// build makes bin/hanse.
func (d *demo) build(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/hanse-federation/hanse").Output()
	if err != nil {
		return fmt.Errorf("finding the hub's source: %w", err)
	}
	root := strings.TrimSpace(string(out))
	d.binary = filepath.Join(root, "bin", "hanse")
	fmt.Println("building bin/hanse")
	build := exec.CommandContext(ctx, "make", "--no-print-directory", "build")
	build.Dir, build.Stdout, build.Stderr = root, os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building bin/hanse: %w", err)
	}
	return nil
}

func (d *demo) createMembers(ctx context.Context, provider cluster.Provider) error {
	failures := make([]error, len(d.names))
	made := make([]cluster.Cluster, len(d.names))
	var creating sync.WaitGroup
	for i, name := range d.names {
		creating.Go(func() {
			made[i], failures[i] = provider.Create(ctx, name, cluster.Options{Controllers: true, Nodes: 2, Dir: d.dir})
		})
	}
	creating.Wait()
	for i, name := range d.names {
		if made[i] != nil {
			d.members[name] = made[i]
		}
	}
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("bringing up the members: %w", err)
	}
	for name, m := range d.members {
		c, err := newClient(m.Config())
		if err != nil {
			return err
		}
		d.clients[name] = c
	}
	return nil
}

func newClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("preparing the kinds: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return c, nil
}

// freePort asks the system for a port that nobody uses, for UDP and TCP.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// startHub runs bin/hanse hub as a user would.
func (d *demo) startHub(ctx context.Context) error {
	api, err := freePort()
	if err != nil {
		return err
	}
	if d.dnsAddr, err = freePort(); err != nil {
		return err
	}
	d.hubLog = filepath.Join(d.dir, "hub.log")
	log, err := os.Create(d.hubLog)
	if err != nil {
		return fmt.Errorf("making the hub's log: %w", err)
	}
	defer log.Close()
	args := []string{"hub", "--data-dir", filepath.Join(d.dir, "hub"), "--listen", api, "--dns-listen", d.dnsAddr}
	fmt.Println("   $ hanse " + strings.Join(args, " "))
	d.hub = exec.Command(d.binary, args...)
	d.hub.Stdout, d.hub.Stderr = log, log
	d.hub.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := d.hub.Start(); err != nil {
		return fmt.Errorf("starting the hub: %w", err)
	}
	return eventually(ctx, "the hub is ready", func(ctx context.Context) error {
		config, err := clientcmd.BuildConfigFromFlags("", d.kubeconfig())
		if err != nil {
			return err
		}
		if d.hubClient, err = newClient(config); err != nil {
			return err
		}
		return d.hubClient.List(ctx, &v1alpha1.ClusterList{})
	})
}

func (d *demo) kubeconfig() string { return filepath.Join(d.dir, "hub", "admin.kubeconfig") }

// hanse runs the command line and shows what it says.
func (d *demo) hanse(ctx context.Context, args ...string) error {
	fmt.Println("   $ hanse " + strings.Join(args, " "))
	command := exec.CommandContext(ctx, d.binary, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+d.kubeconfig())
	out, err := command.CombinedOutput()
	fmt.Print(indent(string(out)))
	if err != nil {
		return fmt.Errorf("hanse %s: %w", args[0], err)
	}
	return nil
}

func indent(text string) string {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return ""
	}
	return "   " + strings.ReplaceAll(text, "\n", "\n   ") + "\n"
}

// eventually tries until it works or patience ends; the error is the last one.
func eventually(ctx context.Context, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// end stops everything and removes the data.
func (d *demo) end() {
	if d.hub != nil && d.hub.Process != nil {
		_ = d.hub.Process.Signal(syscall.SIGTERM)
		ended := make(chan struct{})
		go func() { _ = d.hub.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = d.hub.Process.Kill()
			<-ended
		}
	}
	var ending sync.WaitGroup
	for _, m := range d.members {
		ending.Go(func() { _ = m.Delete() })
	}
	ending.Wait()
	_ = os.RemoveAll(d.dir)
}

func (d *demo) howToGoOn() {
	fmt.Printf(`
Go on by hand, in another terminal:
   export KUBECONFIG=%s
   kubectl get clusters,deployments,distributions,globalservices -A
   %s explain deployment/web -n shop
   dig @127.0.0.1 -p %s web.shop.example.org
`, d.kubeconfig(), d.binary, d.dnsAddr[strings.LastIndex(d.dnsAddr, ":")+1:])
	for _, name := range d.names {
		fmt.Printf("   kubectl --kubeconfig %s get pods -n shop   # %s\n", d.members[name].Kubeconfig(), name)
	}
}

// web is the application's key.
var web = client.ObjectKey{Namespace: "shop", Name: "web"}
