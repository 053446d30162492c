package kinds

import (
	"cmp"
	"slices"
	"strings"
)

var pod = Rule{
	step:    workloads,
	mode:    One,
	podSpec: []string{"spec"},
	clean:   cleanPod, // the volume of the account's token is the choice of the member's admission
	ready: func(obj map[string]any) (ready, desired int64) {
		if health, _ := podHealth(obj); health == Healthy {
			return 1, 1
		}
		return 0, 1
	},
	health:    podHealth,
	aggregate: aggregatePod,
}

// cleanPod removes the token volume that admission injected, if the template was copied from a running pod: its
// mounts name a volume that another cluster makes under another name.
func cleanPod(obj map[string]any) {
	const token = "kube-api-access-"
	spec := mapAt(obj, "spec")
	if dropPrefixed(spec, token, "volumes") {
		delete(spec, "nodeName") // it is the scheduler's choice for that pod
	}
	for _, list := range []string{"initContainers", "containers"} {
		for _, container := range mapsAt(spec, list) {
			dropPrefixed(container, token, "volumeMounts")
		}
	}
}

// dropPrefixed removes the elements whose names begin with the prefix, and reports whether there were any.
func dropPrefixed(in map[string]any, prefix, list string) bool {
	all := listAt(in, list)
	kept := slices.DeleteFunc(slices.Clone(all), func(element any) bool {
		m, _ := element.(map[string]any)
		return strings.HasPrefix(stringAt(m, "name"), prefix)
	})
	switch {
	case len(kept) == len(all):
	case len(kept) == 0:
		delete(in, list)
	default:
		in[list] = kept
	}
	return len(kept) < len(all)
}

// hopeless are the reasons for which a container waits that time alone seldom cures.
var hopeless = []string{"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName",
	"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}

func podHealth(obj map[string]any) (Health, string) {
	status := mapAt(obj, "status")
	switch stringAt(status, "phase") {
	case "Succeeded":
		return Healthy, ""
	case "Failed":
		return Degraded, cmp.Or(stringAt(status, "message"), stringAt(status, "reason"), "the pod has failed")
	}
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, container := range mapsAt(status, list) {
			reason := stringAt(container, "state", "waiting", "reason")
			if slices.Contains(hopeless, reason) {
				return Degraded, "container " + stringAt(container, "name") + ": " + reason
			}
		}
	}
	if c, found := findCondition(status, "PodScheduled"); found && c.Status == isFalse {
		return Progressing, because(c)
	}
	if hasCondition(status, "Ready", isTrue) {
		return Healthy, ""
	}
	c, _ := findCondition(status, "Ready")
	return Progressing, cmp.Or(c.Message, "phase "+cmp.Or(stringAt(status, "phase"), "Pending"))
}

// aggregatePod copies. Asked for in several clusters, the pod that is worst off speaks for all.
func aggregatePod(in aggregation) map[string]any {
	collected := in.collected()
	if len(collected) == 0 {
		return nil
	}
	worst := slices.MinFunc(collected, func(a, b MemberStatus) int {
		return cmp.Compare(podRank(a.Status), podRank(b.Status))
	})
	if len(collected) < len(in.members) && podRank(worst.Status) > podRank(map[string]any{"phase": "Pending"}) {
		return map[string]any{"phase": "Pending"} // one of them has not even been seen
	}
	status := copied(worst.Status).(map[string]any)
	delete(status, cutField)
	if _, says := status["observedGeneration"]; says { // since Kubernetes 1.34
		status["observedGeneration"] = in.observedGeneration()
	}
	return status
}

// podRank is lower the worse a pod is off; a phase that is not known counts as the worst. One that has succeeded is best
// off: the whole has not succeeded while another runs.
func podRank(status map[string]any) int {
	rank := 2 * slices.Index(podPhases, stringAt(status, "phase"))
	if hasCondition(status, "Ready", isTrue) {
		rank++
	}
	return rank
}

var podPhases = []string{"Failed", "Unknown", "Pending", "Running", "Succeeded"}
