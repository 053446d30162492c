package kinds

import (
	"slices"
	"strings"
	"time"
)

// condition is the part that all condition types of Kubernetes share.
type condition struct {
	Type, Status, Reason, Message string
}

const (
	isTrue    = "True"
	isFalse   = "False"
	isUnknown = "Unknown"
)

func findCondition(status map[string]any, kind string) (condition, bool) {
	for _, c := range mapsAt(status, "conditions") {
		if stringAt(c, "type") == kind {
			return readCondition(c), true
		}
	}
	return condition{}, false
}

func hasCondition(status map[string]any, kind, value string) bool {
	c, found := findCondition(status, kind)
	return found && c.Status == value
}

func readCondition(c map[string]any) condition {
	return condition{
		Type: stringAt(c, "type"), Status: stringAt(c, "status"),
		Reason: stringAt(c, "reason"), Message: stringAt(c, "message"),
	}
}

// moment is the second field of time that some kinds have beside lastTransitionTime.
type moment string

const (
	noMoment       moment = ""
	lastUpdateTime moment = "lastUpdateTime" // Deployment: moves with every change of status, reason or message
	lastProbeTime  moment = "lastProbeTime"  // Job: as lastUpdateTime
)

// conditions writes conditions as a status holds them. A time moves only with what it stands for, so that an
// unchanged world gives an unchanged status.
func (in aggregation) conditions(second moment, conditions ...condition) []any {
	now := in.now.UTC().Truncate(time.Second).Format(time.RFC3339)
	out := make([]any, 0, len(conditions))
	for _, c := range conditions {
		written := map[string]any{"type": c.Type, "status": c.Status, "lastTransitionTime": now}
		if c.Reason != "" {
			written["reason"] = c.Reason
		}
		if c.Message != "" {
			written["message"] = c.Message
		}
		if second != noMoment {
			written[string(second)] = now
		}
		for _, old := range mapsAt(in.previous, "conditions") {
			was := readCondition(old)
			if was.Type != c.Type {
				continue
			}
			if since := stringAt(old, "lastTransitionTime"); was.Status == c.Status && since != "" {
				written["lastTransitionTime"] = since
			}
			if since := stringAt(old, string(second)); was == c && since != "" {
				written[string(second)] = since
			}
		}
		out = append(out, written)
	}
	return out
}

// positive conditions hold for the whole when they hold in every member; negative ones when they hold in one.
var (
	positive = []string{"Ready", "Available", "Established", "NamesAccepted", "Accepted", "Programmed", "ResolvedRefs",
		"Healthy", "Synced", "Reconciled", "Released", "Complete", "Completed", "Succeeded", "SuccessCriteriaMet",
		"Initialized", "Issued", "AbleToScale", "ScalingActive", "DisruptionAllowed", "TestSuccess"}
	negative = []string{"Degraded", "Stalled", "Failed", "Failure", "FailureTarget", "Error", "Reconciling",
		"Progressing", "Suspended", "ScalingLimited", "ReplicaFailure", "Terminating", "NonStructuralSchema"}
)

// unitedConditions joins what the members say, condition by condition in the order in which they are met. A
// condition that the members do not agree on, and of which it is not known which side is the good one, is Unknown.
func (in aggregation) unitedConditions() []condition {
	var kinds []string
	for _, member := range in.members {
		for _, c := range mapsAt(member.Status, "conditions") {
			if kind := stringAt(c, "type"); kind != "" && !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	united := make([]condition, 0, len(kinds))
	for _, kind := range kinds {
		united = append(united, in.unitedCondition(kind))
	}
	return united
}

func (in aggregation) unitedCondition(kind string) condition {
	says := map[string][]string{} // status -> clusters
	first := map[string]condition{}
	var messages []string
	for _, member := range in.members {
		c, found := findCondition(member.Status, kind)
		if !found {
			c = condition{Type: kind, Status: isUnknown, Reason: "NotReported"}
		}
		if _, seen := first[c.Status]; !seen {
			first[c.Status] = c
		}
		says[c.Status] = append(says[c.Status], member.Cluster)
		if c.Message != "" && !slices.Contains(messages, c.Message) {
			messages = append(messages, c.Message)
		}
	}
	if len(says) == 1 {
		for _, c := range first {
			if len(messages) > 1 {
				c.Message = in.perCluster(kind, c.Status)
			}
			return c
		}
	}
	status := isUnknown
	switch bad := badOf(says); {
	case slices.Contains(negative, kind) && len(says[isTrue]) > 0:
		status = isTrue
	case isPositive(kind) && bad != "":
		status = bad
	}
	c := condition{Type: kind, Status: status, Reason: first[status].Reason, Message: in.perCluster(kind, status)}
	if status == isUnknown && first[status].Type == "" {
		c.Reason, c.Message = "ClustersDiffer", differ(says)
	}
	return c
}

// isPositive reports whether a condition is good when it is True: one of the list, or named after such a one.
func isPositive(kind string) bool {
	return slices.Contains(positive, kind) || strings.HasSuffix(kind, "Ready")
}

// badOf is the status, of a condition that should be True, that says it is not: False, or a word of the project's own.
func badOf(says map[string][]string) string {
	if len(says[isFalse]) > 0 {
		return isFalse
	}
	for _, status := range sortedKeys(says) {
		if status != isTrue && status != isUnknown {
			return status
		}
	}
	return ""
}

// differ tells which clusters say what: "True in east, False in west".
func differ(says map[string][]string) string {
	var parts []string
	for _, status := range []string{isTrue, isFalse} {
		if len(says[status]) > 0 {
			parts = append(parts, status+" in "+list(says[status]))
		}
	}
	for _, status := range sortedKeys(says) {
		if status != isTrue && status != isFalse {
			parts = append(parts, status+" in "+list(says[status]))
		}
	}
	return strings.Join(parts, ", ")
}

// perCluster tells who says so and why: "east: not enough nodes; west: …".
func (in aggregation) perCluster(kind, status string) string {
	var parts []string
	for _, member := range in.members {
		c, found := findCondition(member.Status, kind)
		switch {
		case !found && status == isUnknown:
			parts = append(parts, member.Cluster+": not reported")
		case found && c.Status == status && c.Message != "":
			parts = append(parts, member.Cluster+": "+c.Message)
		case found && c.Status == status:
			parts = append(parts, member.Cluster+": "+c.Reason)
		}
	}
	return strings.Join(parts, "; ")
}
