package admission

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// Placers sees to it that whoever has objects placed in clusters has the right to, the verb place on clusters.hanse.io.
// It remembers the author of a placement in hanse.io/placed-by, in whose name all later decisions are taken, and refuses
// a placement whose author may not use a cluster that it chooses now. A cluster that it comes to choose later, when one
// joins or a label changes, is passed over as long as the author may not use it (package schedule sees to that).
//
// The author is who wrote the present text of the placement: a change of it makes its writer the author. Other changes
// of the object, and those of the hub itself, keep the author. What anybody writes into the annotation is replaced.
type Placers struct {
	// Clusters are those of the present; false until they are read.
	Clusters func() ([]placement.Cluster, bool)
	// May reports whether a user has a verb on a resource of hanse.io that has no namespace; an empty name stands for all
	// of them.
	May func(ctx context.Context, who user.Info, verb, resource, name string) bool
	// Hub is the name of the user that the hub itself is.
	Hub string
}

var (
	_ admission.MutationInterface   = &Placers{}
	_ admission.ValidationInterface = &Placers{}
)

// Handles implements admission.Interface.
func (p *Placers) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Update
}

// Admit remembers the author. A status can be written with other annotations, too.
func (p *Placers) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	object, ok := a.GetObject().(metav1.Object)
	if !ok || a.GetUserInfo() == nil || !isWhole(a) {
		return nil
	}
	author := ""
	old := oldOf(a)
	switch {
	case !places(a, object):
	case a.GetUserInfo().GetName() == p.Hub && old != nil, !p.isNew(a, object):
		author = old.GetAnnotations()[v1alpha1.AuthorAnnotation]
	default:
		author = match.FormatAuthor(a.GetUserInfo())
	}
	annotations := object.GetAnnotations()
	if annotations[v1alpha1.AuthorAnnotation] == author {
		return nil
	}
	annotations = maps.Clone(annotations) // the old object may have the same
	if author == "" {
		delete(annotations, v1alpha1.AuthorAnnotation)
	} else {
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[v1alpha1.AuthorAnnotation] = author
	}
	object.SetAnnotations(annotations)
	return nil
}

// isWhole reports whether a request writes an object, or its status.
func isWhole(a admission.Attributes) bool {
	return a.GetSubresource() == "" || a.GetSubresource() == "status"
}

func oldOf(a admission.Attributes) metav1.Object {
	if a.GetOperation() != admission.Update {
		return nil
	}
	old, _ := a.GetOldObject().(metav1.Object)
	return old
}

// places reports whether an object says where objects go.
func places(a admission.Attributes, object metav1.Object) bool {
	kind := a.GetKind().GroupKind()
	if kind == placementKind || kind == clusterPlacementKind {
		return true
	}
	_, local := template.IsLocal(kind)
	return !local && isAnnotated(object)
}

func isAnnotated(object metav1.Object) bool {
	_, is := object.GetAnnotations()[v1alpha1.ClustersAnnotation]
	return is
}

// placing are the annotations that together are a placement.
var placing = []string{v1alpha1.ClustersAnnotation, v1alpha1.ReplicasAnnotation, v1alpha1.OnConflictAnnotation,
	v1alpha1.OnImmutableAnnotation, v1alpha1.DriftAnnotation, v1alpha1.OnDeleteAnnotation}

// isNew reports whether a request writes a placement that was not there, or was another one.
func (p *Placers) isNew(a admission.Attributes, object metav1.Object) bool {
	old := oldOf(a)
	if old == nil {
		return true
	}
	kind := a.GetKind().GroupKind()
	if kind == placementKind || kind == clusterPlacementKind {
		if a.GetSubresource() == "status" {
			return false // it leaves the specification alone
		}
		before, errBefore := placementOf(a.GetOldObject())
		now, errNow := placementOf(a.GetObject())
		if errBefore != nil || errNow != nil || before == nil || now == nil {
			return true
		}
		return !equality.Semantic.DeepEqual(before.Spec, now.Spec)
	}
	for _, key := range placing {
		if old.GetAnnotations()[key] != object.GetAnnotations()[key] {
			return true
		}
	}
	return false
}

// Validate refuses a placement in a cluster that its author may not use.
func (p *Placers) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	object, ok := a.GetObject().(metav1.Object)
	who := a.GetUserInfo()
	if !ok || who == nil || !isWhole(a) || !places(a, object) || !p.isNew(a, object) || p.May(ctx, who, "place", "clusters", "") {
		return nil
	}
	terms, field, err := termsOf(a, object)
	if err != nil {
		return nil // another check tells what is wrong
	}
	clusters, ready := p.Clusters()
	if !ready {
		return apierrors.NewServiceUnavailable("the hub is starting and does not know its clusters yet; try again in a moment")
	}
	var refused []string
	for _, name := range placement.Chooses(terms, clusters) {
		if !p.May(ctx, who, "place", "clusters", name) {
			refused = append(refused, name)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return admission.NewForbidden(a, fmt.Errorf("%s: %s may not place in %s; name clusters that they may use"+
		" (kubectl auth can-i place clusters/%s), or have an administrator bind a ClusterRole with the verb place on"+
		" clusters.hanse.io", field, who.GetName(), strings.Join(refused, ", "), refused[0]))
}

// termsOf are the terms that choose clusters, and where they stand.
func termsOf(a admission.Attributes, object metav1.Object) ([]placement.Term, string, error) {
	kind := a.GetKind().GroupKind()
	if kind != placementKind && kind != clusterPlacementKind {
		terms, err := placement.ParseClusters(object.GetAnnotations()[v1alpha1.ClustersAnnotation])
		return terms, "annotation " + v1alpha1.ClustersAnnotation, err
	}
	p, err := placementOf(a.GetObject())
	if err != nil || p == nil {
		return nil, "", errors.Join(err, errors.New("it is no placement"))
	}
	policy, err := match.Policy(&p.Spec)
	return policy.Terms, "spec.clusters", err
}
