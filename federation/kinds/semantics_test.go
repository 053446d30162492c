package kinds

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

type M = map[string]any

func tmpl(group, version, kind string, obj M) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: obj}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version, Kind: kind})
	return u
}

func mem(name string, desired int64, status M) MemberStatus {
	return MemberStatus{Cluster: name, Known: true, TemplateGeneration: 1, Generation: 1, ObservedGeneration: 1, Desired: desired, Status: status}
}

func cond(t, s, reason string) M {
	return M{"type": t, "status": s, "reason": reason, "message": reason}
}

// TestSumsTellTheTruth: what the sum says of the whole is so of every part.
func TestSumsTellTheTruth(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	j := tmpl("batch", "v1", "Job", M{"metadata": M{"generation": int64(1)}, "spec": M{"completions": int64(4), "parallelism": int64(2)}})
	got := Of(j).Aggregate(j, []MemberStatus{mem("east", 1, M{"startTime": "2026-01-01T10:00:00Z", "completionTime": "2026-01-01T11:00:00Z", "succeeded": int64(2), "conditions": []any{cond("SuccessCriteriaMet", "True", ""), cond("Complete", "True", "")}})}, now)
	if hasCondition(got, "Complete", "True") && intOr(got, 0, "succeeded") < 4 {
		t.Error("K1 Job: Complete with", got["succeeded"], "of 4 completions")
	}
	p := tmpl("", "v1", "Pod", M{"metadata": M{"generation": int64(1)}})
	run := M{"phase": "Running", "conditions": []any{cond("Ready", "True", "")}}
	if got := Of(p).Aggregate(p, []MemberStatus{mem("a", 1, run), mem("b", 1, M{"phase": "Succeeded"})}, now); got["phase"] == "Succeeded" {
		t.Error("K2 Pod: Succeeded while the one in a runs")
	}
	if got := Of(p).Aggregate(p, []MemberStatus{mem("a", 1, run), {Cluster: "b", Known: true}}, now); hasCondition(got, "Ready", "True") {
		t.Error("K3 Pod: Ready before b has one")
	}
	d := tmpl("apps", "v1", "Deployment", M{"metadata": M{"generation": int64(1)}, "spec": M{"replicas": int64(6), "progressDeadlineSeconds": int64(600)},
		"status": M{"observedGeneration": int64(1), "conditions": []any{M{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "3 of 6 replicas have a place", "lastUpdateTime": "2026-01-01T10:00:00Z", "lastTransitionTime": "2026-01-01T10:00:00Z"}}}})
	half := M{"observedGeneration": int64(1), "replicas": int64(3), "updatedReplicas": int64(3), "readyReplicas": int64(3), "availableReplicas": int64(3)}
	dep := Of(d).Aggregate(d, []MemberStatus{mem("a", 3, half)}, now)
	if c, _ := findCondition(dep, "Progressing"); c.Reason != deadlineExceeded {
		t.Error("K4 Deployment: no progress for 2 h, progressDeadlineSeconds 600:", c)
	}
	sv := tmpl("", "v1", "Service", M{"spec": M{"type": "ClusterIP"}, "status": M{"loadBalancer": M{"ingress": []any{M{"ip": "1.1.1.1"}}}}})
	if got := Of(sv).Aggregate(sv, []MemberStatus{mem("a", 0, M{"loadBalancer": M{}})}, now); got == nil {
		t.Error("K5 Service: LoadBalancer -> ClusterIP leaves the old address in the status (Aggregate is nil: nothing is written)")
	}
	s := tmpl("apps", "v1", "StatefulSet", M{"metadata": M{"generation": int64(1)}, "spec": M{"replicas": int64(3), "minReadySeconds": int64(60)}, "status": M{"observedGeneration": int64(1), "replicas": int64(3), "readyReplicas": int64(3), "availableReplicas": int64(0), "updatedReplicas": int64(3), "currentRevision": "x", "updateRevision": "x"}})
	if h, _ := Of(s).Health(s); h == Healthy {
		t.Error("K6 StatefulSet: Healthy with 0 available (minReadySeconds)")
	}
}
