package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// A balancer does what a cloud does for LoadBalancer Services and Ingresses:
// it writes an address into their status, and takes it away when a Service
// stops to be of that type. All that it knows is in the cluster.
type balancer struct {
	client  kubernetes.Interface
	within  netip.Prefix
	logFile string

	cancel context.CancelFunc // nil while it does not run
	done   chan struct{}
}

func newBalancer(client kubernetes.Interface, within netip.Prefix, logFile string) *balancer {
	return &balancer{client: client, within: within, logFile: logFile}
}

// start begins to serve the cluster; it does nothing if that began already.
func (b *balancer) start() error {
	if b.cancel != nil {
		return nil
	}
	file, err := os.OpenFile(b.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("starting the load balancer: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel, b.done = cancel, make(chan struct{})
	go func() {
		defer close(b.done)
		defer file.Close()
		b.run(ctx, slog.New(slog.NewTextHandler(file, nil)))
	}()
	return nil
}

// stop returns when the last write is done.
func (b *balancer) stop() {
	if b.cancel == nil {
		return
	}
	b.cancel()
	<-b.done
	b.cancel = nil
}

// run looks at everything after every change until the context ends.
func (b *balancer) run(ctx context.Context, log *slog.Logger) {
	factory := informers.NewSharedInformerFactory(b.client, 0)
	pass := pass{
		client:    b.client,
		within:    b.within,
		log:       log,
		services:  factory.Core().V1().Services().Lister(),
		ingresses: factory.Networking().V1().Ingresses().Lister(),
	}
	changed := make(chan struct{}, 1)
	wake := func() {
		select {
		case changed <- struct{}{}:
		default: // a pass that has not begun yet will see this change as well
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { wake() },
		UpdateFunc: func(any, any) { wake() },
		DeleteFunc: func(any) { wake() },
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Services().Informer(),
		factory.Networking().V1().Ingresses().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			log.Error("watching for changes", "error", err)
			return
		}
	}
	// The informers tell of a server that is away; that belongs into the log
	// file, not on the screen of a demo.
	factory.StartWithContext(klog.NewContext(ctx, logr.FromSlogHandler(log.Handler())))
	defer factory.Shutdown()
	factory.WaitForCacheSync(ctx.Done())

	const retryPace = time.Second
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if err := pass.run(ctx); err != nil && ctx.Err() == nil {
			log.Warn("giving addresses; trying again", "error", err)
			time.AfterFunc(retryPace, wake)
		}
	}
}

// A pass compares all objects with what they should have, and writes the difference.
type pass struct {
	client    kubernetes.Interface
	within    netip.Prefix
	log       *slog.Logger
	services  corelisters.ServiceLister
	ingresses networkinglisters.IngressLister
}

func (p pass) run(ctx context.Context) error {
	services, err := p.services.List(labels.Everything())
	if err != nil {
		return err
	}
	ingresses, err := p.ingresses.List(labels.Everything())
	if err != nil {
		return err
	}
	var claims []claim
	for _, s := range services {
		claims = append(claims, claimOfService(s))
	}
	for _, i := range ingresses {
		claims = append(claims, claimOfIngress(i))
	}
	given := assign(p.within, claims)

	var failed []error
	for _, s := range services {
		failed = append(failed, p.writeService(ctx, s, given))
	}
	for _, i := range ingresses {
		failed = append(failed, p.writeIngress(ctx, i, given))
	}
	return errors.Join(failed...)
}

func claimOfService(s *corev1.Service) claim {
	c := claim{uid: s.UID, created: s.CreationTimestamp.Time}
	c.wants = s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.DeletionTimestamp == nil
	c.asked, _ = netip.ParseAddr(s.Spec.LoadBalancerIP)
	if len(s.Status.LoadBalancer.Ingress) > 0 {
		c.has, _ = netip.ParseAddr(s.Status.LoadBalancer.Ingress[0].IP)
	}
	return c
}

func claimOfIngress(i *networkingv1.Ingress) claim {
	c := claim{uid: i.UID, created: i.CreationTimestamp.Time, wants: i.DeletionTimestamp == nil}
	if len(i.Status.LoadBalancer.Ingress) > 0 {
		c.has, _ = netip.ParseAddr(i.Status.LoadBalancer.Ingress[0].IP)
	}
	return c
}

func (p pass) writeService(ctx context.Context, s *corev1.Service, given map[types.UID]netip.Addr) error {
	had, should := claimOfService(s).has, given[s.UID]
	if had == should {
		return nil
	}
	s = s.DeepCopy()
	s.Status.LoadBalancer.Ingress = nil
	if should.IsValid() {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: should.String()}}
	}
	_, err := p.client.CoreV1().Services(s.Namespace).UpdateStatus(ctx, s, metav1.UpdateOptions{})
	return p.report("Service", s.Namespace+"/"+s.Name, should, err)
}

func (p pass) writeIngress(ctx context.Context, i *networkingv1.Ingress, given map[types.UID]netip.Addr) error {
	had, should := claimOfIngress(i).has, given[i.UID]
	if had == should {
		return nil
	}
	i = i.DeepCopy()
	i.Status.LoadBalancer.Ingress = nil
	if should.IsValid() {
		i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: should.String()}}
	}
	_, err := p.client.NetworkingV1().Ingresses(i.Namespace).UpdateStatus(ctx, i, metav1.UpdateOptions{})
	return p.report("Ingress", i.Namespace+"/"+i.Name, should, err)
}

// report logs what was done. An object that changed or went meanwhile is no
// failure: its change is on its way to us and begins another pass.
func (p pass) report(kind, name string, address netip.Addr, err error) error {
	switch {
	case err == nil && address.IsValid():
		p.log.Info("gave an address", "kind", kind, "name", name, "address", address)
	case err == nil:
		p.log.Info("took the address back", "kind", kind, "name", name)
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
	default:
		return fmt.Errorf("writing the status of %s %s: %w", kind, name, err)
	}
	return nil
}
