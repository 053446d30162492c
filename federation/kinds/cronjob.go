package kinds

import batchv1 "k8s.io/api/batch/v1"

// cronJob is in one cluster: a schedule that two clusters keep would run everything twice.
var cronJob = Rule{
	step:      workloads,
	mode:      One,
	podSpec:   []string{"spec", "jobTemplate", "spec", "template", "spec"},
	status:    []string{"active", "lastScheduleTime", "lastSuccessfulTime"},
	health:    settled,
	aggregate: aggregateCronJob,
}

func aggregateCronJob(in aggregation) map[string]any {
	if len(in.collected()) == 0 {
		return nil
	}
	status := untyped(&batchv1.CronJobStatus{
		LastScheduleTime:   in.latest("lastScheduleTime"),
		LastSuccessfulTime: in.latest("lastSuccessfulTime"),
	})
	// The uids tell two clusters' jobs of the same name apart.
	key := func(ref map[string]any) string { return stringAt(ref, "name") + "|" + stringAt(ref, "uid") }
	if active := in.united(key, "active"); len(active) > 0 {
		status["active"] = active
	}
	return status
}
