package server

import (
	"context"
	"io"
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/hanse-federation/hanse/api/native"
)

// served is a store of a native kind as clients see it: its objects have the values that a cluster adds, and those are
// not stored, see the package's considerations.
type served struct{ collection }

var _ collection = served{}

// asStored is the mark of a context in which objects are read and written as they are stored.
type asStored struct{}

func isAsStored(ctx context.Context) bool { return ctx.Value(asStored{}) != nil }

// Get implements rest.Getter.
func (s served) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return completed(ctx)(s.collection.Get(ctx, name, options))
}

// completed returns a completed object in the place of a stored one.
func completed(ctx context.Context) func(runtime.Object, error) (runtime.Object, error) {
	return func(obj runtime.Object, err error) (runtime.Object, error) {
		if _, isStatus := obj.(*metav1.Status); err != nil || obj == nil || isStatus || isAsStored(ctx) {
			return obj, err
		}
		return native.Defaulted(obj), nil
	}
}

// List implements rest.Lister.
func (s served) List(ctx context.Context, options *internalversion.ListOptions) (runtime.Object, error) {
	list, err := s.collection.List(ctx, options)
	if err != nil || isAsStored(ctx) {
		return list, err
	}
	return native.DefaultedList(list)
}

// Watch implements rest.Watcher.
func (s served) Watch(ctx context.Context, options *internalversion.ListOptions) (watch.Interface, error) {
	events, err := s.collection.Watch(ctx, options)
	if err != nil || isAsStored(ctx) {
		return events, err
	}
	return mapEvents(events, func(e watch.Event) watch.Event {
		if e.Type == watch.Added || e.Type == watch.Modified || e.Type == watch.Deleted {
			if shared, ok := e.Object.(sharedObject); ok {
				e.Object = sharedDefaulted{shared}
			} else {
				e.Object = native.Defaulted(e.Object)
			}
		}
		return e
	}), nil
}

// sharedObject is an object that the watch cache gives to all watchers.
type sharedObject interface {
	runtime.Object
	metav1.Object
	runtime.CacheableObject
}

// sharedDefaulted completes such an object. It is completed and encoded once for
// all of them, as without completion.
type sharedDefaulted struct{ sharedObject }

// GetObject implements runtime.CacheableObject.
func (s sharedDefaulted) GetObject() runtime.Object {
	obj := s.sharedObject.GetObject() // a copy
	native.Default(obj)
	return obj
}

// CacheEncode implements runtime.CacheableObject.
func (s sharedDefaulted) CacheEncode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	return s.sharedObject.CacheEncode("defaulted,"+id, func(obj runtime.Object, w io.Writer) error {
		native.Default(obj) // a copy too
		return encode(obj, w)
	}, w)
}

// Create implements rest.Creater.
func (s served) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc,
	options *metav1.CreateOptions) (runtime.Object, error) {
	return completed(ctx)(s.collection.Create(ctx, obj, judgesDefaulted(validate), options))
}

// Update implements rest.Updater.
func (s served) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, onCreate rest.ValidateObjectFunc,
	onUpdate rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	if isAsStored(ctx) {
		return s.collection.Update(ctx, name, info, onCreate, onUpdate, force, options)
	}
	obj, created, err := s.collection.Update(ctx, name, servedUpdate{info}, judgesDefaulted(onCreate),
		judgesDefaultedUpdate(onUpdate), force, options)
	obj, err = completed(ctx)(obj, err)
	return obj, created, err
}

// Delete implements rest.GracefulDeleter.
func (s served) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc,
	options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, gone, err := s.collection.Delete(ctx, name, judgesDefaulted(validate), options)
	obj, err = completed(ctx)(obj, err)
	return obj, gone, err
}

// DeleteCollection implements rest.CollectionDeleter.
func (s served) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions,
	list *internalversion.ListOptions) (runtime.Object, error) {
	deleted, err := s.collection.DeleteCollection(ctx, judgesDefaulted(validate), options, list)
	if err != nil || isAsStored(ctx) {
		return deleted, err
	}
	return native.DefaultedList(deleted)
}

// servedUpdate lets a client change an object as it was served, and gives the store what of it is to be stored.
type servedUpdate struct{ rest.UpdatedObjectInfo }

// UpdatedObject implements rest.UpdatedObjectInfo.
func (u servedUpdate) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	if m, err := meta.Accessor(old); err != nil || m.GetUID() == "" {
		return u.UpdatedObjectInfo.UpdatedObject(ctx, old) // there is none yet
	}
	next, err := u.UpdatedObjectInfo.UpdatedObject(ctx, native.Defaulted(old))
	if err != nil {
		return nil, err
	}
	return native.Undefaulted(next, old)
}

// judgesDefaulted has admission judge an object as a cluster would see it.
func judgesDefaulted(validate rest.ValidateObjectFunc) rest.ValidateObjectFunc {
	if validate == nil {
		return nil
	}
	return func(ctx context.Context, obj runtime.Object) error { return validate(ctx, native.Defaulted(obj)) }
}

func judgesDefaultedUpdate(validate rest.ValidateObjectUpdateFunc) rest.ValidateObjectUpdateFunc {
	if validate == nil {
		return nil
	}
	return func(ctx context.Context, obj, old runtime.Object) error {
		return validate(ctx, native.Defaulted(obj), native.Defaulted(old))
	}
}

// servedPart is the status of a native kind, or another part of its objects, as clients see it.
type servedPart struct{ rest.Patcher }

// Get implements rest.Getter.
func (s servedPart) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return completed(ctx)(s.Patcher.Get(ctx, name, options))
}

// Update implements rest.Updater. Of what a client sends, the store takes that part alone, which has no defaults that
// would be anybody's wish.
func (s servedPart) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, onCreate rest.ValidateObjectFunc,
	onUpdate rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	if isAsStored(ctx) {
		return s.Patcher.Update(ctx, name, info, onCreate, onUpdate, force, options)
	}
	obj, created, err := s.Patcher.Update(ctx, name, servedPartUpdate{info}, judgesDefaulted(onCreate),
		judgesDefaultedUpdate(onUpdate), force, options)
	obj, err = completed(ctx)(obj, err)
	return obj, created, err
}

// servedPartUpdate is servedUpdate for a part.
type servedPartUpdate struct{ rest.UpdatedObjectInfo }

// UpdatedObject implements rest.UpdatedObjectInfo.
func (u servedPartUpdate) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	return u.UpdatedObjectInfo.UpdatedObject(ctx, native.Defaulted(old))
}

// storedView serves Loopback's requests to who wants objects as they are stored.
func storedView(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		handler.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), asStored{}, true)))
	})
}
