package harness

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Clients of one API server, with an administrator's rights and no limit of their own.
type Clients struct {
	Config  *rest.Config
	Kube    kubernetes.Interface
	Dynamic dynamic.Interface
	// Client knows our kinds and the native ones.
	Client client.Client
}

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}()

// NewClients makes clients; it asks the server nothing that has to be answered.
func NewClients(config *rest.Config) (Clients, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	c := Clients{Config: config}
	var err error
	if c.Kube, err = kubernetes.NewForConfig(config); err != nil {
		return c, fmt.Errorf("making a client of %s: %w", config.Host, err)
	}
	if c.Dynamic, err = dynamic.NewForConfig(config); err != nil {
		return c, fmt.Errorf("making a client of %s: %w", config.Host, err)
	}
	if c.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return c, fmt.Errorf("making a client of %s: %w", config.Host, err)
	}
	return c, nil
}
