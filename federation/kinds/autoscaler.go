package kinds

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// autoscaler is the HorizontalPodAutoscaler: each member's scales within its share, and owns the replica count there.
var autoscaler = Rule{
	step:    scalers,
	mode:    Follows,
	scales:  true,
	follows: autoscalerTarget,
	bounds: func(obj map[string]any) (least, most int64) {
		return intOr(obj, 1, "spec", "minReplicas"), intOr(obj, 0, "spec", "maxReplicas")
	},
	isSilent: true,
	numbers: func(obj map[string]any) []Number {
		// Below one, an autoscaler is refused (most) or switched off (least).
		return append(wholeNumber(obj, 1, "spec", "minReplicas"), wholeNumber(obj, 1, "spec", "maxReplicas")...)
	},
	fit: func(obj map[string]any, _ Share) error {
		return fitBounds(obj)
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
func fitBounds(obj map[string]any) error {
	least, limited := intAt(obj, "spec", "minReplicas")
	most, set := intAt(obj, "spec", "maxReplicas")
	if !limited || !set || least <= most {
		return nil
	}
	return setAt(obj, most, "spec", "minReplicas")
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
