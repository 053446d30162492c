package plan

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/decide/schedule"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// world is the hub as it would be: the caches with the plan laid over them.
type world struct {
	Facts *schedule.Caches
	// objects of the plan.
	objects map[template.Ref]*unstructured.Unstructured
	// claims are the hub's placements with those of the plan, whose keys are in placements.
	claims     *match.Index
	placements []match.Key
	// claimed are objects that the plan's own placement claims.
	claimed map[template.Ref]*match.Claim
	// decided are the decisions of the plan; nil: there would be none.
	decided map[template.Ref]*v1alpha1.Distribution
	// hidden are what follows objects of the plan, by their own references, and is not for the caller's eyes.
	hidden []template.Ref
	// author is the caller, as placements remember who wrote them.
	author string
	// overflow: more is concerned than is planned.
	overflow bool
}

func newWorld(facts *schedule.Caches) *world {
	w := &world{
		Facts:   facts,
		objects: map[template.Ref]*unstructured.Unstructured{},
		claimed: map[template.Ref]*match.Claim{},
		decided: map[template.Ref]*v1alpha1.Distribution{},
	}
	w.claims = facts.Claims.Copy(w.namespaceLabels)
	return w
}

func (w *world) namespaceLabels(name string) labels.Set {
	if obj, ok := w.template(template.Ref{Kind: "Namespace", Name: name}); ok {
		return obj.GetLabels()
	}
	return nil
}

func (w *world) template(ref template.Ref) (*unstructured.Unstructured, bool) {
	if obj, ok := w.objects[ref]; ok {
		return obj, true
	}
	return w.Facts.Template(ref)
}

// lay puts an object over the hub's.
func (w *world) lay(ref template.Ref, obj *unstructured.Unstructured) error {
	if ref.Group != v1alpha1.GroupVersion.Group {
		w.objects[ref] = obj
		return nil
	}
	w.placements = append(w.placements, match.Key{Namespace: ref.Namespace, Name: ref.Name})
	if ref.Kind == "ClusterPlacement" {
		var p v1alpha1.ClusterPlacement
		if err := typed(obj, &p); err != nil {
			return err
		}
		return w.claims.SetClusterPlacement(&p)
	}
	var p v1alpha1.Placement
	if err := typed(obj, &p); err != nil {
		return err
	}
	return w.claims.SetPlacement(&p)
}

// planned is the decision so far.
func (w *world) planned(ref template.Ref) *v1alpha1.DistributionSpec {
	if d := w.decided[ref]; d != nil {
		return &d.Spec
	}
	return nil
}

// plan enters a decision.
func (w *world) plan(ref template.Ref, spec *v1alpha1.DistributionSpec) {
	if spec == nil {
		w.decided[ref] = nil
		return
	}
	d := &v1alpha1.Distribution{Spec: *spec}
	d.Namespace, d.Name = ref.Distribution()
	w.decided[ref] = d
}

// followers are what goes where a template goes, and went where it was.
func (w *world) followers(d schedule.Decision) []template.Ref {
	var refs []template.Ref
	var namespace string
	specs := []*v1alpha1.DistributionSpec{d.Spec}
	if d.Previous != nil {
		specs = append(specs, &d.Previous.Spec)
	}
	for _, spec := range specs {
		if spec == nil {
			continue
		}
		namespace = spec.Template.Namespace
		for _, name := range spec.FollowedBy {
			if ref, ok := template.ParseRef(name); ok {
				refs = append(refs, ref)
			}
		}
	}
	if namespace != "" {
		refs = append(refs, w.Facts.Rules.Followers(w.Facts.Templates, namespace)...)
	}
	return refs
}

// autoscaler finds what, on the hub or in the plan, has the template as its target.
func (w *world) autoscaler(ref template.Ref) (*unstructured.Unstructured, bool) {
	for _, obj := range w.objects {
		if w.Facts.Rules.Autoscales(obj, ref) {
			return obj, true
		}
	}
	return w.Facts.Autoscaler(ref)
}

// isAutoscaled reports whether an autoscaler of the hub, or of the plan, has the template as its target.
func (w *world) isAutoscaled(ref template.Ref) bool {
	_, is := w.autoscaler(ref)
	return is
}

// view is the world for one decision: the decision itself is compared with the hub's, not with the plan's.
type view struct {
	*world
	self template.Ref
}

var _ schedule.View = &view{}

// Template implements schedule.View.
func (v *view) Template(ref template.Ref) (*unstructured.Unstructured, bool) { return v.template(ref) }

// Kind implements schedule.View.
func (v *view) Kind(gk schema.GroupKind) (template.Kind, bool) { return v.Facts.Kind(gk) }

// NotPermitted implements schedule.View.
func (v *view) NotPermitted(ctx context.Context, author string, clusters []placement.Cluster) map[string]string {
	return v.Facts.NotPermitted(ctx, author, clusters)
}

// Grants implements schedule.View.
func (v *view) Grants(namespace string) []*unstructured.Unstructured {
	grants := slices.DeleteFunc(v.Facts.Grants(namespace), func(grant *unstructured.Unstructured) bool {
		_, isPlanned := v.objects[template.RefOf(grant)]
		return isPlanned
	})
	for ref, obj := range v.objects {
		if ref.GroupKind() == kinds.ReferenceGrant && ref.Namespace == namespace {
			grants = append(grants, obj)
		}
	}
	return grants
}

// Rule implements schedule.View.
func (v *view) Rule(gk schema.GroupKind) kinds.Rule { return v.Facts.Rule(gk) }

// Autoscaler implements schedule.View.
func (v *view) Autoscaler(ref template.Ref) (*unstructured.Unstructured, bool) {
	return v.autoscaler(ref)
}

// Claim implements schedule.View.
func (v *view) Claim(obj *unstructured.Unstructured) (*match.Claim, error) {
	if claimed := v.claimed[template.RefOf(obj)]; claimed != nil {
		return claimed, nil
	}
	return v.claims.For(obj)
}

// Distribution implements schedule.View.
func (v *view) Distribution(ctx context.Context, ref template.Ref) (*v1alpha1.Distribution, error) {
	if d, planned := v.decided[ref]; planned && ref != v.self {
		return d, nil
	}
	return v.Facts.Distribution(ctx, ref)
}

// Needing implements schedule.View.
func (v *view) Needing(ctx context.Context, ref template.Ref) ([]*v1alpha1.Distribution, error) {
	present, err := v.Facts.Needing(ctx, ref)
	if err != nil {
		return nil, err
	}
	return v.over(present, func(d *v1alpha1.Distribution) bool {
		return slices.Contains(d.Spec.FollowedBy, ref.String())
	}), nil
}

// InNamespace implements schedule.View.
func (v *view) InNamespace(ctx context.Context, namespace string) ([]*v1alpha1.Distribution, error) {
	present, err := v.Facts.InNamespace(ctx, namespace)
	if err != nil {
		return nil, err
	}
	return v.over(present, func(d *v1alpha1.Distribution) bool { return d.Namespace == namespace }), nil
}

// over replaces decisions of the present by those of the plan, and adds those of the plan that are chosen.
func (v *view) over(present []*v1alpha1.Distribution, isChosen func(*v1alpha1.Distribution) bool) []*v1alpha1.Distribution {
	all := slices.DeleteFunc(present, func(d *v1alpha1.Distribution) bool {
		_, planned := v.decided[template.RefOfDistribution(d)]
		return planned
	})
	for _, d := range v.decided {
		if d != nil && isChosen(d) {
			all = append(all, d)
		}
	}
	return all // the caller sorts
}

// Sight implements schedule.View.
func (v *view) Sight() placement.Sight { return v.Facts.Sight() }

// Members implements schedule.View.
func (v *view) Members(ctx context.Context, gvk schema.GroupVersionKind) (schedule.Members, error) {
	return v.Facts.Members(ctx, gvk)
}
