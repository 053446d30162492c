package kinds

import (
	"cmp"
	"slices"
)

// volumeClaim follows the workload that mounts it, by the workload's Dependencies.
var volumeClaim = Rule{
	step:      storage,
	mode:      Follows,
	clean:     cleanBinding,
	status:    []string{"phase", "accessModes", "capacity", "conditions"},
	health:    claimHealth,
	aggregate: aggregateClaim,
}

var volume = Rule{
	step:   storage,
	clean:  cleanVolume,
	status: []string{"phase", "message", "reason"},
	health: func(obj map[string]any) (Health, string) {
		return phaseHealth(stringAt(obj, "status", "phase"))
	},
	aggregate: func(in aggregation) map[string]any {
		return in.worst("Failed", "Pending", "Available", "Released", "Bound")
	},
}

// bindingAnnotations are notes of the member's scheduler and volume controller.
var bindingAnnotations = []string{
	"volume.kubernetes.io/selected-node",
	"volume.kubernetes.io/storage-provisioner",
	"volume.beta.kubernetes.io/storage-provisioner",
	"pv.kubernetes.io/bind-completed",
	"pv.kubernetes.io/bound-by-controller",
}

func cleanBinding(obj map[string]any) {
	if stringAt(obj, "metadata", "annotations", "pv.kubernetes.io/bound-by-controller") != "" {
		removeAt(obj, "spec", "volumeName") // copied from a claim for which the controller chose the volume
	}
	for _, annotation := range bindingAnnotations {
		removeAt(obj, "metadata", "annotations", annotation)
	}
}

// cleanVolume keeps for which claim a volume is reserved, by name; the uid is of the claim on one API server.
func cleanVolume(obj map[string]any) {
	cleanBinding(obj)
	removeAt(obj, "spec", "claimRef", "uid")
	removeAt(obj, "spec", "claimRef", "resourceVersion")
}

func claimHealth(obj map[string]any) (Health, string) {
	switch phase := stringAt(obj, "status", "phase"); phase {
	case "Bound":
		return Healthy, ""
	case "Lost":
		return Degraded, "the volume is lost"
	default:
		return Progressing, "is " + cmp.Or(phase, "Pending")
	}
}

func aggregateClaim(in aggregation) map[string]any { return in.worst("Lost", "Pending", "Bound") }

// worst copies the status of the member whose phase comes first in the list; a member that has not told counts as
// Pending. nil when no member has told.
func (in aggregation) worst(phases ...string) map[string]any {
	collected := in.collected()
	if len(collected) == 0 {
		return nil
	}
	worst := slices.MinFunc(collected, func(a, b MemberStatus) int {
		return cmp.Compare(phaseRank(a, phases), phaseRank(b, phases))
	})
	status := copied(worst.Status).(map[string]any)
	isMissing := len(collected) < len(in.members)
	if isMissing && phaseRank(worst, phases) > slices.Index(phases, "Pending") {
		return map[string]any{"phase": "Pending"}
	}
	return status
}

func phaseRank(m MemberStatus, phases []string) int {
	if rank := slices.Index(phases, stringAt(m.Status, "phase")); rank >= 0 {
		return rank
	}
	return slices.Index(phases, "Pending")
}
