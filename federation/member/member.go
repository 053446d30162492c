package member

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Member is the connection to one member.
type Member struct{ name Name }

// Connect begins to connect and returns at once. The member ends when ctx does.
func Connect(ctx context.Context, spec Spec, o Options) *Member { panic("follows in the next commit") }

// Name of the member.
func (m *Member) Name() Name { return m.name }

// State is what is known now.
func (m *Member) State() State { panic("follows in the next commit") }

// Update takes a new address or new credentials of the same member. Requests under way finish the old way, watches and all
// that follows go the new way.
func (m *Member) Update(spec Spec) { panic("follows in the next commit") }

// Done is closed when the context has ended and all that belongs to the member has stopped.
func (m *Member) Done() <-chan struct{} { panic("follows in the next commit") }

// Dynamic is a client for all kinds.
func (m *Member) Dynamic() dynamic.Interface { panic("follows in the next commit") }

// REST is the configuration for any other client: it goes through the member's own transport, so it follows Update.
func (m *Member) REST() *rest.Config { panic("follows in the next commit") }

// Mapper knows the kinds that the member serves. It may ask the member, for a few seconds at most, when it does not know a kind.
func (m *Member) Mapper() meta.RESTMapper { panic("follows in the next commit") }

// HasAPI reports whether the member serves the kind, as far as is known; it asks nobody.
func (m *Member) HasAPI(gvk schema.GroupVersionKind) bool { panic("follows in the next commit") }

// Objects is the cache of our objects of one resource. The first call starts it.
func (m *Member) Objects(gvr schema.GroupVersionResource) *Objects {
	panic("follows in the next commit")
}

// Handler is told of changes of our objects in a member, in the order in which they happened, one at a time. It must not
// block or change what it is given. Old and new are the stripped, cached objects.
type Handler interface {
	OnAdd(obj *unstructured.Unstructured)
	OnUpdate(old, obj *unstructured.Unstructured)
	OnDelete(last *unstructured.Unstructured)
}

// Objects is the cache of our objects of one resource in one member.
type Objects struct{}

// Get reads from the cache. The object is shared: do not change it.
func (o *Objects) Get(namespace, name string) (*unstructured.Unstructured, bool) {
	panic("follows in the next commit")
}

// List reads all from the cache, in no order. The objects are shared: do not change them.
func (o *Objects) List() []*unstructured.Unstructured { panic("follows in the next commit") }

// HasSynced reports whether the cache has been complete once.
func (o *Objects) HasSynced() bool { panic("follows in the next commit") }

// Synced is closed when the cache has been complete once.
func (o *Objects) Synced() <-chan struct{} { panic("follows in the next commit") }

// Err is why the cache is not kept up to date at present, such as 403; nil if it is.
func (o *Objects) Err() error { panic("follows in the next commit") }

// Subscribe tells handler of everything that is in the cache (as OnAdd) and of every change from now on. The returned function ends it.
func (o *Objects) Subscribe(handler Handler) (cancel func()) { panic("follows in the next commit") }
