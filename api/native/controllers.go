package native

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	serviceaccountcontroller "k8s.io/kubernetes/pkg/controller/serviceaccount"
)

// Upstream's controllers take a number of workers and periods; these are upstream's defaults, except where said.
const (
	namespaceWorkers = 10
	namespaceResync  = 5 * time.Minute

	garbageWorkers = 20
	// garbageDiscovery is how often new kinds (CRDs) are looked for. Objects of a kind found later are collected late,
	// never wrongly.
	garbageDiscovery = 30 * time.Second

	// aggregationWorkers is one: a hub has a handful of aggregated roles.
	aggregationWorkers = 1

	furnishingWorkers = 1
)

// RunNamespaceController empties namespaces that are being deleted, whatever kinds they hold, and then lets them go.
// It returns when ctx ends, with nil, or at once with an error if config makes no client. It must run in one hub
// replica at a time to be cheap; two of them do no harm.
//
// Upstream waits five seconds before it begins, so that every replica of an API server has learned of the deletion and
// takes no new objects; a namespace therefore goes no sooner.
func RunNamespaceController(ctx context.Context, config *rest.Config) error {
	c, err := newClients(config, "namespace-controller")
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(c.kube, 0)
	controller := namespace.NewNamespaceController(ctx, c.kube, c.metadata,
		c.kube.Discovery().ServerPreferredNamespacedResources, //nolint:staticcheck // upstream's signature
		factory.Core().V1().Namespaces(), namespaceResync, corev1.FinalizerKubernetes)
	factory.Start(ctx.Done())
	controller.Run(ctx, namespaceWorkers)
	factory.Shutdown()
	return nil
}

// RunGarbageCollector deletes objects whose owners (metadata.ownerReferences) are gone, and carries out foreground and
// orphaning deletion. It returns as RunNamespaceController does.
//
// It follows every kind of the hub except events, users' custom resources included: through the informers that followed
// gives, which must run as long as ctx, and where it gives nil by a watch of its own, of the metadata alone.
//
// Beside events, the resources of passing are not followed: they own nothing and nothing owns them, and following them
// costs more than all the rest where they are written often.
func RunGarbageCollector(
	ctx context.Context, config *rest.Config, followed Informers, passing ...schema.GroupResource,
) error {
	ignored := maps.Clone(garbagecollector.DefaultIgnoredResources())
	for _, resource := range passing {
		ignored[resource] = struct{}{}
	}
	c, err := newClients(config, "garbage-collector")
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.kube.Discovery()))
	own := metadatainformer.NewSharedInformerFactory(c.metadata, 0)
	started := make(chan struct{})
	close(started) // informers of others run already
	collector, err := garbagecollector.NewGarbageCollector(ctx, c.kube, c.metadata, mapper,
		ignored, graphInformers{SharedInformerFactory: own, followed: followed}, started)
	if err != nil {
		return fmt.Errorf("make garbage collector: %w", err)
	}
	go collector.Sync(ctx, c.kube.Discovery(), garbageDiscovery)
	collector.Run(ctx, garbageWorkers, garbageDiscovery)
	own.Shutdown()
	return nil
}

// Informers gives the running informer of a resource, or nil if there is none. Its objects may be of any type that has
// metadata.
type Informers func(schema.GroupVersionResource) cache.SharedIndexInformer

// graphInformers are those that the garbage collector's graph is made of: upstream would hold every native object whole
// once more.
type graphInformers struct {
	metadatainformer.SharedInformerFactory
	followed Informers
}

// ForResource implements informerfactory.InformerFactory.
func (g graphInformers) ForResource(resource schema.GroupVersionResource) (informers.GenericInformer, error) {
	if g.followed != nil {
		if running := g.followed(resource); running != nil {
			return followedInformer{running, resource.GroupResource()}, nil
		}
	}
	return g.SharedInformerFactory.ForResource(resource), nil
}

// followedInformer is the informer of somebody else.
type followedInformer struct {
	informer cache.SharedIndexInformer
	resource schema.GroupResource
}

// Informer implements informers.GenericInformer.
func (f followedInformer) Informer() cache.SharedIndexInformer { return f.informer }

// Lister implements informers.GenericInformer.
func (f followedInformer) Lister() cache.GenericLister {
	return cache.NewGenericLister(f.informer.GetIndexer(), f.resource)
}

// RunClusterRoleAggregation keeps the rules of ClusterRoles with an aggregation rule (admin, edit, view and users')
// equal to the union of the roles they select. It returns as RunNamespaceController does.
func RunClusterRoleAggregation(ctx context.Context, config *rest.Config) error {
	c, err := newClients(config, "clusterrole-aggregation-controller")
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(c.kube, 0)
	controller := clusterroleaggregation.NewClusterRoleAggregation(factory.Rbac().V1().ClusterRoles(), c.kube.RbacV1())
	factory.Start(ctx.Done())
	controller.Run(ctx, aggregationWorkers)
	factory.Shutdown()
	return nil
}

// RunNamespaceFurnishing gives each namespace what every cluster has in it: the ServiceAccount "default", and the
// ConfigMap kube-root-ca.crt with the certificates by which to know this API server. It returns as
// RunNamespaceController does.
func RunNamespaceFurnishing(ctx context.Context, config *rest.Config, rootCA []byte) error {
	c, err := newClients(config, "service-account-controller")
	if err != nil {
		return err
	}
	named := func(name string) informers.SharedInformerFactory { // the others are not held
		return informers.NewSharedInformerFactoryWithOptions(c.kube, 0, informers.WithTweakListOptions(
			func(o *metav1.ListOptions) { o.FieldSelector = "metadata.name=" + name }))
	}
	namespaces := informers.NewSharedInformerFactory(c.kube, 0)
	accounts, bundles := named(defaultAccount), named(rootcacertpublisher.RootCACertConfigMapName)
	accountController, err := serviceaccountcontroller.NewServiceAccountsController(klog.FromContext(ctx),
		accounts.Core().V1().ServiceAccounts(), namespaces.Core().V1().Namespaces(), c.kube,
		serviceaccountcontroller.ServiceAccountsControllerOptions{
			ServiceAccounts: []corev1.ServiceAccount{{ObjectMeta: metav1.ObjectMeta{Name: defaultAccount}}},
		})
	if err != nil {
		return fmt.Errorf("make the controller of ServiceAccounts: %w", err)
	}
	publisher, err := rootcacertpublisher.NewPublisher(bundles.Core().V1().ConfigMaps(),
		namespaces.Core().V1().Namespaces(), c.kube, rootCA)
	if err != nil {
		return fmt.Errorf("make the publisher of %s: %w", rootcacertpublisher.RootCACertConfigMapName, err)
	}
	factories := []informers.SharedInformerFactory{namespaces, accounts, bundles}
	for _, factory := range factories {
		factory.Start(ctx.Done())
	}
	var running sync.WaitGroup
	running.Go(func() { accountController.Run(ctx, furnishingWorkers) })
	running.Go(func() { publisher.Run(ctx, furnishingWorkers) })
	running.Wait()
	for _, factory := range factories {
		factory.Shutdown()
	}
	return nil
}

// defaultAccount is the name of the ServiceAccount that each namespace has.
const defaultAccount = "default"

type clients struct {
	kube     kubernetes.Interface
	metadata metadata.Interface
}

// newClients makes clients without a rate limit of their own: emptying a namespace makes many calls in a burst, and
// it is the hub's own priority and fairness that keeps them in bounds.
func newClients(config *rest.Config, agent string) (*clients, error) {
	if config == nil {
		return nil, errors.New("no client configuration for the " + agent)
	}
	unlimited := rest.CopyConfig(config)
	unlimited.QPS, unlimited.RateLimiter = -1, nil
	rest.AddUserAgent(unlimited, agent)
	kube, err := kubernetes.NewForConfig(unlimited)
	if err != nil {
		return nil, fmt.Errorf("make client for the %s: %w", agent, err)
	}
	meta, err := metadata.NewForConfig(unlimited)
	if err != nil {
		return nil, fmt.Errorf("make metadata client for the %s: %w", agent, err)
	}
	return &clients{kube: kube, metadata: meta}, nil
}
