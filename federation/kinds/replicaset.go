package kinds

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
)

// replicaSet serves ReplicaSets and, having the same fields, ReplicationControllers.
var replicaSet = Rule{
	step:     workloads,
	mode:     Divide,
	replicas: []string{"spec", "replicas"},
	podSpec:  []string{"spec", "template", "spec"},
	status: []string{"observedGeneration", "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas",
		"terminatingReplicas", "conditions"},
	ready:     replicasReady,
	health:    replicaSetHealth,
	aggregate: aggregateReplicaSet,
}

func replicaSetHealth(obj map[string]any) (Health, string) {
	status, desired := mapAt(obj, "status"), intOr(obj, 1, "spec", "replicas")
	if intOr(status, 0, "observedGeneration") < intOr(obj, 0, "metadata", "generation") {
		return Progressing, "the controller has not seen the present generation yet"
	}
	if c, _ := findCondition(status, "ReplicaFailure"); c.Status == isTrue {
		return Degraded, because(c)
	}
	if available := intOr(status, 0, "availableReplicas"); available < desired {
		return Progressing, fmt.Sprintf("%d of %d replicas are available", available, desired)
	}
	return Healthy, ""
}

func aggregateReplicaSet(in aggregation) map[string]any {
	status := untyped(&appsv1.ReplicaSetStatus{
		ObservedGeneration:   in.observedGeneration(),
		Replicas:             in.sum32("replicas"),
		FullyLabeledReplicas: in.sum32("fullyLabeledReplicas"),
		ReadyReplicas:        in.sum32("readyReplicas"),
		AvailableReplicas:    in.sum32("availableReplicas"),
	})
	if ending := in.sum("terminatingReplicas"); ending > 0 {
		status["terminatingReplicas"] = ending
	}
	if failure := in.unitedCondition("ReplicaFailure"); failure.Status == isTrue {
		status["conditions"] = in.conditions(noMoment, failure)
	}
	return status
}
