package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	appsv1apply "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
)

var (
	placementsResource = v1alpha1.GroupVersion.WithResource("placements")
	configMapsResource = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// Programs write to the hub with client-go as they do to a cluster, in protobuf and in JSON.
func TestWriteWithClientGo(t *testing.T) {
	s := onFleet(t)
	ctx := t.Context()
	for _, contentType := range []string{"application/vnd.kubernetes.protobuf", "application/json"} {
		config := rest.CopyConfig(s.hub.Config)
		config.ContentType, config.AcceptContentTypes = contentType, contentType
		kube, err := kubernetes.NewForConfig(config)
		s.must(err)
		maps := kube.CoreV1().ConfigMaps(s.ns)

		made, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "made-"},
			Data: map[string]string{"colour": "blue"}}, metav1.CreateOptions{})
		s.must(err)
		if made.Name == "made-" || made.UID == "" || made.ResourceVersion == "" {
			t.Errorf("%s: made %+v", contentType, made.ObjectMeta)
		}
		again := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: made.Name}}
		if _, err := maps.Create(ctx, again, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
			t.Errorf("%s: a second %s: %v", contentType, made.Name, err)
		}
		stale := made.DeepCopy()
		made.Data["colour"] = "red"
		_, err = maps.Update(ctx, made, metav1.UpdateOptions{})
		s.must(err)
		if _, err := maps.Update(ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			t.Errorf("%s: update of an old version: %v", contentType, err)
		}
		other := types.UID("of-another")
		err = maps.Delete(ctx, made.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &other}})
		if !apierrors.IsConflict(err) {
			t.Errorf("%s: deletion of another: %v", contentType, err)
		}
		s.must(maps.Delete(ctx, made.Name, metav1.DeleteOptions{}))
		if _, err := maps.Get(ctx, made.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s: read after deletion: %v", contentType, err)
		}
	}
}

// Pages of a list are of one moment, however long the reader takes.
func TestReadInPages(t *testing.T) {
	s := onFleet(t)
	ctx := t.Context()
	const count, page = 25, 10
	maps := s.hub.Kube.CoreV1().ConfigMaps(s.ns)
	create := func(name string) {
		_, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name,
			Labels: map[string]string{"set": "paged"}}}, metav1.CreateOptions{})
		s.must(err)
	}
	for i := range count {
		create(fmt.Sprintf("page-%02d", i))
	}
	seen, pages, version, next := map[string]bool{}, 0, "", ""
	for {
		list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "set=paged", Limit: page, Continue: next})
		s.must(err)
		if pages++; pages == 1 {
			version = list.ResourceVersion
			create("page-00-later")
		} else if list.ResourceVersion != version {
			t.Errorf("page %d is of version %s, the first of %s", pages, list.ResourceVersion, version)
		}
		for _, item := range list.Items {
			seen[item.Name] = true
		}
		if next = list.Continue; next == "" {
			break
		}
	}
	if len(seen) != count || pages != 3 || seen["page-00-later"] {
		t.Errorf("%d objects on %d pages, the later one among them: %t", len(seen), pages, seen["page-00-later"])
	}
}

// Two programs apply parts of one Deployment, own what they apply, and what both say together is placed.
func TestApplyConfigurations(t *testing.T) {
	s := onFleet(t)
	ctx := t.Context()
	deployments := s.hub.Kube.AppsV1().Deployments(s.ns)
	app := map[string]string{"app": "web"}
	web := func() *appsv1apply.DeploymentApplyConfiguration {
		return appsv1apply.Deployment("web", s.ns).WithAnnotations(map[string]string{"hanse.io/clusters": "east=1,west=1"}).
			WithSpec(appsv1apply.DeploymentSpec().WithSelector(metav1apply.LabelSelector().WithMatchLabels(app)).
				WithTemplate(corev1apply.PodTemplateSpec().WithLabels(app).WithSpec(corev1apply.PodSpec().WithContainers(
					corev1apply.Container().WithName("web").WithImage(cluster.WebImage)))))
	}
	_, err := deployments.Apply(ctx, web(), metav1.ApplyOptions{FieldManager: "builder"})
	s.must(err)
	scaled := appsv1apply.Deployment("web", s.ns).WithSpec(appsv1apply.DeploymentSpec().WithReplicas(4))
	_, err = deployments.Apply(ctx, scaled, metav1.ApplyOptions{FieldManager: "scaler"})
	s.must(err)
	s.awaitShares("web", shares{"east": 2, "west": 2})

	greedy := web()
	greedy.Spec.WithReplicas(9)
	if _, err := deployments.Apply(ctx, greedy, metav1.ApplyOptions{FieldManager: "builder"}); !apierrors.IsConflict(err) {
		t.Errorf("replicas of another: %v", err)
	}
	greedy.Spec.WithReplicas(6)
	_, err = deployments.Apply(ctx, greedy, metav1.ApplyOptions{FieldManager: "builder", Force: true})
	s.must(err)
	s.awaitShares("web", shares{"east": 3, "west": 3})
	live, err := deployments.Get(ctx, "web", metav1.GetOptions{})
	s.must(err)
	mine, err := appsv1apply.ExtractDeployment(live, "scaler")
	s.must(err)
	if mine.Spec != nil && mine.Spec.Replicas != nil {
		t.Error("the scaler still owns the replicas")
	}
}

// Informers of all sorts see what comes, changes and goes; those of typed kinds are fed by a streamed list.
func TestWatchWithInformers(t *testing.T) {
	s := onFleet(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.apply(configMap("before", "a", "b"), placement("before", []string{"ConfigMap/before"}, []string{"east=1"}))

	typed := informers.NewSharedInformerFactoryWithOptions(s.hub.Kube, 0, informers.WithNamespace(s.ns))
	dynamic := dynamicinformer.NewFilteredDynamicSharedInformerFactory(s.hub.Dynamic, 0, s.ns, nil)
	outlines, err := metadata.NewForConfig(s.hub.Config)
	s.must(err)
	outline := metadatainformer.NewFilteredSharedInformerFactory(outlines, 0, s.ns, nil)
	sightings := &sightings{}
	for name, informer := range map[string]cache.SharedIndexInformer{
		"typed":             typed.Core().V1().ConfigMaps().Informer(),
		"dynamic":           dynamic.ForResource(placementsResource).Informer(),
		"dynamic native":    dynamic.ForResource(configMapsResource).Informer(),
		"metadata":          outline.ForResource(configMapsResource).Informer(),
		"metadata of ours":  outline.ForResource(placementsResource).Informer(),
		"typed deployments": typed.Apps().V1().Deployments().Informer(),
	} {
		_, err := informer.AddEventHandler(sightings.of(name))
		s.must(err)
	}
	typed.Start(ctx.Done())
	dynamic.Start(ctx.Done())
	outline.Start(ctx.Done())
	// Where there is nothing, only the end of the initial list tells that it is known.
	if synced := typed.WaitForCacheSync(ctx.Done()); len(synced) != 2 {
		t.Fatalf("synced: %v", synced)
	}
	all := []string{"typed", "dynamic", "dynamic native", "metadata", "metadata of ours"}
	s.sees(sightings, all, "added before")

	s.apply(configMap("later", "a", "b"), placement("later", []string{"ConfigMap/later"}, []string{"east=1"}))
	s.sees(sightings, all, "added later")
	s.kubectl("", "label", "configmap/later", "placement/later", "seen=yes")
	s.sees(sightings, all, "updated later")
	s.kubectl("", "delete", "placement/later", "configmap/later")
	s.sees(sightings, all, "deleted later")

	// An informer of Deployments sees the members' status come in.
	s.apply(deployment("web", 2), placement("web", []string{"Deployment/web"}, []string{"east=1", "west=1"}))
	lister := typed.Apps().V1().Deployments().Lister().Deployments(s.ns)
	s.eventually("the lister knows the ready replicas", func() error {
		d, err := lister.Get("web")
		if err == nil && d.Status.ReadyReplicas != 2 {
			err = fmt.Errorf("they are %d", d.Status.ReadyReplicas)
		}
		return err
	})
}

// sightings are what informers told.
type sightings struct {
	mu   sync.Mutex
	told map[string]bool
}

func (g *sightings) of(informer string) cache.ResourceEventHandler {
	note := func(what string, obj any) {
		if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = unknown.Obj
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.told == nil {
			g.told = map[string]bool{}
		}
		g.told[informer+": "+what+" "+obj.(metav1.Object).GetName()] = true
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { note("added", obj) },
		UpdateFunc: func(_, obj any) { note("updated", obj) },
		DeleteFunc: func(obj any) { note("deleted", obj) },
	}
}

func (s *scenario) sees(g *sightings, informers []string, what string) {
	s.Helper()
	s.eventually("all informers tell: "+what, func() error {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, name := range informers {
			if !g.told[name+": "+what] {
				return fmt.Errorf("not the one that is %s", name)
			}
		}
		return nil
	})
}

// A watch may ask for the whole first (WatchList), and is told where the whole ends.
func TestWatchFromTheBeginning(t *testing.T) {
	s := onFleet(t)
	s.apply(configMap("one", "a", "b"), placement("one", []string{"ConfigMap/one"}, []string{"east=1"}))
	yes := true
	for _, resource := range []schema.GroupVersionResource{configMapsResource, placementsResource} {
		w, err := s.hub.Dynamic.Resource(resource).Namespace(s.ns).Watch(t.Context(), metav1.ListOptions{
			SendInitialEvents: &yes, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
		s.must(err)
		var names []string
		for event := range w.ResultChan() {
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				t.Fatalf("%s: %+v", resource.Resource, event)
			}
			if event.Type == watch.Bookmark {
				if object.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" {
					t.Errorf("%s: the first bookmark is %v", resource.Resource, object.Object)
				}
				break
			}
			names = append(names, object.GetName())
		}
		w.Stop()
		if len(names) == 0 || names[len(names)-1] != "one" {
			t.Errorf("%s: the initial events were of %v", resource.Resource, names)
		}
	}
}

// Discovery in both forms and both OpenAPI documents tell of our kinds and of the native ones.
func TestDiscover(t *testing.T) {
	s := onFleet(t)
	for name, client := range map[string]discovery.DiscoveryInterface{
		"aggregated": discovery.NewDiscoveryClientForConfigOrDie(s.hub.Config),
		"legacy":     legacyDiscovery(s),
	} {
		_, lists, err := client.ServerGroupsAndResources()
		s.must(err)
		found := map[string]bool{}
		for _, list := range lists {
			for _, r := range list.APIResources {
				found[list.GroupVersion+" "+r.Name] = true
			}
		}
		for _, want := range []string{"v1 configmaps", "apps/v1 deployments", "apps/v1 deployments/scale",
			"apps/v1 deployments/status", "hanse.io/v1alpha1 placements", "hanse.io/v1alpha1 clusters/status",
			"autoscaling/v1 horizontalpodautoscalers", "autoscaling/v2 horizontalpodautoscalers",
			"events.k8s.io/v1 events", "coordination.k8s.io/v1 leases"} {
			if !found[want] {
				t.Errorf("%s discovery does not know %s", name, want)
			}
		}
	}
	document, err := s.hub.Kube.Discovery().OpenAPISchema()
	s.must(err)
	defined := map[string]bool{}
	for _, d := range document.GetDefinitions().GetAdditionalProperties() {
		defined[d.GetName()] = true
	}
	for _, want := range []string{"io.hanse.v1alpha1.Placement", "io.k8s.api.apps.v1.Deployment"} {
		if !defined[want] {
			t.Errorf("OpenAPI v2 does not define %s", want)
		}
	}
	paths, err := s.hub.Kube.Discovery().OpenAPIV3().Paths()
	s.must(err)
	for _, want := range []string{"api/v1", "apis/apps/v1", "apis/hanse.io/v1alpha1"} {
		path, ok := paths[want]
		if !ok {
			t.Errorf("OpenAPI v3 has no %s", want)
			continue
		}
		if text, err := path.Schema(openapi.ContentTypeOpenAPIV3PB); err != nil || len(text) == 0 {
			t.Errorf("OpenAPI v3 of %s in protobuf: %d bytes, %v", want, len(text), err)
		}
		if text, err := path.Schema("application/json"); err != nil || len(text) == 0 {
			t.Errorf("OpenAPI v3 of %s in JSON: %d bytes, %v", want, len(text), err)
		}
	}
}

// legacyDiscovery asks as clients did before there was the aggregated form.
func legacyDiscovery(s *scenario) discovery.DiscoveryInterface {
	c := discovery.NewDiscoveryClientForConfigOrDie(s.hub.Config)
	c.UseLegacyDiscovery = true
	return c
}

// A Lease on the hub elects one of two; when it steps down the other takes over.
func TestElectALeader(t *testing.T) {
	s := onFleet(t)
	leads := make(chan string, 10)
	var group sync.WaitGroup
	defer group.Wait()
	run := func(ctx context.Context, name string) {
		lock := &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "leader"},
			Client: s.hub.Kube.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: name}}
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 30 * time.Second, RenewDeadline: 20 * time.Second, RetryPeriod: 200 * time.Millisecond,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leads <- name },
				OnStoppedLeading: func() {},
			},
		})
		s.must(err)
		group.Go(func() { elector.Run(ctx) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, stepDown := context.WithCancel(ctx)
	defer stepDown()
	run(first, "one")
	if leader := <-leads; leader != "one" {
		t.Fatalf("%s leads", leader)
	}
	run(ctx, "two")
	handover := time.Now()
	stepDown()
	if leader := <-leads; leader != "two" {
		t.Errorf("then %s leads", leader)
	}
	// Well under the 30 s that the lease would have lasted.
	if took := time.Since(handover); took > 15*time.Second {
		t.Errorf("the handover took %s", took)
	}
	cancel()
}

// A controller of somebody else, made with controller-runtime, reconciles Placements on the hub and owns objects there.
func TestRunAControllerOfOnesOwn(t *testing.T) {
	s := onFleet(t)
	m, err := ctrl.NewManager(s.hub.Config, ctrl.Options{
		Scheme:         s.hub.Client.Scheme(),
		Metrics:        metricsserver.Options{BindAddress: "0"},
		LeaderElection: true, LeaderElectionID: "e2e", LeaderElectionNamespace: s.ns,
		LeaderElectionReleaseOnCancel: true,
	})
	s.must(err)
	reports := &reporter{Client: m.GetClient(), namespace: s.ns}
	s.must(ctrl.NewControllerManagedBy(m).Named("reporter").
		For(&v1alpha1.Placement{}).Owns(&corev1.ConfigMap{}).Complete(reports))
	stop := start(t, m)
	defer stop()

	s.apply(deployment("web", 3), placement("web", []string{"Deployment/web"}, []string{"east=2", "west=1"}))
	report := func() (string, error) {
		c, err := get[corev1.ConfigMap](s, s.hub.Client, "report-web")
		if err != nil || c == nil {
			return "", fmt.Errorf("there is no report: %w", err)
		}
		return c.Data["clusters"], nil
	}
	s.eventually("the report tells of both members", func() error {
		text, err := report()
		if err == nil && text != "east=2 west=1 " {
			err = fmt.Errorf("it says %q", text)
		}
		return err
	})
	s.kubectl("", "delete", "configmap", "report-web")
	s.eventually("the deleted report is made again", func() error { _, err := report(); return err })
	s.kubectl("", "delete", "placement", "web")
	s.eventually("the report goes with its owner", func() error {
		if _, err := report(); err == nil {
			return errors.New("it is still there")
		}
		return nil
	})
}

// start runs a manager until the returned function is called.
func start(t *testing.T, m manager.Manager) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Start(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the manager: %v", err)
		}
	}
}

// reporter writes a ConfigMap for each Placement of its namespace.
type reporter struct {
	client.Client
	namespace string
}

// Reconcile implements reconcile.Reconciler.
func (r *reporter) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	p := &v1alpha1.Placement{}
	err := r.Get(ctx, request.NamespacedName, p)
	if err != nil || p.Namespace != r.namespace || p.DeletionTimestamp != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	report := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: "report-" + p.Name}}
	_, err = controllerutil.CreateOrPatch(ctx, r.Client, report, func() error {
		text := ""
		for _, c := range p.Status.Clusters {
			text += fmt.Sprintf("%s=%d ", c.Name, c.Replicas)
		}
		report.Data = map[string]string{"clusters": text}
		return controllerutil.SetControllerReference(p, report, r.Scheme())
	})
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return ctrl.Result{RequeueAfter: 100 * time.Millisecond}, nil
	}
	return ctrl.Result{}, err
}
