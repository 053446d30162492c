package server

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	extserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	crdclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/informers/externalversions"
	crdinformers "k8s.io/apiextensions-apiserver/pkg/client/informers/externalversions/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/establish"
	"k8s.io/apiextensions-apiserver/pkg/controller/finalizer"
	crdstatus "k8s.io/apiextensions-apiserver/pkg/controller/status"
	crdregistry "k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

var crdResource = apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")

// customResources serves CustomResourceDefinitions and the kinds they define; ours are such kinds too.
// Strategy, names, establishing, finalizing and all verbs are k8s.io/apiextensions-apiserver's.
type customResources struct {
	definitions *crdregistry.REST
	informers   externalversions.SharedInformerFactory
	informer    crdinformers.CustomResourceDefinitionInformer
	client      crdclient.ApiextensionsV1Interface
	handler     http.Handler
	stores      finalizer.CRClientGetter // the same handler, asked for the stores behind it
	controllers []func(ctx context.Context)
}

// buildCustoms makes the store of CRDs and the handler of what they define.
func (s *Server) buildCustoms(context.Context) error {
	client, err := clientset.NewForConfig(s.Loopback())
	if err != nil {
		return fmt.Errorf("make CRD client: %w", err)
	}
	c := &customResources{client: client.ApiextensionsV1()}
	c.informers = externalversions.NewSharedInformerFactory(client, 5*time.Minute)
	c.informer = c.informers.Apiextensions().V1().CustomResourceDefinitions()
	s.customs = c
	schemas, err := definitionSchemas()
	if err != nil {
		return err
	}
	if err := s.buildDefinitions(schemas); err != nil {
		return err
	}

	establishing := establish.NewEstablishingController(c.informer, c.client)
	hubs := 1
	if !s.cfg.Etcd.Embedded() {
		hubs = 2 // then a new kind waits until the other hubs must have seen it
	}
	options := s.cfg.Etcd.CustomRESTOptions(unstructured.UnstructuredJSONScheme, s.chain.StorageObjectCountTracker)
	// The two nils are handlers of discovery, which is ours. The schemas are what server-side apply knows of object
	// metadata; without them it takes every list of every custom resource for one value with one owner.
	handler, err := extserver.NewCustomResourceDefinitionHandler(nil, nil, c.informer, http.HandlerFunc(notFound), options,
		s.admit, establishing, webhook.NewDefaultServiceResolver(),
		webhook.NewDefaultAuthenticationInfoResolverWrapper(nil, nil, s.Loopback(), s.chain.TracerProvider),
		hubs, &s.gate, s.chain.RequestTimeout, shortestWatch, schemas, maxBody)
	if err != nil {
		return fmt.Errorf("make handler of custom kinds: %w", err)
	}
	c.handler, c.stores = handler, handler
	naming := crdstatus.NewNamingConditionController(klog.Background(), c.informer, c.client)
	finalizing := finalizer.NewCRDFinalizer(c.informer, c.client, handler)
	c.controllers = []func(context.Context){
		establishing.RunWithContext,
		naming.RunWithContext,
		func(ctx context.Context) { finalizing.RunWithContext(5, ctx) },
	}
	return nil
}

// buildDefinitions makes store and endpoints of CustomResourceDefinitions themselves.
func (s *Server) buildDefinitions(schemas map[string]*spec.Schema) error {
	// The apply configurations, which give the merge rules of native kinds, leave this one out.
	types, err := managedfields.NewTypeConverter(schemas, false)
	if err != nil {
		return fmt.Errorf("read the merge rules of CRDs: %w", err)
	}
	d := newDialect(extserver.Scheme, types)
	definitions, err := crdregistry.NewREST(d.scheme, s.cfg.Etcd.ProtobufRESTOptions(d.scheme,
		apiextensionsv1.SchemeGroupVersion, apiextensions.SchemeGroupVersion, s.chain.StorageObjectCountTracker))
	if err != nil {
		return fmt.Errorf("make store of CRDs: %w", err)
	}
	definitions.CreateStrategy = definitionCreate{definitions.CreateStrategy, s}
	definitions.AfterCreate = func(obj runtime.Object, _ *metav1.CreateOptions) { s.awaitServed(obj) }
	s.customs.definitions = definitions

	base := scopeOf{
		target: target{GroupVersionResource: crdResource}, table: definitions.TableConvertor,
		kind: apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"), hub: apiextensions.SchemeGroupVersion,
	}
	status := base
	status.subresource = "status"
	base.ignored, status.ignored = ignoredBy(base, ""), ignoredBy(base, "status")
	scope, err := d.scope(base, &s.gate)
	if err != nil {
		return err
	}
	statusScope, err := d.scope(status, &s.gate)
	if err != nil {
		return err
	}
	part := crdregistry.NewStatusREST(d.scheme, definitions)
	s.natives.endpoints[base.target] = measured(base.target, false, storedHandlers(definitions, scope, s.admit))
	s.natives.endpoints[status.target] = measured(status.target, false, partHandlers(part, statusScope, s.admit))
	return nil
}

// definitionCreate accepts the names of a new CRD and establishes it in the same write, where that is certain.
//
// The library does it by two more writes of its controllers, and then holds up the first objects for two seconds, so
// that all replicas of an API server can have learned of the kind. With embedded etcd there are no replicas. Where
// names are taken, and with an external etcd, the controllers decide.
type definitionCreate struct {
	rest.RESTCreateStrategy
	server *Server
}

// PrepareForCreate implements rest.RESTCreateStrategy.
func (d definitionCreate) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	d.RESTCreateStrategy.PrepareForCreate(ctx, obj)
	crd := obj.(*apiextensions.CustomResourceDefinition)
	if !d.server.cfg.Etcd.Embedded() || d.server.namesTaken(crd) {
		return
	}
	crd.Status.AcceptedNames = crd.Spec.Names
	// The handler waits while this is younger than two seconds.
	since := metav1.NewTime(time.Now().Add(-3 * time.Second))
	crd.Status.Conditions = []apiextensions.CustomResourceDefinitionCondition{
		{Type: apiextensions.NamesAccepted, Status: apiextensions.ConditionTrue, LastTransitionTime: since,
			Reason: "NoConflicts", Message: "no conflicts found"},
		{Type: apiextensions.Established, Status: apiextensions.ConditionTrue, LastTransitionTime: since,
			Reason: "InitialNamesAccepted", Message: "the initial names have been accepted"},
	}
}

// namesTaken says whether another CRD of the group has one of the names of crd, or may get one.
func (s *Server) namesTaken(crd *apiextensions.CustomResourceDefinition) bool {
	all, err := s.customs.informer.Lister().List(labels.Everything())
	if err != nil {
		return true
	}
	wanted := append([]string{crd.Spec.Names.Plural, crd.Spec.Names.Singular}, crd.Spec.Names.ShortNames...)
	for _, other := range all {
		if other.Spec.Group != crd.Spec.Group || other.Name == crd.Name {
			continue
		}
		for _, names := range []apiextensionsv1.CustomResourceDefinitionNames{other.Spec.Names, other.Status.AcceptedNames} {
			taken := append([]string{names.Plural, names.Singular}, names.ShortNames...)
			if slices.ContainsFunc(wanted, func(n string) bool { return n != "" && slices.Contains(taken, n) }) ||
				names.Kind == crd.Spec.Names.Kind || names.ListKind == crd.Spec.Names.ListKind {
				return true
			}
		}
	}
	return false
}

// awaitServed holds the answer to a create until the new kind is served, so that a client may go on at once.
func (s *Server) awaitServed(obj runtime.Object) {
	crd := obj.(*apiextensions.CustomResourceDefinition)
	if !apiextensions.IsCRDConditionTrue(crd, apiextensions.Established) || !s.customs.informer.Informer().HasSynced() {
		return
	}
	ctx, cancel := context.WithTimeout(s.background, time.Second)
	defer cancel()
	_ = wait.PollUntilContextCancel(ctx, time.Millisecond, true, func(context.Context) (bool, error) {
		seen, err := s.customs.informer.Lister().Get(crd.Name)
		return err == nil && seen.UID == crd.UID && s.discovery.serves(crd.Spec.Group, crd.Spec.Names.Plural), nil
	})
}

// runCustoms starts informer and controllers of CRDs and fills discovery and OpenAPI with what is there.
func (s *Server) runCustoms(ctx context.Context) error {
	informer := s.customs.informer.Informer()
	changed := func(any) { s.definitionsChanged() }
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, DeleteFunc: changed,
		UpdateFunc: func(old, obj any) {
			if old.(metav1.Object).GetResourceVersion() != obj.(metav1.Object).GetResourceVersion() {
				s.definitionsChanged()
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch CRDs: %w", err)
	}
	s.startInformers(s.customs.informers)
	if !cache.WaitFor(ctx, "", registration.HasSyncedChecker()) {
		return fmt.Errorf("wait for CRDs: %w", context.Cause(ctx))
	}
	for _, run := range s.customs.controllers {
		s.goRun(run)
	}
	return nil
}

// definitionsChanged publishes the present CRDs. It is called by the informer only, one call after the other.
func (s *Server) definitionsChanged() {
	all, err := s.customs.informer.Lister().List(labels.Everything())
	if err != nil {
		return
	}
	served := slices.DeleteFunc(slices.Clone(all), func(crd *apiextensionsv1.CustomResourceDefinition) bool {
		return !apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established)
	})
	slices.SortFunc(served, func(a, b *apiextensionsv1.CustomResourceDefinition) int {
		return compare(a.Spec.Group+"/"+a.Name, b.Spec.Group+"/"+b.Name)
	})
	s.discovery.setCustom(served)
	s.openapi.setCustom(served, s.cfg.Reviews)
}

// seedCRDs creates the CRDs of the configuration, or brings them up to date, and waits until they are served.
func (s *Server) seedCRDs(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	for _, crd := range s.cfg.CRDs {
		work.Go(func() error {
			if err := s.seedCRD(ctx, crd); err != nil {
				return fmt.Errorf("CRD %s: %w", crd.Name, err)
			}
			return nil
		})
	}
	return work.Wait()
}

func (s *Server) seedCRD(ctx context.Context, crd *apiextensionsv1.CustomResourceDefinition) error {
	crds := s.customs.client.CustomResourceDefinitions()
	present, err := s.customs.informer.Lister().Get(crd.Name)
	if err != nil {
		_, err := crds.Create(ctx, crd.DeepCopy(), metav1.CreateOptions{FieldManager: "hanse-hub"})
		if err := ignoreExists(err); err != nil {
			return err
		}
	} else if next, changed := upgraded(present, crd); changed {
		if _, err := crds.Update(ctx, next, metav1.UpdateOptions{FieldManager: "hanse-hub"}); err != nil {
			return err
		}
	}
	return wait.PollUntilContextCancel(ctx, 2*time.Millisecond, true, func(context.Context) (bool, error) {
		return s.discovery.serves(crd.Spec.Group, crd.Spec.Names.Plural), nil
	})
}

// upgraded puts spec, labels and annotations of wanted on present and says whether that changes anything.
func upgraded(present, wanted *apiextensionsv1.CustomResourceDefinition) (*apiextensionsv1.CustomResourceDefinition, bool) {
	next := present.DeepCopy()
	// Compare with the defaults that the server would add, so that an unchanged CRD is not written at each start.
	complete := wanted.DeepCopy()
	extserver.Scheme.Default(complete)
	next.Spec = complete.Spec
	if next.Spec.Conversion == nil {
		next.Spec.Conversion = present.Spec.Conversion
	}
	next.Labels = merged(next.Labels, wanted.Labels)
	next.Annotations = merged(next.Annotations, wanted.Annotations)
	return next, !equality.Semantic.DeepEqual(next.Spec, present.Spec) ||
		!reflect.DeepEqual(next.Labels, present.Labels) || !reflect.DeepEqual(next.Annotations, present.Annotations)
}

func merged(base, over map[string]string) map[string]string {
	if len(over) == 0 {
		return base
	}
	out := maps.Clone(base)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, over)
	return out
}

// gvOf is the group version of one version of a CRD.
func gvOf(crd *apiextensionsv1.CustomResourceDefinition, version string) schema.GroupVersion {
	return schema.GroupVersion{Group: crd.Spec.Group, Version: version}
}
