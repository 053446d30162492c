package kinds

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
)

var statefulSet = Rule{
	step:     workloads,
	mode:     Divide,
	replicas: []string{"spec", "replicas"},
	podSpec:  []string{"spec", "template", "spec"},
	numbers:  statefulSetNumbers,
	clean:    cleanStatefulSet,
	fit:      setOrdinals,
	status: []string{"observedGeneration", "replicas", "readyReplicas", "currentReplicas", "updatedReplicas",
		"availableReplicas", "currentRevision", "updateRevision", "conditions"},
	keep: [][]string{
		{"spec", "updateStrategy", "type"},
		{"spec", "updateStrategy", "rollingUpdate", "partition"},
		{"spec", "ordinals", "start"},
		{"spec", "minReadySeconds"},
	},
	ready:     replicasReady,
	health:    statefulSetHealth,
	aggregate: aggregateStatefulSet,
}

// statefulSetNumbers: a partition counts the replicas that stay on the old revision, from the lowest ordinal of the
// set's own block on, so a partition of the sum is divided like the replicas.
func statefulSetNumbers(obj map[string]any) []Number {
	return append(wholeNumber(obj, 0, "spec", "updateStrategy", "rollingUpdate", "partition"),
		wholeNumber(obj, 1, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable")...)
}

// cleanStatefulSet: the claim templates carry a status that defaulting wrote.
func cleanStatefulSet(obj map[string]any) {
	for _, template := range mapsAt(obj, "spec", "volumeClaimTemplates") {
		delete(template, "status")
	}
}

// setOrdinals gives the member its own block. The first block, from 0 on, is what a set without ordinals has anyway.
func setOrdinals(obj map[string]any, share Share) error {
	if share.OrdinalStart == nil {
		return nil
	}
	if *share.OrdinalStart == 0 {
		removeAt(obj, "spec", "ordinals", "start")
		return nil
	}
	return setAt(obj, int64(*share.OrdinalStart), "spec", "ordinals", "start")
}

func statefulSetHealth(obj map[string]any) (Health, string) {
	status, desired := mapAt(obj, "status"), intOr(obj, 1, "spec", "replicas")
	ready, updated := intOr(status, 0, "readyReplicas"), intOr(status, 0, "updatedReplicas")
	if intOr(status, 0, "observedGeneration") < intOr(obj, 0, "metadata", "generation") {
		return Progressing, "the controller has not seen the present generation yet"
	}
	if ready < desired {
		return Progressing, fmt.Sprintf("%d of %d replicas are ready", ready, desired)
	}
	if available := intOr(status, 0, "availableReplicas"); intOr(obj, 0, "spec", "minReadySeconds") > 0 && available < desired {
		return Progressing, fmt.Sprintf("%d of %d replicas are available", available, desired)
	}
	if stringAt(obj, "spec", "updateStrategy", "type") == string(appsv1.OnDeleteStatefulSetStrategyType) {
		return Healthy, "" // old replicas stay until somebody deletes them
	}
	partition := intOr(obj, 0, "spec", "updateStrategy", "rollingUpdate", "partition")
	rolls := stringAt(status, "updateRevision") != stringAt(status, "currentRevision")
	if wanted := max(0, desired-partition); rolls && updated < wanted {
		return Progressing, fmt.Sprintf("%d of %d replicas are updated", updated, wanted)
	}
	return Healthy, ""
}

func aggregateStatefulSet(in aggregation) map[string]any {
	current, update := in.revisions()
	return untyped(&appsv1.StatefulSetStatus{
		ObservedGeneration: in.observedGeneration(),
		Replicas:           in.sum32("replicas"),
		ReadyReplicas:      in.sum32("readyReplicas"),
		CurrentReplicas:    in.currentReplicas(current != update),
		UpdatedReplicas:    in.sum32("updatedReplicas"),
		AvailableReplicas:  in.sum32("availableReplicas"),
		CurrentRevision:    current,
		UpdateRevision:     update,
	})
}

// currentReplicas counts those of the current revision. While the sum rolls, members that have done so have none: what they
// call current is what the others roll to.
func (in aggregation) currentReplicas(rolls bool) int32 {
	var total int64
	for _, m := range in.members {
		isDone := stringAt(m.Status, "currentRevision") == stringAt(m.Status, "updateRevision")
		if !rolls || !isDone {
			total += intOr(m.Status, 0, "currentReplicas")
		}
	}
	return int32(total)
}

// revisions of the sum: equal when, and only when, every member's are; `kubectl rollout status` compares them. The
// names are those of one member, the first that is still rolling, or the first of all: overrides can make them
// differ.
func (in aggregation) revisions() (current, update string) {
	for _, member := range in.members {
		c, u := stringAt(member.Status, "currentRevision"), stringAt(member.Status, "updateRevision")
		if update == "" || c != u {
			current, update = c, u
		}
		if c != u {
			return current, update
		}
	}
	return current, update
}
