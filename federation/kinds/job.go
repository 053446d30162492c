package kinds

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var job = Rule{
	step:     workloads,
	modeOf:   jobMode,
	replicas: []string{"spec", "parallelism"},
	podSpec:  []string{"spec", "template", "spec"},
	numbers: func(obj map[string]any) []Number {
		return fixed(wholeNumber(obj, 0, "spec", "completions"))
	},
	// The time to live is carried out on the hub: in a member it would take the copy away, and with it what was done.
	allocated: [][]string{{"spec", "ttlSecondsAfterFinished"}},
	ended:     func(obj map[string]any) bool { return jobEnded(mapAt(obj, "status")) },
	clean:     cleanJob,
	halt:      haltJob,
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
	conditions := in.jobConditions()
	switch ended := map[string]any{"conditions": anyConditions(conditions)}; {
	case hasCondition(ended, "Failed", isTrue):
		typedStatus.Active, ready, terminating = 0, 0, 0
	case hasCondition(ended, "Complete", isTrue):
		typedStatus.CompletionTime = in.latest("completionTime")
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

// jobConditions are those that the Job controller would write about the sum.
func (in aggregation) jobConditions() []condition {
	failed := in.clusters(holds("Failed"))
	complete := in.clusters(holds("Complete"))
	met := in.clusters(func(m MemberStatus) bool { return holds("Complete")(m) || holds("SuccessCriteriaMet")(m) })
	switch {
	case len(failed) > 0:
		reason, message := in.reasonIn("Failed"), in.perCluster("Failed", isTrue)
		conditions := []condition{{"FailureTarget", isTrue, reason, message}}
		if in.knownSum("active") == 0 && in.knownSum("terminating") == 0 {
			conditions = append(conditions, condition{"Failed", isTrue, reason, message})
		}
		return conditions
	case len(met) == len(in.members) && in.missingCompletions() > 0 && len(complete) == len(in.members):
		return []condition{{CompletionsMissing, isTrue, CompletionsMissing, fmt.Sprintf("all pods in %s have ended, and "+
			"%d of %d completions are missing: another cluster had them and is lost, and the completions of a Job that "+
			"runs cannot change; make a Job for what is missing", list(complete), in.missingCompletions(), in.completions())}}
	case len(complete) == len(in.members):
		message := "complete in " + list(complete)
		return []condition{
			{"SuccessCriteriaMet", isTrue, "CompletionsReached", message},
			{"Complete", isTrue, "CompletionsReached", message},
		}
	case len(in.clusters(holds("FailureTarget"))) > 0:
		return []condition{{"FailureTarget", isTrue, in.reasonIn("FailureTarget"), in.perCluster("FailureTarget", isTrue)}}
	case len(met) == len(in.members) && in.missingCompletions() == 0:
		return []condition{{"SuccessCriteriaMet", isTrue, "CompletionsReached", "reached in " + list(met)}}
	case len(in.clusters(holds("Suspended"))) == len(in.members):
		return []condition{{"Suspended", isTrue, "JobSuspended", "Job suspended"}}
	}
	if _, was := findCondition(in.previous, "Suspended"); was || len(in.clusters(resumed)) == len(in.members) {
		return []condition{{"Suspended", isFalse, "JobResumed", "Job resumed"}}
	}
	return nil
}

// CompletionsMissing is the condition, and its reason, of a Job whose pods have all ended with fewer completions than it
// asks for: the work that a lost member held was not done.
const CompletionsMissing = "CompletionsMissing"

// completions is how many pods are to succeed. A Job without the number is done with the first that does.
func (in aggregation) completions() int64 { return intOr(in.template, 0, "spec", "completions") }

func (in aggregation) missingCompletions() int64 {
	return max(in.completions()-in.sum("succeeded"), 0)
}

func resumed(m MemberStatus) bool { return hasCondition(m.Status, "Suspended", isFalse) }

func anyConditions(conditions []condition) []any {
	list := make([]any, 0, len(conditions))
	for _, c := range conditions {
		list = append(list, map[string]any{"type": c.Type, "status": c.Status})
	}
	return list
}

// MayEnd reports whether objects of the kind do work that ends.
func (r Rule) MayEnd() bool { return r.ended != nil }

// HasEnded reports whether the template's work is done for good: a Job that is Complete or has Failed. It never runs again,
// so no member gets a copy that it does not have.
func (r Rule) HasEnded(template *unstructured.Unstructured) bool {
	return r.ended != nil && r.ended(template.Object)
}

// EndedIn reports whether a member's status says that its part of the work is done for good. It counts when the copy is
// gone, and the copy is not made again.
func (r Rule) EndedIn(status map[string]any) bool {
	return r.ended != nil && r.ended(map[string]any{"status": status})
}

// Expires is when a template whose work has ended is to be deleted; false when it stays.
func (r Rule) Expires(template *unstructured.Unstructured) (time.Time, bool) {
	ttl, limited := intAt(template.Object, "spec", "ttlSecondsAfterFinished")
	if !limited || !r.HasEnded(template) {
		return time.Time{}, false
	}
	for _, c := range mapsAt(template.Object, "status", "conditions") {
		kind := stringAt(c, "type")
		if kind != "Complete" && kind != "Failed" || stringAt(c, "status") != isTrue {
			continue
		}
		if since, err := time.Parse(time.RFC3339, stringAt(c, "lastTransitionTime")); err == nil {
			return since.Add(time.Duration(ttl) * time.Second), true
		}
	}
	return time.Time{}, false
}

func jobEnded(status map[string]any) bool {
	return hasCondition(status, "Complete", isTrue) || hasCondition(status, "Failed", isTrue)
}

func holds(kind string) func(MemberStatus) bool {
	return func(m MemberStatus) bool { return hasCondition(m.Status, kind, isTrue) }
}

// reasonIn is the first reason that a member gives for a condition that is True; never empty, for a condition has one.
func (in aggregation) reasonIn(kind string) string {
	for _, member := range in.members {
		if c, _ := findCondition(member.Status, kind); c.Status == isTrue && c.Reason != "" {
			return c.Reason
		}
	}
	return kind
}
