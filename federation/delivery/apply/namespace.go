package apply

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// Inventory is a Target that can name all its namespaced kinds. Removing a namespace needs it, to see what is inside.
type Inventory interface {
	Target
	// NamespacedResources are all namespaced resources that can be listed, one version of each. An error says that the
	// list is not complete.
	NamespacedResources() ([]schema.GroupVersionResource, error)
}

// EnsureNamespace makes the namespace in the member if it is absent, with our mark; one that exists is used as it is,
// without a mark. The verdict is Created, Unchanged, Pending (it is terminating) or Failed.
func EnsureNamespace(ctx context.Context, target Target, hub Hub, name string) Result {
	ref := Ref{GVK: namespaceGVK, Name: name}
	client, err := clientFor(target, ref)
	if err != nil {
		return classify(ref, err)
	}
	live, err := look(ctx, client, name)
	if err != nil {
		return classify(ref, err)
	}
	if live != nil {
		return existing(ref, live)
	}
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	obj.SetGroupVersionKind(namespaceGVK)
	obj.SetName(name)
	result := Apply(ctx, target, obj, Options{Hub: hub})
	if result.Verdict != Conflict {
		return result
	}
	// Others made it meanwhile.
	return Result{Verdict: Unchanged, UID: result.UID, ResourceVersion: result.ResourceVersion}
}

func existing(ref Ref, live *unstructured.Unstructured) Result {
	if live.GetDeletionTimestamp() != nil {
		return beingDeleted(ref, live)
	}
	return Result{Verdict: Unchanged, UID: live.GetUID(), ResourceVersion: live.GetResourceVersion()}
}

// RemoveNamespaceIfOursAndEmpty deletes a namespace that EnsureNamespace made, if nothing is in it but what Kubernetes
// itself puts into every namespace. The verdict is Deleted, Pending (terminating, or something of ours is still
// inside), Skipped (not ours, wanted by a template, or something foreign is inside) or Failed.
//
// The look and the delete are two steps: an object that a foreign client creates in the milliseconds between the two
// goes with the namespace. Kubernetes has no operation that would exclude it.
func RemoveNamespaceIfOursAndEmpty(ctx context.Context, target Inventory, hub Hub, name string) Result {
	ref := Ref{GVK: namespaceGVK, Name: name}
	client, err := clientFor(target, ref)
	if err != nil {
		return classify(ref, err)
	}
	live, err := look(ctx, client, name)
	switch {
	case err != nil:
		return classify(ref, err)
	case live == nil:
		return Result{Verdict: Deleted}
	case ownerOf(live).template != "":
		return left(live, ReasonOtherTemplate, fmt.Sprintf("%s is wanted by a template", ref))
	}
	return Delete(ctx, target, ref, DeleteOptions{Hub: hub, Live: live})
}

// LeaveNamespaces ends what EnsureNamespace began, for a hub that leaves the member: each namespace that it made goes if
// it is empty, and loses our mark if something foreign is inside. The verdict is Deleted (none is left, or those that
// are end by themselves), Pending (something of ours is still inside one: ask again) or Failed.
func LeaveNamespaces(ctx context.Context, target Inventory, hub Hub) Result {
	mapping, err := target.Mapper().RESTMapping(namespaceGVK.GroupKind(), namespaceGVK.Version)
	if err != nil {
		return classify(Ref{GVK: namespaceGVK, Name: "*"}, err)
	}
	list, err := target.Dynamic().Resource(mapping.Resource).List(ctx,
		metav1.ListOptions{LabelSelector: LabelHub + "=" + string(hub)})
	if err != nil {
		return classify(Ref{GVK: namespaceGVK, Name: "*"}, err)
	}
	all := Result{Verdict: Deleted}
	for i := range list.Items {
		if list.Items[i].GetDeletionTimestamp() != nil {
			continue
		}
		name := list.Items[i].GetName()
		result := RemoveNamespaceIfOursAndEmpty(ctx, target, hub, name)
		if result.Verdict == Skipped {
			ref := Ref{GVK: namespaceGVK, Name: name}
			result = Delete(ctx, target, ref, DeleteOptions{Hub: hub, Orphan: true})
		}
		if result.Verdict == Failed || result.Verdict == Pending && result.Reason != ReasonBeingDeleted {
			all = result
		}
	}
	return all
}

// byItself is what a cluster puts into every namespace without being asked; beside each row, who does.
var byItself = []struct{ resource, group, name string }{
	{"configmaps", "", "kube-root-ca.crt"},         // kube-controller-manager
	{"serviceaccounts", "", "default"},             // kube-controller-manager
	{"events", "", "*"},                            // anybody, and they end by themselves
	{"events", "events.k8s.io", "*"},               // the same objects again
	{"configmaps", "", "openshift-service-ca.crt"}, // OpenShift
	{"serviceaccounts", "", "builder"},             // OpenShift
	{"serviceaccounts", "", "deployer"},            // OpenShift
	{"configmaps", "", "istio-ca-root-cert"},       // Istio
}

// virtual are groups whose objects are a view of others and cannot keep a namespace alive.
var virtual = []string{"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io",
	"packages.operators.coreos.com"}

// IsByItself reports whether nothing of a resource is anybody's in particular: events, and views of other objects.
func IsByItself(gvr schema.GroupVersionResource) bool {
	return isVirtual(gvr.Group) || isByItself(gvr, "*")
}

func isByItself(gvr schema.GroupVersionResource, name string) bool {
	for _, row := range byItself {
		if row.resource == gvr.Resource && row.group == gvr.Group && (row.name == "*" || row.name == name) {
			return true
		}
	}
	return false
}

// contents says what keeps the namespace from being deleted; nothing if it is empty.
func contents(ctx context.Context, target Target, hub Hub, namespace string) Result {
	inventory, ok := target.(Inventory)
	if !ok {
		return Result{Verdict: Skipped, Reason: ReasonNotEmpty,
			Message: fmt.Sprintf("Namespace %s stays: there is no way to see what is inside", namespace)}
	}
	resources, err := inventory.NamespacedResources()
	if err != nil {
		return pendingFor(10*time.Second, ReasonNotEmpty,
			fmt.Sprintf("Namespace %s: cannot say yet whether it is empty: %v", namespace, err))
	}
	var ours string
	for _, gvr := range resources {
		if IsByItself(gvr) {
			continue
		}
		found := inside(ctx, target, hub, gvr, namespace)
		switch {
		case found.err != nil:
			r := classify(Ref{GVK: namespaceGVK, Name: namespace}, found.err)
			if r.Reason == ReasonForbidden {
				return Result{Verdict: Skipped, Reason: ReasonNotEmpty,
					Message: fmt.Sprintf("Namespace %s stays: we may not see the %s in it", namespace, gvr.Resource)}
			}
			return r
		case found.foreign != "":
			return Result{Verdict: Skipped, Reason: ReasonNotEmpty,
				Message: fmt.Sprintf("Namespace %s stays: %s in it is not ours", namespace, found.foreign)}
		case found.ours != "":
			ours = found.ours
		}
	}
	if ours != "" {
		message := fmt.Sprintf("Namespace %s still has %s of ours", namespace, ours)
		return pendingFor(time.Second, ReasonNotEmpty, message)
	}
	return Result{}
}

// keepNamespace lets a namespace be as long as there is something in it. One that a template brought is left, without
// our marks, to the owners of what is foreign; nobody would look at it again. One that we made on demand stays ours: it
// goes with the last of our copies that comes there, if it is empty then.
func keepNamespace(
	ctx context.Context, client dynamic.ResourceInterface, ref Ref, live *unstructured.Unstructured, blocked Result,
) (result Result, again bool) {
	if blocked.Verdict != Skipped || ownerOf(live).template == "" {
		return blocked, false
	}
	if result, again = release(ctx, client, ref, live); result.Reason == ReasonKept {
		result.Reason, result.Message = ReasonNotEmpty, blocked.Message+"; it has none of our marks any more"
	}
	return result, again
}

func isVirtual(group string) bool {
	for _, g := range virtual {
		if g == group {
			return true
		}
	}
	return false
}

// occupant names one object in a namespace that is in the way.
type occupant struct {
	foreign string
	ours    string // ours, or on its way out after something of ours
	err     error
}

// maxInside bounds what is looked at of one kind: a member that lies may never end its list.
const maxInside = 100_000

// inside looks for anything of one kind in the namespace, page by page, until it finds something foreign.
func inside(ctx context.Context, target Target, hub Hub, gvr schema.GroupVersionResource, namespace string) occupant {
	var found occupant
	seen := 0
	page := metav1.ListOptions{Limit: 100}
	for {
		list, err := target.Dynamic().Resource(gvr).Namespace(namespace).List(ctx, page)
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			return found // the kind has just gone, or is not stored
		}
		if err != nil {
			return occupant{err: fmt.Errorf("list %s in namespace %s: %w", gvr.GroupResource(), namespace, err)}
		}
		for i := range list.Items {
			item := &list.Items[i]
			name := strings.TrimSuffix(gvr.Resource, "s") + " " + item.GetName()
			switch {
			case isByItself(gvr, item.GetName()):
			case IsOurs(item, hub), item.GetDeletionTimestamp() != nil, len(item.GetOwnerReferences()) > 0:
				// What has an owner goes with it; if the owner is foreign, the owner itself is found.
				found.ours = name
			default:
				return occupant{foreign: name}
			}
		}
		if seen += 1 + len(list.Items); seen > maxInside {
			return occupant{err: fmt.Errorf("list %s in namespace %s: there are more than %d", gvr.GroupResource(), namespace, maxInside)}
		}
		if page.Continue = list.GetContinue(); page.Continue == "" {
			return found
		}
	}
}
