package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// access finds the hub, by kubectl's rules.
type access struct {
	kubeconfig string
	context    string
	namespace  string
}

func (a *access) flags(f *pflag.FlagSet) {
	f.StringVar(&a.kubeconfig, "kubeconfig", "", "kubeconfig of the hub (default: $KUBECONFIG, then ~/.kube/config)")
	f.StringVar(&a.context, "context", "", "context in the hub's kubeconfig")
	f.StringVarP(&a.namespace, "namespace", "n", "", "namespace on the hub (default: the context's)")
}

// hubAPI is the hub as commands use it.
type hubAPI struct {
	client.Client
	config    *rest.Config
	namespace string
	// what names the hub for people.
	what string
}

func (a *access) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: a.context})
}

// config is how to reach the hub; it asks nobody.
func (a *access) config() (*rest.Config, error) {
	config, err := a.loader().ClientConfig()
	if err != nil {
		return nil, kubeconfigProblem("the hub's kubeconfig", "--kubeconfig, --context or KUBECONFIG", err)
	}
	config.UserAgent = "hanse/" + version
	config.QPS, config.Burst = -1, -1
	enroll.RefuseRedirects(config)
	return config, nil
}

// connect is the hub with a client for its own kinds; the first request tells whether it is there.
func (a *access) connect() (*hubAPI, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	config.Timeout = 30 * time.Second
	namespace := a.namespace
	if namespace == "" {
		if namespace, _, err = a.loader().Namespace(); err != nil {
			return nil, kubeconfigProblem("the hub's kubeconfig", "--kubeconfig, --context or KUBECONFIG", err)
		}
	}
	c, err := enroll.NewClient(config)
	if err != nil {
		return nil, err
	}
	return &hubAPI{Client: c, config: config, namespace: namespace, what: "the hub at " + config.Host}, nil
}

// memberConfig reads an administrator's access to a cluster that is to join or leave.
func memberConfig(path, context string) (*rest.Config, error) {
	if path == "" {
		return nil, usagef("--cluster-kubeconfig is missing: the kubeconfig of the cluster, with an administrator's rights")
	}
	if _, err := os.Stat(path); err != nil {
		return nil, kubeconfigProblem(path, "--cluster-kubeconfig", err)
	}
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: path}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if err != nil {
		return nil, kubeconfigProblem(path, "--cluster-kubeconfig and --cluster-context", err)
	}
	config.UserAgent = "hanse/" + version
	enroll.RefuseRedirects(config)
	return config, nil
}

// kubeconfigProblem says what is wrong with a kubeconfig, and which flags choose it.
func kubeconfigProblem(which, flags string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		err = errors.New("there is no such file")
	case clientcmd.IsEmptyConfig(err):
		err = errors.New("it is empty or there is none")
	}
	return &enroll.Problem{Reason: enroll.BadRequest, What: which + " cannot be used",
		Next: "Name another with " + flags + ".", Err: err}
}

// object is one object on the hub, as KIND/NAME names it.
type object struct {
	mapping         *meta.RESTMapping
	namespace, name string
}

// String is KIND/NAME for people.
func (o object) String() string {
	return strings.ToLower(o.mapping.GroupVersionKind.Kind) + "/" + o.name
}

func (o object) resource(hub dynamic.Interface) dynamic.ResourceInterface {
	if o.namespace == "" {
		return hub.Resource(o.mapping.Resource)
	}
	return hub.Resource(o.mapping.Resource).Namespace(o.namespace)
}

// mapper knows every kind that the hub serves, and its short names.
func (h *hubAPI) mapper() (meta.RESTMapper, error) {
	d, err := discovery.NewDiscoveryClientForConfig(h.config)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", h.what, err)
	}
	cached := memory.NewMemCacheClient(d)
	return restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, nil), nil
}

// resolve understands KIND/NAME as kubectl does: deployment/web, deploy/web, deployments.apps/web.
func (h *hubAPI) resolve(arg string) (object, error) {
	kind, name, ok := strings.Cut(arg, "/")
	if !ok || kind == "" || name == "" || strings.Contains(name, "/") {
		return object{}, usagef("%q is not KIND/NAME, such as deployment/web", arg)
	}
	mapper, err := h.mapper()
	if err != nil {
		return object{}, err
	}
	resource, err := kindNamed(mapper, kind)
	if meta.IsNoMatchError(err) {
		return object{}, failure("kubectl api-resources lists the kinds of the hub.",
			"%s does not know a kind %q", h.what, kind)
	}
	if err != nil {
		return object{}, enroll.Diagnose(h.what, err)
	}
	o := object{mapping: resource, name: name}
	if resource.Scope.Name() == meta.RESTScopeNameNamespace {
		o.namespace = h.namespace
	}
	return o, nil
}
