package decisions

import (
	"fmt"
	"iter"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
)

// View reads the Distributions of one informer. Make one with NewView.
type View struct {
	indexer toolscache.Indexer
}

// The names of the indexes.
const (
	byMember    = "hanse-member"
	byCopies    = "hanse-copies"
	byKind      = "hanse-kind"
	byPlacement = "hanse-placement"
	byNeeds     = "hanse-needs"
)

var indexers = toolscache.Indexers{
	byMember:    index(members),
	byCopies:    index(copies),
	byKind:      index(func(d *v1alpha1.Distribution) []string { return []string{kindOf(d).String()} }),
	byPlacement: index(func(d *v1alpha1.Distribution) []string { return []string{d.Spec.Placement.Name} }),
	byNeeds:     index(func(d *v1alpha1.Distribution) []string { return d.Spec.FollowedBy }),
}

// NewView prepares the indexes of an informer of Distributions.
func NewView(informer toolscache.SharedIndexInformer) (*View, error) {
	if err := informer.AddIndexers(indexers); err != nil {
		return nil, fmt.Errorf("indexing distributions: %w", err)
	}
	return &View{indexer: informer.GetIndexer()}, nil
}

// Get returns the decision about a template, and whether there is one.
func (v *View) Get(ref template.Ref) (*v1alpha1.Distribution, bool) {
	namespace, name := ref.Distribution()
	key := name
	if namespace != "" {
		key = namespace + "/" + name
	}
	found, ok, err := v.indexer.GetByKey(key)
	if err != nil || !ok {
		return nil, false
	}
	d, ok := found.(*v1alpha1.Distribution)
	return d, ok && template.RefOfDistribution(d) == ref
}

// All returns every decision.
func (v *View) All() iter.Seq[*v1alpha1.Distribution] { return typed(v.indexer.List()) }

// OfCopies returns the decisions about templates of which a member has, had or gets a copy: it is chosen, or is
// being left.
func (v *View) OfCopies(name member.Name) iter.Seq[*v1alpha1.Distribution] {
	return v.find(byCopies, string(name))
}

// Naming returns the decisions that name a member in any way: chosen, left, passed over, or lost.
func (v *View) Naming(name member.Name) iter.Seq[*v1alpha1.Distribution] {
	return v.find(byMember, string(name))
}

// OfKind returns the decisions about templates of a kind.
func (v *View) OfKind(gk schema.GroupKind) iter.Seq[*v1alpha1.Distribution] {
	return v.find(byKind, gk.String())
}

// Needing returns the decisions about templates that refer to a template and take it along.
func (v *View) Needing(ref template.Ref) iter.Seq[*v1alpha1.Distribution] {
	return v.find(byNeeds, ref.String())
}

// OfPlacement returns the decisions that a placement of this name caused. A Placement's are in its namespace; those of
// a ClusterPlacement are anywhere, which an empty namespace stands for.
func (v *View) OfPlacement(namespace, name string) iter.Seq[*v1alpha1.Distribution] {
	return func(yield func(*v1alpha1.Distribution) bool) {
		for d := range v.find(byPlacement, name) {
			if (namespace == "" || d.Namespace == namespace) && !yield(d) {
				return
			}
		}
	}
}

// find panics when the index is missing, which only a fault of this package can cause.
func (v *View) find(name, value string) iter.Seq[*v1alpha1.Distribution] {
	found, err := v.indexer.ByIndex(name, value)
	if err != nil {
		panic(err)
	}
	return typed(found)
}

func typed(found []any) iter.Seq[*v1alpha1.Distribution] {
	return func(yield func(*v1alpha1.Distribution) bool) {
		for _, obj := range found {
			if d, ok := obj.(*v1alpha1.Distribution); ok && !yield(d) {
				return
			}
		}
	}
}

func index(values func(*v1alpha1.Distribution) []string) toolscache.IndexFunc {
	return func(obj any) ([]string, error) {
		d, ok := obj.(*v1alpha1.Distribution)
		if !ok {
			return nil, nil
		}
		return values(d), nil
	}
}

func kindOf(d *v1alpha1.Distribution) schema.GroupKind {
	return template.RefOfDistribution(d).GroupKind()
}

// copies are the members that have, had or get a copy.
func copies(d *v1alpha1.Distribution) []string {
	names := make([]string, 0, len(d.Spec.Clusters)+len(d.Spec.Leaving))
	for i := range d.Spec.Clusters {
		names = append(names, d.Spec.Clusters[i].Name)
	}
	return append(names, d.Spec.Leaving...)
}

// members are all members that a decision names.
func members(d *v1alpha1.Distribution) []string {
	names := copies(d)
	for i := range d.Spec.Rejected {
		names = append(names, d.Spec.Rejected[i].Name)
	}
	names = append(names, d.Spec.Away...)
	slices.Sort(names)
	return slices.Compact(names)
}
