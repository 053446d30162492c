package storage

import (
	"context"
	"fmt"
	"path"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	flowcontrol "k8s.io/apiserver/pkg/util/flowcontrol/request"
	"k8s.io/client-go/tools/cache"
)

// eventSeconds is how long an Event is kept.
const eventSeconds = 3600

// countEvery is how often the number of objects of a kind is read for the metrics and for priority and fairness.
const countEvery = time.Minute

// Kind is what a store has to know of a kind that has a Go type.
type Kind struct {
	// GVK is kind and version as stored and, for everything this package does, as handled in memory.
	GVK schema.GroupVersionKind
	// Resource and Singular are the names in URLs, "deployments" and "deployment".
	Resource, Singular string
	Namespaced         bool
	// Scheme knows the Go types of GVK and its list.
	Scheme *runtime.Scheme
	// Validate and ValidateUpdate judge an object beyond its name. nil means that there is nothing to judge.
	Validate       func(ctx context.Context, obj runtime.Object) field.ErrorList
	ValidateUpdate func(ctx context.Context, obj, old runtime.Object) field.ErrorList
	// Warnings and WarningsOnUpdate are told to the user beside success. nil means none.
	Warnings         func(ctx context.Context, obj runtime.Object) []string
	WarningsOnUpdate func(ctx context.Context, obj, old runtime.Object) []string
	// Fields are the values that field selectors see. nil means metadata.name and metadata.namespace.
	Fields func(obj runtime.Object) fields.Set
	// Table makes the columns people see. nil means name and age.
	Table rest.TableConvertor
}

func (k Kind) groupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.GVK.Group, Resource: k.Resource}
}

func (k Kind) new() runtime.Object {
	obj, err := k.Scheme.New(k.GVK)
	if err != nil {
		panic(fmt.Sprintf("%v is not in the scheme it came with: %v", k.GVK, err)) // checked by NewStore
	}
	return obj
}

// attributes are what selectors on an object of the kind see; it is a storage.AttrFunc.
func (k Kind) attributes(obj runtime.Object) (labels.Set, fields.Set, error) {
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return nil, nil, fmt.Errorf("read metadata of a %s: %w", k.GVK.Kind, err)
	}
	if k.Fields != nil {
		return accessor.GetLabels(), k.Fields(obj), nil
	}
	set := fields.Set{"metadata.name": accessor.GetName()}
	if k.Namespaced {
		set["metadata.namespace"] = accessor.GetNamespace()
	}
	return accessor.GetLabels(), set, nil
}

// Store is the store of one kind with a Go type.
type Store struct {
	*registry.Store
	// Status is the same store as its status subresource sees it; nil when the kind has no status.
	Status *registry.Store
	// Kind is what the store was made from.
	Kind Kind
}

// NewStore makes the store of one kind and starts its watch cache.
func (e *Etcd) NewStore(kind Kind, tracker flowcontrol.StorageObjectCountTracker) (*Store, error) {
	listGVK := kind.GVK.GroupVersion().WithKind(kind.GVK.Kind + "List")
	if !kind.Scheme.Recognizes(kind.GVK) || !kind.Scheme.Recognizes(listGVK) {
		return nil, fmt.Errorf("make store of %v: the scheme has no Go type for it", kind.GVK)
	}
	table := kind.Table
	if table == nil {
		table = rest.NewDefaultTableConvertor(kind.groupResource())
	}
	strategy := newStrategy(kind)
	attributes := kind.attributes
	store := &registry.Store{
		NewFunc:                   kind.new,
		NewListFunc:               func() runtime.Object { list, _ := kind.Scheme.New(listGVK); return list },
		DefaultQualifiedResource:  kind.groupResource(),
		SingularQualifiedResource: schema.GroupResource{Group: kind.GVK.Group, Resource: kind.Singular},
		PredicateFunc: func(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
			return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: attributes}
		},
		CreateStrategy: strategy,
		UpdateStrategy: strategy,
		DeleteStrategy: strategy,
		TableConvertor: table,
	}
	if kind.GVK.Kind == "Event" {
		store.TTLFunc = func(runtime.Object, uint64, bool) (uint64, error) { return eventSeconds, nil }
	}
	codec := ProtobufCodec(kind.Scheme, kind.GVK.GroupVersion(), kind.GVK.GroupVersion())
	options := &generic.StoreOptions{RESTOptions: e.RESTOptions(codec, kind.GVK.GroupVersion(), tracker), AttrFunc: attributes}
	if err := store.CompleteWithOptions(options); err != nil {
		return nil, fmt.Errorf("make store of %v: %w", kind.GVK, err)
	}
	out := &Store{Store: store, Kind: kind}
	if strategy.hasStatus() {
		status := *store
		status.CreateStrategy, status.DeleteStrategy = nil, nil
		status.UpdateStrategy = statusStrategy{strategy}
		out.Status = &status
	}
	return out, nil
}

// WaitReady waits until the watch caches of all stores have read etcd once, or ctx ends.
func WaitReady(ctx context.Context, stores ...*registry.Store) error {
	for _, store := range stores {
		err := wait.PollUntilContextCancel(ctx, 5*time.Millisecond, true, func(context.Context) (bool, error) {
			return store.ReadinessCheck() == nil, nil
		})
		if err != nil {
			return fmt.Errorf("wait for the watch cache of %s: %w", store.DefaultQualifiedResource, err)
		}
	}
	return nil
}

// ProtobufCodec stores objects as protobuf of version stored and gives them to the program as version memory.
// It reads JSON and YAML as well.
func ProtobufCodec(scheme *runtime.Scheme, stored, memory schema.GroupVersion) runtime.Codec {
	codecs := serializer.NewCodecFactory(scheme)
	encoder := protobuf.NewSerializer(scheme, scheme)
	return codecs.CodecForVersions(encoder, codecs.UniversalDeserializer(), stored, memory)
}

// RESTOptions is what k8s.io/apiserver's generic registry asks for when it makes a store of this etcd.
// stored is the version that codec writes; nil leaves it unsaid.
func (e *Etcd) RESTOptions(codec runtime.Codec, stored runtime.GroupVersioner,
	tracker flowcontrol.StorageObjectCountTracker) generic.RESTOptionsGetter {
	return restOptions{etcd: e, codec: codec, stored: stored, tracker: tracker}
}

// CustomRESTOptions is RESTOptions for kinds without a Go type; they are stored as JSON.
func (e *Etcd) CustomRESTOptions(codec runtime.Codec,
	tracker flowcontrol.StorageObjectCountTracker) generic.RESTOptionsGetter {
	return restOptions{etcd: e, codec: codec, tracker: tracker}
}

type restOptions struct {
	etcd    *Etcd
	codec   runtime.Codec
	stored  runtime.GroupVersioner
	tracker flowcontrol.StorageObjectCountTracker
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (r restOptions) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	config := storagebackend.NewDefaultConfig(r.etcd.prefix, r.codec)
	config.EncodeVersioner = r.stored
	return generic.RESTOptions{
		StorageConfig:             config.ForResource(resource),
		Decorator:                 r.etcd.decorate,
		EnableGarbageCollection:   true,
		DeleteCollectionWorkers:   8,
		ResourcePrefix:            "/" + path.Join(resource.Group, resource.Resource),
		CountMetricPollPeriod:     countEvery,
		StorageObjectCountTracker: r.tracker,
	}, nil
}

// decorate makes etcd store and watch cache of one resource over the one shared client; the library's own factory
// would dial another one for each.
func (e *Etcd) decorate(config *storagebackend.ConfigForResource, resourcePrefix string,
	key func(runtime.Object) (string, error), newObject, newList func() runtime.Object, attributes storage.AttrFunc,
	indexers storage.IndexerFuncs, indices *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
	versioner := storage.APIObjectVersioner{}
	raw, err := etcd3.New(e.client, e.compactor, config.Codec, newObject, newList, config.Prefix, resourcePrefix,
		config.GroupResource, e.transformer(config.GroupResource), config.LeaseManagerConfig,
		etcd3.NewDefaultDecoder(config.Codec, versioner), versioner)
	if err != nil {
		return nil, nil, fmt.Errorf("make etcd store of %s: %w", config.GroupResource, err)
	}
	cached, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage: ownStream{raw, config.GroupResource.String()}, Versioner: versioner, GroupResource: config.GroupResource,
		EventsHistoryWindow: config.EventsHistoryWindow, ResourcePrefix: resourcePrefix, KeyFunc: key,
		GetAttrsFunc: attributes, IndexerFuncs: indexers, Indexers: indices,
		NewFunc: newObject, NewListFunc: newList, Codec: config.Codec,
	})
	if err != nil {
		raw.Close()
		return nil, nil, fmt.Errorf("make watch cache of %s: %w", config.GroupResource, err)
	}
	delegator := cacher.NewCacheDelegator(cached, raw)
	var once sync.Once
	destroy := func() {
		once.Do(func() {
			delegator.Stop()
			cached.Stop()
			raw.Close()
		})
	}
	return delegator, e.onClose(destroy), nil
}

// ownStream gives the watches of one resource a stream of their own over the shared client; the client keeps one for
// each set of metadata.
//
// Lists are consistent because a watch cache asks etcd how far its stream has come (KEP-2340), and etcd answers for a
// stream only when no watch on it begins later than the last write. On a stream of all resources a cache that is filled
// after that write, such as that of a new kind, would keep all the others from hearing until the next one, and every
// list would wait 3 s and go to etcd.
type ownStream struct {
	storage.Interface
	resource string
}

func (s ownStream) apart(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "resource", s.resource)
}

// Watch implements storage.Interface.
func (s ownStream) Watch(ctx context.Context, key string, options storage.ListOptions) (watch.Interface, error) {
	return s.Interface.Watch(s.apart(ctx), key, options)
}

// RequestWatchProgress implements storage.Interface.
func (s ownStream) RequestWatchProgress(ctx context.Context) error {
	return s.Interface.RequestWatchProgress(s.apart(ctx))
}

// nameGenerator completes metadata.generateName.
var nameGenerator = names.SimpleNameGenerator

// ProtobufRESTOptions is RESTOptions for kinds of a scheme that are stored as one version and handled as another.
func (e *Etcd) ProtobufRESTOptions(scheme *runtime.Scheme, stored, memory schema.GroupVersion,
	tracker flowcontrol.StorageObjectCountTracker) generic.RESTOptionsGetter {
	return e.RESTOptions(ProtobufCodec(scheme, stored, memory), stored, tracker)
}
