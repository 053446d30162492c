package propagate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/kinds/override"
	"github.com/hanse-federation/hanse/federation/kinds/rules"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
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
	// Rules are what is known of kinds; nil: what package kinds knows.
	Rules *rules.Book
}

// Render makes the member's object: the template with the member's share, then the placement's overrides. It is what
// an apply sends and what a plan shows.
//
// It refuses what is the hub's own. No decision names that, so this matters only if a decision is forged or a fault
// lets one through.
func Render(p Piece) (*unstructured.Unstructured, error) {
	if reason, stays := template.StaysOnHub(p.Template); stays {
		return nil, fmt.Errorf("%s never goes to a member: %s", p.Ref, reason)
	}
	if of := template.RefOf(p.Template); of != p.Ref {
		return nil, fmt.Errorf("the decision is about %s, and the template is %s", p.Ref, of)
	}
	share := kinds.Share{
		Cluster:      p.Share.Name,
		Replicas:     p.Share.Replicas,
		OrdinalStart: p.Share.OrdinalStart,
		Numbers:      p.Share.Numbers,
	}
	rule := p.Rules.For(p.Ref.GroupKind())
	if p.Live != nil && p.Autoscaled {
		if running, has := rule.Replicas(p.Live); has {
			share.Replicas = &running
		}
	}
	rendered, err := rule.Render(p.Template, share)
	if err != nil {
		return nil, fmt.Errorf("giving %s its share for %s: %w", p.Ref, p.Share.Name, err)
	}
	rendered, err = override.Apply(rendered, rule, p.Overrides, override.FactsOf(p.Cluster))
	if err != nil {
		return nil, fmt.Errorf("spec.%w", err)
	}
	return rendered, nil
}

// render makes the member's object of the present.
func (mw *memberWorker) render(f facts) (*unstructured.Unstructured, error) {
	return Render(Piece{
		Ref: f.ref, Template: f.template, Share: *f.share, Cluster: f.cluster, Live: f.live,
		Overrides:  mw.overrides(f),
		Autoscaled: f.live != nil && mw.isAutoscaled(f.ref),
		Rules:      mw.Rules,
	})
}

// overrides that the placement of the object has.
func (mw *memberWorker) overrides(f facts) []v1alpha1.Override {
	key, isPlacement := PlacementOf(f.distribution)
	if !isPlacement {
		return nil
	}
	claimed, _ := mw.Claims.Get(key)
	return claimed.Overrides
}

// PlacementOf names the placement that a decision comes from; false if it comes from an annotation, or from what the
// template follows.
func PlacementOf(d *v1alpha1.Distribution) (match.Key, bool) {
	source := d.Spec.Placement
	switch source.Kind {
	case "Placement":
		return match.Key{Namespace: d.Spec.Template.Namespace, Name: source.Name}, true
	case "ClusterPlacement":
		return match.Key{Name: source.Name}, true
	}
	return match.Key{}, false
}

// isAutoscaled reports whether an autoscaler of the hub has the workload as its target.
func (mw *memberWorker) isAutoscaled(ref template.Ref) bool {
	if !mw.Rules.For(ref.GroupKind()).HasReplicas() {
		return false
	}
	_, is := mw.Rules.Autoscaler(mw.Templates, ref)
	return is
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
