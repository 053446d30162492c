package kinds

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
)

var job = Rule{
	step:     workloads,
	modeOf:   jobMode,
	replicas: []string{"spec", "parallelism"},
	podSpec:  []string{"spec", "template", "spec"},
	numbers: func(obj map[string]any) []Number {
		return wholeNumber(obj, 0, "spec", "completions")
	},
	clean: cleanJob,
	halt:  haltJob,
	status: []string{"active", "ready", "succeeded", "failed", "terminating", "startTime", "completionTime",
		"completedIndexes", "failedIndexes", "conditions"},
	keep:      [][]string{{"spec", "completions"}, {"spec", "suspend"}},
	ready:     jobReady,
	health:    jobHealth,
	aggregate: aggregateJob,
}

// jobMode: an Indexed Job's pods know their number among all; in two clusters the same number would run twice.
func jobMode(obj map[string]any) Mode {
	if stringAt(obj, "spec", "completionMode") == string(batchv1.IndexedCompletion) {
		return One
	}
	return Divide
}

// cleanJob removes the selector and labels that a server generates from a uid, and leaves those of a user who asked
// for manualSelector.
func cleanJob(obj map[string]any) {
	if boolAt(obj, "spec", "manualSelector") {
		return
	}
	removeAt(obj, "spec", "selector")
	for _, label := range []string{"controller-uid", "job-name",
		"batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"} {
		removeAt(obj, "spec", "template", "metadata", "labels", label)
		removeAt(obj, "metadata", "labels", label)
	}
}

// jobReady counts a succeeded pod as ready: a Job that is done lacks nothing.
func jobReady(obj map[string]any) (ready, desired int64) {
	status := mapAt(obj, "status")
	ready = intOr(status, 0, "ready") + intOr(status, 0, "succeeded")
	desired = intOr(obj, 1, "spec", "parallelism")
	if completions, limited := intAt(obj, "spec", "completions"); limited {
		desired = min(desired+intOr(status, 0, "succeeded"), completions)
	}
	return min(ready, desired), desired
}

func jobHealth(obj map[string]any) (Health, string) {
	status := mapAt(obj, "status")
	for _, kind := range []string{"Failed", "FailureTarget"} {
		if c, found := findCondition(status, kind); found && c.Status == isTrue {
			return Degraded, because(c)
		}
	}
	switch {
	case hasCondition(status, "Complete", isTrue):
		return Healthy, ""
	case boolAt(obj, "spec", "suspend"):
		return Progressing, "is suspended"
	case intOr(status, 0, "ready") > 0:
		return Healthy, ""
	}
	return Progressing, fmt.Sprintf("%d pods are active, none is ready", intOr(status, 0, "active"))
}

// haltJob: one cluster ends the pods of a Job that fails. The members that go on are told to by suspending theirs;
// those that have ended are not touched by it.
func haltJob(template, obj map[string]any) bool {
	if !hasCondition(mapAt(template, "status"), "FailureTarget", isTrue) {
		return false
	}
	_ = setAt(obj, true, "spec", "suspend") // a Job without a spec does not run either
	return true
}

// aggregateJob adds up. A Job that fails in one member is to fail (FailureTarget) until the pods in all members that
// can be reached have ended, and has Failed then: a Job with Failed has no active pods, in one cluster and here. A Job
// that has ended on the hub stays ended: the outcome of work does not change afterwards.
func aggregateJob(in aggregation) map[string]any {
	if len(in.collected()) == 0 || jobEnded(in.previous) {
		return nil
	}
	ready, terminating := in.sum32("ready"), in.sum32("terminating")
	typedStatus := &batchv1.JobStatus{
		Active:      in.sum32("active"),
		Succeeded:   in.sum32("succeeded"),
		Failed:      in.sum32("failed"),
		Ready:       &ready,
		Terminating: &terminating,
		StartTime:   in.earliest("startTime"),
	}
	failed := in.clusters(holds("Failed"))
	complete := in.clusters(holds("Complete"))
	var conditions []condition
	switch {
	case len(failed) > 0:
		message := in.perCluster("Failed", isTrue)
		reason := in.reasonIn(failed[0], "Failed")
		conditions = []condition{{"FailureTarget", isTrue, reason, message}}
		if in.knownSum("active") == 0 && in.knownSum("terminating") == 0 {
			conditions = append(conditions, condition{"Failed", isTrue, reason, message})
			typedStatus.Active, ready, terminating = 0, 0, 0
		}
	case len(complete) == len(in.members):
		typedStatus.CompletionTime = in.latest("completionTime")
		message := "complete in " + list(complete)
		conditions = []condition{
			{"SuccessCriteriaMet", isTrue, "CompletionsReached", message},
			{"Complete", isTrue, "CompletionsReached", message},
		}
	case len(in.clusters(holds("FailureTarget"))) > 0:
		message := in.perCluster("FailureTarget", isTrue)
		conditions = []condition{{"FailureTarget", isTrue, "FailureTarget", message}}
	case len(in.clusters(holds("Suspended"))) == len(in.members):
		conditions = []condition{{"Suspended", isTrue, "JobSuspended", "Job suspended"}}
	}
	status := untyped(typedStatus)
	if len(in.members) == 1 {
		for _, field := range []string{"completedIndexes", "failedIndexes"} {
			if value := stringAt(in.members[0].Status, field); value != "" {
				status[field] = value
			}
		}
	}
	delete(status, "uncountedTerminatedPods")
	if len(conditions) > 0 {
		status["conditions"] = in.conditions(lastProbeTime, conditions...)
	}
	return status
}

func jobEnded(status map[string]any) bool {
	return hasCondition(status, "Complete", isTrue) || hasCondition(status, "Failed", isTrue)
}

func holds(kind string) func(MemberStatus) bool {
	return func(m MemberStatus) bool { return hasCondition(m.Status, kind, isTrue) }
}

// reasonIn is the reason of a condition in one member.
func (in aggregation) reasonIn(cluster, kind string) string {
	for _, member := range in.members {
		if member.Cluster == cluster {
			c, _ := findCondition(member.Status, kind)
			return c.Reason
		}
	}
	return ""
}
