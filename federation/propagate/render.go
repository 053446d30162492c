package propagate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/claim"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/override"
	"github.com/hanse-federation/hanse/federation/template"
)

// Piece is what one member's object is made from.
type Piece struct {
	Ref      template.Ref
	Template *unstructured.Unstructured
	// Share of the member.
	Share v1alpha1.DistributionCluster
	// Cluster is the member.
	Cluster *v1alpha1.Cluster
	// Overrides of the placement.
	Overrides []v1alpha1.Override
	// Live is the member's object; nil if there is none.
	Live *unstructured.Unstructured
	// Autoscaled: an autoscaler of the hub has the object as its target.
	Autoscaled bool
}

// Render makes the member's object: the template with the member's share, then the placement's overrides. It is what
// an apply sends and what a plan shows.
func Render(p Piece) (*unstructured.Unstructured, error) {
	share := kinds.Share{
		Cluster:      p.Share.Name,
		Replicas:     p.Share.Replicas,
		OrdinalStart: p.Share.OrdinalStart,
		Numbers:      p.Share.Numbers,
	}
	if p.Live != nil && p.Autoscaled {
		if running, has := ruleOf(p.Ref).Replicas(p.Live); has {
			share.Replicas = &running
		}
	}
	rendered, err := ruleOf(p.Ref).Render(p.Template, share)
	if err != nil {
		return nil, fmt.Errorf("giving %s its share for %s: %w", p.Ref, p.Share.Name, err)
	}
	rendered, err = override.Apply(rendered, p.Overrides, override.FactsOf(p.Cluster))
	if err != nil {
		return nil, fmt.Errorf("spec.%w", err)
	}
	return rendered, nil
}

// render makes the member's object of the present.
func (l *lane) render(f facts) (*unstructured.Unstructured, error) {
	return Render(Piece{
		Ref: f.ref, Template: f.template, Share: *f.share, Cluster: f.cluster, Live: f.live,
		Overrides:  l.overrides(f),
		Autoscaled: f.live != nil && l.isAutoscaled(f.ref),
	})
}

// overrides that the placement of the object has.
func (l *lane) overrides(f facts) []v1alpha1.Override {
	key, isPlacement := PlacementOf(f.distribution)
	if !isPlacement {
		return nil
	}
	claimed, _ := l.Claims.Get(key)
	return claimed.Overrides
}

// PlacementOf names the placement that a decision comes from; false if it comes from an annotation, or from what the
// template follows.
func PlacementOf(d *v1alpha1.Distribution) (claim.Key, bool) {
	source := d.Spec.Placement
	switch source.Kind {
	case "Placement":
		return claim.Key{Namespace: d.Spec.Template.Namespace, Name: source.Name}, true
	case "ClusterPlacement":
		return claim.Key{Name: source.Name}, true
	}
	return claim.Key{}, false
}

// isAutoscaled tells that an autoscaler of the hub has the workload as its target.
func (l *lane) isAutoscaled(ref template.Ref) bool {
	found := false
	for _, kind := range autoscalers {
		l.Templates.Each(kind, ref.Namespace, func(obj *unstructured.Unstructured) bool {
			found = Autoscales(obj, ref)
			return !found
		})
		if found {
			return true
		}
	}
	return false
}

// Autoscales tells that an object owns the replica count of a template, in each member.
func Autoscales(obj *unstructured.Unstructured, ref template.Ref) bool {
	if !slices.Contains(autoscalers, obj.GroupVersionKind().GroupKind()) || obj.GetNamespace() != ref.Namespace {
		return false
	}
	target, ok := kinds.Of(obj).Follows(obj)
	return ok && target.Ref != nil && target.Ref.GroupKind == ref.GroupKind() && target.Ref.Name == ref.Name
}

// autoscalers own the replica count of their target in each member.
var autoscalers = []schema.GroupKind{
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"},
	{Group: "keda.sh", Kind: "ScaledObject"},
}

// revisionOf is a hash of what is to be applied.
func revisionOf(rendered *unstructured.Unstructured) string {
	encoded, err := json.Marshal(rendered.Object) // maps are encoded in the order of their keys
	if err != nil {
		return "" // never equal to what was applied
	}
	sum := sha256.Sum256(encoded)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
