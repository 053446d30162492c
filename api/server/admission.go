package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/hanse-federation/hanse/api/storage"
)

// systemNamespace is where the hub keeps what is its own.
const systemNamespace = "hanse-system"

// immortal namespaces cannot be deleted, and are made at start.
var immortal = []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, systemNamespace}

// lifecycle refuses to create objects in namespaces that do not exist or are ending, and to delete the immortal ones.
type lifecycle struct {
	server *Server
	mu     sync.Mutex
	ending map[string]time.Time // namespaces deleted a moment ago: the cache may still say they are active
}

// cacheLag is longer than any cache stays behind.
const cacheLag = 30 * time.Second

var _ admission.MutationInterface = &lifecycle{}

// Handles implements admission.Interface.
func (l *lifecycle) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Delete
}

// Admit implements admission.MutationInterface.
func (l *lifecycle) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetKind().Kind == "Namespace" && a.GetKind().Group == "" {
		return l.admitNamespace(a)
	}
	if a.GetOperation() != admission.Create || a.GetNamespace() == "" ||
		a.GetResource().Resource == "localsubjectaccessreviews" {
		return nil
	}
	namespace, err := l.namespace(ctx, a.GetNamespace())
	if err != nil {
		return err
	}
	if namespace.Status.Phase != corev1.NamespaceTerminating {
		return nil
	}
	refused := admission.NewForbidden(a, fmt.Errorf(
		"unable to create new content in namespace %s because it is being terminated", a.GetNamespace()))
	var status *apierrors.StatusError
	if errors.As(refused, &status) {
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{
			Type:    corev1.NamespaceTerminatingCause,
			Message: fmt.Sprintf("namespace %s is being terminated", a.GetNamespace()),
			Field:   "metadata.namespace",
		})
	}
	return refused
}

func (l *lifecycle) admitNamespace(a admission.Attributes) error {
	if a.GetOperation() != admission.Delete {
		return nil
	}
	if slices.Contains(immortal, a.GetName()) {
		return apierrors.NewForbidden(a.GetResource().GroupResource(), a.GetName(),
			errors.New("this namespace may not be deleted"))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending[a.GetName()] = time.Now()
	return nil
}

// namespace reads from the cache, and from etcd where the cache may not know yet.
func (l *lifecycle) namespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	// Errors name the resource the request is about; this read is about a namespace.
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{Resource: "namespaces"})
	if !l.endsNow(name) {
		found, err := l.server.namespaces.Get(ctx, name, &metav1.GetOptions{ResourceVersion: "0"})
		if err == nil {
			return found.(*corev1.Namespace), nil
		}
	}
	found, err := l.server.namespaces.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return found.(*corev1.Namespace), nil
}

func (l *lifecycle) endsNow(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ending) == 0 {
		return false
	}
	for other, since := range l.ending {
		if time.Since(since) > cacheLag {
			delete(l.ending, other)
		}
	}
	_, ok := l.ending[name]
	return ok
}

// ownKinds refuses to delete the definitions that the hub is made with. The objects of a definition go with it: without
// Placements nothing is placed, and every member would be emptied.
type ownKinds struct{ names sets.Set[string] }

var _ admission.ValidationInterface = ownKinds{}

func newOwnKinds(definitions []*apiextensionsv1.CustomResourceDefinition) ownKinds {
	names := sets.New[string]()
	for _, d := range definitions {
		names.Insert(d.Name)
	}
	return ownKinds{names}
}

// Handles implements admission.Interface.
func (ownKinds) Handles(operation admission.Operation) bool { return operation == admission.Delete }

// Validate implements admission.ValidationInterface. The deletion of a collection asks once for the whole, without an
// object, and then for each.
func (k ownKinds) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	resource := a.GetResource().GroupResource()
	if resource != apiextensionsv1.Resource("customresourcedefinitions") {
		return nil
	}
	name := a.GetName()
	if old, ok := a.GetOldObject().(metav1.Object); ok {
		name = old.GetName()
	}
	if !k.names.Has(name) {
		return nil
	}
	return apierrors.NewForbidden(resource, name, errors.New("the hub's own kinds may not be deleted"))
}

// escalation asks Access.Escalates about every write of a role or binding.
type escalation struct{ server *Server }

var _ admission.ValidationInterface = escalation{}

// Handles implements admission.Interface.
func (escalation) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Update
}

// Validate implements admission.ValidationInterface.
func (e escalation) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().Group != "rbac.authorization.k8s.io" || e.server.access.Escalates == nil {
		return nil
	}
	return e.server.access.Escalates(ctx, a.GetObject(), a.GetOldObject())
}

// space refuses what is new when the database is full, so that what is left of it serves to delete: an object that
// waits for its copies in members is written several times before it is gone.
type space struct {
	full     func() string // why nothing new is taken; empty when it is
	makeRoom func(context.Context)
}

var _ admission.ValidationInterface = space{}

// Handles implements admission.Interface.
func (space) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Update || operation == admission.Delete
}

// notStored are the groups whose objects are questions.
var notStored = sets.New("authentication.k8s.io", "authorization.k8s.io")

// Validate implements admission.ValidationInterface.
func (s space) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	resource := a.GetResource().GroupResource()
	if a.GetOperation() == admission.Delete {
		s.makeRoom(ctx)
		return nil
	}
	why := s.full()
	if why == "" || a.IsDryRun() || notStored.Has(resource.Group) || resource.Resource == "plans" {
		return nil
	}
	if old, ok := a.GetOldObject().(metav1.Object); ok && old != nil && a.GetOperation() == admission.Update &&
		old.GetDeletionTimestamp() != nil {
		return nil // finalizers go
	}
	if isHub := a.GetUserInfo() != nil && a.GetUserInfo().GetName() == HubUser; isHub && a.GetKind().Kind != "Event" {
		return nil // it says what becomes of what is deleted, and lets go of it
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusInsufficientStorage,
		Reason:  storage.ReasonNoSpace,
		Message: fmt.Sprintf("%s %q is not written: %s", resource, a.GetName(), why),
		Details: &metav1.StatusDetails{Group: resource.Group, Kind: resource.Resource, Name: a.GetName()},
	}}
}
