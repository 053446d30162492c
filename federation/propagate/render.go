package propagate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/federation/claim"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/override"
	"github.com/hanse-federation/hanse/federation/template"
)

// render makes the member's object: the template with the member's share, then the placement's overrides.
func (l *lane) render(f facts) (*unstructured.Unstructured, error) {
	share := kinds.Share{
		Cluster:      f.share.Name,
		Replicas:     f.share.Replicas,
		OrdinalStart: f.share.OrdinalStart,
		Numbers:      f.share.Numbers,
	}
	if f.live != nil && l.isAutoscaled(f.ref) {
		if running, has := ruleOf(f.ref).Replicas(f.live); has {
			share.Replicas = &running
		}
	}
	rendered, err := ruleOf(f.ref).Render(f.template, share)
	if err != nil {
		return nil, fmt.Errorf("giving %s its share for %s: %w", f.ref, f.share.Name, err)
	}
	rendered, err = override.Apply(rendered, l.overrides(f), override.FactsOf(f.cluster))
	if err != nil {
		return nil, fmt.Errorf("spec.%w", err)
	}
	return rendered, nil
}

// overrides that the placement of the object has.
func (l *lane) overrides(f facts) []override.Rule {
	source := f.distribution.Spec.Placement
	key := claim.Key{Name: source.Name}
	switch source.Kind {
	case "Placement":
		key.Namespace = f.ref.Namespace
	case "ClusterPlacement":
	default:
		return nil
	}
	claimed, _ := l.Claims.Get(key)
	return claimed.Overrides
}

// isAutoscaled tells that an autoscaler of the hub has the workload as its target.
func (l *lane) isAutoscaled(ref template.Ref) bool {
	found := false
	for _, kind := range autoscalers {
		l.Templates.Each(kind, ref.Namespace, func(obj *unstructured.Unstructured) bool {
			target, ok := kinds.Of(obj).Follows(obj)
			found = ok && target.Ref != nil && target.Ref.GroupKind == ref.GroupKind() && target.Ref.Name == ref.Name
			return !found
		})
		if found {
			return true
		}
	}
	return false
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
