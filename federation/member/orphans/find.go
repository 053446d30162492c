package orphans

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"

	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
)

// Member is what is looked into; *member.Member is one.
type Member interface {
	apply.Inventory
	// Resources are all that can be listed; an error says that the list is not complete.
	Resources() ([]member.Resource, error)
	// Metadata is a client for the metadata of all kinds.
	Metadata() metadata.Interface
}

// Object is a copy that nobody knows.
type Object struct {
	apply.Ref
	UID types.UID
	// Template is the UID of the template that it was made from.
	Template types.UID
}

// IsKnown reports whether the hub has a Distribution that answers for a copy of a template in the member.
type IsKnown func(ref template.Ref, template types.UID) bool

const (
	// pageSize bounds one answer of a member.
	pageSize = 500
	// maxSeen bounds what is looked at of one kind: a member that lies may never end its list.
	maxSeen = 250_000
)

// Find looks through all of a member. It fails when a part could not be seen; what the hub may not list it has not
// made.
func Find(ctx context.Context, m Member, hub apply.Hub, isKnown IsKnown) ([]Object, error) {
	resources, err := m.Resources()
	if len(resources) == 0 {
		return nil, fmt.Errorf("reading which kinds there are: %w", err)
	}
	// A list that is not complete lacks aggregated APIs that are down; one of them, as that of metrics, often is, and it
	// must not hold up all else.
	client := m.Metadata()
	var all []Object
	for _, r := range resources {
		if apply.IsByItself(r.GroupVersionResource) {
			continue
		}
		found, err := findOf(ctx, client, r, hub, isKnown)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b Object) int {
		return cmp.Or(cmp.Compare(order(b), order(a)), cmp.Compare(a.String(), b.String())) // as copies are removed
	})
	return all, nil
}

func order(o Object) int { return kinds.For(o.GVK.GroupKind()).Order() }

// findOf looks through one resource, page by page.
func findOf(
	ctx context.Context, client metadata.Interface, r member.Resource, hub apply.Hub, isKnown IsKnown,
) ([]Object, error) {
	var found []Object
	seen := 0
	page := metav1.ListOptions{LabelSelector: apply.LabelHub + "=" + string(hub), Limit: pageSize}
	for {
		list, err := client.Resource(r.GroupVersionResource).List(ctx, page)
		if isOutOfReach(err) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", r.GroupResource(), err)
		}
		if seen += 1 + len(list.Items); seen > maxSeen {
			return nil, fmt.Errorf("listing %s: the member has more than %d objects with the mark of this hub", r.GroupResource(), maxSeen)
		}
		for i := range list.Items {
			o, isCopy := objectOf(&list.Items[i], r)
			if !isCopy || isKnown(refOf(o), o.Template) {
				continue
			}
			isThere, err := isStill(ctx, client, r.GroupVersionResource, o)
			if err != nil {
				return nil, err
			}
			if isThere && !isKnown(refOf(o), o.Template) {
				found = append(found, o)
			}
		}
		if page.Continue = list.Continue; page.Continue == "" {
			return found, nil
		}
	}
}

// isOutOfReach reports whether there cannot be anything of ours: the kind has gone, is not stored, or is none of ours
// to see.
func isOutOfReach(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsForbidden(err)
}

// objectOf reads the marks of an object; false if it is no copy of a template.
func objectOf(obj *metav1.PartialObjectMetadata, r member.Resource) (Object, bool) {
	made := types.UID(obj.Annotations[apply.AnnotationTemplate])
	isCopy := made != "" && obj.DeletionTimestamp == nil && metav1.GetControllerOfNoCopy(obj) == nil &&
		member.IsName(obj.Namespace) && member.IsName(obj.Name)
	return Object{
		Ref: apply.Ref{
			GVK:       schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind},
			Namespace: obj.Namespace, Name: obj.Name,
		},
		UID: obj.UID, Template: made,
	}, isCopy
}

// isStill looks a second time: the object may have gone between the list and the question whether it is known. It lists
// once more, since the hub may list everything but not read it.
func isStill(ctx context.Context, client metadata.Interface, gvr schema.GroupVersionResource, o Object) (bool, error) {
	list, err := client.Resource(gvr).Namespace(o.Namespace).List(ctx,
		metav1.ListOptions{FieldSelector: "metadata.name=" + o.Name})
	if isOutOfReach(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", o, err)
	}
	return slices.ContainsFunc(list.Items, func(now metav1.PartialObjectMetadata) bool {
		return now.UID == o.UID && now.DeletionTimestamp == nil &&
			now.Annotations[apply.AnnotationTemplate] == string(o.Template)
	}), nil
}

func refOf(o Object) template.Ref {
	return template.Ref{Group: o.GVK.Group, Kind: o.GVK.Kind, Namespace: o.Namespace, Name: o.Name}
}

// Digest tells one set of objects from another.
func Digest(objects []Object) string {
	uids := make([]string, len(objects))
	for i, o := range objects {
		uids[i] = string(o.UID)
	}
	slices.Sort(uids)
	sum := sha256.Sum256(fmt.Append(nil, uids))
	return hex.EncodeToString(sum[:6])
}
