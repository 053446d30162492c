package kinds

import (
	"fmt"
	"math"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var deployment = Rule{
	step:     workloads,
	mode:     Divide,
	replicas: []string{"spec", "replicas"},
	podSpec:  []string{"spec", "template", "spec"},
	numbers:  deploymentNumbers,
	status: []string{"observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
		"unavailableReplicas", "terminatingReplicas", "conditions"},
	keep:      [][]string{{"spec", "paused"}},
	due:       rolloutDue,
	ready:     replicasReady,
	health:    deploymentHealth,
	aggregate: aggregateDeployment,
}

// deploymentNumbers: maxSurge and maxUnavailable are the user's numbers for the sum. One of the two must stay above
// zero in every member or its API server refuses the object; surging is the one that costs no availability.
func deploymentNumbers(obj map[string]any) []Number {
	rolling := mapAt(obj, "spec", "strategy", "rollingUpdate")
	floor := int64(0)
	if scaled(rolling, 100, true, "maxSurge") == 0 {
		floor = 1
	}
	return append(wholeNumber(obj, 1, "spec", "strategy", "rollingUpdate", "maxSurge"),
		wholeNumber(obj, floor, "spec", "strategy", "rollingUpdate", "maxUnavailable")...)
}

// replicasReady serves the kinds with spec.replicas and status.readyReplicas.
func replicasReady(obj map[string]any) (ready, desired int64) {
	return intOr(obj, 0, "status", "readyReplicas"), intOr(obj, 1, "spec", "replicas")
}

func deploymentHealth(obj map[string]any) (Health, string) {
	status, desired := mapAt(obj, "status"), intOr(obj, 1, "spec", "replicas")
	replicas, updated := intOr(status, 0, "replicas"), intOr(status, 0, "updatedReplicas")
	available := intOr(status, 0, "availableReplicas")
	if intOr(status, 0, "observedGeneration") < intOr(obj, 0, "metadata", "generation") {
		return Progressing, "the controller has not seen the present generation yet"
	}
	if c, _ := findCondition(status, "ReplicaFailure"); c.Status == isTrue {
		return Degraded, because(c)
	}
	if c, _ := findCondition(status, "Progressing"); c.Status == isFalse && c.Reason == deadlineExceeded {
		return Degraded, because(c)
	}
	switch {
	case updated < desired:
		return Progressing, fmt.Sprintf("%d of %d replicas are updated", updated, desired)
	case replicas > updated:
		return Progressing, fmt.Sprintf("%d old replicas have not ended yet", replicas-updated)
	case available < updated:
		return Progressing, fmt.Sprintf("%d of %d replicas are available", available, updated)
	}
	return Healthy, ""
}

// The reasons that Deployment conditions carry; clients look for some of them.
const (
	deadlineExceeded = "ProgressDeadlineExceeded" // kubectl rollout status gives up on it
	rolloutComplete  = "NewReplicaSetAvailable"
	rolloutGoesOn    = "ReplicaSetUpdated"
)

func aggregateDeployment(in aggregation) map[string]any {
	status := untyped(&appsv1.DeploymentStatus{
		ObservedGeneration:  in.observedGeneration(),
		Replicas:            in.sum32("replicas"),
		UpdatedReplicas:     in.sum32("updatedReplicas"),
		ReadyReplicas:       in.sum32("readyReplicas"),
		AvailableReplicas:   in.sum32("availableReplicas"),
		UnavailableReplicas: int32(max(0, in.desired()-in.sum("availableReplicas"))),
	})
	if ending := in.sum("terminatingReplicas"); ending > 0 {
		status["terminatingReplicas"] = ending
	}
	progressing, progressed := in.deploymentProgressing(), in.hasProgressed()
	if progressing.Reason == rolloutGoesOn && !progressed && in.isLate() {
		progressing.Status, progressing.Reason = isFalse, deadlineExceeded
		progressing.Message += "; this has not gone on for the progressDeadlineSeconds"
	}
	conditions := []condition{in.deploymentAvailable(), progressing}
	if failure := in.unitedCondition("ReplicaFailure"); failure.Status == isTrue {
		conditions = append(conditions, failure)
	}
	written := in.conditions(lastUpdateTime, conditions...)
	if progressed && progressing.Reason == rolloutGoesOn { // the deadline counts from here
		_ = setAt(written[1].(map[string]any), in.now.UTC().Truncate(time.Second).Format(time.RFC3339), string(lastUpdateTime))
	}
	status["conditions"] = written
	return status
}

// hasProgressed reports whether the rollout is further than it was, as the Deployment controller judges it.
func (in aggregation) hasProgressed() bool {
	was := in.previous
	if _, counted := at(was, "replicas"); !counted {
		return false // the first figures; they change the message
	}
	old := func(replicas, updated int64) int64 { return replicas - updated }
	return in.observedGeneration() != intOr(was, 0, "observedGeneration") ||
		in.sum("updatedReplicas") > intOr(was, 0, "updatedReplicas") ||
		in.sum("readyReplicas") > intOr(was, 0, "readyReplicas") ||
		in.sum("availableReplicas") > intOr(was, 0, "availableReplicas") ||
		old(in.sum("replicas"), in.sum("updatedReplicas")) <
			old(intOr(was, 0, "replicas"), intOr(was, 0, "updatedReplicas"))
}

// defaultProgressDeadline is what the API server of a cluster writes into a Deployment without one, noDeadline what stands
// for none.
const (
	defaultProgressDeadline = 600
	noDeadline              = math.MaxInt32
)

// isLate reports whether the rollout has stood still for longer than the template allows. What is late stays late until it
// goes on.
func (in aggregation) isLate() bool {
	was, found := findCondition(in.previous, "Progressing")
	if !found || intOr(in.previous, 0, "observedGeneration") != in.generation() {
		return false
	}
	if was.Status == isFalse && was.Reason == deadlineExceeded {
		return true
	}
	due, isRunning := rolloutDue(in.template)
	return isRunning && in.now.After(due)
}

// rolloutDue is when a rollout that stands still is late; false while none goes on, or it may take as long as it likes.
func rolloutDue(template map[string]any) (time.Time, bool) {
	deadline := intOr(template, defaultProgressDeadline, "spec", "progressDeadlineSeconds")
	if deadline >= noDeadline {
		return time.Time{}, false
	}
	for _, c := range mapsAt(template, "status", "conditions") {
		if stringAt(c, "type") != "Progressing" || stringAt(c, "reason") != rolloutGoesOn {
			continue
		}
		since, err := time.Parse(time.RFC3339, stringAt(c, string(lastUpdateTime)))
		return since.Add(time.Duration(deadline) * time.Second), err == nil
	}
	return time.Time{}, false
}

// deploymentAvailable asks of the sum what the Deployment controller asks of one cluster: no more than maxUnavailable
// of the desired replicas are missing.
func (in aggregation) deploymentAvailable() condition {
	needed := in.desired() - maxUnavailable(in.template, in.desired())
	sum, known := in.sum("availableReplicas"), in.knownSum("availableReplicas")
	c := condition{Type: "Available"}
	switch {
	case known >= needed:
		c.Status, c.Reason = isTrue, "MinimumReplicasAvailable"
		c.Message = "Deployment has minimum availability."
	case sum >= needed:
		c.Status, c.Reason = isUnknown, "MembersUnknown"
		c.Message = fmt.Sprintf("only %d of the %d replicas needed are in reachable clusters.", known, needed)
	default:
		c.Status, c.Reason = isFalse, "MinimumReplicasUnavailable"
		c.Message = fmt.Sprintf("Deployment does not have minimum availability: %d of %d needed.", sum, needed)
	}
	if unknown := in.unknown(); unknown != "" {
		c.Message += " Unknown: " + unknown + "."
	}
	return c
}

// deploymentProgressing follows the rollout of the sum. As in one cluster, a finished rollout stays finished when
// pods fail later: that is Available's to say.
func (in aggregation) deploymentProgressing() condition {
	c := condition{Type: "Progressing", Status: isTrue}
	replicas, updated, available := in.sum("replicas"), in.sum("updatedReplicas"), in.sum("availableReplicas")
	behind, desired := in.behind(), in.desired()
	was, _ := findCondition(in.previous, "Progressing")
	wasComplete := was.Reason == rolloutComplete &&
		intOr(in.previous, 0, "observedGeneration") == in.generation() && in.generation() > 0
	late := in.clusters(func(m MemberStatus) bool {
		c, found := findCondition(m.Status, "Progressing")
		return found && c.Status == isFalse && c.Reason == deadlineExceeded
	})
	switch {
	case boolAt(in.template, "spec", "paused"):
		c.Status, c.Reason, c.Message = isUnknown, "DeploymentPaused", "Deployment is paused"
	case len(late) > 0:
		c.Status, c.Reason = isFalse, deadlineExceeded
		c.Message = in.perCluster("Progressing", isFalse)
	case len(in.members) == 0 && desired > 0:
		c.Status, c.Reason, c.Message = isUnknown, "NotPlaced", "no cluster has been chosen yet"
	case len(behind) > 0:
		c.Reason, c.Message = rolloutGoesOn, "waiting for "+list(behind)+" to take up the present revision"
	case replicas == updated && (wasComplete || updated >= desired && available >= updated):
		c.Reason, c.Message = rolloutComplete, "rolled out"
		if names := list(in.clusters(everyMember)); names != "" {
			c.Message += " in " + names
		}
	default:
		c.Reason = rolloutGoesOn
		c.Message = fmt.Sprintf("waiting for %s", list(in.clusters(isRollingOut)))
		if updated < desired && len(in.clusters(isRollingOut)) == 0 {
			c.Message = fmt.Sprintf("%d of %d replicas have a place", updated, desired)
		}
	}
	return c
}

func everyMember(MemberStatus) bool { return true }

func isRollingOut(m MemberStatus) bool {
	updated := intOr(m.Status, 0, "updatedReplicas")
	return updated < m.Desired || intOr(m.Status, 0, "replicas") > updated ||
		intOr(m.Status, 0, "availableReplicas") < updated
}

// maxUnavailable is the number for the sum: the template's, or Kubernetes' default of 25 %, rounded down; 0 unless
// rolling. When both numbers come to nothing one replica may be missing, as the Deployment controller has it.
func maxUnavailable(template map[string]any, desired int64) int64 {
	strategy := mapAt(template, "spec", "strategy")
	if stringAt(strategy, "type") == string(appsv1.RecreateDeploymentStrategyType) || desired == 0 {
		return 0
	}
	missing := scaled(strategy, desired, false, "rollingUpdate", "maxUnavailable")
	if missing == 0 && scaled(strategy, desired, true, "rollingUpdate", "maxSurge") == 0 {
		missing = 1
	}
	return min(missing, desired)
}

// scaled reads a number or percentage of total; absent or malformed is 25 %.
func scaled(in map[string]any, total int64, roundUp bool, path ...string) int64 {
	value := intstr.FromString("25%")
	if n, is := intAt(in, path...); is {
		value = intstr.FromInt32(int32(n))
	} else if s := stringAt(in, path...); s != "" {
		value = intstr.FromString(s)
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, int(total), roundUp)
	if err != nil {
		quarter := intstr.FromString("25%")
		n, _ = intstr.GetScaledValueFromIntOrPercent(&quarter, int(total), roundUp)
	}
	return int64(n)
}
