package kinds

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
)

var daemonSet = Rule{
	step:    workloads,
	podSpec: []string{"spec", "template", "spec"},
	status: []string{"observedGeneration", "currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled",
		"numberReady", "numberAvailable", "numberUnavailable", "updatedNumberScheduled", "conditions"},
	keep: [][]string{{"spec", "updateStrategy", "type"}},
	ready: func(obj map[string]any) (ready, desired int64) {
		return intOr(obj, 0, "status", "numberReady"), intOr(obj, 0, "status", "desiredNumberScheduled")
	},
	health:    daemonSetHealth,
	aggregate: aggregateDaemonSet,
}

func daemonSetHealth(obj map[string]any) (Health, string) {
	status := mapAt(obj, "status")
	desired, available := intOr(status, 0, "desiredNumberScheduled"), intOr(status, 0, "numberAvailable")
	if intOr(status, 0, "observedGeneration") < intOr(obj, 0, "metadata", "generation") {
		return Progressing, "the controller has not seen the present generation yet"
	}
	isOnDelete := stringAt(obj, "spec", "updateStrategy", "type") == string(appsv1.OnDeleteDaemonSetStrategyType)
	if updated := intOr(status, 0, "updatedNumberScheduled"); updated < desired && !isOnDelete {
		return Progressing, fmt.Sprintf("%d of %d nodes are updated", updated, desired)
	}
	if available < desired {
		return Progressing, fmt.Sprintf("available on %d of %d nodes", available, desired)
	}
	return Healthy, ""
}

func aggregateDaemonSet(in aggregation) map[string]any {
	return untyped(&appsv1.DaemonSetStatus{
		ObservedGeneration:     in.observedGeneration(),
		CurrentNumberScheduled: in.sum32("currentNumberScheduled"),
		DesiredNumberScheduled: in.sum32("desiredNumberScheduled"),
		NumberMisscheduled:     in.sum32("numberMisscheduled"),
		NumberReady:            in.sum32("numberReady"),
		NumberAvailable:        in.sum32("numberAvailable"),
		NumberUnavailable:      in.sum32("numberUnavailable"),
		UpdatedNumberScheduled: in.sum32("updatedNumberScheduled"),
	})
}
