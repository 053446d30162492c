package kinds

import (
	"cmp"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// autoscaler is the HorizontalPodAutoscaler: each member's scales within its share, and owns the replica count there.
var autoscaler = Rule{
	step:    scalers,
	mode:    Follows,
	scales:  true,
	follows: autoscalerTarget,
	numbers: func(obj map[string]any) []Number {
		// Below one, an autoscaler is refused (most) or switched off (least).
		return append(wholeNumber(obj, 1, "spec", "minReplicas"), wholeNumber(obj, 1, "spec", "maxReplicas")...)
	},
	fit: func(obj map[string]any, _ Share) error {
		return fitBounds(obj, "minReplicas", "maxReplicas")
	},
	status: []string{"observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas", "conditions"},
	keep:   [][]string{{"spec", "minReplicas"}, {"spec", "maxReplicas"}},
	health: func(obj map[string]any) (Health, string) {
		for _, kind := range []string{"AbleToScale", "ScalingActive"} {
			if c, found := findCondition(mapAt(obj, "status"), kind); found && c.Status == isFalse {
				if c.Reason == "ScalingDisabled" { // the target has been scaled to zero on purpose
					return Healthy, ""
				}
				return Degraded, because(c)
			}
		}
		return Healthy, ""
	},
	aggregate: aggregateAutoscaler,
}

// scaledObject is KEDA's: it makes an autoscaler in each member, and so has bounds to divide.
var scaledObject = Rule{
	step:    scalers,
	mode:    Follows,
	scales:  true,
	follows: scaledObjectTarget,
	numbers: func(obj map[string]any) []Number {
		// KEDA may scale to none, and does so by default.
		return append(wholeNumber(obj, 0, "spec", "minReplicaCount"), wholeNumber(obj, 1, "spec", "maxReplicaCount")...)
	},
	fit: func(obj map[string]any, _ Share) error {
		return fitBounds(obj, "minReplicaCount", "maxReplicaCount")
	},
	aggregate: aggregateGeneric,
}

// scaledObjectTarget: unlike an autoscaler's, its target is a Deployment unless it says otherwise.
func scaledObjectTarget(obj map[string]any, namespace string) (Target, bool) {
	ref := mapAt(obj, "spec", "scaleTargetRef")
	version, err := schema.ParseGroupVersion(cmp.Or(stringAt(ref, "apiVersion"), "apps/v1"))
	name := stringAt(ref, "name")
	if name == "" || err != nil {
		return Target{}, false
	}
	kind := schema.GroupKind{Group: version.Group, Kind: cmp.Or(stringAt(ref, "kind"), "Deployment")}
	return Target{Ref: &Ref{GroupKind: kind, Namespace: namespace, Name: name}}, true
}

func autoscalerTarget(obj map[string]any, namespace string) (Target, bool) {
	ref := mapAt(obj, "spec", "scaleTargetRef")
	name, kind := stringAt(ref, "name"), stringAt(ref, "kind")
	version, err := schema.ParseGroupVersion(stringAt(ref, "apiVersion"))
	if name == "" || kind == "" || err != nil {
		return Target{}, false
	}
	return Target{Ref: &Ref{
		GroupKind: schema.GroupKind{Group: version.Group, Kind: kind},
		Namespace: namespace,
		Name:      name,
	}}, true
}

// fitBounds: rounding may put a member's least above its most; the most is the limit that costs.
func fitBounds(obj map[string]any, leastField, mostField string) error {
	least, limited := intAt(obj, "spec", leastField)
	most, set := intAt(obj, "spec", mostField)
	if !limited || !set || least <= most {
		return nil
	}
	return setAt(obj, most, "spec", leastField)
}

func aggregateAutoscaler(in aggregation) map[string]any {
	if len(in.collected()) == 0 {
		return nil
	}
	status := untyped(&autoscalingv2.HorizontalPodAutoscalerStatus{
		LastScaleTime:   in.latest("lastScaleTime"),
		CurrentReplicas: in.sum32("currentReplicas"),
		DesiredReplicas: in.sum32("desiredReplicas"),
	})
	status["observedGeneration"] = in.observedGeneration()
	status["conditions"] = in.conditions(noMoment, in.unitedConditions()...)
	delete(status, "currentMetrics") // a mean over clusters of unlike size would be a figure nobody measured
	return status
}
